"""A run folder is written whole file by whole file, and whatever is left of one is read."""

from __future__ import annotations

import errno
import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from bench.errors import ResultsError
from bench.results import SCHEMA_VERSION, Outcome, RunFolder, load_run
from tests.recorded import FLASK, NO_GPU, SERVERS, Point, recorded_run, write_run

NOW = datetime(2026, 11, 23, 3, 45, tzinfo=UTC)
SMALL: dict[str, Any] = {"servers": (FLASK, NO_GPU), "points": (Point(users=1, duration=3.0),)}


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_run_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    run = recorded_run(tmp_path, **SMALL)
    folder = RunFolder.create(tmp_path / "again", "efficientnet", NOW)
    folder.save_manifest(run.manifest)
    for trial in run.trials:
        folder.save_trial(trial)
    again = load_run(folder.path)
    assert (again.manifest, again.trials, again.warnings) == (run.manifest, run.trials, ())
    assert len(run.trials) == 2


def test_the_run_id_is_the_moment_in_utc_and_unique(tmp_path: Path) -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5)))
    folders = [RunFolder.create(tmp_path, "smoke", moment) for moment in (NOW, elsewhere, NOW)]
    assert [folder.run_id for folder in folders] == ["20261123T034500Z", "20261123T034500Z-2", "20261123T034500Z-3"]


@pytest.mark.parametrize(
    ("number", "said"), [(errno.EACCES, "permission denied"), (errno.EROFS, "the file system is read-only")]
)
def test_a_folder_that_cannot_be_written_is_refused_with_a_hint(
    number: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, "")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ResultsError, match=f"cannot be written: {said}\n  hint: choose a folder"):
        RunFolder.create(tmp_path, "smoke", NOW)


def test_a_file_where_the_results_folder_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(ResultsError, match=r"results/smoke: cannot be written"):
        RunFolder.create(tmp_path / "results", "smoke", NOW)


@pytest.mark.parametrize("name", ["", "..", "a/b", "/etc"])
def test_a_name_that_would_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ResultsError, match="not usable as the name of a folder"):
        RunFolder.create(tmp_path, name, NOW)


def test_a_full_disk_is_said_and_what_was_written_is_kept(tmp_path: Path) -> None:
    run = recorded_run(tmp_path, **SMALL)
    (run.folder / "run.json.partial").symlink_to("/dev/full")
    before = (run.folder / "run.json").read_text()
    with pytest.raises(ResultsError, match=r"run\.json: the disk is full"):
        RunFolder(run.folder).save_manifest(replace(run.manifest, finished_at="later"))
    assert (run.folder / "run.json").read_text() == before
    assert not list(run.folder.glob("*.partial"))


def test_a_killed_run_is_read_and_the_trial_in_progress_is_named(tmp_path: Path) -> None:
    run = recorded_run(tmp_path, finished=False, **SMALL)
    assert run.manifest.finished_at == ""
    assert [trial.outcome for trial in run.trials] == [Outcome.OK, Outcome.SKIPPED]
    assert len(run.warnings) == 1
    assert "003-tfserving-closed-1: has no trial.json" in run.warnings[0]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"id": 3}', '{"id": "x"}', "[" * 100_000, '{"outcome": "great"}'],
)
def test_a_damaged_record_is_a_warning_that_names_the_file(tmp_path: Path, text: str) -> None:
    folder = write_run(tmp_path, **SMALL)
    (folder / "trials/001-flask-closed-1/trial.json").write_text(text)
    run = load_run(folder)
    assert len(run.trials) == 1
    assert "trials/001-flask-closed-1/trial.json: " in run.warnings[0]
    assert "\n" not in run.warnings[0]


@pytest.mark.parametrize(
    ("key", "value"), [("users", "eight"), ("window", [1]), ("counts", {"ok": 1.5}), ("warmup", True)]
)
def test_a_value_of_another_type_is_damage_and_its_key_is_named(tmp_path: Path, key: str, value: object) -> None:
    folder = write_run(tmp_path, **SMALL)
    edit(folder / "trials/001-flask-closed-1/trial.json", **{key: value})
    assert f"damaged: '{key}" in load_run(folder).warnings[0]


def test_keys_of_a_later_bench_are_passed_over(tmp_path: Path) -> None:
    folder = write_run(tmp_path, **SMALL)
    before = load_run(folder)
    edit(folder / "run.json", mood="good")
    edit(folder / "trials/001-flask-closed-1/trial.json", mood="good")
    assert load_run(folder) == before


def test_a_run_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    folder = write_run(tmp_path, **SMALL)
    edit(folder / "run.json", schema_version=SCHEMA_VERSION + 1)
    with pytest.raises(ResultsError, match="written by a newer bench"):
        load_run(folder)


def test_a_folder_that_is_no_run_is_refused_and_a_run_inside_it_is_offered(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="no such run folder"):
        load_run(tmp_path / "nowhere")
    folder = write_run(tmp_path, **SMALL)
    with pytest.raises(ResultsError, match=f"holds no run.json\n  hint: did you mean {folder}"):
        load_run(folder.parent)


def test_rows_are_read_only_when_they_are_asked_for(tmp_path: Path) -> None:
    folder = write_run(tmp_path, **SMALL)
    (folder / "trials/001-flask-closed-1/samples.parquet").write_bytes(b"not parquet")
    run = load_run(folder)
    with pytest.raises(ResultsError, match=r"samples\.parquet: cannot be read"):
        run.samples(run.trials[0])
    assert run.samples(run.trials[1]) is None


def test_what_is_not_a_number_is_written_as_null(tmp_path: Path) -> None:
    run = recorded_run(tmp_path, **SMALL)
    assert run.trials[0].answers is not None
    odd = replace(run.trials[0], answers=replace(run.trials[0].answers, photo_distance=math.nan))
    RunFolder(run.folder).save_trial(odd)
    assert "NaN" not in (run.folder / "trials" / odd.id / "trial.json").read_text()
    again = load_run(run.folder).trials[0].answers
    assert again is not None
    assert math.isnan(again.photo_distance)


def test_recorded_runs_repeat_and_hold_about_as_many_rows_as_asked_for(tmp_path: Path) -> None:
    runs = [recorded_run(tmp_path / place, seed=7, rows=20_000) for place in ("a", "b")]
    assert runs[0].trials == runs[1].trials
    total = sum(trial.counts.get("scheduled", 0) for trial in runs[0].trials)
    assert 18_000 < total < 22_000
    assert {server.outcome for server in SERVERS} == set(Outcome)


def test_a_file_where_the_results_should_go_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResultsError, match="cannot be written") as failure:
        RunFolder.create(tmp_path / "file", "smoke", datetime.now(UTC))
    assert "a file is where a folder has to be" in failure.value.hint
