"""What happens around the load of one trial."""

from __future__ import annotations

from bench.trial import gained


def test_counters_that_began_before_the_trial_count_by_what_they_gained() -> None:
    before = {"request_count": 10.0, "request_seconds": 1.0}
    after = {"request_count": 15.0, "request_seconds": 2.5, "batch_count": 2.0}
    assert gained(before, after) == {"request_count": 5.0, "request_seconds": 1.5, "batch_count": 2.0}


def test_counters_of_a_server_that_began_anew_or_stopped_telling_are_none() -> None:
    assert gained({"request_count": 10.0}, {"request_count": 3.0}) == {}
    assert gained({"request_count": 10.0}, {}) == {}
    assert gained({}, {}) == {}
