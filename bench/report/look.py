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

THEME: dict[str, tuple[str, str]] = {
    INK: ("ink", "#ececea"),
    MUTED: ("muted", "#a9adb0"),
    RULE: ("rule", "#4a4f54"),
    FAINT: ("faint", "#2d3135"),
    PAPER: ("paper", "#1e2124"),
    SLO_INK: ("slo", "#f09bc8"),
    **{
        colour: (f"series-{number}", dark)
        for number, (colour, dark) in enumerate(
            zip(PALETTE, ("#5db4ee", "#f28b3c", "#2fc59a", "#dd94bd", "#f2f2f2"), strict=True), start=1
        )
    },
}
"""Colour of a chart -> its name in the page's style sheet, and what it becomes on a dark screen, 3:1 and more there."""

TITLE_PT = 12.5
PANEL_PT = 10.0
TEXT_PT = 9.0
SMALL_PT = 8.25
"""Smallest text of a chart: 11 px where the chart is shown at its own size, which the page does."""

WIDTH_IN = 10.0
"""Every chart is 960 px wide at its own size."""
MARGIN_IN = 0.2
PNG_DPI = 144
TINT = 0.3
"""How much of a colour is left in its tint."""
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


def mixed(colour: str, paper: str, share: float) -> str:
    """The colour thinned with paper, as `#rrggbb`: opaque, so that no line shows through."""
    pairs = zip(_rgb(colour), _rgb(paper), strict=True)
    return "#" + "".join(f"{round(share * one + (1 - share) * other):02x}" for one, other in pairs)


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def theme() -> dict[str, tuple[str, str, str]]:
    """Every colour that a page must turn: lower-case hex -> name, on light, on dark; tints of the palette included."""
    found = {colour.lower(): (name, colour, dark) for colour, (name, dark) in THEME.items()}
    for colour in (*PALETTE, SLO_INK):
        name, dark = THEME[colour]
        tint = mixed(colour, PAPER, TINT)
        found[tint] = (f"{name}-tint", tint, mixed(dark, THEME[PAPER][1], 0.45))
    return found


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """The names as they are, except that a name seen before gets its number: `a`, `b`, `a` -> `a`, `b`, `a #3`."""
    seen: set[str] = set()
    result = []
    for number, name in enumerate(names, start=1):
        result.append(f"{name} #{number}" if name in seen else name)
        seen.add(name)
    return tuple(result)
