"""What a run has to say so far: its manifest, a record for each server, and what was warned of.

Every stage of a run adds to it; nothing here decides what is done next.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from bench.results import Manifest, Outcome, RunFolder, ServerRecord
from bench.running.progress import Progress


class Ledger:
    """The part of a run that is written again and again while the run is being made."""

    def __init__(self, manifest: Manifest, folder: RunFolder, progress: Progress) -> None:
        self._manifest = manifest
        self._servers = {record.name: record for record in manifest.servers}
        self._warnings: list[str] = []
        self._folder = folder
        self._progress = progress

    @property
    def manifest(self) -> Manifest:
        """What is known of the run as a whole; its servers are as of the last `save`."""
        return self._manifest

    @property
    def servers(self) -> Mapping[str, ServerRecord]:
        """What is known of each server, by name."""
        return self._servers

    def note(self, **facts: object) -> None:
        """Enter facts of the run: fields of its manifest."""
        self._manifest = replace(self._manifest, **facts)  # type: ignore[arg-type]  # fields of a manifest

    def add(self, record: ServerRecord) -> None:
        """Enter a server that was not known when the run began."""
        self._servers[record.name] = record

    def know(self, name: str, **facts: object) -> None:
        """Enter facts of a server: fields of its record."""
        self._servers[name] = replace(self._servers[name], **facts)  # type: ignore[arg-type]  # fields of a record

    def measured(self, name: str) -> bool:
        """Whether something was measured of a server."""
        return self._servers[name].outcome is Outcome.OK

    @contextlib.contextmanager
    def apart(self) -> Iterator[None]:
        """Forget at the end what was entered of servers meanwhile."""
        known = dict(self._servers)
        try:
            yield
        finally:
            self._servers = known

    def warn(self, text: str) -> None:
        """Tell a person at once, and the report; the same words only once."""
        if text not in self._warnings:
            self._warnings.append(text)
            self._progress.warning(text)

    def save(self, hidden: Collection[str] = ()) -> None:
        """Write the manifest, without the servers whose names are hidden."""
        servers = tuple(record for name, record in self._servers.items() if name not in hidden)
        self.note(servers=servers, warnings=tuple(self._warnings))
        self._folder.save_manifest(self._manifest)
