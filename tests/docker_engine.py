"""A Docker engine for tests, the one that runs or one of our own, and an image with a small server in it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.programs.docker import LABEL, Engine, find_engine
from bench.serving.guarded import guarded

IMAGE = "tensorflow/serving:0.0.0-test"
SERVER = Path(__file__).parent / "doubles" / "container_server.py"
PROGRAM = "usr/bin/tensorflow_model_server"
"""Where the double lies in its image."""
_START_SECONDS = 30.0
_LEFT_OUT = re.compile(
    r"/(test|tests|site-packages|dist-packages|idlelib|tkinter|turtledemo|ensurepip|lib2to3|pydoc_data|__pycache__|config-[^/]*)(/|$)"
)


@contextlib.contextmanager
def an_engine() -> Iterator[None]:
    """An engine that answers for as long as the block lasts; the test is skipped, with the reason, where none can."""
    found = find_engine()
    if isinstance(found, Engine):
        yield
        return
    dockerd = shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if shutil.which("docker") is None or dockerd is None or os.getuid() != 0:
        pytest.skip(f"Docker: {found.reason}; starting an engine takes docker, dockerd and root")
    with tempfile.TemporaryDirectory(prefix="bench-dockerd-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        cleaning = contextlib.ExitStack()
        # dockerd leaves this one mounted, and the folder could not be removed
        cleaning.callback(subprocess.run, ["umount", f"{folder}/exec/netns/default"], stderr=subprocess.DEVNULL)
        argv = [dockerd, "--host", f"unix://{folder}/docker.sock", "--data-root", f"{folder}/data"]
        argv += ["--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid"]
        with (
            cleaning,
            pytest.MonkeyPatch.context() as patch,
            (folder / "log").open("wb") as words,
            guarded(argv, stdout=words, stderr=words, grace=20.0) as process,
        ):
            patch.setenv("DOCKER_HOST", f"unix://{folder}/docker.sock")
            deadline = time.monotonic() + _START_SECONDS
            while not isinstance(find_engine(), Engine):
                if not process.alive() or time.monotonic() > deadline:
                    last = (folder / "log").read_text(errors="replace").splitlines()[-1:]
                    pytest.skip(f"dockerd does not start here: {' '.join(last)}")
                time.sleep(0.1)
            yield


@contextlib.contextmanager
def an_image(name: str = IMAGE, server: Path = SERVER, *, entry: bool = False) -> Iterator[str]:
    """A test image, made of this interpreter and a double; removed afterwards. With `entry` it runs by itself."""
    with tempfile.TemporaryDirectory(prefix="bench-image-") as folder:
        root = Path(folder) / "root.tar"
        _write_root(root, server)
        change = [f'--change=ENTRYPOINT ["/{PROGRAM}"]'] if entry else []
        docker("import", *change, str(root), name)
    try:
        yield name
    finally:
        docker("image", "rm", "--force", name)


def docker(*arguments: str) -> str:
    """What docker prints.   Raises: CalledProcessError."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.strip()


def containers() -> list[str]:
    """Names of all containers of ours, also of those that have ended."""
    return docker("ps", "--all", "--filter", f"label={LABEL}", "--format", "{{.Names}}").split()


def _write_root(target: Path, double: Path) -> None:
    """A root file system with Python's interpreter, its standard library, the libraries they need, and the server."""
    python = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
    library = Path(sysconfig.get_path("stdlib"))
    needed = {name for file in [python, *library.glob("lib-dynload/*.so")] for name in _shared_libraries(file)}
    with tempfile.TemporaryDirectory(prefix="bench-image-") as folder, tarfile.open(target, "w") as root:
        server = Path(folder) / "tensorflow_model_server"
        server.write_text(f"#!{python} -S\n{double.read_text()}")
        server.chmod(0o755)
        root.add(server, PROGRAM)
        root.add(python, str(python).lstrip("/"))
        root.add(library, str(library).lstrip("/"), filter=lambda it: None if _LEFT_OUT.search(it.name) else it)
        for name in sorted(needed):
            root.add(Path(name).resolve(), name.lstrip("/"))


def _shared_libraries(file: Path) -> list[str]:
    listed = subprocess.run(["ldd", file], capture_output=True, text=True, timeout=60).stdout
    return re.findall(r"(/\S+) \(0x", listed)
