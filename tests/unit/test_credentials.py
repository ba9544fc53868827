from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from urllib.parse import quote

import pytest

from bench.credentials import Discretion, UnsetError, filled, masked, names_in, unsendable, unset

ENVIRONMENT = {"TOKEN": "s3cr3t-value", "LONGER": "s3cr3t-value-and-more", "PIN": "12", "EMPTY": "", "BAD": "a\nb"}


def test_a_text_is_filled_in_where_it_names_a_variable_and_nowhere_else() -> None:
    assert filled("Bearer ${TOKEN} $TOKEN {TOKEN}", ENVIRONMENT) == "Bearer s3cr3t-value $TOKEN {TOKEN}"
    assert names_in(["${A}${B}", "${A}"]) == ("A", "B")


@pytest.mark.parametrize(
    ("name", "says"), [("ABSENT", "not set"), ("EMPTY", "not set"), ("BAD", "no header and no path may hold")]
)
def test_what_cannot_be_filled_in_is_refused_by_name_and_not_by_value(name: str, says: str) -> None:
    with pytest.raises(UnsetError, match=rf"{name}.*{says}") as raised:
        filled(f"${{{name}}}", ENVIRONMENT)
    assert "a\nb" not in str(raised.value)


def test_what_is_not_sent_may_hold_anything() -> None:
    assert filled("${BAD}", ENVIRONMENT, to_send=False) == "a\nb"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("s3cr3t\n", "ends with a line break"),
        ("s3cr3t\r\n", "ends with a line break"),
        ("s3\ncr3t", "holds a character that no header and no path may hold"),
        ("s3cr3t-é", "holds a character that no header and no path may hold"),
        ("s3 cr3t", "holds a space, which no path may hold"),
    ],
)
def test_a_value_that_cannot_be_sent_is_told_by_its_variable_and_the_reason(value: str, why: str) -> None:
    assert unsendable("/p?key=${TOKEN}", {"TOKEN": value}, spaces=False) == ("TOKEN", why)
    assert unsendable("Bearer ${TOKEN}", {"TOKEN": "s3 cr3t"}) is None


def test_variables_that_are_not_set_are_named() -> None:
    assert unset(["${TOKEN} ${ABSENT}", "${EMPTY}"], ENVIRONMENT) == ("ABSENT", "EMPTY")


def test_a_value_that_somebody_repeats_becomes_its_name_again_the_longest_first() -> None:
    hide = Discretion(["${TOKEN}", "${LONGER}"], ENVIRONMENT)
    assert hide.text("got s3cr3t-value-and-more, s3cr3t-value") == "got ${LONGER}, ${TOKEN}"
    assert hide.bytes(b"x s3cr3t-value") == b"x ${TOKEN}"


@pytest.mark.parametrize(
    "spell",
    [
        str,
        json.dumps,
        lambda value: json.dumps(value).replace("/", "\\/"),
        lambda value: json.dumps(value).replace("=", "\\u003D").replace("+", "\\u002b").replace("<", "\\u003c"),
        html.escape,
        quote,
        lambda value: quote(value, safe=""),
        lambda value: quote(value, safe="").replace("%2F", "%2f"),
    ],
    ids=["as it is", "JSON", "JSON of PHP", "JSON of Gson", "HTML", "URL", "query", "query in small letters"],
)
def test_a_value_is_found_in_whatever_spelling_a_server_repeats_it(spell: Callable[[str], str]) -> None:
    value = 'Zq9+top/secret==&<"77\\é'
    hide = Discretion(["Bearer ${TOKEN}"], {"TOKEN": value})
    said = f"who is {spell(value)}?"
    for shown in (hide.text(said), hide.bytes(said.encode()).decode()):
        assert re.fullmatch(r'who is "?\$\{TOKEN\}"?\?', shown)


def test_a_value_that_was_cut_off_at_the_end_is_found_too() -> None:
    hide = Discretion(["${TOKEN}"], ENVIRONMENT)
    assert hide.text("UNAUTHENTICATED: who is s3cr3t-va") == "UNAUTHENTICATED: who is ${TOKEN}"
    assert hide.text("as short as s3cr3") == "as short as s3cr3"


def test_a_short_value_is_left_alone_since_it_would_be_found_by_chance() -> None:
    hide = Discretion(["${PIN}"], ENVIRONMENT)
    assert not hide
    assert hide.bytes(b"0.12") == b"0.12"


def test_what_is_shown_of_a_value_keeps_everything_but_the_credential() -> None:
    given = {"url": ["http://me:hunter2x@h/p?a=1&api_key=hunter2x"], "headers": {"X-Token": 7, "Accept": "text/json"}}
    shown = {"url": ["http://...@h/p?a=1&api_key=..."], "headers": {"X-Token": "...", "Accept": "text/json"}}
    assert masked(given) == shown
    assert masked("Bearer ${TOKEN}", "Authorization") == "Bearer ${TOKEN}"
    assert masked(None, "token") is None
