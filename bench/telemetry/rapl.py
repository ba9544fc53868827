"""Energy that the processor's own counters (RAPL) have seen, of all packages and their memory together."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
ABSENT = "no powercap here: this machine shows no RAPL counters"
DENIED = "not readable without root: RAPL's energy_uj"
_MICRO = 1e6


@dataclass(slots=True)
class _Zone:
    file: Path
    span: int
    """Where the counter begins anew, in microjoules; 0 if it is not told."""
    last: int
    spent: int = 0


@dataclass(slots=True)
class Rapl:
    """Counters of every package and of the memory beside it; they cover the whole machine, not one process."""

    zones: list[_Zone] = field(default_factory=list)

    def joules(self) -> float:
        """Joules since this was made; a counter that began anew in between is carried on. NaN if one is lost."""
        for zone in self.zones:
            now = _number(zone.file)
            if now is None:
                return float("nan")
            gained = now - zone.last
            zone.spent += gained if gained >= 0 else gained + zone.span if zone.span else 0
            zone.last = now
        return sum(zone.spent for zone in self.zones) / _MICRO


def find_rapl(root: Path = POWERCAP) -> Rapl | str:
    """The counters, or why there are none.

    A package holds its cores and its graphics but not its memory, so of the zones below it only `dram` is added;
    `psys` is the whole board and would count the packages twice.
    """
    found: list[_Zone] = []
    denied = False
    for zone in sorted(root.glob("intel-rapl:*")):
        name = _text(zone / "name")
        if not (name.startswith("package") or name == "dram"):
            continue
        try:
            first = int((zone / "energy_uj").read_text())
        except PermissionError:
            denied = True
            continue
        except (OSError, ValueError):
            continue
        found.append(_Zone(zone / "energy_uj", _number(zone / "max_energy_range_uj") or 0, first))
    if denied:
        return DENIED
    return Rapl(found) if found else ABSENT


def _number(file: Path) -> int | None:
    text = _text(file)
    return int(text) if text.isdecimal() else None


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
