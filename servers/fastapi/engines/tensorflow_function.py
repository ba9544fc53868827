"""`engine: tensorflow`: the SavedModel's own function, which decodes the photos in its graph."""

from classifier import Classifier as Engine

__all__ = ["Engine"]
