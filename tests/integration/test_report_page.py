"""The report as a person meets it: opened from disk without a network, its controls moved, its table sorted, copied."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.report import write_report
from bench.results import load_run
from tests.judged import asked_again, searched_run
from tests.report_cases import NASTY

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
MISSING = [
    what
    for what, there in (
        ("Debian's package chromium", CHROMIUM),
        ("Debian's package chromium-driver", DRIVER),
        ("selenium", importlib.util.find_spec("selenium")),
        ("axe-core-python", importlib.util.find_spec("axe_core_python")),
    )
    if not there
]
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(MISSING), reason=f"not here: {', '.join(MISSING)}"),
    pytest.mark.filterwarnings("ignore::ResourceWarning:selenium", "ignore::DeprecationWarning:selenium"),
]
LOOKS = [("light", "screen", 1100), ("dark", "screen", 1100), ("light", "screen", 390), ("dark", "screen", 390),
         ("light", "print", 800)]  # fmt: skip
Browser = Any


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = CHROMIUM or ""
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd(
        "Network.emulateNetworkConditions",
        {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0},
    )
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run whose first server has a name that is markup."""
    folder = tmp_path_factory.mktemp("page")
    run = searched_run(folder)
    for file in [run.folder / "run.json", *run.folder.glob("trials/*/trial.json")]:
        document = json.loads(file.read_text())
        renamed = json.dumps(document).replace('"flask"', json.dumps(NASTY[0]))
        file.write_text(renamed.replace('"kind": ' + json.dumps(NASTY[0]), '"kind": "flask"'))
    return write_report([run.folder]) / "report.html"


def opened(browser: Browser, page: Path, scheme: str = "light", media: str = "screen", width: int = 1100) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get_log("performance")
    browser.get(page.as_uri())


def moved(browser: Browser, control: str, value: str) -> None:
    """Set a control as a hand would, with the event that follows."""
    browser.execute_script(
        "const box = document.getElementById(arguments[0]); box.value = arguments[1];"
        "box.dispatchEvent(new Event('input', {bubbles: true}));",
        control,
        value,
    )


def text_of(browser: Browser, control: str) -> str:
    return str(browser.execute_script("return document.getElementById(arguments[0]).textContent", control)).strip()


def table(browser: Browser) -> list[str]:
    return list(
        browser.execute_script(
            "return [...document.querySelectorAll('#standing tbody th')].map((cell) => cell.firstChild.textContent)"
        )
    )


@pytest.mark.parametrize(("scheme", "media", "width"), LOOKS)
def test_nothing_is_requested_nothing_logged_nothing_too_wide_and_axe_finds_no_violation(
    browser: Browser, page: Path, scheme: str, media: str, width: int
) -> None:
    from axe_core_python.selenium import Axe

    opened(browser, page, scheme, media, width)
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if url != page.as_uri()] == []
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width
    if (scheme, width) in (("light", 1100), ("dark", 390)):  # seconds each
        found = Axe().run(browser, context={"exclude": [[".chart svg > *"]]}, options={"resultTypes": ["violations"]})
        said = [
            (one["id"], one["nodes"][0]["html"][:120], one["nodes"][0]["failureSummary"]) for one in found["violations"]
        ]
        assert said == []


def test_every_control_moves_answer_table_and_staircase_as_the_rows_would(browser: Browser, page: Path) -> None:
    opened(browser, page)
    own = text_of(browser, "answer")
    stops = browser.execute_script("return window.benchLive.asked.limit")
    assert stops == 1.0
    run = load_run(page.parent)
    limits = browser.execute_script(
        "const box = document.getElementById('ask-limit'); return [Number(box.value), Number(box.max)]"
    )
    moved(browser, "ask-limit", str(limits[0] - 6))
    moved(browser, "ask-traffic", "25")
    moved(browser, "ask-headroom", "45")
    moved(browser, "ask-price-1", "0.05")
    asked = browser.execute_script("return window.benchLive.asked")
    assert asked["limit"] < 1.0
    expected = asked_again(run, asked["limit"], {"gunicorn": 0.05}, {"rate": 25.0, "headroom": 0.45})
    assert browser.execute_script("return window.benchLive.answer") == expected.answer
    assert f"{text_of(browser, 'answer')} {text_of(browser, 'answer-rest')}".strip() == expected.answer
    assert not browser.execute_script("return document.getElementById('changed').hidden")
    assert browser.execute_script("return document.querySelectorAll('#ask-stairs polyline').length") >= 1
    assert "your 25/s" in text_of(browser, "ask-stairs")
    browser.execute_script("document.querySelector('#what-if [data-reset]').click()")
    assert text_of(browser, "answer") == own
    assert browser.execute_script("return document.getElementById('changed').hidden")


def test_the_table_sorts_by_every_column_and_keeps_absent_servers_last(browser: Browser, page: Path) -> None:
    opened(browser, page)
    before = table(browser)
    for column in range(1, browser.execute_script("return document.querySelectorAll('#standing thead th').length")):
        for direction in ("ascending", "descending"):
            browser.execute_script("document.querySelectorAll('#standing thead button')[arguments[0]].click()", column)
            found = browser.execute_script(
                "return document.querySelectorAll('#standing thead th')[arguments[0]].getAttribute('aria-sort')", column
            )
            assert found == direction
            assert sorted(table(browser)) == sorted(before)
            assert table(browser)[-1] == "tfserving-gpu"
    values = browser.execute_script(
        "document.querySelectorAll('#standing thead button')[7].click();"
        "const cells = document.querySelectorAll('#standing [data-column=cost][data-value]');"
        "return [...cells].map((cell) => Number(cell.dataset.value))"
    )
    assert values == sorted(values)
    assert len(values) > 1


def test_the_table_is_copied_as_markdown_and_as_csv(browser: Browser, page: Path) -> None:
    opened(browser, page)
    copied = {}
    for kind in ("markdown", "csv"):
        browser.execute_script("document.querySelector(`[data-copy=${arguments[0]}]`).click()", kind)
        copied[kind] = browser.execute_script("return document.querySelector('.tools').dataset.copied")
    assert copied["markdown"].startswith("| server | judged at |")
    assert "&lt;script&gt;" in copied["markdown"]
    lines = copied["csv"].splitlines()
    assert lines[0].startswith('"server","judged at"')
    assert len(lines) == 1 + len(table(browser))


def test_a_name_that_is_markup_shows_just_that(browser: Browser, page: Path) -> None:
    opened(browser, page)
    assert NASTY[0] in table(browser)
    moved(browser, "ask-traffic", "9")
    assert NASTY[0] in table(browser)
    assert NASTY[0] in text_of(browser, "ask-stairs")
    assert NASTY[0] in text_of(browser, "ask-bills")
    assert browser.execute_script("return document.scripts.length") == 2
    assert browser.get_log("browser") == []


def test_without_javascript_everything_but_the_controls_is_there(browser: Browser, page: Path) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        opened(browser, page)
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    shown = browser.execute_script("return document.body.innerText")
    for words in ("Choose tfserving", "Comparison", "Every load point", "Can I trust this?", "Reproduce", NASTY[0]):
        assert words in shown
    assert "What if?" not in shown
    assert browser.execute_script("return document.querySelectorAll('.chart svg').length") >= 13


def test_no_two_texts_of_a_chart_overlap_and_none_is_cut(browser: Browser, page: Path) -> None:
    opened(browser, page)
    found = browser.execute_script(
        """const bad = [];
        for (const svg of document.querySelectorAll('.chart svg')) {
            const frame = svg.getBoundingClientRect();
            const texts = [...svg.querySelectorAll('text')].map((t) => [t.textContent, t.getBoundingClientRect()]);
            texts.forEach(([said, box], i) => {
                if (box.left < frame.left - 2 || box.right > frame.right + 2) bad.push(`cut: ${said}`);
                texts.slice(i + 1).forEach(([other, second]) => {
                    const wide = Math.min(box.right, second.right) - Math.max(box.left, second.left);
                    const high = Math.min(box.bottom, second.bottom) - Math.max(box.top, second.top);
                    if (wide > 2 && high > 6) bad.push(`${said} / ${other}`);
                });
            });
        }
        return bad;"""
    )
    assert found == []
