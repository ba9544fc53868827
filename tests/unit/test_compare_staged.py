from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.compare.cells import CellVerdict
from bench.compare.staged import judge_session
from bench.compare.values import pairs_of, read_starts, spoilt
from bench.compare.verdict import Line, Verdict, Word
from bench.report.verdict_files import verdict_json
from bench.results import load_run
from bench.results.pairing import GateRecord, Side, Stage
from tests.paired import LOAD, Recorded, write_session


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """These folders need not survive a power cut."""
    monkeypatch.setattr("bench.files._flush", lambda path: None)


def judged(folder: Path, how: Recorded) -> Verdict:
    return judge_session(write_session(folder / "run", how))


def line(verdict: Verdict, metric: str) -> Line:
    return next(each for each in verdict.lines if each.cell.metric == metric)


def test_two_that_do_not_differ_show_no_change(tmp_path: Path) -> None:
    verdict = judged(tmp_path, Recorded())
    assert (verdict.word, verdict.exit_code, verdict.exit_code_strict) == (Word.NO_CHANGE, 0, 0)
    assert {each.cell.verdict for each in verdict.gated} == {CellVerdict.NO_CHANGE}


def test_a_slower_candidate_is_regressed_once_fresh_pairs_say_so_too(tmp_path: Path) -> None:
    verdict = judged(tmp_path, Recorded(slower=1.2, confirmed=True))
    assert (verdict.word, verdict.exit_code) == (Word.REGRESSED, 10)
    cell = line(verdict, "p95").cell
    assert cell.change == pytest.approx(0.2, abs=0.03)
    assert (cell.pairs, verdict.confirm_pairs, verdict.null_pairs) == (20, 10, 6)
    assert "estimate over all 20 pairs" in cell.note


def test_what_fresh_pairs_do_not_confirm_does_not_fail(tmp_path: Path) -> None:
    verdict = judged(tmp_path, Recorded(slower=1.2, again=1.0, confirmed=True))
    assert verdict.exit_code == 0
    assert line(verdict, "p95").cell.verdict is CellVerdict.NO_CHANGE
    assert "not confirmed" in line(verdict, "p95").cell.note


def test_what_would_fail_and_was_never_measured_again_is_not_comparable(tmp_path: Path) -> None:
    verdict = judged(tmp_path, Recorded(slower=1.2))
    assert (verdict.word, verdict.exit_code) == (Word.NOT_COMPARABLE, 12)


def test_a_null_control_that_changes_voids_the_session(tmp_path: Path) -> None:
    verdict = judged(tmp_path, Recorded(slower=1.2, confirmed=True, drift=1.3))
    assert (verdict.word, verdict.exit_code) == (Word.VOID, 12)
    assert "p95" in verdict.sentence


def test_a_faster_candidate_is_improved_and_passes(tmp_path: Path) -> None:
    verdict = judged(tmp_path, Recorded(slower=0.8))
    assert (verdict.word, verdict.exit_code) == (Word.IMPROVED, 0)


def test_a_faster_candidate_that_fails_more_gets_no_credit(tmp_path: Path) -> None:
    verdict = judged(tmp_path, Recorded(slower=0.8, errors=(0.0, 0.03), confirmed=True))
    assert (verdict.word, verdict.exit_code) == (Word.REGRESSED, 10)
    assert line(verdict, "error_rate").cell.verdict is CellVerdict.REGRESSED
    assert line(verdict, "p95").cell.verdict is CellVerdict.NOT_COMPARABLE
    assert "not credited (errors rose)" in line(verdict, "p95").cell.note


def test_two_of_the_same_that_differ_void_the_session(tmp_path: Path) -> None:
    verdict = judged(tmp_path, Recorded(slower=1.2, confirmed=True, same=True))
    assert (verdict.word, verdict.exit_code) == (Word.VOID, 12)


def test_two_of_the_same_are_named_as_a_a(tmp_path: Path) -> None:
    verdict = judged(tmp_path, Recorded(same=True))
    assert verdict.exit_code == 0
    assert verdict.sentence.startswith("A/A, both sides are the same")


@pytest.mark.parametrize("pairs", [1, 5])
def test_fewer_than_six_pairs_are_not_comparable(tmp_path: Path, pairs: int) -> None:
    verdict = judged(tmp_path, Recorded(pairs=pairs))
    assert (verdict.word, verdict.exit_code) == (Word.NOT_COMPARABLE, 12)
    assert f"has {pairs}" in line(verdict, "p95").cell.note


def test_a_session_that_was_cut_short_never_passes(tmp_path: Path) -> None:
    verdict = judged(tmp_path, Recorded(finished=False))
    assert (verdict.word, verdict.exit_code) == (Word.NOT_COMPARABLE, 12)


def test_a_candidate_that_never_started_is_nothing_measured(tmp_path: Path) -> None:
    failed = {
        (pair, Side.CANDIDATE): "server.log: server ended (exit code 3)\n  hint: its log" for pair in range(1, 11)
    }
    verdict = judged(tmp_path, Recorded(failed=failed, finished=False, stopped="new: server ended (exit code 3)"))
    assert (verdict.word, verdict.exit_code) == (Word.NOTHING_MEASURED, 13)
    assert "exit code 3" in verdict.sentence


def test_one_start_that_failed_is_no_pass_and_costs_its_pair(tmp_path: Path) -> None:
    verdict = judged(tmp_path, Recorded(failed={(3, Side.CANDIDATE): "died"}))
    assert verdict.exit_code == 13
    assert line(verdict, "p95").cell.pairs == 9
    assert "1 of 10 pairs left out (pair 3, candidate: died)" in line(verdict, "p95").cell.note


def test_pairs_that_the_rig_spoilt_are_counted_and_left_out(tmp_path: Path) -> None:
    run = write_session(tmp_path / "run", Recorded(spoilt=(3, 5)))
    assert spoilt(pairs_of(read_starts(run), Stage.SCREEN)) == 2
    verdict = judge_session(run)
    assert (verdict.exit_code, line(verdict, "p95").cell.pairs) == (0, 8)
    assert "2 of 10 pairs left out (pair 3" in line(verdict, "p95").cell.note


def test_pairs_of_which_a_server_failed_are_not_the_rigs_doing(tmp_path: Path) -> None:
    run = write_session(tmp_path / "run", Recorded(failed={(3, Side.CANDIDATE): "died"}, wrong=(4,)))
    assert spoilt(pairs_of(read_starts(run), Stage.SCREEN)) == 0


def test_wrong_answers_are_errors_and_make_latency_not_comparable(tmp_path: Path) -> None:
    verdict = judged(tmp_path, Recorded(slower=0.8, wrong=tuple(range(1, 11))))
    assert line(verdict, "p95").cell.verdict is CellVerdict.NOT_COMPARABLE
    assert line(verdict, "error_rate").cell.candidate == pytest.approx(0.1, abs=0.02)
    assert verdict.exit_code == 12


def test_a_side_that_cannot_keep_up_has_no_latency(tmp_path: Path) -> None:
    verdict = judged(tmp_path, Recorded(achieved=0.5))
    assert line(verdict, "p95").cell.verdict is CellVerdict.NOT_COMPARABLE
    assert "saturated: the candidate served" in line(verdict, "p95").cell.note
    assert verdict.exit_code == 12


def test_a_percentile_of_too_few_requests_cannot_gate(tmp_path: Path) -> None:
    verdict = judged(tmp_path, Recorded(rate=200.0, slower=1.2))
    assert not line(verdict, "p95").cell.can_gate
    assert verdict.exit_code == 0
    assert verdict.exit_code_strict == 11


def test_a_percentile_that_no_trial_has_is_not_comparable(tmp_path: Path) -> None:
    verdict = judged(tmp_path, Recorded(gates=(GateRecord("p99", LOAD, 0.1),), rate=200.0))
    assert (verdict.word, verdict.exit_code) == (Word.NOT_COMPARABLE, 12)
    assert "too few for a p99" in line(verdict, "p99").cell.note


def test_a_gate_that_was_not_measured_is_not_comparable(tmp_path: Path) -> None:
    verdict = judged(tmp_path, Recorded(gates=(GateRecord("capacity", "capacity", 0.05),)))
    assert verdict.exit_code == 12
    assert "not measured" in verdict.sentence


def test_noise_beyond_delta_is_inconclusive_and_says_how_many_pairs_it_takes(tmp_path: Path) -> None:
    verdict = judged(tmp_path, Recorded(spread=0.2))
    assert (verdict.word, verdict.exit_code, verdict.exit_code_strict) == (Word.INCONCLUSIVE, 0, 11)
    assert "needs about" in line(verdict, "p95").cell.note


def test_a_price_gives_a_cost(tmp_path: Path) -> None:
    assert line(judged(tmp_path, Recorded(price=0.1)), "cost").cell.verdict is CellVerdict.NO_CHANGE


def test_the_same_folder_gives_the_same_bytes(tmp_path: Path) -> None:
    run = write_session(tmp_path / "run", Recorded(slower=1.2, confirmed=True))
    first, again = (verdict_json(judge_session(load_run(run.folder))) for _ in range(2))
    assert first == again
    assert "NaN" not in first


def test_what_is_under_test_is_said_where_it_differs(tmp_path: Path) -> None:
    run = write_session(tmp_path / "run", Recorded(pairs=6))
    old, new = run.manifest.servers
    servers = (
        replace(old, version="classifier:3 sha256:aa", options={"workers": 2, "port": 80, "delay": 0.2}),
        replace(new, version="classifier:4 sha256:bb", options={"workers": 4, "port": 80, "delay": 9 * 0.001}),
    )
    said = judge_session(replace(run, manifest=replace(run.manifest, servers=servers))).diagnostics
    assert said[:3] == (
        "under test: version: classifier:3 sha256:aa in the baseline, classifier:4 sha256:bb in the candidate",
        "under test: key workers: 2 in the baseline, 4 in the candidate",
        "under test: key delay: 0.2 in the baseline, 0.009 in the candidate",
    )
    assert not any(text.startswith("under test") for text in judge_session(run).diagnostics)
