"""Version 2 in the place of version 1 while it serves: a folder that is copied, renamed, and found by the program.

What it makes of it is asked over gRPC, which its counters pass over, also where the load comes over REST.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import AnswerError
from bench.protocols.protobuf import VARINT, field_bytes, fields
from bench.protocols.tfserving import answering_version
from bench.swap import State, Swap

STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
_SECONDS = 2.0
_STATES: Mapping[int, State] = {10: "loading", 20: "loading", 30: "ready", 40: "unloading"}
"""Of ModelVersionStatus; what is left out (50, END) is not in memory, or not any more."""


class FolderSwap(Swap):
    """The next version of one model below its base path."""

    def __init__(self, base: Path, old: int, target: str, model: str) -> None:
        """`target` is the program's gRPC address, `model` the model's name."""
        self.old, self.new = str(old), str(old + 1)
        self._base = base
        self._hidden = base / f"copying_{self.new}"  # no number, so it is passed over
        self._target = target
        self._request = field_bytes(1, field_bytes(1, model.encode()))
        self._channel: Any = None

    def bring(self) -> None:
        """Copy the version folder, byte by byte, under a name that is no number."""
        shutil.copytree(self._base / self.old, self._hidden)

    def release(self) -> None:
        """Rename it."""
        self._hidden.rename(self._base / self.new)

    def states(self) -> Mapping[str, State]:
        """What GetModelStatus says."""
        import grpc

        if self._channel is None:
            self._channel = grpc.insecure_channel(self._target, options=[("grpc.enable_http_proxy", 0)])
        call = self._channel.unary_unary(STATUS, None, None)
        try:
            return version_states(call(self._request, timeout=_SECONDS))
        except grpc.RpcError as failure:
            raise AnswerError(f"gRPC {failure.code().name}: {failure.details()}") from failure

    def version_of(self, reply: bytes) -> str | None:
        """What a PredictResponse says; JSON says nothing."""
        return answering_version(reply)

    def close(self) -> None:
        """Close the connection."""
        if self._channel is not None:
            self._channel.close()


def version_states(reply: bytes) -> dict[str, State]:
    """Version -> state out of a GetModelStatusResponse.   Raises: AnswerError if it is none."""
    found: dict[str, State] = {}
    for number, _, entry in fields(reply):
        if number == 1 and isinstance(entry, bytes):
            numbers = {key: value for key, kind, value in fields(entry) if kind == VARINT}
            state = _STATES.get(int(numbers.get(2, 0)))
            if state is not None:
                found[str(int(numbers.get(1, 0)))] = state
    return found
