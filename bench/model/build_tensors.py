"""The child program that loads a model of any inputs and writes it in every form, with its signature and its answers.

`tensor_model.py` starts it by path with one argument, a job file; it writes into the job's folder, tells its progress
on stdout, one sentence a line, and leaves everything TensorFlow says to stderr, which is a log. Of ours it imports only
what says how tensors and signatures look.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from bench.payload.signature import Signature, TensorSpec

Tell = Callable[[str], None]
Tensors = Mapping[str, Any]
TIGHT = 1e-4
"""How far another form of the same model may answer from it, as a share of the largest output."""


class RefusedError(Exception):
    """Input that can never become a model that is served; what is wrong and what to do go to the person who gave it."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in memory: `call` maps tensors by name to tensors by name, both as the signature names them."""

    call: Callable[[Tensors], Tensors]
    tracked: Any  # what owns variables and tables, for saving
    keras: Any | None  # the Keras model; None for a SavedModel
    signature: Signature


def main(job_file: Path) -> int:
    """Do the job; 0 done, 3 refused (`failure.json` in the job's folder says why), anything else a traceback."""
    job = json.loads(job_file.read_text())
    _die_with(job["parent"])
    sys.path.insert(0, job["package"])
    progress = _progress_stream()

    def tell(sentence: str) -> None:
        print(sentence, file=progress, flush=True)  # stdout is this program's protocol

    try:
        _work(job, Path(job["folder"]), tell)
    except RefusedError as refused:
        (Path(job["folder"]) / "failure.json").write_text(json.dumps({"what": refused.what, "hint": refused.hint}))
        return 3
    return 0


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when the harness dies, however that happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 = PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it died before the line above
        sys.exit("the harness is gone")


def _progress_stream() -> TextIO:
    """The real stdout; afterwards whatever else writes to stdout lands in the log."""
    progress = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return progress


def _work(job: Mapping[str, Any], folder: Path, tell: Tell) -> None:
    """Build the model, answer examples, or both."""
    path = Path(job["model"])
    tell(f"loading {job['name']}")
    loaded = _saved_model(path, job["key"]) if path.is_dir() else _keras_file(path)
    examples = [Path(file).read_bytes() for file in job["examples"]]
    if job["build"]:
        _refuse_what_no_request_carries(loaded.signature, path)
        facts = {"signature": loaded.signature.as_mapping(), **_forms(loaded, path, folder, examples, tell)}
        (folder / "model.json").write_text(json.dumps(facts))
    if examples:
        tell(f"computing the reference outputs of {len(examples)} examples")
        _write_answers([_answer(loaded, each) for each in examples], folder / job["reference"])


# ---- loading -------------------------------------------------------------------------------------------------------


def _keras_file(path: Path) -> Loaded:
    import keras

    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as failure:
        raise RefusedError(
            f"{path} cannot be loaded as a Keras model: {_first_line(failure)}",
            "a whole model is needed (model.save), not weights alone, and without Lambda layers or classes of your own",
        ) from failure
    if not getattr(model, "inputs", None):
        raise RefusedError(
            f"{path} does not say what it takes: it has no input layers",
            "give it as a SavedModel with a signature (model.export), or build it from keras.Input",
        )
    inputs, outputs = _keras_inputs(model), _keras_outputs(model)
    names = [spec.name for spec in inputs]
    shown = [spec.name for spec in outputs]

    def call(tensors: Tensors) -> Tensors:
        given = keras.tree.pack_sequence_as(model.input, [tensors[name] for name in names])
        return dict(zip(shown, keras.tree.flatten(model(given, training=False)), strict=True))

    from bench.payload.signature import Signature

    return Loaded(call, model, model, Signature(inputs, outputs))


def _keras_inputs(model: Any) -> tuple[TensorSpec, ...]:
    import keras

    named = []
    for path, tensor in keras.tree.flatten_with_path(model.input):
        key = path[-1] if path and isinstance(path[-1], str) else tensor._keras_history.operation.name
        named.append((key, tensor))
    return _specs(named)


def _keras_outputs(model: Any) -> tuple[TensorSpec, ...]:
    import keras

    named = []
    for place, (path, tensor) in enumerate(keras.tree.flatten_with_path(model.output)):
        own = list(getattr(model, "output_names", ()))
        key = path[-1] if path and isinstance(path[-1], str) else own[place] if place < len(own) else f"output_{place}"
        named.append((key, tensor))
    return _specs(named)


def _specs(named: Sequence[tuple[str, Any]]) -> tuple[TensorSpec, ...]:
    from bench.payload.signature import TensorSpec, api_name

    specs: list[TensorSpec] = []
    for given, tensor in named:
        name = api_name(given, [spec.name for spec in specs])
        specs.append(TensorSpec(name, tensor.dtype, tuple(tensor.shape), "" if name == given else given))
    return tuple(specs)


def _saved_model(path: Path, key: str) -> Loaded:
    import tensorflow as tf

    from bench.payload.signature import Signature, TensorSpec

    try:
        loaded = tf.saved_model.load(str(path))
    except Exception as failure:
        raise RefusedError(
            f"{path} cannot be loaded as a SavedModel: {_first_line(failure)}",
            "a folder as model.export or tf.saved_model.save writes it is needed, with its variables",
        ) from failure
    signatures = dict(loaded.signatures)
    if not signatures:
        raise RefusedError(f"{path} has no signature, so nobody can ask it", "save it with signatures, as model.export")
    chosen = key if key in signatures else min(signatures, key=lambda name: (name != "serving_default", name))
    run = signatures[chosen]

    def specs(tensors: Mapping[str, Any]) -> tuple[TensorSpec, ...]:
        shapes = {name: None if it.shape.rank is None else tuple(it.shape) for name, it in tensors.items()}
        return tuple(TensorSpec(name, tensors[name].dtype.name, shapes[name]) for name in sorted(tensors))

    def call(tensors: Tensors) -> Tensors:
        return dict(run(**tensors))

    signature = Signature(specs(run.structured_input_signature[1]), specs(run.structured_outputs), chosen)
    return Loaded(call, loaded, None, signature)


def _refuse_what_no_request_carries(signature: Signature, path: Path) -> None:
    from bench.payload.signature import DTYPES, STRING, specs_text

    if not signature.inputs:
        raise RefusedError(
            f"{path} takes no input, so every request would be the same", "a model with inputs is needed"
        )
    odd = [spec for spec in signature.inputs if spec.dtype not in DTYPES]
    if odd:
        raise RefusedError(
            f"{path} takes {specs_text(odd)}, which no request can carry", f"inputs may be {', '.join(DTYPES)}"
        )
    texts = [spec for spec in signature.outputs if spec.dtype == STRING or spec.dtype.startswith("complex")]
    if texts:
        raise RefusedError(
            f"{path} gives {specs_text(texts)}, and answers are compared as real numbers",
            "export a model without that output, or with the scores that it is made from",
        )
    if not signature.outputs:
        raise RefusedError(f"{path} gives no output", "a model that answers something is needed")


# ---- forms -----------------------------------------------------------------------------------------------------------


def _forms(loaded: Loaded, path: Path, folder: Path, examples: Sequence[bytes], tell: Tell) -> dict[str, Any]:
    """Write the SavedModel and, of a Keras model, its own two files; why one cannot hold it stands under `missing`."""
    target = folder / "saved_model" / "1"
    if loaded.keras is None:
        tell("copying the SavedModel")
        shutil.copytree(path, target)
        return {"missing": {}}
    tell("exporting the SavedModel")
    _export(loaded, target)
    tell("saving model.keras and model.h5")
    loaded.keras.save(folder / "model.keras")  # not compiled, so it holds no optimizer
    right = [_answer(loaded, each) for each in examples[:4]]
    exported = _saved_model(target, loaded.signature.key)
    if (apart := _furthest(exported, examples[:4], right)) > TIGHT:
        raise RefusedError(
            f"{path} answers otherwise once it is exported as a SavedModel, by {apart:.2g} of its largest output",
            "does it compute at random, or with Python code that is traced only once?",
        )
    why = _save_h5(loaded, folder / "model.h5", examples[:4], right)
    return {"missing": {"h5": why} if why else {}}


def _export(loaded: Loaded, folder: Path) -> None:
    """A plain tf.Module around the model stores each weight once; `model.export` stores them twice."""
    import tensorflow as tf

    names = [spec.name for spec in loaded.signature.inputs]

    def serving_default(*tensors: Any) -> Any:
        return dict(loaded.call(dict(zip(names, tensors, strict=True))))

    specs = [tf.TensorSpec(spec.shape, spec.dtype, spec.name) for spec in loaded.signature.inputs]
    module = tf.Module()
    module.model = loaded.tracked
    module.serving_default = tf.function(serving_default, input_signature=specs)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serving_default})


def _save_h5(loaded: Loaded, file: Path, examples: Sequence[bytes], right: Sequence[Any]) -> str:
    """The training artefact with optimizer state; empty, or why this format cannot hold the model, which is common.

    Tables of words, among others, are not in it, and only the answers of what was read back show that.
    """
    import keras

    model = loaded.keras
    assert model is not None
    try:
        model.compile(optimizer=keras.optimizers.Adam())
        model.optimizer.build(model.trainable_variables)
        model.save(file, include_optimizer=True)
        again = _keras_file(file)
        apart = _furthest(again, examples, right)
    except Exception as failure:
        file.unlink(missing_ok=True)
        return f"the .h5 format cannot hold it: {_first_line(failure)}"
    if apart > TIGHT:
        file.unlink()
        return f"the .h5 format loses part of it: read back, it answers otherwise by {apart:.2g} of its largest output"
    return ""


# ---- answers ---------------------------------------------------------------------------------------------------------


def _answer(loaded: Loaded, example: bytes) -> Any:
    """The numbers of all outputs in one row, float32, output after output by name."""
    import numpy as np
    import tensorflow as tf

    from bench.payload.tensors import unpacked

    specs = {spec.name: spec for spec in loaded.signature.inputs}
    given = {name: tf.constant(array, dtype=specs[name].dtype) for name, array in unpacked(example).items()}
    try:
        answered = loaded.call(given)
    except Exception as failure:  # an index out of a table, shapes that do not go together
        raise RefusedError(
            f"the model cannot answer an example: {_first_line(failure)}",
            "give examples that it was made for, with payload.tensors or payload.rows",
        ) from failure
    rows = [np.asarray(answered[name]).astype(np.float32).ravel() for name in loaded.signature.output_names]
    row = np.concatenate(rows)
    if not np.isfinite(row).all():
        raise RefusedError(
            "the model's outputs for an example are not finite numbers", "check its weights and examples"
        )
    return row


def _furthest(other: Loaded, examples: Sequence[bytes], right: Sequence[Any]) -> float:
    """Largest difference of two forms' answers, as a share of the largest output."""
    import numpy as np

    largest = max((float(np.abs(output).max()) for output in right), default=0.0)
    apart = 0.0
    for example, output in zip(examples, right, strict=True):
        answered = _answer(other, example)
        if answered.shape != output.shape:
            return float("inf")
        apart = max(apart, float(np.abs(answered - output).max()))
    return apart / largest if largest else apart


def _write_answers(answers: Sequence[Any], file: Path) -> None:
    """A .npz of one array an example, numbered, so that answers of different lengths have room."""
    import numpy as np

    file.parent.mkdir(exist_ok=True)
    np.savez(file, **{f"{number:05d}": answer for number, answer in enumerate(answers)})


def _first_line(failure: BaseException) -> str:
    text = str(failure).strip() or type(failure).__name__
    return text.splitlines()[0]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
