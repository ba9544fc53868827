"""Secrets stay in environment variables: a text holds `${NAME}`, and only what sends it fills it in.

Everything that is written or shown keeps the name; what a server says is searched for the value before it is kept.
Standard library only, since load processes use it too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

_NAME = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SHORTEST = 6
"""A value below this many characters is not looked for in what a server says: it would be found by chance."""


_SECRET = re.compile(
    r"(^|[^a-z])(api-?key|key|token|secret|password|passwd|auth|authorization|cookie|credentials?)([^a-z]|$)",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"\s*(basic|bearer|digest|token)\s+\S", re.IGNORECASE)
_USER_OF_URL = re.compile(r"(://)[^/\s@'\"]+(@)")
_PAIR = re.compile(r"([\w-]+)(=)([^&\s'\"]+)")
_LEFT_OUT = "..."


class UnsetError(LookupError):
    """An environment variable that a text names is not set, or holds what cannot be sent in a header."""


def names_in(texts: Iterable[str]) -> tuple[str, ...]:
    """The variables that the texts name, each once."""
    return tuple(dict.fromkeys(name for text in texts for name in _NAME.findall(text)))


def written_out(name: str, value: str) -> bool:
    """Whether a value, by its name or its own look, is a credential, and no variable stands for it."""
    return bool(_SECRET.search(name) or _SCHEME.match(value)) and not names_in([value])


def holds_password(text: str) -> bool:
    """Whether there is a URL in it with a name or a password before its host, and no variable stands there."""
    return any(not names_in([found[0]]) for found in _USER_OF_URL.finditer(text))


def masked(value: Any, name: str = "") -> Any:
    """The same for a message about it, with dots for what looks like a credential; it need not be of the right type."""
    if isinstance(value, Mapping):
        return {key: masked(each, str(key)) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(masked(each, name) for each in value)
    if value is None or isinstance(value, bool):
        return value
    if written_out(name, str(value)):
        return _LEFT_OUT
    return _masked_text(value) if isinstance(value, str) else value


def _masked_text(text: str) -> str:
    text = _USER_OF_URL.sub(rf"\1{_LEFT_OUT}\2", text)
    return _PAIR.sub(lambda it: f"{it[1]}={_LEFT_OUT}" if written_out(it[1], it[3]) else it[0], text)


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
