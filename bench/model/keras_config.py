"""What a .keras file says it is made of, read without Keras: why it cannot be loaded here, where that shows already."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping


def obstacle(config: object) -> tuple[str, str]:
    """Why a model of this `config.json` cannot be loaded in safe mode, and what helps; empty texts if nothing shows.

    Keras says it too, but only after TensorFlow is loaded, and of a class of one's own not which one it is.
    """
    for part in _parts(config):
        name, module = part["class_name"], part.get("module")
        if name == "__lambda__":
            return (
                "it holds a Lambda layer, whose Python code would run while it is loaded",
                "models are loaded in safe mode; write the Lambda layer with Keras operations and save the model again",
            )
        if not isinstance(name, str) or name.startswith("__"):
            continue
        if part.get("registered_name") and not _importable(module):
            told = "" if module is None else f" of the module {module!r}"
            return (
                f"it needs the class {name!r}{told}, which is not Keras's own and cannot be imported here",
                "give the model as a SavedModel (model.export), which needs no class of its own",
            )
    return "", ""


def _parts(config: object) -> Iterator[Mapping[str, object]]:
    """Everything in it that names a class."""
    waiting = [config]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            if "class_name" in each and "config" in each:
                yield each
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


def _importable(module: object) -> bool:
    """Whether there is such a module to import; `__main__` was the program that saved the model, and is not ours."""
    if not isinstance(module, str) or module == "__main__":
        return False
    if module.partition(".")[0] == "keras":  # also where Keras itself is not installed, which is told elsewhere
        return True
    try:
        return importlib.util.find_spec(module.partition(".")[0]) is not None
    except (ImportError, ValueError):
        return False
