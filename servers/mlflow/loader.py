"""What MLflow's scoring server calls: a model of its python_function flavour around the SavedModel."""

from __future__ import annotations

from typing import Any

from classifier import Classifier, from_base64


class Photos:
    """Answers a table with a column `image` of photos in base64."""

    def __init__(self) -> None:
        self._classifier = Classifier()

    def predict(self, table: Any, params: dict[str, Any] | None = None) -> Any:  # noqa: ARG002 -- MLflow's signature
        """Class probabilities, one row per photo."""
        return self._classifier([from_base64(text) for text in table["image"]])


def _load_pyfunc(path: str) -> Photos:  # noqa: ARG001 -- the model is named by the environment
    """MLflow's entry."""
    return Photos()
