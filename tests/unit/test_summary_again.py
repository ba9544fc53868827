"""Judging a summary by another limit or price gives what its rows would have given."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from bench.measures import metrics
from bench.measures.stats import nearest_rank
from bench.results import Run
from bench.samples import read_samples
from bench.summary import Summary, summarise, summary_json
from bench.summary.again import judged_again
from bench.summary.spread import POINTS, ROUND_LIMITS, limits_for, ranked
from tests.judged import asked_again, searched_run

CHEAP = {"gunicorn": 0.05}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return searched_run(tmp_path_factory.mktemp("searched"))


@pytest.fixture(scope="module")
def summary(run: Run) -> Summary:
    return summarise([run])


def _figures(summary: Summary) -> list[tuple[object, ...]]:
    def money(row: object) -> object:
        cost = getattr(row, "cost_per_million", None)
        return None if cost is None else tuple(map(digits, (cost.value, cost.low, cost.high)))

    def digits(value: float | None) -> str:
        return "-" if value is None else f"{value:.12g}"  # a sum of shares is not the share of the sum to the last bit

    rows = [*summary.rows, *summary.looks]
    return [
        (r.server, r.label, r.arrival_rate, r.slo_met, digits(r.goodput), money(r), r.capacity, r.look) for r in rows
    ]


@pytest.mark.parametrize("limit", [0.15, 0.2, 0.3, 0.5, 1.0, 3.0, 800.0])
def test_another_limit_judges_as_the_rows_themselves_would(run: Run, summary: Summary, limit: float) -> None:
    prices = {("gunicorn", run.manifest.run_id): CHEAP["gunicorn"]}
    assert _figures(judged_again(summary, limit, prices)) == _figures(asked_again(run, limit, CHEAP))


def test_nothing_asked_changes_nothing(summary: Summary) -> None:
    assert _figures(judged_again(summary)) == _figures(summary)


def test_a_limit_without_counts_is_refused_rather_than_guessed(summary: Summary) -> None:
    with pytest.raises(ValueError, match="cannot be judged"):
        judged_again(summary, 0.123)


def test_the_scenarios_own_limit_is_among_those_that_can_be_asked() -> None:
    assert 0.123 in limits_for(0.123)
    assert limits_for(None) == ROUND_LIMITS
    assert list(limits_for(0.25)) == sorted(set(limits_for(0.25)))


@lru_cache
def _values() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.sort(np.random.default_rng(3).lognormal(size=5000))


@pytest.mark.parametrize("n", [0, 1, 2, 7, 199, 5000])
def test_what_is_kept_of_many_values_is_exact_and_ends_with_the_largest(n: int) -> None:
    values = _values()[:n]
    kept = ranked(values, POINTS)
    assert len(kept.ranks) <= POINTS
    assert list(kept.times) == [values[rank - 1] for rank in kept.ranks]
    assert list(kept.ranks) == sorted(set(kept.ranks))
    assert not n or (kept.ranks[0], kept.ranks[-1]) == (1, n)


def test_a_spread_holds_the_percentile_that_the_slo_judges(run: Run, summary: Summary) -> None:
    row = next(row for row in summary.rows if row.spread and row.failed and len(row.trial_ids) == 1)
    assert row.spread is not None
    samples = read_samples(run.folder / "trials" / row.trial_ids[0] / "samples.parquet")
    judged = np.sort(metrics.judged_times(samples))
    assert row.spread.judged == judged[nearest_rank(0.95, len(judged))]
    assert row.spread.good < row.spread.n


def test_the_json_of_a_summary_has_no_spreads(summary: Summary) -> None:
    bare = [replace(row, spread=None) for row in summary.rows]
    assert '"spread"' not in summary_json(summary)
    assert summary_json(summary) == summary_json(replace(summary, rows=tuple(bare)))
