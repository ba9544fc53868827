"""How many load workers a run gets."""

from __future__ import annotations

from bench.load.crew import ALONE, Crew, Remote, crew_for
from bench.profiles import Closed, Poisson, Spike
from bench.serving.address import Address

CALM = Poisson(arrival_rate=100, duration=10.0)
SPIKE = Spike(arrival_rate=100, peak_rate=50_000, duration=10.0, spike_at=5.0, spike_duration=1.0)


def test_a_number_in_the_scenario_is_taken_as_it_is() -> None:
    assert crew_for(3, [CALM], cores=2, ceiling=None) == (Crew(3), "")
    assert crew_for(1, [SPIKE], cores=16, ceiling=None) == (ALONE, "")


def test_auto_looks_at_the_highest_rate_of_any_load_point() -> None:
    assert crew_for(None, [CALM, Closed(users=64, duration=10.0)], cores=16, ceiling=20_000) == (ALONE, "")
    assert crew_for(None, [CALM, SPIKE], cores=16, ceiling=20_000) == (Crew(5), "")
    assert crew_for(None, [CALM, SPIKE], cores=16, ceiling=50_000) == (Crew(2), "")


def test_too_few_cores_for_the_load_are_said() -> None:
    crew, doubt = crew_for(None, [SPIKE], cores=2, ceiling=None)
    assert crew == ALONE
    assert "50,000 requests/s" in doubt
    assert "5 load workers" in doubt


def test_one_worker_is_alone_only_if_none_joins_from_elsewhere() -> None:
    remote = Remote(Address("10.0.0.1", 5557), 2)
    assert ALONE.alone
    assert not Crew(2).alone
    assert not Crew(0, remote).alone
    assert Crew(1, remote).size == 3
