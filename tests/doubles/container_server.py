"""What the Docker tests have in their image as `tensorflow_model_server`: constant answers, and what it sees around it.

Standard library only, since nothing else is in that image.
"""

from __future__ import annotations

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FLAGS = dict(argument.removeprefix("--").partition("=")[::2] for argument in sys.argv[1:])
MODEL = Path(FLAGS.get("model_base_path", "/nowhere"))


def around() -> dict[str, object]:
    """What the container lets it see and do."""
    return {
        "cores": sorted(os.sched_getaffinity(0)),
        "memory": next((int(it) for it in map(_limit, ("memory.max", "memory/memory.limit_in_bytes")) if it), 0),
        "user": os.getuid(),
        "folder": str(Path.cwd()),
        "model": sorted(path.name for path in MODEL.glob("*")),
        "model_can_be_written": _can_write(MODEL),
        "folder_can_be_written": _can_write(Path.cwd()),
        "environment": dict(os.environ),
    }


def _limit(name: str) -> str:
    file = Path("/sys/fs/cgroup", name)
    text = file.read_text().strip() if file.is_file() else ""
    return text if text.isdigit() else ""


def _can_write(folder: Path) -> bool:
    try:
        (folder / "written").write_text("")
    except OSError:
        return False
    return True


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(around())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer({"predictions": [[0.25, 0.75]]})

    def _answer(self, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet: the log is part of what is tested."""


def main() -> int:
    """Do what the flags say."""
    if "version" in FLAGS:
        sys.stdout.write("TensorFlow ModelServer: 0.0.0-container-double\nTensorFlow Library: none\n")
        return 0
    if "help" in FLAGS:
        sys.stdout.write('Flags:\n\t--eat=""\tstring\n\t--exit=0\tint32\n\t--num_load_threads=0\tint32\n')
        return 255
    sys.stderr.write("the container double is up\n")
    if "exit" in FLAGS:
        return int(FLAGS["exit"])
    if "eat" in FLAGS:
        eaten = []
        while True:
            eaten.append(bytearray(os.urandom(1 << 20) * 8))
            time.sleep(0.01)
    host = FLAGS.get("host", "0.0.0.0")
    ThreadingHTTPServer((host, int(FLAGS["rest_api_port"])), _Handler).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
