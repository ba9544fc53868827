"""A BentoML service as its documentation writes one: a class, its model loaded in `__init__`, an API method."""

import os

import bentoml
from classifier import Classifier, NoPhotoError, from_base64


@bentoml.service(
    workers=int(os.environ["WORKERS"]),
    threads=int(os.environ["MODEL_CONCURRENT"]),
    traffic={"timeout": 300},
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
)
class Classification:
    """Class probabilities of photos."""

    def __init__(self) -> None:
        self.classifier = Classifier()

    @bentoml.api  # type: ignore[untyped-decorator]  # not installed where types are checked
    def predict(self, image: str, context: bentoml.Context) -> dict[str, list[float]]:
        """The class probabilities of a photo in base64."""
        context.response.headers["X-Worker"] = str(os.getpid())
        try:
            probabilities = self.classifier([from_base64(image)])
        except NoPhotoError as problem:
            raise bentoml.exceptions.InvalidArgument(str(problem)) from problem
        return {"probabilities": probabilities[0].tolist()}
