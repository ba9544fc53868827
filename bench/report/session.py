"""What a report shows of a paired session: its verdict and the pictures of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.compare.verdict import Verdict
    from bench.report.page import Picture


@dataclass(frozen=True, slots=True)
class SessionView:
    """A verdict, and its charts as the page shows them."""

    verdict: Verdict
    pictures: tuple[Picture, ...]
