"""How many requests per second clients reach: `python -m tests.benchmarks.clients [--rounds N] [--seconds S]`.

The server is alone on one core, the client alone on another; all clients send the same request with as many users,
one after the other, round after round, so that a machine that changes changes for all of them. Wanted: our
generator with every row recorded at least 4 times FastHttpUser and 0.3 times wrk; with gRPC 0.6 times a bare grpc.aio.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.load.drive import Generator
from bench.profiles import Closed
from bench.protocols import Request
from tests.benchmarks.page import Table, await_quiet, machine, percent, rate, show, watching
from tests.benchmarks.rivals import GRPC_BODY, GRPC_TARGET, HTTP_BODY, HTTP_TARGET, WARMUP
from tests.driving import ROOT, cores, drive, listening, load_process, on_core

USERS = 16
OURS = "bench, one worker, every row recorded"
FAST, WRK, AIO = "Locust FastHttpUser", "wrk", "grpc.aio alone"
_NGINX = """
worker_processes 1; daemon off; pid FOLDER/pid; error_log FOLDER/error.log;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000; client_body_temp_path FOLDER/body;
  server {
    listen 127.0.0.1:LISTEN backlog=4096;
    location / {
      default_type application/json;
      return 200 '{"probabilities": [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]}';
    }
  }
}
"""
_WRK_REQUEST = 'wrk.method = "POST"\nwrk.body = \'%s\'\nwrk.headers["Content-Type"] = "application/json"\n'
_QUIET = 0.05
"""Share of the machine that others may use in a round that counts without another."""
Side = Callable[[int, float], float]
"""Requests per second that a client reaches: port and seconds in."""


@dataclass(frozen=True, slots=True)
class Round:
    """Every side once: what others used of the machine meanwhile, and requests per second by side."""

    others: float
    reached: Mapping[str, float]


@contextlib.contextmanager
def nginx(core: int) -> Iterator[int]:
    """The port of an nginx with one worker process that answers everything alike."""
    with tempfile.TemporaryDirectory(prefix="bench-nginx-") as folder:
        script = (
            f"cd {folder} && sed 's,LISTEN,PORT,;s,FOLDER,{folder},g' template >conf && exec nginx -c {folder}/conf"
        )
        (Path(folder) / "template").write_text(_NGINX)
        with listening("sh", "-c", script, core=core) as port:
            yield port


def rival(name: str, *more: str) -> Side:
    """A client of `rivals.py` on the client's core."""

    def measure(port: int, seconds: float) -> float:
        return rival_says(name, port, USERS, seconds, *more)["rate"]

    return measure


def rival_says(name: str, port: int, users: int, seconds: float, *more: str) -> Mapping[str, float]:
    """What a client of `rivals.py` prints."""
    argv = [sys.executable, "-m", "tests.benchmarks.rivals", name, str(port), str(users), str(seconds), *more]
    done = subprocess.run(argv, cwd=ROOT, check=True, stdout=subprocess.PIPE, timeout=seconds + 60)
    said: dict[str, float] = json.loads(done.stdout)
    return said


def wrk(port: int, seconds: float) -> float:
    """wrk with one thread."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_WRK_REQUEST % HTTP_BODY.decode())
        script.flush()
        url = f"http://127.0.0.1:{port}{HTTP_TARGET}"
        argv = ["wrk", "-t1", f"-c{USERS}", f"-d{seconds + WARMUP:.0f}s", "--timeout", "10s", "-s", script.name, url]
        said = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=seconds + 60).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert found
    return float(found[1])


def ours(load: Generator, transport: str) -> Side:
    """Our generator in closed loop."""
    request = {
        "http": Request(HTTP_TARGET, HTTP_BODY, (("Content-Type", "application/json"),)),
        "grpc": Request(GRPC_TARGET, GRPC_BODY, ()),
    }[transport]

    def measure(port: int, seconds: float) -> float:
        point = Closed(users=USERS, duration=seconds)
        _, samples = drive(load, port, point, warmup=WARMUP, transport=transport, requests=[request])
        assert samples.ok.all()
        inside = (samples.done_at >= WARMUP) & (samples.done_at < WARMUP + seconds)
        return float(inside.sum()) / seconds

    return measure


def compare(sides: Mapping[str, Side], port: int, client_core: int, rounds: int, seconds: float) -> list[Round]:
    """The quietest rounds; there are more than asked for, up to three times as many, while others disturb them."""
    done: list[Round] = []
    while len(done) < 3 * rounds and sum(one.others <= _QUIET for one in done) < rounds:
        reached = {}
        await_quiet(4.0)
        with watching() as others:
            for name, measure in sides.items():
                with on_core(client_core):
                    reached[name] = measure(port, seconds)
        done.append(Round(others.share, reached))
    return sorted(done, key=lambda one: one.others)[:rounds]


def table(title: str, rounds: Sequence[Round], against: Mapping[str, float]) -> Table:
    """Medians and ranges; `against` says how many times which side ours has to be."""
    reached = {name: [one.reached[name] for one in rounds] for name in rounds[0].reached}
    middle = {name: median(rates) for name, rates in reached.items()}
    rows = [
        [name, rate(middle[name]), f"{rate(min(rates))} - {rate(max(rates))}", f"{middle[OURS] / middle[name]:.2f}"]
        for name, rates in reached.items()
    ]
    wanted = [
        f"Wanted: at least {least:g} x {name}. Reached: {middle[OURS] / middle[name]:.2f} x."
        for name, least in against.items()
    ]
    shares = ", ".join(percent(one.others) for one in rounds)
    noise = f"{USERS} users, the quietest {len(rounds)} rounds; others took {shares} in them."
    return Table(title, ("client", "requests/s, median", "range", "ours / this"), rows, [*wanted, noise])


def main() -> None:
    """Both comparisons, or the reason why there is none."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    asked = parser.parse_args()
    show(f"## Clients\n\n{machine()}\n")
    places = cores()
    if places is None:
        show("Skipped: client and server need a core each.")
        return
    client_core, server_core = places
    with load_process(client_core) as load:
        missing = [program for program in ("nginx", "wrk") if shutil.which(program) is None]
        if missing:
            show(f"HTTP skipped: no {' and no '.join(missing)}; apt-get install nginx wrk\n")
        else:
            http: dict[str, Side] = {
                WRK: wrk,
                "bare gevent sockets": rival("gevent_sockets"),
                OURS: ours(load, "http"),
                FAST: rival("locust_fast"),
                "Locust HttpUser": rival("locust_requests"),
            }
            with nginx(server_core) as port:
                done = compare(http, port, client_core, asked.rounds, asked.seconds)
            show(table("HTTP/1.1 against nginx", done, {FAST: 4, WRK: 0.3}))
        grpc: dict[str, Side] = {AIO: rival("grpc_aio"), OURS: ours(load, "grpc")}
        servers = {
            "gRPC, unary, against a grpc.aio server": ("-m", "tests.doubles.grpc_echo", "PORT"),
            "gRPC, unary, against a server that does less": (
                str(ROOT / "bench" / "running" / "null_server.py"),
                "PORT",
                "0",
                "grpc",
            ),
        }
        for title, argv in servers.items():
            with listening(sys.executable, *argv, core=server_core) as port:
                done = compare(grpc, port, client_core, asked.rounds, asked.seconds)
            show(table(title, done, {AIO: 0.6}))


if __name__ == "__main__":
    main()
