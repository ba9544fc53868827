from __future__ import annotations

from dataclasses import replace

from bench.report.html import report_html
from bench.report.markdown import report_markdown
from bench.report.text import columns, summary_text
from bench.report.used import hardware_texts, lacks, peak_bars, ready_rows, used_table
from bench.results import Outcome
from bench.summary import Summary
from bench.summary.resources import Energy, Resources
from tests import report_cases as cases

USED = Resources(
    memory_peak_bytes=3.2e9,
    memory_mean_bytes=3e9,
    memory_basis="PSS",
    context_switches_per_request=1234.4,
    throttled_share=0.0,
    generator_cpu_share=0.02,
    sampler_cpu_share=0.004,
    peak_share=0.31,
    peak_precision="f32",
    missing={"gpu_utilisation": "no GPU here", "gpu_memory_bytes": "no GPU here"},
)
HARDWARE = {
    "run_id": "1",
    "peak": {"sentence": "311 GFLOP/s in f32 (<b>); on 2 cores"},
    "model": {"name": "B5", "flops": 21_088_401_248, "unknown": {"Fancy": 2}},
    "idle": {"cpu_watts": 12.5, "gpu_watts": None},
    "missing": {},
}


def summary(used: Resources = USED) -> Summary:
    made = cases.typical()
    rows = [replace(row, resources=used) if row.outcome is Outcome.OK else row for row in made.rows]
    servers = [replace(made.servers[0], ready_memory={"rss_bytes": 2e9, "pss_bytes": 1.5e9}), *made.servers[1:]]
    return replace(made, rows=tuple(rows), servers=tuple(servers), hardware=(HARDWARE,))


def test_a_column_that_nobody_has_is_left_out_and_its_reason_said_once() -> None:
    head, rows = used_table(summary())
    assert "peak memory" in head
    assert "GPU busy" not in head
    assert all(len(row) == len(head) for row in rows)
    assert lacks(summary()) == ("GPU busy, GPU memory: no GPU here",)


def test_energy_and_gpus_have_columns_where_they_are_known() -> None:
    energy = Energy(5.5, None)
    known = replace(USED, gpu_utilisation=0.9, energy_per_request=energy, energy_basis="NVML", missing={})
    head, rows = used_table(summary(known))
    assert "GPU busy" in head
    assert rows[0][head.index("gross energy")] == "5.50 J (NVML)"
    assert "net energy" not in head


def test_a_reason_names_its_servers_where_others_have_the_figure() -> None:
    made = summary()
    first = made.rows[0]
    rest = [replace(row, resources=replace(USED, missing={})) if row.resources else row for row in made.rows[1:]]
    said = lacks(replace(made, rows=(first, *rest)))
    assert said == (f"GPU busy, GPU memory: no GPU here ({first.server})",)


def test_memory_that_is_no_pss_says_so() -> None:
    head, rows = used_table(summary(replace(USED, memory_basis="RSS")))
    assert rows[0][head.index("peak memory")] == "3.20 GB (RSS)"


def test_what_shares_are_taken_of_is_said() -> None:
    peak, model, idle = hardware_texts(summary())
    assert peak.startswith("Peak of this machine: 311 GFLOP/s")
    assert "21.1 GFLOP" in model
    assert "not counted: Fancy" in model
    assert "12.5 W processors" in idle
    assert peak_bars(summary())[0][2:] == (0.31, "31 %")
    assert ready_rows(summary())[0][-2:] == ("1.50 GB", "2.00 GB")


def test_runs_without_resources_have_no_such_part() -> None:
    made = cases.typical()
    assert used_table(made) == ((), ())
    assert lacks(made) == ()
    assert "What a request uses" not in report_html(made, [], []) + report_markdown(made, []) + summary_text(made)


def test_every_output_has_the_table_and_no_markup_of_others() -> None:
    page, text = report_html(summary(), [], []), summary_text(summary())
    assert "What a request uses" in page
    assert "311 GFLOP/s in f32 (&lt;b&gt;)" in page
    assert "### What a request uses" in report_markdown(summary(), [])
    assert "What a request uses:" in text
    assert "311 GFLOP/s" in text


def test_the_table_of_a_terminal_fits_it() -> None:
    for width in (80, 100):
        assert max(columns(line) for line in summary_text(summary(), width).splitlines()) <= width
