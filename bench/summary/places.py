"""Reasons of a run without the place where it lay: a log is named from the run's folder, which people move."""

from __future__ import annotations

import re
from dataclasses import replace

from bench.results import Run


def told_from_its_folder(run: Run) -> Run:
    """The run, its reasons naming files of its folder from there: `trials/003/server.log: ...`."""
    servers = tuple(
        replace(one, reason=from_folder(one.reason, run)) if one.reason else one for one in run.manifest.servers
    )
    trials, tried = (
        tuple(replace(one, reason=from_folder(one.reason, run)) if one.reason else one for one in group)
        for group in (run.trials, run.tried)
    )
    return replace(run, manifest=replace(run.manifest, servers=servers), trials=trials, tried=tried)


def from_folder(text: str, run: Run) -> str:
    """The text without the path of the run's folder, where it lies now and where it lay when it was measured."""
    near = text.replace(f"{run.folder.resolve()}/", "")
    measured = rf"(?<![^\s(\"'])[^\s(\"']*/{re.escape(run.manifest.run_id)}/(?=\w)"
    return re.sub(measured, "", near)
