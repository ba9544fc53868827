from __future__ import annotations

from dataclasses import replace

import pytest

from bench.measures.metrics import METRICS, TIMES
from bench.measures.usage import USAGE_METRICS
from bench.results import Outcome
from bench.scenario.condition import FailIf, check_names, parse_fail_if
from bench.summary.fail_if import failed_checks
from bench.summary.figures import EMPTY
from bench.summary.resources import Energy, Resources
from bench.units import UnitError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.p95 > 500ms", FailIf("", "a", "", "response_time.p95", ">", 0.5)),
        ("a.b.throughput<=5", FailIf("", "a.b", "", "throughput", "<=", 5.0)),
        ("'a b'.error_rate >= 1%", FailIf("", "a b", "", "error_rate", ">=", 0.01)),
        ("'a[b]'.p50 > 5ms", FailIf("", "a[b]", "", "response_time.p50", ">", 0.005)),
        ("a[poisson-2.5].startup > 1min", FailIf("", "a", "poisson-2.5", "startup_seconds", ">", 60.0)),
        ('"<b>"[gamma-2-cv-3].cost_per_million < $4', None),
        ("a.service_time.max < 2 s", FailIf("", "a", "", "service_time.max", "<", 2.0)),
        ("a.rss_peak_bytes > 2GB", FailIf("", "a", "", "rss_peak_bytes", ">", 2e9)),
    ],
)
def test_a_condition_names_a_server_a_figure_and_a_limit(text: str, expected: FailIf | None) -> None:
    if expected is None:  # a name that holds what the comparison is told by
        with pytest.raises(UnitError, match="not an expression"):
            parse_fail_if(text)
        return
    read = parse_fail_if(text)
    assert read.text == text
    assert (read.server, read.label, read.metric, read.compare) == (
        expected.server,
        expected.label,
        expected.metric,
        expected.compare,
    )
    assert read.limit == pytest.approx(expected.limit)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_can_be_a_condition_and_takes_a_limit_in_its_unit(name: str) -> None:
    limit, wrong = {"s": ("5ms", "5%"), "1/s": ("5/s", "5ms"), "share": ("5%", "5ms")}[METRICS[name].unit]
    assert parse_fail_if(f"a.{name} > {limit}").metric == name
    with pytest.raises(UnitError):
        parse_fail_if(f"a.{name} > {wrong}")


@pytest.mark.parametrize("name", sorted(USAGE_METRICS))
def test_every_figure_of_resources_can_be_a_condition_and_takes_a_limit_in_its_unit(name: str) -> None:
    limits = {"s": ("5ms", 0.005), "share": ("5%", 0.05), "bytes": ("5MB", 5e6), "count": ("20", 20.0)}
    limits |= {unit: (f"20 {unit}", 20.0) for unit in ("W", "J", "Hz")}
    text, value = limits[USAGE_METRICS[name].unit]
    read = parse_fail_if(f"a.{name} > {text}")
    assert (read.metric, read.limit) == (name, value)
    with pytest.raises(UnitError):
        parse_fail_if(f"a.{name} > -1 apples")


def test_a_figure_of_resources_is_judged_and_one_that_is_missing_has_failed_with_its_reason() -> None:
    used = Resources(memory_peak_bytes=3e9, energy_per_request=Energy(5.0, None), missing={"power_watts": "no GPU"})
    row = replace(EMPTY, server="a", label="closed-1", outcome=Outcome.OK, resources=used)
    held, _ = failed_checks(
        ["a.memory_peak_bytes > 2GB", "a.energy_per_request.gross > 4 J", "a.power_watts > 5 W"], [row]
    )
    assert held[0] == "a.memory_peak_bytes > 2GB: 3.00 GB at closed-1"
    assert held[1] == "a.energy_per_request.gross > 4 J: 5.00 J at closed-1"
    assert held[2].endswith("power_watts has no figure: no GPU")
    assert failed_checks(["a.memory_peak_bytes > 4GB"], [row]) == ((), ())


def test_a_metric_that_is_new_needs_no_entry_here(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnitError, match="unknown metric 'lost'"):
        parse_fail_if("a.lost > 5%")
    monkeypatch.setitem(METRICS, "lost", replace(METRICS["error_rate"], name="lost"))
    assert parse_fail_if("a[x].lost > 5%").limit == pytest.approx(0.05)


def test_the_short_form_of_a_percentile_is_that_of_the_headline() -> None:
    assert TIMES[0] == "response_time"
    assert parse_fail_if("a.p99 > 5ms").metric == "response_time.p99"


def test_a_condition_holds_as_it_is_written_and_never_for_what_is_not_known() -> None:
    above, below = parse_fail_if("a.p95 > 1s"), parse_fail_if("a.p95 <= 1s")
    assert [above.holds(value) for value in (0.5, 1.0, 1.5, float("nan"))] == [False, False, True, False]
    assert [below.holds(value) for value in (0.5, 1.0, 1.5, float("nan"))] == [True, True, False, False]


def test_a_server_or_load_point_that_is_not_there_is_refused() -> None:
    labels = {"a": ("closed-1", "poisson-2"), "b": None}
    check_names(parse_fail_if("a[poisson-2].p95 > 1s"), labels)
    check_names(parse_fail_if("b[anything].p95 > 1s"), labels)
    with pytest.raises(UnitError, match="unknown server 'c'"):
        check_names(parse_fail_if("c.p95 > 1s"), labels)
    with pytest.raises(UnitError, match="did you mean 'poisson-2'"):
        check_names(parse_fail_if("a[poison-2].p95 > 1s"), labels)
