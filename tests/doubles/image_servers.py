"""What the tests of kinds of an image have in their image: stand-ins for DeepDetect and for each part of Clipper.

Which one it is, its arguments tell, as they would tell the real programs. Standard library only.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import socket
import sys
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

LATE_EVERY = 4
"""Each so many queries of the Clipper stand-in get the default answer."""
_numbers = itertools.count()
_models: list[socket.socket] = []


def shares(photo: bytes) -> list[float]:
    """The right answer to a photo: three classes."""
    first = zlib.crc32(photo) % 50 / 100
    return [first, 0.9 - first, 0.1]


def deepdetect(asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """`POST /predict`, in the order of probability as DeepDetect has it."""
    lines = Path(sys.argv[sys.argv.index("-service_start_list") + 1]).read_text().splitlines()
    services = {name: json.loads(text) for _, name, text in (line.split(";", 2) for line in lines)}
    service = services.get(asked["service"])
    if service is None or not Path(service["model"]["repository"], "net.pt").is_file():
        return 404, {"status": {"code": 404, "msg": "Not Found", "dd_code": 1002, "dd_msg": "Service Not Found"}}
    found = shares(base64.b64decode(asked["data"][0], validate=True))
    order = sorted(range(len(found)), key=lambda number: -found[number])
    classes = [{"prob": found[number], "cat": str(number)} for number in order]
    head = {"method": "/predict", "time": time.monotonic(), "service": asked["service"]}
    return 200, {"status": {"code": 200, "msg": "OK"}, "head": head, "body": {"predictions": {"classes": classes}}}


def clipper(asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """`POST /classifier/predict`: the default while no model is there, and now and then."""
    number = next(_numbers)
    output = shares(base64.b64decode(asked["input"], validate=True))
    if not _models or (number > 0 and number % LATE_EVERY == 0):
        why = "No connected models found for query" if not _models else "Failed to retrieve a prediction response"
        return 200, {"query_id": number, "output": "late", "default": True, "default_explanation": why}
    return 200, {"query_id": number, "output": output, "default": False}


def management(_: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Everything is fine."""
    return 200, {"said": "Success!"}


def serve(port: int, answer: Any, end: bytes = b"") -> None:
    """HTTP on a port; `end` comes behind each reply, beyond its length."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                status, document = answer(json.loads(text))
            except (ValueError, KeyError) as failure:
                status, document = 400, {"error": "Json error", "cause": repr(failure)}
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body + end)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    ThreadingHTTPServer(("0.0.0.0", port), Handler).serve_forever()


def take_models() -> None:
    """Models connect to the query frontend, not the other way round."""
    with socket.create_server(("0.0.0.0", 7000)) as door:
        while True:
            _models.append(door.accept()[0])


def model() -> None:
    """Stays connected; asks again until somebody is there."""
    while True:
        try:
            with socket.create_connection((os.environ["CLIPPER_IP"], 7000)) as connection:
                connection.recv(1)
                return
        except ConnectionRefusedError:
            time.sleep(0.05)


def main() -> None:
    """Be what the arguments say."""
    if "-service_start_list" in sys.argv:
        serve(8080, deepdetect)
    elif "redis-server" in sys.argv:
        time.sleep(1000)
    elif any(argument.startswith("--prediction_cache_size") for argument in sys.argv):
        threading.Thread(target=take_models, daemon=True).start()
        serve(1337, clipper, end=b"\n")
    elif any(argument.startswith("--redis_ip") for argument in sys.argv):
        serve(1338, management, end=b"\n")
    else:
        model()


if __name__ == "__main__":
    main()
