from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.cli import main
from bench.errors import LaunchError
from bench.scenario.budget import Processor
from bench.scenario.plan import Plan, make_plan
from bench.scenario.scenario import Scenario
from tests.golden_files import check_golden

GOOD = "question: Is it so?\nservers: {a: {kind: echo}, '<b>[red]': {kind: echo, only: closed-1}}\n"

TUNED = "servers: {a: {kind: echo, tune: {parallel: [1, 2, 4]}}}\ntune_time: 9s\n"

BAD = {
    "empty": "",
    "not-yaml": "servers:\n  a: {kind: echo\nload:\n  - {profile: closed, users: 1, duration: 5s}\n",
    "unknown-key": "servers:\n  flask: {kind: echo, delya: 5ms}\nwarmpu: {duration: 5s}\n",
    "wrong-unit": "servers:\n  a: {kind: echo, delay: 5sec}\nload:\n  - {profile: closed, users: 1, duration: 20}\n",
    "negative-rate": "servers: {a: {kind: echo}}\nload:\n  - {profile: poisson, arrival_rate: [1, -5], duration: 9s}\n",
    "unknown-kind": "servers:\n  a: {kind: ehco}\n",
    "unknown-profile": "servers: {a: {kind: echo}}\nload:\n  - {profile: possion, arrival_rate: 5, duration: 20s}\n",
    "duplicate-servers": "servers:\n  a: {kind: echo}\n  b: {kind: echo}\n  a: {kind: echo, delay: 1s}\n",
    "no-servers": "question: none?\nservers:\n",
    "missing-model": "model:\n  path: nowhere.keras\nservers: {a: {kind: echo}}\n",
    "not-a-model": "model:\n  path: text.keras\nservers: {a: {kind: echo}}\n",
    "not-an-image": "payload:\n  images: '*.jpg'\nservers: {a: {kind: echo}}\n",
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands run in an empty folder, where names are short and the same on every machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.scenario.budget.read_processor", lambda: Processor(((0,), (1,), (2,), (3,))))
    return tmp_path


@pytest.fixture
def run_module(monkeypatch: pytest.MonkeyPatch) -> Callable[..., SimpleNamespace]:
    """Puts a stand-in where the pipeline is, so that these tests start nothing."""

    def put(**functions: Any) -> SimpleNamespace:
        def plan_run(scenario: Scenario, *, server: Sequence[str] = (), remote: bool = False) -> Plan:
            return make_plan(scenario, servers=server)

        fake = SimpleNamespace(**{"plan_run": plan_run, "run": None, "serve": None, **functions})
        monkeypatch.setitem(sys.modules, "bench.running.run", fake)
        monkeypatch.setitem(sys.modules, "bench.running.serve", fake)
        return fake

    return put


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_told_with_its_line_and_a_hint(case: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "bad.yaml").write_text(BAD[case])
    (here / "text.keras").write_text("just text\n")
    (here / "cat.jpg").write_text("no cat\n")
    assert main(["check", "bad.yaml"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    check_golden(
        f"cli-check-{case}.txt", re.sub("known kinds: .*", "known kinds: ...", err)
    )  # a new kind is no change here


def test_help_names_every_command_in_the_order_of_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    check_golden("cli-help.txt", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["run"], "bench run: missing argument 'SCENARIO'"),
        (["run", "x.yaml", "--sever", "a"], "bench run: no such option: --sever\n  hint: did you mean --server?"),
        (["runn"], "bench: no such command 'runn'"),
        (["list", "everything"], "bench list: invalid value for"),
        (["run", "x.yaml"], "x.yaml: no such file"),
        (["run", "nothing"], "no such scenario: 'nothing'"),
        (["check", "."], ".: is a folder, not a scenario file"),
        (["report"], "bench report: missing argument 'RUN...'"),
        (["check", "good.yaml", "--set", "load=x"], "--set load=x: load: must be a list of load profiles"),
        (["run", "good.yaml", "--server", "c", "--dry-run"], "the scenario has no server 'c'"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_says_what_is_right(
    argv: list[str], said: str, here: Path, capsys: pytest.CaptureFixture[str], run_module: Callable[..., object]
) -> None:
    run_module()
    (here / "good.yaml").write_text(GOOD)
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(said)


def test_a_good_scenario_is_summed_up(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "good.yaml").write_text(GOOD)
    assert main(["check", "good.yaml"]) == 0
    check_golden("cli-check-good.txt", capsys.readouterr().out)


def test_a_dry_run_prints_the_plan_and_starts_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], run_module: Callable[..., object]
) -> None:
    run_module()
    (here / "good.yaml").write_text(GOOD)
    assert main(["run", "good.yaml", "--dry-run", "--set", "trials=2"]) == 0
    check_golden("cli-dry-run.txt", capsys.readouterr().out)
    assert [path.name for path in here.iterdir()] == ["good.yaml"]


EACH = """
servers: {plain: {kind: echo}, more: {kind: replicas, of: {kind: echo}, replicas: 64, cores: each}}
load: [{profile: closed, users: 1, duration: 1s}]
"""
NEED = "64 copies with 3 cores each need 192, and this machine has 4"


@pytest.fixture
def with_nginx(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "nginx").write_text("#!/bin/sh\n")
    (here / "nginx").chmod(0o755)
    monkeypatch.setenv("PATH", f"{here}:{os.environ['PATH']}")


@pytest.mark.usefixtures("with_nginx")
@pytest.mark.parametrize("command", [["check", "each.yaml"], ["run", "each.yaml", "--dry-run"]])
def test_too_few_cores_for_every_copy_are_told_before_the_run(
    command: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "each.yaml").write_text(EACH)
    assert main(command) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"more {NEED}" in out


@pytest.mark.usefixtures("with_nginx")
@pytest.mark.parametrize("command", [["run", "each.yaml", "--dry-run"], ["run", "each.yaml"]])
def test_too_few_cores_are_an_error_where_the_server_was_asked_for(
    command: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "each.yaml").write_text(EACH)
    assert main([*command, "--server", "more"]) == 13
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"more: {NEED}\n  hint: lower the scenario's 'cores', or say 'cores: same'\n"
    assert not (here / "results").exists()


@pytest.mark.usefixtures("with_nginx")
@pytest.mark.parametrize("more", [[], ["--format", "json"]])
def test_a_dry_run_of_nothing_ends_as_the_run_would(
    more: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "none.yaml").write_text(EACH.replace("plain: {kind: echo}, ", ""))
    assert main(["run", "none.yaml", "--dry-run", *more]) == 13
    out = capsys.readouterr().out
    assert NEED in out
    assert "Nothing would be measured here" in out or json.loads(out)["launches"] == []
    assert main(["check", "none.yaml"]) == 0, "the scenario itself is right"
    assert "Nothing would be measured here" in capsys.readouterr().out


def test_a_dry_run_says_what_is_tried_of_tuned_servers(
    here: Path, capsys: pytest.CaptureFixture[str], run_module: Callable[..., object]
) -> None:
    run_module()
    (here / "tuned.yaml").write_text(TUNED)
    assert main(["check", "tuned.yaml"]) == 0
    assert "tuning: 9.00 s of load for 1 server, 3 settings" in capsys.readouterr().out
    assert main(["run", "tuned.yaml", "--dry-run"]) == 0
    check_golden("cli-dry-run-tuned.txt", capsys.readouterr().out)
    assert main(["run", "tuned.yaml", "--dry-run", "--format", "json", "--set", "cores=1"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert {it["number"]: it["settings"] for it in plan["tries"]}.keys() == {1, 2, 3}
    assert sum(it["seconds"] for it in plan["tries"]) == pytest.approx(9.0)
    assert (plan["budget"]["server"], plan["budget"]["generator"]) == ([0], [1, 2, 3])


@pytest.mark.parametrize(
    "command", [["run", "smoke"], ["ab", "smoke", "--baseline", "a", "--candidate", "b"], ["report", "run"]]
)
def test_an_empty_out_is_refused_and_not_taken_for_this_folder(
    command: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--out", ""]) == 2
    assert capsys.readouterr().err.startswith("--out: an empty text is no folder\n  hint: ")
    assert not list(here.iterdir())


def test_a_dry_run_as_json_is_one_document(
    here: Path, capsys: pytest.CaptureFixture[str], run_module: Callable[..., object]
) -> None:
    run_module()
    (here / "good.yaml").write_text(GOOD)
    assert main(["run", "good.yaml", "--dry-run", "--format", "json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert {launch["server"] for launch in plan["launches"]} == {"a", "<b>[red]"}
    assert plan["skips"][0]["trial"]["label"] == "closed-8"


@pytest.mark.parametrize(
    ("failure", "code", "said"),
    [
        (LaunchError("not ready", where="server.log"), 13, "server.log: not ready"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (KeyError("oh"), 1, "bug in bench: KeyError: 'oh'\n  hint: the traceback is in "),
    ],
)
def test_how_a_run_ends_is_its_exit_code(
    failure: BaseException,
    code: int,
    said: str,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    run_module: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr("tempfile.tempdir", str(here))
    run_module(run=run)
    (here / "good.yaml").write_text(GOOD)
    assert main(["run", "good.yaml"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.lstrip().startswith(said)
    assert "Traceback" not in err
    kept = list(here.glob("bench-traceback-*"))
    assert len(kept) == (1 if code == 1 else 0)
    assert all("raise failure" in path.read_text() for path in kept)


@pytest.mark.parametrize(
    ("module", "argv"), [("click", ["check", "smoke"]), ("numpy", ["compare", "a", "b"]), ("yaml", ["run", "smoke"])]
)
def test_ctrl_c_while_modules_are_still_being_imported_ends_as_at_any_other_time(module: str, argv: list[str]) -> None:
    program = f"""
import sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
from bench.cli import main
sys.exit(main({argv!r}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "interrupted")


def test_sigterm_interrupts_like_ctrl_c(
    here: Path, capsys: pytest.CaptureFixture[str], run_module: Callable[..., object]
) -> None:
    def run(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("still here")

    run_module(run=run)
    (here / "good.yaml").write_text(GOOD)
    before = signal.getsignal(signal.SIGTERM)
    assert main(["run", "good.yaml"]) == 130
    assert signal.getsignal(signal.SIGTERM) == before


def test_serve_prints_a_curl_line_and_ctrl_c_ends_it_well(
    here: Path, capsys: pytest.CaptureFixture[str], run_module: Callable[..., object]
) -> None:
    def interrupt() -> bool:
        raise KeyboardInterrupt

    stopped = serve_one(here, run_module, alive=interrupt)
    assert main(["serve", "good.yaml", "a"]) == 0
    out, err = capsys.readouterr()
    assert "curl -d @x http://127.0.0.1:1/predict\n" in out
    assert "starting a" in err
    assert stopped == ["a"]


def test_serve_says_so_when_its_server_ends_by_itself(
    here: Path, capsys: pytest.CaptureFixture[str], run_module: Callable[..., object]
) -> None:
    (here / "s.log").write_text("out of memory\n")
    stopped = serve_one(here, run_module, alive=lambda: False)
    assert main(["serve", "good.yaml", "a"]) == 13
    assert "out of memory" in capsys.readouterr().err
    assert stopped == ["a"]


def serve_one(here: Path, run_module: Callable[..., object], alive: Callable[[], bool]) -> list[str]:
    """Puts a server behind `bench serve` that lives as told; the names of those that were stopped."""
    stopped = []

    @contextmanager
    def serve(scenario: object, name: str, say: Callable[[str], None]) -> Iterator[SimpleNamespace]:
        say(f"starting {name}")
        try:
            yield SimpleNamespace(
                url="http://127.0.0.1:1", curl="curl -d @x http://127.0.0.1:1/predict", log=Path("s.log"), alive=alive
            )
        finally:
            stopped.append(name)

    run_module(serve=serve)
    (here / "good.yaml").write_text(GOOD)
    return stopped


@pytest.mark.parametrize("what", ["servers", "scenarios", "profiles", "metrics", "prices"])
def test_every_list_has_one_line_per_thing(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", what]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert main(["list", what, "--format", "json"]) == 0
    items = json.loads(capsys.readouterr().out)
    assert len(lines) == len(items) > 1
    assert all(item["name"] and item["text"] for item in items)


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    program = "import sys; from bench.cli import main; sys.exit(main(['list', 'profiles']))"
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run([sys.executable, "-c", program], stdout=closed, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_scenario_that_comes_with_bench_needs_no_path(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "smoke"]) == 0
    assert "smoke.yaml: ok" in capsys.readouterr().out


def test_doctor_gives_the_same_findings_as_text_and_as_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench import doctor

    found = (
        doctor.Finding("server", "a", True, "runs"),
        doctor.Finding("facility", "b\x1b[2J", False, "gone", "get b"),
    )
    monkeypatch.setattr(doctor, "examine", lambda: found)
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out == (
        "server    a         ok       runs\nfacility  b\\x1b[2J  missing  gone\n  fix: get b\n"
    )
    assert main(["doctor", "--format", "json"]) == 0
    assert [item["name"] for item in json.loads(capsys.readouterr().out)] == ["a", "b\x1b[2J"]


@pytest.mark.parametrize(
    ("argv", "heavy"),
    [
        (["--help"], {"rich", "yaml", "pydantic", "numpy", "bench.scenario"}),
        (["check", "efficientnet"], {"numpy", "pandas", "pyarrow", "matplotlib", "tensorflow", "locust", "PIL"}),
    ],
)
def test_quick_commands_import_nothing_heavy(argv: list[str], heavy: set[str]) -> None:
    program = f"import sys; from bench.cli import main; main({argv!r}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert heavy & set(done.stderr.split()) == set()


# ---------------------------------------------------------------- install


def install_kind(here: Path, body: str) -> None:
    (here / "mine").mkdir()
    (here / "mine" / "server.py").write_text(
        "from dataclasses import dataclass\n"
        "from pathlib import Path\n"
        "from bench import server\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Server(server.Server):\n"
        f"    title = 'mine'\n{body}\n"
        "    def command(self, place): ...\n"
        "    def wire(self, place): ...\n"
    )


def test_install_prints_where_the_program_lies_and_tells_the_rest_to_stderr(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install_kind(
        here,
        "    @classmethod\n"
        "    def install(cls, order, say):\n"
        "        say(f'{order.version} {order.repository} {order.timeout}')\n"
        "        return Path('/there')",
    )
    assert main(["install", "./mine", "--version", "1.2", "--repository", "https://x", "--timeout", "500ms"]) == 0
    assert capsys.readouterr() == ("/there\n", "1.2 https://x 0.5\n")
    assert main(["install", "./mine", "--timeout", "20"]) == 0
    assert capsys.readouterr().err == "None None 20.0\n"


def test_install_builds_the_environment_of_a_kind_that_has_one(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    install_kind(here, "    requirements = 'requirements.txt'")
    asked: list[tuple[str, Path]] = []

    def environment(kind: str, requirements: Path, say: object) -> Path:
        asked.append((kind, requirements))
        return Path("/venv/python")

    monkeypatch.setattr("bench.programs.environments.environment", environment)
    assert main(["install", "./mine"]) == 0
    assert capsys.readouterr().out == "/venv/python\n"
    assert asked == [("mine", here / "mine" / "requirements.txt")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["echo"], "there is nothing to install for echo"),
        (["nosuch"], "unknown server kind 'nosuch'"),
        (["echo", "--timeout", "0"], "--timeout: a time-out has to be longer than nothing"),
        (["echo", "--timeout", "soon"], "--timeout: "),
        ([], "bench install: missing argument 'KIND'"),
    ],
)
def test_what_cannot_be_installed_is_wrong_usage(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["install", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(said)
