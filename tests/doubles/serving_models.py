"""Models and their versions as TensorFlow Serving loads, exchanges and unloads them, for its stand-in.

The model and TensorFlow are real; which version is served when follows the program's own rules.
"""

from __future__ import annotations

import contextlib
import filecmp
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import serving_batcher  # type: ignore[import-not-found]  # these lie beside it on the path of the stand-in
from serving_batcher import Batcher
from serving_config import Config  # type: ignore[import-not-found]
from serving_faults import (  # type: ignore[import-not-found]
    FAULT,
    FAULT_NUMBER,
    REFUSALS,
    ServingError,
    leave,
    say,
)
from serving_metrics import Metrics  # type: ignore[import-not-found]

Value = bool | int | float | str
WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
METRICS = Metrics()
START, LOADING, AVAILABLE, UNLOADING, END = 10, 20, 30, 40, 50
STATE_NAMES = {START: "START", LOADING: "LOADING", AVAILABLE: "AVAILABLE", UNLOADING: "UNLOADING", END: "END"}

log = logging.getLogger("tensorflow_model_server")


@dataclass
class Model:
    """One loaded version of one model; `owner` keeps its variables alive."""

    name: str
    version: int
    signatures: Mapping[str, Any]
    owner: Any
    batcher: Batcher | None = None
    runs: int = 0
    state: int = START
    users: int = 0

    def run(self, signature: str, missing_text: str, missing_code: int, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs of a signature, by name.   Raises: ServingError."""
        if signature not in self.signatures:
            raise ServingError(missing_code, missing_text)
        takes = self.signatures[signature].structured_input_signature[1]
        if set(inputs) != set(takes):
            raise ServingError(
                3, f"input size does not match signature: {len(inputs)}!={len(takes)} len({{{','.join(takes)}}})"
            )
        began_at = time.monotonic()
        outputs = self._run(signature, {name: as_array(value) for name, value in inputs.items()})
        METRICS.observe("runtime_latency", since(began_at), model_name=self.name, API="Predict", runtime="TF1")
        self.runs += 1
        if FAULT == "dies_after" and self.runs > FAULT_NUMBER:
            os.kill(os.getpid(), signal.SIGKILL)
        if FAULT == "fails_after" and self.runs > FAULT_NUMBER:
            raise ServingError(*REFUSALS[self.runs % len(REFUSALS)])
        if FAULT == "deadline":
            raise ServingError(4, "Timed out waiting for notification")
        return outputs

    def _run(self, signature: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return dict(self.batcher.run(signature, inputs) if self.batcher else self.compute(signature, inputs))
        except serving_batcher.RefusedError as failure:
            raise ServingError(failure.code, failure.text) from failure

    def compute(self, signature: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """What TensorFlow makes of one batch.   Raises: ServingError."""
        import tensorflow as tf

        run = self.signatures[signature]
        takes = run.structured_input_signature[1]
        try:
            tensors = {name: tf.constant(value, dtype=takes[name].dtype) for name, value in inputs.items()}
            return {name: value.numpy() for name, value in run(**tensors).items()}
        except tf.errors.OpError as failure:
            raise ServingError(failure.error_code, failure.message) from failure
        except (ValueError, TypeError) as failure:
            raise ServingError(3, str(failure)) from failure


def as_array(value: Any) -> Any:
    """Values with their batch dimension; strings stay Python's bytes, which may end in zeros."""
    array = np.asarray(value)
    return np.asarray(value, dtype=object) if array.dtype.kind in "SU" else array


def since(began_at: float) -> float:
    """Microseconds."""
    return (time.monotonic() - began_at) * 1e6


def fail_while_loading(name: str, version: int) -> None:
    """The faults that a test cannot bring about with files."""
    if FAULT == "sigkill":
        os.kill(os.getpid(), signal.SIGKILL)
    if FAULT == "stuck":
        time.sleep(10_000)
    if FAULT == "unknown_op":
        op = "Op type not registered 'NobodysOp' in binary running on host. Make sure the Op and Kernel are registered"
        failed_to_load(name, version, f"NOT_FOUND: {op} in the binary running in this process.")
        leave_unavailable(name, version)
    if FAULT == "no_memory":
        say("terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc")
        os.kill(os.getpid(), signal.SIGABRT)


def failed_to_load(name: str, version: int, why: str) -> None:
    """The line of the log."""
    log.error("Loading servable: {name: %s version: %d} failed: %s", name, version, why)


def leave_unavailable(name: str, version: int) -> NoReturn:
    """The end of a program whose model cannot be loaded."""
    servable = f"{{name: {name} version: {version}}}"
    leave(f"Failed to start server. Error: UNKNOWN: 1 servable(s) did not become available: {{{servable}}}")
    raise AssertionError


def loaded(name: str, version: int, folder: Path, flags: Mapping[str, Value]) -> Model:
    """A version in memory, its batching set up and its warm-up records replayed.   Raises: ServingError."""
    if not (folder / "saved_model.pb").is_file():
        what = "Specified file path does not appear to contain a SavedModel bundle (should have a file called "
        raise ServingError(5, f"{what}`saved_model.pb`)\n Specified file path: {folder}")
    import tensorflow as tf

    _set_threads(flags)
    if flags["mixed_precision"] == "bfloat16":
        log.info("Running inference with bfloat16 auto mixed precision")
    began_at = time.monotonic()
    try:
        owner = tf.saved_model.load(str(folder))
    except tf.errors.OpError as failure:
        raise ServingError(failure.error_code, failure.message) from failure
    except IndexError as failure:  # TensorFlow's own OUT_OF_RANGE, of a file that is too short
        raise ServingError(11, str(failure)) from failure
    except (OSError, ValueError) as failure:
        raise ServingError(5, str(failure)) from failure
    took = f"{since(began_at):.0f}"
    log.info("SavedModel load for tags { serve }; Status: success: OK. Took %s microseconds.", took)
    model = Model(name, version, owner.signatures, owner)
    model.batcher = batcher(model, folder, flags)
    warm_up(model, folder, flags)
    return model


def _set_threads(flags: Mapping[str, Value]) -> None:
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # only before anything has run
        if threads := flags["tensorflow_intra_op_parallelism"]:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
        if threads := flags["tensorflow_inter_op_parallelism"]:
            tf.config.threading.set_inter_op_parallelism_threads(threads)


def batcher(model: Model, folder: Path, flags: Mapping[str, Value]) -> Batcher | None:
    """What its requests go through; None for a model that is not batched.   Raises: ServingError."""
    if not flags["enable_batching"]:
        return None
    file = Path(str(flags["batching_parameters_file"]))
    if flags["enable_per_model_batching_parameters"]:
        file = folder / "batching_params.pbtxt"
        if not file.is_file():
            return None
    try:
        parameters = serving_batcher.parse(file.read_text() if file.is_file() else "")
        serving_batcher.check(parameters)
    except ValueError as failure:
        raise ServingError(3, f"Invalid protobuf file: '{file}'") from failure
    except serving_batcher.RefusedError as failure:
        raise ServingError(failure.code, failure.text) from failure
    log.info("Wrapping session to perform batch processing")
    return Batcher(parameters, model.compute, METRICS)


def replay(model: Model, request: Any) -> None:
    """A record of warm-up, whatever model it names."""
    import tensorflow as tf

    inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
    signature = request.model_spec.signature_name or "serving_default"
    model.run(signature, f'Serving signature key "{signature}" not found.', 9, inputs)


def run_once(model: Model) -> None:
    """Have TensorFlow prepare the default signature: dozens of first runs at once would hold each other up for long."""
    import tensorflow as tf

    inputs = {}
    for name, spec in model.signatures["serving_default"].structured_input_signature[1].items():
        photo = tf.io.encode_jpeg(tf.zeros((8, 8, 3), tf.uint8)).numpy()
        shape = [size or 1 for size in spec.shape]
        inputs[name] = [photo] if spec.dtype == tf.string else np.zeros(shape, spec.dtype.as_numpy_dtype)
    model.compute("serving_default", inputs)


def warm_up(model: Model, folder: Path, flags: Mapping[str, Value]) -> None:
    """Replay the records that lie with the model.   Raises: ServingError."""
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    file = folder / WARMUP_FILE
    if not flags["enable_model_warmup"] or not file.is_file():
        log.info("No warmup data file found at %s", file)
        return
    log.info("Starting to read warmup data for model at %s with model-warmup-options ", file)
    began_at, count = time.monotonic(), 0
    try:
        for data in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            said = prediction_log_pb2.PredictionLog.FromString(data)
            for _ in range(max(1, int(flags["num_request_iterations_for_warmup"]))):
                replay(model, said.predict_log.request)
            count += 1
    except tf.errors.DataLossError as failure:
        raise ServingError(15, failure.message) from failure
    took = f"{since(began_at):.0f}"
    log.info(
        "Finished reading warmup data for model at %s. Number of warmup records read: %d. "
        "Elapsed time (microseconds): %s.",
        file,
        count,
        took,
    )


def versions_of(base: Path) -> dict[int, Path]:
    """Version -> folder."""
    if not base.is_dir():
        return {}
    return {int(folder.name): folder for folder in base.iterdir() if folder.is_dir() and folder.name.isdigit()}


# ---- which of them are served --------------------------------------------------------------------------------------


def _same_files(one: Path, other: Path) -> bool:
    names = ("saved_model.pb", "variables/variables.index")
    return all(filecmp.cmp(one / name, other / name, shallow=False) for name in names)


class Servables:
    """Every version of every model, and which of them answers."""

    def __init__(self, asked: Sequence[Config], flags: Mapping[str, Value]) -> None:
        self._configs = {config.name: config for config in asked}
        self._flags = flags
        self._lock = threading.Condition()
        self._models: dict[str, dict[int, Model]] = {config.name: {} for config in asked}

    def load_first(self) -> None:
        """Load what is wanted; waits for ever, once told so each second, as long as one model has no version."""
        log.info("Adding/updating models.")
        if FAULT == "sigill":
            os.kill(os.getpid(), signal.SIGILL)
        while (lacking := next((each for each in self._configs.values() if not self._wanted(each)), None)) is not None:
            complain(lacking.name, lacking.base)
            time.sleep(1)
        for config in self._configs.values():
            for version in self._wanted(config):
                self._load(config, version, first=True)
        log.info("Finished adding/updating models")
        if int(self._flags["file_system_poll_wait_seconds"]) > 0:
            threading.Thread(target=self._poll, daemon=True).start()

    @contextlib.contextmanager
    def using(self, name: str, version: int | None = None, label: str | None = None) -> Iterator[Model]:
        """A version that answers, kept as long as it is used.   Raises: ServingError."""
        with self._lock:
            model = self._find(name, version, label)
            model.users += 1
        try:
            yield model
        finally:
            with self._lock:
                model.users -= 1
                self._lock.notify_all()

    def states(self, name: str, version: int | None) -> list[Model]:
        """The versions that the status tells of, the highest first.   Raises: ServingError."""
        with self._lock:
            known = sorted(self._models.get(name, {}).values(), key=lambda model: -model.version)
        if not known:
            raise ServingError(5, f"Could not find any versions of model {name}")
        found = [model for model in known if version in (None, model.version)]
        if not found:
            raise ServingError(5, f"Could not find version {version} of model {name}")
        return found

    def _find(self, name: str, version: int | None, label: str | None) -> Model:
        if label is not None:
            config = self._configs.get(name)
            if config is None or label not in config.labels:
                raise ServingError(3, f"Unrecognized servable version label: {label}")
            version = config.labels[label]
        ready = [model for model in self._models.get(name, {}).values() if model.state == AVAILABLE]
        found = [model for model in ready if version in (None, model.version)]
        if not found:
            asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise ServingError(5, f"Servable not found for request: {asked}")
        return max(found, key=lambda model: model.version)

    def _wanted(self, config: Config) -> list[int]:
        wanted: list[int] = config.wanted(list(versions_of(config.base)))
        return wanted

    def _load(self, config: Config, version: int, *, first: bool) -> None:
        """One version; a failure ends the program at its start, later only the version."""
        name, folder = config.name, versions_of(config.base)[version]
        log.info("Loading servable version {name: %s version: %d}", name, version)
        placeholder = Model(name, version, {}, None, state=LOADING)
        self._enter(placeholder)
        if FAULT == "empty":
            placeholder.state = AVAILABLE
            return
        if first:
            fail_while_loading(name, version)
        for attempt in range(int(self._flags["max_num_load_retries"]) + 1):
            if attempt:
                time.sleep(max(0, int(self._flags["load_retry_interval_micros"])) / 1e6)
            try:
                model = self._twin(name, version, folder) or loaded(name, version, folder, self._flags)
            except ServingError as failure:
                codes = {3: "INVALID_ARGUMENT", 5: "NOT_FOUND", 11: "OUT_OF_RANGE", 15: "DATA_LOSS"}
                failed_to_load(name, version, f"{codes.get(failure.code, 'UNKNOWN')}: {failure.text}")
                continue
            if not first and not os.environ.get("DOUBLE_TWINS"):
                run_once(model)
            model.state = AVAILABLE
            self._enter(model)
            log.info("Successfully loaded servable version {name: %s version: %d}", name, version)
            return
        placeholder.state = END
        if first:
            leave_unavailable(name, version)

    def _twin(self, name: str, version: int, folder: Path) -> Model | None:
        """The model of these files where it is in memory already: how long TensorFlow reads is not what is tested.

        It takes half a second, so that its being loaded can be seen.
        """
        if not os.environ.get("DOUBLE_TWINS"):
            return None
        for config in self._configs.values():
            for model in self._models[config.name].values():
                own = versions_of(config.base).get(model.version)
                if model.owner is not None and own is not None and _same_files(own, folder):
                    time.sleep(0.5)
                    twin = Model(name, version, model.signatures, model.owner)
                    twin.batcher = batcher(twin, folder, self._flags)
                    return twin
        return None

    def _enter(self, model: Model) -> None:
        with self._lock:
            self._models[model.name][model.version] = model

    def _poll(self) -> None:
        while True:
            time.sleep(int(self._flags["file_system_poll_wait_seconds"]))
            for config in self._configs.values():
                wanted = self._wanted(config)
                known = dict(self._models[config.name])
                for version in wanted:
                    if version not in known:
                        self._load(config, version, first=False)
                ready = [it for it in wanted if self._models[config.name][it].state == AVAILABLE]
                for version, model in known.items():
                    if version not in wanted and model.state == AVAILABLE and ready:
                        self._unload(model)

    def _unload(self, model: Model) -> None:
        """Once nobody uses it any more."""
        with self._lock:
            model.state = UNLOADING
            self._lock.wait_for(lambda: model.users == 0)
            model.signatures, model.owner, model.state = {}, None, END
        log.info("Done unloading servable version {name: %s version: %d}", model.name, model.version)


def complain(name: str, base: Path) -> None:
    """What the log says each second while there is nothing to serve."""
    if not base.is_dir():
        log.error(
            "FileSystemStoragePathSource encountered a filesystem access error: Could not find base path %s "
            "for servable %s with error NOT_FOUND: %s not found",
            base,
            name,
            base,
        )
    else:
        log.warning(
            "No versions of servable %s found under base path %s. "
            "Did you forget to name your leaf directory as a number (eg. '/1/')?",
            name,
            base,
        )
