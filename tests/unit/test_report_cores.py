"""The report says which cores everybody had, and everything that was tried of a tuned server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench.report.cores import cores_rows, cores_texts, tried_rows, tuning_texts
from bench.report.html import report_html
from bench.report.markdown import report_markdown
from bench.report.text import columns, summary_text
from bench.results import Outcome
from bench.scenario.budget import Processor, budget_text, split, thread_environment
from bench.summary import Summary, Tuning
from tests.report_cases import NASTY, POINTS, row, server, summary
from tests.unit.test_tune import setting

FOUR = split(Processor(((0,), (1,), (2,), (3,))))


def cored(**changes: Any) -> Summary:
    """Two servers on three of four cores, the load generator on the last."""
    made = summary([row("a", POINTS[0]), row("b", POINTS[0])], [server("a"), server("b")])
    servers = tuple(
        replace(each, cores=(0, 1, 2), computing={"processes": 1, "threads": 3}, threads=thread_environment(3))
        for each in made.servers
    )
    return replace(made, servers=servers, budgets=({"run_id": "r1", **FOUR.as_mapping()},), **changes)


def tuning(*more: Any, name: str = "a") -> Tuning:
    tried = (setting(1, 50.0), setting(2, 100.0, chosen=True), *more)
    return Tuning(name, f"{name} (tuned)", "r1", 15.0, 8, "goodput", tried)


def test_every_output_says_who_had_which_cores() -> None:
    said = "Every server gets cores 0-2 (3 of 4 cores); the load generator has core 3 to itself."
    made = cored()
    assert cores_texts(made) == (said,) == (budget_text(FOUR),)
    assert said in " ".join(summary_text(made).split())
    assert "cores 0-2 (3 of 4 cores)" in report_markdown(made, ())
    assert report_html(made, [], []).count("cores 0-2 (3 of 4 cores)") == 2


def test_a_server_on_other_cores_than_the_rest_is_named_with_what_it_shares() -> None:
    made = cored()
    other = replace(made, servers=(made.servers[0], replace(made.servers[1], cores=(0, 1, 2, 3))))
    assert cores_texts(other)[1:] == ("b has cores 0-3 instead, and shares core 3 with the load generator.",)
    fewer = replace(made, servers=(made.servers[0], replace(made.servers[1], cores=(1,))))
    assert cores_texts(fewer)[1:] == ("b has core 1 instead.",)


def test_each_server_has_its_cores_and_threads() -> None:
    assert cores_rows(cored()) == (
        ("a", "3 (0-2)", "1 process x 3 threads", "all 3"),
        ("b", "3 (0-2)", "1 process x 3 threads", "all 3"),
    )
    made = cored()
    mixed = replace(made.servers[0], threads={"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "2"}, computing={})
    assert cores_rows(replace(made, servers=(mixed,)))[0][2:] == ("-", "OMP_NUM_THREADS 1; TF_NUM_INTRAOP_THREADS 2")


def test_a_run_that_pinned_nothing_says_nothing_of_cores() -> None:
    made = summary([row("a", POINTS[0])], [server("a")])
    assert (cores_texts(made), cores_rows(made), tried_rows(made)) == ((), (), ())
    assert "Equal cores" not in report_html(made, [], [])


def test_several_runs_each_tell_their_own_split() -> None:
    other = {"run_id": "r2", **split(Processor(((0,), (1,)))).as_mapping()}
    made = cored()
    texts = cores_texts(replace(made, budgets=(*made.budgets, other)))
    assert [text.partition(":")[0] for text in texts] == ["r1", "r2"]


def test_all_that_was_tried_is_shown_with_the_default_and_the_best() -> None:
    made = cored(tunings=(tuning(),))
    assert tried_rows(made) == (
        ("a", "workers 1", "200", "50.0/s", "10.0/s", "100 ms", "200 ms", "VALID", "default"),
        ("a", "workers 2", "200", "100/s", "10.0/s", "100 ms", "200 ms", "VALID", "chosen"),
    )
    (said,) = tuning_texts(made)
    assert said == (
        "a: 2 settings, each with 15.0 s of load by 8 users in closed loop, chosen by requests within the SLO: "
        "workers 2 has 100/s, its own (workers 1) has 50.0/s. The server a (tuned) runs with it."
    )
    for text in (summary_text(made), report_markdown(made, ()), report_html(made, [], [])):
        assert "What was tried" in text
        assert "workers 1" in text


def test_a_setting_that_failed_is_never_hidden() -> None:
    failed = setting(3, None, outcome=Outcome.FAILED, reason="server ended (exit code 3)\nlast lines")
    made = cored(tunings=(tuning(failed),))
    assert tried_rows(made)[-1] == (
        "a", "workers 3", "-", "-", "-", "-", "-", "-", "failed: server ended (exit code 3) last lines"
    )  # fmt: skip
    assert "1 of them could not be measured." in tuning_texts(made)[0]
    assert "server ended (exit code 3)" in report_html(made, [], [])


def test_where_the_own_setting_or_none_was_best_it_is_said() -> None:
    own = replace(tuning(), tried=(setting(1, 50.0, chosen=True), setting(2, 50.5)))
    none = replace(tuning(), tried=(setting(1, None, outcome=Outcome.FAILED, reason="no"),))
    assert tuning_texts(cored(tunings=(own,)))[0].endswith("none was clearly better than its own, workers 1.")
    assert tuning_texts(cored(tunings=(none,)))[0].endswith("none was chosen.")


def test_hostile_names_and_settings_are_escaped_and_fit_the_terminal() -> None:
    hostile = setting(3, 10.0, settings={name: name for name in NASTY})
    made = cored(tunings=(tuning(hostile, name=NASTY[0]),))
    assert "<script>alert" not in report_html(made, [], []).partition("</style>")[2].partition("What was tried")[2]
    assert all(columns(line) <= 80 for line in summary_text(made, width=80).splitlines())
    assert "\x1b" not in summary_text(made)
