"""Payloads of tensors: files, rows and generated ones; what is wrong with them is told with file and line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import ScenarioError
from bench.payload import examples
from bench.payload.examples import examples_digest, fit, generated, read_rows, read_tensors
from bench.payload.signature import Signature, TensorSpec

TABLE = Signature(
    (TensorSpec("age", "float32", (None, 1)), TensorSpec("town", "string", (None, 1))),
    (TensorSpec("price", "float32", (None, 1)),),
)
ONE = Signature((TensorSpec("text", "string", (None,)),), ())


def refused_rows(folder: Path, text: str, signature: Signature = TABLE) -> ScenarioError:
    (folder / "rows.jsonl").write_text(text)
    with pytest.raises(ScenarioError) as caught:
        fit(read_rows("rows.jsonl", folder), signature)
    return caught.value


def test_each_line_of_json_is_one_example(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('\ufeff{"age": 42, "town": "Bern"}\n\n{"town": ["Rome"], "age": 7.5}\n')
    first, second = fit(read_rows("rows.jsonl", tmp_path), TABLE)
    assert (first.name, second.name) == ("line 1", "line 3")
    assert first.arrays["age"].tolist() == [[42.0]]
    assert second.arrays["town"].tolist() == [[b"Rome"]]


def test_a_value_without_a_name_belongs_to_the_only_input(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('"good"\n{"b64": "/w=="}\n{"text": "bad"}\n')
    found = fit(read_rows("rows.jsonl", tmp_path), ONE)
    assert [it.arrays["text"].tolist() for it in found] == [[b"good"], [b"\xff"], [b"bad"]]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('{"age": 1, "town": "a"}\n{"age": 1, "town"\n', 2, "not JSON"),
        ('{"age": 1, "town": "a"}\n{"age": NaN, "town": "b"}\n', 2, "NaN is no number in JSON"),
        ('{"age": 1, "town": "a"}\n{"age": 1, "age": 2, "town": "b"}\n', 2, "'age' is there twice"),
        ('{"age": 1, "town": "a"}\n\n{"age": "old", "town": "b"}\n', 3, "takes float32 (None, 1), and gets text ()"),
        ('{"age": 1}\n{"age": 2, "town": "b"}\n', 1, "there is nothing for input town"),
        ('{"age": 1, "town": "a", "zip": 3}\n', 1, "the model has no input 'zip'"),
        ("3\n", 1, "one value without a name, and the model has 2 inputs"),
        ("[" * 100_000, 1, "not JSON"),
        ('{"age": ' + "[" * 500 + "1" + "]" * 500 + ', "town": "a"}', 1, "more than 32 lists in each other"),
    ],
)
def test_a_line_that_is_wrong_is_named(tmp_path: Path, text: str, line: int, said: str) -> None:
    failure = refused_rows(tmp_path, text)
    assert failure.where == f"{tmp_path / 'rows.jsonl'}:{line}"
    assert said in failure.what


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_file_without_lines_is_refused(tmp_path: Path, text: str) -> None:
    assert refused_rows(tmp_path, text).what == "it holds no line"


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(b"\xff\xfe")
    for name, said in (("rows.jsonl", "not UTF-8"), ("none.jsonl", "No such file")):
        with pytest.raises(ScenarioError, match=said):
            read_rows(name, tmp_path)


def test_lines_are_read_no_further_than_the_first_that_is_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples, "MOST_EXAMPLES", 3)
    (tmp_path / "rows.jsonl").write_text('{"age": 1}\n\n' * 3)
    assert len(read_rows("rows.jsonl", tmp_path)) == 3
    failure = refused_rows(tmp_path, '{"age": 1}\n' * 4 + "no JSON, and never read\n")
    assert failure.what.startswith("more than 3 lines")
    assert failure.where == str(tmp_path / "rows.jsonl")


def test_a_line_that_is_too_long_is_read_no_further_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "LONGEST_LINE", 1_000_000)
    failure = refused_rows(tmp_path, '{"age": 1, "town": "a"}\n[' + "1," * 600_000)
    assert (failure.what, failure.where) == (
        "a line of more than 1 MB, and it is one request",
        f"{tmp_path / 'rows.jsonl'}:2",
    )


def test_a_line_that_is_no_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(b'{"age": 1}\n{"town": "Z\xfcrich"}\n')
    with pytest.raises(ScenarioError, match="not UTF-8 text: byte 11 of the line") as caught:
        read_rows("rows.jsonl", tmp_path)
    assert caught.value.where == f"{tmp_path / 'rows.jsonl'}:2"


def test_an_array_without_a_name_is_told_how_arrays_get_names(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((1, 1), "float32"))
    with pytest.raises(ScenarioError, match="one value without a name") as caught:
        fit(read_tensors("*.npy", tmp_path), TABLE)
    assert caught.value.where == str(tmp_path / "a.npy")
    assert caught.value.hint.startswith("np.savez(")
    assert "object" not in caught.value.hint


def test_examples_that_are_all_alike_are_refused(tmp_path: Path) -> None:
    assert "one distinct example" in refused_rows(tmp_path, '{"age": 1, "town": "a"}\n' * 3).what


def test_each_array_file_is_one_example_in_the_order_of_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "b.npz", age=np.array([2], "float32"), town=np.array([b"Rome\0x"]))
    np.savez(tmp_path / "a.npz", age=np.array([[1]], "float32"), town=np.array([["Bern"]]))
    found = fit(read_tensors("*.npz", tmp_path), TABLE)
    assert [example.name for example in found] == ["a.npz", "b.npz"]
    assert [example.arrays["town"].tolist() for example in found] == [[[b"Bern"]], [[b"Rome\0x"]]]


def test_a_bare_array_belongs_to_the_only_input(tmp_path: Path) -> None:
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", np.array([name]))
    found = fit(read_tensors("*.npy", tmp_path), ONE)
    assert [it.arrays["text"].tolist() for it in found] == [[b"a"], [b"b"]]


def test_arrays_of_python_objects_are_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"x": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ScenarioError, match="unpickling could run anything") as caught:
        read_tensors("*.npy", tmp_path)
    assert caught.value.where == str(tmp_path / "a.npy")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04nonsense", b"\x93NUMPY\x01", b"text"])
def test_a_file_that_holds_no_array_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ScenarioError, match="not an array file"):
        read_tensors("*.npy", tmp_path)


def test_a_pattern_that_matches_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"no file matches 'rows/\*.npz'"):
        read_tensors("rows/*.npz", tmp_path)


@given(st.integers(0, 2**32), st.integers(2, 20))
def test_generated_examples_fit_the_signature_and_repeat(seed: int, count: int) -> None:
    specs = [
        TensorSpec("tokens", "int32", (None, None)),
        TensorSpec("mask", "bool", (None, None)),
        TensorSpec("text", "string", (None,)),
        TensorSpec("pixels", "uint8", (None, 2, 2)),
        TensorSpec("half", "float16", (1, 3)),
    ]
    signature = Signature(tuple(specs), ())
    made, again = generated(signature, count, seed), generated(signature, count, seed)
    assert examples_digest(it.packed for it in made) == examples_digest(it.packed for it in again)
    assert len(made) == count
    for example in made:
        assert example.arrays["tokens"].shape == example.arrays["mask"].shape
        assert {name: array.dtype.name for name, array in example.arrays.items() if name != "text"} == {
            spec.name: spec.dtype for spec in specs if spec.name != "text"
        }


def test_nothing_is_generated_for_an_input_of_any_rank() -> None:
    with pytest.raises(ScenarioError, match="does not say how many axes"):
        generated(Signature((TensorSpec("x", "float32", None),), ()), 2, 1)
