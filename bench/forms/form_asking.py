"""One process for each way of computing the model, which holds its form in memory and answers when it is asked.

`ask_form.py` is what runs there. What it costs to hold a form is measured inside it, and several that run at once can
be asked in turn. This module knows nothing of how forms are made or where they are kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from bench.child import ended_text, last_lines, started
from bench.forms.engines import programs_folder

PROGRAM = Path(__file__).with_name("ask_form.py")
ASKED_AT_MOST = 200
"""At most so many photos: `model.predict` takes its time for each, and the share settles long before."""
ANSWERS_A_TURN = 3
ROUNDS_A_SENTENCE = 5


@dataclass(frozen=True, slots=True)
class Question:
    """What one process holds: a file; by which engine, in which precision, on which cores, with how many threads."""

    name: str
    file: Path
    engine: str
    precision: str
    cores: tuple[int, ...]
    threads: int


@dataclass(frozen=True, slots=True)
class Held:
    """What it took to hold a form, in bytes and seconds; or why it is not held.

    `memory_bytes` is by how much the process's resident memory grew from before the form was loaded, its runtime
    imported already, until it had answered once, in `load_seconds`; `process_bytes` is all of it then.
    """

    memory_bytes: int | None = None
    process_bytes: int | None = None
    load_seconds: float | None = None
    failure: str = ""


class Asked:
    """A process that holds a form; `held` says what that took."""

    def __init__(self, child: subprocess.Popen[str], log: Path) -> None:
        self._child = child
        self._log = log
        self.held = self._first()

    def _first(self) -> Held:
        said = self._said()
        return Held(**said) if said else Held(failure=self._ended())

    def _said(self) -> dict[str, Any]:
        """One line of it; empty if it has ended."""
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        return json.loads(line) if line else {}

    def _ended(self) -> str:
        code = self._child.wait()
        if code < 0:
            return f"its process was {ended_text(code)}"
        return f"its process ended with {ended_text(code)}: {last_lines(self._log, 1)}"

    def turn(self, count: int = ANSWERS_A_TURN) -> tuple[float, ...]:
        """Seconds of each of `count` answers, one by one; none if the process is gone."""
        assert self._child.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.write(f"{count}\n")
            self._child.stdin.flush()
            return tuple(self._said().get("seconds", ()))
        return ()


@contextlib.contextmanager
def asked(python: Path, question: Question, images: Path, scratch: Path, outputs: Path | None) -> Iterator[Asked]:
    """The process, with its form loaded, for as long as the block lasts.

    It writes what it answers to `outputs`, float32 (photos, classes), of the first ASKED_AT_MOST photos of `images`.
    """
    log, job_file = scratch / f"{question.name}.log", scratch / f"{question.name}.json"
    job = {
        "parent": os.getpid(),
        "images": str(images),
        "at_most": ASKED_AT_MOST,
        "programs": str(programs_folder()),
        "file": str(question.file),
        "engine": question.engine,
        "precision": question.precision,
        "cores": question.cores,
        "threads": question.threads,
        "outputs": None if outputs is None else str(outputs),
    }
    job_file.write_text(json.dumps(job))
    with started(python, PROGRAM, job_file, log, asked=True) as child:
        yield Asked(child, log)


def in_turn(
    held: Mapping[str, Asked], rounds: int, seed: int, say: Callable[[str], None]
) -> Mapping[str, Sequence[float]]:
    """Seconds of all answers of each, in rounds in which every one is asked, in a seeded order that changes.

    One at a time, so that whatever else disturbs the machine disturbs all of them alike.
    """
    rng = Random(seed)
    seconds: dict[str, list[float]] = {name: [] for name in held}
    for number in range(rounds):
        if number % ROUNDS_A_SENTENCE == 0:
            say(f"asking {len(held)} forms in turn, {number} of {rounds} rounds done")
        for name in rng.sample(sorted(held), len(held)):
            seconds[name] += held[name].turn()
    return seconds
