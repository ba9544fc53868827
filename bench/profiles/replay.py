"""Open loop: requests as they once came."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from random import Random
from typing import Annotated, ClassVar

from annotated_types import Gt, Le

from bench.names import slug
from bench.profiles.arrivals import Stretch, ascending, poisson_times
from bench.profiles.profile import FilePath, Moment, Seconds
from bench.profiles.recording import Recording, read_recording
from bench.units import UnitError


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Open loop: requests as they once came, from a file with one timestamp in seconds per line.

    `time_scale: 2` is twice as fast. `start` leaves out the recording's first seconds, as they were recorded.
    `duration` is that of the window, by default until a mean distance after the last request.
    """

    name: ClassVar[str] = "replay"
    open_loop: ClassVar[bool] = True
    file: FilePath
    time_scale: Annotated[float, Gt(0), Le(1_000_000)] = 1.0
    start: Moment = 0.0
    duration: Seconds = math.inf
    digest: str = field(init=False)
    """SHA-256 of the file: what was replayed, whatever becomes of the file."""

    def __post_init__(self) -> None:
        """Read the file, and refuse to replay more than there is.   Raises: ScenarioError, UnitError."""
        recording = self._recording
        object.__setattr__(self, "digest", recording.digest)
        left = recording.span - self.start
        if left < 0 or (left == 0 and math.isinf(self.duration)):
            raise UnitError(
                f"there is nothing to replay {self.start:g} s after the beginning of {self.file}: "
                f"its last request came after {recording.span:g} s",
                "'start' is less than that, or 'duration' says how long the window is",
            )
        if math.isinf(self.duration):
            object.__setattr__(self, "duration", (left + recording.mean_gap) / self.time_scale)
        elif self.duration * self.time_scale > (left + recording.longest_gap) * (1 + 1e-9) and recording.span > 0:
            raise UnitError(
                f"the recording ends {left / self.time_scale:g} s after the window's beginning, "
                f"and duration is {self.duration:g} s",
                "make it shorter or leave it out; a recording is not repeated",
            )

    @cached_property
    def _recording(self) -> Recording:
        return read_recording(Path(self.file))

    @property
    def label(self) -> str:
        """`replay-trace`, `replay-trace-x2-from-30`."""
        scale = f"-x{self.time_scale:g}" if self.time_scale != 1 else ""
        start = f"-from-{self.start:g}" if self.start else ""
        return slug(f"replay-{Path(self.file).stem}{scale}{start}")

    @property
    def mean_rate(self) -> float:
        """Requests of the window per second."""
        return sum(1 for _ in self._replayed()) / self.duration

    def points(self) -> tuple[Replay, ...]:
        """Itself."""
        return (self,)

    def send_times(self, warmup: float, rng: Random) -> Iterator[float]:
        """As recorded from the end of the warm-up on; poisson arrivals at the mean rate before it."""
        before = ascending(warmup, poisson_times((Stretch(warmup, self.mean_rate, self.mean_rate),), rng))
        return ascending(warmup + self.duration, chain(before, (warmup + at for at in self._replayed())))

    def _replayed(self) -> Iterator[float]:
        """Seconds after the window's beginning, equal ones where requests came at the same time."""
        for at in self._recording.times:
            if at >= self.start:
                after = (at - self.start) / self.time_scale
                if after >= self.duration:
                    return
                yield after
