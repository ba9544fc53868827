from __future__ import annotations

import json
import logging
import re
import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from bench.cli import main
from bench.errors import LoadError
from bench.load import calibration
from bench.load.calibration import (
    LATE,
    Calibration,
    as_mapping,
    calibration_file,
    check_targets,
    key_of,
    load_calibration,
    peak_rate,
    reaches_of,
    store_calibration,
    table,
    this_machine,
)
from bench.profiles import Capacity, Closed, Constant, Poisson, Ramp, Replay, Spike, Steps
from bench.report import view
from bench.report.html import Source, report_html
from bench.report.markdown import report_markdown
from bench.report.text import summary_text
from bench.running import calibrate
from bench.running.calibrate import PHOTO_BYTES, SMALL_BYTES, calibration_for_run, closed_point, open_point
from bench.running.null_server import GrpcPeer, HttpPeer
from bench.samples import Samples
from bench.summary import summarise
from tests import report_cases as cases
from tests.calibrated import MACHINE, calibrated, point
from tests.recorded import recorded_run


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    return tmp_path


def rows(intended_at: ArrayLike, lag: ArrayLike, response: ArrayLike, *, warmup: float = 0.0) -> Samples:
    """Rows with these times; a response time of NaN is a request that timed out."""
    intended = np.asarray(intended_at, dtype=np.float64)
    n = len(intended)
    done = intended + np.asarray(response)
    ok = ~np.isnan(done)
    none = np.zeros(n, dtype=np.int64)
    return Samples(
        intended_at=intended,
        sent_at=intended + np.asarray(lag),
        first_byte_at=done,
        done_at=done,
        status=np.where(ok, 200, 0),
        ok=ok,
        error=np.where(ok, -1, 0),
        errors=("timed out",),
        measured=intended >= warmup,
        payload=none,
        request_bytes=none,
        response_bytes=none,
        worker=none,
    )


# ---- from rows to points


def test_a_closed_loop_reaches_the_good_replies_per_second_of_its_window() -> None:
    intended = [0.01 * number for number in range(150)]  # 0.5 s of warm-up, then 1 s
    samples = rows(intended, [0.0] * 150, [0.001] * 149 + [np.nan], warmup=0.5)
    found = closed_point("http", 300, Closed(users=4, duration=1.0), samples, cpu_share=1.04)
    assert (found.n, found.lost, found.cpu_share, found.arrival_rate) == (100, 1, 1.0, None)
    assert found.throughput == pytest.approx(99)


def test_a_closed_loop_without_a_good_reply_is_an_error_that_says_what_went_wrong() -> None:
    with pytest.raises(LoadError, match="timed out"):
        closed_point("http", 300, Closed(users=1, duration=1.0), rows([0.0], [0.0], [np.nan]), 0.1)


def test_what_is_added_is_the_response_time_less_the_known_delay() -> None:
    n = 1000
    lag = np.full(n, 50e-6)
    lag[:20] = 900e-6  # the slowest 2 %
    samples = rows(np.arange(n) / n, lag, 0.005 + 100e-6 + lag)
    found = open_point("grpc", 300, Poisson(arrival_rate=1000, duration=1.0), 0.005, samples, 0.3)
    assert found.added_p50 == pytest.approx(150e-6)
    assert found.added_p99 == pytest.approx(1000e-6)
    assert found.send_lag_p50 == pytest.approx(50e-6)
    assert found.send_lag_p99 == pytest.approx(900e-6)
    assert found.in_time


def test_a_p99_is_left_out_where_too_few_requests_are_behind_it() -> None:
    samples = rows(np.arange(661) / 661, [0.0] * 661, [0.005] * 661)
    found = open_point("http", 300, Poisson(arrival_rate=661, duration=1.0), 0.005, samples, 0.3)
    assert found.added_p50 == pytest.approx(0.0)
    assert found.added_p99 is None
    assert not found.in_time


# ---- from points to what a worker reaches


def test_the_schedule_is_kept_up_to_the_highest_rate_at_which_requests_left_in_time() -> None:
    late = point(20_000.0, send_lag_p99=LATE * 1.01, added_p99=0.9)
    (reach,) = reaches_of([point(), late, point(10_000.0), point(4_000.0, added_p99=0.25e-3)])
    assert (reach.ceiling, reach.up_to) == (40_000.0, 10_000.0)
    assert reach.added_p99 == 0.25e-3, "of the rates that were kept, not of all"


def test_a_lower_rate_that_was_not_kept_tells_that_something_else_held_the_worker_up() -> None:
    late = point(4_000.0, send_lag_p99=0.02, added_p99=0.9)
    held_up = calibrated(point(), late, point(10_000.0))
    assert (held_up.up_to, held_up.added_p99) == (10_000.0, 0.2e-3)
    assert held_up.disturbed
    assert not calibrated(point(), point(4_000.0), replace(late, arrival_rate=10_000.0)).disturbed


def test_a_rate_at_which_requests_were_lost_is_not_kept() -> None:
    (reach,) = reaches_of([point(), point(4_000.0), point(10_000.0, lost=1)])
    assert reach.up_to == 4_000.0


def test_a_worker_that_is_late_at_every_rate_keeps_none_and_the_sentence_says_so() -> None:
    late = calibrated(point(), point(4_000.0, send_lag_p99=0.02, added_p99=0.03))
    assert late.up_to == 0
    assert late.disturbed
    assert "sent late at every rate tried (20.0 ms at p99 at the lowest)" in late.sentence
    assert "adds" not in late.sentence


def test_the_sentence_gives_what_is_added_up_to_which_rate_and_what_is_reached() -> None:
    photo = point(request_bytes=PHOTO_BYTES, throughput=9_000.0)
    text = calibrated(point(), point(4_000.0), point(20_000.0, added_p99=0.4e-3), photo).sentence
    assert "adds at most 400 µs at p99 up to 20,000/s" in text
    assert "40,000/s of 300 B over HTTP, 9,000/s of 150 kB over HTTP" in text
    assert "at least" not in text


def test_a_worker_without_a_core_of_its_own_reaches_at_least_that_and_is_not_limited_by_it() -> None:
    disturbed = calibrated(point(cpu_share=0.5, throughput=15_000.0), point(1_000.0))
    assert "at least 15,000/s" in disturbed.sentence
    assert "quiet machine" in disturbed.sentence
    assert disturbed.limit("http", SMALL_BYTES) == pytest.approx(30_000.0)


def test_a_request_costs_a_time_of_its_own_and_a_time_per_byte() -> None:
    # 25 µs and 0.5 ns a byte
    large = point(request_bytes=100_000, throughput=1 / 75e-6)
    small = point(request_bytes=0, throughput=1 / 25e-6)
    known = calibrated(small, large)
    assert known.limit("http", 50_000) == pytest.approx(1 / 50e-6)
    assert known.limit("http", 1_000_000) == pytest.approx(1 / 525e-6)


def test_larger_requests_are_never_taken_for_cheaper_ones() -> None:
    known = calibrated(point(), point(request_bytes=PHOTO_BYTES, throughput=50_000.0))
    assert known.limit("http", 10 * PHOTO_BYTES) == pytest.approx(40_000.0)


def test_the_table_has_a_line_per_point_and_a_dash_where_there_is_nothing() -> None:
    head, closed, opened, *_ = table(calibrated())
    assert len(head) == len(closed) == len(opened)
    assert closed[2:4] == ("closed loop, 32 users", "40,000/s")
    assert closed[-1] == "-"
    assert opened[-2:] == ("200 µs", "150 µs")


# ---- kept per machine


def test_what_is_stored_for_this_machine_is_loaded_as_it_was() -> None:
    kept = calibrated(machine=this_machine())
    file = store_calibration(kept)
    assert file == calibration_file()
    assert load_calibration() == kept


def test_nothing_is_loaded_where_nothing_was_stored_or_another_machine_stored_it() -> None:
    assert load_calibration() is None
    store_calibration(calibrated())
    assert load_calibration() is None


@pytest.mark.parametrize("name", list(MACHINE))
def test_every_fact_about_the_machine_changes_the_key(name: str) -> None:
    assert key_of({**MACHINE, name: "another"}) != key_of(MACHINE)
    assert re.fullmatch("[0-9a-f]{16}", key_of(MACHINE))


def test_the_machine_is_told_by_its_parts_and_never_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.node", lambda: "a-host-name")
    facts = this_machine()
    assert {"cpu", "cores", "kernel", "python", "locust", "method"} <= set(facts)
    assert "a-host-name" not in json.dumps(facts)


def test_a_new_method_makes_earlier_calibrations_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    store_calibration(calibrated(machine=this_machine()))
    monkeypatch.setattr(calibration, "METHOD_VERSION", 99)
    assert load_calibration() is None


@pytest.mark.parametrize(
    "text", ["", "[]", '{"ceiling": 1}', "\xff", '{"reaches": [], "points": []}'], ids=lambda text: text[:12]
)
def test_a_damaged_file_is_left_aside_with_a_warning(text: str, caplog: pytest.LogCaptureFixture) -> None:
    file = calibration_file()
    file.parent.mkdir()
    file.write_bytes(text.encode("latin-1"))
    with caplog.at_level(logging.WARNING):
        assert load_calibration() is None
    assert str(file) in caplog.text


def test_a_run_measures_the_short_form_once_and_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[bool] = []

    def measure(*, seconds: float, say: object, short: bool) -> Calibration:
        measured.append(short)
        return calibrated(machine=this_machine(), short=short)

    monkeypatch.setattr(calibrate, "calibrate", measure)
    said: list[str] = []
    first, second = calibration_for_run(said.append), calibration_for_run(said.append)
    assert measured == [True]
    assert first == second
    assert len(said) == 1


@pytest.mark.parametrize(
    ("short", "lag", "age", "stale"),
    [
        (True, 0.02, timedelta(hours=2), True),
        (True, 0.02, timedelta(minutes=5), False),
        (True, 1e-4, timedelta(days=300), False),
        (False, 0.02, timedelta(days=300), False),
    ],
)
def test_only_an_old_short_form_that_was_disturbed_is_measured_again(
    short: bool, lag: float, age: timedelta, stale: bool
) -> None:
    measured_at = (datetime.now(UTC) - age).isoformat()
    kept = calibrated(point(), point(4_000.0, send_lag_p99=lag), short=short, measured_at=measured_at)
    assert kept.stale is stale


# ---- what it forbids


def test_a_target_above_half_the_ceiling_is_a_problem_that_gives_the_numbers() -> None:
    points = [Poisson(arrival_rate=19_999, duration=1.0), Poisson(arrival_rate=20_001, duration=1.0)]
    (problem,) = check_targets(points, calibrated(), 1, request_bytes=SMALL_BYTES)
    assert "poisson-20001" in problem
    assert "20,001/s" in problem
    assert "20,000/s" in problem


def test_more_workers_may_be_asked_for_more() -> None:
    points = [Poisson(arrival_rate=50_000, duration=1.0)]
    assert check_targets(points, calibrated(), 2)
    assert not check_targets(points, calibrated(), 3)


def test_large_requests_are_asked_for_less_often() -> None:
    known = calibrated(point(), point(request_bytes=PHOTO_BYTES, throughput=8_000.0))
    points = [Constant(arrival_rate=5_000, duration=1.0)]
    assert not check_targets(points, known, 1, request_bytes=SMALL_BYTES)
    assert check_targets(points, known, 1, request_bytes=PHOTO_BYTES)


def test_each_transport_has_a_ceiling_of_its_own() -> None:
    known = calibrated(point(), point(transport="grpc", throughput=6_000.0))
    points = [Constant(arrival_rate=5_000, duration=1.0)]
    assert not check_targets(points, known, 1)
    (problem,) = check_targets(points, known, 1, transport="grpc")
    assert "gRPC" in problem


def test_loads_that_follow_the_server_ask_for_no_rate() -> None:
    assert peak_rate(Closed(users=5_000, duration=1.0)) is None
    assert peak_rate(Capacity(duration=1.0)) is None


def test_the_peak_of_a_load_is_its_highest_rate_and_of_a_recording_its_busiest_second(tmp_path: Path) -> None:
    assert peak_rate(Steps(arrival_rates=(5, 70, 6), step=1.0)) == 70
    assert peak_rate(Ramp(from_rate=9, to_rate=3, duration=1.0)) == 9
    spike = Spike(arrival_rate=1, peak_rate=30, duration=9.0, spike_at=2.0, spike_duration=1.0)
    assert peak_rate(spike) == 30
    trace = tmp_path / "trace.txt"
    trace.write_text("".join(f"{at}\n" for at in (0, 1, 2.5, 2.6, 2.9, 3.05, 3.2, 8)))
    assert peak_rate(Replay(file=str(trace))) == 5


# ---- what the command prints


@pytest.fixture
def measured_here(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Puts a finished calibration in the place of a measurement; the seconds that were asked for."""
    asked: list[float] = []

    def measure(*, seconds: float, say: Any) -> Calibration:
        say("HTTP, 300 B: closed loop against a null server")
        asked.append(seconds)
        return calibrated(machine=this_machine())

    monkeypatch.setattr(calibrate, "calibrate", measure)
    return asked


def test_the_command_prints_a_table_and_the_sentence_and_stores_both(
    measured_here: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calibrate", "--seconds", "10"]) == 0
    out, err = capsys.readouterr()
    assert measured_here == [10]
    assert "closed loop, 32 users" in out
    assert "adds at most 400 µs at p99 up to 20,000/s" in out
    assert "null server" in err
    assert "null server" not in out
    assert f"kept in {calibration_file()}" in err
    assert load_calibration() is not None


@pytest.mark.usefixtures("measured_here")
def test_the_command_prints_one_json_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ceiling"] == 40_000
    assert document["up_to"] == 20_000
    assert document["short"] is False
    assert document["machine"] == this_machine()


@pytest.mark.usefixtures("measured_here")
def test_figures_that_cannot_be_kept_are_printed_all_the_same(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (cache / "file").write_text("in the way")
    monkeypatch.setenv("BENCH_CACHE", str(cache / "file"))
    assert main(["calibrate"]) == 2
    out, err = capsys.readouterr()
    assert "adds at most 400 µs" in out
    assert "set BENCH_CACHE" in err


def test_a_run_goes_on_with_figures_that_cannot_be_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / "file").write_text("in the way")
    monkeypatch.setenv("BENCH_CACHE", str(cache / "file"))
    monkeypatch.setattr(calibrate, "calibrate", lambda **_: calibrated())
    said: list[str] = []
    assert calibration_for_run(said.append).ceiling == 40_000
    assert "not kept" in said[-1]


@pytest.mark.parametrize("seconds", ["0", "-1", "601", "nan", "soon"])
def test_a_time_that_makes_no_sense_is_refused(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", "--seconds", seconds]) == 2
    assert "--seconds" in capsys.readouterr().err


def test_a_calibration_is_json_without_nan() -> None:
    found = as_mapping(calibrated())
    assert json.loads(json.dumps(found, allow_nan=False)) == found


# ---- what reports say


def test_the_summary_of_a_run_carries_the_headline_of_its_calibration(tmp_path: Path) -> None:
    run = recorded_run(tmp_path / "runs", rows=2_000)
    assert summarise([run]).calibrations == ()
    known = calibrated()
    run = replace(run, manifest=replace(run.manifest, calibration=as_mapping(known)))
    (shown,) = summarise([run]).calibrations
    assert shown["run_id"] == run.manifest.run_id
    assert (shown["ceiling"], shown["up_to"]) == (known.ceiling, known.up_to)
    assert shown["sentence"] == known.sentence


def test_every_report_says_what_the_harness_adds_and_the_terminal_says_it_briefly() -> None:
    known = calibrated()
    shown = {"run_id": "r1", "brief": known.brief, "sentence": known.sentence}
    summary = replace(cases.typical(), calibrations=(shown,))
    page = report_html(summary, [], [Source(cases.manifest(), "")])
    trust = page[page.index("Can I trust this?") : page.index("The servers")]
    assert known.sentence in trust
    assert known.sentence in report_markdown(summary, [])
    text = " ".join(summary_text(summary).split())
    assert known.brief in text
    assert known.sentence not in text


def test_runs_of_two_machines_each_have_their_sentence_and_runs_of_one_share_it() -> None:
    def shown(run: str, sentence: str) -> dict[str, str]:
        return {"run_id": run, "sentence": sentence}

    one = replace(cases.typical(), calibrations=(shown("r1", "Slow."), shown("r2", "Slow.")))
    assert view.calibration_texts(one) == ("Slow.",)
    two = replace(one, calibrations=(*one.calibrations, shown("r3", "Fast.")))
    assert view.calibration_texts(two) == ("r1, r2: Slow.", "r3: Fast.")


# ---- the null server's protocols, fed in pieces


def http_request(body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_the_null_server_answers_every_http_request_once_however_it_is_cut(size: int) -> None:
    peer, stream = HttpPeer(), http_request(b"x" * 300) * 20
    replies: list[bytes] = []
    for at in range(0, len(stream), size):
        now, whole = peer.take(memoryview(stream)[at : at + size])
        assert now == b""
        replies += whole
    assert len(replies) == 20
    assert set(replies) == {replies[0]}
    head, _, body = replies[0].partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(body) in head


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


@pytest.mark.parametrize("size", [1, 5, 64, 100_000])
def test_the_null_server_answers_every_grpc_call_once_however_it_is_cut(size: int) -> None:
    calls = b"".join(
        frame(1, 4, number, b"headers") + frame(0, 0, number, b"x" * 50) + frame(0, 1, number, b"x" * 10)
        for number in (1, 3, 5)
    )
    begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, bytes(6)) + frame(6, 0, 0, b"12345678")
    stream, peer = begin + calls + frame(1, 5, 7, b"headers") + frame(0, 1, 9), GrpcPeer()
    said, replies = b"", []
    for at in range(0, len(stream), size):
        now, whole = peer.take(memoryview(stream)[at : at + size])
        said += now
        replies += whole
    assert said == frame(4, 1, 0) + frame(6, 1, 0, b"12345678"), "settings and ping are acknowledged"
    assert [struct.unpack(">I", reply[5:9])[0] for reply in replies] == [1, 3, 5, 7, 9]


def test_the_null_server_gives_back_the_window_that_large_calls_use_up() -> None:
    peer = GrpcPeer()
    peer.take(memoryview(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
    call = frame(0, 1, 1, bytes(2**20))
    said = b"".join(peer.take(memoryview(call))[0] for _ in range(20))
    given = sum(struct.unpack_from(">I", said, at + 9)[0] for at in range(0, len(said), 13))
    assert said[3] == 8
    assert 2**24 < given <= 20 * 2**20
