"""The tables that come from a model: the same on every machine, and why the method is what it is."""

from __future__ import annotations

import math

import numpy as np

from bench.compare import statistics as st
from tests import simulated as sim
from tests.benchmarks.page import Table, percent

Floats = st.Floats
_MET = ("p50", "p95", "p99")


def simulated_alarms() -> Table:
    """False alarms of each way of comparing on sessions of one server against itself, from a model."""
    source = sim.bank(np.random.default_rng(1))
    rows = []
    for rig in (sim.QUIET, sim.TYPICAL, sim.NOISY):
        rng = np.random.default_rng(2)
        drawn = sim.sessions(rng, rig, 4000, 10, source)
        shares = []
        for metric in _MET:
            one, two = sim.in_pairs(rng, drawn.logs(source, metric))
            shares.append(percent(_excludes_zero(two - one)))
        blocks = sim.welch_alarms(*sim.in_blocks(drawn.logs(source, "p50")))
        pooled = sim.pooled_alarms(drawn, source, 100)
        once = sim.one_run_alarms(*sim.in_pairs(rng, drawn.logs(source, "p99")))
        rows.append([rig.name, *shares, percent(blocks), percent(pooled), percent(once)])
    columns = (
        "machine",
        "paired p50",
        "paired p95",
        "paired p99",
        "blocks p50",
        "requests pooled",
        "one run each, p99",
    )
    notes = (
        "Share of sessions without any difference that are called different. 4,000 sessions of 10 pairs (100 where "
        "requests are pooled), seeded; `tests/unit/test_compare_method.py` holds the first three columns to 4-6 %.",
        "Paired: the t interval of interleaved pairs excludes zero. Blocks: all of one side, then all of the other, "
        "Welch's t. Pooled: a rank test of all requests. One run each: p99 more than 10 % slower.",
    )
    return Table("Simulated: false alarms of one cell", columns, rows, notes)


def _excludes_zero(ratios: Floats) -> float:
    _, low, high = st.t_bounds(ratios)
    return float(((low > 0) | (high < 0)).mean())


def simulated_families() -> Table:
    """Sessions without any difference that fail, with and without the confirm stage."""
    rows = []
    for servers, metrics in ((1, 3), (4, 3), (4, 5), (10, 6)):
        rng = np.random.default_rng(3)
        screen, fresh = (sim.correlated_cells(rng, 4000, servers, metrics, 10) for _ in range(2))
        rows.append([f"{servers * metrics} ({servers} x {metrics})", *map(percent, _family(screen, fresh))])
        for cells in (screen, fresh):
            cells[:, 0] += 1.2
        rows[-1].append(percent(_family(screen, fresh)[1]))
    columns = ("cells (servers x metrics)", "any cell flagged", "fails after confirmation", "sees 1.2 sd")
    note = "4,000 sessions of 10 pairs; cells of one server correlated 0.6; Holm, one-sided 2.5 %, over flagged cells."
    return Table("Simulated: a whole session", columns, rows, (note,))


def _family(screen: Floats, fresh: Floats) -> tuple[float, float]:
    """Share of sessions with a flagged cell, and with one that fresh pairs confirm."""
    _, low, _ = st.t_bounds(screen)
    flags = low > 0
    mean = fresh.mean(axis=-1)
    error = fresh.std(axis=-1, ddof=1) / math.sqrt(fresh.shape[-1])
    failed = 0
    for session in np.flatnonzero(flags.any(axis=1)):
        places = np.flatnonzero(flags[session])
        p = [_p_above(float(mean[session, place] / error[session, place]), fresh.shape[-1]) for place in places]
        failed += any(st.holm(p))
    return float(flags.any(axis=1).mean()), failed / len(flags)


def _p_above(t: float, n: int) -> float:
    from scipy import special

    return float(special.stdtr(n - 1, -t))
