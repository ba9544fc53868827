from __future__ import annotations

import getpass
import json
import platform
import sys

from bench import machine


def test_facts_can_be_written_as_json_and_name_the_processor() -> None:
    facts = json.loads(json.dumps(machine.facts()))
    assert facts["cpu"]["model"]
    assert 1 <= facts["cpu"]["usable_cores"] <= facts["cpu"]["logical_cores"]
    assert facts["memory_bytes"] > 1e6
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))


def test_facts_name_neither_host_nor_user() -> None:
    values = json.dumps(list(_leaves(machine.facts())))
    assert f'"{platform.node()}"' not in values
    assert f'"{getpass.getuser()}"' not in values


def test_versions_leave_out_what_is_not_installed() -> None:
    found = machine.versions(("click", "no-such-package-here"))
    assert list(found) == ["click"]


def test_gpus_are_read_from_the_lines_of_nvidia_smi() -> None:
    text = "Tesla M60, 8129 MiB, 535.104.05, 5.2\nNVIDIA H200, 143771 MiB, 570.1, 9.0\n\nbroken line\n"
    assert machine.parse_gpus(text) == (
        {"name": "Tesla M60", "memory": "8129 MiB", "driver": "535.104.05", "compute_capability": "5.2"},
        {"name": "NVIDIA H200", "memory": "143771 MiB", "driver": "570.1", "compute_capability": "9.0"},
    )


def _leaves(value: object) -> list[object]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    return [leaf for item in value for leaf in _leaves(item)] if isinstance(value, list) else [value]
