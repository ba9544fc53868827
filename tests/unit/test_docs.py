"""The documentation says what the program does: nothing is missing, and what it shows is what is printed."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from bench.catalogue import CATALOGUES, find_scenario
from bench.cli import main
from bench.measures.metrics import METRICS
from bench.measures.usage import USAGE_METRICS
from bench.profiles import PROFILES
from bench.scenario.scenario import load_scenario
from bench.server import known_kinds

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md"))]
ALL_TEXT = "\n".join(page.read_text() for page in PAGES)
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
FIXED = ("bench check", "bench list profiles", "bench list scenarios", "bench --help", "bench --version")
"""Commands whose output does not depend on the machine or the moment."""


def shown_commands() -> list[tuple[str, str]]:
    """(command, output as shown) of every `$ bench ...` in a console block."""
    found = []
    for page in PAGES:
        for block in BLOCK.findall(page.read_text()):
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                found.append((command.strip(), output.rstrip()))
    return found


@pytest.mark.parametrize(
    "command",
    ["run", "check", "report", "ab", "compare", "serve", "forms", "worker", "list", "doctor", "install", "calibrate"],
)
def test_every_command_is_described(command: str) -> None:
    assert f"bench {command}" in ALL_TEXT


@pytest.mark.parametrize("kind", known_kinds())
def test_every_kind_has_a_page_that_the_scenario_page_links(kind: str) -> None:
    assert (known_kinds()[kind] / "README.md").stat().st_size > 200
    assert f"servers/{kind}/README.md" in ALL_TEXT


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_is_described_with_its_keys(profile: str) -> None:
    line = next(line for line in ALL_TEXT.splitlines() if line.startswith(f"| `{profile}`"))
    for key in (field.name for field in dataclasses.fields(PROFILES[profile]) if field.init):
        assert f"`{key}`" in line


@pytest.mark.parametrize("metric", [*METRICS, *USAGE_METRICS])
def test_every_metric_is_described(metric: str) -> None:
    family, _, statistic = metric.partition(".")
    line = next(line for line in ALL_TEXT.splitlines() if line.startswith("| `") and f"`{family}" in line)
    assert statistic == "" or f"`.{statistic}`" in ALL_TEXT or metric in line


@pytest.mark.parametrize(("command", "output"), [it for it in shown_commands() if it[0].startswith(FIXED)])
def test_a_command_that_the_docs_show_prints_what_they_show(
    command: str, output: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(command.split()[1:]) == 0
    assert capsys.readouterr().out.rstrip() == output


def test_the_docs_show_at_least_one_such_command() -> None:
    assert any(command.startswith(FIXED) for command, _ in shown_commands())


def test_every_relative_link_leads_somewhere() -> None:
    for page in [*PAGES, *(folder / "README.md" for folder in known_kinds().values())]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("name", [item.name for item in CATALOGUES["scenarios"]()])
def test_every_shipped_scenario_loads_and_opens_with_its_question(name: str) -> None:
    path = find_scenario(name)
    assert load_scenario(path).question
    assert path.read_text().startswith("# ")
