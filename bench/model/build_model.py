"""The child program that imports TensorFlow: builds a model in every form, or computes its reference outputs.

`artifact.py` starts it by path with one argument, a job file; it writes into the job's folder, tells its progress
on stdout, one sentence a line, and leaves everything TensorFlow says to stderr, which is a log. It imports nothing
of ours, and `artifact.py` never imports it, so its text alone decides (through the cache key) what a model becomes.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

LOGIT_SPREAD = 4.0
"""Standard deviation that random weights give to the class logits over photos. Below 3 a photo of B0 can stay as
flat as an untrained model (1/classes for everything); above 5 one class of B5 takes 99 % and outputs saturate."""
RESIDUAL_SHARE = 0.25
"""Scale of each residual branch beside its shortcut. At 1, fifty random blocks in a row amplify any rounding:
weights of B0 rounded to TF32's ten bits moved an output by 0.022; at 0.25 it is 0.0012."""
READ_BACK, ALIKE = 2, 1e-4
"""So many photos are asked of a file that is read back, and it may answer otherwise by this share of the largest."""

Tensor = Any
"""A TensorFlow tensor; TensorFlow has no annotations to offer here."""


class RefusedError(Exception):
    """Input that can never become a model; what is wrong and what to do go to the person who gave it."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in memory. `call` maps float32 (n, height, width, 3), values 0-255, to float32 (n, classes)."""

    call: Callable[[Tensor], Tensor]
    tracked: Any  # what owns the variables, for saving
    keras: Any | None  # the Keras model; None for a SavedModel that was given
    height: int
    width: int
    classes: int


def main(job_file: Path) -> int:
    """Do the job; 0 done, 3 refused (`failure.json` in the job's folder says why), anything else a traceback."""
    job = json.loads(job_file.read_text())
    _die_with(job["parent"])
    progress = _progress_stream()

    def tell(sentence: str) -> None:
        print(sentence, file=progress, flush=True)  # stdout is this program's protocol

    folder = Path(job["folder"])
    try:
        if job["task"] == "build":
            _build(job, folder, tell)
        else:
            _reference(job, folder, tell)
    except RefusedError as refused:
        (folder / "failure.json").write_text(json.dumps({"what": refused.what, "hint": refused.hint}))
        return 3
    return 0


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when the harness dies, however that happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 = PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it died before the line above
        sys.exit("the harness is gone")


def _progress_stream() -> TextIO:
    """The real stdout; afterwards whatever else writes to stdout (download bars) lands in the log."""
    progress = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return progress


# ---- jobs -------------------------------------------------------------------------------------------------


def _build(job: dict[str, Any], folder: Path, tell: Callable[[str], None]) -> None:
    spec = job["spec"]
    sample = [Path(file).read_bytes() for file in job["sample"]]
    if spec["keras_application"]:
        tell(f"building {spec['keras_application']} with {_weights_words(spec['weights'])}")
        loaded = _application(spec, sample)
    elif Path(spec["path"]).is_dir():
        tell(f"loading the SavedModel {spec['path']}")
        loaded = _saved_model(Path(spec["path"]))
    else:
        tell(f"loading the Keras model {spec['path']}")
        loaded = _keras_file(Path(spec["path"]))
    tell("exporting the SavedModel")
    begun = time.perf_counter()
    module = _export(loaded, folder / "saved_model" / "1")
    seconds = {"saved_model": time.perf_counter() - begun}
    why = ""
    if loaded.keras is not None:
        tell("saving model.keras and model.h5")
        taken, why = _save_keras_forms(loaded.keras, folder)
        seconds |= taken
    photos = [Path(file).read_bytes() for file in job["photos"]]
    outputs = _write_reference(loaded, photos, Path(job["reference"]), tell)
    if loaded.keras is not None and not why:
        tell("reading model.h5 back")
        why = _lost_in_h5(folder / "model.h5", loaded, photos[:READ_BACK], outputs[:READ_BACK])
    if why:
        (folder / "model.h5").unlink(missing_ok=True)
        seconds.pop("h5", None)
    facts = {
        "height": loaded.height,
        "width": loaded.width,
        "classes": loaded.classes,
        "keras_forms": loaded.keras is not None,
        "missing": {"h5": why} if why else {},
        "build_seconds": seconds,
        "export_difference": _export_difference(module, photos[:8], outputs[:8]),
    }
    (folder / "model.json").write_text(json.dumps(facts))


def _reference(job: dict[str, Any], folder: Path, tell: Callable[[str], None]) -> None:
    keras_file = Path(job["keras"]) if job["keras"] else None
    loaded = _keras_file(keras_file) if keras_file else _saved_model(Path(job["saved_model"]) / "1")
    photos = [Path(file).read_bytes() for file in job["photos"]]
    _write_reference(loaded, photos, folder / job["reference"], tell)


def _weights_words(weights: str) -> str:
    return f"{weights} weights" if weights in {"random", "imagenet"} else f"weights from {weights}"


# ---- models -----------------------------------------------------------------------------------------------


def _application(spec: Mapping[str, Any], sample: list[bytes]) -> Loaded:
    """One of keras.applications, with random weights made to tell photos apart, ImageNet's, or a file's."""
    import keras  # seconds, and the other jobs begin differently

    name, weights, seed = spec["keras_application"], spec["weights"], spec["seed"]
    keras.utils.set_random_seed(seed)
    size, preprocessing = spec["size"], spec["preprocessing"]
    make = functools.partial(getattr(keras.applications, name), input_shape=(size, size, 3))
    if preprocessing != "inside":
        make = functools.partial(make, input_tensor=_prepared(size, preprocessing))
    if weights == "imagenet":
        try:
            model = make(weights="imagenet")
        except Exception as failure:
            raise RefusedError(
                f"the ImageNet weights of {name} could not be downloaded: {_first_line(failure)}",
                "is there an internet connection? Write 'weights: random', or name a weights file",
            ) from failure
        return _of_keras(model, name)
    model = make(weights=None)
    if weights == "random":
        _tell_photos_apart(model, sample, seed)
        return _of_keras(model, name)
    try:
        model.load_weights(weights)
    except Exception as failure:
        raise RefusedError(
            f"{weights} does not hold the weights of {name}: {_first_line(failure)}",
            f"save them with keras.applications.{name}(...).save_weights('my.weights.h5')",
        ) from failure
    return _of_keras(model, name)


def _prepared(size: int, preprocessing: str) -> Any:
    """RGB pixels from 0 to 255 as a model wants them, in layers that have no weights.

    Source: keras.applications.imagenet_utils.preprocess_input.
    """
    import keras

    image = keras.Input((size, size, 3), name="image")
    if preprocessing == "tf":
        return keras.layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    if preprocessing == "torch":
        mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        scale = [1 / (255 * each) for each in deviation]
        offset = [-one / each for one, each in zip(mean, deviation, strict=True)]
        return keras.layers.Rescaling(scale, offset=offset)(image)
    return keras.layers.Rescaling(1.0, offset=[-103.939, -116.779, -123.68])(keras.ops.flip(image, axis=-1))


def _keras_file(path: Path) -> Loaded:
    import keras

    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as failure:
        raise RefusedError(
            f"{path} cannot be loaded as a Keras model: {_first_line(failure)}",
            "a whole model is needed (model.save), not weights alone, and without Lambda layers or classes of your own",
        ) from failure
    return _of_keras(model, str(path))


def _of_keras(model: Any, name: str) -> Loaded:
    inputs = [tuple(tensor.shape) for tensor in getattr(model, "inputs", None) or ()]
    outputs = [tuple(tensor.shape) for tensor in getattr(model, "outputs", None) or ()]
    _check_shapes(name, inputs, outputs)
    height, width = inputs[0][1:3]
    return Loaded(lambda image: model(image, training=False), model, model, height, width, outputs[0][1])


def _saved_model(path: Path) -> Loaded:
    """A SavedModel folder, through the first of its signatures that takes one float32 image batch."""
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(path))
    except Exception as failure:
        raise RefusedError(
            f"{path} cannot be loaded as a SavedModel: {_first_line(failure)}",
            "a folder as model.export or tf.saved_model.save writes it is needed, with its variables",
        ) from failure
    signatures = dict(loaded.signatures)
    order = sorted(signatures, key=lambda name: (name != "serving_default", name))
    found = []
    for name in order:
        takes, gives = signatures[name].structured_input_signature[1], signatures[name].structured_outputs
        found.append(f"{name}: {_signature_words(takes)} -> {_signature_words(gives)}")
        if len(takes) == len(gives) == 1 and _is_image_batch(next(iter(takes.values()))):
            ((key, spec),), (output,) = takes.items(), gives
            height, width = spec.shape[1:3]
            run = signatures[name]

            def call(image: Tensor, key: str = key, output: str = output, run: Any = run) -> Tensor:
                return run(**{key: image})[output]

            given = tuple(call(tf.zeros((2, height, width, 3))).shape)
            _check_shapes(str(path), [tuple(spec.shape)], [(None, *given[1:])])
            return Loaded(call, loaded, None, height, width, given[1])
    raise RefusedError(
        f"no signature of {path} takes one float32 image batch (n, height, width, 3) and gives one output",
        "its signatures are " + ("; ".join(found) or "none"),
    )


def _is_image_batch(spec: Any) -> bool:
    shape = tuple(spec.shape) if spec.shape.rank is not None else ()
    return (
        spec.dtype.name == "float32"
        and len(shape) == 4
        and shape[0] is None
        and shape[3] == 3
        and None not in shape[1:]
    )


def _signature_words(tensors: dict[str, Any]) -> str:
    return "(" + ", ".join(f"{name} {spec.dtype.name} {tuple(spec.shape)}" for name, spec in tensors.items()) + ")"


def _check_shapes(name: str, inputs: list[tuple[int | None, ...]], outputs: list[tuple[int | None, ...]]) -> None:
    """Refuse what is not one image in, one row of classes out, both with a free batch size."""
    image = len(inputs) == 1 and len(inputs[0]) == 4 and inputs[0][0] is None and inputs[0][3] == 3
    fixed = image and None not in inputs[0][1:]
    row = len(outputs) == 1 and len(outputs[0]) == 2 and outputs[0][1] is not None
    if not (fixed and row):
        raise RefusedError(
            f"{name} is not a model that classifies one image: inputs {_shapes(inputs)}, outputs {_shapes(outputs)}",
            "one input of shape (None, height, width, 3) and one output of shape (None, classes) are needed",
        )


def _shapes(shapes: list[tuple[int | None, ...]]) -> str:
    return ", ".join(str(shape) for shape in shapes) or "none"


# ---- random weights that tell photos apart ------------------------------------------------------------------


def _tell_photos_apart(model: Any, sample: list[bytes], seed: int) -> None:
    """Calm the residual branches, give BatchNorm real photos' statistics, then centre and scale the classifier.

    As initialised, moving means are 0 and variances 1, the signal fades through the blocks, and every photo gets
    1/classes within 1e-5: a server that answers a constant would pass any check.
    """
    import keras
    import numpy as np

    for layer in model.layers:
        norm = _branch_norm(model, layer) if isinstance(layer, keras.layers.Add) else None
        if norm is not None and norm.scale:
            norm.gamma.assign(norm.gamma * RESIDUAL_SHARE)
    views = _views(sample, *model.input_shape[1:3], seed=seed)
    _adapt_batch_norm(model, views)
    head = next(layer for layer in reversed(model.layers) if layer.weights)  # a dense layer, or a convolution of 1 x 1
    until_head = keras.Model(model.input, head.input)
    features = np.concatenate([until_head.predict_on_batch(view[None]).reshape(1, -1) for view in views])
    weights, _ = (np.asarray(weight) for weight in head.get_weights())
    kernel = weights.reshape(features.shape[1], -1)
    logits = features @ kernel
    scale = LOGIT_SPREAD / (logits - logits.mean(axis=0)).std()
    head.set_weights([weights * scale, -(features.mean(axis=0) @ kernel) * scale])


def _branch_norm(model: Any, add: Any) -> Any | None:
    """The last normalization of the branch that an addition ends; None if it has none.

    A shortcut may have one too, and comes earlier in the model.
    """
    place = {layer.name: number for number, layer in enumerate(model.layers)}
    found = [norm for norm in map(_norm_before, add.input) if norm is not None]
    return max(found, key=lambda norm: place[norm.name], default=None)


def _norm_before(tensor: Any) -> Any | None:
    """The normalization that a tensor comes from by one path only."""
    import keras

    while True:
        layer = tensor._keras_history.operation
        if isinstance(layer, keras.layers.BatchNormalization):
            return layer
        if isinstance(layer, keras.layers.InputLayer) or isinstance(layer.input, list):
            return None
        tensor = layer.input


def _views(sample: list[bytes], height: int, width: int, *, seed: int) -> Any:
    """Float32 (2 x photos, height, width, 3): each photo whole, and a random part of it mirrored."""
    import numpy as np
    import tensorflow as tf

    rng = np.random.default_rng(seed)
    views = []
    for jpeg in sample:
        photo = tf.io.decode_jpeg(jpeg, channels=3)
        side = int(min(photo.shape[:2]) * rng.uniform(0.5, 0.9))
        top, left = (int(rng.integers(0, length - side)) for length in photo.shape[:2])
        part = photo[top : top + side, left : left + side]
        views += [tf.image.resize(image, (height, width)).numpy() for image in (photo, part[:, ::-1])]
    return np.stack(views)


def _adapt_batch_norm(model: Any, views: Any) -> None:
    """One training-mode pass in which every BatchNorm keeps the statistics of what it saw; no dropout meanwhile."""
    import keras

    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    drops = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    before = [(layer, "momentum", layer.momentum) for layer in norms] + [(layer, "rate", layer.rate) for layer in drops]
    for layer, name, _ in before:
        setattr(layer, name, 0.0)
    model(views, training=True)
    for layer, name, value in before:
        setattr(layer, name, value)


# ---- files --------------------------------------------------------------------------------------------------


def _export(loaded: Loaded, folder: Path) -> Any:
    """Write the SavedModel and return the module that was written.

    A plain tf.Module around the model stores each weight once; `model.export` stores them twice.
    """
    import tensorflow as tf

    height, width = loaded.height, loaded.width

    def decode(jpeg: Tensor) -> Tensor:
        return _decoded(jpeg, height, width)

    def serving_default(jpeg: Tensor) -> dict[str, Tensor]:
        images = tf.map_fn(decode, jpeg, fn_output_signature=tf.TensorSpec((height, width, 3), tf.float32))
        return {"probabilities": loaded.call(images)}

    def tensor(image: Tensor) -> dict[str, Tensor]:
        return {"probabilities": loaded.call(image)}

    module = tf.Module()
    module.model = loaded.tracked
    module.serving_default = tf.function(serving_default, input_signature=[tf.TensorSpec((None,), tf.string, "jpeg")])
    module.tensor = tf.function(tensor, input_signature=[tf.TensorSpec((None, height, width, 3), tf.float32, "image")])
    signatures = {"serving_default": module.serving_default, "tensor": module.tensor}
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return module


def _decoded(jpeg: Tensor, height: int, width: int) -> Tensor:
    """Float32 (height, width, 3), values 0-255: the one way from JPEG bytes to what the model takes."""
    import tensorflow as tf

    return tf.image.resize(tf.io.decode_jpeg(jpeg, channels=3), (height, width))


def _save_keras_forms(model: Any, folder: Path) -> tuple[dict[str, float], str]:
    """`model.keras` for inference only, and `model.h5` as training leaves it: with Adam's two moments per weight.

    Returns the seconds that each took, and why the .h5 could not be written; empty if it was.
    """
    import keras

    begun = time.perf_counter()
    model.save(folder / "model.keras")  # not compiled yet, so it holds no optimizer
    between = time.perf_counter()
    model.compile(optimizer=keras.optimizers.Adam(), loss="categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    try:
        model.save(folder / "model.h5", include_optimizer=True)
    except Exception as failure:  # a layer that the format has no way to write down
        return {"keras": between - begun}, f"the .h5 format cannot hold it: {_first_line(failure)}"
    return {"keras": between - begun, "h5": time.perf_counter() - between}, ""


def _lost_in_h5(file: Path, loaded: Loaded, photos: list[bytes], outputs: Any) -> str:
    """Why the .h5 file is not the model that was saved, read as a server reads it; empty if it is.

    Keras writes some models that it cannot read: of MobileNetV3 it keeps the number of a sum and loses its place.
    """
    import keras
    import numpy as np
    import tensorflow as tf

    try:
        again = keras.saving.load_model(file)
        batches = [_decoded(jpeg, loaded.height, loaded.width)[tf.newaxis] for jpeg in photos]
        answered = np.concatenate([again.predict_on_batch(batch) for batch in batches])
    except Exception as failure:
        return f"the .h5 format cannot hold it: read back, Keras says: {_first_line(failure)}"
    apart = float(np.abs(answered - outputs).max() / max(float(np.abs(outputs).max()), 1e-30))
    if apart <= ALIKE:
        return ""
    return f"the .h5 format loses part of it: read back, it answers otherwise by {apart:.2g} of its largest output"


def _write_reference(loaded: Loaded, photos: list[bytes], file: Path, tell: Callable[[str], None]) -> Any:
    """Save and return the outputs, float32 (photos, classes), one photo at a time as a lone request would be."""
    import numpy as np
    import tensorflow as tf

    tell(f"computing the reference outputs of {len(photos)} photos")
    outputs = []
    for number, jpeg in enumerate(photos):
        try:
            image = _decoded(jpeg, loaded.height, loaded.width)
        except tf.errors.InvalidArgumentError as failure:
            raise RefusedError(f"TensorFlow cannot decode photo {number + 1}: {_first_line(failure)}") from failure
        batch = image[tf.newaxis]
        answer = loaded.keras.predict_on_batch(batch) if loaded.keras is not None else loaded.call(batch).numpy()
        outputs.append(np.asarray(answer, dtype=np.float32)[0])
    table = np.stack(outputs)
    if not np.isfinite(table).all():
        raise RefusedError("the model's outputs for these photos are not finite numbers", "check its weights")
    file.parent.mkdir(exist_ok=True)
    np.save(file, table)
    distance, closest = _photo_distance(table, photos)
    figures = {"photo_distance": distance, "closest": closest, "largest": float(np.abs(table).max())}
    file.with_suffix(".json").write_text(json.dumps(figures))
    return table


def _photo_distance(outputs: Any, photos: list[bytes]) -> tuple[float, tuple[int, int]]:
    """Smallest max-abs difference between the outputs of two photos whose bytes differ, and which two.

    0 if there are no two such photos.
    """
    import numpy as np

    best, pair = float("inf"), (0, 0)
    for one in range(len(photos)):
        apart = np.abs(outputs[one + 1 :] - outputs[one]).max(axis=1)
        for other, distance in enumerate(apart, start=one + 1):
            if distance < best and photos[one] != photos[other]:
                best, pair = float(distance), (one, other)
    return (best if best < float("inf") else 0.0), pair


def _export_difference(module: Any, photos: list[bytes], outputs: Any) -> float:
    """Largest difference between the jpeg signature, photos in one batch, and Keras, photos one by one."""
    import numpy as np
    import tensorflow as tf

    answered = module.serving_default(tf.constant(photos))["probabilities"].numpy()
    return float(np.abs(answered - outputs).max())


def _first_line(failure: BaseException) -> str:
    text = str(failure).strip() or type(failure).__name__
    return text.splitlines()[0]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
