"""What requests used, as tables with a line per server and load point; what nobody has is said once, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench import units
from bench.report import view
from bench.results import Outcome
from bench.summary import Row, Summary
from bench.summary.resources import Resources

USED_TITLE = "What a request uses"
USED_NOTE = (
    "Of the server's whole process tree, in the measured window; memory from the trial's beginning. CPU time and "
    "context switches are per reply, energy per good reply and of the whole machine, net of what it draws when idle. "
    "Generator and watching are shares of one core. "
)
PEAK_NOTE = (
    "Share of the peak: operations that the model needs for the good replies, where 100 % is what this machine's own "
    "matrix multiplication reaches. "
)
READY_HEAD = ("server", "start-up", "model on disk", "PSS when ready", "RSS when ready")
READY_NOTE = "Memory once the server was ready, before any load: its program with the model in it."


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    name: str
    text: Callable[[Row, Resources], str]
    brief: bool = False
    """Whether a terminal shows it."""


def _share(value: float | None) -> str:
    return units.percent_text(value)


_COLUMNS = (
    _Column(
        "CPU time",
        "cpu_seconds_per_request",
        lambda row, _: units.duration_text(row.cpu_seconds_per_request),
        brief=True,
    ),
    _Column("peak memory", "memory_peak_bytes", lambda _, used: _memory(used, used.memory_peak_bytes), brief=True),
    _Column("mean memory", "memory_mean_bytes", lambda _, used: _memory(used, used.memory_mean_bytes)),
    _Column(
        "switches",
        "context_switches_per_request",
        lambda _, used: _plain(used.context_switches_per_request),
        brief=True,
    ),
    _Column("throttled", "throttled_share", lambda _, used: _share(used.throttled_share)),
    _Column("GPU busy", "gpu_utilisation", lambda _, used: _share(used.gpu_utilisation), brief=True),
    _Column("GPU memory", "gpu_memory_bytes", lambda _, used: units.bytes_text(used.gpu_memory_bytes)),
    _Column("GPU power", "power_watts", lambda _, used: units.scaled_text(used.power_watts, "W")),
    _Column("GPU clock", "gpu_clock_hz", lambda _, used: units.scaled_text(used.gpu_clock_hz, "Hz")),
    _Column(
        "gross energy",
        "energy_per_request.gross",
        lambda _, used: _energy(used, used.energy_per_request.gross if used.energy_per_request else None),
    ),
    _Column(
        "net energy",
        "energy_per_request.net",
        lambda _, used: _energy(used, used.energy_per_request.net if used.energy_per_request else None),
        brief=True,
    ),
    _Column("of the peak", "peak_share", lambda _, used: _share(used.peak_share), brief=True),
    _Column("generator", "generator_cpu_share", lambda _, used: _share(used.generator_cpu_share)),
    _Column("watching", "sampler_cpu_share", lambda _, used: _share(used.sampler_cpu_share)),
)


def used_table(summary: Summary, *, brief: bool = False) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Header and lines; a column in which not one line has a figure is left out. Empty where nothing is known."""
    measured = _measured(summary)
    columns = [
        column
        for column in _COLUMNS
        if (column.brief or not brief) and any(column.text(row, used) != "-" for _, row, used in measured)
    ]
    if not columns:
        return (), ()
    lines = tuple((name, row.label, *(column.text(row, used) for column in columns)) for name, row, used in measured)
    return ("server", "load", *(column.title for column in columns)), lines


def peak_bars(summary: Summary) -> tuple[tuple[str, str, float, str], ...]:
    """(server, load, share of the peak, as text) of each line that has one; a share above 1 stays above 1."""
    return tuple(
        (name, row.label, used.peak_share, _share(used.peak_share))
        for name, row, used in _measured(summary)
        if used.peak_share is not None
    )


def lacks(summary: Summary) -> tuple[str, ...]:
    """One sentence per reason why figures are missing: `GPU busy, GPU memory: no NVIDIA GPU here (echo, flask)`.

    Servers are named only where others have the figure.
    """
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    measured = _measured(summary)
    everybody = tuple(dict.fromkeys(name for name, _, _ in measured))
    for column in _COLUMNS:
        reasons: dict[str, dict[str, None]] = {}
        for name, _, used in measured:
            if column.name in used.missing:
                reasons.setdefault(used.missing[column.name], {})[name] = None
        for reason, names in reasons.items():
            found.setdefault((reason, tuple(names)), []).append(column.title)
    return tuple(
        f"{', '.join(titles)}: {view.one_line(reason)}" + ("" if names == everybody else f" ({', '.join(names)})")
        for (reason, names), titles in found.items()
    )


def hardware_texts(summary: Summary) -> tuple[str, ...]:
    """The peak of the machine, the operations of the model and the idle power, once for all runs that agree."""
    texts: dict[str, None] = {}
    for hardware in summary.hardware:
        peak, model, idle = hardware.get("peak"), hardware.get("model"), hardware.get("idle") or {}
        if peak:
            texts[f"Peak of this machine: {view.one_line(str(peak['sentence']))}."] = None
        if model:
            texts[_model_text(model)] = None
        drawn = [
            f"{units.scaled_text(idle[key], 'W')} {what}"
            for key, what in (("cpu_watts", "processors"), ("gpu_watts", "GPUs"))
            if idle.get(key) is not None
        ]
        if drawn:
            texts[f"Drawn by the idle machine before the run: {', '.join(drawn)}."] = None
    return tuple(texts)


def _model_text(model: Mapping[str, object]) -> str:
    amount = units.scaled_text(float(str(model["flops"])), "FLOP")
    unknown = model.get("unknown")
    more = (
        "; nodes that were not counted: " + ", ".join(map(str, unknown))
        if isinstance(unknown, dict) and unknown
        else ""
    )
    return f"{view.one_line(str(model['name']))} takes {amount} for one image, decoding left out{more}."


def ready_rows(summary: Summary) -> tuple[tuple[str, ...], ...]:
    """Start-up, model on disk and memory when ready, of each server of which one of these is known."""
    rows = []
    for one in view.servers(summary):
        known = one.summary
        cells = (
            units.duration_text(known.startup_seconds),
            units.bytes_text(known.model_bytes),
            units.bytes_text(known.ready_memory.get("pss_bytes")),
            units.bytes_text(known.ready_memory.get("rss_bytes")),
        )
        if known.ready_memory:
            rows.append((view.one_line(one.name), *cells))
    return tuple(rows)


def used_note(head: Sequence[str]) -> str:
    """What the columns mean."""
    return (USED_NOTE + (PEAK_NOTE if "of the peak" in head else "")).strip()


def _measured(summary: Summary) -> list[tuple[str, Row, Resources]]:
    """Load point by load point, servers in their order."""
    found = []
    for point in view.load_points(summary):
        for one in view.servers(summary):
            row = one.row(point.label)
            if row is not None and row.outcome is Outcome.OK and row.resources is not None:
                found.append((view.one_line(one.name), row, row.resources))
    return found


def _memory(used: Resources, size: float | None) -> str:
    """With its basis where that is not PSS."""
    basis = "" if used.memory_basis in ("PSS", "") or size is None else f" ({used.memory_basis})"
    return units.bytes_text(size) + basis


def _energy(used: Resources, joules: float | None) -> str:
    """With what was metered, since processors and GPUs are not metered on every machine."""
    return units.scaled_text(joules, "J") + (f" ({used.energy_basis})" if joules is not None else "")


def _plain(count: float | None) -> str:
    return "-" if count is None else f"{count:,.0f}" if count >= 100 else f"{count:.3g}"
