"""How every chart looks, decided once: palette, type scale, and one colour, marker and dash per server.

Pure values; this module draws nothing and imports no drawing library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000")
"""The Okabe-Ito colours with a contrast of at least 3:1 on white; the light ones of that set are left out."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
DASHES: tuple[tuple[float, tuple[float, ...] | None], ...] = (
    (0, None),
    (0, (5, 2)),
    (0, (1.5, 1.5)),
    (0, (6, 2, 1.5, 2)),
)

INK = "#1a1a1a"
MUTED = "#595959"
"""Secondary text: 7:1 on white."""
RULE = "#c9c9c9"
FAINT = "#ececec"
PAPER = "#ffffff"
SLO_INK = "#8a1c5b"
"""The SLO line and its label, 8.9:1 on white; no server has this colour."""

TITLE_PT = 12.5
PANEL_PT = 10.0
TEXT_PT = 9.0
SMALL_PT = 8.25
"""Smallest text of a chart: 11 px where the chart is shown at its own size, which the page does."""

WIDTH_IN = 10.0
"""Every chart is 960 px wide at its own size."""
MARGIN_IN = 0.2
PNG_DPI = 144
SERIES_PER_PANEL = 5
"""More servers than this in one panel cannot be told apart, so they are dealt to several panels."""


@dataclass(frozen=True, slots=True)
class Style:
    """The look of one server in every chart."""

    colour: str
    marker: str
    dash: tuple[float, tuple[float, ...] | None]


def styles(count: int) -> tuple[Style, ...]:
    """One style per server, in the order of the scenario; no two of the first 40 share colour and marker."""
    colours = islice(cycle(PALETTE), count)
    markers = islice(cycle(MARKERS), count)
    return tuple(
        Style(colour, marker, DASHES[number // len(PALETTE) % len(DASHES)])
        for number, (colour, marker) in enumerate(zip(colours, markers, strict=True))
    )


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """The names as they are, except that a name seen before gets its number: `a`, `b`, `a` -> `a`, `b`, `a #3`."""
    seen: set[str] = set()
    result = []
    for number, name in enumerate(names, start=1):
        result.append(f"{name} #{number}" if name in seen else name)
        seen.add(name)
    return tuple(result)
