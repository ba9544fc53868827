"""What people and servers say, so that it only shows."""

from __future__ import annotations

import json

import pytest

from bench.names import json_text

HOSTILE = "\x1b[31mred\x07 \u202eevil\x85 \U000e0001 \ud800"


@pytest.mark.parametrize("indent", [2, None])
def test_json_only_shows_whatever_it_holds_and_reads_back_as_it_was(indent: int | None) -> None:
    document = {HOSTILE: [HOSTILE, 1.5, None], "né 名": "a\nb\tc"}
    text = json_text(document, indent=indent)
    assert all(character.isprintable() or character == "\n" for character in text)
    assert json.loads(text) == document
    assert "né 名" in text


def test_json_has_no_figure_that_is_none() -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_text({"p95": float("nan")})
