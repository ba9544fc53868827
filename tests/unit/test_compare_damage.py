"""What is damaged in a stored run never reads as a pass, and never as a bug of ours."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.cli import main
from tests.paired import Recorded, write_session

Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of six pairs, the least there can be, that passes: whatever is lost of it, it no longer does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.files._flush", lambda path: None)
        return write_session(tmp_path_factory.mktemp("whole") / "run", Recorded(pairs=6)).folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def trial(folder: Path) -> Path:
    """The third one that was taken."""
    return sorted((folder / "trials").iterdir())[2]


def manifest(change: Callable[[Any], object]) -> Change:
    def apply(folder: Path) -> None:
        _edit(folder / "run.json", change)

    return apply


def record(**keys: object) -> Change:
    def apply(folder: Path) -> None:
        _edit(trial(folder) / "trial.json", lambda data: data.update(keys))

    return apply


def _edit(path: Path, change: Callable[[Any], object]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def pairing(**keys: object) -> Change:
    return manifest(lambda data: data["pairing"].update(keys))


def gate(**keys: object) -> Change:
    return manifest(lambda data: data["pairing"]["gates"][0].update(keys))


def done_at(value: float, count: int) -> Change:
    """So many of the good replies came at this instant."""

    def apply(folder: Path) -> None:
        path = trial(folder) / "samples.parquet"
        table = pq.read_table(path)
        place = table.column_names.index("done_at")
        values = table["done_at"].to_pylist()
        values[300 : 300 + count] = [value] * count
        pq.write_table(table.set_column(place, "done_at", pa.array(values, type=pa.float64())), path)

    return apply


def cut(name: str, size: int) -> Change:
    def apply(folder: Path) -> None:
        path = (folder if name == "run.json" else trial(folder)) / name
        path.write_bytes(path.read_bytes()[:size])

    return apply


def test_the_session_passes_while_it_is_whole(folder: Path) -> None:
    assert main(["compare", str(folder)]) == 0


@pytest.mark.parametrize(
    ("damage", "code", "says"),
    [
        (cut("samples.parquet", 500), 12, "needs at least 6 pairs, has 5"),
        (cut("samples.parquet", 0), 12, "needs at least 6 pairs, has 5"),
        (cut("trial.json", 100), 12, "needs at least 6 pairs, has 5"),
        (cut("run.json", 900), 2, "cannot be read"),
        (lambda folder: (folder / "run.json").write_text("[" * 100_000), 2, "cannot be read"),
        (lambda folder: shutil.rmtree(trial(folder)), 12, "needs at least 6 pairs, has 5"),
        (lambda folder: shutil.rmtree(folder / "trials"), 12, "not measured"),
        (record(window=None), 12, "the window is None"),
        (record(window=[2.2, 0.2]), 12, "the window is (2.2, 0.2)"),
        (record(window=[float("nan"), 2.0]), 12, "the window is (nan, 2.0)"),
        (record(server="another"), 12, "needs at least 6 pairs, has 5"),
        (record(number=1), 12, "needs at least 6 pairs, has 5"),
        (done_at(float("nan"), 10), 12, "10 good replies without a time"),
        (done_at(float("inf"), 1), 12, "1 good replies without a time"),
        (pairing(looks=[]), 2, "damaged"),
        (pairing(looks=[10]), 12, "of 10 pairs only 6 are there"),
        (pairing(measured=[]), 12, "of 6 pairs only 0 are there"),
        (pairing(gates=[]), 12, "there are no gates"),
        (pairing(noise=[{"metric": "p95", "load": "poisson-400", "sd": 1e6, "pairs": 40}]), 2, "the noise of p95"),
        (pairing(noise=[{"metric": "p95", "load": "poisson-400", "sd": None, "pairs": 40}]), 2, "the noise of p95"),
        (gate(delta=-1), 2, "the gate p95"),
        (gate(delta=None), 2, "the gate p95"),
        (gate(metric="p42"), 2, "unknown metric 'p42'"),
        (gate(load="nowhere"), 12, "nowhere p95: not measured"),
        (manifest(lambda data: data.update(slo={"percentile": None})), 2, "the SLO's percentile is nan"),
        (manifest(lambda data: data["servers"][0].update(price={"per_hour": "x"})), 2, "the price of old is 'x'"),
        (manifest(lambda data: data.update(servers=[])), 12, "not measured"),
    ],
)
def test_what_is_damaged_is_named_and_never_passes(
    folder: Path, damage: Change, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(folder)
    assert main(["compare", str(folder)]) == code
    assert says in " ".join("".join(capsys.readouterr()).split())


@pytest.mark.parametrize("damage", [record(startup_seconds=None), record(startup_seconds=-1.0)])
def test_a_missing_figure_that_gates_nothing_costs_only_its_own_row(
    folder: Path, damage: Change, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(folder)
    assert main(["compare", str(folder), "--format", "json"]) == 0
    lines = json.loads(capsys.readouterr().out)["lines"]
    (startup,) = [line["cell"] for line in lines if line["cell"]["metric"] == "startup"]
    assert startup["verdict"] == "not comparable"
