"""Programs that are no Python packages, fetched once from a Debian repository into the cache; no root, no dpkg.

What was fetched is checked by size and SHA-256 and has run once before it counts as installed. The checksums come
from the repository's index, which is trusted because it came over HTTPS: its OpenPGP signature is not checked.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import lzma
import platform
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bench.cache import Say, cache_folder, locked
from bench.errors import ArtifactError
from bench.programs import debian
from bench.units import bytes_text

if TYPE_CHECKING:  # it takes a tenth of a second to import, and looking at what is installed needs none of it
    import requests

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""What the kernel calls a machine -> what Debian does."""

CPUINFO = Path("/proc/cpuinfo")
_INDEX_NAMES = ("Packages.gz", "Packages.xz", "Packages")
_MOST_INDEX_BYTES = 64_000_000
_CHUNK = 1 << 18
_PROGRESS_SECONDS = 5.0
_TRY_SECONDS = 60.0
_RECORD = "package.json"


@dataclass(frozen=True, slots=True)
class Repository:
    """A Debian repository and how patient to be with it: seconds without an answer, or without a further byte."""

    address: str
    distribution: str = "stable"
    timeout: float = 30.0


def cpu_has(*flags: str) -> bool:
    """Whether this machine's CPU names all these features, such as `avx`."""
    try:
        found = next(line for line in CPUINFO.read_text().splitlines() if line.startswith("flags"))
    except (OSError, StopIteration):
        return False
    return set(flags) <= set(found.partition(":")[2].split())


def installed(package: str, program: str) -> tuple[Path, ...]:
    """Where a program of a package lies that was fetched earlier, the newest version first."""
    there = [file for file in (cache_folder() / "programs" / package).glob(f"*/{program}") if _whole(file)]
    return tuple(sorted(there, key=lambda file: debian.version_key(file.parent.name), reverse=True))


def install(repository: Repository, package: str, file: str, *, version: str | None, say: Say) -> Path:
    """Fetch a file such as `usr/bin/program` of a package into the cache; returns where it lies, able to run.

    The component has the package's name. Nothing is fetched, nor asked for, if the version is there already, or,
    where none is asked for, any version.
    Raises: ArtifactError for a repository that cannot be reached or read, a file that is not what the index says,
    and a program that does not run here.
    """
    program = Path(file).name
    for there in installed(package, program):
        if version in {None, there.parent.name}:
            return there
    _announce(repository, say)
    chosen = debian.choose(index(repository, package), package, version)
    target = cache_folder() / "programs" / package / _folder_name(chosen.version) / program
    with locked(target.parent.parent / "lock", say, package):
        if not _whole(target):
            try:
                _fetch(repository, chosen, file, target, say)
            except OSError as failure:
                raise ArtifactError(
                    f"{package} cannot be kept: {failure.strerror or failure}", where=str(target)
                ) from failure
    return target


def index(repository: Repository, component: str) -> tuple[debian.Package, ...]:
    """The packages of a component for this machine's architecture.   Raises: ArtifactError."""
    machine = platform.machine()
    folder = (
        f"{repository.address.rstrip('/')}/dists/{repository.distribution}/{component}"
        f"/binary-{ARCHITECTURES.get(machine, machine)}"
    )
    for name in _INDEX_NAMES:
        with _asking(f"{folder}/{name}", repository.timeout) as reply:
            if reply.status_code == 404:
                continue
            data = b"".join(_body(reply, _MOST_INDEX_BYTES))
        try:
            return debian.read_index(_unpacked(data).decode())
        except (OSError, EOFError, zlib.error, lzma.LZMAError, UnicodeDecodeError) as failure:
            raise ArtifactError(f"not an index of packages: {failure}", where=f"{folder}/{name}") from failure
        except ArtifactError as failure:
            raise ArtifactError(failure.what, where=f"{folder}/{name}") from failure
    raise ArtifactError(
        f"no index of packages there (component {component}, {machine})",
        where=folder,
        hint="is that the address of the repository itself?",
    )


def _announce(repository: Repository, say: Say) -> None:
    address = urlsplit(repository.address)
    if address.scheme == "http" and address.hostname not in {"127.0.0.1", "::1", "localhost"}:
        say(f"{repository.address} is not HTTPS: its checksums find damage, and do not find a forgery")


def _fetch(repository: Repository, package: debian.Package, file: str, target: Path, say: Say) -> None:
    """Fetch, check, unpack and try in a folder beside the final one, which then takes its place at once."""
    for left_over in target.parent.parent.glob(".fetching-*"):  # of one that was killed; we hold the lock
        shutil.rmtree(left_over, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=target.parent.parent) as name:
        scratch, made = Path(name) / "package.deb", Path(name) / "made"
        made.mkdir()
        address = _address(repository, package)
        _download(address, package, repository.timeout, scratch, say)
        debian.take_file(scratch, file, made / target.name)
        (made / target.name).chmod(0o755)
        _try(made / target.name, package)
        (made / _RECORD).write_text(json.dumps({**asdict(package), "address": address}, indent=2))
        shutil.rmtree(target.parent, ignore_errors=True)  # a program without its record, or the other way round
        made.rename(target.parent)
    say(f"{package.name} {package.version} is in {target.parent}")


def _address(repository: Repository, package: debian.Package) -> str:
    """Where the package lies; never outside the repository, whatever its index says."""
    parts = package.path.split("/")
    if "://" in package.path or parts[0] == "" or ".." in parts:
        raise ArtifactError(f"the index puts {package.name} outside the repository: {package.path}")
    return f"{repository.address.rstrip('/')}/{package.path.removeprefix('./')}"


def _download(address: str, package: debian.Package, timeout: float, target: Path, say: Say) -> None:
    """Write the package to a file.   Raises: ArtifactError if its size or SHA-256 is not that of the index."""
    say(f"fetching {package.name} {package.version}, {bytes_text(package.size_bytes)}, from {address}")
    digest, size, told_at = hashlib.sha256(), 0, time.monotonic()
    with _asking(address, timeout) as reply, target.open("wb") as out:
        if reply.status_code != 200:
            raise ArtifactError(f"the repository answers HTTP {reply.status_code}", where=address)
        for chunk in _body(reply, package.size_bytes):
            digest.update(chunk)
            out.write(chunk)
            size += len(chunk)
            if time.monotonic() - told_at > _PROGRESS_SECONDS:
                told_at = time.monotonic()
                say(f"{bytes_text(size)} of {bytes_text(package.size_bytes)}")
    again = "nothing was kept; a proxy may have changed it, or the repository is being updated: try again later"
    if size != package.size_bytes:
        raise ArtifactError(f"got {size} bytes where the index says {package.size_bytes}", where=address, hint=again)
    if digest.hexdigest() != package.sha256:
        raise ArtifactError(
            f"its SHA-256 is {digest.hexdigest()}, and the index says {package.sha256}", where=address, hint=again
        )


@contextlib.contextmanager
def _asking(address: str, timeout: float) -> Iterator[requests.Response]:
    """The reply to a GET, its body still to be read; trouble with the network is an ArtifactError."""
    import requests

    offline = "is there an internet connection? --repository names a mirror"
    try:
        with _first_answer(address, timeout) as reply:
            if address.startswith("https://") and not all(it.url.startswith("https://") for it in _hops(reply)):
                raise ArtifactError(f"it leads away from HTTPS, to {reply.url}", where=address)
            yield reply
    except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL, requests.exceptions.MissingSchema):
        raise ArtifactError("not an address that begins with https:// or http://", where=address) from None
    except requests.exceptions.SSLError as failure:
        raise ArtifactError(f"its certificate was refused: {failure}", where=address) from failure
    except requests.exceptions.Timeout as failure:
        raise ArtifactError(f"no answer within {timeout:g} s", where=address, hint=offline) from failure
    except requests.exceptions.ChunkedEncodingError as failure:
        raise ArtifactError("the connection broke off; nothing was kept", where=address, hint="try again") from failure
    except requests.exceptions.RequestException as failure:
        raise ArtifactError("cannot be reached", where=address, hint=offline) from failure


def _first_answer(address: str, timeout: float) -> requests.Response:
    """The head of the reply, within the time-out as a whole.

    requests gives each address of a host, and each redirect, a time-out of its own: where a firewall swallows
    everything, a host with sixteen addresses would take sixteen times as long.
    """
    import requests

    answers: queue.SimpleQueue[requests.Response | Exception] = queue.SimpleQueue()
    given_up = threading.Event()

    def ask() -> None:
        try:
            # "identity": the checksum is that of the file, not of what a server packed it into on the way
            reply = requests.get(address, stream=True, timeout=timeout, headers={"Accept-Encoding": "identity"})
            answers.put(reply)
            if given_up.is_set():
                reply.close()
        except Exception as failure:  # raised again where it can be caught
            answers.put(failure)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=timeout)
    except queue.Empty:
        given_up.set()
        raise requests.exceptions.Timeout from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _hops(reply: requests.Response) -> list[requests.Response]:
    return [*reply.history, reply]


def _body(reply: requests.Response, most: int) -> Iterator[bytes]:
    """The body in pieces, at most one byte more than `most` of it: enough to see that it is too long."""
    if reply.status_code != 200:
        raise ArtifactError(f"the repository answers HTTP {reply.status_code}", where=reply.url)
    left = most + 1
    for chunk in reply.iter_content(_CHUNK):
        yield chunk[:left]
        left -= len(chunk)
        if left <= 0:
            return


def _unpacked(data: bytes) -> bytes:
    """By what it begins with: a web server may have unpacked it already."""
    if data.startswith(b"\x1f\x8b"):
        return gzip.decompress(data)
    return lzma.decompress(data) if data.startswith(b"\xfd7zXZ") else data


def _try(program: Path, package: debian.Package) -> None:
    """Run `--version` once.   Raises: ArtifactError that says why it does not run here."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=_TRY_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise ArtifactError(f"{package.name} {package.version} cannot be run here: {failure}") from failure
    if done.returncode == 0:
        return
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
    ended = f"exit code {done.returncode}"
    hint = "its package may be built for a newer system: another --version, or Docker, may run"
    if done.returncode < 0:
        ended = f"killed by {signal.Signals(-done.returncode).name}"
    if done.returncode == -signal.SIGILL:
        hint = "it uses instructions that this CPU does not have"
    raise ArtifactError(
        f"{package.name} {package.version} does not run here ({ended}){''.join(f': {line}' for line in said)}",
        hint=hint,
    )


def _whole(program: Path) -> bool:
    return (program.parent / _RECORD).is_file() and shutil.which(str(program)) is not None


def _folder_name(version: str) -> str:
    """The version as the name of a folder; it came over the network."""
    name = "".join(character if character.isalnum() or character in ".+~-" else "_" for character in version)
    if not name.strip("."):
        raise ArtifactError(f"not a version: {version!r}")
    return name
