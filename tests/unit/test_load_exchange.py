"""What a bad reply is called."""

from __future__ import annotations

import pytest

from bench.load.exchange import Rule, http_error
from bench.load.job import Message


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "HTTP 503"),
        (b"<html>no</html>", "HTTP 503"),
        (b"{not json", "HTTP 503"),
        (b'{"error": ["a list"]}', "HTTP 503"),
        (b'{"error": "  "}', "HTTP 503"),
        (b'{"error": "it is\\n\\tfull"}', "HTTP 503: it is full"),
        (b'\n{ "error": "12 of 10 are waiting" }', "HTTP 503: # of # are waiting"),
        (b'{"error": "' + b"x" * 9000 + b'"}', "HTTP 503"),
    ],
)
def test_a_bad_status_is_told_with_the_error_that_comes_with_it_and_without_its_numbers(body: bytes, kind: str) -> None:
    assert http_error(503, body) == kind


def test_a_long_error_is_cut_so_that_kinds_stay_few() -> None:
    assert len(http_error(500, b'{"error": "' + b"long " * 100 + b'"}')) < 140


def test_a_body_may_tell_of_a_failure_that_its_status_does_not() -> None:
    rule = Rule(Message("/", (), b"", fails='"default":true', fails_as="late"))
    assert [rule.failure(body) for body in (b'{"default":true}', b'{"default":false}')] == ["late", ""]


def test_what_varies_in_a_body_makes_no_other_reply_of_it() -> None:
    rule = Rule(Message("/", (), b"", varies=r'"id":\d+,'))
    assert rule.lasting(b'{"id":17,"p":[1]}') == rule.lasting(b'{"id":4,"p":[1]}') == b'{"p":[1]}'


def test_without_a_rule_a_body_stays_and_tells_of_nothing() -> None:
    rule = Rule(Message("/", (), b""))
    assert (rule.failure(b"x"), rule.lasting(b"x")) == ("", b"x")
