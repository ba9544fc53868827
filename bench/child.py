"""A program run to its end as a child process, with a job in a file and files beside it; it ends when we do.

The programs build models and compute what they answer, so that the harness itself never imports what they need.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.cache import Say
from bench.errors import ArtifactError


def run_child(
    program: Path,
    job: dict[str, Any],
    folder: Path,
    files: Mapping[str, Sequence[bytes]],
    name: str,
    say: Say,
    python: Path | None = None,
) -> None:
    """Run a program on a job whose results go into `folder`, to its end or to ours.

    `files` lie where the job says under the same key, in their order. Without `python` it runs where the harness does.
    Raises: ArtifactError; the folder then keeps its log and nothing else.
    """
    log = folder / "build.log"
    try:
        with tempfile.TemporaryDirectory(prefix="job-", dir=folder) as job_folder:
            for key, group in files.items():
                job[key] = _write_files(group, Path(job_folder) / key)
            job_file = Path(job_folder) / "job.json"
            job_file.write_text(json.dumps(job | {"folder": str(folder), "parent": os.getpid()}))
            code = run_to_end(python, program, job_file, log, say)
        if code != 0:
            raise _child_error(code, folder, log, name)
    except OSError as failure:
        raise ArtifactError(f"building {name} failed: {failure}", where=str(folder)) from failure
    except ArtifactError:
        _keep_only(log)
        raise
    except BaseException:  # interrupted: nobody will read the log
        shutil.rmtree(folder, ignore_errors=True)
        raise


def last_lines(log: Path, count: int = 8) -> str:
    """The last lines of a log that say something, for the hint of an error; empty if it cannot be read."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join([line.rstrip() for line in lines if line.strip()][-count:])


def _write_files(contents: Sequence[bytes], folder: Path) -> list[str]:
    folder.mkdir()
    files = [folder / f"{number:05d}" for number in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    return [str(file) for file in files]


def run_to_end(python: Path | None, program: Path, job_file: Path, log: Path, say: Say) -> int:
    """The exit code of a program that says what it does line by line."""
    with started(python, program, job_file, log) as child:
        for sentence in child.stdout or ():
            say(sentence.rstrip())
        return child.wait()


@contextmanager
def started(
    python: Path | None, program: Path, job_file: Path, log: Path, *, asked: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """The program with its job, for as long as the block lasts; `asked`: it reads questions from its standard input.

    Its temporary files lie beside the job and go with it: TensorFlow writes Python files while it exports, which it
    only takes away when it ends by itself.
    """
    # -P: without it bench/ itself would come first on the child's path and its modules could stand for others.
    command = [str(python or sys.executable), "-P", str(program), str(job_file)]
    # No GPU: the reference must be float32 throughout and the same on every machine.
    env = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow"}
    if python is not None:
        env["PYTHONPATH"] = ""  # what is on it fits the harness's interpreter
    with (
        tempfile.TemporaryDirectory(prefix="tmp-", dir=job_file.parent) as scratch,
        log.open("wb") as words,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE if asked else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=words,
            env=env | {"TMPDIR": scratch},
            text=True,
            start_new_session=True,
        ) as child,
    ):
        try:
            yield child
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)


def ended_text(code: int) -> str:
    """`exit code 3`, or `killed by SIGKILL, the machine may have run out of memory`."""
    if code >= 0:
        return f"exit code {code}"
    more = ", the machine may have run out of memory" if code == -signal.SIGKILL else ""
    return f"killed by {signal.Signals(-code).name}{more}"


def _child_error(code: int, folder: Path, log: Path, name: str) -> ArtifactError:
    refused = folder / "failure.json"
    if code == 3 and refused.is_file():
        why = json.loads(refused.read_text())
        return ArtifactError(why["what"], hint=why["hint"])
    return ArtifactError(f"building {name} failed ({ended_text(code)})", where=str(log), hint=last_lines(log))


def _keep_only(log: Path) -> None:
    for entry in log.parent.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry != log:
            entry.unlink(missing_ok=True)
