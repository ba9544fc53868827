"""A LitServe server as its documentation writes one: `setup`, `decode_request`, `predict`, `encode_response`."""

import os
from typing import Any

import litserve as ls


class ClassifierAPI(ls.LitAPI):  # type: ignore[misc]  # not installed where types are checked
    """One photo in base64 per request; with batching LitServe hands several over at once."""

    def setup(self, device: str) -> None:  # noqa: ARG002 -- LitServe's signature
        """Load the model, once per worker, in the worker."""
        from classifier import Classifier

        self.classifier = Classifier()

    def decode_request(self, request: dict[str, str]) -> bytes:
        """The bytes of the photo."""
        from classifier import from_base64

        jpeg: bytes = from_base64(request["image"])
        return jpeg

    def predict(self, x: Any) -> Any:
        """Class probabilities of one photo, or of each of several."""
        return self.classifier(x) if isinstance(x, list) else self.classifier([x])[0]

    def encode_response(self, output: Any) -> dict[str, list[float]]:
        """What the client gets."""
        return {"probabilities": output.tolist()}


if __name__ == "__main__":
    batch = int(os.environ["MAX_BATCH_SIZE"])
    api = ClassifierAPI(max_batch_size=batch, batch_timeout=float(os.environ["BATCH_TIMEOUT"]))
    ls.LitServer(api, accelerator="cpu", workers_per_device=int(os.environ["WORKERS"]), timeout=False).run(
        host=os.environ["HOST"],
        port=int(os.environ["PORT"]),
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
        access_log=False,
    )
