"""Other clients, each a program of its own: `python -m tests.benchmarks.rivals CLIENT PORT USERS SECONDS [RATE]`.

A client sends the same request as ours as fast as its users get replies and prints one JSON object: `rate` is
requests per second over the last SECONDS, after one second to warm up. With RATE, `locust` keeps to that many
requests per second by Locust's own means, and `p50`, `p95` and `p99` are what Locust reports, in seconds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

HTTP_TARGET = "/predict"
HTTP_BODY = b'{"image": "b25l"}'
GRPC_TARGET = "/echo.Echo/Call"
GRPC_BODY = b"x" * 200
GRPC_OPTIONS = (("grpc.use_local_subchannel_pool", 1),)
WARMUP = 1.0
_HEADERS = {"Content-Type": "application/json"}


def gevent_sockets(port: int, users: int, seconds: float) -> dict[str, float]:
    """Sockets alone: a reply is whatever one recv returns."""
    import gevent.monkey

    gevent.monkey.patch_all()
    import socket
    import time

    import gevent

    head = f"POST {HTTP_TARGET} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(HTTP_BODY)}\r\n\r\n".encode() + HTTP_BODY
    done = 0

    def user() -> None:
        nonlocal done
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                connection.sendall(request)
                if not connection.recv(65536):
                    raise ConnectionResetError("the server closed the connection")
                done += 1

    greenlets = [gevent.spawn(user) for _ in range(users)]
    gevent.sleep(WARMUP)
    before, began_at = done, time.monotonic()
    gevent.sleep(seconds)
    reached = (done - before) / (time.monotonic() - began_at)
    assert not any(greenlet.dead for greenlet in greenlets)
    return {"rate": reached}


def locust_fast(port: int, users: int, seconds: float) -> dict[str, float]:
    """Locust with FastHttpUser."""
    return _locust("FastHttpUser", port, users, seconds, None)


def locust_requests(port: int, users: int, seconds: float) -> dict[str, float]:
    """Locust with HttpUser."""
    return _locust("HttpUser", port, users, seconds, None)


def locust(port: int, users: int, seconds: float, asked: float) -> dict[str, float]:
    """Locust as its documentation has it for a rate: FastHttpUser with constant_throughput."""
    return _locust("FastHttpUser", port, users, seconds, asked)


def _locust(kind: str, port: int, users: int, seconds: float, asked: float | None) -> dict[str, float]:
    import locust as engine  # isort: skip -- patches the standard library, so it comes before everything else
    import logging
    import time

    import gevent
    import locust.env

    logging.getLogger("locust").setLevel(logging.ERROR)  # it warns of every fast spawn

    class Caller(getattr(engine, kind)):  # type: ignore[misc]  # Locust carries no types
        host = f"http://127.0.0.1:{port}"
        wait_time = engine.constant_throughput(asked / users) if asked else engine.constant(0)

        @engine.task  # type: ignore[untyped-decorator]
        def call(self) -> None:
            self.client.post(HTTP_TARGET, data=HTTP_BODY, headers=_HEADERS)

    environment = engine.env.Environment(user_classes=[Caller])
    runner = environment.create_local_runner()
    runner.start(users, spawn_rate=users)
    gevent.sleep(WARMUP)
    environment.stats.clear_all()
    began_at = time.monotonic()
    gevent.sleep(seconds)
    total = environment.stats.total
    took = time.monotonic() - began_at
    assert total.num_failures == 0, dict(environment.stats.errors)
    said = {f"p{share * 100:g}": total.get_response_time_percentile(share) / 1e3 for share in (0.5, 0.95, 0.99)}
    return {"rate": total.num_requests / took, **said}


def grpc_aio(port: int, users: int, seconds: float) -> dict[str, float]:
    """grpc.aio alone on one channel, bytes in and bytes out."""
    import asyncio
    import time

    import grpc.aio

    done = 0

    async def user(call: Any) -> None:
        nonlocal done
        while True:
            await call(GRPC_BODY)
            done += 1

    async def measure() -> float:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=GRPC_OPTIONS) as channel:
            call = channel.unary_unary(GRPC_TARGET, None, None)
            tasks = [asyncio.create_task(user(call)) for _ in range(users)]
            await asyncio.sleep(WARMUP)
            before, began_at = done, time.monotonic()
            await asyncio.sleep(seconds)
            reached = (done - before) / (time.monotonic() - began_at)
            assert not any(task.done() for task in tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            return reached

    return {"rate": asyncio.run(measure())}


CLIENTS: dict[str, Callable[..., dict[str, float]]] = {
    client.__name__: client for client in (gevent_sockets, locust_fast, locust_requests, locust, grpc_aio)
}


def main(client: str, port: str, users: str, seconds: str, *asked: str) -> None:
    """Run one client and say what it reached."""
    reached = CLIENTS[client](int(port), int(users), float(seconds), *map(float, asked))
    sys.stdout.write(json.dumps(reached) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
