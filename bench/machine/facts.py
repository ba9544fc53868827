"""Facts about this machine that a reader needs to judge a measurement; read, never changed.

Quick and without heavy imports. Never a host name, a user name, an address or an environment variable.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PACKAGES = (
    "serving-bench",
    "tensorflow",
    "keras",
    "numpy",
    "locust",
    "gevent",
    "geventhttpclient",
    "grpcio",
    "flask",
    "werkzeug",
    "gunicorn",
    "pyarrow",
    "pandas",
    "matplotlib",
    "uv",
)
"""Packages whose version may change a number."""

_CPU = Path("/sys/devices/system/cpu")
_DMI = Path("/sys/class/dmi/id")
_GPU_FIELDS = ("name", "memory.total", "driver_version", "compute_cap")
_ENGINE_SECONDS = 5.0


def facts() -> dict[str, Any]:
    """Everything below, in one mapping that JSON can hold; what is not known is None."""
    return {
        "cpu": cpu_facts(),
        "memory_bytes": memory_bytes(),
        "gpus": list(gpus()),
        "os": _os_name(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "container": container(),
        "virtualised": virtualised(),
        "product": product(),
        "load_average": load_average(),
    }


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Package -> installed version; one that is not installed is left out."""
    found: dict[str, str] = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def cpu_facts() -> dict[str, Any]:
    """Model, cores that there are and cores that this process may use, governor, turbo."""
    info = _read("/proc/cpuinfo")
    return {
        "model": _cpu_model(info),
        "logical_cores": os.cpu_count(),
        "physical_cores": _physical_cores(info),
        "usable_cores": usable_cores(),
        "quota_cores": quota_cores(),
        "governor": _first(_CPU / "cpu0/cpufreq/scaling_governor"),
        "turbo": _turbo(),
    }


def usable_cores() -> int:
    """How many cores this process may run on, by its affinity."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def quota_cores(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float | None:
    """Cores' worth of time that the control group and those above it allow; None where there is no limit.

    Both versions of control groups are looked at; inside a container the own group is the root of what is seen.
    """
    lines = [line.split(":", 2) for line in _read(str(own)).splitlines() if line.count(":") >= 2]
    paths = {name: path for _, names, path in lines for name in names.split(",")}
    limits = [_quota_v2(folder) for folder in _up_from(root, paths.get("", "/"))]
    limits += [_quota_v1(folder) for folder in _up_from(root / "cpu", paths.get("cpu", "/"))]
    return min((limit for limit in limits if limit is not None), default=None)


def _up_from(root: Path, path: str) -> list[Path]:
    """The folder of a control group and of each one above it, the root included."""
    parts = [part for part in path.split("/") if part not in ("", "..")]
    return [root.joinpath(*parts[:count]) for count in range(len(parts), -1, -1)]


def _quota_v2(folder: Path) -> float | None:
    parts = (_first(folder / "cpu.max") or "").split()
    if len(parts) == 2 and all(part.isdecimal() for part in parts) and int(parts[1]):
        return int(parts[0]) / int(parts[1])
    return None


def _quota_v1(folder: Path) -> float | None:
    quota, period = (_first(folder / f"cpu.cfs_{name}_us") or "" for name in ("quota", "period"))
    if quota.isdecimal() and period.isdecimal() and int(quota) and int(period):
        return int(quota) / int(period)
    return None


def memory_bytes() -> int | None:
    """Memory that this process may use: that of the machine, or of the control group if that is less."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        limit = _first(Path(file)) or ""
        if limit.isdecimal():
            return min(total, int(limit))
    return total


def product() -> str | None:
    """Maker and model as the firmware names them, on Amazon's machines the instance type; never a serial number."""
    found = [_first(_DMI / name) or "" for name in ("sys_vendor", "product_name")]
    return " ".join(word for word in (text.strip() for text in found) if word) or None


def gpus() -> tuple[Mapping[str, str], ...]:
    """Name, memory, driver and compute capability of each GPU that nvidia-smi shows."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        answer = subprocess.run(
            [program, f"--query-gpu={','.join(_GPU_FIELDS)}", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=_ENGINE_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return parse_gpus(answer.stdout)


def parse_gpus(text: str) -> tuple[Mapping[str, str], ...]:
    """The GPUs in nvidia-smi's lines `name, memory.total, driver_version, compute_cap`."""
    names = ("name", "memory", "driver", "compute_capability")
    rows = ([part.strip() for part in line.split(",")] for line in text.splitlines() if line.strip())
    return tuple(dict(zip(names, row, strict=True)) for row in rows if len(row) == len(names))


def load_average() -> float | None:
    """Processes that were running or waiting, averaged over the last minute."""
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def host_counters() -> dict[str, float]:
    """What the whole machine has done since it started, and this process; what cannot be read is left out.

    Read before and after a trial; `host_used` tells what happened between. Costs less than a millisecond.
    """
    found = {"seconds": time.monotonic(), "cores": float(os.cpu_count() or 1), "own_cpu_seconds": time.process_time()}
    ticks = _first(Path("/proc/stat"))
    if ticks is not None and ticks.startswith("cpu "):
        found |= _processor_seconds(ticks)
    throttled = [_first(file) for file in sorted(_CPU.glob("cpu*/thermal_throttle/core_throttle_count"))]
    if throttled:
        found["throttle_events"] = float(sum(int(count) for count in throttled if count and count.isdecimal()))
    limits = [_first(file) for file in sorted(_CPU.glob("cpu*/cpufreq/scaling_max_freq"))]
    if limits:
        found["clock_limit"] = float(sum(int(limit) for limit in limits if limit and limit.isdecimal()))
    return found


def host_used(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What happened between two `host_counters`: seconds, cores, and of those that could be read
    `busy_seconds` and `steal_seconds` of all cores together, `own_cpu_seconds` of this process,
    `throttle_events`, and `clock_limit_ratio`, the highest clock allowed at the end over that at the beginning.
    """
    names = ("seconds", "busy_seconds", "steal_seconds", "own_cpu_seconds", "throttle_events")
    used = {name: max(0.0, after[name] - before[name]) for name in names if name in before and name in after}
    if before.get("clock_limit") and "clock_limit" in after:
        used["clock_limit_ratio"] = after["clock_limit"] / before["clock_limit"]
    return {"cores": after["cores"], **used}


def _processor_seconds(ticks: str) -> dict[str, float]:
    """Busy and stolen seconds in the line `cpu  user nice system idle iowait irq softirq steal guest ...`."""
    user, nice, system, _, _, irq, softirq, steal, *_ = (*map(int, ticks.split()[1:]), *([0] * 8))
    per_second = os.sysconf("SC_CLK_TCK")
    busy = user + nice + system + irq + softirq  # guests are in user already
    return {"busy_seconds": busy / per_second, "steal_seconds": steal / per_second}


def container() -> str | None:
    """What this process seems to be contained in; None if nothing tells."""
    if Path("/.dockerenv").exists():
        return "docker"
    if Path("/run/.containerenv").exists():
        return "podman"
    found = re.search(r"docker|kubepods|containerd|lxc", _read("/proc/1/cgroup"))
    return found.group() if found else None


def virtualised() -> bool | None:
    """Whether the CPU says that a hypervisor runs it; None where that is not known."""
    info = _read("/proc/cpuinfo")
    flags = re.search(r"^flags\s*:(.*)$", info, re.MULTILINE)
    return None if flags is None else "hypervisor" in flags.group(1).split()


def _cpu_model(info: str) -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", info, re.MULTILINE)
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def _physical_cores(info: str) -> int | None:
    """Distinct (package, core) pairs in /proc/cpuinfo; None where it does not tell, as on ARM."""
    pairs = set()
    for block in info.split("\n\n"):
        values = dict(re.findall(r"^(physical id|core id)\s*:\s*(\d+)$", block, re.MULTILINE))
        if len(values) == 2:
            pairs.add((values["physical id"], values["core id"]))
    return len(pairs) or None


def _turbo() -> bool | None:
    off = _first(_CPU / "intel_pstate/no_turbo")
    if off in ("0", "1"):
        return off == "0"
    boost = _first(_CPU / "cpufreq/boost")
    return boost == "1" if boost in ("0", "1") else None


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _first(path: Path) -> str | None:
    """The first line of a file of the kernel; None if there is none."""
    text = _read(str(path)).strip()
    return text.splitlines()[0] if text else None
