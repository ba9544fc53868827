"""What held the server back from outside, and whether watching it did: limits of its control group, our own sampler."""

from __future__ import annotations

import math

from bench.measures.usage import Watched, throttled_share
from bench.samples import Samples
from bench.units import percent_text
from bench.validity.evidence import Evidence, Reason, Verdict, check

THROTTLED_SHARE = 0.01
"""One per cent of the processor time that the server may use: less is lost among other things."""
SAMPLER_SHARE = 0.01
"""Of a core: more is no longer nothing beside a server."""


@check("throttled")
def throttled(evidence: Evidence, _: Samples) -> Reason | None:
    """A limit of processor time held the server's control group back."""
    shares = [
        throttled_share(Watched(seen, evidence.window, replies=0, good=0, cores=evidence.cores))
        for seen in evidence.telemetry
    ]
    share = max((share for share in shares if math.isfinite(share)), default=0.0)
    if share <= THROTTLED_SHARE:
        return None
    return Reason(
        "throttled",
        Verdict.SUSPECT,
        f"the limit of the server's control group held back {percent_text(share)} of its processor time: latency is "
        "that of the limit",
        "raise the limit of processor time (docker --cpus, cpu.max), or give whole cores with a cpuset instead",
        {"share": share},
    )


@check("watching-costs")
def watching_costs(evidence: Evidence, _: Samples) -> Reason | None:
    """Watching the server took processor time that counts."""
    share = max((trial.sampler_cpu_share or 0.0 for trial in evidence.trials), default=0.0)
    if share <= SAMPLER_SHARE:
        return None
    return Reason(
        "watching-costs",
        Verdict.VALID,
        f"watching the server took {percent_text(share)} of a core",
        "a longer window spreads the first and the last look at its memory over more time",
        {"share": share},
    )
