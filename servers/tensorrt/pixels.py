"""KServe v2 with a photo's pixels as an FP32 tensor, which is what an ONNX model or a TensorRT engine takes.

Answers read as in `bench.protocols.kserve`.   Source: Open Inference Protocol v2; Triton's binary data extension.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.protocols import Request
from bench.protocols.kserve import MODEL_INFER, KServeBinary, KServeGrpc
from bench.protocols.protobuf import field_bytes, varint

if TYPE_CHECKING:
    from bench.model.images import Pixels

_LITTLE_ENDIAN = np.dtype("<f4")


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelsBinary(KServeBinary):
    """Over HTTP, the pixels in binary behind the JSON."""

    pixels: Callable[[bytes], Pixels]

    def request(self, photo: bytes) -> Request:
        """The request that asks for the class probabilities of one photo (JPEG bytes), as [1, height, width, 3]."""
        image = self.pixels(photo)
        raw = image.astype(_LITTLE_ENDIAN).tobytes()
        tensor = {
            "name": self.input_name,
            "shape": [1, *image.shape],
            "datatype": "FP32",
            "parameters": {"binary_data_size": len(raw)},
        }
        wanted = {"name": self.output_name, "parameters": {"binary_data": True}}
        head = json.dumps({"inputs": [tensor], "outputs": [wanted]}, separators=(",", ":")).encode()
        headers = (
            ("Content-Type", "application/octet-stream"),
            ("Inference-Header-Content-Length", str(len(head))),
        )
        return Request(f"/v2/models/{self.model}/infer", head + raw, headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelsGrpc(KServeGrpc):
    """Over gRPC, the pixels in raw_input_contents."""

    pixels: Callable[[bytes], Pixels]

    def request(self, photo: bytes) -> Request:
        """The ModelInferRequest that asks for the class probabilities of one photo (JPEG bytes)."""
        image = self.pixels(photo)
        tensor = (
            field_bytes(1, self.input_name.encode())
            + field_bytes(2, b"FP32")
            + field_bytes(3, b"".join(varint(size) for size in (1, *image.shape)))
        )
        body = (
            field_bytes(1, self.model.encode())
            + field_bytes(5, tensor)
            + field_bytes(6, field_bytes(1, self.output_name.encode()))
            + field_bytes(7, image.astype(_LITTLE_ENDIAN).tobytes())
        )
        return Request(MODEL_INFER, body)
