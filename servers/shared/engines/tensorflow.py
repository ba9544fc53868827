"""`engine: tensorflow`: the SavedModel's own function, which decodes the photos in its graph."""

from __future__ import annotations

from classifier import Classifier

from engines.settings import Settings


class Engine(Classifier):  # type: ignore[misc]  # found on the program's path alone
    """What `classifier.py` is; its photos' size is the graph's business."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.path, settings.threads)
