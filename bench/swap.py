"""A new version of the model takes the place of the old one in a server that runs: the seam that a kind fills.

`Server.swap` returns a `Swap`; `bench/running/takeover.py` goes through it at its moment of a trial.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal

State = Literal["loading", "ready", "unloading"]
"""Of a version that takes memory: not able to answer yet, able to, not able to any more."""


class Swap(ABC):
    """One exchange of a model's version in a server that runs, as a kind can bring it about.

    `states` is asked again and again from another thread than the rest.
    """

    old: str
    new: str

    @abstractmethod
    def bring(self) -> None:
        """Put the new version beside the old one, where the server does not find it yet.   Raises: OSError."""

    @abstractmethod
    def release(self) -> None:
        """Let the server find it, in one step.   Raises: OSError."""

    @abstractmethod
    def states(self) -> Mapping[str, State]:
        """Every version that is in the server's memory; quick, and no request of the kind that is being measured.

        Raises: BenchError or OSError if it does not say.
        """

    def version_of(self, reply: bytes) -> str | None:  # noqa: ARG002 -- kinds whose replies tell it use it
        """Which version gave a good reply; None if replies do not tell."""
        return None

    def close(self) -> None:
        """Give back what was opened for asking; called once, when nobody asks any more."""
        return
