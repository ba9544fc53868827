"""Did the new version of the model take over while it was measured?"""

from __future__ import annotations

from bench.samples import Samples
from bench.validity.evidence import Evidence, Reason, Verdict, check


@check("swap-unfinished")
def swap_unfinished(evidence: Evidence, _: Samples) -> Reason | None:
    """The load ended before the new version answered, or before the old one was gone."""
    for trial in evidence.trials:
        record = trial.swap
        if record is None:
            continue
        taken_over = record.first_new_at if record.answers else record.ready_at
        if taken_over is None:
            return Reason(
                "swap-unfinished",
                Verdict.INVALID,
                f"version {record.new} never took over before the load ended, so nothing is known of downtime",
                "make the duration longer: the server has to find, load and warm up the new version within it",
            )
        if record.gone_at is None:
            return Reason(
                "swap-unfinished",
                Verdict.SUSPECT,
                f"version {record.old} was still in memory when the load ended: the end of the exchange was not seen",
                "make the duration longer",
            )
    return None
