"""The page's controls compute in the browser what the library computes from the rows: both are run and compared."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import units
from bench.cost import Option, Traffic, cheapest_by_rate, replicas_for, stairs
from bench.cost.words import break_even_text
from bench.measures.capacity import Look, Result, capacity_of
from bench.report import view
from bench.report.html import script
from bench.report.live import live_json
from bench.results import Run
from bench.summary import Summary, summarise
from tests.judged import asked_again, searched_run
from tests.recorded import PRICE_CPU, Fake, Point, recorded_run

NODE = shutil.which("node")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(NODE is None, reason="node is not installed: the page's script is only tested in a browser"),
]
PURE = ("units", "steps", "capacity", "judge", "costs", "answer", "table")


def in_node(folder: Path, asked: Any, body: str) -> Any:
    """What `body`, a JavaScript expression over `asked`, gives with the page's own functions at hand."""
    assert NODE is not None
    functions = script(PURE).removesuffix("})();")
    (folder / "asked.json").write_text(json.dumps(asked))
    read = f"JSON.parse(require('fs').readFileSync({json.dumps(str(folder / 'asked.json'))}))"
    (folder / "run.js").write_text(
        f"{functions}\nconst asked = {read};\nconsole.log(JSON.stringify({body}));\n}})();\n"
    )
    ran = subprocess.run([NODE, str(folder / "run.js")], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return searched_run(tmp_path_factory.mktemp("searched"))


@pytest.fixture(scope="module")
def summary(run: Run) -> Summary:
    return summarise([run])


SETTINGS: tuple[tuple[float, Mapping[str, float], Mapping[str, float]], ...] = (
    (1.0, {}, {}),
    (0.15, {}, {}),
    (0.2, {"flask": 0.05}, {}),
    (0.25, {"gunicorn": 0.01}, {"rate": 5.0}),
    (0.3, {"triton": 0.4}, {"rate": 30.0, "headroom": 0.5}),
    (0.5, {"flask": 1.0, "gunicorn": 0.02, "tfserving": 12.5}, {"rate": 100.0, "headroom": 0.0}),
    (1.2, {"flask": 0.1, "gunicorn": 0.05}, {"rate": 20.0}),
    (1.2, {"flask": 0.3, "tfserving": 1.3}, {"rate": 12.0, "headroom": 0.25}),
    (3.0, {"tfserving": 2.0}, {"rate": 1e6}),
    (800.0, {"tfserving": 100.0}, {"headroom": 0.9}),
)


def _lines(summary: Summary) -> list[Any]:
    slugs = [column.slug for column in view.columns(summary)]
    return [
        [
            line.name, line.place, line.why, line.absent,
            {} if line.absent else {s: [c.text, c.note, c.best] for s, c in zip(slugs, line.cells, strict=True)},
        ]
        for line in view.standings(summary)
    ]  # fmt: skip


def rounding(run: Run, *names: str) -> Run:
    """The same run, where these servers do other work than the model."""
    servers = tuple(
        replace(one, other_work="int8 weights") if one.name in names else one for one in run.manifest.servers
    )
    return replace(run, manifest=replace(run.manifest, servers=servers))


@pytest.mark.parametrize(
    ("rounded", "settings"),
    [
        ((), SETTINGS),
        (("tfserving", "triton"), SETTINGS[2:5]),
        (("flask", "gunicorn", "tfserving", "triton"), SETTINGS[2:3]),
    ],
    ids=["no other work", "two do other work", "all do other work"],
)
def test_answer_and_table_are_what_the_rows_give_under_the_same_assumptions(
    run: Run, tmp_path: Path, rounded: tuple[str, ...], settings: Sequence[Any]
) -> None:
    run = rounding(run, *rounded)
    summary = summarise([run])
    data = live_json(summary)
    assert data is not None
    own = {one.server: (one.price or {}).get("per_hour") for one in summary.servers}
    asked = [
        {
            "limit": limit,
            "perHour": [prices.get(one.server, own[one.server]) for one in summary.servers],
            "traffic": traffic.get("rate"),
            "headroom": traffic.get("headroom", Traffic().headroom),
        }
        for limit, prices, traffic in settings
    ]
    found = in_node(tmp_path, {"data": json.loads(data), "settings": asked}, f"asked.settings.map({ASKED})")
    for (limit, prices, traffic), (answer, lines, bills) in zip(settings, found, strict=True):
        expected = asked_again(run, limit, prices, traffic)
        assert answer == expected.answer
        assert lines == _lines(expected)
        assert bills == _bills(expected)


def test_servers_that_serve_one_load_alike_are_ranked_in_the_browser_as_in_the_library(tmp_path: Path) -> None:
    servers = [
        Fake(name, "flask" if name == "first" else "command", name, service, lanes=4, price=PRICE_CPU)
        for name, service in (("first", 0.12), ("late", 0.09), ("soon", 0.06), ("near", 0.061))
    ]
    points = (Point(users=1, duration=20.0), Point(arrival_rate=4, duration=50.0))
    run = recorded_run(tmp_path, servers=servers, points=points, capacity=False)
    summary = summarise([run])
    data, own = live_json(summary), PRICE_CPU["per_hour"]
    assert data is not None
    settings: list[tuple[float, dict[str, float], dict[str, float]]]
    settings = [(limit, {}, traffic) for limit in (1.0, 0.1, 0.06) for traffic in ({}, {"rate": 40.0})]
    asked = [
        {"limit": limit, "perHour": [own] * 4, "traffic": traffic.get("rate"), "headroom": Traffic().headroom}
        for limit, _, traffic in settings
    ]
    found = in_node(tmp_path, {"data": json.loads(data), "settings": asked}, f"asked.settings.map({ASKED})")
    for (limit, prices, traffic), (answer, lines, bills) in zip(settings, found, strict=True):
        expected = asked_again(run, limit, prices, traffic)
        assert answer == expected.answer
        assert lines == _lines(expected)
        assert bills == _bills(expected)
    assert "near, with a p95 of" in found[0][0]


ASKED = """(each) => {
    const rows = judged(asked.data, each), costs = costsOf(rows, asked.data, each);
    const cells = (line) => Object.entries(line.cells).map(([slug, c]) => [slug, [c.text, c.note, c.best]]);
    const money = (b) => [dollarsText(b.month), dollarsText(b.million)];
    const bills = costs.servers.map((b) => [b.name, b.absent, b.contends, b.replicas, ...money(b)]);
    return [
        answerOf(rows, asked.data, each.limit, costs),
        linesOf(rows, asked.data, costs).map((l) => [l.name, l.place, l.why, l.absent, Object.fromEntries(cells(l))]),
        [bills, costs.chosen === null ? null : asked.data.servers[costs.chosen].server, costs.breakEven],
    ];
}"""


def _bills(summary: Summary) -> list[Any]:
    costs = summary.costs
    assert costs is not None
    bills = [
        [
            one.name, one.absent, one.contends, one.replicas,
            units.dollars_text(one.per_month.value if one.per_month else None),
            units.dollars_text(one.per_million.value if one.per_million else None),
        ]
        for one in costs.servers
    ]  # fmt: skip
    return [bills, costs.chosen[0] if costs.chosen else None, costs.break_even]


def test_numbers_become_the_same_text(tmp_path: Path) -> None:
    draw = random.Random(5)
    numbers = [draw.uniform(1, 10) * 10 ** draw.randint(-8, 7) for _ in range(3000)]
    numbers += [0.0, 112.5, 2.5, 0.125, 1125.0, 99.95, 999.5, 0.9995, 1e-3, 9.995e-4, 120.0, 7200.0, 1234567.0]
    names = ("duration_text", "rate_text", "dollars_text", "ratio_text", "count_text", "percent_text")
    scripts = ("durationText", "rateText", "dollarsText", "ratioText", "countText", "percentText")
    found = in_node(tmp_path, numbers, f"asked.map((x) => [{', '.join(f'{name}(x)' for name in scripts)}])")
    for number, texts in zip(numbers, found, strict=True):
        assert texts == [getattr(units, name)(number) for name in names], number
    texts = ["1.00 s", "2.50/s", "100 ms", "$1,000", "0.0500/s", "10.20/s"]
    assert in_node(tmp_path, texts, "asked.map(short)") == [units.short(text) for text in texts]


def test_capacities_agree_to_a_millionth(tmp_path: Path, summary: Summary) -> None:
    draw = random.Random(9)
    searches = []
    for _ in range(25):
        looks = []
        for _ in range(draw.randint(1, 8)):
            rate = draw.uniform(5, 200)
            ratio = (rate / 80) ** draw.uniform(1, 8)
            result = draw.choice([Result.MET if ratio <= 1 else Result.MISSED] * 9 + [Result.UNTOLD])
            told = None if result is Result.UNTOLD or draw.random() < 0.2 else ratio
            looks.append(Look(rate, result, "", told))
        searches.append(looks)
    data = live_json(summary)
    assert data is not None
    plain = [[{"rate": x.rate, "result": x.result.value, "ratio": x.ratio} for x in looks] for looks in searches]
    found = in_node(
        tmp_path,
        {"data": json.loads(data), "looks": plain},
        "asked.looks.map((looks) => capacityOf(looks, asked.data))",
    )
    for looks, one in zip(searches, found, strict=True):
        expected = capacity_of(looks)
        assert one == {
            end: None if getattr(expected, end) is None else pytest.approx(getattr(expected, end), rel=1e-6)
            for end in ("value", "low", "high")
        }, looks


def test_replicas_and_stairs_are_those_of_the_library(tmp_path: Path) -> None:
    draw = random.Random(11)
    pairs = [(draw.uniform(0.01, 900), draw.uniform(0.05, 90)) for _ in range(400)] + [
        (0.3, 0.1),
        (6.0, 2.0),
        (1e-9, 5.0),
    ]
    assert in_node(tmp_path, pairs, "asked.map(([rate, usable]) => replicasFor(rate, usable))") == [
        replicas_for(rate, usable) for rate, usable in pairs
    ]
    traffic = Traffic(spare_replicas=2)
    asked = {"option": {"usable": 7.0, "perHour": 0.408}, "traffic": {"spare_replicas": 2, "hours_per_month": 730}}
    corners = in_node(tmp_path, asked, "stairsOf(asked.option, asked.traffic, 31.5)")
    steps = stairs(Option(7.0, 0.408), traffic.spare_replicas, 31.5)
    expected = [(at, s.per_hour * traffic.hours_per_month) for s in steps for at in (s.above, s.up_to)]
    assert [tuple(corner) for corner in corners] == [pytest.approx(each) for each in expected]


def test_the_rates_at_which_the_choice_turns_are_those_of_the_library(tmp_path: Path) -> None:
    draw = random.Random(3)

    def option() -> tuple[float, float]:
        return draw.uniform(1, 40), draw.choice([0.1, 0.2, 0.4, draw.uniform(0.05, 3)])

    markets = [([option() for _ in range(draw.randint(1, 4))], spare) for spare in (0, 1, 3) for _ in range(12)]
    markets.append(([(10.0, 1.0), (10.0, 1.0)], 1))
    asked = [[[{"usable": u, "perHour": p} for u, p in options], spare] for options, spare in markets]
    names = ["a", "b", "c", "d"]
    found = in_node(
        tmp_path,
        asked,
        "asked.map(([options, spare]) => { const found = cheapestByRate(options, spare);"
        f"return [found, breakEvenText(found, {json.dumps(names)}.slice(0, options.length))]; }})",
    )
    for (options, spare), (stretches, said) in zip(markets, found, strict=True):
        expected = cheapest_by_rate([Option(*option) for option in options], spare)
        assert stretches == [
            [pytest.approx(each.above), each.up_to and pytest.approx(each.up_to), list(each.cheapest)]
            for each in expected
        ]
        assert said == break_even_text(expected, names[: len(options)])
