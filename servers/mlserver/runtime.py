"""A custom runtime as MLServer's documentation writes one: `load`, `predict`; it runs in MLServer's own environment."""

from __future__ import annotations

from typing import Any

import numpy as np
from mlserver import MLModel  # type: ignore[import-not-found]
from mlserver.errors import InferenceError  # type: ignore[import-not-found]
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput  # type: ignore[import-not-found]

OUTPUT = "probabilities"


class ClassifierRuntime(MLModel):  # type: ignore[misc]  # not installed where types are checked
    """Photos as BYTES, as they are over gRPC or base64 text over REST; their class probabilities as FP32."""

    async def load(self) -> bool:
        """Load the model, once in each process that computes."""
        from classifier import Classifier

        self.classifier = Classifier()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """One row for each photo; with batching MLServer hands several over at once."""
        from classifier import NoPhotoError

        try:
            found = np.asarray(self.classifier(photos(payload)), dtype=np.float32)
        except (NoPhotoError, ValueError) as failure:
            raise InferenceError(str(failure)) from failure
        output = ResponseOutput(name=OUTPUT, datatype="FP32", shape=list(found.shape), data=found.ravel().tolist())
        return InferenceResponse(model_name=self.name, outputs=[output])


def photos(payload: Any) -> list[bytes]:
    """The photos of a request as JPEG bytes."""
    from classifier import from_base64

    data = payload.inputs[0].data
    elements = getattr(data, "root", data)
    return [element if isinstance(element, bytes) else from_base64(element) for element in elements]
