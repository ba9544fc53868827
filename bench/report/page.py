"""What the page is made of: its material, and a `Section` - one module and one template for each part of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from bench.report import view
from bench.report.session import SessionView
from bench.report.view import ServerView
from bench.results import Manifest
from bench.summary import Summary


@dataclass(frozen=True, slots=True)
class Picture:
    """One chart as the page shows it; `svg` is markup made by bench, all else is text."""

    slug: str
    title: str
    reading: str
    svg: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """Where one run came from: its manifest, and its scenario as the person wrote it."""

    manifest: Manifest
    scenario: str


@dataclass(frozen=True)
class Page:
    """All that a section may show."""

    summary: Summary
    pictures: Sequence[Picture]
    sources: Sequence[Source]
    session: SessionView | None = None

    @cached_property
    def views(self) -> tuple[ServerView, ...]:
        """Every server, skipped and failed ones included."""
        return view.servers(self.summary)


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page: `templates/sections/<slug>.html.j2` shows, as `it`, the mapping that `values` gives.

    The template opens a `<section>` with a heading of the id `slug`. No mapping: the part is left out.
    """

    slug: str
    title: str
    values: Callable[[Page], Mapping[str, object] | None]
