"""What is measured against servers whose answer is known: `python -m tests.benchmarks.truth`.

Every table stands beside the truth and the limit that was set for it. Where the machine has two cores, server and
client have one each. A try during which others used the machine is repeated, and the quietest one counts; which one
that is depends on their load, not on our figures. wrk2, the usual reference for send times, is in no Debian package.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from bench.load.drive import Generator
from bench.measures.stats import percentile
from bench.profiles import Constant, Poisson
from bench.samples import Floats, Samples
from tests.benchmarks.clients import rival_says
from tests.benchmarks.page import Table, Tried, machine, ms, percent, quietest, rate, show
from tests.driving import cores, drive, known_server, listening, load_process, on_core, one_queue, true_delays

WARMUP = 0.5
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
Places = tuple[int | None, int | None]
"""Cores of client and server; None where there is but one."""


def response_times(samples: Samples) -> Floats:
    """Of the measured window, all of them good."""
    assert samples.ok.all()
    return samples.response_time[samples.measured]


# ---- a server that stalls ------------------------------------------------------------------------------------------

STALL_EVERY, STALL_LASTS, STALL_RATE = 5.0, 0.5, 1000.0


def stall_truth(share: float) -> float:
    """Percentile of the wait in seconds: nothing outside the stall, what is left of it inside."""
    return max(0.0, STALL_LASTS - (1 - share) * STALL_EVERY)


def stall(load: Generator, places: Places, seconds: float) -> Table:
    """Our percentiles of a stalling server beside the analytic ones, and beside Locust's own in the same run."""

    def measure() -> dict[str, Mapping[str, float]]:
        with known_server("stall", STALL_EVERY, STALL_LASTS, core=places[1]) as port:
            _, samples = drive(load, port, Constant(arrival_rate=STALL_RATE, duration=seconds), warmup=WARMUP)
            times = response_times(samples)
            said: dict[str, Mapping[str, float]] = {
                "bench": {name: percentile(times, share) for name, share in SHARES.items()}
            }
            for users in (10, 100):
                with on_core(places[0]):
                    said[f"stock Locust, {users} users"] = rival_says("locust", port, users, seconds, str(STALL_RATE))
            return said

    tried = quietest(measure, 3)
    truth = {name: stall_truth(share) for name, share in SHARES.items()}
    rows = [
        [who, *(ms(times[name]) for name in SHARES), f"{(times['p99'] / truth['p99'] - 1) * 100:+.1f} %"]
        for who, times in ({"truth": truth} | tried.figures).items()
    ]
    title = f"A server that stalls {STALL_LASTS:g} s in every {STALL_EVERY:g} s, asked {STALL_RATE:,.0f} times a second"
    notes = (
        "Wanted: p99 within 2 % of the truth.",
        "Stock Locust is FastHttpUser with constant_throughput and its own percentiles: while the server stalls "
        "its users wait, and who should have asked meanwhile is in no statistic.",
        _noise(tried),
    )
    return Table(title, ("response time in ms", *SHARES, "p99 off by"), rows, notes)


# ---- delays that are known -----------------------------------------------------------------------------------------

DELAYS: Mapping[str, tuple[str, *tuple[float, ...]]] = {
    "fixed 10 ms": ("fixed", 0.010),
    "log-normal, median 10 ms, sigma 0.5": ("lognormal", 0.010, 0.5, 1.0),
}
DELAY_RATES = (100.0, 1000.0, 5000.0)


def delays(load: Generator, places: Places, seconds: float) -> Table:
    """Our percentiles of known delays beside what the server itself saw."""
    rows = []
    for title, model in DELAYS.items():
        for asked in DELAY_RATES:

            def measure(model: tuple[str, *tuple[float, ...]] = model, asked: float = asked) -> tuple[Floats, Floats]:
                with tempfile.TemporaryDirectory(prefix="bench-truth-") as folder:
                    record = Path(folder) / "record"
                    with known_server(*model, record=record, core=places[1]) as port:
                        _, samples = drive(load, port, Poisson(arrival_rate=asked, duration=seconds), warmup=WARMUP)
                    warm = int(np.count_nonzero(~samples.measured))
                    return response_times(samples), true_delays(record, warm)

            tried = quietest(measure)
            times, truth = tried.figures
            cells, most = [], 0.0
            for share in SHARES.values():
                seen, true = percentile(times, share), percentile(truth, share)
                cells.append(f"{ms(seen)} / {ms(true)}")
                most = max(most, abs(seen - true) / max(0.02 * true, 0.0002))
            rows.append([f"{title}, {rate(asked)}/s", *cells, f"{most:.2f}", percent(tried.others)])
    notes = (
        "Wanted: each within the larger of 2 % and 0.2 ms; the largest distance of a line is given in parts of that.",
        f"Measured is the response time, from intended time to last byte; poisson arrivals for {seconds:g} s each.",
    )
    columns = ("delay and rate", *(f"{name}, measured / true, ms" for name in SHARES), "of the limit", "disturbed")
    return Table("Known delays", columns, rows, notes)


# ---- one worker and its queue --------------------------------------------------------------------------------------

SERVICE_TIME = 0.010


def md1_mean(load: float) -> float:
    """Mean response time in seconds of a queue with poisson arrivals and one worker of fixed speed."""
    return SERVICE_TIME * (1 + load / (2 * (1 - load)))


def md1_quantile(load: float, share: float) -> float:
    """Quantile of that response time, from the distribution of the wait (Erlang 1909), by bisection."""

    def waits_at_most(seconds: float) -> float:
        arrived = [load * (k - seconds / SERVICE_TIME) for k in range(int(seconds / SERVICE_TIME) + 1)]
        return (1 - load) * math.fsum(x**k / math.factorial(k) * math.exp(-x) for k, x in enumerate(arrived))

    low, high = 0.0, 40 * SERVICE_TIME
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if waits_at_most(middle) < share else (low, middle)
    return high + SERVICE_TIME


def queue(places: Places, seconds: float, queues: int) -> Table:
    """Response times of one worker at 50 % and 80 % beside the formula and the recursion on the same arrivals."""
    rows = []
    with ExitStack() as stack:
        loads = [stack.enter_context(load_process(places[0])) for _ in range(queues)]
        ports = [stack.enter_context(known_server("queue", SERVICE_TIME, 1, core=places[1])) for _ in range(queues)]
        for busy in (0.5, 0.8):
            point = Poisson(arrival_rate=busy / SERVICE_TIME, duration=seconds)
            with ThreadPoolExecutor(queues) as pool:
                trials = [
                    pool.submit(drive, load, port, point, warmup=2.0, seed=100 + number)
                    for number, (load, port) in enumerate(zip(loads, ports, strict=True))
                ]
                all_samples = [trial.result()[1] for trial in trials]
            times = np.concatenate([response_times(samples) for samples in all_samples])
            same = np.concatenate([one_queue(s.intended_at, SERVICE_TIME)[s.measured] for s in all_samples])
            for name, seen, recursion, formula in (
                ("mean", times.mean(), same.mean(), md1_mean(busy)),
                ("p95", percentile(times, 0.95), percentile(same, 0.95), md1_quantile(busy, 0.95)),
            ):
                off = [f"{(seen / true - 1) * 100:+.1f} %" for true in (recursion, formula)]
                rows.append(
                    [f"{name} at {percent(busy)}, n = {len(times):,}", ms(seen), ms(recursion), ms(formula), *off]
                )
    notes = (
        "Wanted: mean and p95 within 5 % of M/D/1.",
        "The recursion is Lindley's, fed with the very arrivals that were sent: what is left beside it is what we "
        "and the server's timer add. The formula is what infinitely many arrivals would give.",
        f"{queues} queues at once for {seconds:g} s each, every one with its own server, generator and seed.",
    )
    columns = ("response time", "measured, ms", "recursion, ms", "formula, ms", "off recursion", "off formula")
    return Table(f"One worker of {ms(SERVICE_TIME)} ms with poisson arrivals", columns, rows, notes)


# ---- our own lateness ----------------------------------------------------------------------------------------------

LAG_LIMITS = {1000.0: None, 5000.0: 0.0003, 10_000.0: 0.0005}


def send_lag(load: Generator, places: Places, seconds: float) -> Table:
    """How late one worker sends."""
    rows = []
    for asked, limit in LAG_LIMITS.items():

        def measure(asked: float = asked) -> Samples:
            with known_server("fixed", 0.001, core=places[1]) as port:
                return drive(load, port, Poisson(arrival_rate=asked, duration=seconds), warmup=WARMUP)[1]

        tried = quietest(measure, 8)
        samples = tried.figures
        assert samples.ok.all()
        lag = samples.send_lag[samples.measured]
        cells = [f"{percentile(lag, share) * 1e3:.3f}" for share in (0.5, 0.99, 0.999)]
        rows.append([f"{rate(asked)}/s", *cells, "-" if limit is None else ms(limit), percent(tried.others)])
    notes = (
        f"One worker, poisson arrivals for {seconds:g} s, a server that takes 1 ms. "
        "wrk2 cannot be had as a package, so its own lateness is not measured beside ours.",
    )
    columns = ("arrival rate", "p50, ms", "p99, ms", "p99.9, ms", "wanted p99", "disturbed")
    return Table("send_lag: how late requests leave", columns, rows, notes)


# ---- faults --------------------------------------------------------------------------------------------------------

FAULTS = {
    "nothing": "slow",
    "closes the connection": "drop",
    "answers 500 at once": "error500",
    "answers what is no HTTP": "garbage",
    "never answers": "hang",
}


def faults(load: Generator, places: Places, seconds: float) -> Table:
    """What becomes of requests to a server that fails one in a hundred."""
    rows = []
    for title, word in FAULTS.items():
        behaviours = (*["slow"] * 99, word)
        program = ("-m", "tests.doubles.scripted_server", "PORT", *behaviours)
        with listening(sys.executable, *program, core=places[1]) as port:
            _, samples = drive(load, port, Poisson(arrival_rate=500, duration=seconds), warmup=WARMUP, timeout=1.0)
        kept = samples.where(samples.measured)
        counted = [
            f"{int(kept.has_error(error).sum())} {error}" for error in kept.errors if kept.has_error(error).any()
        ]
        times = np.sort(kept.response_time[kept.ok])
        cells = [
            f"{len(kept):,}",
            ", ".join(counted) or "-",
            *(ms(percentile(times, p)) for p in (0.5, 0.95)),
            ms(times[0]),
        ]
        rows.append([title, *cells])
    columns = ("one request in a hundred", "scheduled", "counted as", "p50, ms", "p95, ms", "least, ms")
    return Table("Faults of a server that takes 20 ms", columns, rows, ("Latency is that of correct replies only.",))


def _noise(tried: Tried[Any]) -> str:
    tries = "the first try" if tried.tries == 1 else f"the quietest of {tried.tries} tries"
    return f"Disturbed to {percent(tried.others)} in {tries}."


PARTS = ("stall", "delays", "queue", "send_lag", "faults")


def main(arguments: Sequence[str] | None = None) -> None:
    """All tables, or those that are named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="which tables; all without any")
    asked = parser.parse_args(arguments).part or PARTS
    places: Places = cores() or (None, None)
    show(f"## Truth\n\n{machine()}\n")
    show(
        "Disturbed: the share of the machine that others used, or of the time that the generator waited for its core, "
        "whichever is larger.\n"
    )
    with load_process(places[0]) as load:
        if "stall" in asked:
            show(stall(load, places, 20.0))
        if "delays" in asked:
            show(delays(load, places, 5.0))
        if "send_lag" in asked:
            show(send_lag(load, places, 5.0))
        if "faults" in asked:
            show(faults(load, places, 4.0))
    if "queue" in asked:
        show(queue(places, 120.0, 8))


if __name__ == "__main__":
    main()
