"""Servers of one's own: started by any command, or standing somewhere; what goes wrong is said, secrets are kept."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.cli import main
from bench.errors import LaunchError
from bench.load.drive import Generator
from bench.load.driven import counts
from bench.measures.answers import expectation
from bench.profiles import Closed
from bench.server import known_kinds, load_kind
from bench.serving.launch import Running, running
from bench.serving.learned import first_answers
from tests.doubles.picky_server import picky_server
from tests.doubles.scripted_server import shares
from tests.driving import PHOTOS, drive, load_process

pytestmark = pytest.mark.integration

SCRIPTED = Path(__file__).parents[1] / "doubles" / "scripted_server.py"
SECRET = "s3cr3t-value-of-a-test"


def start(tmp_path: Path, kind: str, timeout: float = 30.0, **keys: Any) -> AbstractContextManager[Running]:
    server = load_kind(known_kinds()[kind])(**keys)
    return running(
        server,
        model=None,
        python=Path(sys.executable),
        cores=1,
        photos=PHOTOS,
        log=tmp_path / "server.log",
        start_timeout=timeout,
    )


def scripted(*words: str) -> str:
    return f"{sys.executable} {SCRIPTED} {{port}} {' '.join(words)}"


# ---------------------------------------------------------------- command


def test_any_command_is_a_server_once_it_answers(tmp_path: Path) -> None:
    with start(tmp_path, "command", run=scripted("error500", "ok*99")) as ready:
        assert ready.startup_seconds is not None
        assert len(ready.process.tree()) == 1
        right = first_answers(ready, [ready.wire.request(photo) for photo in PHOTOS])
    assert np.allclose(right.outputs, [shares(photo) for photo in PHOTOS])
    assert right.tolerance == pytest.approx(1e-3)
    assert "first answers" in right.basis


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("wrong*99",), "answers all photos alike"),
        (("ok", "ok", "ok", "wrong"), "asked the same twice, it answers differently"),
        (("ok", "error500"), "does not answer every photo readably: HTTP 500"),
    ],
)
def test_answers_that_no_check_could_rest_on_are_refused(words: tuple[str, ...], says: str, tmp_path: Path) -> None:
    with (
        pytest.raises(LaunchError, match=says),
        start(tmp_path, "command", run=scripted("ok", *words)) as ready,
    ):
        first_answers(ready, [ready.wire.request(photo) for photo in PHOTOS])


ELSEWHERE = "import http.server as h; h.HTTPServer(('127.0.0.1', 0), h.BaseHTTPRequestHandler).serve_forever()"
AWAY = "import os, time; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); time.sleep(60)"


@pytest.mark.parametrize(
    ("run", "timeout", "says"),
    [
        (("sh", "-c", "echo no model here; exit 7 # {port}"), 30.0, r"exit code 7\) before it was ready"),
        (("sleep", "{port}"), 0.4, "not ready after 0.4 s: nothing listens on its port"),
        ((sys.executable, "-c", ELSEWHERE, "{port}"), 1.5, r"it listens on port \d+ and was to listen on \d+"),
        ((sys.executable, "-c", AWAY, "{port}"), 30.0, "left a process behind: it goes on in the background"),
    ],
    ids=["exits at once", "never listens", "listens on another port", "forks away"],
)
def test_a_command_that_does_not_become_a_server_is_told_why(
    run: tuple[str, ...], timeout: float, says: str, tmp_path: Path
) -> None:
    with pytest.raises(LaunchError, match=says), start(tmp_path, "command", run=run, timeout=timeout):
        pass


def test_a_ready_path_is_waited_for_before_anything_real_is_asked(tmp_path: Path) -> None:
    with (
        pytest.raises(LaunchError, match="GET /healthz: HTTP 501"),
        start(
            tmp_path,
            "command",
            run=(sys.executable, "-c", ELSEWHERE.replace("0)", "{port})"), ""),
            ready="/healthz",
            timeout=1.0,
        ),
    ):
        pass


GUARDED = """
import http.server, sys
class Guarded(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == sys.argv[2] else 403)
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Guarded).serve_forever()
"""


@pytest.mark.parametrize(
    ("taken", "says"),
    [
        (f"/h?key={SECRET}", "HTTP 501"),  # of the real request, which this one does not take
        ("/h?key=another", r"GET /h\?key=\$\{BENCH_TEST_TOKEN\}: HTTP 403"),
    ],
)
def test_a_secret_in_a_ready_path_is_sent_and_told_by_its_name(
    taken: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_TEST_TOKEN", SECRET)
    run, ready = (sys.executable, "-c", GUARDED, "{port}", taken), "/h?key=${BENCH_TEST_TOKEN}"
    with (
        pytest.raises(LaunchError, match=says) as failure,
        start(tmp_path, "command", run=run, ready=ready, timeout=1.5),
    ):
        pass
    assert SECRET not in str(failure.value).partition("hint:")[0]
    assert ("GET" in failure.value.what) is ("another" in taken)


# ---------------------------------------------------------------- url


def test_a_server_that_stands_somewhere_is_asked_and_not_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_TEST_TOKEN", SECRET)
    headers = {"Authorization": "Bearer ${BENCH_TEST_TOKEN}"}
    with (
        picky_server(token=SECRET, busy=1) as there,
        start(tmp_path, "url", url=f"http://127.0.0.1:{there.server_port}", headers=headers) as ready,
    ):
        assert (ready.startup_seconds, ready.process.tree()) == (None, [])
        assert ready.process.alive()
        assert ready.url == f"http://127.0.0.1:{there.server_port}"
    assert len(there.seen) == 2, "who is busy is asked again"


@pytest.mark.parametrize(
    ("wants", "says"),
    [
        (
            {"status": 302, "location": f"https://me:{SECRET}@other.example/v2?key={SECRET}"},
            r"redirects \(HTTP 302\) to https://other.example/v2\?\.\.\.",
        ),
        ({"token": "another"}, r"asks for credentials \(HTTP 401\)\n.*the headers sent were: Authorization"),
        ({"status": 403}, r"asks for credentials \(HTTP 403\)"),
        ({"status": 404}, r"has no such API \(HTTP 404\)"),
        ({"status": 503}, r"asked for 0.1 s and is still busy, or nobody is behind it: HTTP 503"),
        ({"status": 500}, r"refuses the request: HTTP 500: .*no, Bearer \$\{BENCH_TEST_TOKEN\}"),
    ],
)
def test_a_url_that_refuses_is_told_why_without_a_secret(
    wants: dict[str, Any], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_TEST_TOKEN", SECRET)
    headers = {"Authorization": "Bearer ${BENCH_TEST_TOKEN}"}
    with (
        picky_server(**wants) as there,
        pytest.raises(LaunchError, match=says) as raised,
        start(tmp_path, "url", 0.1, url=f"http://127.0.0.1:{there.server_port}", headers=headers),
    ):
        pass
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:9", "nothing listens on port 9"),
        ("http://no-such-host.invalid", "nobody knows the host no-such-host.invalid"),
        ("https://127.0.0.1:PLAIN", "does not speak TLS"),
    ],
)
def test_a_url_that_is_not_there_is_told_so(url: str, says: str, tmp_path: Path) -> None:
    with (
        picky_server() as there,
        pytest.raises(LaunchError, match=says),
        start(tmp_path, "url", url=url.replace("PLAIN", str(there.server_port))),
    ):
        pass


def test_a_url_that_answers_something_else_is_told_what(tmp_path: Path) -> None:
    with (
        picky_server() as there,
        pytest.raises(LaunchError, match="not as its protocol says: the reply has no"),
        start(tmp_path, "url", url=f"http://127.0.0.1:{there.server_port}/x", protocol="tfserving-rest"),
    ):
        pass


# ---------------------------------------------------------------- load over TLS, and secrets under load


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate and key of `localhost`, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on PATH, and a certificate is made with it")
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    both = folder / "both.pem"
    both.write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    return both


def driven(load: Generator, ready: Running) -> tuple[dict[str, int], dict[int, set[bytes]], set[str]]:
    """How many requests came to what, the distinct replies by photo, and the errors."""
    requests = [ready.wire.request(photo) for photo in PHOTOS]
    right = expectation([np.array(shares(photo), dtype=np.float32) for photo in PHOTOS], 1e-3)
    result, samples = drive(
        load,
        ready.port,
        Closed(users=3, duration=0.5),
        warmup=0.1,
        host=ready.host,
        requests=requests,
        expected=right,
    )
    replies: dict[int, set[bytes]] = {}
    for payload, body in result.replies:
        replies.setdefault(payload, set()).add(body)
    return counts(samples), replies, set(samples.errors)


def test_load_goes_over_tls_and_keeps_its_connections_and_its_secret(
    tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("BENCH_TEST_TOKEN", SECRET)
    headers = {"Authorization": "Bearer ${BENCH_TEST_TOKEN}"}
    with (
        picky_server(token=SECRET, certificate=certificate) as there,
        start(tmp_path, "url", url=f"https://localhost:{there.server_port}", headers=headers) as ready,
        load_process() as load,
    ):
        assert ready.host == "tls:localhost"
        found, replies, errors = driven(load, ready)
        assert SECRET not in load.log.read_text()
    assert found["ok"] == found["scheduled"] > 10
    assert not errors
    assert {host for _, host in there.seen} == {f"localhost:{there.server_port}"}
    assert all(b'"you": "Bearer ${BENCH_TEST_TOKEN}"' in body for bodies in replies.values() for body in bodies)


def test_load_to_a_certificate_that_nobody_trusts_fails_and_says_so(
    tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with picky_server(certificate=certificate) as there:
        with (
            pytest.raises(LaunchError, match="certificate cannot be trusted: self-signed certificate"),
            start(tmp_path, "url", url=f"https://localhost:{there.server_port}"),
        ):
            pass
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with start(tmp_path, "url", url=f"https://localhost:{there.server_port}") as ready:
            monkeypatch.delenv("SSL_CERT_FILE")
            with load_process() as load:
                found, _, errors = driven(load, ready)
    assert found["ok"] == 0
    assert errors == {"TLS failed: self-signed certificate"}


def test_a_whole_run_leaves_the_secret_in_no_file_and_on_no_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BENCH_TEST_TOKEN", SECRET)
    monkeypatch.chdir(tmp_path)
    with picky_server(token=SECRET, fails_after=12) as kind, picky_server(token="another") as unkind:
        keys = 'headers: {Authorization: "Bearer ${BENCH_TEST_TOKEN}"}'
        Path("s.yaml").write_text(
            "load: [{profile: closed, users: 2, duration: 500ms}]\n"
            "warmup: {duration: 100ms, at_most: 100ms}\nservers:\n"
            f"  kind: {{kind: url, url: 'http://127.0.0.1:{kind.server_port}', {keys}}}\n"
            f"  unkind: {{kind: url, url: 'http://127.0.0.1:{unkind.server_port}', {keys}}}\n"
        )
        assert main(["run", "s.yaml"]) == 13, "one of them refuses"
    screen = capfd.readouterr()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"run.json", "report.html", "load.log", "samples.parquet"} <= {path.name for path in files}
    assert SECRET not in screen.out + screen.err
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
    summary = json.loads(next(path for path in files if path.name == "summary.json").read_text())
    refused = next(server for server in summary["servers"] if server["server"] == "unkind")
    assert "asks for credentials (HTTP 401)" in refused["reason"]
    row = next(row for row in summary["rows"] if row["server"] == "kind")
    assert 0 < row["ok"] < row["n"], "what fails under load repeats the secret, too"
    assert (row["cpu_seconds_per_request"], row["rss_peak_bytes"], row["startup_seconds"]) == (None, None, None)
    assert {"not-watched", "only-steady-answers"} <= {reason["id"] for reason in row["reasons"]}
