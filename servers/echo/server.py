"""A server that answers after a known delay: it measures the harness, and is the example to copy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Gt, Le

from bench import server
from bench.server import Command, Duration, Place

if TYPE_CHECKING:  # numpy is not needed to list or check servers
    from bench.protocols import Answer, Wire


Share = Annotated[float, "share", Ge(0), Le(1)]


@dataclass(frozen=True, kw_only=True)
class Server(server.Server):
    """Answers after `delay`, as `parallel` servers with one queue would; the answer follows from the photo's bytes.

    The other keys are faults of a known size, for trying out what notices them.
    """

    title: ClassVar[str] = "answers after a known delay; measures the harness itself"

    delay: Duration = 0.010
    parallel: Annotated[int, Gt(0), Le(10_000)] = 1
    tail_share: Share = 0.0
    tail_factor: Annotated[float, Ge(1), Le(1000)] = 2.0
    error_share: Share = 0.0
    work: Annotated[int, Ge(0), Le(10_000_000)] = 0
    quota: Annotated[float, "share", Gt(0), Le(1)] = 1.0

    def command(self, place: Place) -> Command:
        """The program beside this file."""
        app = Path(__file__).with_name("app.py")
        arguments = (place.host, str(place.port), str(self.delay), str(self.parallel), *self._faults())
        return Command(argv=(str(place.python), "-I", str(app), *arguments))

    def _faults(self) -> tuple[str, ...]:
        """One argument that tells the program of its faults, none without any."""
        if not (self.tail_share or self.error_share or self.work):
            return ()
        names = ("tail_share", "tail_factor", "error_share", "work", "quota")
        return (json.dumps({name: getattr(self, name) for name in names}),)

    def wire(self, place: Place) -> Wire:  # noqa: ARG002 -- the same wherever it runs
        """The plain JSON of tutorials."""
        from bench.protocols.plain import PlainJson

        return PlainJson()

    def expected(self, photo: bytes) -> Answer:
        """What app.py answers to this photo."""
        import zlib

        import numpy as np

        digest = zlib.crc32(photo)
        shares = np.array([1 + (digest >> (3 * i)) % 8 for i in range(10)], dtype=np.float32)
        return np.asarray(shares / shares.sum(), dtype=np.float32)
