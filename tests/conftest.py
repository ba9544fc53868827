"""Which tests share a process where two run at once: those of one file, and all that build or run a model.

A model is built once per session and takes every core, so its tests follow one another. Tests marked `alone` measure,
and run by themselves afterwards (see the Makefile).
"""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name the group of every test for `--dist loadgroup`."""
    for item in items:
        fixtures: tuple[str, ...] = tuple(getattr(item, "fixturenames", ()))
        of_a_model = item.get_closest_marker("tensorflow") is not None or "b0_model" in fixtures
        item.add_marker(pytest.mark.xdist_group("model" if of_a_model else item.path.stem))
