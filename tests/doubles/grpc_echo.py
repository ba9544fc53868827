"""A gRPC server that answers every call with the bytes it got: `python grpc_echo.py PORT`.  grpc.aio on the C core."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any

import grpc
import grpc.aio

TARGET = "/echo.Echo/Call"


class _Everything(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc carries no types
    """One unary handler for every method, on raw bytes."""

    def __init__(self) -> None:
        async def echo(request: bytes, _context: Any) -> bytes:
            return request

        self._handler = grpc.unary_unary_rpc_method_handler(echo)

    def service(self, handler_call_details: Any) -> Any:
        return self._handler


async def serve(port: int) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Everything(),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    gc.freeze()
    gc.disable()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
