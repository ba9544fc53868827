from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from functools import lru_cache
from html.parser import HTMLParser

from bench.report import charts, sheet
from bench.report.html import Picture, Source, report_html, script
from bench.summary import Summary
from tests import report_cases as cases
from tests.golden_files import check_golden

SCENARIO = "name: efficientnet\nservers:\n  flask: {kind: flask}\n"
DRAWN = '<svg xmlns="http://www.w3.org/2000/svg"></svg>'


class _Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]


@lru_cache
def _typical_pictures() -> list[Picture]:
    return _pictures(cases.typical())


def _pictures(summary: Summary) -> list[Picture]:
    made = []
    for chart in charts.all_charts(summary):
        svg = sheet.svg_bytes(chart.paper.figure).decode()
        shown = sheet.inline(svg, f"chart-{chart.slug}", chart.title, chart.description, chart.paper.top)
        made.append(Picture(chart.slug, chart.title, chart.paper.reading, shown, chart.columns, chart.rows))
    return made


@lru_cache
def _typical() -> str:
    return report_html(cases.typical(), _typical_pictures(), [Source(cases.manifest(), SCENARIO)])


def _page(summary: Summary, scenario: str = SCENARIO) -> str:
    return report_html(summary, _pictures(summary), [Source(cases.manifest(), scenario)])


def test_nothing_hostile_becomes_markup() -> None:
    tags = _Tags(_page(cases.hostile(), "servers: {}\n# </pre><script>alert(9)</script><img src=x>\n"))
    assert not {"img", "iframe", "b", "i", "object"} & set(tags.tags)
    assert tags.tags["script"] == 2, "the page's own and its data"
    assert not any(name.startswith("on") for name, _ in tags.attributes)


def test_the_page_needs_no_network() -> None:
    tags = _Tags(_typical())
    links = [value for name, value in tags.attributes if name in ("src", "href", "xlink:href", "action", "srcset")]
    assert links
    assert all(link.startswith("#") for link in links)
    assert not {"link", "iframe", "img"} & set(tags.tags)
    assert "fetch(" not in script()
    assert "http" not in script().replace("http://www.w3.org/2000/svg", "")


def test_only_the_pages_own_script_may_run() -> None:
    page = _typical()
    policy = next(value for name, value in _Tags(page).attributes if value.startswith("default-src"))
    digest = base64.b64encode(hashlib.sha256(script().encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; script-src 'sha256-{digest}';")
    assert page.count(f"<script>{script()}</script>") == 1
    assert "</script" not in script(), "or the page would end it too early"


def test_no_id_is_used_twice() -> None:
    ids = Counter(value for name, value in _Tags(_typical()).attributes if name == "id")
    assert [name for name, count in ids.items() if count > 1] == []


def test_every_chart_has_a_name_a_description_and_its_data() -> None:
    tags, count = _Tags(_typical()), len(_typical_pictures())
    assert count == 13
    assert tags.tags["svg"] == tags.tags["desc"] == count
    ids = {value for name, value in tags.attributes if name == "id"}
    named = [value.split() for name, value in tags.attributes if name == "aria-labelledby" and " " in value]
    assert len(named) == count
    assert all(part in ids for parts in named for part in parts)
    assert tags.tags["figure"] == count
    assert tags.tags["details"] >= count


def test_absent_servers_doubts_references_and_the_scenario_are_there() -> None:
    page = _typical()
    for text in (
        "skipped: no GPU on this machine: /dev/nvidia0 is not there",
        "40 of 100 answers disagree with the reference",
        "the article&#39;s Flask example",
        "0.0940x",
        "Example CPU @ 2.60 GHz",
        "8.00 GB",
        "bench run scenarios/efficientnet.yaml",
        "flask: {kind: flask}",
        "Seed 7",
        "2026-07-20",
    ):
        assert text in page, text


def test_a_page_without_figures_still_says_why() -> None:
    page = _page(cases.nothing())
    assert "Nothing was measured" in page
    assert "failed: port taken" in page


def test_the_page_is_the_golden_one() -> None:
    pictures = [Picture("latency", "Latency by server", "Reading", DRAWN, ("server", "p50"), (("flask", "190 ms"),))]
    page = report_html(cases.typical(), pictures, [Source(cases.manifest(), SCENARIO)])
    check_golden("report.html", re.sub(r"sha256-[^']+", "sha256-", page.replace(script(), "the script")))


def test_what_differs_between_the_machines_of_merged_runs_is_said() -> None:
    other = cases.manifest(run_id="r2", environment={"cpu": "Other CPU", "cores": 2, "gpu": "Example GPU"})
    page = report_html(cases.typical(), [], [Source(cases.manifest(), ""), Source(other, "")])
    told = page[page.index("What differs between the runs") :]
    told = told[: told.index("</table>")]
    assert "Example CPU @ 2.60 GHz" in told
    assert "Other CPU" in told
    assert "<td>cores</td>" not in told
    assert "What differs" not in report_html(cases.typical(), [], [Source(cases.manifest(), "")])
