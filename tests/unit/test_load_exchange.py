"""What a bad reply is called."""

from __future__ import annotations

import pytest

from bench.load.exchange import http_error


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
