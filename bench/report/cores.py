"""Which cores servers and load generator had, and what was tried of tuned servers, in words and in table cells."""

from __future__ import annotations

from bench import units
from bench.report import view
from bench.report.view import ServerView
from bench.results import Outcome
from bench.scenario.budget import THREAD_VARIABLES
from bench.scenario.tune import settings_text
from bench.summary import ServerSummary, Summary, Tried, Tuning, Verdict
from bench.units import cores_text

CORES_HEAD = ("server", "cores", "computes with", "thread variables")
CORES_NOTE = (
    "Every server gets the same cores, pinned before it starts and inherited by all of its processes; these are what "
    "the kernel said of them once it was ready. Libraries take their number of threads from variables: "
    f"{', '.join(THREAD_VARIABLES)}."
)
TRIED_HEAD = ("server", "setting", "n", "within the SLO", "throughput", "p50", "p95", "verdict", "note")
_BY = {"goodput": "requests within the SLO", "p95": "the lowest p95", "p50": "the lowest p50"}


def cores_texts(summary: Summary) -> tuple[str, ...]:
    """Who had which cores, and whether any were shared; once per split, with its runs where there are several."""
    found: dict[str, list[str]] = {}
    for budget in summary.budgets:
        found.setdefault(view.one_line(str(budget.get("sentence", ""))), []).append(str(budget.get("run_id", "")))
    else_given = tuple(filter(None, (_exception(one, summary) for one in view.servers(summary))))
    if len(found) < 2:
        return (*(text for text in found if text), *else_given)
    return (*(f"{', '.join(map(view.one_line, runs))}: {text}" for text, runs in found.items()), *else_given)


def _exception(one: ServerView, summary: Summary) -> str:
    """`a has cores 0-1 instead, and shares core 1 with the load generator.`; empty for one on the cores of all."""
    several = len(summary.budgets) > 1
    budget = next((it for it in summary.budgets if not several or it.get("run_id") == one.summary.run_id), {})
    had, given = set(one.summary.cores), set(budget.get("server", ()))
    if not had or not given or had == given:
        return ""
    text = f"{view.one_line(one.name)} has {_named(had)} instead"
    shared = (had & set(budget.get("generator", ()))) - given
    return f"{text}, and shares {_named(shared)} with the load generator." if shared else f"{text}."


def _named(cores: set[int]) -> str:
    return f"{view.plural('core', len(cores))} {cores_text(cores)}"


def cores_rows(summary: Summary) -> tuple[tuple[str, ...], ...]:
    """One line for each server that was started on cores of its own."""
    return tuple(_cores_row(one) for one in view.servers(summary) if one.summary.cores)


def _cores_row(one: ServerView) -> tuple[str, ...]:
    return view.one_line(one.name), server_cores(one.summary), _computing(one.summary), _variables(one.summary)


def server_cores(server: ServerSummary) -> str:
    """`3 (0-2)`: how many, and which."""
    return f"{len(server.cores)} ({cores_text(server.cores)})" if server.cores else "-"


def _computing(server: ServerSummary) -> str:
    counts = server.computing
    if not {"processes", "threads"} <= counts.keys():
        return "-"
    processes, threads = counts["processes"], counts["threads"]
    return f"{processes} {'process' if processes == 1 else 'processes'} x {threads} {view.plural('thread', threads)}"


def _variables(server: ServerSummary) -> str:
    """Variables with the same value together: `all 2`, or `OMP_NUM_THREADS, TF_NUM_INTRAOP_THREADS 2`."""
    found: dict[str, list[str]] = {}
    for name, value in server.threads.items():
        found.setdefault(value, []).append(name)
    if len(found) == 1 and len(server.threads) == len(THREAD_VARIABLES):
        return view.one_line(f"all {next(iter(found))}")
    return view.one_line("; ".join(f"{', '.join(names)} {value}" for value, names in found.items())) or "-"


def tuning_texts(summary: Summary) -> tuple[str, ...]:
    """What came of each tuning, in a sentence or two."""
    return tuple(_tuning_text(tuning) for tuning in summary.tunings)


def _tuning_text(tuning: Tuning) -> str:
    load = f"{units.duration_text(tuning.seconds)} of load by {tuning.users} {view.plural('user', tuning.users)}"
    head = f"{view.one_line(tuning.server)}: {len(tuning.tried)} settings, each with {load} in closed loop"
    chosen, own = tuning.chosen, tuning.default
    if chosen is None:
        return f"{head}; none was chosen."
    failed = sum(each.outcome is not Outcome.OK for each in tuning.tried)
    lost = f" {failed} of them could not be measured." if failed else ""
    if chosen.default:
        return f"{head}; none was clearly better than its own, {_setting(chosen)}.{lost}"
    beside = "" if own is None else f", its own ({_setting(own)}) has {_figure(tuning, own)}"
    return (
        f"{head}, chosen by {_BY[tuning.by]}: {_setting(chosen)} has {_figure(tuning, chosen)}{beside}. "
        f"The server {view.one_line(tuning.tuned)} runs with it.{lost}"
    )


def _figure(tuning: Tuning, tried: Tried) -> str:
    if tuning.by == "goodput":
        return units.rate_text(tried.goodput)
    return units.duration_text(getattr(tried, tuning.by))


def tried_rows(summary: Summary) -> tuple[tuple[str, ...], ...]:
    """One line for each setting of each tuned server; what could not be measured says why."""
    return tuple(_tried_row(tuning, each) for tuning in summary.tunings for each in tuning.tried)


def _tried_row(tuning: Tuning, tried: Tried) -> tuple[str, ...]:
    notes = [*(["default"] if tried.default else []), *(["chosen"] if tried.chosen else [])]
    doubts = [reason.id for reason in tried.reasons if reason.verdict is not Verdict.VALID]
    name = view.one_line(tuning.server)
    if tried.outcome is not Outcome.OK:
        return name, _setting(tried), *["-"] * 6, ", ".join([*notes, view.absence(tried.outcome, tried.reason)])
    return (
        name,
        _setting(tried),
        units.count_text(tried.n),
        units.rate_text(tried.goodput),
        units.rate_text(tried.throughput),
        units.duration_text(tried.p50),
        units.duration_text(tried.p95),
        tried.verdict.value if tried.verdict is not None else "-",
        ", ".join([*notes, *doubts]),
    )


def _setting(tried: Tried) -> str:
    return view.one_line(settings_text(tried.settings))
