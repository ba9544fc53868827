"""Keys of the kinds for a server of one's own: what they mean, what is refused, and that secrets stay names."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench.errors import LaunchError, ScenarioError
from bench.scenario.scenario import Scenario, check_files, load_scenario
from bench.server import Place, Server

HEAD = "load: [{profile: closed, users: 1, duration: 1s}]\nservers:\n"


def scenario(folder: Path, keys: str) -> Scenario:
    path = folder / "s.yaml"
    path.write_text(f"{HEAD}  mine: {keys}\n")
    return load_scenario(path)


def server(folder: Path, keys: str) -> Server:
    return scenario(folder, keys).server("mine").server


def place(folder: Path) -> Place:
    return Place("127.0.0.1", (20123,), None, folder / "scratch", Path(sys.executable), 2, 8)


def test_placeholders_and_variables_of_a_command_are_filled_in_at_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "s3cr3t-value")
    kind = server(
        tmp_path,
        "{kind: command, run: './serve --at {host}:{port} --name \"a b\" --tag {{x}} -t {cores} -q {in_flight}', "
        'env: {API_KEY: "${API_KEY}", SCRATCH: "{folder}"}}',
    )
    command = kind.command(place(tmp_path))
    tail = ("--at", "127.0.0.1:20123", "--name", "a b", "--tag", "{x}", "-t", "2", "-q", "8")
    assert command.argv == (str(tmp_path / "serve"), *tail)
    assert command.env == {"API_KEY": "s3cr3t-value", "SCRATCH": str(tmp_path / "scratch")}
    assert command.cwd == tmp_path


def test_no_value_of_a_variable_is_in_what_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "s3cr3t-value")
    keys = 'url: "https://u.example/p?key=${API_KEY}", headers: {Authorization: "Bearer ${API_KEY}"}'
    found = scenario(tmp_path, f"{{kind: url, {keys}}}")
    entry = found.server("mine")
    request = entry.server.wire(place(tmp_path)).request(b"photo")
    recorded = json.dumps([found.resolved(), entry.options, entry.server.version(place(tmp_path)), repr(request)])
    assert "s3cr3t-value" not in recorded
    assert recorded.count("${API_KEY}") >= 4


@pytest.mark.parametrize("kind", ["command, run: 'true {port}'", "url, url: 'http://h'", "docker, image: i, port: 1"])
def test_a_variable_that_is_not_set_keeps_a_server_out_and_is_named(kind: str, tmp_path: Path) -> None:
    lack = server(tmp_path, f"{{kind: {kind}, headers: {{X-Api-Key: '${{BENCH_NO_SUCH}}'}}}}").missing()
    assert lack is not None
    assert "BENCH_NO_SUCH" in lack.reason or "Docker" in lack.reason


def test_a_program_that_is_not_there_keeps_a_command_out(tmp_path: Path) -> None:
    lack = server(tmp_path, "{kind: command, run: 'no-such-program-anywhere {port}'}").missing()
    assert lack is not None
    assert "no-such-program-anywhere" in lack.reason


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("{kind: command}", "'run' is missing"),
        ("{kind: command, run: ''}", "'run' is empty"),
        ("{kind: command, run: 'app.py'}", "the port is chosen anew"),
        ("{kind: command, run: 'app.py {prot}'}", "unknown placeholder {prot}"),
        ("{kind: command, run: 'app.py {port} \"x'}", "cannot be taken apart"),
        ("{kind: command, run: 'a {port}', cwd: nowhere}", "no such file"),
        ("{kind: command, run: 'a {port}', ready: healthz}", "'ready' is a path"),
        ("{kind: command, run: 'a {port}', model_form: h5}", "nothing names {model}"),
        ("{kind: command, run: 'a {port}', protocol: soap}", "must be one of"),
        ("{kind: command, run: 'a {port}', request: {body: jpeg}}", "'request' and 'response' go together"),
        (
            "{kind: command, run: 'a {port}', protocol: plain, request: {body: jpeg}, response: {probabilities: p}}",
            "not both",
        ),
        ("{kind: command, run: 'a {port}', request: {body: {a: b}}, response: {probabilities: p}}", "no place for"),
        ("{kind: command, run: 'a {port}', request: {path: x}, response: {probabilities: p}}", "begin with '/'"),
        ("{kind: command, run: 'a {port}', request: {body: jpeg}, response: {probabilities: 'a['}}", "not a JSON path"),
        ("{kind: command, run: 'a {port}', request: {bodi: 1}, response: {probabilities: p}}", "did you mean 'body'"),
        ("{kind: command, run: 'a {port}', env: {HF_TOKEN: abcdef}}", "looks like a credential"),
        ("{kind: command, run: 'a {port}', ready: '/h?token=hunter2x'}", "token in 'ready' looks like a credential"),
        ("{kind: command, run: 'a {port}', ready: '/h h'}", "'ready' holds a space"),
        (
            "{kind: url, url: 'http://h', request: {path: '/?key=hunter2x', body: jpeg}, response: {probabilities: p}}",
            "key in 'request.path' looks like a credential",
        ),
        ("{kind: docker}", "'image' is missing"),
        ("{kind: docker, image: i}", "where does it listen"),
        ("{kind: docker, image: i, port: 80, cpuset: all}", "cpuset is a list"),
        ("{kind: url}", "'url' is missing"),
        ("{kind: url, url: 'ftp://h'}", "no URL that load can be sent to"),
        ("{kind: url, url: 'http://h:99999'}", "no URL that load can be sent to"),
        ("{kind: url, url: 'http://'}", "no URL that load can be sent to"),
        ("{kind: url, url: 'http://u:hunter2x@h'}", "holds a name or a password"),
        ("{kind: url, url: 'http://h/?api_key=hunter2x'}", "looks like a credential"),
        ("{kind: url, url: 'http://h', headers: {Authorization: Bearer hunter2x}}", "looks like a credential"),
        ("{kind: url, url: 'http://h', headers: {X-Whatever: Bearer hunter2x}}", "looks like a credential"),
        ("{kind: url, url: 'http://h', headers: {Host: x}}", "cannot be a header here"),
        ("{kind: url, url: 'http://h', headers: {'a b': x}}", "cannot be a header here"),
        ("{kind: url, url: 'http://h', protocol: tfserving-grpc}", "is spoken at grpc://"),
        ("{kind: url, url: 'grpc://h:1'}", "is spoken at http"),
    ],
)
def test_keys_that_cannot_be_meant_are_refused_with_their_line(keys: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as raised:
        scenario(tmp_path, keys)
    assert says in str(raised.value)
    assert str(raised.value).startswith(f"{tmp_path / 's.yaml'}:3: ")
    assert "hunter2x" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "more", "target"),
    [
        ("http://h:1", "", "/predict"),
        ("http://h:1/", "", "/predict"),
        ("https://h/below/", "", "/below/predict"),
        ("https://h/v1", "protocol: tfserving-rest", "/v1/v1/models/model:predict"),
        ("https://h/c?x=1", "request: {body: jpeg}, response: {probabilities: p}", "/c?x=1"),
        ("https://h", "request: {body: jpeg}, response: {probabilities: p}", "/"),
        ("https://h/b", "request: {path: /c, body: jpeg}, response: {probabilities: p}", "/b/c"),
    ],
)
def test_a_request_goes_to_the_path_of_the_url_and_that_of_the_api(
    url: str, more: str, target: str, tmp_path: Path
) -> None:
    kind = server(tmp_path, f"{{kind: url, url: '{url}'{', ' * bool(more)}{more}}}")
    assert kind.wire(place(tmp_path)).request(b"photo").target == target


def test_a_header_of_ones_own_goes_before_one_of_the_api(tmp_path: Path) -> None:
    kind = server(tmp_path, "{kind: url, url: 'http://h', headers: {content-type: text/json, X-A: b}}")
    assert kind.wire(place(tmp_path)).request(b"x").headers == (("content-type", "text/json"), ("X-A", "b"))


def test_a_url_is_never_started(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="not started here"):
        server(tmp_path, "{kind: url, url: 'http://h'}").command(place(tmp_path))


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("{kind: docker, image: --privileged, port: 80}", "'image' is no name of an image: '--privileged'"),
        ("{kind: docker, image: 'a b', port: 80}", "'image' is no name of an image: 'a b'"),
        ("{kind: docker, image: 'Mine:3', port: 80}", "'image' is no name of an image: 'Mine:3'"),
        ("{kind: docker, image: 'mine:3:4', port: 80}", "'image' is no name of an image: 'mine:3:4'"),
        ("{kind: url, url: 'http://h/a b'}", "holds a space"),
        ('{kind: url, url: "http://h/a\\r\\nX: y"}', "holds a space"),
        ("{kind: url, url: 'http://${HOST}/x'}", "cannot come from a variable"),
        ("{kind: url, url: 'grpc://h:5'}", "protocol: kserve-grpc"),
        ("{kind: url, url: 'http://h', headers: []}", "s.yaml:3: servers.mine.headers: must be a mapping, got []"),
    ],
)
def test_what_no_start_could_mean_is_refused_before_it(keys: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as failure:
        server(tmp_path, keys)
    assert says in str(failure.value)
    assert "s.yaml:3" in str(failure.value)


def described(body: str) -> str:
    return f"{{kind: url, url: 'http://h', request: {{body: {body}}}, response: {{probabilities: p}}}}"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("{key: '${API_KEY}', image: '{image_b64}'}", "${API_KEY} in 'request.body' stays as it is"),
        ("['{image_b64}', {a: ['x ${API_KEY}']}]", "${API_KEY} in 'request.body' stays as it is"),
        ("{api_key: hunter2x, image: '{image_b64}'}", "api_key in 'request.body' looks like a credential"),
        (
            "{who: {accessToken: hunter2x}, image: '{image_b64}'}",
            "accessToken in 'request.body' looks like a credential",
        ),
    ],
)
def test_a_body_that_would_carry_a_secret_or_the_name_of_one_is_refused(body: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as failure:
        server(tmp_path, described(body))
    assert says in str(failure.value)
    assert str(failure.value).startswith(f"{tmp_path / 's.yaml'}:3: ")
    assert "Authorization: 'Bearer ${" in str(failure.value).partition("hint: ")[2]
    assert "hunter2x" not in str(failure.value)


@pytest.mark.parametrize(
    "fields", ["key: photo, auth: none", "max_tokens: 5", "pad_token: <pad>", "token: ''", "tokens: a b", "api_key: 7"]
)
def test_a_field_of_a_body_that_only_sounds_like_a_credential_is_taken(fields: str, tmp_path: Path) -> None:
    assert server(tmp_path, described(f"{{{fields}, image: '{{image_b64}}'}}")) is not None


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ("{kind: url, url: 'http://h', headers: {Authorization: 'Bearer ${TOKEN}'}}", "headers.Authorization"),
        ("{kind: url, url: 'http://h/${TOKEN}'}", "url"),
        ("{kind: command, run: 'true {port}', ready: '/h?token=${TOKEN}'}", "ready"),
        (
            "{kind: url, url: 'http://h', request: {path: '/${TOKEN}', body: jpeg}, response: {probabilities: p}}",
            "request.path",
        ),
        (
            "{kind: replicas, of: {kind: command, run: 'true {port}', headers: {X-Key: '${TOKEN}'}}}",
            "of.headers.X-Key",
        ),
    ],
)
def test_a_variable_that_ends_with_a_line_break_is_told_with_the_line_that_sends_it(
    keys: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "s3cr3t-value\n")
    found = scenario(tmp_path, keys)
    with pytest.raises(ScenarioError) as failure:
        check_files(found)
    said = f"{tmp_path / 's.yaml'}:3: servers.mine.{named}: the environment variable TOKEN ends with a line break"
    assert str(failure.value).startswith(said)
    assert "hint: " in str(failure.value)
    assert "s3cr3t-value" not in str(failure.value)
    monkeypatch.setenv("TOKEN", "s3cr3t-value")
    check_files(found)


def test_a_variable_of_the_environment_may_hold_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEM", "first\nsecond\n")
    found = scenario(tmp_path, "{kind: command, run: 'true {port}', env: {PEM: '${PEM}'}}")
    check_files(found)
    assert found.server("mine").server.command(place(tmp_path)).env == {"PEM": "first\nsecond\n"}


@pytest.mark.parametrize(
    "keys",
    [
        "{kind: command, run: 'true {port}', ready: '/h?token=${BENCH_NO_SUCH}'}",
        "{kind: url, url: 'http://h', request: {path: '/${BENCH_NO_SUCH}', body: jpeg}, response: {probabilities: p}}",
    ],
)
def test_a_variable_in_a_path_keeps_a_server_out_where_it_is_not_set(keys: str, tmp_path: Path) -> None:
    lack = server(tmp_path, keys).missing()
    assert lack is not None
    assert "BENCH_NO_SUCH is not set" in lack.reason


@pytest.mark.parametrize("given", ["--token=s3cr3t-value", "--db-password s3cr3t-value", "-api-key s3cr3t-value"])
@pytest.mark.parametrize("kind", ["command, run", "docker, image: i, port: 1, run"])
def test_a_credential_in_a_command_line_is_refused_and_not_repeated(kind: str, given: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="looks like a credential") as failure:
        server(tmp_path, f"{{kind: {kind}: 'serve {{port}} {given}'}}")
    assert "s3cr3t-value" not in str(failure.value)


@pytest.mark.parametrize("given", ["--max-tokens 5", "--token-limit 5", "--password {folder}/file", "--token -v"])
def test_what_only_sounds_like_a_credential_is_taken(given: str, tmp_path: Path) -> None:
    assert server(tmp_path, f"{{kind: command, run: 'serve {{port}} {given}'}}") is not None


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("{kind: command, run: 'serve {port} --token ${TOKEN}'}", "${TOKEN} in 'run' stays as it is"),
        ("{kind: docker, image: i, port: 1, run: 'serve --token ${TOKEN}'}", "${TOKEN} in 'run' stays as it is"),
        ("{kind: command, run: 'API_KEY=hunter2x serve {port}'}", "'run' begins with API_KEY="),
        (
            "{kind: command, run: 'serve {port} --from http://me:hunter2x@h'}",
            "a URL in 'run' holds a name or a password",
        ),
    ],
)
def test_a_command_line_that_only_a_shell_would_understand_is_refused_with_what_to_write(
    keys: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(ScenarioError) as failure:
        server(tmp_path, keys)
    assert says in str(failure.value)
    assert "env" in str(failure.value).partition("hint: ")[2]
    assert "hunter2x" not in str(failure.value)


def test_a_variable_in_a_script_for_a_shell_is_the_shells(tmp_path: Path) -> None:
    kind = server(tmp_path, "{kind: command, run: ['sh', '-ec', 'exec serve --port ${PORT}'], env: {PORT: '{port}'}}")
    assert kind.command(place(tmp_path)).argv[-1] == "exec serve --port ${PORT}"


@pytest.mark.parametrize(
    "keys",
    [
        "{kind: url, url: 'http://h', tune: {url: ['http://me:hunter2x@h', 'http://h2']}}",
        "{kind: url, url: 'http://h', tune: {url: ['http://h/?api_key=hunter2x', 'http://h2']}}",
        "{kind: url, url: 'http://h', tune: {url: 'http://me:hunter2x@h'}}",
        "{kind: url, url: 'http://h', tune: {headers: [{Authorization: Bearer hunter2x}, {a: b}]}}",
        "{kind: url, url: 'http://h', headers: {Authorization: [Bearer hunter2x]}}",
        "{kind: url, url: ['http://me:hunter2x@h']}",
        "{kind: command, run: 'python app.py {port}', env: {API_KEY: [hunter2x]}}",
        "{kind: command, run: 'python app.py {port}', tune: {env: [{API_KEY: hunter2x}]}}",
    ],
)
def test_no_complaint_repeats_a_credential_that_was_written_out(keys: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as failure:
        scenario(tmp_path, keys)
    assert "hunter2x" not in str(failure.value)
    assert str(failure.value).startswith(f"{tmp_path / 's.yaml'}:3: servers.mine")
