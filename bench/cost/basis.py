"""Which machine was measured, which one it is priced as, and where the two are not alike.

A cost is only as good as that likeness: 4 vCPU are 2 physical cores of one family and 4 of another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.validity import Reason, Verdict

_ARCHITECTURES = {"aarch64": "arm64", "amd64": "x86_64", "x64": "x86_64"}
_OLD_MONTHS = 12
_GPU_WORDS = ("tesla", "nvidia", "geforce", "quadro", "rtx")


@dataclass(frozen=True, slots=True)
class Machine:
    """What a server was measured on; `cores` are physical ones that it could use, None where that is not known."""

    model: str
    cores: float | None
    arch: str
    gpus: tuple[str, ...]


def machine_of(environment: Mapping[str, Any], *, usable: float | None = None) -> Machine:
    """The machine of a run's environment; `usable` logical cores are the server's share where it had less than all."""
    cpu = environment.get("cpu")
    facts: Mapping[str, Any] = cpu if isinstance(cpu, Mapping) else {"model": cpu or ""}
    arch = str(environment.get("architecture") or "")
    arch = _ARCHITECTURES.get(arch, arch)
    gpus = environment.get("gpus") or ()
    return Machine(
        model=str(facts.get("model") or ""),
        cores=_cores(facts, arch, usable),
        arch=arch,
        gpus=tuple(str(gpu.get("name", "GPU")) if isinstance(gpu, Mapping) else str(gpu) for gpu in gpus),
    )


def _cores(facts: Mapping[str, Any], arch: str, usable: float | None) -> float | None:
    """Physical cores' worth of what the server could use: its share of the threads, times cores per thread."""
    logical = facts.get("logical_cores")
    physical = facts.get("physical_cores") or (logical if arch == "arm64" else None)
    if not logical or not physical:
        return None
    limits = (usable, facts.get("usable_cores"), facts.get("quota_cores"), logical)
    return float(physical / logical * min(limit for limit in limits if limit))


def machine_text(machine: Machine) -> str:
    """`Example CPU, 2 physical cores, x86_64, no GPU`."""
    gpus = ", ".join(dict.fromkeys(machine.gpus)) if machine.gpus else "no GPU"
    count = f"{len(machine.gpus)} x " if len(machine.gpus) > 1 else ""
    parts = (machine.model, _cores_text(machine.cores), machine.arch, count + gpus)
    return ", ".join(part for part in parts if part)


def priced_text(price: Mapping[str, Any]) -> str:
    """`2 x a1.4xlarge: 32 physical cores (32 vCPU), 64 GiB, arm64`; a bare price says only itself."""
    instance = price.get("instance")
    if not instance:
        return f"${price.get('per_hour', 0):g}/h, of a machine that the scenario does not name"
    count = float(price.get("count") or 1)
    vcpu, memory, accelerators = price.get("vcpu"), price.get("memory_gib"), price.get("accelerators")
    facts = [
        _cores_text(_times(price.get("cores"), count)) + (f" ({vcpu * count:g} vCPU)" if vcpu else ""),
        f"{memory * count:g} GiB" if memory else "",
        str(price.get("arch") or ""),
        f"{accelerators * count:g} x {price['accelerator']}" if accelerators and price.get("accelerator") else "",
    ]
    return f"{count:g} x {instance}: " + ", ".join(fact for fact in facts if fact)


def _cores_text(cores: float | None) -> str:
    if cores is None:
        return "physical cores not known"
    return f"{cores:g} physical core{'' if cores == 1 else 's'}"


def _times(value: float | None, count: float) -> float | None:
    return None if value is None else value * count


def mismatches(machine: Machine, price: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[Reason, ...]:
    """Why a cost is in doubt: the machine measured and the instance it is priced as differ; worst first."""
    if not price.get("instance"):
        return ()
    found = [*_kinds(machine, price, options), *_architectures(machine, price), *_core_counts(machine, price)]
    return tuple(sorted(found, key=lambda reason: reason.verdict is not Verdict.INVALID))


_MEASURE_THERE = "measure on that instance, or price it as what was measured"


def _kinds(machine: Machine, price: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[Reason]:
    instance, accelerator = price["instance"], str(price.get("accelerator") or "")
    device = options.get("device")
    if accelerator and not machine.gpus:
        what = f"priced as {instance} with {accelerator}, measured on a machine without a GPU"
        yield Reason("priced-gpu-unmeasured", Verdict.INVALID, what, _MEASURE_THERE)
    elif accelerator and device == "cpu":
        what = f"priced as {instance} with {accelerator}, measured on the CPU alone (device: cpu)"
        yield Reason("priced-gpu-unmeasured", Verdict.INVALID, what, _MEASURE_THERE)
    elif accelerator and not any(_same_gpu(gpu, accelerator) for gpu in machine.gpus):
        what = f"measured on {machine.gpus[0]}, priced as {instance} with {accelerator}"
        yield Reason("priced-other-gpu", Verdict.SUSPECT, what, _MEASURE_THERE)
    elif not accelerator and machine.gpus and device != "cpu":
        what = f"measured on a machine with {machine.gpus[0]}, priced as {instance}, which has no GPU"
        sure = device == "gpu"
        yield Reason("priced-without-gpu", Verdict.INVALID if sure else Verdict.SUSPECT, what, _MEASURE_THERE)


def _same_gpu(measured: str, priced: str) -> bool:
    """Whether `NVIDIA T4` and `Tesla T4` are one: all words of the shorter name but the maker's are in the other."""
    one, other = ({w for w in name.lower().split() if w not in _GPU_WORDS} for name in (measured, priced))
    return bool(one and other) and (one <= other or other <= one)


def _architectures(machine: Machine, price: Mapping[str, Any]) -> Iterator[Reason]:
    arch = str(price.get("arch") or "")
    if arch and machine.arch and arch != machine.arch:
        what = f"measured on {machine.arch}, priced as {price['instance']}, which is {arch}"
        yield Reason("priced-other-architecture", Verdict.SUSPECT, what, _MEASURE_THERE)


def _core_counts(machine: Machine, price: Mapping[str, Any]) -> Iterator[Reason]:
    priced = _times(price.get("cores"), float(price.get("count") or 1))
    if priced is None or machine.cores is None:
        return
    if abs(priced - machine.cores) > 1e-6 * priced:
        count = f"{price.get('count', 1)} x " if price.get("count", 1) != 1 else ""
        what = f"measured on {_cores_text(machine.cores)}, priced as {count}{price['instance']} with {priced:g}"
        yield Reason("priced-other-cores", Verdict.SUSPECT, what, _MEASURE_THERE)


def age(price: Mapping[str, Any], run_started: str) -> tuple[Reason, ...]:
    """A reason to doubt a price that was more than a year old when the run was made; no clock is asked."""
    as_of = str(price.get("as_of") or "")
    priced, ran = _months(as_of), _months(run_started)
    if priced is None or ran is None or not _over_a_year(as_of, run_started, ran - priced):
        return ()
    name = price.get("instance") or "the scenario"
    what = f"the price of {name} is of {as_of}, more than a year before the run"
    return (Reason("price-old", Verdict.SUSPECT, what, "look the price up and put it in a file of your own prices"),)


def _months(date: str) -> int | None:
    year, month = date[:4], date[5:7]
    return int(year) * 12 + int(month) if year.isdecimal() and month.isdecimal() and date[4:5] == "-" else None


def _over_a_year(as_of: str, started: str, months: int) -> bool:
    """More than twelve months; in the thirteenth month the day decides, where the price has one."""
    if months != _OLD_MONTHS:
        return months > _OLD_MONTHS
    return len(as_of) >= 10 and started[8:10] > as_of[8:10]
