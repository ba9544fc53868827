"""Which tests begin where two processes share them: see `make test`.

The tests of one file share a process, because they share what is dear: a server that is up, a run that was measured, a
model in its forms. Files that start real processes come first, those of models before the others, so that what is left
at the end is small and both processes end together. Tests marked `alone` measure, and run by themselves afterwards.

How long an example of a property takes says nothing on a machine that others share, so none has a deadline.
"""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("bench", deadline=None)
hypothesis.settings.load_profile("bench")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the dearest files first in a process of `--numprocesses`; elsewhere they keep the order of their names."""
    if hasattr(config, "workerinput"):
        dear: dict[Path, int] = {}
        for item in items:
            marks = {mark.name for mark in item.iter_markers()}
            found = 2 if "tensorflow" in marks else 1 if "integration" in marks else 0
            dear[item.path] = max(found, dear.get(item.path, 0))
        items.sort(key=lambda item: -dear[item.path])
