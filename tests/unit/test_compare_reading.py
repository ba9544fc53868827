from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cli import main
from bench.compare.cells import CellVerdict
from bench.compare.reading import compare
from bench.compare.verdict import Word
from bench.errors import NotComparableError, NothingMeasuredError, ResultsError, UsageError
from bench.payload.photos import payload_digest
from bench.results import RunFolder, load_run
from bench.results.pairing import Side
from tests.paired import ENVIRONMENT, Recorded, write_session


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """These folders need not survive a power cut."""
    monkeypatch.setattr("bench.files._flush", lambda path: None)


def one_sided(folder: Path, how: Recorded) -> Path:
    """A run of one server alone, as `bench run` leaves it: what two runs of different times are made of."""
    run = write_session(folder, how)
    for trial in run.trials:
        if trial.server != "new":
            (folder / "trials" / trial.id / "trial.json").unlink()
            (folder / "trials" / trial.id / "samples.parquet").unlink(missing_ok=True)
            (folder / "trials" / trial.id).rmdir()
    servers = tuple(server for server in run.manifest.servers if server.name == "new")
    RunFolder(folder).save_manifest(replace(run.manifest, pairing=None, servers=servers))
    return folder


def change(folder: Path, **keys: object) -> None:
    data = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**data, **keys}))


def test_a_recorded_session_gives_its_verdict(tmp_path: Path) -> None:
    folder = write_session(tmp_path / "run", Recorded(slower=1.2, confirmed=True)).folder
    assert compare(folder).exit_code == 10


def test_two_runs_of_different_times_are_advice(tmp_path: Path) -> None:
    before, after = one_sided(tmp_path / "a", Recorded()), one_sided(tmp_path / "b", Recorded(slower=1.3, seed=1))
    verdict = compare(before, after)
    assert (verdict.word, verdict.exit_code, verdict.exit_code_strict) == (Word.INCONCLUSIVE, 0, 11)
    cell = next(line.cell for line in verdict.lines if line.cell.metric == "p95")
    assert cell.verdict is CellVerdict.INCONCLUSIVE
    assert cell.change == pytest.approx(0.3, abs=0.05)
    assert "would read: regressed" in cell.note


def test_two_runs_gate_only_where_that_is_asked_for(tmp_path: Path) -> None:
    before, after = one_sided(tmp_path / "a", Recorded()), one_sided(tmp_path / "b", Recorded(slower=1.3))
    verdict = compare(before, after, gate_unpaired=True)
    assert (verdict.word, verdict.exit_code) == (Word.REGRESSED, 10)


@pytest.mark.parametrize(("gated", "exit_code"), [(False, 0), (True, 10)])
def test_errors_of_two_runs_are_judged_and_a_faster_one_that_fails_more_gets_no_credit(
    tmp_path: Path, gated: bool, exit_code: int
) -> None:
    before = one_sided(tmp_path / "a", Recorded(errors=(0.0, 0.005)))
    after = one_sided(tmp_path / "b", Recorded(errors=(0.0, 0.05), slower=0.7, seed=1))
    verdict = compare(before, after, gate_unpaired=gated)
    assert verdict.exit_code == exit_code
    cells = {line.cell.metric: line.cell for line in verdict.lines}
    assert cells["error_rate"].verdict is (CellVerdict.REGRESSED if gated else CellVerdict.INCONCLUSIVE)
    assert ("would read: regressed" in cells["error_rate"].note) == (not gated)
    assert cells["p95"].verdict is CellVerdict.NOT_COMPARABLE
    assert "not credited (errors rose)" in cells["p95"].note
    assert "error_rate" in {line.cell.metric for line in verdict.gated}


def test_trials_of_two_runs_that_have_no_value_are_counted_and_wrong_answers_leave_no_latency(tmp_path: Path) -> None:
    before = one_sided(tmp_path / "a", Recorded())
    lost = one_sided(tmp_path / "b", Recorded(spoilt=(1, 2)))
    cells = {line.cell.metric: line.cell for line in compare(before, lost).lines}
    assert "2 of 10 trials of the candidate left out" in cells["p95"].note
    wrong = one_sided(tmp_path / "c", Recorded(wrong=(3,)))
    cells = {line.cell.metric: line.cell for line in compare(before, wrong, gate_unpaired=True).lines}
    assert cells["p95"].verdict is CellVerdict.NOT_COMPARABLE


def test_runs_of_two_machines_are_not_comparable_and_the_key_is_named(tmp_path: Path) -> None:
    before = one_sided(tmp_path / "a", Recorded())
    other = {**ENVIRONMENT, "cpu": {"model": "Another CPU", "usable_cores": 2}}
    after = one_sided(tmp_path / "b", Recorded(environment=other))
    with pytest.raises(NotComparableError, match="CPU model: Example CPU in the baseline, Another CPU") as failure:
        compare(before, after)
    assert failure.value.exit_code == 12
    verdict = compare(before, after, allow_env_mismatch=True, gate_unpaired=True)
    assert verdict.word is Word.INCONCLUSIVE
    assert any("CPU model" in warning for warning in verdict.warnings)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"method_version": 0}, "method version: 1 in the baseline, 0 in the candidate"),
        ({"seed": 7}, "seed: 1 in the baseline, 7 in the candidate"),
        ({"slo": {"percentile": 99}}, "SLO: "),
        ({"environment": {**ENVIRONMENT, "memory_bytes": 4_000_000_000}}, "memory: 8 in the baseline, 4"),
        ({"environment": {**ENVIRONMENT, "gpus": [{"name": "T4"}] * 2}}, r"GPUs: \[\] in the baseline, \['T4', 'T4'\]"),
        ({"environment": {**ENVIRONMENT, "gpus": [{"driver": "535.104"}]}}, r"GPU driver: \[\] in the .*, \['535'\]"),
        ({"environment": {**ENVIRONMENT, "product": "Amazon EC2 g4dn.xlarge"}}, "instance type: None .* g4dn.xlarge"),
        ({"budget": {"server": [0], "generator": [1]}}, "cores of the servers: None in the baseline, 1"),
        ({"budget": {"server": [0], "generator": []}}, "cores of the load generator: .* on other machines"),
    ],
)
def test_runs_that_were_asked_for_something_else_are_not_comparable(
    tmp_path: Path, keys: dict[str, object], said: str
) -> None:
    before, after = one_sided(tmp_path / "a", Recorded(pairs=6)), one_sided(tmp_path / "b", Recorded(pairs=6))
    change(after, **keys)
    with pytest.raises(NotComparableError, match=said):
        compare(before, after)


def test_two_runs_tell_that_the_model_is_another_one_and_what_else_is_under_test(tmp_path: Path) -> None:
    before, same, other, silent = (one_sided(tmp_path / name, Recorded(pairs=6)) for name in "abcd")
    for folder, digest, delay in ((before, "cafe" * 16, 1), (same, "cafe" * 16, 1), (other, "f00d" * 16, 2)):
        servers = json.loads((folder / "run.json").read_text())["servers"]
        change(folder, servers=[{**server, "model_digest": digest, "options": {"delay": delay}} for server in servers])
    assert compare(before, other).diagnostics == (
        "under test: model: sha256 cafecafecafe in the baseline, sha256 f00df00df00d in the candidate",
        "under test: key delay: 1 in the baseline, 2 in the candidate",
    )
    assert compare(before, same).diagnostics == ()
    assert not any("model" in text for text in compare(before, silent).diagnostics)


def test_runs_whose_payload_is_written_alike_and_holds_other_photos_are_not_comparable(tmp_path: Path) -> None:
    before, same, other, silent = (one_sided(tmp_path / name, Recorded(pairs=6)) for name in "abcd")
    for folder, jpeg in ((before, b"cat"), (same, b"cat"), (other, b"dog")):
        change(folder, payload_digest=payload_digest([jpeg, b"bird"]))
    said = f"content of the payload: sha256 {payload_digest([b'cat', b'bird'])[:12]} in the baseline, sha256 "
    with pytest.raises(NotComparableError, match=said) as failure:
        compare(before, other)
    assert failure.value.exit_code == 12
    assert compare(before, same).word is Word.INCONCLUSIVE
    assert compare(before, silent).word is Word.INCONCLUSIVE


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"method_version": 0}, "method version: 1 in the baseline, 0 in the candidate"),
        ({"environment": {**ENVIRONMENT, "architecture": "riscv64"}}, "architecture: "),
        ({"payload_digest": "f00d"}, "content of the payload: sha256 cafe in the baseline, sha256 f00d"),
    ],
)
def test_the_command_names_the_hard_key_that_differs_and_ends_with_12(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], keys: dict[str, object], said: str
) -> None:
    before, after = one_sided(tmp_path / "a", Recorded(pairs=6)), one_sided(tmp_path / "b", Recorded(pairs=6))
    change(before, payload_digest="cafe")
    change(after, **{"payload_digest": "cafe", **keys})
    assert main(["compare", str(before), str(after)]) == 12
    told = capsys.readouterr()
    assert said in told.err
    assert "--allow-env-mismatch" in told.err
    assert not told.out


def test_a_driver_of_the_same_major_version_is_the_same(tmp_path: Path) -> None:
    folders = []
    for name, driver in (("a", "535.104.05"), ("b", "535.98")):
        gpu = {"name": "T4", "driver": driver}
        folders.append(one_sided(tmp_path / name, Recorded(pairs=6, environment={**ENVIRONMENT, "gpus": [gpu]})))
    assert compare(*folders).word is Word.INCONCLUSIVE


def test_a_server_across_a_network_is_not_compared_with_one_beside_its_client(tmp_path: Path) -> None:
    folders = [one_sided(tmp_path / name, Recorded(pairs=6)) for name in ("a", "b", "c")]
    for folder, url in zip(folders, ("http://127.0.0.1:8080", "http://[::1]:80/x", "http://10.0.0.7"), strict=True):
        (server,) = json.loads((folder / "run.json").read_text())["servers"]
        change(folder, servers=[{**server, "kind": "url", "options": {"url": url}}])
    assert compare(folders[0], folders[1]).word is Word.INCONCLUSIVE
    with pytest.raises(NotComparableError, match="server on: this machine in the baseline, another machine") as failure:
        compare(folders[0], folders[2])
    assert failure.value.exit_code == 12


@pytest.mark.parametrize("key", ["schema_version", "method_version"])
def test_a_folder_of_a_newer_bench_is_not_comparable(tmp_path: Path, key: str) -> None:
    folder = write_session(tmp_path / "run", Recorded(pairs=6)).folder
    change(folder, **{key: 99})
    with pytest.raises(NotComparableError, match="written by a newer bench") as failure:
        compare(folder)
    assert failure.value.exit_code == 12


def test_a_session_of_a_newer_bench_is_not_comparable(tmp_path: Path) -> None:
    folder = write_session(tmp_path / "run", Recorded(pairs=6)).folder
    pairing = json.loads((folder / "run.json").read_text())["pairing"]
    change(folder, pairing={**pairing, "version": 2})
    with pytest.raises(NotComparableError, match="pairing version 2"):
        compare(folder)


def test_a_run_without_one_valid_trial_is_nothing_measured(tmp_path: Path) -> None:
    failed = {(pair, side): "died" for pair in range(1, 7) for side in Side}
    before = one_sided(tmp_path / "a", Recorded(pairs=6, failed=failed))
    after = one_sided(tmp_path / "b", Recorded(pairs=6))
    with pytest.raises(NothingMeasuredError, match="no valid trial") as failure:
        compare(before, after)
    assert failure.value.exit_code == 13


def test_one_run_that_is_no_session_says_what_would_be(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to be compared with") as failure:
        compare(one_sided(tmp_path / "a", Recorded(pairs=6)))
    assert "bench ab" in failure.value.hint


def test_runs_with_several_servers_ask_which(tmp_path: Path) -> None:
    run = write_session(tmp_path / "run", Recorded(pairs=6)).folder
    with pytest.raises(UsageError, match="several servers"):
        compare(run, run)
    assert compare(run, run, server="old").word is Word.INCONCLUSIVE
    with pytest.raises(UsageError, match="no trials of a server 'odl'") as failure:
        compare(run, run, server="odl")
    assert "did you mean 'old'" in failure.value.hint


def test_a_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="no such run folder"):
        compare(tmp_path / "nowhere")


def test_trials_that_lost_their_rows_are_left_out_and_never_read_as_a_pass(tmp_path: Path) -> None:
    run = write_session(tmp_path / "run", Recorded())
    for trial in run.trials:
        if trial.server == "new":
            (run.folder / "trials" / trial.id / "samples.parquet").unlink()
    verdict = compare(run.folder)
    assert (verdict.word, verdict.exit_code) == (Word.NOT_COMPARABLE, 12)
    assert load_run(run.folder).manifest.pairing is not None
