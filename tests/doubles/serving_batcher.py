"""Server-side batching as TensorFlow Serving does it, for its stand-in: parameters, queues, padding, refusals."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from serving_metrics import Metrics  # type: ignore[import-not-found]  # beside it on the path of the stand-in

_WRAPPED = (
    r"(?P<name>max_batch_size|batch_timeout_micros|max_enqueued_batches|num_batch_threads|max_execution_batch_size"
    r'|enable_large_batch_splitting|thread_pool_name) \{ value: (?P<value>\d+|true|false|"[^"]*") \}'
)
_PLAIN = r"(?P<name>allowed_batch_sizes|pad_variable_length_inputs): (?P<value>\d+|true|false)"

Inputs = Mapping[str, Any]
Outputs = Mapping[str, Any]


class RefusedError(Exception):
    """TensorFlow's status code and its text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True)
class Parameters:
    """BatchingParameters with the program's defaults."""

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = 2
    max_execution_batch_size: int = 0
    enable_large_batch_splitting: bool = False
    thread_pool_name: str = ""
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False


def parse(text: str) -> Parameters:
    """The parameters in a text proto.   Raises: ValueError."""
    values: dict[str, Any] = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        match = re.fullmatch(_WRAPPED, line) or re.fullmatch(_PLAIN, line)
        if match is None:
            raise ValueError(line)
        name, value = match["name"], match["value"]
        read: Any = value.strip('"') if name == "thread_pool_name" else value == "true"
        if value.isdigit():
            read = int(value)
        values[name] = (*values.get(name, ()), read) if name == "allowed_batch_sizes" else read
    return Parameters(**values)


def check(parameters: Parameters) -> None:
    """Raise RefusedError for what fails the load of the model."""
    sizes = parameters.allowed_batch_sizes
    if sizes and sizes[-1] != parameters.max_batch_size:
        text = "Last entry in allowed_batch_sizes must match max_batch_size; last entry was "
        raise RefusedError(3, f"{text}{sizes[-1]}; expected {parameters.max_batch_size}")


@dataclass
class _Task:
    inputs: Inputs
    rows: int
    queued_at: float
    done: threading.Event = field(default_factory=threading.Event)
    outputs: Outputs | None = None
    problem: Exception | None = None


class Batcher:
    """One queue per signature, run by as many threads as asked for."""

    def __init__(self, parameters: Parameters, run: Callable[[str, Inputs], Outputs], metrics: Metrics) -> None:
        self._parameters = parameters
        self._run = run
        self._metrics = metrics
        self._condition = threading.Condition()
        self._queues: dict[str, list[list[_Task]]] = {}
        for _ in range(parameters.num_batch_threads):
            threading.Thread(target=self._work, daemon=True).start()

    def run(self, signature: str, inputs: Inputs) -> Outputs:
        """The outputs for these rows, computed together with those of others.   Raises: RefusedError."""
        rows = len(next(iter(inputs.values())))
        if rows > self._parameters.max_batch_size:
            most = self._parameters.max_batch_size
            raise RefusedError(3, f"Task size {rows} is larger than maximum input batch size {most}")
        task = _Task(inputs, rows, time.monotonic())
        with self._condition:
            self._enqueue(signature, task)
            self._condition.notify_all()
        task.done.wait()
        if task.problem is not None:
            raise task.problem
        assert task.outputs is not None
        return task.outputs

    def _enqueue(self, signature: str, task: _Task) -> None:
        batches = self._queues.setdefault(signature, [])
        if not batches or sum(each.rows for each in batches[-1]) + task.rows > self._parameters.max_batch_size:
            if len(batches) >= self._parameters.max_enqueued_batches:
                raise RefusedError(
                    14,
                    "The batch scheduling queue to which this task was submitted is full; "
                    f"currently {len(batches)} batches enqueued and max_enqueued_batches is "
                    f"{self._parameters.max_enqueued_batches}",
                )
            batches.append([])
        batches[-1].append(task)

    def _work(self) -> None:
        while True:
            with self._condition:
                while (found := self._due()) is None:
                    self._condition.wait(0.001 if any(self._queues.values()) else None)
            self._process(*found)

    def _due(self) -> tuple[str, list[_Task]] | None:
        """A batch that is full, or old enough, taken off its queue."""
        now = time.monotonic()
        for signature, batches in self._queues.items():
            if not batches:
                continue
            full = sum(task.rows for task in batches[0]) >= self._parameters.max_batch_size or len(batches) > 1
            if full or now - batches[0][0].queued_at >= self._parameters.batch_timeout_micros / 1e6:
                return signature, batches.pop(0)
        return None

    def _process(self, signature: str, tasks: Sequence[_Task]) -> None:
        now = time.monotonic()
        rows = sum(task.rows for task in tasks)
        size = next((allowed for allowed in self._parameters.allowed_batch_sizes if allowed >= rows), rows)
        for task in tasks:
            self._metrics.observe("batching_session:queuing_latency", (now - task.queued_at) * 1e6, thread_pool_name="")
        self._metrics.count("batching_session:wrapped_run_count")
        self._metrics.observe("batching_session:input_batch_size", rows)
        self._metrics.observe("batching_session:processed_batch_size", size)
        self._metrics.observe("batching_session:padding_size", size - rows, execution_batch_size=str(size))
        try:
            outputs = self._run(signature, _together(tasks, size))
        except Exception as problem:  # it belongs to everyone in the batch
            for task in tasks:
                task.problem = problem
                task.done.set()
            return
        begin = 0
        for task in tasks:
            task.outputs = {name: value[begin : begin + task.rows] for name, value in outputs.items()}
            begin += task.rows
            task.done.set()


def _together(tasks: Sequence[_Task], size: int) -> Inputs:
    """The rows of all tasks, padded with copies of the last one's first row."""
    joined = {}
    for name in tasks[0].inputs:
        parts = [np.asarray(task.inputs[name]) for task in tasks]
        missing = size - sum(len(part) for part in parts)
        joined[name] = np.concatenate([*parts, *[parts[-1][:1]] * missing])
    return joined
