"""Which columns of a table hold figures, told from their cells, so that every output can set them to the right."""

from __future__ import annotations

import re
from collections.abc import Sequence

_FIGURE = re.compile(
    r"(n < |above |below |at most |around )?"  # a bound of it
    r"[$+-]?\d[\d,]*(\.\d+)?(e[+-]?\d+)?"
    r"(\s?[A-Za-zµ%/]{1,12})?"  # its unit
    r"(\s?(\(|to |of |\+ ).*)?"  # its interval, or what it is a part of
)
_NOTHING = ("", "-", "unknown", "n too small")


def figure_columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[bool, ...]:
    """For each column whether all that it says are figures; one that says nothing holds none.

    Shape: rows (n,) as long as the head; a shorter one, such as a server without figures, is not looked at.
    """
    whole = [row for row in rows if len(row) == len(head)]
    return tuple(_holds_figures([row[at] for row in whole]) for at in range(len(head)))


def _holds_figures(cells: Sequence[str]) -> bool:
    said = [cell for cell in cells if cell not in _NOTHING]
    return bool(said) and all(_FIGURE.fullmatch(cell) for cell in said)
