"""The engines that can compute the model, one module each, named as a scenario names it.

A module has a class `Engine` that loads a file with `Settings`, has answered once before anybody asks, and maps JPEG
photos to float32 (photos, classes) or raises NoPhotoError. It knows nothing of the server around it. The modules import
different packages, so only the one in use is imported.
One that computes models of any inputs has a class `TensorEngine` beside it, which takes `tensors.Settings` and maps
arrays by input name to arrays by output name, or raises NoTensorError.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

from tensors import Settings as TensorSettings

from engines.settings import Settings

__all__ = ["Settings", "TensorSettings", "engine", "load", "load_tensors", "tensor_engine"]


def engine() -> Any:
    """The engine that MODEL_ENGINE names, loaded with what the other variables say."""
    return load(os.environ["MODEL_ENGINE"], Settings.of_environment())


def load(name: str, settings: Settings) -> Any:
    """The engine of that name, loaded."""
    return importlib.import_module(f"engines.{name}").Engine(settings)


def tensor_engine() -> Any:
    """The engine for any inputs that MODEL_ENGINE names, loaded with what the other variables say."""
    return load_tensors(os.environ["MODEL_ENGINE"], TensorSettings.of_environment())


def load_tensors(name: str, settings: TensorSettings) -> Any:
    """The engine for any inputs of that name, loaded."""
    return importlib.import_module(f"engines.{name}").TensorEngine(settings)
