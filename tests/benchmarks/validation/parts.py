"""What is tried: a server against itself, and against itself with a fault of a known size."""

from __future__ import annotations

from dataclasses import dataclass, replace

DELAY = 0.020
"""Service time of the echo server, in seconds."""
TAIL_DELAY = 0.100
"""That of the one with a tail: long beside the stalls of a busy machine, so that what is doubled is the p99."""

_ECHO = """
name: validation-{name}
question: Is {candidate} told from {baseline}?
slo: {{percentile: 95, response_time: 200ms, error_rate: 20%}}
load:
  - {load}
warmup: {{duration: 300ms}}
gates: [{gates}]
servers:
  base: {{kind: echo, {base}}}
  changed: {{kind: echo, {changed}}}
"""
_OPEN = "{profile: poisson, arrival_rate: 400, duration: 2s}"
"""Enough requests in every trial for its p95 to gate: 600."""
_MANY = "{profile: poisson, arrival_rate: 500, duration: 2s}"
_MANY_MORE = "{profile: poisson, arrival_rate: 550, duration: 6s}"
"""And for its p99: 3,000."""
_SATURATED = "{profile: closed, users: 4, duration: 2s}"
_FLASK = """
name: validation-{name}
question: Does the flask server differ from itself?
model: {{keras_application: EfficientNetB0, weights: random, seed: 1}}
slo: {{percentile: 95, response_time: 1s, error_rate: 5%}}
load:
  - {{profile: closed, users: 1, duration: 8s}}
warmup: {{duration: 1s}}
gates: [p50, throughput]
servers:
  base: {{kind: flask}}
"""


@dataclass(frozen=True, slots=True)
class Part:
    """One comparison with a known truth.

    `metric` is where the fault shows and `truth` its size there as a share (for errors: the two rates); an A/A part has
    none. `pairs` are those of one session, `wanted` how many sessions by default. `delay` is the baseline's service
    time in seconds. `revision` counts definitions: figures of two are never put together.
    """

    name: str
    title: str
    scenario: str
    candidate: str
    pairs: int
    wanted: int
    metric: str = ""
    truth: tuple[float, ...] = ()
    delay: float = DELAY
    revision: int = 1

    @property
    def same(self) -> bool:
        """Whether both sides are the same server."""
        return not self.truth


def _echo(
    name: str,
    title: str,
    base: str,
    changed: str,
    gates: str,
    metric: str = "",
    *truth: float,
    load: str = _OPEN,
    **more: float,
) -> Part:
    same = not truth
    text = _ECHO.format(
        name=name,
        candidate="base" if same else "changed",
        baseline="base",
        load=load,
        gates=gates,
        base=base,
        changed=changed,
    )
    part = Part(name, title, text, "base" if same else "changed", 6 if same else 10, 30 if same else 4, metric, truth)
    return replace(part, **more)  # type: ignore[arg-type]  # delay and revision


def _slower(percent: int) -> Part:
    delay = f"{1000 * DELAY * (1 + percent / 100):g}ms"
    title = f"service time +{percent} %"
    gates = "p50, p95, error_rate"
    return _echo(f"plus-{percent}", title, _PLAIN, f"delay: {delay}, parallel: 32", gates, "p50", percent / 100)


_PLAIN = "delay: 20ms, parallel: 32"
_LONG = "delay: 100ms, parallel: 256"
_WORK = "delay: 0s, work: 1500"
# Quotas that bite whoever else is on the machine: with one of 90 % of a core, a server that others leave less, or that
# waits for its clients a tenth of the time, is as fast as without.
_BEFORE, _AFTER = f"{_WORK}, quota: 20%", f"{_WORK}, quota: 18%"

PARTS: dict[str, Part] = {
    part.name: part
    for part in (
        _echo("aa-echo", "echo against itself", _PLAIN, _PLAIN, "p50, p95, error_rate"),
        Part("aa-flask", "flask on EfficientNet-B0 against itself", _FLASK.format(name="aa-flask"), "base", 6, 4),
        _slower(2),
        _slower(5),
        _slower(10),
        _echo(
            "tail",
            "2 % of the requests doubled",
            _LONG,
            f"{_LONG}, tail_share: 2%, tail_factor: 2",
            "p99, p50, error_rate",
            "p99",
            1.0,
            load=_MANY_MORE,
            delay=TAIL_DELAY,
            revision=2,
        ),
        _echo(
            "errors",
            "errors 0.5 % to 1 %",
            f"{_PLAIN}, error_share: 0.5%",
            f"{_PLAIN}, error_share: 1%",
            "p50, p95, error_rate",
            "error_rate",
            0.005,
            0.010,
            load=_MANY,
        ),
        _echo(
            "quota",
            "CPU quota -10 %",
            _BEFORE,
            _AFTER,
            "throughput, p50, error_rate",
            "throughput",
            -0.10,
            load=_SATURATED,
            revision=2,
        ),
    )
}
