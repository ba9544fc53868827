"""Whether the server could be watched at all while it was measured."""

from __future__ import annotations

from bench.samples import Samples
from bench.validity.evidence import Evidence, Reason, Verdict, check


@check("not-watched")
def not_watched(evidence: Evidence, _: Samples) -> Reason | None:
    """Nothing was seen of the server's processes, so figures of their memory and processor time are missing."""
    reasons = [trial.telemetry_missing.get("cpu_seconds", "") for trial in evidence.trials]
    if not all(reasons) or any(seen is not None for seen in evidence.telemetry):
        return None
    return Reason(
        "not-watched",
        Verdict.VALID,
        f"memory, processor time and start-up are not known: {reasons[0]}",
        "measure it as a command or an image on this machine to see what it uses",
    )
