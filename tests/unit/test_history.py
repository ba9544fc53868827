"""The history: a file that only grows, lines over commits, steps that are proposed and never gate."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shlex
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from bench.cli import main
from bench.errors import NothingMeasuredError, ResultsError
from bench.history.collect import append_session, machine_words, rows_of
from bench.history.lines import interval, lines_of
from bench.history.rows import Judgement, Row, from_document, to_document
from bench.history.store import append, read_history
from bench.history.suspects import MIN_SEGMENT, find_steps
from bench.results import load_run
from bench.results.pairing import Side
from tests.paired import Recorded, write_session
from tests.recorded import write_run

ROW = Row(
    session="20261101T100000Z",
    at="2026-11-01T10:00:00Z",
    scenario="photos",
    server="flask",
    metric="p95",
    load="poisson-4",
    scale="log",
    mean=float(np.log(0.188)),
    sd=0.02,
    n=10,
    environment="3fcd61869e4f81f3",
    machine="Intel Xeon, 2 cores, 25 GB, no GPU",
    workload="abc",
    commit="0" * 40,
    scenario_file="scenarios/photos.yaml",
)


def commit(number: int) -> str:
    return hashlib.sha1(str(number).encode()).hexdigest()


def session(number: int, change: float = 0.0, **more: Any) -> Row:
    """The row of one session, its level changed by so much in log."""
    wobble = float(np.random.default_rng(number).normal(0, 0.01))
    at = f"2026-11-{1 + number // 24:02d}T{number % 24:02d}:00:00Z"
    return replace(ROW, session=f"s{number}", at=at, mean=ROW.mean + change + wobble, commit=commit(number), **more)


def stepped(count: int = 30, at: int = 18, change: float = 0.1) -> list[Row]:
    return [session(number, change if number >= at else 0.0) for number in range(count)]


def history_file(folder: Path, rows: list[Row]) -> Path:
    file = folder / "history.jsonl"
    append(file, rows)
    return file


def test_what_is_added_is_read_back_and_added_once(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "history.jsonl"
    assert append(file, [ROW, session(1)]) == 2
    assert append(file, [ROW, session(2)]) == 1
    assert [row.session for row in read_history(file).rows] == [ROW.session, "s1", "s2"]
    assert read_history(file).rows[0] == ROW


def test_a_history_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert read_history(tmp_path / "none.jsonl").rows == ()


BROKEN: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda _: "{half a li", "is not JSON"),
    (lambda _: "[1]", "is not a JSON object"),
    (lambda row: {**row, "schema": 2}, "has schema 2; this bench reads up to 1"),
    (lambda row: {**row, "schema": True}, "has no schema number"),
    (lambda row: {**row, "kind": "verdict"}, "unknown kind 'verdict'"),
    (lambda row: {**row, "metric": "p42"}, "unknown metric 'p42'"),
    (lambda row: {**row, "mean": "fast"}, "mean is 'fast'"),
    (lambda row: {**row, "mean": float("nan")}, "mean is 'nan'"),
    (lambda row: {**row, "mean": 1e9}, "no measurement"),
    (lambda row: {**row, "n": 0}, "has no trials"),
    (lambda row: {**row, "n": True}, "n is 'True'"),
    (lambda row: {**row, "dirty": "no"}, "dirty is 'no'"),
    (lambda row: {**row, "scale": "cubic"}, "unknown scale"),
    (lambda row: {key: value for key, value in row.items() if key != "server"}, "has no 'server'"),
]


@pytest.mark.parametrize(("breaks", "what"), BROKEN)
def test_a_line_that_cannot_be_read_is_named_and_the_others_are_used(
    breaks: Callable[[dict[str, Any]], Any], what: str, tmp_path: Path
) -> None:
    file = history_file(tmp_path, [ROW])
    broken = breaks(to_document(session(1)))
    with file.open("a") as out:
        out.write((broken if isinstance(broken, str) else json.dumps(broken)) + "\n")
    append(file, [session(2)])
    history = read_history(file)
    assert [row.session for row in history.rows] == [ROW.session, "s2"]
    assert len(history.warnings) == 1
    assert history.warnings[0].startswith(f"{file}:2: ")
    assert what in history.warnings[0]


def test_what_is_added_after_half_a_line_begins_a_line_of_its_own(tmp_path: Path) -> None:
    file = history_file(tmp_path, [ROW])
    with file.open("a") as out:
        out.write('{"schema": 1, "kind": "row", "ses')
    append(file, [session(1)])
    assert [row.session for row in read_history(file).rows] == [ROW.session, "s1"]


def test_a_history_that_only_a_newer_bench_can_read_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    file.write_text(json.dumps({**to_document(ROW), "schema": 9}) + "\n")
    with pytest.raises(ResultsError, match="newer bench"):
        read_history(file)


def _add(file: str, first: int) -> None:
    for number in range(first, first + 20):
        append(Path(file), [session(number), session(number, metric="p50")])


def test_sessions_that_end_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add, args=(str(file), first)) for first in (0, 10)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    history = read_history(file)
    assert history.warnings == ()
    assert len(history.rows) == 2 * 30  # 0..29, ten of them tried twice


texts = some.text(max_size=20)


@settings(max_examples=50)
@given(texts, texts, texts, some.floats(-600, 600), some.none() | some.floats(0, 10), some.integers(1, 10**6))
def test_any_row_survives_being_written_and_read(
    server: str, load: str, said: str, mean: float, sd: float | None, n: int
) -> None:
    row = replace(ROW, server=server, load=load, machine=said, mean=mean, sd=sd, n=n)
    assert from_document(json.loads(json.dumps(to_document(row)))) == row


def test_a_lasting_step_is_found_between_the_commits_that_made_it() -> None:
    (line,) = lines_of(stepped())
    (suspect,) = line.suspects
    assert suspect.step.last_good < 18 <= suspect.step.first_bad
    assert suspect.change == pytest.approx(np.expm1(0.1), abs=0.01)
    assert suspect.worse
    good, bad = suspect.last_good.commit[:10], suspect.first_bad.commit[:10]
    assert suspect.command == (f"bench ab scenarios/photos.yaml --baseline flask@{good} --candidate flask@{bad}")


def test_a_faster_server_is_a_step_for_the_better() -> None:
    (suspect,) = lines_of(stepped(change=-0.1))[0].suspects
    assert not suspect.worse


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([session(number) for number in range(30)], ""),
        ([session(number, 0.3 if number == 15 else 0.0) for number in range(30)], ""),  # one bad session
        ([session(number, 0.1 if number >= 28 else 0.0) for number in range(30)], ""),  # the two newest
        (stepped(change=0.03), ""),  # smaller than what matters
        ([session(number) for number in range(11)], "needs 12 sessions, has 11"),
        ([replace(session(number), mean=-1.0) for number in range(30)], "the values do not vary"),
    ],
)
def test_what_is_no_lasting_step_is_no_suspect(rows: list[Row], why: str) -> None:
    (line,) = lines_of(rows)
    assert line.suspects == ()
    assert line.search.why_not == why


def test_a_suspect_without_two_commits_has_no_command_and_says_why() -> None:
    (unknown,) = lines_of([replace(row, commit="") for row in stepped()])[0].suspects
    assert (unknown.command, unknown.why_no_command) == ("", "a session at one end does not know its commit")
    (same,) = lines_of([replace(row, commit="a" * 40) for row in stepped()])[0].suspects
    assert "the machine changed" in same.why_no_command


def test_a_session_of_changes_that_no_commit_holds_gives_no_command() -> None:
    rows = [replace(row, dirty=number == 18) for number, row in enumerate(stepped())]
    (suspect,) = lines_of(rows)[0].suspects
    assert (suspect.command, suspect.why_no_command) == ("", "a session at one end had changes that were not committed")


def test_a_command_holds_what_was_set_for_the_session_and_for_its_side() -> None:
    (line,) = lines_of([replace(row, keys="'run=a b'", settings="trials=2") for row in stepped()])
    (suspect,) = line.suspects
    words = shlex.split(suspect.command)
    assert line.key.server == "flask 'run=a b'"
    assert words[3:] == [
        *("--baseline", f"flask@{suspect.last_good.commit[:10]}", "--baseline-set", "run=a b"),
        *("--candidate", f"flask@{suspect.first_bad.commit[:10]}", "--candidate-set", "run=a b"),
        *("--set", "trials=2"),
    ]


def test_two_sides_that_differ_in_a_key_alone_are_two_lines(tmp_path: Path) -> None:
    run = write_session(tmp_path / "run", Recorded(pairs=6))
    pairing = run.manifest.pairing
    assert pairing is not None
    contender = replace(pairing.baseline, changes=("workers=4",), label="old workers=4")
    manifest = replace(
        run.manifest,
        pairing=replace(pairing, candidate=contender),
        command="bench ab 'my scenarios/paired.yaml' --baseline old --candidate old --set trials=2 --set 'a=b c'",
    )
    rows = [row for row in rows_of(replace(run, manifest=manifest)) if row.metric == "p95"]
    assert [row.keys for row in rows] == ["", "workers=4"]
    assert append(tmp_path / "h.jsonl", rows) == 2
    assert {row.scenario_file for row in rows} == {"my scenarios/paired.yaml"}
    assert {row.settings for row in rows} == {"trials=2 'a=b c'"}


def test_a_command_is_safe_to_paste_whatever_a_server_is_called() -> None:
    (suspect,) = lines_of([replace(row, server="a; rm -rf $HOME") for row in stepped()])[0].suspects
    assert "--baseline 'a; rm -rf $HOME@" in suspect.command


def test_commits_are_in_the_order_in_which_they_were_made_if_that_is_known() -> None:
    late = replace(session(1), committed_at="2026-10-01T00:00:00Z")
    early = replace(session(2), committed_at="2026-09-01T00:00:00Z")
    assert [row.session for row in lines_of([late, early])[0].rows] == ["s2", "s1"]
    assert [row.session for row in lines_of([late, replace(early, committed_at="")])[0].rows] == ["s1", "s2"]


def test_errors_step_by_points_of_a_percentage_and_not_by_a_ratio() -> None:
    def rows(after: float) -> list[Row]:
        means = [0.0002 + (after if number >= 18 else 0.0) + 1e-5 * (number % 3) for number in range(30)]
        return [replace(session(i), metric="error_rate", scale="linear", mean=mean) for i, mean in enumerate(means)]

    assert len(lines_of(rows(0.005))[0].suspects) == 1
    assert lines_of(rows(0.0005))[0].suspects == ()  # more than threefold, but less than a tenth of a point


def test_another_machine_or_workload_is_another_line() -> None:
    others = [replace(ROW, environment="other"), replace(ROW, workload="other"), replace(ROW, load="closed-1")]
    assert len(lines_of([ROW, *others])) == 4


def autocorrelated(rng: np.random.Generator, memory: float, count: int = 60, sd: float = 0.03) -> list[float]:
    values = [float(rng.normal(0, sd))]
    for _ in range(count - 1):
        values.append(memory * values[-1] + float(rng.normal(0, sd * np.sqrt(1 - memory**2))))
    return values


@pytest.mark.parametrize("memory", [0.0, 0.6])
def test_a_history_without_a_step_is_seldom_suspected_even_if_neighbours_resemble_each_other(memory: float) -> None:
    rng = np.random.default_rng(1)
    found = sum(bool(find_steps(autocorrelated(rng, memory), 0.0488).steps) for _ in range(40))
    assert found <= 2


def test_a_ten_percent_step_is_nearly_always_located() -> None:
    rng = np.random.default_rng(2)
    located = 0
    for _ in range(40):
        values = rng.normal(0, 0.03, 60)
        values[35:] += 0.0953
        located += any(step.last_good < 35 <= step.first_bad for step in find_steps(values, 0.0488).steps)
    assert located >= 34


def test_no_p_value_is_given_where_neighbours_resemble_each_other() -> None:
    rng = np.random.default_rng(4)
    values = np.array(autocorrelated(rng, 0.8, 80, 0.02))
    values[40:] += 0.3
    search = find_steps(values, 0.0488)
    assert search.autocorrelation is not None
    assert search.autocorrelation > 0.3
    assert search.steps
    assert all(step.p is None for step in search.steps)
    plain = np.random.default_rng(5).normal(0, 0.02, 40)
    plain[20:] += 0.2
    (step,) = find_steps(plain, 0.0488).steps
    assert step.p is not None
    assert step.p < 1e-6


@settings(max_examples=40)
@given(some.lists(some.floats(-2, 2), min_size=0, max_size=40), some.floats(0.01, 0.5))
def test_every_step_lasts_and_lies_inside_the_line(values: list[float], least: float) -> None:
    for step in find_steps(values, least).steps:
        assert 0 <= step.last_good < step.at <= step.first_bad < len(values) - 2
        assert MIN_SEGMENT <= step.at <= len(values) - 2 - MIN_SEGMENT
        assert abs(step.change) >= least


def test_the_interval_of_a_point_is_that_of_its_trials() -> None:
    ends = interval(ROW)
    assert ends is not None
    assert ends == pytest.approx((0.188 * np.exp(-0.0143), 0.188 * np.exp(0.0143)), rel=1e-3)
    assert interval(replace(ROW, sd=None, n=1)) is None


def test_a_stored_run_gives_a_row_per_server_load_point_and_metric(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    rows = rows_of(load_run(folder), commit="c" * 40)
    assert rows
    assert {row.commit for row in rows} == {"c" * 40}
    assert len({(row.server, row.load, row.metric) for row in rows}) == len(rows)
    assert append_session(folder, tmp_path / "h.jsonl") == len(rows)
    assert append_session(folder, tmp_path / "h.jsonl") == 0


def test_a_paired_session_gives_a_row_for_either_side_over_its_trials_and_none_for_the_null_control(
    tmp_path: Path,
) -> None:
    run = write_session(tmp_path / "run", Recorded(slower=1.2, confirmed=True))
    rows = {row.server: row for row in rows_of(run) if row.metric == "p95"}
    assert len(rows) == 2
    old, new = rows.values()
    assert (old.n, new.n) == (20, 20)  # ten pairs, and ten fresh ones
    assert new.value / old.value == pytest.approx(1.2, abs=0.03)
    assert {row.machine for row in rows.values()} == {"Example CPU, 2 cores, 8 GB, no GPU"}


def test_a_session_of_a_server_against_itself_is_one_point_over_all_its_trials(tmp_path: Path) -> None:
    rows = rows_of(write_session(tmp_path / "run", Recorded(pairs=6, same=True)))
    assert {row.n for row in rows if row.metric == "p95"} == {12}
    assert len({row.server for row in rows}) == 1


def test_a_start_that_failed_is_no_trial_of_a_point(tmp_path: Path) -> None:
    how = Recorded(pairs=6, failed={(1, Side.CANDIDATE): "exited with code 1"})
    rows = {row.server: row.n for row in rows_of(write_session(tmp_path / "run", how)) if row.metric == "p95"}
    assert sorted(rows.values()) == [5, 6]


def test_a_run_without_a_figure_adds_nothing_and_says_so(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    for record in folder.glob("trials/*/trial.json"):
        record.unlink()
    with pytest.raises(NothingMeasuredError, match="no trial of it has a figure"):
        append_session(folder, tmp_path / "h.jsonl")
    assert not (tmp_path / "h.jsonl").exists()


def test_a_machine_is_described_coarsely() -> None:
    facts = {"cpu": {"model": "Intel(R) Xeon(R)  CPU", "usable_cores": 1}, "memory_bytes": 25_300_000_000}
    assert machine_words(facts) == "Intel Xeon CPU, 1 core, 25 GB, no GPU"
    assert machine_words({}) == "unknown CPU, cores unknown, memory unknown, no GPU"


def test_show_prints_the_suspects_and_the_command_that_decides(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = history_file(tmp_path, stepped())
    assert main(["history", "show", "--file", str(file)]) == 0
    said = capsys.readouterr().out
    assert "poisson-4 p95 of flask: +10" in said
    assert "decide: bench ab scenarios/photos.yaml --baseline flask@" in said


def test_show_as_json_holds_every_point(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = history_file(tmp_path, stepped())
    assert main(["history", "show", "--file", str(file), "--format", "json"]) == 0
    (line,) = json.loads(capsys.readouterr().out)["lines"]
    assert len(line["points"]) == 30
    assert line["suspects"][0]["worse"] is True


def test_an_empty_history_is_said_and_not_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(tmp_path / "none.jsonl")
    assert main(["history", "show", "--file", file]) == 0
    assert "no sessions" in capsys.readouterr().out
    assert main(["history", "chart", "--file", file]) == 13
    assert "nothing to draw" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["show", "--metric", "p96"], "known metrics: error_rate, p50"),
        (["show", "--server", "flsk"], "did you mean 'flask'?"),
        (["show", "--delta", "5"], "needs a unit"),
        (["label", "00000000", "noise"], "no suspect '00000000'"),
        (["label", "00000000", "perhaps"], "perhaps"),
    ],
)
def test_a_wrong_argument_is_named(
    arguments: list[str], what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = history_file(tmp_path, stepped())
    assert main(["history", *arguments, "--file", str(file)]) == 2
    assert what in capsys.readouterr().err


def test_a_label_stays_with_its_suspect_and_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = history_file(tmp_path, stepped())
    (suspect,) = lines_of(read_history(file).rows)[0].suspects
    assert main(["history", "label", suspect.id, "noise", "--file", str(file), "--note", "a neighbour"]) == 0
    assert main(["history", "label", suspect.id, "true", "--file", str(file)]) == 0
    capsys.readouterr()
    assert main(["history", "show", "--file", str(file)]) == 0
    said = capsys.readouterr().out
    assert "[true]" in said  # the newest word
    assert "1 of 1 labelled suspects was true" in said
    judgement = read_history(file).judgements[0]
    assert judgement == Judgement(
        **asdict(suspect.key), commit=suspect.at.commit, label="noise", at=judgement.at, said="a neighbour"
    )


def test_the_page_escapes_what_servers_are_called_and_needs_no_network(tmp_path: Path) -> None:
    rows = [replace(row, server="<script>alert(1)</script>") for row in stepped()]
    file = history_file(
        tmp_path, [*rows, *stepped(), replace(ROW, session="lone", load="", metric="startup", sd=None, n=1)]
    )
    assert main(["history", "chart", "--file", str(file), "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "history.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "default-src 'none'" in page
    assert len(list((tmp_path / "out" / "charts").glob("*.svg"))) == 2
    assert len(list((tmp_path / "out" / "charts").glob("*.png"))) == 2
