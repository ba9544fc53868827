from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

from bench.measures.capacity import Look, Result, capacity_text
from bench.profiles import Capacity, has_schedule
from bench.report import view
from bench.report.charts.curves import latency_against_throughput
from bench.report.markdown import report_markdown
from bench.report.text import summary_text
from bench.results import Outcome, TrialRecord, load_run
from bench.running.search import CapacitySearch, Probe, served_rate
from bench.samples import TIMED_OUT, read_samples, write_samples
from bench.scenario.plan import Trial
from bench.summary import Row, Summary, Verdict, summarise
from tests.recorded import TFSERVING, Point, write_run

NEEDED = 130


def trial(**keys: float) -> Trial:
    point = Capacity(duration=10.0, **keys)  # type: ignore[arg-type]
    return Trial(7, "a", 1, point, warmup=2.0, timeout=5.0, seed=1, warmup_most=6.0)


def search(throughput: float | None = 100.0, *, seed: int = 1, **keys: float) -> CapacitySearch:
    return CapacitySearch(trial(**keys), seed=seed, needed=NEEDED, throughput=throughput)


def driven(made: Trial, ok: int = 100) -> TrialRecord:
    number = int(made.look.partition("-")[0])
    users = made.point.users if isinstance(made.point, Probe) else None
    assert not isinstance(users, tuple)
    return TrialRecord(
        made.id, made.number, made.server, "echo", 1, "capacity", "capacity", Outcome.OK,
        users=users, look=number, window=(0.0, 5.0), counts={"ok": ok},
    )  # fmt: skip


def times(made: Trial, warmup: float) -> list[float]:
    assert has_schedule(made.point)
    return list(made.point.send_times(warmup, Random(made.seed)))


def following(made: CapacitySearch) -> Trial:
    found = made.next_trial()
    assert found is not None
    return found


def test_a_search_begins_below_the_throughput_of_the_closed_loop() -> None:
    first = following(search(100.0))
    assert first.id == "007-a-capacity-01-70"
    assert first.point.label == "capacity"


def test_without_a_closed_loop_a_probe_says_where_to_begin() -> None:
    made = search(None)
    probe = following(made)
    assert isinstance(probe.point, Probe)
    assert made.saw(driven(probe, ok=250), lambda _: pytest.fail("a probe is no look")) is None
    assert following(made).id == "007-a-capacity-01-35"


def test_a_range_needs_no_probe() -> None:
    assert following(search(None, from_rate=20.0, to_rate=80.0)).id == "007-a-capacity-01-40"


def test_every_server_gets_the_same_draws_at_its_nth_look() -> None:
    one, other = following(search(100.0)), following(search(50.0))
    stretched = [at * 0.5 for at in times(other, 2.0)[:100]]
    assert times(one, 2.0)[:100] == pytest.approx(stretched)


def test_repeated_looks_have_draws_of_their_own() -> None:
    made = search(100.0)
    first = following(made)
    made.saw(driven(first), lambda _: Look(70.0, Result.UNTOLD))
    assert following(made).seed != first.seed


@pytest.mark.parametrize("throughput", [7.0, 12.0, 40.0, 500.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_look_lasts_until_the_percentile_has_enough_requests(throughput: float, seed: int) -> None:
    first = following(search(throughput, seed=seed))
    for warmup in (first.warmup, first.warmup_most):
        assert sum(at >= warmup for at in times(first, warmup)) >= NEEDED
    assert 10.0 <= first.point.duration <= 60.0


def test_a_rate_that_would_take_too_long_is_not_looked_at() -> None:
    first = following(search(0.5))
    assert float(first.look.partition("-")[2]) * 60 >= NEEDED


def test_only_the_first_look_may_warm_up_for_longer() -> None:
    made = search(100.0)
    first = following(made)
    made.saw(driven(first), lambda _: Look(70.0, Result.MET))
    assert (first.warmup_most, following(made).warmup_most) == (6.0, 2.0)


def test_the_throughput_of_a_trial_that_failed_is_not_known() -> None:
    record = driven(following(search(None)))
    assert served_rate(record) == 20.0
    assert served_rate(replace(record, outcome=Outcome.FAILED)) is None


# --- looks on disk ---


def looks_run(folder: Path, *rates: float, **how: float) -> Path:
    """A run of one server whose open-loop points are made the looks of a search."""
    points = tuple(Point(arrival_rate=rate, duration=40.0) for rate in rates)
    slo = {"percentile": 95.0, "response_time": how.get("limit", 0.5), "error_rate": 0.01}
    path = write_run(folder, servers=(TFSERVING,), points=points, capacity=False, slo=slo)
    for number, record in enumerate(sorted(path.glob("trials/*/trial.json")), start=1):
        text = record.read_text().replace('"profile": "poisson"', '"profile": "capacity"')
        text = text.replace(f'"label": "poisson-{rates[number - 1]:g}"', '"label": "capacity"')
        record.write_text(text.replace('"look": 0', f'"look": {number}'))
    return path


def judged(folder: Path) -> tuple[Summary, list[Look]]:
    summary = summarise([load_run(folder)])
    return summary, [row.look for row in summary.looks if row.look is not None]


def capacity_row(summary: Summary) -> Row:
    (row,) = (row for row in summary.rows if row.label == "capacity")
    return row


def test_the_looks_of_a_run_give_one_row_and_a_capacity(tmp_path: Path) -> None:
    summary, looks = judged(looks_run(tmp_path, 4.0, 6.0, 20.0))
    assert [look.result for look in looks] == [Result.MET, Result.MET, Result.MISSED]
    row = capacity_row(summary)
    assert row.arrival_rate == 6.0
    assert row.slo_met
    capacity = summary.servers[0].capacity
    assert capacity is not None
    assert capacity == row.capacity
    assert capacity.low is not None
    assert capacity.high is not None
    assert capacity.low <= 6.0
    assert capacity.high >= 20.0


def test_every_report_shows_the_capacity_and_the_looks_it_stands_on(tmp_path: Path) -> None:
    summary, _ = judged(looks_run(tmp_path, 4.0, 6.0, 20.0))
    said = capacity_text(summary.servers[0].capacity)
    assert f"tfserving {said}" in " ".join(summary_text(summary, 200).split())
    assert f"tfserving {said}" in report_markdown(summary, ())
    assert [chosen.label for chosen in view.best_rows(summary)] == ["capacity"]
    chart = latency_against_throughput(summary)
    assert [row[2] for row in chart.rows] == [
        "capacity, met at 4.00/s", "capacity, met at 6.00/s", "capacity, missed at 20.0/s",
    ]  # fmt: skip
    assert "capacity" in summary.answer


def test_the_cost_at_capacity_has_the_interval_of_the_capacity(tmp_path: Path) -> None:
    summary, _ = judged(looks_run(tmp_path, 4.0, 6.0, 20.0))
    row = capacity_row(summary)
    assert row.capacity is not None
    assert row.capacity.low is not None
    assert row.capacity.high is not None
    assert row.cost_per_million is not None
    assert row.cost_per_million.value is not None
    assert row.cost_per_million.low is not None
    at_high = row.cost_per_million.value * row.capacity.low / row.capacity.high
    assert row.cost_per_million.low == pytest.approx(at_high)
    assert "its capacity at the SLO" in row.cost_per_million.basis


@pytest.mark.parametrize(("condition", "held"), [("capacity < 5", False), ("capacity < 50", True)])
def test_a_condition_on_the_capacity_is_evaluated_at_the_search_alone(
    tmp_path: Path, condition: str, held: bool
) -> None:
    run = load_run(looks_run(tmp_path, 4.0, 6.0, 20.0))
    gated = replace(run, manifest=replace(run.manifest, fail_if=(f"tfserving.{condition}",)))
    summary = summarise([gated])
    assert bool(summary.failed_checks) is held
    assert not any("fail_if" in warning for warning in summary.warnings)


def test_a_condition_on_a_capacity_below_what_was_looked_at_fails_and_says_so(tmp_path: Path) -> None:
    run = load_run(looks_run(tmp_path, 4.0, 6.0, limit=0.01))
    gated = replace(run, manifest=replace(run.manifest, fail_if=("tfserving.capacity < 3",)))
    (said,) = summarise([gated]).failed_checks
    assert "the capacity is below 4.00/s" in said


def test_no_look_met_is_a_capacity_below_and_no_choice(tmp_path: Path) -> None:
    summary, _ = judged(looks_run(tmp_path, 4.0, 6.0, limit=0.01))
    assert summary.servers[0].capacity is not None
    assert (summary.servers[0].capacity.value, summary.servers[0].capacity.high) == (None, 4.0)
    assert capacity_row(summary).slo_met is False
    assert "No server met" in summary.answer


def test_a_look_with_too_few_requests_cannot_be_told(tmp_path: Path) -> None:
    _, looks = judged(looks_run(tmp_path, 2.0, 6.0))
    assert looks[0].result is Result.UNTOLD
    assert "needs 130 requests" in looks[0].reason
    assert looks[1].result is Result.MET


def changed(folder: Path, share: float, error: str) -> None:
    """A share of the second look's requests gets this error instead of a reply."""
    path = sorted(folder.glob("trials/*/samples.parquet"))[1]
    samples = read_samples(path)
    failed = np.arange(len(samples)) % round(1 / share) == 0
    errors = (*samples.errors, error)
    write_samples(
        path,
        replace(
            samples,
            ok=samples.ok & ~failed,
            errors=errors,
            error=np.where(failed, len(errors) - 1, samples.error),
            done_at=np.where(failed, np.nan, samples.done_at),
        ),
    )


@pytest.mark.parametrize("share", [0.02, 0.2])
def test_a_look_with_failures_is_missed_however_fast_the_rest_was(tmp_path: Path, share: float) -> None:
    folder = looks_run(tmp_path, 4.0, 6.0)
    changed(folder, share, TIMED_OUT)
    _, looks = judged(folder)
    assert [look.result for look in looks] == [Result.MET, Result.MISSED]
    assert looks[1].reason
    assert looks[1].ratio is None


def test_a_growing_queue_is_missed_though_the_percentile_holds(tmp_path: Path) -> None:
    _, looks = judged(looks_run(tmp_path, 4.0, 18.0, limit=9.0))
    assert looks[1].result is Result.MISSED
    assert "unanswered" in looks[1].reason or "third" in looks[1].reason


def test_a_server_that_died_of_the_load_missed_it(tmp_path: Path) -> None:
    folder = looks_run(tmp_path, 4.0, 6.0, 8.0)
    for record, died in zip(sorted(folder.glob("trials/*/trial.json"))[1:], (True, False), strict=True):
        text = record.read_text().replace('"outcome": "ok"', '"outcome": "failed"')
        text = text.replace('"reason": ""', '"reason": "it is gone"')
        record.write_text(text.replace('"server_died": false', f'"server_died": {str(died).lower()}'))
    summary, looks = judged(folder)
    assert [look.result for look in looks] == [Result.MET, Result.MISSED, Result.UNTOLD]
    assert capacity_row(summary).reason == "it is gone"


def test_looks_that_lost_rows_say_nothing_of_the_server(tmp_path: Path) -> None:
    folder = looks_run(tmp_path, 4.0, 6.0)
    path = sorted(folder.glob("trials/*/samples.parquet"))[1]
    samples = read_samples(path)
    write_samples(path, samples.where(np.arange(len(samples)) > 3))
    summary, looks = judged(folder)
    assert looks[1].result is Result.UNTOLD
    assert summary.looks[1].verdict is Verdict.INVALID
