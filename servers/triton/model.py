"""Runs inside Triton's Python backend, one copy per instance: an engine that takes JPEG photos.

It is copied into the model repository and imported there by Triton's stub, so it knows nothing of bench; the engines
lie in a folder that the configuration names, since the stub ignores PYTHONPATH.
Each element of the input is a photo: the bytes of a JPEG, or their base64 text, because a JSON request
cannot carry bytes. Which of the two needs no telling: a JPEG begins with 0xFF, which no text holds.
"""

from __future__ import annotations

import base64
import binascii
import json
import sys
from typing import Any

import numpy as np
import triton_python_backend_utils as pb

INPUT, OUTPUT = "jpeg", "probabilities"
JPEG_START = b"\xff\xd8"


class TritonPythonModel:
    """What Triton's Python backend calls."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the engine, which runs once, so that an instance which Triton calls ready has answered before."""
        parameters = {key: it["string_value"] for key, it in json.loads(args["model_config"])["parameters"].items()}
        sys.path.insert(0, parameters["programs"])
        import engines
        from photos import NoPhotoError

        threads, height, width = (int(parameters[key]) for key in ("threads", "height", "width"))
        settings = engines.Settings(parameters["model"], threads, height, width, parameters["precision"])
        self.no_photo: type[Exception] = NoPhotoError
        self.probabilities = engines.load(parameters["engine"], settings)
        pb.Logger.log_info(
            f"{args['model_instance_name']}: {parameters['engine']}, numpy {np.__version__}, {threads} threads"
        )

    def execute(self, requests: list[Any]) -> list[Any]:
        """One response per request, in order; what is wrong with one request fails no other."""
        batches = [read_photos(request) for request in requests]
        good = [batch for batch in batches if not isinstance(batch, str)]
        try:
            answers = self.probabilities([photo for batch in good for photo in batch]) if good else None
        except self.no_photo as failure:
            if len(requests) > 1:  # some photo is damaged: find out whose by asking one by one
                return [response for request in requests for response in self.execute([request])]
            return [refusal(str(failure))]
        return split(batches, answers)


def read_photos(request: Any) -> list[bytes] | str:
    """The photos of one request as JPEG bytes, or the sentence that says why they are none."""
    elements = pb.get_input_tensor_by_name(request, INPUT).as_numpy().ravel()
    try:
        return [element if element.startswith(JPEG_START) else from_base64(element) for element in elements]
    except (binascii.Error, ValueError):
        return f"{INPUT}: neither the bytes of a JPEG nor their base64 text"


def from_base64(text: bytes) -> bytes:
    """The bytes of a JPEG from their base64 text.   Raises: ValueError if it is something else."""
    photo = base64.b64decode(text, validate=True)
    if not photo.startswith(JPEG_START):
        raise ValueError("not a JPEG")
    return photo


def split(batches: list[list[bytes] | str], answers: Any) -> list[Any]:
    """Deal the rows of one batched answer out to the requests they belong to."""
    responses, at = [], 0
    for batch in batches:
        if isinstance(batch, str):
            responses.append(refusal(batch))
            continue
        responses.append(pb.InferenceResponse([pb.Tensor(OUTPUT, answers[at : at + len(batch)])]))
        at += len(batch)
    return responses


def refusal(message: str) -> Any:
    """The response that tells one caller what was wrong with the request."""
    return pb.InferenceResponse(error=pb.TritonError(message))
