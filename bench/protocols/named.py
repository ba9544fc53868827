"""The APIs that a server of somebody's own may say by name that it speaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, get_args

from bench.errors import LaunchError
from bench.payload.signature import Signature
from bench.protocols import Wire
from bench.protocols.kserve import KServeBinary, KServeGrpc, KServeJson
from bench.protocols.kserve_tensors import KServeTensorsBinary, KServeTensorsGrpc, KServeTensorsJson
from bench.protocols.plain import PlainJson
from bench.protocols.plain_tensors import PlainTensors
from bench.protocols.tfserving import TfServingGrpc, TfServingRest
from bench.protocols.tfserving_tensors import TfServingTensorsGrpc, TfServingTensorsRest

Named = Literal["plain", "tfserving-rest", "tfserving-grpc", "kserve-json", "kserve-binary", "kserve-grpc"]
"""plain: `POST /predict` with `{"image": "<base64>"}`, answered by `{"probabilities": [..]}`."""
NAMES: tuple[str, ...] = get_args(Named)
GRPC = tuple(name for name in NAMES if name.endswith("-grpc"))

_KSERVE: Mapping[str, Callable[..., Wire]] = {
    "kserve-json": KServeJson,
    "kserve-binary": KServeBinary,
    "kserve-grpc": KServeGrpc,
}
_KSERVE_TENSORS: Mapping[str, Callable[..., Wire]] = {
    "kserve-json": KServeTensorsJson,
    "kserve-binary": KServeTensorsBinary,
    "kserve-grpc": KServeTensorsGrpc,
}


def tensor_wire_of(name: Named, model: str, signature: Signature) -> Wire:
    """The wire of a name for a model of any inputs, as the server calls it."""
    if name == "plain":
        return PlainTensors(signature.output_names)
    if name == "tfserving-rest":
        return TfServingTensorsRest(signature, model)
    if name == "tfserving-grpc":
        return TfServingTensorsGrpc(signature, model)
    return _KSERVE_TENSORS[name](model=model, signature=signature)


def wire_of(name: Named, model: str, classes: int | None) -> Wire:
    """The wire of a name, for the model as the server calls it.

    Raises: LaunchError where the API needs the number of classes and nobody knows it.
    """
    if name == "plain":
        return PlainJson()
    if name == "tfserving-rest":
        return TfServingRest(model)
    if name == "tfserving-grpc":
        return TfServingGrpc(model)
    if classes is None:
        raise LaunchError(
            f"{name} says how many classes an answer has, and the scenario has no model that tells",
            hint="add 'model' to the scenario, or describe the API with 'request' and 'response'",
        )
    return _KSERVE[name](model=model, classes=classes)
