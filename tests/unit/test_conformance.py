"""What `bench check --server-folder` refuses before it starts anything."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bench.errors import ScenarioError
from bench.running.conformance import examine
from bench.server import known_kinds


def _refused(kind: str, assignments: Sequence[str] = ()) -> str:
    with pytest.raises(ScenarioError) as failure:
        list(examine(known_kinds()[kind], set=assignments, say=lambda _: None))
    return str(failure.value)


def test_a_key_is_called_what_it_was_called_on_the_command_line() -> None:
    said = _refused("echo", ["dely=1"])
    assert said.startswith("--set dely=1: dely: unknown key\n  hint: did you mean 'delay'? known keys: kind, ")


def test_a_missing_key_is_told_of_the_folder_and_not_of_a_file_that_nobody_wrote() -> None:
    said = _refused("url")
    assert said.startswith(f"{known_kinds()['url'] / 'server.py'}: 'url' is missing")


def test_each_of_several_problems_is_told_so() -> None:
    said = _refused("echo", ["delay=-1ms", "parallel=0"])
    assert "--set delay=-1ms: delay: a duration cannot be negative" in said
    assert "--set parallel=0: parallel: must be " in said
    assert "servers.server" not in said
