"""A person's own prices: the columns of the book, and what is wrong with its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.cost.price_file import VARIABLE, all_prices, read_prices
from bench.cost.prices import find_price, price_book, resolve_price
from bench.errors import ScenarioError

CSV = "instance,usd_per_hour,vcpu,vcpu_per_core,arch,as_of\nmy-box,0.35,8,2,x86_64,2026-11-01\n\nother,,4,,,\n"


def _file(tmp_path: Path, text: str, name: str = "prices.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_csv_file_gives_prices_and_an_empty_field_is_not_known(tmp_path: Path) -> None:
    box, other = read_prices(_file(tmp_path, CSV))
    assert (box.usd_per_hour, box.cores, box.as_of, box.provider) == (0.35, 4.0, "2026-11-01", "own")
    assert box.own
    assert box.source == "prices.csv"
    assert (other.usd_per_hour, other.cores) == (None, None)


def test_a_yaml_file_gives_the_same(tmp_path: Path) -> None:
    text = "my-box: {usd_per_hour: $0.35, vcpu: 8, vcpu_per_core: 2, as_of: 2026-11-01}\n"
    text += "other: {usd_per_hour: , vcpu: 4}\n"
    assert read_prices(_file(tmp_path, text, "prices.csv.yaml"))[0].cores == 4
    (same,) = read_prices(_file(tmp_path, text.partition("\n")[0], "my.yaml"))
    assert (same.usd_per_hour, same.as_of, same.source) == (0.35, "2026-11-01", "my.yaml")


def test_own_prices_come_before_the_book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    own = _file(tmp_path, "instance,usd_per_hour,provider,region\na1.4xlarge,0.2,aws,us-east-1\n")
    book = all_prices(own)
    assert len(book) == len(price_book()) + 1
    assert find_price("a1.4xlarge", book=book).usd_per_hour == 0.2
    assert find_price("a1.4xlarge", region="eu-west-1", book=book).usd_per_hour == 0.4608
    assert resolve_price({"instance": "a1.4xlarge", "count": 2}, book=book)["per_hour"] == 0.4


def test_the_environment_names_a_file_for_every_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(_file(tmp_path, CSV)))
    price = resolve_price({"instance": "my-box"}, book=all_prices())
    assert price["basis"] == "1 x my-box at $0.35/h (own, 2026-11-01)"
    assert (price["cores"], price["arch"]) == (4.0, "x86_64")
    with pytest.raises(ScenarioError, match="knows other but no price of it"):
        resolve_price({"instance": "other"}, book=all_prices())


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("instance,usd_per_hour\nbox,0\n", ":2", "usd_per_hour must be greater than 0, got 0"),
        ("instance,usd_per_hour\nbox,-1\n", ":2", "cannot be negative"),
        ("instance,usd_per_hour\nbox,nan\n", ":2", "not an amount of dollars"),
        ("instance,usd_per_hour\nbox,0.1\nbox,0.2\n", ":3", "box is there twice, first at"),
        ("instance,usd_per_hour,vcpu\nbox,0.1,2.5\n", ":2", "vcpu must be a whole number"),
        ("instance,usd_per_hour,vcpu\nbox,0.1,0\n", ":2", "vcpu must be greater than 0"),
        ("instance,usd_per_hour,as_of\nbox,0.1,yesterday\n", ":2", "as_of: not a date: 'yesterday'"),
        ("instance,usd_per_hour,as_of\nbox,0.1,2026-02-30\n", ":2", "as_of: not a date: '2026-02-30'"),
        ("instance,usd_per_hour,as_of\nbox,0.1,9999-01\n", ":2", "as_of: 9999-01 is still to come"),
        ("instance,usd_per_hour\nbox,0.1,9\n", ":2", "3 fields below a header of 2"),
        ("instance,usd_per_our\nbox,0.1\n", ":1", "unknown column 'usd_per_our'\n  hint: did you mean 'usd_per_hour'"),
        ("instance\nbox\n", ":1", "the column 'usd_per_hour' is missing"),
        ("instance,usd_per_hour,instance\nbox,1,2\n", ":1", "the column 'instance' is there twice"),
        ("instance,usd_per_hour\n,1\n", ":2", "'instance' is empty"),
        ("instance,usd_per_hour\n\x1b[31mred,1\n", ":2", "instance must be printable"),
        ("instance,usd_per_hour\n", "", "holds no price"),
        ("", ":1", "holds no price"),
    ],
)
def test_a_bad_line_is_told_with_its_number(tmp_path: Path, text: str, where: str, what: str) -> None:
    file = _file(tmp_path, text)
    with pytest.raises(ScenarioError, match=re.escape(what)) as failure:
        read_prices(file)
    assert failure.value.where == f"{file}{where}"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("box: 0.35\n", 1, "box must be a mapping of columns"),
        ("a: {usd_per_hour: 1}\nbox:\n  usd_per_our: 1\n", 3, "unknown column 'usd_per_our'"),
        ("a: {usd_per_hour: 1}\nbox: {vcpu: 1}\n", 2, "box: 'usd_per_hour' is missing"),
        ("box: {usd_per_hour: 0}\n", 1, "must be greater than 0"),
    ],
)
def test_a_bad_key_of_a_yaml_file_is_told_with_its_line(tmp_path: Path, text: str, line: int, what: str) -> None:
    file = _file(tmp_path, text, "p.yaml")
    with pytest.raises(ScenarioError, match=re.escape(what)) as failure:
        read_prices(file)
    assert failure.value.where == f"{file}:{line}"


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="no such file of prices"):
        read_prices(tmp_path / "none.csv")
    broken = tmp_path / "bytes.csv"
    broken.write_bytes(b"instance,usd_per_hour\nbox\xff,1\n")
    with pytest.raises(ScenarioError, match=r"bytes.csv:2: not a text file in UTF-8"):
        read_prices(broken)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("p.csv", "instance,usd_per_hour,vcpu\na,1,-4\n", "p.csv:2: vcpu must be greater than 0, got -4"),
        ("p.csv", "instance,usd_per_hour,memory_gib\na,1,much\n", "p.csv:2: memory_gib: not a number: 'much'"),
        ("p.csv", "instance,usd_per_hour,as_of\na\n", "p.csv:2: 1 field below a header of 3"),
        ("p.yaml", "- a\n", "p.yaml:1: a list of prices is a mapping of keys, this is a list"),
    ],
)
def test_what_is_wrong_is_told_in_words_of_its_own_column(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(ScenarioError) as failure:
        read_prices(_file(tmp_path, text, name))
    assert says in str(failure.value)
    assert "dollars" not in str(failure.value)
    assert "scenario" not in str(failure.value)
