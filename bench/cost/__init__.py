"""From a capacity and a price to replicas, dollars, and the rate at which the choice flips.

Pure arithmetic and words: nothing here reads a file, a clock or a row.
"""

from __future__ import annotations

from bench.cost.steps import (
    Option,
    Step,
    Stretch,
    cheapest_by_rate,
    per_hour_at,
    per_million,
    replicas_for,
    stairs,
    usable_rate,
)
from bench.cost.traffic import Traffic

__all__ = [
    "Option",
    "Step",
    "Stretch",
    "Traffic",
    "cheapest_by_rate",
    "per_hour_at",
    "per_million",
    "replicas_for",
    "stairs",
    "usable_rate",
]
