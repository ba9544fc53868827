"""What else went on: the server's workers, its connections, and who else used this machine."""

from __future__ import annotations

import numpy as np

from bench.samples import Samples, Telemetry
from bench.units import percent_text
from bench.validity.evidence import Evidence, Reason, Verdict, check, in_flight

REUSED_BELOW, REOPENED_ABOVE = 0.1, 0.9
"""Share of requests that opened a connection: below, connections are kept; above, each request has its own."""
REQUESTS_AT_LEAST = 50
"""Fewer requests than this do not show how a server treats connections."""
SECONDS_AT_LEAST = 2.0
"""The kernel counts in ticks of 10 ms; shorter trials are not judged by them."""
FOREIGN_SHARE = 0.1
"""A tenth of the machine: less does not move a median, and the counters are not exact."""
STOLEN_SHARE = 0.02
CLOCK_RATIO = 0.98


@check("worker-replaced")
def worker_replaced(evidence: Evidence, _: Samples) -> Reason | None:
    """A worker of the server died and was replaced while it was loaded."""
    changed = [trial.id for trial in evidence.trials if trial.worker_pids_changed]
    if not changed:
        return None
    return Reason(
        "worker-replaced",
        Verdict.INVALID,
        "a worker of the server died and was replaced while it was loaded",
        "read server.log of this trial: out of memory and a worker time-out are the usual causes",
        {"trials": ", ".join(changed)},
    )


@check("connections-partly-reused")
def connections_partly_reused(evidence: Evidence, _: Samples) -> Reason | None:
    """Some requests paid for a new connection and some did not.

    A server that closes after each reply, or never, is what it is; one in between mixes two latencies.
    """
    for part, trial in zip(evidence.parts, evidence.trials, strict=True):
        sent = int(np.count_nonzero(~np.isnan(part.sent_at)))
        if trial.connections is None or trial.connections <= REUSED_BELOW * sent:
            continue
        failed = int(np.count_nonzero(~part.ok))  # a failed request may cost its connection
        most = int(in_flight(part, part.sent_at[~np.isnan(part.sent_at)], trial.timeout).max(initial=0)) + 1
        spare = sent - most - failed
        share = (trial.connections - most - failed) / spare if spare >= REQUESTS_AT_LEAST else 0.0
        if REUSED_BELOW < share < REOPENED_ABOVE:
            return Reason(
                "connections-partly-reused",
                Verdict.SUSPECT,
                f"{trial.connections:,} connections were opened for {sent:,} requests: some paid for a new one, "
                "some did not, and latency is a mixture of both",
                "look for a limit of requests per connection or an idle time-out in the server's settings",
                {"connections": trial.connections, "requests": sent, "share": share},
            )
    return None


@check("foreign-load")
def foreign_load(evidence: Evidence, _: Samples) -> Reason | None:
    """Something other than server and load generator used this machine's processors."""
    worst, cores = 0.0, 0.0
    for place, trial in enumerate(evidence.trials):
        watched = evidence.telemetry[place] if place < len(evidence.telemetry) else None
        used = _server_seconds(watched)
        seconds, busy = trial.host.get("seconds", 0.0), trial.host.get("busy_seconds")
        if used is None or busy is None or seconds < SECONDS_AT_LEAST or trial.generator_cpu_seconds is None:
            continue
        ours = used + trial.generator_cpu_seconds + trial.host.get("own_cpu_seconds", 0.0)
        foreign = (busy - ours) / seconds
        if foreign > worst:
            worst, cores = foreign, trial.host.get("cores", 1.0)
    if worst <= FOREIGN_SHARE * cores:
        return None
    return Reason(
        "foreign-load",
        Verdict.SUSPECT,
        f"other programs used {worst:.2g} of this machine's {cores:g} cores meanwhile",
        "stop what else runs on this machine and measure again",
        {"foreign_cores": worst, "cores": cores},
    )


@check("stolen-time")
def stolen_time(evidence: Evidence, _: Samples) -> Reason | None:
    """The hypervisor gave this machine's processor time to others."""
    shares = [
        trial.host["steal_seconds"] / (trial.host["seconds"] * trial.host["cores"])
        for trial in evidence.trials
        if {"steal_seconds", "cores"} <= trial.host.keys() and trial.host.get("seconds", 0.0) >= SECONDS_AT_LEAST
    ]
    share = max(shares, default=0.0)
    if share <= STOLEN_SHARE:
        return None
    return Reason(
        "stolen-time",
        Verdict.SUSPECT,
        f"the hypervisor gave {percent_text(share)} of this machine's processor time to others meanwhile",
        "measure on a machine that is not shared, or at another time",
        {"share": share},
    )


@check("clock-changed")
def clock_changed(evidence: Evidence, _: Samples) -> Reason | None:
    """The processor was slowed down, by heat or by a limit on its clock."""
    events = sum(trial.host.get("throttle_events", 0.0) for trial in evidence.trials)
    ratio = min((trial.host.get("clock_limit_ratio", 1.0) for trial in evidence.trials), default=1.0)
    if not events > 0 and ratio >= CLOCK_RATIO:
        return None
    said = f"the processor was too hot {events:,.0f} times" if events > 0 else ""
    if ratio < CLOCK_RATIO:
        said += (" and " if said else "") + f"its highest clock fell to {percent_text(ratio)} of what it was"
    return Reason(
        "clock-changed",
        Verdict.SUSPECT,
        f"{said} meanwhile: the server ran slower than this machine can",
        "let the machine cool down, see to its power settings, and measure again",
        {"throttle_events": events, "clock_limit_ratio": ratio},
    )


def _server_seconds(watched: Telemetry | None) -> float | None:
    """CPU seconds of the server from the first to the last time it was looked at."""
    if watched is None:
        return None
    known = watched.cpu_seconds[~np.isnan(watched.cpu_seconds)]
    return float(known[-1] - known[0]) if len(known) >= 2 else None
