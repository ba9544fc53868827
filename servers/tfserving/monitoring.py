"""What TensorFlow Serving counts inside itself, read from its Prometheus page."""

from __future__ import annotations

import re

PATH = "/monitoring/prometheus/metrics"
CONFIG = f'prometheus_config {{ enable: true path: "{PATH}" }}\n'

_SERVING = ":tensorflow:serving:"
_SAMPLE = re.compile(r"(?P<name>[:\w]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_MICROSECONDS = 1e-6


def totals(page: str) -> dict[str, float]:
    """Sums since the start, of predictions alone, in seconds and rows; a metric that was never used is left out.

    The page also counts status and metadata calls; those carry another API, or none, and are passed over.
    """
    found: dict[str, float] = {}
    for line in page.splitlines():
        match = _SAMPLE.fullmatch(line.strip())
        if match is None:
            continue
        labels = dict(_LABEL.findall(match["labels"] or ""))
        if labels.get("API", "predict").lower() != "predict":
            continue
        for name, key, scale in _WANTED:
            if match["name"] == _SERVING + name:
                found[key] = found.get(key, 0.0) + scale * float(match["value"])
    return found


def _mean(name: str, key: str, unit: str, scale: float) -> tuple[tuple[str, str, float], ...]:
    return ((f"{name}_sum", f"{key}_{unit}", scale), (f"{name}_count", f"{key}_count", 1.0))


_WANTED = (
    *_mean("request_latency", "request", "seconds", _MICROSECONDS),
    *_mean("runtime_latency", "run", "seconds", _MICROSECONDS),
    *_mean("batching_session:queuing_latency", "queue", "seconds", _MICROSECONDS),
    *_mean("batching_session:processed_batch_size", "batch", "rows", 1.0),
    *_mean("batching_session:padding_size", "padding", "rows", 1.0),
)
