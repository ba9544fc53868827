"""Where the time of a request goes: means laid end to end; what nobody measured is drawn as unknown.

Means only: percentiles do not add up.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench import units
from bench.report import view
from bench.report.charts.bars import Bar, Bars, Part
from bench.report.charts.parts import (
    Chart,
    absent_rows,
    footing,
    rows_of,
    sentence_only,
    spoken,
    tick_time,
    verdict_word,
)
from bench.report.inside import mean
from bench.report.view import LoadPoint, ServerView
from bench.results import Outcome
from bench.summary import Row, Summary, Verdict

ENCODE = Part("client: make the request", "#56B4E9")
LAG = Part("load generator late", "#E69F00")
WIRE = Part("network, and waiting for a handler", "#D9D9D9")
HANDLER = Part("server: rest of its handler", "#A6A6A6")
QUEUE = Part("server: batching queue", "#F0E442")
COMPUTE = Part("server: the model runs", "#5a5a5a")
SERVICE = Part("network, queue and compute: not told apart", "#FFFFFF", "///")
DECODE = Part("client: read the reply, length unknown", "#FFFFFF", "\\\\\\")
PARTS = (ENCODE, LAG, WIRE, HANDLER, QUEUE, COMPUTE, SERVICE, DECODE)


@dataclass(frozen=True, slots=True)
class Shares:
    """Mean seconds of one row's request by part; None is unknown, and stands in no sum."""

    encode: float | None
    lag: float
    wire: float | None
    handler: float | None
    queue: float | None
    compute: float | None
    service: float

    def lengths(self) -> list[tuple[float, Part]]:
        """What is known, in the order in which it happens."""
        known = [(self.encode or 0.0, ENCODE), (self.lag, LAG)]
        if self.compute is None:
            return [*known, (self.service, SERVICE)]
        inner = [(self.wire, WIRE), (self.handler, HANDLER), (self.queue, QUEUE), (self.compute, COMPUTE)]
        return [*known, *((length or 0.0, part) for length, part in inner)]


def shares_of(row: Row) -> Shares | None:
    """The parts of a row's mean request; None if it answered none.

    The model's part comes from what the server counted between the first and the last request, warm-up included.
    """
    service = row.service_time.mean if row.service_time is not None else None
    if service is None:
        return None
    lag = (row.send_lag.mean if row.send_lag is not None else None) or 0.0
    request, run, queue = (mean(row, name, "seconds") for name in ("request", "run", "queue"))
    if request is None or run is None or request > service:
        return Shares(row.encode_seconds, lag, None, None, None, None, service)
    return Shares(
        row.encode_seconds,
        lag,
        service - request,
        max(0.0, request - run),
        queue,
        max(0.0, run - (queue or 0.0)),
        service,
    )


def breakdown(summary: Summary) -> Chart:
    """Where the time of a request goes, at the load point that the answer speaks of."""
    title = "Where the time goes"
    columns = (
        "server",
        "load",
        "n",
        "encode",
        "late",
        "network, waiting",
        "handler",
        "queue",
        "compute",
        "decode",
        "verdict",
    )
    point = _point(summary)
    missing = absent_rows(summary, len(columns))
    if point is None:
        said = spoken("Where the time of a request goes, by server.", summary, columns, missing)
        paper = sentence_only(title, summary, "No time went anywhere: nothing was measured.")
        return Chart("breakdown", title, said, paper, columns, missing)
    found = [(one, one.row(point.label)) for one in view.servers(summary)]
    rows = tuple(_texts(one, row) for one, row in found if row is not None and row.outcome is Outcome.OK) + missing
    said = spoken(f"Mean time of a request by part, at {point.title}.", summary, columns, rows)
    reading = (
        f"{point.title[0].upper()}{point.title[1:]}. Mean time of a correct request (linear, from 0), its parts in the "
        "order in which they happen. Hatched: unknown. Making the request happens before the trial and is in no "
        "latency; replies are read after the load, so that time was not taken. Hollow: INVALID."
    )
    bars = [_bar(one, point) for one in rows_of(summary)]
    used = [
        part
        for part in PARTS
        if any(part in (p for length, p in bar.lengths if length) or bar.stub is part for bar in bars)
    ]
    sheet = Bars(
        title,
        reading,
        bars,
        used,
        "mean time of a request (linear, from 0)",
        tick_time,
        "mean",
        "n",
        footing(summary),
    ).drawn()
    return Chart("breakdown", title, said, sheet, columns, rows)


def _point(summary: Summary) -> LoadPoint | None:
    chosen = next((row.label for row in view.best_rows(summary)), None)

    def weight(point: LoadPoint) -> tuple[bool, int, float]:
        rows = [one.row(point.label) for one in view.servers(summary)]
        return (
            point.label == chosen,
            sum(row is not None and row.outcome is Outcome.OK for row in rows),
            -(point.arrival_rate or 0.0),
        )

    return max(view.load_points(summary), key=weight, default=None)


def _bar(one: ServerView, point: LoadPoint) -> Bar:
    row = one.row(point.label)
    if one.absent or row is None or row.outcome is not Outcome.OK:
        why = one.absent or (f"not measured at {point.title}" if row is None else view.absence(row.outcome, row.reason))
        return Bar(one, (), "", absent=why)
    shares = shares_of(row)
    if shares is None:
        return Bar(one, (), "", absent="no correct reply")
    total = sum(length for length, _ in shares.lengths())
    return Bar(
        one, shares.lengths(), units.duration_text(total), units.count_text(row.n), DECODE,
        hollow=row.verdict is Verdict.INVALID,
    )  # fmt: skip


def _texts(one: ServerView, row: Row) -> tuple[str, ...]:
    shares = shares_of(row)
    if shares is None:
        return (one.name, row.label, units.count_text(row.n), *["-"] * 7, verdict_word(row))
    known = shares.compute is not None
    inner = (shares.wire, shares.handler, shares.queue, shares.compute)
    texts = ["unknown" if value is None else units.duration_text(value) for value in inner]
    if not known:
        texts[0] = f"unknown: {units.duration_text(shares.service)} with handler, queue and compute"
    encode = "unknown" if shares.encode is None else units.duration_text(shares.encode)
    return (
        one.name, row.label, units.count_text(row.n), encode, units.duration_text(shares.lag), *texts, "unknown",
        verdict_word(row),
    )  # fmt: skip
