"""Signatures, and how values are made to fit them or refused with both sides told."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from bench.payload.fitting import MisfitError, fitted, fitted_array
from bench.payload.signature import NUMBERS, Signature, TensorSpec, api_name, one_image, signature_of
from bench.payload.tensors import packed, string_array, unpacked

AGE = TensorSpec("age", "int64", (None, 1))
TOWN = TensorSpec("town", "string", (None, 1))
MEASURES = TensorSpec("measures", "float32", (None, 4))
FLOORS = TensorSpec("floor_ids", "int64", (None, None), "floor ids")
CANNOT_HOLD = "input 'measures' is float32 (None, 4) and cannot hold"
TABLE = Signature((AGE, TOWN), (TensorSpec("price", "float32", (None, 1)),))


def deep(depth: int) -> Any:
    """So many lists in each other."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def refusal(spec: TensorSpec, value: Any) -> str:
    with pytest.raises(MisfitError) as caught:
        fitted_array(spec, value)
    return caught.value.what


@pytest.mark.parametrize(
    ("spec", "value", "shape"),
    [
        (AGE, 42, (1, 1)),
        (AGE, [42], (1, 1)),
        (AGE, [[42], [43]], (2, 1)),
        (MEASURES, [1, 2.5, 3, 4], (1, 4)),
        (TensorSpec("text", "string", (None,)), "hello", (1,)),
        (TensorSpec("tokens", "int32", (None, None)), [1, 2, 3], (1, 3)),
        (TensorSpec("any", "bool", None), [True, False], (2,)),
        (TensorSpec("scalar", "float32", ()), 1.5, ()),
    ],
)
def test_a_single_example_gets_the_axes_that_it_leaves_out(
    spec: TensorSpec, value: Any, shape: tuple[int, ...]
) -> None:
    assert fitted_array(spec, value).shape == shape


@pytest.mark.parametrize(
    ("spec", "value", "said"),
    [
        (MEASURES, [1, 2, 3], "input 'measures' takes float32 (None, 4), and gets whole numbers (3,)"),
        (MEASURES, "red", "input 'measures' takes float32 (None, 4), and gets text ()"),
        (MEASURES, [[1, 2], [3]], "input 'measures' takes float32 (None, 4), and gets lists of different lengths"),
        (MEASURES, np.zeros((2, 3), "float32"), "input 'measures' takes float32 (None, 4), and gets float32 (2, 3)"),
        (MEASURES, np.zeros(4), "input 'measures' takes float32 (None, 4), and gets float64 (4,)"),
        (AGE, 1.5, "input 'age' takes int64 (None, 1), and gets numbers ()"),
        (AGE, True, "input 'age' takes int64 (None, 1), and gets true or false ()"),
        (AGE, None, "input 'age' takes int64 (None, 1), and gets null ()"),
        (TOWN, 3, "input 'town' takes string (None, 1), and gets whole numbers ()"),
        (TOWN, {"zip": 3}, "input 'town' takes string (None, 1), and gets an object ()"),
        (TensorSpec("x", "uint8", (None,)), 256, "input 'x' is uint8 (None,) and cannot hold 256"),
        (MEASURES, np.full(4, np.nan, "float32"), "input 'measures' gets NaN or infinity (4 of 4)"),
        (MEASURES, [1e39, 1, 1, 1], f"{CANNOT_HOLD} 1e+39"),
        (MEASURES, [float("inf"), 1, 1, 1], f"{CANNOT_HOLD} a number beyond -1.8e+308 to 1.8e+308"),
        (MEASURES, [10**400, 1, 1, 1], f"{CANNOT_HOLD} 100000..., a number of 401 digits"),
        (AGE, [1e19], "input 'age' is int64 (None, 1) and cannot hold 10000000000000000000"),
        (FLOORS, [2**63], "input 'floor ids' is int64 (None, None) and cannot hold 9223372036854775808"),
        (FLOORS, [], "input 'floor ids' gets no value at all: (1, 0)"),
        (MEASURES, deep(33), "input 'measures' takes float32 (None, 4), and gets more than 32 lists in each other"),
        (MEASURES, deep(900), "input 'measures' takes float32 (None, 4), and gets more than 32 lists in each other"),
    ],
)
def test_what_does_not_fit_is_told_with_the_wanted_and_the_given(spec: TensorSpec, value: Any, said: str) -> None:
    assert refusal(spec, value) == said


def test_an_input_that_is_missing_or_unknown_is_named_with_what_the_model_has() -> None:
    with pytest.raises(MisfitError, match="nothing for input town string") as caught:
        fitted(TABLE, {"age": 1})
    assert caught.value.hint == "its inputs are: age int64 (None, 1), town string (None, 1)"
    with pytest.raises(MisfitError, match="the model has no input 'towns'") as caught:
        fitted(TABLE, {"age": 1, "towns": "Bern"})
    assert caught.value.hint.startswith("did you mean 'town'?")


def test_inputs_with_different_numbers_of_rows_are_refused() -> None:
    with pytest.raises(MisfitError, match="different numbers of rows: age 2, town 1"):
        fitted(TABLE, {"age": [[1], [2]], "town": "Bern"})


def test_narrow_arrays_get_wider_and_wide_ones_are_never_narrowed() -> None:
    assert fitted_array(AGE, np.array([3], "int8")).dtype == np.int64
    assert "gets int64" in refusal(TensorSpec("x", "int32", (None,)), np.array([3], "int64"))
    assert "gets int32" in refusal(MEASURES, np.zeros(4, "int32"))


def test_json_s_whole_floats_are_whole_numbers_and_fractions_are_none() -> None:
    whole = fitted_array(TensorSpec("ids", "int64", (None, 3)), [1.0, -2.0, 3e2])
    assert whole.dtype == np.int64
    assert whole.tolist() == [[1, -2, 300]]
    assert "gets numbers" in refusal(TensorSpec("ids", "int64", (None, 2)), [1.0, 2.5])
    assert "gets float32" in refusal(AGE, np.ones(1, "float32"))


def test_the_largest_float_is_told_and_what_rounds_to_it_fits() -> None:
    with pytest.raises(MisfitError) as caught:
        fitted_array(MEASURES, [1e39, 0, 0, 0])
    assert caught.value.hint == "float32 goes from -3.4e+38 to 3.4e+38"
    assert np.isfinite(fitted_array(MEASURES, [3.4028235e38, -3.4028235e38, 0, 0])).all()


def test_an_input_that_is_given_under_both_its_spellings_is_refused_instead_of_one_of_them_being_dropped() -> None:
    with pytest.raises(MisfitError) as caught:
        fitted(Signature((FLOORS,), ()), {"floor ids": [1, 2], "floor_ids": [7, 8]})
    assert caught.value.what == "input 'floor ids' is given twice, as 'floor ids' and as 'floor_ids'"


def test_the_model_s_own_name_goes_before_the_spelling_of_another_input() -> None:
    names = ("floor ids", "floor_ids")
    first = api_name(names[0])
    second = api_name(names[1], [first])
    signature = Signature(
        (TensorSpec(first, "int64", (None,), names[0]), TensorSpec(second, "int64", (None,), names[1])), ()
    )
    found = fitted(signature, {"floor_ids": 7, "floor ids": 1})
    assert {name: it.tolist() for name, it in found.items()} == {first: [1], second: [7]}


def test_a_tensor_may_be_named_as_the_model_names_it_or_as_apis_do() -> None:
    spec = TensorSpec(api_name("body mass-index"), "float32", (None,), "body mass-index")
    assert spec.name == "body_mass_index"
    signature = Signature((spec,), ())
    assert fitted(signature, {"body mass-index": 1.5}) == fitted(signature, {"body_mass_index": 1.5})
    assert api_name("1st", ["_1st"]) == "_1st_1"


def test_a_signature_survives_json() -> None:
    signature = Signature((AGE, TensorSpec("any", "bool", None, "any!")), (TOWN,), "score")
    assert signature_of(json.loads(json.dumps(signature.as_mapping()))) == signature


@pytest.mark.parametrize(
    ("dtype", "shape", "image"),
    [
        ("float32", (None, 224, 224, 3), True),
        ("uint8", (None, 224, 224, 3), False),
        ("float32", (None, None, None, 3), False),
        ("float32", (None, 224, 224, 1), False),
        ("float32", (None, 3), False),
    ],
)
def test_only_colour_images_of_a_fixed_size_are_photos(dtype: str, shape: tuple[int | None, ...], image: bool) -> None:
    assert one_image([TensorSpec("x", dtype, shape)]) is image


@given(
    number=st.sampled_from([*NUMBERS, "bool"]).flatmap(lambda dtype: arrays_of.arrays(dtype, arrays_of.array_shapes())),
    texts=st.lists(st.binary(max_size=9), min_size=1),
)
def test_packed_tensors_come_back_as_they_were(number: Any, texts: list[bytes]) -> None:
    strings = np.empty(len(texts), dtype=object)
    strings[:] = texts
    back = unpacked(packed({"numbers": number, "texts": strings}))
    assert back["numbers"].dtype == number.dtype
    assert np.array_equal(back["numbers"], number, equal_nan=number.dtype.kind == "f")
    assert back["texts"].tolist() == texts
    assert packed(back) == packed({"texts": strings, "numbers": number})


def test_strings_that_are_cut_off_are_refused() -> None:
    for raw in (b"\x01\x00", b"\x05\x00\x00\x00abc"):
        with pytest.raises(ValueError, match=r"cut off|needs 5 bytes, 3 are left"):
            string_array(raw)
