"""How one trial went, second by second: latency, load, errors, and what the server used. Computed from rows once.

Values for a chart, thinned to what can be seen; knows nothing of drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bench.measures.stats import percentiles
from bench.results import TrialRecord
from bench.samples import Floats, Samples, Telemetry

STEPS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
USUAL_STEP = 1.0
MOST = 160
"""More stretches than this cannot be told apart in a chart."""
FEWEST = 12
"""Fewer than this show no course of things, so a short trial gets shorter ones."""
P50_AT_LEAST, P95_AT_LEAST = 3, 20
"""Good replies a stretch needs for each: the p95 of fewer than 20 is only the slowest of them."""
DOTS = 400
"""Up to so many good replies are shown one by one."""

Series = tuple[float | None, ...]
"""One value per stretch; None where there is nothing to say."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """One trial in stretches of `step` seconds; `at` are their beginnings, seconds since the trial began.

    Latency is response_time of good replies, in the stretch in which they were due; `offered` are the requests
    due, `achieved` the good replies that came and `errors` the requests due that got none, per second. `cores` are
    those that the server's processes kept busy, `memory_bytes` their PSS, or RSS where there is none, as
    `memory_basis` says. `steady_from` is where the warm-up was over by what was seen.
    """

    server: str
    run_id: str
    label: str
    trial_id: str
    window: tuple[float, float]
    step: float
    steady_from: float
    at: tuple[float, ...]
    p50: Series
    p95: Series
    dots: tuple[tuple[float, float], ...]
    offered: Series
    achieved: Series
    errors: Series
    cores: Series
    memory_bytes: Series
    memory_basis: str = "RSS"
    marks: tuple[tuple[float, str], ...] = ()
    """Moments that something happened at on purpose, with what it was."""


def timeline(
    trial: TrialRecord,
    samples: Samples,
    telemetry: Telemetry | None,
    window: tuple[float, float],
    steady_from: float,
    run_id: str = "",
) -> Timeline:
    """The course of one trial from its beginning to the end of its window."""
    end = max(window[1], 1e-9)
    step = _step(end)
    # Less than half a stretch at the end belongs to the one before it: a rate over microseconds would be absurd.
    edges = np.append(np.arange(0.0, max(end - 0.5 * step, 0.5 * end), step), end)
    bounds = np.searchsorted(samples.intended_at, edges)
    response, ok = samples.response_time, samples.ok
    tails = [_latency(response[a:b][ok[a:b]]) for a, b in pairwise(bounds.tolist())]
    shown = np.flatnonzero(ok) if np.count_nonzero(ok) <= DOTS else np.zeros(0, dtype=np.int64)
    lengths = np.diff(edges)
    due = np.diff(bounds)
    failed = np.diff(np.append(0, np.cumsum(~ok, dtype=np.int32))[bounds])
    arrived = np.histogram(samples.done_at[ok], edges)[0]
    cores, memory, basis = _used(telemetry, edges)
    return Timeline(
        server=trial.server,
        run_id=run_id,
        label=trial.label,
        trial_id=trial.id,
        window=window,
        step=step,
        steady_from=steady_from,
        at=tuple(edges[:-1].tolist()),
        p50=tuple(p50 for p50, _ in tails),
        p95=tuple(p95 for _, p95 in tails),
        dots=tuple(zip(samples.intended_at[shown].tolist(), response[shown].tolist(), strict=True)),
        offered=tuple((due / lengths).tolist()),
        achieved=tuple((arrived / lengths).tolist()),
        errors=tuple((failed / lengths).tolist()),
        cores=cores,
        memory_bytes=memory,
        memory_basis=basis,
    )


def _step(end: float) -> float:
    usual = next((step for step in STEPS if step >= USUAL_STEP and end / step <= MOST), STEPS[-1])
    return usual if end / usual >= FEWEST else max((s for s in STEPS if end / s >= FEWEST), default=STEPS[0])


def _latency(times: Floats) -> tuple[float | None, float | None]:
    if len(times) < P50_AT_LEAST:
        return None, None
    p50, p95 = percentiles(times, (0.5, 0.95))
    return p50, p95 if len(times) >= P95_AT_LEAST else None


def _used(telemetry: Telemetry | None, edges: Floats) -> tuple[Series, Series, str]:
    """Cores busy and memory in each stretch, where the server was watched during it; and whether that is PSS or RSS."""
    nothing: Series = (None,) * (len(edges) - 1)
    if telemetry is None:
        return nothing, nothing, ""
    known = ~np.isnan(telemetry.cpu_seconds) & ~np.isnan(telemetry.rss_bytes)
    at, spent = telemetry.at[known], telemetry.cpu_seconds[known]
    if len(at) < 2:
        return nothing, nothing, ""
    shared = ~np.isnan(telemetry.pss_bytes)
    # PSS is looked at less often, so between two looks it is drawn as a straight line.
    held, basis = (telemetry.pss_bytes[shared], "PSS") if np.any(shared) else (telemetry.rss_bytes[known], "RSS")
    held_at = telemetry.at[shared] if np.any(shared) else at
    spans = list(zip(np.maximum(edges[:-1], at[0]), np.minimum(edges[1:], at[-1]), strict=True))
    seen = [stop - start > 0.5 * min(edges[1] - edges[0], at[-1]) for start, stop in spans]
    cores = [
        max(0.0, float(np.interp(stop, at, spent) - np.interp(start, at, spent)) / (stop - start)) if sure else None
        for (start, stop), sure in zip(spans, seen, strict=True)
    ]
    memory = [
        float(np.interp((start + stop) / 2, held_at, held)) if sure else None
        for (start, stop), sure in zip(spans, seen, strict=True)
    ]
    return tuple(cores), tuple(memory), basis


def first_of_each(timelines: Sequence[Timeline], label: str) -> tuple[Timeline, ...]:
    """The first trial of every server at one load point."""
    found: dict[tuple[str, str], Timeline] = {}
    for each in timelines:
        if each.label == label:
            found.setdefault((each.run_id, each.server), each)
    return tuple(found.values())
