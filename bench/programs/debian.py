"""Debian repositories and packages, as far as taking one file out of one package needs; without dpkg.

It reads indexes and files that lie on disk. It knows nothing of networks, and nothing of what the file is for.
"""

from __future__ import annotations

import re
import shutil
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path
from typing import IO, Any

import zstandard

from bench.errors import ArtifactError

_AR_BEGINS = b"!<arch>\n"
_AR_HEADER = 60
_FIELDS = ("Version", "Filename", "Size", "SHA256")


@dataclass(frozen=True, slots=True)
class Package:
    """One package of an index; `path` is relative to the repository's address."""

    name: str
    version: str
    path: str
    size_bytes: int
    sha256: str


def read_index(text: str) -> tuple[Package, ...]:
    """Every package of a `Packages` index; none if it is empty.

    Raises: ArtifactError if it is no such index, or leaves out what a file is checked by.
    Source: https://wiki.debian.org/DebianRepository/Format
    """
    found = []
    for stanza in re.split(r"\n[ \t]*\n", text.strip()):
        fields = dict(re.findall(r"^([\w-]+):[ \t]*(.*?)[ \t]*$", stanza, re.MULTILINE))
        name = fields.get("Package")
        if not name:
            if stanza:
                raise ArtifactError(f"not an index of packages: it begins with {stanza[:40]!r}")
            continue
        absent = [field for field in _FIELDS if not fields.get(field)]
        if absent:
            raise ArtifactError(f"the index does not give {', '.join(absent)} of {name}")
        if not re.fullmatch(r"\d+", fields["Size"]) or not re.fullmatch(r"[0-9a-fA-F]{64}", fields["SHA256"]):
            raise ArtifactError(f"the index gives an unreadable Size or SHA256 of {name}")
        found.append(
            Package(name, fields["Version"], fields["Filename"], int(fields["Size"]), fields["SHA256"].lower())
        )
    return tuple(found)


def choose(packages: Iterable[Package], name: str, version: str | None = None) -> Package:
    """The newest release of a package, or the version that was asked for.

    Releases come before release candidates, whose versions have letters.
    Raises: ArtifactError that names what there is.
    """
    there = sorted((package for package in packages if package.name == name), key=lambda it: version_key(it.version))
    if not there:
        raise ArtifactError(f"the repository has no package {name}")
    if version is None:
        return ([package for package in there if not re.search("[a-z]", package.version)] or there)[-1]
    matching = [package for package in there if version in {package.version, _upstream(package.version)}]
    if not matching:
        raise ArtifactError(
            f"the repository has no {name} {version}",
            hint=f"it has {', '.join(dict.fromkeys(package.version for package in there))}",
        )
    return matching[-1]


def version_key(version: str) -> tuple[object, ...]:
    """Something that sorts as the versions do: 2.9.0 < 2.10.0~rc1 < 2.10.0 < 2.10.0-1 < 1:1.0.

    Source: Debian Policy Manual, 5.6.12.
    """
    epoch, _, rest = version.rpartition(":")
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return (int(epoch) if epoch.isdigit() else 0, _order(upstream), _order(revision))


def _order(text: str) -> tuple[object, ...]:
    def rank(character: str) -> int:
        if character == "~":
            return -1  # before even the end, which is 0
        return ord(character) if character.isalpha() else ord(character) + 256

    return tuple(((*map(rank, words), 0), int(number or 0)) for words, number in re.findall(r"([^0-9]*)([0-9]*)", text))


def _upstream(version: str) -> str:
    """The version without its epoch and Debian revision."""
    return re.sub(r"^\d+:|-[^-]*$", "", version)


def take_file(package: Path, name: str, target: Path) -> None:
    """Write one regular file of a .deb, `usr/bin/program`, to `target`; nothing else of the package is written.

    The archive's own names are compared and never used as paths.
    Raises: ArtifactError if it is no package, is damaged, or does not hold the file.
    """
    try:
        with package.open("rb") as file, _data(file, package) as archive:
            for member in archive:
                if member.name.removeprefix("./") == name:
                    content = archive.extractfile(member) if member.isreg() else None
                    if content is None:
                        raise ArtifactError(f"{name} is not a regular file in the package", where=package.name)
                    with target.open("wb") as out:
                        shutil.copyfileobj(content, out, 1 << 20)
                    return
    except (tarfile.TarError, LZMAError, zlib.error, zstandard.ZstdError, EOFError) as failure:
        raise ArtifactError(f"the package is damaged: {failure}", where=package.name) from failure
    raise ArtifactError(f"the package holds no {name}", where=package.name)


@contextmanager
def _data(file: IO[bytes], package: Path) -> Iterator[tarfile.TarFile]:
    """The archive `data.tar.*` inside the outer archive."""
    name, size = _data_member(file, package)
    part: Any = _Part(file, size)
    suffix = name.removeprefix("data.tar")
    if suffix == ".zst":
        part, suffix = zstandard.ZstdDecompressor().stream_reader(part, read_across_frames=True), ""
    if suffix not in {"", ".gz", ".xz", ".bz2"}:
        raise ArtifactError(f"the package is packed in a way that is not known here: {name}", where=package.name)
    with tarfile.open(fileobj=part, mode=f"r|{suffix.removeprefix('.')}") as archive:  # type: ignore[call-overload]
        yield archive


def _data_member(file: IO[bytes], package: Path) -> tuple[str, int]:
    """Name and bytes of `data.tar.*`; the file then stands at its first byte."""
    if file.read(len(_AR_BEGINS)) != _AR_BEGINS:
        raise ArtifactError("not a Debian package", where=package.name)
    while len(header := file.read(_AR_HEADER)) == _AR_HEADER:
        name, size = header[:16].decode("ascii", "replace").strip().rstrip("/"), header[48:58].strip()
        if not size.isdigit():
            break
        if name.startswith("data.tar"):
            return name, int(size)
        file.seek(int(size) + int(size) % 2, 1)  # members begin at even places
    raise ArtifactError("the package is damaged: it holds no data.tar", where=package.name)


class _Part:
    """So many bytes of a file from where it stands."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int = -1) -> bytes:
        found = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(found)
        return found
