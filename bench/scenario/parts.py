"""The parts of a scenario that look at nothing but themselves: model, payload, SLO, price, gate, each with its keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import (
    BeforeValidator,
    SerializerFunctionWrapHandler,
    Strict,
    model_serializer,
    model_validator,
)

from bench.cost.prices import Price as BookPrice
from bench.cost.prices import resolve_price
from bench.model.applications import KERAS_APPLICATIONS
from bench.model.files import Pixels
from bench.names import did_you_mean
from bench.scenario.fields import Part
from bench.scenario.inputs import DEFAULT_EXAMPLES, DEFAULT_SEED
from bench.units import UnitError, parse_day, parse_dollars, parse_duration, parse_share

Duration = Annotated[float, BeforeValidator(parse_duration)]
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
MOST_GATES = 3
"""Each one more is one more chance of a false alarm."""
GateMetric = Literal[
    "p50", "p95", "p99", "error_rate", "throughput", "goodput", "capacity", "cost", "memory", "startup"
]


class ModelKeys(Part):
    """Which model is served; exactly one of `keras_application` and `path`, a path relative to the scenario."""

    keras_application: str | None = None
    path: str | None = None
    weights: str = "random"
    seed: Annotated[Whole, Ge(0)] = 1
    pixels: Pixels = "0-255"

    @model_validator(mode="after")
    def _one_source(self) -> ModelKeys:
        if (self.keras_application is None) == (self.path is None):
            raise UnitError(
                "give one of 'keras_application' and 'path'",
                "for example {keras_application: EfficientNetB5} or {path: my_model.keras}",
            )
        if self.keras_application is not None and self.keras_application not in KERAS_APPLICATIONS:
            hint = did_you_mean(self.keras_application, KERAS_APPLICATIONS, "applications")
            raise UnitError(f"unknown keras_application {self.keras_application!r}", hint)
        if self.path is not None and "weights" in self.model_fields_set:
            raise UnitError("'weights' goes with keras_application; a model file has its own", "leave 'weights' out")
        if "pixels" in self.model_fields_set and not self._is_onnx:
            hint = "leave 'pixels' out: a Keras model and a SavedModel take 0-255 and change it in their own layers"
            raise UnitError("'pixels' goes with an ONNX file", hint)
        return self

    @property
    def _is_onnx(self) -> bool:
        return self.path is not None and self.path.endswith(".onnx")

    @model_serializer(mode="wrap")
    def _where_they_count(self, values: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without `pixels` where there are none to choose, so that runs which never could stay comparable."""
        found: dict[str, Any] = values(self)
        return found if self._is_onnx else {key: value for key, value in found.items() if key != "pixels"}


class Generate(Part):
    """Examples made from the model's signature, the same for the same seed."""

    examples: Annotated[Whole, Ge(2), Le(10_000)] = DEFAULT_EXAMPLES
    seed: Annotated[Whole, Ge(0)] = DEFAULT_SEED


class Payload(Part):
    """What is sent, one kind of it; where nothing is written photos, to a model that takes none what `generate` makes.

    `images` is `sample` (photos that ship with a dependency) or a glob, `tensors` a glob of .npy or .npz files, `rows`
    a file of JSON lines; all relative to the scenario.
    """

    images: Annotated[str, MinLen(1)] | None = None
    tensors: Annotated[str, MinLen(1)] | None = None
    rows: Annotated[str, MinLen(1)] | None = None
    generate: Generate | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Payload:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) > 1:
            raise UnitError(f"give one of {', '.join(map(repr, given))}", "one kind of payload goes to every server")
        return self

    @property
    def kind(self) -> str | None:
        """Which key is written; None if none is."""
        return next((name for name in type(self).model_fields if getattr(self, name) is not None), None)


class Slo(Part):
    """Percentile of response_time, its limit in seconds, and the share of requests that may fail."""

    percentile: Annotated[Number, Gt(0), Lt(100)] = 95
    response_time: Annotated[Duration, Gt(0)] = 1.0
    error_rate: Annotated[float, BeforeValidator(parse_share)] = 0.001


class Accuracy(Part):
    """What is asked of servers that round on purpose: the share of answers with the reference's first class."""

    top1_agreement: Annotated[float, BeforeValidator(parse_share), Gt(0)] = 0.99


class Warmup(Part):
    """Seconds of load before the window, longer until latency is steady; recorded, but in no statistic."""

    duration: Duration = 5.0
    at_most: Duration | None = None
    """How long it may get while latency is not steady yet; three times `duration` where nothing is said."""

    @property
    def most(self) -> float:
        """`at_most` with its default."""
        return 3 * self.duration if self.at_most is None else self.at_most

    @model_validator(mode="after")
    def _in_order(self) -> Warmup:
        if self.at_most is not None and self.at_most < self.duration:
            raise UnitError("'at_most' is shorter than 'duration'", "leave 'at_most' out, or make it longer")
        return self


class Price(Part):
    """What a server costs: an instance of the price book or dollars per hour, `count` of them, as of a day."""

    instance: Annotated[str, MinLen(1)] | None = None
    per_hour: Annotated[float, BeforeValidator(parse_dollars), Gt(0)] | None = None
    count: Annotated[Whole, Ge(1)] = 1
    region: str | None = None
    provider: str | None = None
    as_of: Annotated[str, BeforeValidator(parse_day)] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Price:
        if (self.instance is None) == (self.per_hour is None):
            raise UnitError(
                "give one of 'instance' and 'per_hour'",
                "for example {instance: a1.4xlarge, count: 2} or {per_hour: 0.408}",
            )
        if self.instance is None and (self.region or self.provider):
            raise UnitError("'region' and 'provider' choose among instances; with 'per_hour' they say nothing", "")
        if self.instance is not None and self.as_of:
            raise UnitError("'as_of' dates a 'per_hour'; an instance has the date of its book", "leave 'as_of' out")
        return self

    def resolved(self, book: Sequence[BookPrice]) -> dict[str, Any]:
        """What the server costs by that book, as `prices.resolve_price` tells.   Raises: ScenarioError."""
        return resolve_price(self.model_dump(exclude_none=True), book=book)


class Reference(Part):
    """A published figure, in seconds, to show beside what is measured here."""

    server: str
    metric: Literal["service_time", "response_time", "p50", "p90", "p95", "p99"]
    value: Annotated[Duration, Gt(0)]
    source: Annotated[str, MinLen(1)]


class Gate(Part):
    """A metric that may fail a comparison: `p95`, `poisson-4.p95`, or a mapping that also says how much matters."""

    metric: GateMetric
    load: Annotated[str, MinLen(1)] | None = None
    delta: Annotated[float, BeforeValidator(parse_share), Gt(0)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        """`poisson-4.p95` means `{load: poisson-4, metric: p95}`."""
        if not isinstance(data, str):
            return data
        load, _, metric = data.rpartition(".")
        return {"metric": metric, **({"load": load} if load else {})}
