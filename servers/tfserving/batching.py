"""TensorFlow Serving's BatchingParameters, every field by its own name, written as the text proto that it reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated

from annotated_types import Ge, Gt, Le, MinLen

from bench.server import Duration

PLAIN = ("allowed_batch_sizes", "pad_variable_length_inputs")
"""Fields written `name: value`; the others are wrapped, `name { value: .. }`, so that unset differs from zero."""
OF_THE_POOL = ("num_batch_threads", "thread_pool_name")
"""What still counts in the file for all models where each model has a file of its own."""
_OURS = ("batch_timeout", "per_model")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """Server-side batching; the names are those of TensorFlow Serving's BatchingParameters.

    What is left out is left to the program: 1000 rows, no wait, 10 batches per queue, one thread per core.
    """

    max_batch_size: Annotated[int, Ge(1)] | None = None
    batch_timeout: Duration | None = None
    """Longest wait for a batch to fill, with its unit; a lone client pays it in full."""
    batch_timeout_micros: Annotated[int, Ge(0)] | None = None
    """The same under the program's own name."""
    max_enqueued_batches: Annotated[int, Ge(1)] | None = None
    """Per queue; a full queue answers UNAVAILABLE, HTTP 503."""
    num_batch_threads: Annotated[int, Ge(1), Le(4096)] | None = None
    """Batches run at a time."""
    thread_pool_name: Annotated[str, MinLen(1)] | None = None
    enable_large_batch_splitting: bool | None = None
    max_execution_batch_size: Annotated[int, Ge(1)] | None = None
    """Only with splitting."""
    allowed_batch_sizes: tuple[Annotated[int, Gt(0)], ...] = ()
    """A batch is padded to the next of these."""
    pad_variable_length_inputs: bool = False
    per_model: bool = False
    """Write the parameters into the model's version folder, where `--enable_per_model_batching_parameters` looks."""

    def __post_init__(self) -> None:
        """Refuse what would make the program fail only after the model has loaded."""
        sizes = self.allowed_batch_sizes
        if list(sizes) != sorted(set(sizes)):
            raise ValueError(f"allowed_batch_sizes must ascend, got {list(sizes)}")
        if sizes and sizes[-1] != self.max_batch_size:
            raise ValueError(f"the last of allowed_batch_sizes must be max_batch_size, got {sizes[-1]}")
        if self.batch_timeout is not None and self.batch_timeout_micros is not None:
            raise ValueError("batch_timeout and batch_timeout_micros are the same thing; write one of them")
        self._check_splitting()

    def _check_splitting(self) -> None:
        most, run = self.max_batch_size, self.max_execution_batch_size
        if not self.enable_large_batch_splitting:
            if run is not None:
                raise ValueError("max_execution_batch_size counts only with enable_large_batch_splitting: true")
        elif most is None or run is None:
            raise ValueError("enable_large_batch_splitting needs max_batch_size and max_execution_batch_size, both")
        elif run > most:
            raise ValueError(f"max_execution_batch_size must be at most max_batch_size, got {run} and {most}")

    @property
    def warmup_sizes(self) -> tuple[int, ...]:
        """The batch sizes that the model will be run with, as far as they are known."""
        largest = self.max_execution_batch_size or self.max_batch_size
        return self.allowed_batch_sizes or tuple(sorted({1, largest or 1}))

    def text(self) -> str:
        """The parameters as a text proto."""
        return self._lines([field.name for field in fields(self) if field.name not in _OURS])

    def pool_text(self) -> str:
        """Only those that a model's own file cannot set."""
        return self._lines(OF_THE_POOL)

    def _lines(self, names: Sequence[str]) -> str:
        return "".join(line for name in names for line in _written(name, self._value(name)))

    def _value(self, name: str) -> object:
        if name == "batch_timeout_micros" and self.batch_timeout is not None:
            return round(self.batch_timeout * 1e6)
        return getattr(self, name)


def _written(name: str, value: object) -> list[str]:
    """The lines of one field; none if it is left to the program."""
    if isinstance(value, tuple):
        return [f"{name}: {each}\n" for each in value]
    if value is None or (value is False and name in PLAIN):
        return []
    text = str(value).lower() if isinstance(value, bool) else json.dumps(value)
    return [f"{name}: {text}\n" if name in PLAIN else f"{name} {{ value: {text} }}\n"]
