"""A model laid out on disk for one start: its own folder, or a copy where something has to lie inside or beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench import server
from bench.errors import LaunchError
from bench.payload.signature import DEFAULT_KEY

from .batching import Batching  # noqa: TID252 -- this folder is no part of any package that has a name
from .models import Laid, Model  # noqa: TID252
from .servable import BATCHING_FILE, WARMUP_FILE, check_versions, link_versions, version_folders  # noqa: TID252


@dataclass(frozen=True, slots=True)
class Records:
    """Warm-up records: one request of each batch size, in the form of the real ones."""

    request: Literal["jpeg", "tensor"]
    sizes: tuple[int, ...]


def lay(
    place: server.Place, name: str, model: Model, batching: Batching | None, records: Records | None, *, moved: bool
) -> Laid:
    """Where the model lies; the cache and a person's own folder are left as they are.

    `batching` are the parameters and `records` the warm-up requests that go into its version folders; `moved` asks for
    a copy in any case.   Raises: LaunchError.
    """
    assert place.model is not None
    base = (place.model.saved_model if model.path is None else Path(model.path)).resolve()
    check_versions(base)
    if model.path is not None:
        try:
            model.check(list(version_folders(base)))
        except ValueError as failure:
            raise LaunchError(f"models.{name}: {failure}", where=str(base)) from failure
    if batching is None and records is None and not moved and model.versions == (1,):
        return Laid(name, model, base)
    own = place.folder / "models" / name
    for version in link_versions(base, own, model.versions if model.path is None else None):
        if batching is not None:
            (version / BATCHING_FILE).write_text(batching.text())
        if records is not None:
            (version / WARMUP_FILE).parent.mkdir(exist_ok=True)
            (version / WARMUP_FILE).write_bytes(_file_of(place, name, records))
    return Laid(name, model, own)


def _file_of(place: server.Place, name: str, records: Records) -> bytes:
    """The file of warm-up records."""
    from bench.payload.photos import sample_photos
    from bench.protocols import tfserving

    from .warmup import records as file_of  # noqa: TID252 -- here, because it needs numpy, which `bench check` does not

    assert place.model is not None
    if place.model.signature is not None:
        from bench.protocols.tfserving_tensors import predict_request, repeated

        key = place.model.signature.key
        spec = tfserving.model_spec(name, "" if key == DEFAULT_KEY else key)
        return file_of(predict_request(spec, repeated(place.model.example, size)) for size in records.sizes)
    if records.request == "tensor":
        shape = (place.model.height, place.model.width, 3)
        tensors = [tfserving.constant_tensor((size, *shape), 127.5) for size in records.sizes]
        spec, takes = tfserving.model_spec(name, tfserving.TENSOR_SIGNATURE), "image"
    else:
        photo = sample_photos()[0].jpeg
        tensors = [tfserving.string_tensor([photo] * size) for size in records.sizes]
        spec, takes = tfserving.model_spec(name), "jpeg"
    return file_of(tfserving.predict_request(spec, takes, tensor) for tensor in tensors)
