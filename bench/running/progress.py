"""What a run tells a person while it goes on: a live panel on a terminal, plain lines anywhere else.

Shown to stderr only, and never the only place where something is said: warnings are in the manifest too. It
knows nothing of how a run is made, only the calls of `Progress`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TextIO

from bench.names import printable
from bench.units import duration_text, rate_text

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from bench.results import TrialRecord
    from bench.scenario.plan import Trial

_LINE_SECONDS = 10.0


class Progress(Protocol):
    """What the run pipeline calls, in the order of a run; every text may hold anything a server wrote."""

    def stage(self, text: str) -> None:
        """What is being done now, outside of any launch: `building EfficientNetB5`."""
        ...

    def launch_started(self, server: str, repetition: int, index: int, total: int) -> None:
        """Launch `index` of `total`, counted from 1, begins."""
        ...

    def expect(self, seconds: float) -> None:
        """From here on it takes about so long: more, or less, than was estimated has to be measured."""
        ...

    def trial_started(self, trial: Trial, seconds: float) -> None:
        """Load begins and will last that long, warm-up included."""
        ...

    def tick(self, requests: int, errors: int, p50: float | None) -> None:
        """Counts of the trial so far, and its median response time in seconds."""
        ...

    def trial_done(self, record: TrialRecord) -> None:
        """A trial ended, well or not."""
        ...

    def warning(self, text: str) -> None:
        """Something a person should know now; it is in the manifest as well."""
        ...

    def finished(self) -> None:
        """The run is over, or was given up; nothing is shown after this."""
        ...


def make_progress(stream: TextIO, estimated_seconds: float) -> Progress:
    """A live panel if the stream is a terminal, else plain lines."""
    if stream.isatty():
        return LiveProgress(stream, estimated_seconds)
    return LineProgress(stream, estimated_seconds)


def record_text(record: TrialRecord) -> str:
    """One line about a trial that ended: `flask closed-8: 132 requests, 0 not ok`."""
    name = f"{record.server} {record.label}"
    if record.look:
        name += f" at {rate_text(record.arrival_rate)}"
    if record.outcome != "ok":
        return f"{name}: {record.outcome}: {record.reason}"
    scheduled, ok = record.counts.get("scheduled", 0), record.counts.get("ok", 0)
    return f"{name}: {scheduled} requests, {scheduled - ok} not ok"


class _Left:
    """How much of the estimate is left. It counts from the first launch: what is built before is no part of it."""

    def __init__(self, estimated: float, clock: Callable[[], float]) -> None:
        self._estimated, self._clock = estimated, clock
        self._begun: float | None = None

    def begin(self) -> None:
        """The first launch starts the clock, later ones change nothing."""
        if self._begun is None:
            self._begun = self._clock()

    def expect(self, seconds: float) -> None:
        """So much is left now."""
        self._begun, self._estimated = self._clock(), seconds

    def text(self) -> str:
        """`about 42 s left`."""
        return time_left(self._estimated, 0.0 if self._begun is None else self._clock() - self._begun)


class Silent:
    """Shows nothing, for callers that watch what comes back."""

    def stage(self, text: str) -> None:
        """Nothing."""

    def launch_started(self, server: str, repetition: int, index: int, total: int) -> None:
        """Nothing."""

    def expect(self, seconds: float) -> None:
        """Nothing."""

    def trial_started(self, trial: Trial, seconds: float) -> None:
        """Nothing."""

    def tick(self, requests: int, errors: int, p50: float | None) -> None:
        """Nothing."""

    def trial_done(self, record: TrialRecord) -> None:
        """Nothing."""

    def warning(self, text: str) -> None:
        """Nothing."""

    def finished(self) -> None:
        """Nothing."""


class LineProgress:
    """Plain lines, one per event and one every ten seconds of load; for logs and pipes."""

    def __init__(self, stream: TextIO, estimated_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._left = _Left(estimated_seconds, clock)
        self._launch = self._trial = ""
        self._said = clock()

    def stage(self, text: str) -> None:
        """One line."""
        self._say(text)

    def launch_started(self, server: str, repetition: int, index: int, total: int) -> None:
        """One line, with the time that is left."""
        self._launch = server
        self._left.begin()
        again = f", repetition {repetition}" if repetition > 1 else ""
        self._say(f"[{index}/{total}] starting {server}{again} ({self._left.text()})")

    def expect(self, seconds: float) -> None:
        """The next launch says it."""
        self._left.expect(seconds)

    def trial_started(self, trial: Trial, seconds: float) -> None:
        """One line."""
        self._left.begin()  # the tries of a tuning come before any launch
        self._trial = f"{trial.server} {trial.point.label}"
        self._said = self._clock()
        self._say(f"{self._trial}: load for {duration_text(seconds)}")

    def tick(self, requests: int, errors: int, p50: float | None) -> None:
        """One line every ten seconds."""
        if self._clock() - self._said >= _LINE_SECONDS:
            self._said = self._clock()
            self._say(f"{self._trial}: {_counts(requests, errors, p50)}")

    def trial_done(self, record: TrialRecord) -> None:
        """One line."""
        self._say(record_text(record))

    def warning(self, text: str) -> None:
        """One line."""
        self._say(f"warning: {text}")

    def finished(self) -> None:
        """Nothing: the results speak."""

    def _say(self, text: str) -> None:
        print(printable(text), file=self._stream, flush=True)


def time_left(estimated: float, spent: float) -> str:
    """`about 42 s left`; past the estimate it says so rather than counting below zero."""
    left = round(estimated - spent)
    if left <= 0:
        return "longer than estimated"
    return f"about {left} s left" if left < 120 else f"about {left / 60:.1f} min left"


def _counts(requests: int, errors: int, p50: float | None) -> str:
    median = "" if p50 is None else f", p50 {duration_text(p50)}"
    return f"{requests} requests, {errors} errors{median}"


class LiveProgress:
    """A panel that stays in place below the lines of what is already done."""

    def __init__(self, stream: TextIO, estimated_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._left = _Left(estimated_seconds, clock)
        self._what = self._counted = self._launch = ""
        self._trial_ends: float | None = None
        self._trial_seconds = self._warmup = 0.0
        self._live: Live | None = None

    def stage(self, text: str) -> None:
        """Becomes the headline."""
        self._what, self._counted, self._trial_ends = text, "", None
        self._show()

    def launch_started(self, server: str, repetition: int, index: int, total: int) -> None:
        """Becomes the headline: which server of how many."""
        again = f", repetition {repetition}" if repetition > 1 else ""
        self._left.begin()
        self._launch = f"[{index}/{total}] {server}{again}"
        self._what, self._counted, self._trial_ends = f"{self._launch}: starting", "", None
        self._show()

    def expect(self, seconds: float) -> None:
        """The panel counts down from there."""
        self._left.expect(seconds)

    def trial_started(self, trial: Trial, seconds: float) -> None:
        """Becomes the headline: which load point, until when."""
        self._left.begin()  # the tries of a tuning come before any launch
        self._what = f"{self._launch}: {trial.point.label}"
        self._counted = _counts(0, 0, None)
        self._trial_seconds, self._warmup = seconds, trial.warmup
        self._trial_ends = self._clock() + seconds
        self._show()

    def tick(self, requests: int, errors: int, p50: float | None) -> None:
        """Updates the counts."""
        self._counted = _counts(requests, errors, p50)
        self._show()

    def trial_done(self, record: TrialRecord) -> None:
        """A line that stays, above the panel."""
        self._trial_ends, self._counted = None, ""
        self._print(record_text(record), "" if record.outcome == "ok" else "red")

    def warning(self, text: str) -> None:
        """A line that stays, above the panel."""
        self._print(f"warning: {text}", "yellow")

    def finished(self) -> None:
        """Takes the panel away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _print(self, text: str, style: str) -> None:
        from rich.text import Text

        self._show()
        assert self._live is not None
        self._live.console.print(Text(printable(text), style=style))  # Text: markup in a name stays text

    def _show(self) -> None:
        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(
                console=Console(file=self._stream), get_renderable=self._panel, refresh_per_second=4, transient=True
            )
            self._live.start()

    def _panel(self) -> Table:
        from rich.spinner import Spinner
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        table.add_row(
            Spinner("dots"),
            Text(printable(self._what), style="bold", overflow="ellipsis", no_wrap=True),
            Text(self._phase(), no_wrap=True),
            Text(self._counted, no_wrap=True),
            Text(self._left.text(), style="dim", no_wrap=True),
        )
        return table

    def _phase(self) -> str:
        """`warm-up`, or how far the window is; empty between trials."""
        if self._trial_ends is None:
            return ""
        remaining = max(0.0, self._trial_ends - self._clock())
        if self._trial_seconds - remaining < self._warmup:
            return "warm-up"
        return f"measuring, {remaining:.0f} s" if remaining else "last replies"
