"""The version folder that is served: looked at before the start, and copied where something is written beside it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from bench.errors import LaunchError

BATCHING_FILE = "batching_params.pbtxt"
WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
_SHARD = re.compile(r"variables\.data-\d{5}-of-(\d{5})")


def check_versions(base: Path) -> None:
    """Raise LaunchError unless every version folder below `base` is whole, and there is one.

    The program would wait for ever without one, and of one that was copied half it tells only once it has tried.
    """
    versions = [folder for folder in base.glob("*") if folder.is_dir() and folder.name.isdigit()]
    if not versions:
        raise LaunchError(
            "no version folder with a saved_model.pb",
            where=str(base),
            hint="a servable model lies in a folder named by a number: saved_model/1/saved_model.pb",
        )
    for folder in versions:
        _check_whole(folder)


def _check_whole(folder: Path) -> None:
    hint = "it was copied half; copy it again, under another name first, and rename it when it is whole"
    if not (folder / "saved_model.pb").is_file():
        raise LaunchError("version folder without a saved_model.pb", where=str(folder), hint=hint)
    found = [match for file in (folder / "variables").glob("*") if (match := _SHARD.fullmatch(file.name))]
    index = (folder / "variables" / "variables.index").is_file()
    if found and not index:  # it would be loaded without its weights
        raise LaunchError("variables/variables.index is missing", where=str(folder), hint=hint)
    if index and len(found) != (int(found[0][1]) if found else 1):
        wanted = f"{len(found)} of {int(found[0][1])}" if found else "none"
        raise LaunchError(f"of the files variables.data-* {wanted} is there", where=str(folder), hint=hint)


def version_folders(base: Path) -> dict[int, Path]:
    """Version -> folder, ascending."""
    found = {int(folder.name): folder for folder in base.iterdir() if folder.is_dir() and folder.name.isdigit()}
    return dict(sorted(found.items()))


def link_versions(base: Path, to: Path, numbers: Sequence[int] | None = None) -> list[Path]:
    """The same versions in a folder of our own, as hard links where the file system allows it; the new folders.

    With `numbers` the latest version alone, under each of them.
    """
    there = version_folders(base)
    sources = there if numbers is None else dict.fromkeys(numbers, there[max(there)])
    for number, folder in sources.items():
        shutil.copytree(folder, to / str(number), copy_function=_link_or_copy)
    return [to / str(number) for number in sources]


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
