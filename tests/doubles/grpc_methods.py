"""A gRPC server whose methods behave in known ways, on gRPC's own C core: `python grpc_methods.py PORT [UNIX_SOCKET]`.

Echo answers with what it got, Grow with ten million times the first byte, Abort with RESOURCE_EXHAUSTED, Hang not at
all, Header with the metadata that it got under `x-known`, Deadline with the seconds that the client leaves it.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import grpc
import grpc.aio

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


async def echo(request: bytes, _context: Any) -> bytes:
    """The same bytes."""
    return request


async def grow(request: bytes, _context: Any) -> bytes:
    """A large answer."""
    return request[:1] * 10_000_000


async def abort(_request: bytes, context: Any) -> bytes:
    """A refusal that has a text."""
    await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "queue is full: 100 % of größe\nsecond line")
    return b""


async def hang(_request: bytes, _context: Any) -> bytes:
    """Nothing, for longer than anybody waits."""
    await asyncio.sleep(60)
    return b""


async def header(_request: bytes, context: Any) -> bytes:
    """What came under `x-known`."""
    return str(dict(context.invocation_metadata())["x-known"]).encode()


async def deadline(_request: bytes, context: Any) -> bytes:
    """Seconds that are left."""
    return str(context.time_remaining()).encode()


METHODS = {"Echo": echo, "Grow": grow, "Abort": abort, "Hang": hang, "Header": header, "Deadline": deadline}


class _Known(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc carries no types
    """Raw bytes in and out; a method that nobody knows is UNIMPLEMENTED."""

    def service(self, handler_call_details: Any) -> Any:
        method = METHODS.get(handler_call_details.method.rpartition("/")[2])
        return None if method is None else grpc.unary_unary_rpc_method_handler(method)


async def serve(port: int, socket: str | None) -> None:
    """Until it is killed."""
    server = grpc.aio.server(options=UNLIMITED)
    server.add_generic_rpc_handlers((_Known(),))
    if socket is not None:
        server.add_insecure_port(f"unix:{socket}")
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None))
