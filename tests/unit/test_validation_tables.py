"""The page of the validation says what the stored sessions say, and its tables count what they claim to count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.compare.statistics import binomial_upper
from tests.benchmarks.page import percent
from tests.benchmarks.validation import same, tables
from tests.benchmarks.validation.__main__ import PAGE, STORE
from tests.benchmarks.validation.parts import PARTS
from tests.benchmarks.validation.record import FIGURES, Session, append, beside_others, merge, read, sessions_of


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
    (row,) = same.real_alarms(kept(*sessions, made("aa-echo", word="void", exit_code=12))).rows
    assert row[1:4] == ["10", "1", percent(binomial_upper(1, 10))]


def test_a_disturbed_session_is_counted_apart_and_one_without_a_verdict_proves_nothing() -> None:
    sessions = [made("aa-echo", seed=seed, others=share) for seed, share in enumerate((0.0, 0.09, 0.10, 0.9))]
    mute = made("aa-echo", seed=9, others=0.5, word="not comparable", exit_code=12)
    failed = made("aa-flask", seed=10, others=0.5, word="regressed", exit_code=10)
    every, quiet, busy = same.disturbed(kept(*sessions, mute, failed)).rows
    assert every[1:] == ["6 of 6 (100 %)", "1", percent(binomial_upper(1, 6)), "5", "1", percent(binomial_upper(1, 5))]
    assert quiet[1:3] == ["2 of 6 (33 %)", "0"]
    assert busy[1:] == ["4 of 6 (67 %)", "1", percent(binomial_upper(1, 4)), "3", "1", percent(binomial_upper(1, 3))]


def test_stores_are_merged_and_a_session_counts_once(tmp_path: Path) -> None:
    one, two, into = (tmp_path / name for name in ("one", "two", "into"))
    append(into, made("aa-echo"))
    append(one, made("aa-echo"))
    append(one, made("aa-echo", at="2026-11-23T07:00:30+00:00"))
    append(two, made("aa-echo", at="2026-11-23T07:00:30+00:00"))
    append(two, made("aa-echo", at="2026-11-23T07:00:30+00:00", seconds=41.0))  # another that began in that second
    append(two, made("tail", revision=PARTS["tail"].revision))
    assert merge(into, [one, two]) == 3
    assert merge(into, [one, two]) == 0
    found = sessions_of(into)
    assert (len(found["aa-echo"]), len(found["tail"])) == (3, 1)


def test_sessions_beside_each_other_are_told() -> None:
    at = [f"2026-11-23T07:0{minute}:00+00:00" for minute in (0, 1, 3)]
    assert (
        beside_others(
            [made("aa-echo", at=each, seconds=seconds) for each, seconds in zip(at, (90, 60, 60), strict=True)]
        )
        == 2
    )
    assert beside_others([made("aa-echo", at=each, seconds=50) for each in at]) == 0


def test_a_session_of_an_earlier_definition_of_its_part_is_left_out(tmp_path: Path) -> None:
    append(tmp_path, made("quota"))
    append(tmp_path, made("quota", at="2026-11-23T08:00:00+00:00", revision=PARTS["quota"].revision))
    assert [session.at[11:13] for session in sessions_of(tmp_path)["quota"]] == ["08"]


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
    (row,) = same.contrast(kept(made("aa-echo"), made("aa-echo", seed=2))).rows
    assert row[1] == "0 of 2 (0 %)"
    assert row[4] == "2 of 2 (100 %)"  # both sessions' pooled p-value is 0.01


@pytest.mark.parametrize("table", [same.real_alarms, same.disturbed, same.noise, tables.verdicts, tables.usual])
def test_the_page_shows_what_the_stored_sessions_say(table: object) -> None:
    stored = sessions_of(STORE)
    if not any(stored.values()):
        pytest.skip("no session is stored")
    text = table(stored).markdown()  # type: ignore[operator]
    assert text in PAGE.read_text() + "\n"
