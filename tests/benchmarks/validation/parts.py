"""What is tried: a server against itself, and against itself with a fault of a known size."""

from __future__ import annotations

from dataclasses import dataclass

DELAY = 0.020
"""Service time of the echo server, in seconds."""

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
_MANY = "{profile: poisson, arrival_rate: 500, duration: 2s}"
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
    none. `pairs` are those of one session, `wanted` how many sessions by default.
    """

    name: str
    title: str
    scenario: str
    candidate: str
    pairs: int
    wanted: int
    metric: str = ""
    truth: tuple[float, ...] = ()

    @property
    def same(self) -> bool:
        """Whether both sides are the same server."""
        return not self.truth


def _echo(
    name: str,
    title: str,
    fault: str,
    metric: str,
    *truth: float,
    load: str = _OPEN,
    base: str = "delay: 20ms, parallel: 32",
    delay: str = "20ms",
) -> Part:
    changed = f"delay: {delay}, parallel: 32{fault}" if base.startswith("delay: 20ms") else fault
    gates = "p50, p95, error_rate" if load != _SATURATED else "throughput, p50, error_rate"
    text = _ECHO.format(
        name=name, candidate="changed", baseline="base", load=load, gates=gates, base=base, changed=changed
    )
    same = not truth
    return Part(name, title, text, "base" if same else "changed", 6 if same else 10, 30 if same else 4, metric, truth)


_WORK = "delay: 0s, work: 3000"

PARTS: dict[str, Part] = {
    part.name: part
    for part in (
        _echo("aa-echo", "echo against itself", "", ""),
        Part("aa-flask", "flask on EfficientNet-B0 against itself", _FLASK.format(name="aa-flask"), "base", 6, 4),
        _echo("plus-2", "service time +2 %", "", "p50", 0.02, delay="20.4ms"),
        _echo("plus-5", "service time +5 %", "", "p50", 0.05, delay="21ms"),
        _echo("plus-10", "service time +10 %", "", "p50", 0.10, delay="22ms"),
        _echo("tail", "2 % of the requests doubled", ", tail_share: 2%, tail_factor: 2", "p99", 1.0, load=_MANY),
        _echo(
            "errors",
            "errors 0.5 % to 1 %",
            ", error_share: 1%",
            "error_rate",
            0.005,
            0.010,
            load=_MANY,
            base="delay: 20ms, parallel: 32, error_share: 0.5%",
        ),
        _echo("quota", "CPU quota -10 %", f"{_WORK}, quota: 90%", "throughput", -0.10, load=_SATURATED, base=_WORK),
    )
}
