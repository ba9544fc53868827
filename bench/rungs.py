"""The rungs of the usual advice, from the naive server upwards, and on which of them a server stands.

A kind says so itself (`Server.rung`) and a run keeps it, so whoever draws the ladder knows no kind by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

Rung = Literal["naive", "model optimised", "web server", "model server", "batching", "more instances", "GPU", ""]
"""What a server adds to the advice so far; empty for one that the advice does not speak of."""
RUNGS: tuple[Rung, ...] = tuple(rung for rung in get_args(Rung) if rung)
"""In the order of the advice."""


def higher(first: Rung, second: Rung) -> Rung:
    """The one further up, such as that of a copied server and of its copies; any rung is above none."""
    return max(first, second, key=lambda rung: RUNGS.index(rung) if rung in RUNGS else -1)


def rung_before(kind: str, options: Mapping[str, Any]) -> Rung:
    """Where a server of a run stands that was recorded before runs kept it."""
    if kind == "flask":
        return "" if options.get("load_per_request") else "naive"
    if kind == "gunicorn":
        return "web server"
    if kind == "fastapi":
        optimised = options.get("engine") != "keras" and options.get("workers", 1) == 1
        return "model optimised" if optimised else "web server"
    if kind in ("tfserving", "triton", "litserve", "bentoml", "mlflow"):
        return "GPU" if options.get("device") == "gpu" else "batching" if options.get("batching") else "model server"
    if kind == "replicas":
        return "more instances" if options.get("replicas", 2) > 1 else _copied(options.get("of"))
    return ""


def _copied(of: Any) -> Rung:
    return rung_before(str(of.get("kind", "")), of) if isinstance(of, Mapping) else "web server"
