"""Summaries made by hand for the report's tests: every outcome, verdict and hostile name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bench.measures.timeline import Timeline
from bench.results import AnswerCheck, Manifest, Outcome
from bench.summary import (
    Distribution,
    Interval,
    PublishedFigure,
    Reason,
    Row,
    ServerSummary,
    Summary,
    Verdict,
)
from bench.summary.costs import costs_of
from bench.summary.spread import Spread, limits_for, ranked

SLO = {"percentile": 95.0, "response_time": 1.0, "error_rate": 0.001}
PRICE = {
    "per_hour": 0.408,
    "count": 1,
    "instance": "a1.4xlarge",
    "source": "price list",
    "as_of": "2026-07-20",
    "basis": "1 x a1.4xlarge at $0.408/h (aws us-east-1, 2026-07-20)",
}
POINTS: tuple[tuple[str, int | None, float | None], ...] = (
    ("closed-1", 1, None),
    ("closed-8", 8, None),
    ("poisson-1", None, 1.0),
    ("poisson-2.5", None, 2.5),
    ("poisson-4", None, 4.0),
)
NASTY = ("<script>alert(1)</script>", "$x_1$", "模型-服务 🚀", "a|b`c*d_e", "red\x1b[31m\nline two")
WRONG = Reason(
    "answers-disagree", Verdict.INVALID, "40 of 100 answers disagree with the reference", "look at its preprocessing"
)
LATE = Reason("send-lag", Verdict.SUSPECT, "the load generator was late by 8 % of the service time", "use more workers")


def times(median: float, n: int, queue: float = 0.0) -> Distribution:
    """A plausible distribution; percentiles with too few requests are None and say what they need."""
    needs = {name: least for name, least in (("p90", 64), ("p95", 130), ("p99", 662), ("p999", 6636)) if n < least}
    figures = {"p90": 1.3, "p95": 1.5, "p99": 2.1, "p999": 3.0}
    shown = {k: None if k in needs else median * f * (1 + queue) for k, f in figures.items()}
    return Distribution(
        n=n,
        mean=median * 1.05,
        p50=median,
        p90=shown["p90"],
        p95=shown["p95"],
        p99=shown["p99"],
        p999=shown["p999"],
        max=median * 4,
        needs=needs,
    )


def spread(response: Distribution, goodput: float, n: int) -> Spread:
    """Response times that go with a distribution: lognormal around its median, none failed."""
    draws = np.sort(np.random.default_rng(n).lognormal(np.log(response.p50 or 0.1), 0.25, n))
    within = np.searchsorted(draws, limits_for(SLO["response_time"]), side="right") * (goodput / max(n, 1)) * 30
    return Spread(
        n=n,
        good=n,
        ranked=ranked(draws, 40),
        trials=(),
        judged=response.p95,
        once_sent=response.p95,
        within=tuple(int(count) for count in within),
        seconds=30.0,
        p50_interval=Interval(response.p50, (response.p50 or 0.1) * 0.95, (response.p50 or 0.1) * 1.06),
    )


def row(
    server: str,
    point: tuple[str, int | None, float | None],
    service: float = 0.15,
    *,
    n: int = 400,
    priced: bool = True,
    verdict: Verdict = Verdict.VALID,
    reasons: Sequence[Reason] = (),
    **changes: Any,
) -> Row:
    """One measured row of a server that takes about `service` seconds."""
    label, users, rate = point
    ceiling = 1.6 / service
    done = min(rate or (users or 1) / service, ceiling)
    median = service * max(1.0, (users or 1) / 1.6) if users else service * (1 + done / ceiling)
    response = times(median, n)
    met = response.p95 is not None and response.p95 <= 1.0
    good = done if met else done * 0.4
    cost = Interval(
        1e6 * 0.408 / (3600 * good), 1e6 * 0.36 / (3600 * good), 1e6 * 0.47 / (3600 * good), "at this goodput"
    )
    p95 = Interval(response.p95, response.p95 * 0.88, response.p95 * 1.17) if response.p95 is not None else None
    made = Row(
        server=server,
        kind="flask",
        profile=label.split("-")[0],
        label=label,
        outcome=Outcome.OK,
        reason="",
        users=users,
        arrival_rate=rate,
        trials=1,
        n=n,
        ok=n,
        failed=0,
        timed_out=0,
        unsent=0,
        seconds=n / done,
        throughput=done,
        goodput=good,
        error_rate=0.0,
        slo_met=met,
        response_time=response,
        service_time=times(service, n),
        send_lag=times(0.0003, n),
        p95_interval=p95,
        request_bytes=61_000.0,
        response_bytes=21_000.0,
        connections_per_request=0.02,
        cpu_seconds_per_request=service * 1.4,
        rss_peak_bytes=1.2e9,
        startup_seconds=6.2,
        cost_per_million=cost if priced else None,
        errors={},
        answers=AnswerCheck(3, n, 0, 0, 2e-6, 1e-4, 0.05),
        verdict=verdict,
        reasons=tuple(reasons),
        trial_ids=(f"001-{label}",),
        run_id="20261123T034500Z",
        spread=spread(response, good, n),
    )
    return replace(made, **changes)


def server(name: str, outcome: Outcome = Outcome.OK, reason: str = "", *, priced: bool = True) -> ServerSummary:
    """What is known of one server apart from its rows."""
    return ServerSummary(
        server=name,
        kind="flask",
        title="Flask's development server",
        outcome=outcome,
        reason=reason,
        fix="",
        version="3.1",
        options={},
        capacity=None,
        agreement=1.0 if outcome is Outcome.OK else None,
        model_form="h5",
        model_bytes=369_000_000,
        startup_seconds=6.2,
        price=PRICE if priced else None,
        run_id="20261123T034500Z",
        rung="naive",
    )


def absent(name: str, outcome: Outcome, reason: str, points: Sequence[Any] = POINTS) -> tuple[Row, ...]:
    """The rows of a server without figures."""
    blank = """throughput goodput error_rate slo_met response_time service_time send_lag p95_interval cost_per_million
        answers verdict startup_seconds rss_peak_bytes cpu_seconds_per_request spread"""
    changes: dict[str, Any] = dict.fromkeys(blank.split())
    return tuple(replace(row(name, p, n=130), outcome=outcome, reason=reason, n=0, ok=0, **changes) for p in points)


def course(each: Row, *, warm: float = 5.0, steady_from: float = 0.0) -> Timeline:
    """Forty seconds at the row's load point: slower until `steady_from`, with one slow second and one error in it."""
    median = each.response_time.p50 if each.response_time is not None and each.response_time.p50 else 0.1
    at = tuple(float(second) for second in range(40))
    p50 = tuple(median * (3 if t < steady_from else 1) * (1 + 0.1 * (t % 3)) for t in at)
    rate = each.n / 35
    return Timeline(
        server=each.server,
        run_id=each.run_id,
        label=each.label,
        trial_id=f"001-{each.label}",
        window=(warm, 40.0),
        step=1.0,
        steady_from=steady_from,
        at=at,
        p50=p50,
        p95=tuple(value * 1.5 if rate >= 20 else None for value in p50),
        dots=tuple((t + 0.5, value * 1.2) for t, value in zip(at, p50, strict=True)) if rate < 10 else (),
        offered=(rate,) * 40,
        achieved=(rate,) * 39 + (None,),
        errors=tuple(1.0 if t == 20 and each.failed else 0.0 for t in at),
        cores=tuple(None if t < 1 else 1.5 for t in at),
        memory_bytes=(1.2e9,) * 40,
    )


def summary(rows: Sequence[Row], servers: Sequence[ServerSummary], **changes: Any) -> Summary:
    """A summary of these rows and servers."""
    made = Summary(
        name="efficientnet",
        question="Which way of serving EfficientNet-B5 meets a 1 s p95 at the lowest cost per request?",
        answer="tfserving meets the SLO at the lowest cost: $11.3 per million requests at closed-8 (10.0/s).",
        run_ids=("20261123T034500Z",),
        slo=SLO,
        rows=tuple(rows),
        servers=tuple(servers),
        references=(
            PublishedFigure("flask", "service_time", 2.0, 0.188, 0.094, "the article's Flask example", "p50, closed-1"),
            PublishedFigure("tfserving-gpu", "service_time", 0.1, None, None, "the article, on GPU", "not measured"),
        ),
        failed_checks=(),
        warnings=("2 cores serve and send at once",),
        complete=True,
        schema_version=1,
        method_version=1,
        timelines=tuple(
            course(each, steady_from=12.0 if number % 4 == 2 else 0.0)
            for number, each in enumerate(rows)
            if each.outcome is Outcome.OK
        ),
    )
    made = replace(made, **changes)
    return made if "costs" in changes else replace(made, costs=costs_of(made, [manifest()]))


def typical() -> Summary:
    """Seven servers: good, unpriced, SUSPECT, INVALID, too few requests, failed and skipped."""
    rows = [row("flask", p, 0.19) for p in POINTS]
    rows += [row("gunicorn", p, 0.16, verdict=Verdict.SUSPECT, reasons=[LATE]) for p in POINTS]
    rows += [row("tfserving", p, 0.12, n=90 if p[0] == "poisson-1" else 700) for p in POINTS]
    rows += [row("tfserving-grpc", p, 0.11, priced=False) for p in POINTS]
    rows += [row("triton", p, 0.13, verdict=Verdict.INVALID, reasons=[WRONG]) for p in POINTS]
    rows += absent("flask-reload", Outcome.FAILED, "server exited with code 1 before it was ready")
    rows += absent("tfserving-gpu", Outcome.SKIPPED, "no GPU on this machine: /dev/nvidia0 is not there")
    servers = [server(name) for name in ("flask", "gunicorn", "tfserving")]
    servers += [server("tfserving-grpc", priced=False), server("triton")]
    servers += [server("flask-reload", Outcome.FAILED, "server exited with code 1 before it was ready")]
    servers += [server("tfserving-gpu", Outcome.SKIPPED, "no GPU on this machine: /dev/nvidia0 is not there")]
    return summary(rows, servers)


def rounded() -> Summary:
    """Two servers that do the model's work, and three that round: the fastest of all, a slower one, and a wrong one."""
    far = AnswerCheck(
        3, 400, 0, 0, 0.24, 1e-4, 0.05, other_work="int8 weights", least_agreement=0.6, inputs=3, inputs_same_top=2
    )
    rows = [row(name, p, service) for name, service in (("naive", 0.5), ("plain", 0.12)) for p in POINTS]
    quick = {"int8": 0.04, "bf16": 0.45, "wrong": 0.02}
    for name, service in quick.items():
        verdict = Verdict.INVALID if name == "wrong" else Verdict.VALID
        reasons = [WRONG] if name == "wrong" else []
        rows += [
            row(name, p, service, answers=far, other_work="int8 weights", verdict=verdict, reasons=reasons)
            for p in POINTS
        ]
    servers = [server("naive"), replace(server("plain"), rung="model optimised")]
    servers += [replace(server(name), rung="model optimised", other_work="int8 weights", answers=far) for name in quick]
    return summary(rows, servers)


def lone() -> Summary:
    """One server at one load point."""
    return summary([row("echo", POINTS[0], 0.05)], [server("echo")], references=())


def dozen() -> Summary:
    """Twelve servers with long names, five load points, two of them absent."""
    names = [f"tensorflow-serving-grpc-batching-max{2**i}-timeout-{i}ms" for i in range(10)]
    rows = [row(name, p, 0.05 * 1.25**i) for i, name in enumerate(names) for p in POINTS]
    servers = [server(name) for name in names]
    for name, outcome in (("on-gpu", Outcome.SKIPPED), ("broken", Outcome.FAILED)):
        rows += absent(name, outcome, "a reason that is quite long and goes on and on, as reasons of servers do")
        servers.append(
            server(name, outcome, "a reason that is quite long and goes on and on, as reasons of servers do")
        )
    return summary(rows, servers)


def nothing() -> Summary:
    """Every server skipped or failed."""
    rows = absent("flask", Outcome.FAILED, "port taken") + absent("gpu", Outcome.SKIPPED, "no GPU")
    servers = [server("flask", Outcome.FAILED, "port taken"), server("gpu", Outcome.SKIPPED, "no GPU")]
    return summary(rows, servers, answer="Nothing was measured.", references=())


def hostile() -> Summary:
    """Names, reasons and texts that try to be markup, mathematics, terminal codes, or glyphs that no font has."""
    rows = [row(name, p, 0.1 + 0.02 * i) for i, name in enumerate(NASTY) for p in POINTS[1:3]]
    rows += absent("<b>gone</b>", Outcome.FAILED, "<img src=x onerror=alert(1)>", POINTS[1:3])
    servers = [server(name) for name in NASTY]
    servers.append(server("<b>gone</b>", Outcome.FAILED, "<img src=x onerror=alert(1)>"))
    return summary(
        rows,
        servers,
        question="Is </title><script>alert(2)</script> safe?",
        answer="<i>No</i> one | knows",
        warnings=("</details><script>alert(3)</script>\x1b[2J",),
    )


def manifest(**changes: Any) -> Manifest:
    """The manifest of a finished run."""
    made = Manifest(
        run_id="20261123T034500Z",
        name="efficientnet",
        question="",
        scenario={"name": "efficientnet"},
        scenario_file="scenarios/efficientnet.yaml",
        command="bench run scenarios/efficientnet.yaml",
        started_at="2026-11-23T03:45:00Z",
        slo=SLO,
        references=(),
        servers=(),
        environment={"cpu": "Example CPU @ 2.60 GHz", "cores": 2, "memory_bytes": 8_000_000_000, "gpu": None},
        versions={"python": "3.11.9", "tensorflow": "2.21.0", "locust": "2.47.0"},
        seed=7,
        finished_at="2026-11-23T03:55:00Z",
        wall_seconds=600.0,
        overhead_seconds=12.0,
        bench_version="0.1.0",
    )
    return replace(made, **changes)
