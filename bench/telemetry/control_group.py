"""How long a control group's processes were held back by its limit of processor time: cgroup v1 and v2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC, GROUPS = Path("/proc"), Path("/sys/fs/cgroup")
NO_GROUP = "no control group of the server can be read here"
NO_COUNT = "its control group keeps no count of throttled time"


@dataclass(frozen=True, slots=True)
class Throttling:
    """Counters of throttled time: of the server's own group and of those around it, up to what is visible here.

    `own` tells that the server is in another group than this process; else the figure is that of the group both share.
    """

    files: tuple[Path, ...]
    own: bool

    def read(self) -> tuple[float, ...]:
        """Seconds of each counter, summed over processors by the kernel; NaN for one that cannot be read any more."""
        return tuple(_throttled(file) for file in self.files)


def throttling_of(pid: int, *, proc: Path = PROC, groups: Path = GROUPS) -> Throttling | str:
    """Where to read the throttled time of a process, or why nowhere."""
    theirs = _group_folder(proc / str(pid) / "cgroup", groups)
    if theirs is None:
        return NO_GROUP
    ours = _group_folder(proc / "self" / "cgroup", groups)
    mount, folder = theirs
    files = tuple(file for file in _upwards(folder, mount) if _throttled(file) == _throttled(file))
    return Throttling(files, theirs != ours) if files else NO_COUNT


def _group_folder(file: Path, groups: Path) -> tuple[Path, Path] | None:
    """Mount and folder of the group that limits processor time: of v1's controller `cpu` if there is one, else v2."""
    try:
        lines = [line.split(":", 2) for line in file.read_text().splitlines()]
    except OSError:
        return None
    paths = {controllers: path for _, controllers, path in (line for line in lines if len(line) == 3)}
    for controllers, path in paths.items():
        if "cpu" in controllers.split(","):
            for mount in (groups / controllers, groups / "cpu"):
                if mount.is_dir():
                    return mount, _below(mount, path)
    return (groups, _below(groups, paths[""])) if "" in paths and groups.is_dir() else None


def _below(mount: Path, path: str) -> Path:
    """The group's folder; the mount itself where the path leads out of what this namespace shows."""
    folder = mount / path.lstrip("/")
    return folder if ".." not in folder.parts and folder.is_dir() else mount


def _upwards(folder: Path, mount: Path) -> Iterator[Path]:
    while True:
        yield folder / "cpu.stat"
        if folder == mount or mount not in folder.parents:
            return
        folder = folder.parent


def _throttled(file: Path) -> float:
    """Seconds in a `cpu.stat`: `throttled_usec` of v2, `throttled_time` (ns) of v1; NaN if there is neither."""
    try:
        values = dict(line.split(None, 1) for line in file.read_text().splitlines() if " " in line)
    except OSError:
        return float("nan")
    for name, per_second in (("throttled_usec", 1e6), ("throttled_time", 1e9)):
        if values.get(name, "").strip().isdecimal():
            return int(values[name]) / per_second
    return float("nan")
