"""Secrets stay in environment variables: a text holds `${NAME}`, and only what sends it fills it in.

Everything that is written or shown keeps the name; what a server says is searched for the value before it is kept.
Standard library only, since load processes use it too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

_NAME = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SHORTEST = 6
"""A value below this many characters is not looked for in what a server says: it would be found by chance."""


class UnsetError(LookupError):
    """An environment variable that a text names is not set, or holds what cannot be sent in a header."""


def names_in(texts: Iterable[str]) -> tuple[str, ...]:
    """The variables that the texts name, each once."""
    return tuple(dict.fromkeys(name for text in texts for name in _NAME.findall(text)))


def unset(texts: Iterable[str], environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Those of them that are not set, or empty."""
    return tuple(name for name in names_in(texts) if not environ.get(name))


def filled(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """The text with each `${NAME}` replaced by the variable's value.   Raises: UnsetError."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if not environ.get(name):
            raise UnsetError(f"the environment variable {name} is not set")
        if not environ[name].isprintable():
            raise UnsetError(f"the environment variable {name} holds a character that no header may hold")
        return environ[name]

    return _NAME.sub(value, text)


class Discretion:
    """Puts the names of variables back where their values turn up."""

    def __init__(self, texts: Iterable[str], environ: Mapping[str, str] = os.environ) -> None:
        found = {environ.get(name, ""): f"${{{name}}}" for name in names_in(texts)}
        longest_first = sorted(found, key=len, reverse=True)
        self._shown = {value: found[value] for value in longest_first if len(value) >= _SHORTEST}
        self._shown_bytes = {value.encode(): name.encode() for value, name in self._shown.items()}

    def __bool__(self) -> bool:
        return bool(self._shown)

    def text(self, text: str) -> str:
        """The text without a value."""
        for value, name in self._shown.items():
            text = text.replace(value, name)
        return text

    def bytes(self, data: bytes) -> bytes:
        """The data without a value."""
        for value, name in self._shown_bytes.items():
            data = data.replace(value, name)
        return data
