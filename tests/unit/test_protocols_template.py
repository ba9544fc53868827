from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from bench.errors import AnswerError, LaunchError
from bench.protocols.named import NAMES, wire_of
from bench.protocols.template import Template, holds_image, parse_path

PHOTO = b"\xff\xd8 photo"
TEXT = b64encode(PHOTO).decode()


def template(body: Any = "jpeg", path: str = "scores", method: str = "POST") -> Template:
    return Template("/classify", body, parse_path(path), method)


def test_a_photo_travels_as_it_is() -> None:
    request = template(method="PUT").request(PHOTO)
    assert (request.method, request.target, request.body) == ("PUT", "/classify", PHOTO)
    assert request.headers == (("Content-Type", "image/jpeg"),)


def test_a_photo_in_base64_stands_wherever_the_template_says() -> None:
    body = {"inputs": [{"name": "photo", "data": "{image_b64}", "n": 1}], "uri": "data:image/jpeg;base64,{image_b64}"}
    request = template(body).request(PHOTO)
    assert json.loads(request.body) == {
        "inputs": [{"name": "photo", "data": TEXT, "n": 1}],
        "uri": f"data:image/jpeg;base64,{TEXT}",
    }
    assert holds_image(body)
    assert not holds_image({"a": ["x", 1, None]})


@pytest.mark.parametrize(
    ("path", "reply"),
    [
        ("scores", {"scores": [0.25, 0.75]}),
        ("$.scores", {"scores": [0.25, 0.75]}),
        ("result[1].p", {"result": [0, {"p": [0.25, 0.75]}]}),
        ("$[0]", [[0.25, 0.75]]),
        ("$", [0.25, 0.75]),
        ("a b.c-d", {"a b": {"c-d": [0.25, 0.75]}}),
    ],
)
def test_probabilities_are_found_along_their_path(path: str, reply: Any) -> None:
    assert template(path=path).answer(json.dumps(reply).encode()).tolist() == [0.25, 0.75]


@pytest.mark.parametrize(
    ("path", "reply", "says"),
    [
        ("a.b", {"a": {"c": 1}}, r"no 'b' at \$\.a; the keys there: 'c'"),
        ("a.b", {"a": 7}, r"no 'b' at \$\.a, which is a int"),
        ("a[2]", {"a": [1]}, r"no \[2\] at \$\.a, which is a list of 1"),
        ("a[0]", {"a": {}}, r"no \[0\] at \$\.a, which is a dict"),
        ("a", {"a": "x"}, "a is not a list of numbers"),
        ("a", "<html>", "not JSON"),
    ],
)
def test_a_reply_that_the_path_does_not_fit_is_told_how_far_it_led(path: str, reply: Any, says: str) -> None:
    body = reply.encode() if isinstance(reply, str) else json.dumps(reply).encode()
    with pytest.raises(AnswerError, match=says):
        template(path=path).answer(body)


@pytest.mark.parametrize("path", ["", " ", "a[", "a[x]", "a..b", "a]"])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="JSON path"):
        parse_path(path)


@pytest.mark.parametrize("name", NAMES)
def test_every_named_protocol_asks_for_a_photo(name: Any) -> None:
    assert wire_of(name, "m", 1000).request(PHOTO).body


def test_kserve_needs_to_know_how_many_classes_there_are() -> None:
    with pytest.raises(LaunchError, match="how many classes"):
        wire_of("kserve-json", "m", None)
