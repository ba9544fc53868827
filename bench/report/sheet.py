"""A sheet of paper that charts are drawn on: geometry in inches from the top left, text that fits, SVG and PNG.

Nothing here knows of servers or summaries. Output depends on the input alone: no date, no random id, only
the font that ships with matplotlib, no pyplot state.
"""

from __future__ import annotations

import bisect
import io
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from html import unescape
from itertools import pairwise
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path
from matplotlib.transforms import Affine2D, Transform

from bench.report import look

_FONT = "DejaVu Sans"
_SHORT = 5.0
"""A logarithmic axis this short, end / beginning, has few of the round values 1, 2 and 5 on it."""
_NO_GLYPH = "\N{WHITE SQUARE}"
_SETTINGS: dict[str, Any] = {
    "font.family": _FONT,
    "font.size": look.TEXT_PT,
    "text.parse_math": False,  # a server may be called $x_1$
    "text.usetex": False,
    "text.hinting": "none",  # else a PNG's lines are 4 % wider than `width` says, and long ones are cut
    "text.color": look.INK,
    "axes.edgecolor": look.RULE,
    "axes.linewidth": 0.8,
    "xtick.color": look.RULE,
    "ytick.color": look.RULE,
    "xtick.labelcolor": look.MUTED,
    "ytick.labelcolor": look.MUTED,
    "svg.fonttype": "none",  # text stays text, in a tenth of the bytes; `_fixed_width` holds it to its place
    "svg.hashsalt": "bench",
    "path.simplify": True,
}


@contextmanager
def house_style() -> Iterator[None]:
    """The defaults of matplotlib plus ours, whatever a matplotlibrc of the user says; undone afterwards."""
    with mpl.rc_context():
        mpl.rcParams.update(mpl.rcParamsDefault)
        mpl.rcParams.update(_SETTINGS)  # type: ignore[arg-type]  # its keys are a literal of three hundred
        yield


@lru_cache(maxsize=1)
def _glyphs() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family=_FONT))).get_charmap())


def drawable(text: str) -> str:
    """The text on one line with a white square for each character that the font lacks; the page has the real one."""
    flat = " ".join(text.split())
    return "".join(c if ord(c) in _glyphs() and c.isprintable() else _NO_GLYPH for c in flat)


@lru_cache(maxsize=4096)
def width(text: str, size: float = look.TEXT_PT) -> float:
    """Inches that a drawable text is wide at a size in points."""
    if not text:
        return 0.0
    return float(text_to_path.get_text_width_height_descent(text, _properties(size), ismath=False)[0]) / 72


@lru_cache(maxsize=16)
def _properties(size: float) -> FontProperties:
    return FontProperties(family=_FONT, size=size)


def fit(text: str, inches: float, size: float = look.TEXT_PT) -> str:
    """The text shortened in its middle to a width: names often differ at their end."""
    text = drawable(text)
    if width(text, size) <= inches:
        return text
    low, high = 0, len(text)
    while low < high:
        kept = (low + high + 1) // 2
        low, high = (kept, high) if width(_elided(text, kept), size) <= inches else (low, kept - 1)
    return _elided(text, low)


def _elided(text: str, kept: int) -> str:
    head = math.ceil(kept * 0.6)
    rest = kept - head
    return text[:head].rstrip() + "…" + (text[-rest:].lstrip() if rest else "")


def wrap(text: str, inches: float, size: float = look.SMALL_PT) -> list[str]:
    """The text as lines that fit; a word longer than a line is broken."""
    lines = [""]
    for word in drawable(text).split():
        longer = f"{lines[-1]} {word}".lstrip()
        if width(longer, size) <= inches:
            lines[-1] = longer
            continue
        lines += _broken(word, inches, size)
    return lines[1:] if len(lines) > 1 and not lines[0] else lines


def _broken(word: str, inches: float, size: float) -> list[str]:
    """The word, in as many pieces as lines that it needs."""
    pieces = []
    while len(word) > 1 and width(word, size) > inches:
        kept = bisect.bisect(range(2, len(word) + 1), inches, key=lambda count: width(word[:count], size)) + 1
        pieces.append(word[:kept])
        word = word[kept:]
    return [*pieces, word]


class Sheet:
    """One figure: title, what to look at, room for panels, notes at the foot. Lengths: inches from the top left."""

    def __init__(self, title: str, reading: str, body: float, notes: Sequence[str]) -> None:
        self.reading, self.notes = reading, tuple(notes)
        self._lines = [line for note in notes for line in wrap(note, look.WIDTH_IN)]
        reading_lines = wrap(reading, look.WIDTH_IN, look.TEXT_PT) if reading else []
        self.top = 0.32 + 0.19 * len(reading_lines) + 0.12
        self.height = self.top + body + 0.14 + 0.165 * len(self._lines) + 0.04
        self._outer = (look.WIDTH_IN + 2 * look.MARGIN_IN, self.height + 2 * look.MARGIN_IN)
        self.figure = Figure(figsize=self._outer, facecolor=look.PAPER)
        FigureCanvasAgg(self.figure)
        self.text(0, 0.16, drawable(title), size=look.TITLE_PT, weight="bold")
        for number, line in enumerate(reading_lines):
            self.text(0, 0.42 + 0.19 * number, line, colour=look.MUTED)
        foot = self.top + body + 0.14
        self.foot = self.height - foot
        for number, line in enumerate(self._lines):
            self.text(0, foot + 0.165 * number + 0.08, line, size=look.SMALL_PT, colour=look.MUTED)

    @property
    def inches(self) -> Transform:
        """From inches right and down of the sheet's top left corner to where matplotlib draws."""
        across, down = self._outer
        to_corner = Affine2D().scale(1, -1).translate(look.MARGIN_IN, down - look.MARGIN_IN)
        return to_corner.scale(1 / across, 1 / down) + self.figure.transFigure

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = look.TEXT_PT,
        colour: str = look.INK,
        align: str = "left",
        weight: str = "normal",
        style: str = "normal",
    ) -> None:
        """Write one line, its middle at y, the text must be drawable."""
        self.figure.text(
            x,
            y,
            text,
            transform=self.inches,
            fontsize=size,
            color=colour,
            ha=align,
            va="center_baseline",
            fontweight=weight,
            fontstyle=style,
        )

    def mark(self, x: float, y: float, marker: str, colour: str, size: float = 6.0) -> None:
        """One point in the margin, beside a name."""
        line = Line2D([x], [y], marker=marker, color=colour, ms=size, lw=0, transform=self.inches)
        self.figure.add_artist(line)

    def panel(self, x: float, y: float, wide: float, high: float) -> Axes:
        """Axes on a rectangle, with no frame but the line at its foot."""
        across, down = self._outer
        foot = down - look.MARGIN_IN - y - high
        axes = self.figure.add_axes(((look.MARGIN_IN + x) / across, foot / down, wide / across, high / down))
        axes.set_axisbelow(True)
        axes.patch.set_visible(False)
        for side in ("left", "right", "top"):
            axes.spines[side].set_visible(False)
        axes.tick_params(length=3, width=0.8, labelsize=look.SMALL_PT, which="major")
        axes.tick_params(length=0, which="minor")
        return axes


@dataclass(frozen=True, slots=True)
class Axis:
    """Where an axis begins and ends, its ticks, and whether it is logarithmic."""

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool

    def apply(self, axes: Axes, labels: Sequence[str], which: str = "x") -> None:
        """Set scale, limits and tick labels; matplotlib chooses nothing."""
        scale, limits = (axes.set_xscale, axes.set_xlim) if which == "x" else (axes.set_yscale, axes.set_ylim)
        scale("log" if self.log else "linear")
        limits(self.low, self.high)
        axis = axes.xaxis if which == "x" else axes.yaxis
        axis.set_minor_locator(mpl.ticker.NullLocator())
        axis.set_ticks(list(self.ticks), labels=list(labels))
        axes.grid(axis="x" if which == "x" else "y", color=look.FAINT, linewidth=0.8, zorder=0)


def log_axis(values: Sequence[float], inches: float, text: Callable[[float], str]) -> Axis:
    """A logarithmic axis around positive values, with the finest round ticks whose labels do not touch."""
    low, high = min(values) / 1.25, max(values) * 1.25
    if high / low < 4:  # a scale so short that no two round values fall on it says nothing
        middle = math.sqrt(low * high)
        low, high = middle / 2, middle * 2
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    per_inch = math.log10(high / low) / inches
    ticks: tuple[float, ...] = ()
    finest = [((1, 1.5, 2, 3, 4, 5, 6, 8), 1)] if high / low <= _SHORT else []
    for steps, every in (*finest, ((1, 2, 5), 1), ((1, 3), 1), ((1,), 1), ((1,), 2), ((1,), 3), ((1,), 4)):
        ticks = tuple(s * 10.0**d for d in range(first, last + 1, every) for s in steps if low <= s * 10.0**d <= high)
        widest = max((width(text(tick), look.SMALL_PT) for tick in ticks), default=0.0)
        gaps = (math.log10(b / a) / per_inch for a, b in pairwise(ticks))
        if all(gap > widest + 0.1 for gap in gaps):
            break
    return Axis(low, high, ticks, log=True)


def zero_axis(highest: float, most: int) -> Axis:
    """A linear axis from zero to above `highest` with round ticks."""
    highest = highest if highest > 0 else 1.0
    scale = 10.0 ** math.floor(math.log10(highest))
    steps = (s * scale for s in (0.1, 0.2, 0.5, 1, 2, 5, 10))
    # Whole steps are counted: at 0.04 and three ticks a step of 0.05 would leave the zero alone.
    step = next(step for step in steps if math.floor(highest * 1.05 / step) <= most - 1)
    count = math.floor(highest * 1.05 / step)
    return Axis(0.0, highest * 1.06, tuple(step * i for i in range(count + 1)), log=False)


def svg_bytes(figure: Figure) -> bytes:
    """The figure as SVG, the same bytes for the same figure; text is text, as wide as drawn whatever font is there."""
    with house_style():
        target = io.BytesIO()
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return re.sub(r'<text style="([^"]*)"([^>]*)>([^<]*)</text>', _fixed_width, target.getvalue().decode()).encode()


def png_bytes(figure: Figure) -> bytes:
    """The figure as PNG, 1,440 px wide."""
    with house_style():
        target = io.BytesIO()
        figure.savefig(target, format="png", dpi=look.PNG_DPI, metadata={"Software": None})
    return target.getvalue()


def inline(svg: str, slug: str, title: str, description: str, top: float, foot: float = 0.0) -> str:
    """The SVG element alone, fit to stand inside a page: named for screen readers, its ids its own.

    Its heading, above `top` inches, and its notes, the last `foot` inches, are left out of view: the page has both as
    text, which a phone can wrap. Strings are escaped here.
    """
    body = svg[svg.index("<svg") :].strip()
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', body))
    body = re.sub(r"<!--.*?-->\s*", "", body, flags=re.DOTALL)
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r' id="([^"]*)"', lambda m: f' id="{slug}-{m[1]}"' if m[1] in used else "", body)
    body = re.sub(r'(url\(#|href="#)', rf"\g<1>{slug}-", body)
    body = re.sub(r"\n\s*", "\n", body)
    body = re.sub(r"#[0-9a-f]{6}\b", lambda m: _THEMED.get(m[0], m[0]), body)
    names = f'<title id="{slug}-title">{_escape(title)}</title><desc id="{slug}-desc">{_escape(description)}</desc>'
    _, rest = body.split(">", 1)
    outer, tall = (float(size) for size in re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', body)[0])
    margin = look.MARGIN_IN * 72
    wide, high = outer - 2 * margin, tall - 2 * margin - (top + foot) * 72
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{margin:.1f} {margin + top * 72:.1f} {wide:.1f} {high:.1f}" '
        f'width="{wide / 0.75:.0f}" height="{high / 0.75:.0f}" role="img" aria-labelledby="{slug}-title {slug}-desc">'
    )
    return f"{head}{names}{rest}"


_THEMED = {colour: f"var(--c-{name})" for colour, (name, _, _) in look.theme().items()}
"""A page has these as variables, because it may be read on a dark screen."""


def _fixed_width(found: re.Match[str]) -> str:
    """A text element that is as wide as it was drawn, whichever font the reader's machine has."""
    style, rest, said = found[1], found[2], found[3]
    size = re.search(r"font-size: ([\d.]+)px", style)
    if size is None or not said.strip():
        return found[0]
    weight = "bold" if "font-weight: 700" in style else "normal"
    wide = text_width(unescape(said), float(size[1]), weight, italic="font-style: italic" in style) * 72
    style = re.sub(r"font-family: [^;\"]+", "font-family: DejaVu Sans, Verdana, sans-serif", style)
    return f'<text style="{style}"{rest} textLength="{wide:.1f}" lengthAdjust="spacingAndGlyphs">{said}</text>'


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, weight: str, *, italic: bool) -> float:
    """Inches that a text is wide in any of our fonts."""
    font = FontProperties(family=_FONT, size=size, weight=weight, style="italic" if italic else "normal")
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) / 72


def _escape(text: str) -> str:
    clean = "".join(c for c in text if c.isprintable() or c == " ")
    return clean.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
