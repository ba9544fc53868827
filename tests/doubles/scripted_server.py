"""A server that misbehaves on purpose: `python scripted_server.py PORT BEHAVIOUR...`, one behaviour a request in turn.

Behaviours are words, `cold*30` is thirty of them, repeated from the first when they are used up. Standard library only.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import sys
import zlib
from collections.abc import Awaitable, Callable


def shares(photo: bytes) -> list[float]:
    """The right answer to a photo."""
    share = zlib.crc32(photo) % 90 / 100
    return [share, 1 - share]


def right(body: bytes) -> bytes:
    photo = base64.b64decode(json.loads(body)["image"])
    return json.dumps({"probabilities": shares(photo)}).encode()


def with_length(body: bytes, status: str = "200 OK", extra: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{extra}\r\n".encode() + body


async def ok(writer: asyncio.StreamWriter, body: bytes) -> bool:
    writer.write(with_length(right(body)))
    return True


async def slow(writer: asyncio.StreamWriter, body: bytes) -> bool:
    await asyncio.sleep(0.02)
    return await ok(writer, body)


async def wrong(writer: asyncio.StreamWriter, body: bytes) -> bool:
    writer.write(with_length(json.dumps({"probabilities": [0.05, 0.95]}).encode()))
    return True


async def garbage(writer: asyncio.StreamWriter, body: bytes) -> bool:
    writer.write(b"this is not HTTP\r\n\r\n")
    return False


async def error500(writer: asyncio.StreamWriter, body: bytes) -> bool:
    writer.write(with_length(b'{"error": "no"}', "500 Internal Server Error"))
    return True


async def drop(writer: asyncio.StreamWriter, body: bytes) -> bool:
    return False


async def early_close(writer: asyncio.StreamWriter, body: bytes) -> bool:
    writer.write(with_length(right(body))[:-5])
    return False


async def cold(writer: asyncio.StreamWriter, body: bytes) -> bool:
    await asyncio.sleep(0.1)
    return await ok(writer, body)


async def hang(writer: asyncio.StreamWriter, body: bytes) -> bool:
    await asyncio.sleep(3600)
    return False


async def chunked(writer: asyncio.StreamWriter, body: bytes) -> bool:
    reply = right(body)
    half = len(reply) // 2
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (reply[:half], reply[half:]))
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    return True


async def until_close(writer: asyncio.StreamWriter, body: bytes) -> bool:
    writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + right(body))
    return False


async def close_after(writer: asyncio.StreamWriter, body: bytes) -> bool:
    writer.write(with_length(right(body), extra="Connection: close\r\n"))
    return False


async def interim(writer: asyncio.StreamWriter, body: bytes) -> bool:
    writer.write(
        b"HTTP/1.1 100 Continue\r\n\r\n" + b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + with_length(right(body))
    )
    return True


async def split(writer: asyncio.StreamWriter, body: bytes) -> bool:
    for byte in with_length(right(body)):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.0005)
    return True


async def die(writer: asyncio.StreamWriter, body: bytes) -> bool:
    os._exit(3)


Behaviour = Callable[[asyncio.StreamWriter, bytes], Awaitable[bool]]
BEHAVIOURS: dict[str, Behaviour] = {
    function.__name__: function
    for function in (
        *(
            ok,
            slow,
            cold,
            wrong,
            garbage,
            error500,
            drop,
            early_close,
            hang,
            chunked,
            until_close,
            close_after,
            interim,
            split,
            die,
        ),
    )
}


async def serve(port: int, words: list[str]) -> None:
    counted = [word.partition("*") for word in words]
    turns = itertools.cycle([BEHAVIOURS[name] for name, _, count in counted for _ in range(int(count or 1))])

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            keep = True
            while keep:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length")
                )
                keep = await next(turns)(writer, await reader.readexactly(length))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2:]))
