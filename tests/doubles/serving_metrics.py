"""Counters and histograms as TensorFlow Serving shows them to Prometheus, for its stand-in."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from itertools import accumulate

BUCKETS = tuple(10 * 1.8**power for power in range(33))
"""Upper bounds in microseconds, or rows."""

Key = tuple[str, str]


class Metrics:
    """Every metric by name and labels; one that was never used is not shown."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: dict[Key, float] = {}
        self._histograms: dict[Key, list[float]] = {}

    def count(self, name: str, **labels: str) -> None:
        """One more."""
        key = (name, _text(labels))
        with self._lock:
            self._counters[key] = self._counters.get(key, 0) + 1

    def observe(self, name: str, value: float, **labels: str) -> None:
        """One more value of a histogram."""
        key = (name, _text(labels))
        with self._lock:
            values = self._histograms.setdefault(key, [0.0] * (len(BUCKETS) + 2))
            values[next((place for place, most in enumerate(BUCKETS) if value < most), len(BUCKETS))] += 1
            values[-1] += value

    def page(self) -> str:
        """The text that Prometheus reads."""
        lines: list[str] = []
        with self._lock:
            for (name, labels), value in self._counters.items():
                lines += [f"# TYPE {_full(name)} counter", f"{_full(name)}{{{labels}}} {value:g}"]
            for (name, labels), values in self._histograms.items():
                lines += _histogram(_full(name), labels, values)
        return "".join(f"{line}\n" for line in lines)


def _histogram(name: str, labels: str, values: list[float]) -> list[str]:
    *counts, total = values
    before = f"{labels}, " if labels else ""
    lines = [f"# TYPE {name} histogram"]
    bounds = [*(f"{bound:g}" for bound in BUCKETS), "+Inf"]
    for bound, count in zip(bounds, accumulate(counts), strict=True):
        lines.append(f'{name}_bucket{{{before}le="{bound}"}} {count:g}')
    return [*lines, f"{name}_sum{{{labels}}} {total!r}", f"{name}_count{{{labels}}} {sum(counts):g}"]


def _full(name: str) -> str:
    return f":tensorflow:serving:{name}"


def _text(labels: Mapping[str, str]) -> str:
    return ", ".join(f'{name}="{value}"' for name, value in labels.items())
