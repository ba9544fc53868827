"""Which forms of a model there are beside those of its own build, and the ways of computing each.

Names only: how a form is made is known to `converters.py`, how it is asked to `ask_form.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from bench.forms.engines import ENGINES, Computation, EngineName, Precision
from bench.model.obtainable import FROM_ONNX

FILES: Mapping[str, str] = {
    "frozen": "model.pb",
    "keras_pruned": "model.keras",
    "onnx": "model.onnx",
    "onnx_int8": "model.onnx",
    "onnx_pruned": "model.onnx",
    "openvino": "model.xml",
    "openvino_int8": "model.xml",
    "litert": "model.tflite",
    "litert_dynamic": "model.tflite",
    "litert_int8": "model.tflite",
}
"""File of each form that is made from the model's build; `converters.py` has the same names."""

MADE_FROM: Mapping[str, str] = {"onnx_int8": "onnx", "openvino_int8": "openvino", "onnx_pruned": "keras_pruned"}
"""Forms that are made from another form, which is built with them; the same as there."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way of computing a form: by which engine, in which precision.

    An engine of None is TensorFlow itself around a frozen graph, which no server here does.
    """

    name: str
    form: str
    engine: EngineName | None
    precision: Precision = "f32"


def _of_engines() -> Iterator[Variant]:
    """All that engines without TensorFlow compute; the name tells the precision where the form does not."""
    for engine in (it for it in ENGINES.values() if not it.with_tensorflow):
        for precision, form in engine.forms.items():
            several = list(engine.forms.values()).count(form) > 1
            name = f"{form}-{precision}" if several else form
            yield Variant(name.replace("_", "-"), form, engine.name, precision)


VARIANTS: tuple[Variant, ...] = (
    Variant("h5", "h5", "keras"),
    Variant("keras", "keras", "keras"),
    Variant("keras-pruned", "keras_pruned", "keras", "pruned"),
    Variant("saved_model", "saved_model", "tensorflow"),
    Variant("frozen", "frozen", None),
    *_of_engines(),
)


def lacking(variant: Variant) -> str:
    """Why this machine cannot compute it; empty if it can."""
    missing = None if variant.engine is None else Computation(variant.engine, variant.precision).missing()
    return "" if missing is None else missing.reason


def with_sources(wanted: Collection[str], *, pruned_by_layer: bool, from_onnx: bool = False) -> tuple[str, ...]:
    """The wanted forms, a frozen graph and what they are made from, in the order in which they can be made.

    An ONNX file has no TensorFlow graph to freeze, and only some forms can be made of it; the others are left out.
    """
    sources = {MADE_FROM[form] for form in wanted if form in MADE_FROM}
    if not pruned_by_layer:
        sources.discard("keras_pruned")
    if from_onnx:
        return tuple(form for form in FROM_ONNX if form in {*wanted, *sources})
    return tuple(form for form in FILES if form in {"frozen", *wanted, *sources})
