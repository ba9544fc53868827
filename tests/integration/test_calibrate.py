"""The load generator measured for real, for a few seconds: that it works, not how fast this machine is."""

from __future__ import annotations

import pytest

from bench.calibrate import DELAY, PHOTO_BYTES, SMALL_BYTES, calibrate

pytestmark = pytest.mark.integration


def test_a_short_calibration_finds_a_ceiling_and_adds_time_that_is_not_negative() -> None:
    said: list[str] = []
    found = calibrate(seconds=4.0, say=said.append, short=True)
    assert [(reach.transport, reach.request_bytes) for reach in found.reaches] == [
        (transport, size) for transport in ("http", "grpc") for size in (SMALL_BYTES, PHOTO_BYTES)
    ]
    http, _, grpc, _ = found.reaches
    assert found.ceiling == http.ceiling > 1_000
    assert grpc.ceiling > 100
    assert found.added_p50 is not None
    assert found.added_p50 >= 0
    assert found.short
    assert said[0] == "HTTP, 300 B: closed loop against a null server"
    opened = [point for point in found.points if point.arrival_rate is not None]
    assert len(opened) == 4
    for point in opened:
        assert point.added_p50 is not None
        assert point.send_lag_p50 is not None
        assert point.added_p50 >= point.send_lag_p50, "a reply never came before the delay was over"
    assert found.delay == DELAY
