"""What one trial asks of the load generator: files that the parent writes and the child reads.

Standard library only: the child imports this before anything else, and every import there is time before
the generator is ready.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

INPUTS = ("messages.json", "messages.bin", "schedule.f64")
"""Files of a job's folder that the parent writes; the last one only in open loop."""


@dataclass(frozen=True, slots=True)
class Message:
    """One prepared request: where it goes and its bytes; target and headers name secrets and do not hold them.

    `varies`, `fails` and `fails_as` are those of `protocols.ReplyRule`, empty where there is none.
    """

    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    method: str = "POST"
    varies: str = ""
    fails: str = ""
    fails_as: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One trial for one load process.

    `host` is a name, an address, or for gRPC `unix:PATH`, which needs no port.
    `folder` holds the prepared requests (`messages.json`, `messages.bin`) and, in open loop, `schedule.f64`
    (seconds since the trial began, ascending); the child writes `rows.bin` and `answers.bin` there. `users` is
    the number of users in closed loop and the most requests in flight in open loop. The warm-up lasts `warmup`
    seconds, and until latency is steady but no longer than `warmup_most`; the schedule is that of the longest one,
    and what is left of its warm-up is passed over once the window begins. Where several processes share
    a trial, this one's requests are number `first`, `first + step`, ... of all; the number decides the payload.
    """

    folder: str
    transport: Literal["http", "grpc"]
    host: str
    port: int
    open_loop: bool
    users: int
    warmup: float
    warmup_most: float
    duration: float
    timeout: float
    first: int = 0
    step: int = 1

    @property
    def path(self) -> Path:
        """The folder as a path."""
        return Path(self.folder)

    @property
    def seconds(self) -> float:
        """Length of the trial at most, without the wait for the last replies."""
        return self.warmup_most + self.duration


def encode_job(job: Job) -> bytes:
    """The job as one line of JSON."""
    return json.dumps(asdict(job)).encode() + b"\n"


def decode_job(line: bytes) -> Job:
    """The job of one line of JSON."""
    return Job(**json.loads(line))


def encode_jobs(jobs: Sequence[Job]) -> bytes:
    """The shares of one trial, one per load worker, as one line of JSON."""
    return json.dumps([asdict(job) for job in jobs]).encode() + b"\n"


def decode_jobs(line: bytes) -> list[Job]:
    """The shares of one line of JSON."""
    return [Job(**share) for share in json.loads(line)]


def write_messages(folder: Path, messages: Sequence[Message]) -> None:
    """Store the prepared requests, one per payload."""
    index = [
        {
            "method": m.method,
            "target": m.target,
            "headers": m.headers,
            "size_bytes": len(m.body),
            "rule": [m.varies, m.fails, m.fails_as],
        }
        for m in messages
    ]
    (folder / "messages.json").write_text(json.dumps(index))
    (folder / "messages.bin").write_bytes(b"".join(m.body for m in messages))


def read_messages(folder: Path) -> list[Message]:
    """The prepared requests."""
    blob = (folder / "messages.bin").read_bytes()
    messages, at = [], 0
    for entry in json.loads((folder / "messages.json").read_text()):
        end = at + entry["size_bytes"]
        headers = tuple((name, value) for name, value in entry["headers"])
        messages.append(Message(entry["target"], headers, blob[at:end], entry["method"], *entry["rule"]))
        at = end
    return messages


def write_schedule(folder: Path, send_times: Iterable[float]) -> int:
    """Store intended send times in seconds; how many there are."""
    times = array("d", send_times)
    (folder / "schedule.f64").write_bytes(times.tobytes())
    return len(times)


def read_schedule(folder: Path) -> array[float]:
    """Intended send times in seconds since the trial began."""
    times = array("d")
    times.frombytes((folder / "schedule.f64").read_bytes())
    return times
