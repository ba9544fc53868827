"""The example workflow is YAML that GitHub can read, and every command in it is one that bench has."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from bench.cli.group import bench

WORKFLOW = Path(__file__).parents[2] / "docs" / "ci" / "github-actions.yaml"


def steps() -> list[dict[str, Any]]:
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


def commands() -> list[list[str]]:
    """Every `bench ...` of the workflow, as its words."""
    text = [line.strip() for step in steps() for line in step.get("run", "").splitlines()]
    lines = [line.partition("|")[0] for line in text if line.startswith("bench ")]
    return [shlex.split(line) for line in lines]


@pytest.mark.parametrize("words", commands(), ids=lambda words: " ".join(words[:3]))
def test_every_command_of_the_workflow_exists_with_its_flags(words: list[str]) -> None:
    command: click.Command = bench
    rest = words[1:]
    while isinstance(command, click.Group):
        command = command.commands[rest.pop(0)]
    flags = {flag for parameter in command.params for flag in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= flags


def test_the_workflow_gates_and_keeps_a_history() -> None:
    used = {" ".join(words[1 : 3 if words[1] == "history" else 2]) for words in commands()}
    assert used == {"ab", "history add", "history show", "history chart"}


def test_no_text_that_a_pull_request_chooses_reaches_a_shell() -> None:
    for step in steps():
        assert "${{" not in step.get("run", "")  # goes through the environment instead, where it is data


def test_two_measurements_never_share_the_machine() -> None:
    document = yaml.safe_load(WORKFLOW.read_text())
    assert document["concurrency"] == {"group": "serving-bench", "cancel-in-progress": False}
    assert not re.search(r"cancel-in-progress:\s*true", WORKFLOW.read_text())
