"""Programs are fetched from a Debian repository, which here is served on loopback, or are an error that says why."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import io
import lzma
import random
import socket
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import zstandard

from bench.cli import main
from bench.errors import ArtifactError
from bench.programs import install as module
from bench.programs.install import Repository, cpu_has, install, installed
from bench.server import known_kinds, load_kind

pytestmark = pytest.mark.integration

PACKAGE, FILE, PROGRAM = "tensorflow-model-server", "usr/bin/tensorflow_model_server", "tensorflow_model_server"
WORKS = b"#!/bin/sh\necho TensorFlow ModelServer: 2.20.0\n"


def tar(members: dict[str, bytes], packed: str = "xz") -> bytes:
    if packed == "zst":
        return zstandard.compress(tar(members, ""))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{packed}") as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def deb(data: bytes, suffix: str = ".xz") -> bytes:
    out = b"!<arch>\n"
    for name, content in (("debian-binary", b"2.0\n"), ("control.tar.gz", b"odd"), (f"data.tar{suffix}", data)):
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n"
        out += header.encode() + content + b"\n" * (len(content) % 2)
    return out


def good_deb(program: bytes = WORKS) -> bytes:
    return deb(tar({"./usr/": b"", f"./{FILE}": program}))


def stanza(content: bytes, version: str = "2.20.0", package: str = PACKAGE, **changes: object) -> str:
    fields = {
        "Package": package,
        "Version": version,
        "Architecture": "all",
        "Filename": f"pool/{package}_{version}_all.deb",
        "Size": len(content),
        "SHA256": hashlib.sha256(content).hexdigest(),
        "Description": "a server\n that goes on here",
    }
    return "".join(f"{name}: {value}\n" for name, value in (fields | changes).items() if value is not None)


@dataclass
class Web:
    """Files by path, served on loopback; `asked` is what was asked for, in order."""

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    silent: float = 0.0
    asked: list[str] = field(default_factory=list)

    @property
    def repository(self) -> Repository:
        return Repository(self.address, timeout=10.0)

    def put(self, content: bytes, version: str = "2.20.0", package: str = PACKAGE, **changes: object) -> None:
        path = f"/dists/stable/{package}/binary-amd64/Packages.gz"
        before = gzip.decompress(self.files[path]).decode() if path in self.files else ""
        self.files[path] = gzip.compress(f"{before}{stanza(content, version, package, **changes)}\n".encode())
        self.files[f"/pool/{package}_{version}_all.deb"] = content

    def index(self, content: bytes, name: str = "Packages") -> None:
        self.files[f"/dists/stable/{PACKAGE}/binary-amd64/{name}"] = content


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            time.sleep(served.silent)
            if self.path in served.redirects:
                self.send_response(302)
                self.send_header("Location", served.redirects[self.path])
                self.end_headers()
                return
            content = served.files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            with contextlib.suppress(OSError):  # a client that has had enough
                self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served = Web(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield served
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "programs" / PACKAGE


def fetch(web: Web, version: str | None = None) -> Path:
    return install(web.repository, PACKAGE, FILE, version=version, say=lambda _: None)


def left(cache: Path) -> list[str]:
    return sorted(str(file.relative_to(cache)) for file in cache.rglob("*") if file.name != "lock")


def test_a_package_is_fetched_checked_unpacked_and_able_to_run(web: Web, cache: Path) -> None:
    web.put(good_deb())
    said: list[str] = []
    program = install(web.repository, PACKAGE, FILE, version=None, say=said.append)
    assert program == cache / "2.20.0" / PROGRAM
    assert program.read_bytes() == WORKS
    assert program.stat().st_mode & 0o777 == 0o755
    assert installed(PACKAGE, PROGRAM) == (program,)
    assert left(cache) == ["2.20.0", "2.20.0/package.json", f"2.20.0/{PROGRAM}"]
    assert f"fetching {PACKAGE} 2.20.0" in said[0]


@pytest.mark.parametrize("asked", [None, "2.20.0"])
def test_what_is_there_already_is_not_even_asked_for(web: Web, asked: str | None) -> None:
    web.put(good_deb())
    first = fetch(web)
    web.asked.clear()
    assert fetch(web, asked) == first
    assert web.asked == []


def test_the_newest_release_is_taken_and_an_older_one_where_it_is_asked_for(web: Web, cache: Path) -> None:
    for version in ("2.9.0", "2.20.0", "2.21.0-rc1", "2.10.0"):
        web.put(good_deb(WORKS + b"# " + version.encode()), version)
    assert fetch(web).parent.name == "2.20.0"
    assert fetch(web, "2.9.0").read_bytes().endswith(b"2.9.0")
    assert [file.parent.name for file in installed(PACKAGE, PROGRAM)] == ["2.20.0", "2.9.0"]
    with pytest.raises(ArtifactError, match=r"no tensorflow-model-server 2\.8\.0") as raised:
        fetch(web, "2.8.0")
    assert "2.9.0, 2.10.0, 2.20.0" in raised.value.hint


def test_a_file_whose_checksum_differs_is_refused(web: Web, cache: Path) -> None:
    web.put(good_deb(), SHA256="0" * 64)
    with pytest.raises(ArtifactError, match="SHA-256"):
        fetch(web)
    assert left(cache) == []


@pytest.mark.parametrize("served", [lambda it: it[:-100], lambda it: it + b"more"])
def test_a_file_that_is_cut_short_or_too_long_is_refused(
    web: Web, cache: Path, served: Callable[[bytes], bytes]
) -> None:
    web.put(good_deb())
    web.files[f"/pool/{PACKAGE}_2.20.0_all.deb"] = served(good_deb())
    with pytest.raises(ArtifactError, match="bytes where the index says"):
        fetch(web)
    assert left(cache) == []


def test_an_index_without_the_package_names_what_is_missing(web: Web) -> None:
    web.index(stanza(good_deb(), package="other").encode())
    with pytest.raises(ArtifactError, match="no package tensorflow-model-server"):
        fetch(web)


def test_a_package_that_the_index_names_and_the_repository_lacks_is_an_error(web: Web) -> None:
    web.put(good_deb())
    del web.files[f"/pool/{PACKAGE}_2.20.0_all.deb"]
    with pytest.raises(ArtifactError, match="HTTP 404"):
        fetch(web)


@pytest.mark.parametrize(
    "content", [b"<html><body>Sign in to this network</body></html>", b"\x1f\x8bnot gzip", b"\xff"]
)
def test_an_index_that_is_none_is_an_error_with_its_address(web: Web, content: bytes) -> None:
    web.index(content)
    with pytest.raises(ArtifactError, match="not an index") as raised:
        fetch(web)
    assert raised.value.where.endswith("/Packages")


def test_an_address_that_is_no_repository_is_an_error(web: Web) -> None:
    with pytest.raises(ArtifactError, match="no index of packages") as raised:
        fetch(web)
    assert "address of the repository" in raised.value.hint


@pytest.mark.parametrize("pack", [lambda it: it, gzip.compress, lzma.compress])
def test_an_index_may_be_packed_or_not_whatever_its_name(web: Web, pack: Callable[[bytes], bytes]) -> None:
    web.put(good_deb())
    web.files = {path: it for path, it in web.files.items() if "Packages" not in path}
    web.index(pack(stanza(good_deb()).encode()), "Packages.gz")
    assert fetch(web).parent.name == "2.20.0"


def test_a_host_that_is_not_there_is_an_error_that_says_what_helps(web: Web) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, and nobody listens
        address = f"http://127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(ArtifactError, match="cannot be reached") as raised:
            install(Repository(address, timeout=5.0), PACKAGE, FILE, version=None, say=lambda _: None)
    assert "--repository" in raised.value.hint


def test_a_repository_that_does_not_answer_is_given_up(web: Web) -> None:
    web.put(good_deb())
    web.silent = 0.6
    with pytest.raises(ArtifactError, match=r"no answer within 0\.1 s"):
        install(Repository(web.address, timeout=0.1), PACKAGE, FILE, version=None, say=lambda _: None)


def test_the_time_for_an_answer_is_limited_as_a_whole(web: Web) -> None:
    index = f"/dists/stable/{PACKAGE}/binary-amd64/Packages.gz"
    web.redirects[index] = index  # each answer comes in time, and leads to the next
    web.silent = 0.2
    with pytest.raises(ArtifactError, match=r"no answer within 0\.5 s"):
        install(Repository(web.address, timeout=0.5), PACKAGE, FILE, version=None, say=lambda _: None)


@pytest.mark.parametrize("address", ["file:///etc", "ftp://127.0.0.1", "nothing", "http://"])
def test_only_web_addresses_are_repositories(address: str) -> None:
    with pytest.raises(ArtifactError, match="not an address that begins with https"):
        install(Repository(address), PACKAGE, FILE, version=None, say=lambda _: None)


def test_redirects_are_followed_and_never_to_a_file(web: Web) -> None:
    web.put(good_deb())
    index, moved = f"/dists/stable/{PACKAGE}/binary-amd64/Packages.gz", "/elsewhere/Packages.gz"
    web.files[moved] = web.files.pop(index)
    web.redirects[index] = f"file://{__file__}"
    with pytest.raises(ArtifactError, match="not an address"):
        fetch(web)
    web.redirects[index] = moved
    assert fetch(web).is_file()


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "http://127.0.0.1:1/evil.deb"])
def test_a_package_outside_the_repository_is_refused(web: Web, path: str) -> None:
    web.put(good_deb(), Filename=path)
    with pytest.raises(ArtifactError, match="outside the repository"):
        fetch(web)


def test_names_that_lead_out_of_a_package_are_written_nowhere(web: Web, cache: Path, tmp_path: Path) -> None:
    web.put(deb(tar({"../../../evil": b"x", "/evil": b"x", f"./{FILE}": WORKS})))
    assert fetch(web).read_bytes() == WORKS
    assert left(cache) == ["2.20.0", "2.20.0/package.json", f"2.20.0/{PROGRAM}"]
    assert [path.name for path in tmp_path.rglob("*evil*")] == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no package at all", "not a Debian package"),
        (b"!<arch>\n" + b"x" * 60, "holds no data.tar"),
        (deb(tar({f"../{FILE}": WORKS})), "holds no usr/bin"),
        (deb(tar({f"./{FILE}": random.Random(1).randbytes(9000)})[:4000]), "damaged"),
        (deb(b"noise" * 99), "damaged"),
        (deb(b"noise" * 99, ".zst"), "damaged"),
        (deb(tar({f"./{FILE}": random.Random(1).randbytes(9000)}, "zst")[:4000], ".zst"), "damaged"),
        (deb(b"", ".lz4"), "not known here"),
        (good_deb(b"#!/bin/sh\necho libX.so: no such file >&2; exit 127\n"), "exit code 127.*libX.so"),
        (good_deb(b"#!/bin/sh\nkill -ILL $$\n"), "killed by SIGILL"),
        (good_deb(b"\x7fELFnonsense"), "cannot be run here"),
    ],
)
def test_a_package_that_is_of_no_use_is_not_kept(web: Web, cache: Path, content: bytes, said: str) -> None:
    web.put(content)
    with pytest.raises(ArtifactError, match=said):
        fetch(web)
    assert left(cache) == []


@pytest.mark.parametrize(
    ("packed", "suffix"), [("gz", ".gz"), ("xz", ".xz"), ("bz2", ".bz2"), ("", ""), ("zst", ".zst")]
)
def test_packages_are_unpacked_however_they_were_packed(web: Web, packed: str, suffix: str) -> None:
    web.put(deb(tar({FILE: WORKS}, packed), suffix))
    assert fetch(web).read_bytes() == WORKS


def test_a_program_that_lost_its_record_is_fetched_again(web: Web, cache: Path) -> None:
    web.put(good_deb())
    fetch(web)
    (cache / "2.20.0" / "package.json").unlink()
    assert installed(PACKAGE, PROGRAM) == ()
    fetch(web)
    assert len(installed(PACKAGE, PROGRAM)) == 1


def test_what_a_killed_installation_left_is_cleared_away(web: Web, cache: Path) -> None:
    web.put(good_deb())
    (cache / ".fetching-old").mkdir(parents=True)
    fetch(web)
    assert left(cache) == ["2.20.0", "2.20.0/package.json", f"2.20.0/{PROGRAM}"]


def test_a_cache_that_cannot_be_written_is_an_error(web: Web, tmp_path: Path) -> None:
    web.put(good_deb())
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(ArtifactError, match="cache cannot be written"):
        fetch(web)


@pytest.mark.parametrize(
    ("text", "able"),
    [
        ("flags\t\t: fpu sse4_2 avx avx2\n", True),
        ("flags : fpu sse4_2 avx2\n", False),
        ("Features : asimd\n", False),
        (None, False),
    ],
)
def test_what_the_cpu_can_do_is_read_from_its_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, able: bool
) -> None:
    monkeypatch.setattr(module, "CPUINFO", tmp_path / "cpuinfo")
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    assert cpu_has("avx", "sse4_2") is able


def test_bench_install_fetches_what_tfserving_then_finds(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BENCH_TFSERVING_REPOSITORY", web.address)
    monkeypatch.delenv("BENCH_TFSERVING_BINARY", raising=False)
    monkeypatch.setenv("PATH", "/bin")
    monkeypatch.setattr(module, "CPUINFO", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text("flags : sse4_2\n")
    universal = f"{PACKAGE}-universal"
    web.put(good_deb(), package=universal)
    server = load_kind(known_kinds()["tfserving"])()
    assert server.missing() is not None
    assert main(["install", "tfserving"]) == 0
    program = tmp_path / "cache" / "programs" / universal / "2.20.0" / PROGRAM
    assert capsys.readouterr().out == f"{program}\n"
    assert server.missing() is None
    assert [source.text for source in server.sources() if source.ok] == [str(program)]


def test_bench_install_that_fails_is_exit_code_13(web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "tfserving", "--repository", web.address]) == 13
    assert "no index of packages there" in capsys.readouterr().err
