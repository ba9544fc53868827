"""The page of the validation says what the stored sessions say, and its tables count what they claim to count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.compare.statistics import binomial_upper
from tests.benchmarks.page import percent
from tests.benchmarks.validation import tables
from tests.benchmarks.validation.__main__ import PAGE, STORE
from tests.benchmarks.validation.parts import PARTS
from tests.benchmarks.validation.record import FIGURES, Session, append, read


def made(part: str, change: float = 0.0, pairs: int = 10, seed: int = 1, **more: object) -> Session:
    """A session whose candidate is slower by a factor, with a scatter of 1 %."""
    rng = np.random.default_rng(seed)
    both = {name: np.exp(rng.normal(np.log(0.02), 0.01, (pairs, 2))) for name in FIGURES}
    for name in ("p50", "p95", "p99"):
        both[name][:, 1] *= 1 + change
    both["errors"], both["requests"] = np.full((pairs, 2), 3.0), np.full((pairs, 2), 600.0)
    session = Session(
        part=part,
        at="2026-11-23T07:00:00+00:00",
        seconds=60.0,
        others=0.1,
        load_average=1.0,
        exit_code=0,
        word="no change",
        sentence="no change",
        flagged=(),
        cells={"p50": "no change", "p95": "no change"},
        first_stage={"p50": "no change", "p95": "inconclusive", "p99": "no change"},
        pairs={name: values.tolist() for name, values in both.items()},
        baseline_first=[bool(place % 2) for place in range(pairs)],
        pooled_p=0.01,
    )
    return replace(session, **more)  # type: ignore[arg-type]


def kept(*sessions: Session) -> dict[str, list[Session]]:
    return {name: [session for session in sessions if session.part == name] for name in PARTS}


def test_a_session_survives_being_kept(tmp_path: Path) -> None:
    append(tmp_path, made("aa-echo"))
    with (tmp_path / "aa-echo.jsonl").open("a") as file:
        file.write('{"part": "aa-ec')  # killed while writing
    (session,) = read(tmp_path, "aa-echo")
    assert session.pairs == made("aa-echo").pairs
    assert session.gated_first_stage == ("no change", "inconclusive")


def test_a_healthy_session_that_failed_is_counted_and_bounds_the_claim() -> None:
    sessions = [made("aa-echo", seed=seed) for seed in range(9)]
    (row,) = tables.real_alarms(kept(*sessions, made("aa-echo", word="void", exit_code=12))).rows
    assert row[1:4] == ["10", "1", percent(binomial_upper(1, 10))]


def test_one_run_each_is_judged_by_its_p99_alone() -> None:
    (row,) = tables.usual(kept(made("plus-10", change=0.3))).rows
    assert row[1:3] == ["10", "10 of 10 (100 %)"]


def test_a_fault_twice_as_large_as_delta_is_regressed_and_one_far_below_is_only_seen() -> None:
    large, small = (
        tables.detection(kept(made(part, change=change))).rows[0]
        for part, change in (("plus-10", 0.1), ("plus-2", 0.02))
    )
    assert large[6:8] == ["100 % / 100 %", "100 % / 100 %"]
    assert small[7] == "0 % / 0 %"
    assert int(small[6].partition(" ")[0]) > 90


def test_other_ways_are_judged_on_the_same_trials() -> None:
    (row,) = tables.contrast(kept(made("aa-echo"), made("aa-echo", seed=2))).rows
    assert row[1] == "0 of 2 (0 %)"
    assert row[4] == "2 of 2 (100 %)"  # both sessions' pooled p-value is 0.01


@pytest.mark.parametrize("table", [tables.real_alarms, tables.noise, tables.verdicts, tables.usual])
def test_the_page_shows_what_the_stored_sessions_say(table: object) -> None:
    stored = {name: read(STORE, name) for name in PARTS}
    if not any(stored.values()):
        pytest.skip("no session is stored")
    text = table(stored).markdown()  # type: ignore[operator]
    assert text in PAGE.read_text() + "\n"
