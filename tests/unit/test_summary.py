"""From stored rows to rows, servers, the answer and the gates of a report."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.errors import NothingMeasuredError, ResultsError
from bench.results import Outcome, Run, RunFolder, load_run
from bench.samples import read_samples, write_samples
from bench.summary import Row, Summary, Verdict, summarise, summary_csv, summary_json, write_summary
from bench.summary.fail_if import parse_fail_if
from bench.summary.places import from_folder
from tests.recorded import (
    CRASHED,
    FLASK,
    GUNICORN,
    NO_GPU,
    SLO,
    STARTED,
    TFSERVING,
    TRITON,
    Point,
    recorded_run,
    write_run,
)

OPEN = (Point(arrival_rate=4, duration=40.0), Point(arrival_rate=8, duration=40.0))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return recorded_run(tmp_path_factory.mktemp("recorded"))


@pytest.fixture(scope="module")
def summary(run: Run) -> Summary:
    return summarise([run])


def row(summary: Summary, server: str, label: str) -> Row:
    return next(row for row in summary.rows if (row.server, row.label) == (server, label))


def small(folder: Path, **how: Any) -> Summary:
    options: dict[str, Any] = {"points": OPEN, "capacity": False} | how
    return summarise([recorded_run(folder, **options)])


def test_the_counts_of_a_row_add_up_to_the_requests_scheduled_in_the_window(summary: Summary) -> None:
    for each in summary.rows:
        assert each.n == each.ok + each.failed + each.timed_out + each.unsent
    crowded = row(summary, "flask", "poisson-8")
    assert crowded.timed_out > 0
    assert crowded.unsent > 0
    assert crowded.slo_met is False


def test_the_figures_of_a_row_can_be_recomputed_from_its_rows(run: Run, summary: Summary) -> None:
    each = row(summary, "tfserving", "poisson-8")
    samples = read_samples(run.folder / "trials" / each.trial_ids[0] / "samples.parquet")
    times = np.sort(samples.response_time[samples.measured & samples.ok])
    assert each.response_time is not None
    assert each.response_time.p95 == times[math.ceil(0.95 * len(times)) - 1]
    assert each.response_time.max == times[-1]
    assert each.goodput is not None
    assert each.cost_per_million is not None
    assert each.cost_per_million.value == pytest.approx(1e6 * 0.408 / (3600 * each.goodput))
    assert "at the goodput of this load point" in each.cost_per_million.basis


def test_a_percentile_with_too_few_requests_is_missing_and_says_how_many_it_needs(summary: Summary) -> None:
    times = row(summary, "flask", "closed-1").response_time
    assert times is not None
    assert times.p90 is not None
    assert times.p95 is None
    assert times.needs == {"p95": 130, "p99": 662, "p999": 6636}


def test_a_saturated_closed_loop_is_priced_as_a_saturation_figure(summary: Summary) -> None:
    cost = row(summary, "tfserving", "closed-8").cost_per_million
    assert cost is not None
    assert cost.basis.startswith("saturation figure: ")


def test_what_was_not_measured_is_a_row_with_its_reason_and_without_figures(summary: Summary) -> None:
    skipped, failed = row(summary, "tfserving-gpu", ""), row(summary, "flask-reload", "closed-1")
    assert (skipped.outcome, skipped.reason) == (Outcome.SKIPPED, "this machine has no GPU")
    assert (failed.outcome, failed.reason) == (Outcome.FAILED, "server exited with code 1 before it was ready")
    assert row(summary, "flask", "capacity").outcome is Outcome.SKIPPED
    for each in (skipped, failed):
        assert (each.throughput, each.response_time, each.verdict) == (None, None, None)
    outcomes = {server.server: server.outcome for server in summary.servers}
    assert outcomes["tfserving-gpu"] is Outcome.SKIPPED
    assert outcomes["flask-reload"] is Outcome.FAILED
    assert outcomes["flask"] is Outcome.OK


def test_cpu_per_request_and_memory_come_from_what_was_seen_of_the_processes(summary: Summary) -> None:
    each = row(summary, "tfserving", "poisson-8")
    assert each.cpu_seconds_per_request == pytest.approx(1.6 * 0.12, rel=0.05)
    assert each.rss_peak_bytes == pytest.approx(1.3e9, rel=0.01)


def test_connections_per_request_show_a_server_that_closes_each(summary: Summary) -> None:
    assert row(summary, "flask", "closed-1").connections_per_request == 1.0
    kept = row(summary, "tfserving", "closed-1").connections_per_request
    assert kept is not None
    assert kept < 0.1


def test_the_agreement_of_a_server_is_the_share_of_checked_answers_that_are_right(summary: Summary) -> None:
    agreement = {server.server: server.agreement for server in summary.servers}
    assert agreement["tfserving"] == 1.0
    assert agreement["triton"] == pytest.approx(0.6, abs=0.05)
    assert agreement["tfserving-gpu"] is None


def test_published_figures_stand_beside_the_p50_of_one_request_at_a_time(summary: Summary) -> None:
    flask, _, gpu = summary.references
    assert flask.measured == pytest.approx(0.19, rel=0.05)
    assert flask.ratio == pytest.approx(0.095, rel=0.05)
    assert "p50 of service time at closed-1" in flask.note
    assert (gpu.measured, gpu.note) == (None, "not measured: this machine has no GPU")


def test_repetitions_of_a_load_point_are_pooled_and_counted(tmp_path: Path) -> None:
    pooled = small(tmp_path, servers=(TFSERVING,), repetitions=3)
    each = row(pooled, "tfserving", "poisson-4")
    assert each.trials == len(each.trial_ids) == 3
    assert each.seconds == 120
    assert each.throughput == pytest.approx(4, rel=0.1)
    assert each.verdict is Verdict.VALID


def test_a_trial_whose_rows_are_damaged_costs_that_trial_and_leaves_a_warning(tmp_path: Path) -> None:
    folder = write_run(tmp_path, servers=(TFSERVING,), points=OPEN, capacity=False)
    (folder / "trials/001-tfserving-poisson-4/samples.parquet").write_bytes(b"PAR1")
    (folder / "trials/002-tfserving-poisson-8/samples.parquet").unlink()
    damaged = summarise([load_run(folder)])
    assert [each.outcome for each in damaged.rows] == [Outcome.FAILED, Outcome.FAILED]
    assert any("001-tfserving-poisson-4/samples.parquet: cannot be read" in text for text in damaged.warnings)
    assert any("002-tfserving-poisson-8: has no rows" in text for text in damaged.warnings)
    assert damaged.answer == "Nothing was measured, so there is nothing to choose."


def test_a_killed_run_is_incomplete_and_keeps_what_it_has(tmp_path: Path) -> None:
    killed = small(tmp_path, servers=(TFSERVING,), finished=False)
    assert not killed.complete
    assert row(killed, "tfserving", "poisson-8").ok > 0


def test_several_runs_keep_servers_of_one_name_apart_by_their_run(tmp_path: Path) -> None:
    runs = [
        recorded_run(tmp_path, servers=(TFSERVING,), points=OPEN, capacity=False, started=STARTED + timedelta(days=day))
        for day in (0, 1)
    ]
    merged = summarise(runs)
    assert merged.run_ids == ("20261123T034500Z", "20261124T034500Z")
    assert [(each.server, each.run_id) for each in merged.servers] == [("tfserving", run) for run in merged.run_ids]
    assert len({(each.run_id, each.label) for each in merged.rows}) == 4


def test_runs_with_different_slos_are_judged_by_the_first_and_say_so(tmp_path: Path) -> None:
    how: dict[str, Any] = {"servers": (TFSERVING,), "points": OPEN, "capacity": False}
    strict = recorded_run(tmp_path / "a", slo=SLO | {"response_time": 0.01}, **how)
    merged = summarise([recorded_run(tmp_path / "b", **how), strict])
    assert [each.slo_met for each in merged.rows] == [True] * 4
    assert any("has another SLO" in text for text in merged.warnings)


def test_runs_that_sent_other_photos_under_the_same_name_say_so(tmp_path: Path) -> None:
    how: dict[str, Any] = {"servers": (TFSERVING,), "points": OPEN, "capacity": False}
    one, two = (recorded_run(tmp_path / name, **how) for name in "ab")
    runs = [
        replace(run, manifest=replace(run.manifest, payload_digest=sent))
        for run, sent in ((one, "cafe"), (one, "cafe"), (two, "f00d"), (two, ""))
    ]
    said = "sent another payload"
    assert not any(said in text for text in summarise(runs[:2]).warnings)
    assert any(said in text for text in summarise([runs[0], runs[2]]).warnings)
    assert not any(said in text for text in summarise([runs[0], runs[3]]).warnings)


def test_runs_that_served_another_model_under_the_same_name_say_so(tmp_path: Path) -> None:
    how: dict[str, Any] = {"servers": (TFSERVING,), "points": OPEN, "capacity": False}
    one, two = (recorded_run(tmp_path / name, **how) for name in "ab")

    def of(run: Run, digest: str) -> Run:
        servers = tuple(replace(server, model_digest=digest) for server in run.manifest.servers)
        return replace(run, manifest=replace(run.manifest, servers=servers))

    said = "served another model"
    assert any(said in text for text in summarise([of(one, "cafe"), of(two, "f00d")]).warnings)
    assert not any(said in text for text in summarise([of(one, "cafe"), of(two, "cafe")]).warnings)
    assert not any(said in text for text in summarise([of(one, "cafe"), of(two, "")]).warnings)


def test_nothing_to_summarise_is_an_error() -> None:
    with pytest.raises(NothingMeasuredError):
        summarise([])


# --- the answer ---


def test_the_cheapest_server_within_the_slo_is_chosen_with_its_figures(summary: Summary) -> None:
    assert summary.answer.startswith("Choose tfserving, the cheapest of those that meet a p95 of 1 s: at 8 requests/s")
    assert "with a p95 of 216 ms (202 ms to 248 ms), for $14.0 per million requests" in summary.answer


def test_the_naive_server_is_compared_where_it_meets_the_slo(tmp_path: Path) -> None:
    slow = (Point(arrival_rate=3, duration=60.0),)
    assert (
        "flask costs $"
        in small(tmp_path, servers=(replace(FLASK, price=GUNICORN.price), TFSERVING), points=slow).answer
    )


def test_a_server_with_wrong_answers_is_never_chosen(tmp_path: Path) -> None:
    fast_and_wrong = replace(TRITON, service=0.01, price={"per_hour": 0.001, "basis": "a bargain"})
    assert small(tmp_path, servers=(fast_and_wrong, TFSERVING)).answer.startswith("Choose tfserving")
    only = small(tmp_path / "only", servers=(fast_and_wrong,)).answer
    assert only.startswith("No measurement is valid, so none is ranked: triton,")
    assert "disagree with the reference" in only


def test_without_prices_the_highest_goodput_is_chosen_and_cost_is_not_spoken_of(tmp_path: Path) -> None:
    free = [replace(server, price=None, fails=0.0) for server in (GUNICORN, TFSERVING)]
    answer = small(tmp_path, servers=free).answer
    assert answer.startswith("Choose tfserving, the highest goodput of those that meet")
    assert "No server has a price" in answer
    assert "$" not in answer


def test_servers_without_a_price_are_named_beside_those_with_one(tmp_path: Path) -> None:
    answer = small(tmp_path, servers=(TFSERVING, replace(TFSERVING, name="other", price=None))).answer
    assert "Without a price, so not ranked: other." in answer


def test_thin_evidence_names_no_winner(tmp_path: Path) -> None:
    answer = small(tmp_path, servers=(TFSERVING,), points=(Point(arrival_rate=2, duration=40.0),)).answer
    assert answer.startswith("The evidence is too thin to choose: p95 needs 130 requests")


def test_if_no_server_meets_the_slo_the_nearest_is_named(tmp_path: Path) -> None:
    answer = small(tmp_path, servers=(TFSERVING,), slo=SLO | {"response_time": 0.05}).answer
    assert answer.startswith(
        "No server met a p95 of 50.0 ms at any load point that was measured; the nearest was tfserving"
    )


def test_a_run_in_which_nothing_ran_has_nothing_to_choose(tmp_path: Path) -> None:
    assert small(tmp_path, servers=(CRASHED, NO_GPU)).answer == "Nothing was measured, so there is nothing to choose."


def test_a_scenario_without_an_slo_has_nothing_to_choose_by(tmp_path: Path) -> None:
    without = small(tmp_path, servers=(TFSERVING,), slo={})
    assert "states no SLO" in without.answer
    assert without.rows[0].slo_met is None


# --- fail_if ---


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("tfserving.p95 > 200ms", "ms at poisson-8"),
        ("tfserving.p95 > 500ms", None),
        ("tfserving[poisson-4].p95 > 200ms", None),
        ('"tfserving"[poisson-8].p95 > 200ms', "ms at poisson-8"),
        ("tfserving.throughput < 5", "4.12/s at poisson-4"),
        ("tfserving.error_rate > 0.1%", None),
        ("tfserving.cost_per_million > $20", "$27.5 at poisson-4"),
        ("tfserving.service_time.p50 >= 1us", "ms at poisson-"),
        ("tfserving.rss_peak_bytes > 1GB", "1.30 GB at poisson-"),
        ("tfserving.p99 > 10s", "cannot be evaluated, nothing was measured: p99 needs 662 requests"),
        ("tfserving[poisson-5].p95 > 10s", "cannot be evaluated, no load point poisson-5"),
        ("tfserving-gpu.p95 > 10s", "cannot be evaluated, nothing was measured: this machine has no GPU"),
        ("triton.p95 > 10s", "cannot be evaluated, nothing was measured: poisson-4 is INVALID"),
        ("nobody.p95 > 10s", "cannot be evaluated, no such server"),
    ],
)
def test_an_expression_is_evaluated_at_its_worst_load_point_and_what_was_not_measured_fails(
    gated: Run, expression: str, reason: str | None
) -> None:
    judged = summarise([replace(gated, manifest=replace(gated.manifest, fail_if=(expression,)))])
    if reason is None:
        assert judged.failed_checks == ()
    else:
        assert len(judged.failed_checks) == 1
        assert judged.failed_checks[0].startswith(f"{expression}: ")
        assert reason in judged.failed_checks[0]


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Run:
    servers = (TFSERVING, TRITON, NO_GPU)
    return recorded_run(tmp_path_factory.mktemp("gated"), servers=servers, points=OPEN, capacity=False)


def test_a_load_point_without_the_figure_is_a_warning_beside_those_that_have_it(tmp_path: Path) -> None:
    points = (Point(arrival_rate=2, duration=40.0), *OPEN)
    judged = small(tmp_path, servers=(TFSERVING,), points=points, fail_if=("tfserving.p95 > 500ms",))
    assert judged.failed_checks == ()
    assert any("not evaluated at poisson-2" in text for text in judged.warnings)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "not an expression"),
        ("tfserving > 5ms", "not an expression"),
        ("tfserving.p95 = 5ms", "not an expression"),
        ("tfserving.p94 > 5ms", "did you mean 'p9"),
        ("tfserving.p95 > 5", "unit"),
        ("tfserving.error_rate > 0.1", "unit"),
        ("tfserving.cost_per_million > cheap", "cheap"),
    ],
)
def test_an_expression_that_makes_no_sense_says_why(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        parse_fail_if(text)


@pytest.mark.parametrize(
    ("text", "server", "label", "metric"),
    [
        ("tf.v2.p95 > 5ms", "tf.v2", "", "response_time.p95"),
        ("my server.send_lag.p99 > 5ms", "my server", "", "send_lag.p99"),
        ("'a > b'.p95 > 5ms", None, "", ""),
        ('"my server"[closed-8].goodput < 3/s', "my server", "closed-8", "goodput"),
        ("flask.startup > 1min", "flask", "", "startup_seconds"),
        ("flask.capacity < 5", "flask", "", "capacity"),
    ],
)
def test_names_with_dots_and_spaces_are_read(text: str, server: str | None, label: str, metric: str) -> None:
    if server is None:
        with pytest.raises(ValueError, match="not an expression"):
            parse_fail_if(text)
        return
    read = parse_fail_if(text)
    assert (read.server, read.label, read.metric) == (server, label, metric)


# --- text ---


def test_the_json_holds_the_contract_and_never_a_nan(summary: Summary) -> None:
    text = summary_json(summary)
    data = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} in JSON"))
    contract = (
        "server kind profile arrival_rate users n ok failed timed_out unsent throughput goodput response_time "
        "service_time send_lag cpu_seconds_per_request rss_peak_bytes startup_seconds cost_per_million verdict reasons"
    )
    for each in data["rows"]:
        assert set(contract.split()) <= set(each)
    measured = data["rows"][0]
    assert {"mean", "p50", "p90", "p95", "p99", "p999", "max", "needs"} <= set(measured["response_time"])
    assert {"value", "low", "high", "basis"} <= set(measured["cost_per_million"])
    for each in data["servers"]:
        assert {"outcome", "reason", "capacity", "agreement", "model_bytes"} <= set(each)
    assert len(data["rows"]) == len(summary.rows)


def test_the_words_of_a_server_only_show_in_the_csv_and_in_the_json(summary: Summary) -> None:
    said = "\x1b[31mred\x07 \u202eevil"
    hostile = replace(summary, rows=(replace(summary.rows[0], reason=said, errors={said: 3}), *summary.rows[1:]))
    for text in (summary_csv(hostile), summary_json(hostile)):
        assert all(character.isprintable() or character == "\n" for character in text)
    row = next(csv.DictReader(summary_csv(hostile).splitlines()))
    assert row["reason"] == r"\x1b[31mred\x07 \u202eevil"
    assert json.loads(summary_json(hostile))["rows"][0]["reason"] == said


def test_the_csv_has_one_line_per_row_and_empty_fields_for_what_does_not_exist(summary: Summary) -> None:
    lines = list(csv.DictReader(summary_csv(summary).splitlines()))
    assert len(lines) == len(summary.rows)
    first = lines[0]
    assert (first["server"], first["label"], first["response_time_p95"]) == ("flask", "closed-1", "")
    assert float(first["response_time_p50"]) == pytest.approx(0.19, rel=0.05)


def test_the_summary_is_written_beside_the_run(tmp_path: Path, summary: Summary) -> None:
    write_summary(tmp_path, summary)
    assert json.loads((tmp_path / "summary.json").read_text())["name"] == "efficientnet"
    assert (tmp_path / "summary.csv").read_text().startswith("server,kind,")
    with pytest.raises(ResultsError):
        write_summary(tmp_path / "nowhere", summary)


def test_reading_a_run_loads_nothing_heavy(run: Run) -> None:
    heavy = "{'pydantic', 'tensorflow', 'locust', 'gevent', 'pandas', 'scipy', 'sklearn', 'matplotlib', 'yaml'}"
    program = (
        "import sys; from pathlib import Path; from bench.results import load_run; from bench.summary import summarise;"
        f"summarise([load_run(Path(sys.argv[1]))]); print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program, run.folder], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_run_folder_in_use_can_be_summarised_between_two_trials(tmp_path: Path, run: Run) -> None:
    folder = RunFolder.create(tmp_path, "efficientnet", STARTED)
    folder.save_manifest(replace(run.manifest, finished_at=""))
    empty = summarise([load_run(folder.path)])
    assert {each.reason for each in empty.rows} >= {"not measured: the run ended before its turn"}
    assert not empty.complete


def test_what_the_machine_did_during_a_trial_reaches_the_verdict(tmp_path: Path) -> None:
    folder = write_run(tmp_path, servers=(TFSERVING,), points=OPEN[1:], capacity=False)
    trial = load_run(folder).trials[0]
    host = {"seconds": 42.0, "cores": 2.0, "busy_seconds": 40.0, "steal_seconds": 9.0}
    RunFolder(folder).save_trial(replace(trial, host=host))
    judged = summarise([load_run(folder)]).rows[0]
    assert [reason.id for reason in judged.reasons] == ["stolen-time"]
    assert judged.verdict is Verdict.SUSPECT


def test_a_server_that_warms_up_in_the_window_is_told_and_its_course_shows_until_when(tmp_path: Path) -> None:
    cold = replace(TFSERVING, warms=8.0)
    made = small(tmp_path, servers=(cold,), points=(Point(users=1, duration=60.0),))
    reason = next(reason for reason in made.rows[0].reasons if reason.id == "warm-up-not-over")
    assert made.timelines[0].steady_from == reason.numbers["steady_from"]
    assert 10 < made.timelines[0].steady_from < 50


def test_a_steady_run_has_a_course_without_a_cut_for_each_trial_and_none_in_the_json(tmp_path: Path) -> None:
    made = small(tmp_path, servers=(TFSERVING,), repetitions=2)
    assert [line.trial_id for line in made.timelines] == [trial for row in made.rows for trial in row.trial_ids]
    assert {line.steady_from for line in made.timelines} == {0.0}
    assert "timelines" not in json.loads(summary_json(made))


def test_trials_whose_warm_ups_differ_in_length_are_judged_each_by_its_own_window(tmp_path: Path) -> None:
    folder = write_run(tmp_path, servers=(TFSERVING,), points=(Point(users=8),), repetitions=2, capacity=False)
    before = summarise([load_run(folder)]).rows[0]
    later = load_run(folder).trials[1]
    path = folder / "trials" / later.id / "samples.parquet"
    rows = read_samples(path)
    shifted = {name: getattr(rows, name) + 16.0 for name in ("intended_at", "sent_at", "first_byte_at", "done_at")}
    write_samples(path, replace(rows, **shifted))
    assert later.window is not None
    start, end = later.window
    RunFolder(folder).save_trial(replace(later, window=(start + 16.0, end + 16.0)))
    after = summarise([load_run(folder)]).rows[0]
    assert after.reasons == before.reasons == ()
    assert after.throughput == before.throughput
    assert after.n == before.n


def test_what_the_server_counted_is_summed_over_repetitions_unless_one_lacks_it(run: Run) -> None:
    point = next(trial for trial in run.trials if trial.server == "tfserving" and trial.label == "poisson-8")
    same = [trial for trial in run.trials if (trial.server, trial.label) == (point.server, point.label)]
    told = {"run_count": 10.0, "run_seconds": 0.5}

    def summarised(counters: dict[str, float], first: dict[str, float]) -> Row:
        trials = [
            replace(trial, server_counters=first if trial is same[0] else counters, encode_seconds=0.25)
            if trial in same
            else trial
            for trial in run.trials
        ]
        return row(summarise([replace(run, trials=tuple(trials))]), point.server, point.label)

    whole = summarised(told, told)
    assert whole.inside == {name: value * len(same) for name, value in told.items()}
    assert whole.encode_seconds == 0.25
    assert summarised(told, {}).inside == {}


def test_a_reason_names_its_log_from_the_runs_own_folder(run: Run) -> None:
    now, then = run.folder.resolve(), f"/home/a/{run.manifest.run_id}"
    log = "trials/001/server.log: ended\n  hint: read it"
    assert from_folder(f"failed: {now}/{log}", run) == f"failed: {log}"
    assert from_folder(f"/elsewhere/x/{run.manifest.run_id}/{log}", run) == log
    assert from_folder("no GPU: /dev/nvidia0 is not there", run) == "no GPU: /dev/nvidia0 is not there"
    servers = tuple(replace(one, outcome=Outcome.FAILED, reason=f"{then}/{log}") for one in run.manifest.servers)
    made = summarise([replace(run, trials=(), manifest=replace(run.manifest, servers=servers))])
    assert {server.reason for server in made.servers} == {log}
    assert {row.reason for row in made.rows} == {log}
