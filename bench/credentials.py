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
_HTML = {"&": ("&amp;",), "<": ("&lt;",), ">": ("&gt;",), '"': ("&quot;",), "'": ("&apos;",)}


class UnsetError(LookupError):
    """An environment variable that a text names is not set, or holds what cannot be sent."""


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


def unsendable(text: str, environ: Mapping[str, str] = os.environ, *, spaces: bool = True) -> tuple[str, str] | None:
    """The first variable of the text whose value no header may hold, and in a clause why; None if all can be sent.

    Without `spaces` the text is a path, which may not hold one either. A variable that is not set is none of these.
    """
    for name in names_in([text]):
        value = environ.get(name, "")
        if value.rstrip("\r\n") != value:
            return name, "ends with a line break"
        if not value.isprintable() or not value.isascii():
            return name, "holds a character that no header and no path may hold"
        if " " in value and not spaces:
            return name, "holds a space, which no path may hold"
    return None


def filled(text: str, environ: Mapping[str, str] = os.environ, *, to_send: bool = True) -> str:
    """The text with each `${NAME}` replaced by the variable's value; only one that is not `to_send` may hold anything.

    Raises: UnsetError.
    """
    unfit = unsendable(text, environ) if to_send else None
    if unfit is not None:
        raise UnsetError(f"the environment variable {unfit[0]} {unfit[1]}")

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if not environ.get(name):
            raise UnsetError(f"the environment variable {name} is not set")
        return environ[name]

    return _NAME.sub(value, text)


class Discretion:
    """Puts the names of variables back where their values turn up, also as JSON, a URL or HTML would spell them."""

    def __init__(self, texts: Iterable[str], environ: Mapping[str, str] = os.environ) -> None:
        found = {environ.get(name, ""): f"${{{name}}}" for name in names_in(texts)}
        longest_first = sorted(found, key=len, reverse=True)
        self._spellings = [_Spelling(value, found[value]) for value in longest_first if len(value) >= _SHORTEST]

    def __bool__(self) -> bool:
        return bool(self._spellings)

    def text(self, text: str) -> str:
        """The text without a value, and without the beginning of one at its end, where it may have been cut off."""
        for each in self._spellings:
            text = each.pattern.sub(each.name, text)
        for each in self._spellings:
            text = _without_beginning(text, each)
        return text

    def bytes(self, data: bytes) -> bytes:
        """The data without a value; this is done to each reply under load."""
        for each in self._spellings:
            if each.first in data:
                data = each.pattern_of_bytes.sub(each.name.encode(), data)
        return data


class _Spelling:
    """A value, the name that stands for it, and what finds it in any spelling."""

    def __init__(self, value: str, name: str) -> None:
        self.value, self.name = value, name
        letters = re.match(r"[A-Za-z0-9]*", value)
        self.first = letters[0].encode() if letters else b""
        """Letters that no spelling changes: nothing is looked for where even these are not."""
        spelled = "".join(map(_spelled, value))
        self.pattern, self.pattern_of_bytes = re.compile(spelled), re.compile(spelled.encode())


def _spelled(character: str) -> str:
    """What a character may look like: as it is, behind a backslash, or told by its number in JSON, a URL or HTML."""
    if character.isascii() and character.isalnum():
        return character
    code, plain = ord(character), re.escape(character)
    percent = "".join(f"%{byte:02x}" for byte in character.encode())
    named = "".join(f"|{re.escape(entity)}" for entity in _HTML.get(character, ()))
    return rf"(?:\\?{plain}|(?i:\\u{code:04x}|{percent}|&#{code};|&#x{code:x};){named})"


def _without_beginning(text: str, each: _Spelling) -> str:
    for length in range(len(each.value) - 1, _SHORTEST - 1, -1):
        if text.endswith(each.value[:length]):
            return text[:-length] + each.name
    return text
