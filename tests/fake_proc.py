"""Processes in a folder, as /proc shows them."""

from __future__ import annotations

import os
from pathlib import Path

TICKS, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


def process(
    root: Path,
    pid: int,
    *,
    cpu: float = 1.0,
    pages: int = 10,
    started: int = 5,
    state: str = "S",
    pss_kb: int | None = 30,
    threads: dict[int, tuple[int, int]] | None = None,
) -> None:
    """A process as /proc shows it; its name tries to be taken for the end of the name."""
    folder = root / str(pid)
    fields = [state, "1", *["0"] * 9, str(round(cpu * TICKS)), "0", *["0"] * 6, str(started), "0", str(pages), "0"]
    (folder / "task").mkdir(parents=True, exist_ok=True)
    (folder / "stat").write_text(f"{pid} (a) S 9 (x)) {' '.join(fields)}\n")
    if pss_kb is not None:
        (folder / "smaps_rollup").write_text(
            f"00-ff ---p [rollup]\nRss: 99 kB\nPss:      {pss_kb} kB\nPss_Anon: 1 kB\n"
        )
    for thread, (voluntary, involuntary) in (threads or {pid: (3, 4)}).items():
        (folder / "task" / str(thread)).mkdir(exist_ok=True)
        (folder / "task" / str(thread) / "status").write_text(
            f"Name:\tx\nvoluntary_ctxt_switches:\t{voluntary}\nnonvoluntary_ctxt_switches:\t{involuntary}\n"
        )


def gone(root: Path, pid: int) -> None:
    for path in sorted((root / str(pid)).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (root / str(pid)).rmdir()
