"""Names that people choose: whether they can be shown, the folder name they get, the nearest known one.

This module imports nothing of ours and touches no disk.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterable

LONGEST_NAME = 60
_LONGEST_SLUG = 40
_NOT_ASCII = re.compile(r"[^ -~\n]")


def name_problem(name: str) -> str:
    """Why a text cannot name a server, or nothing: any printable text of up to 60 characters can.

    That includes markup and slashes; `slug` makes folder names of them, and whoever shows one escapes it.
    """
    if not name.strip():
        return "a name cannot be empty"
    if len(name) > LONGEST_NAME:
        return f"a name has at most {LONGEST_NAME} characters, this one has {len(name)}"
    if name != name.strip():
        return "a name neither begins nor ends with a space"
    bad = next((character for character in name if not character.isprintable()), None)
    return f"a name cannot hold the character {bad!r}" if bad is not None else ""


def slug(name: str) -> str:
    """A folder name for any name: itself where that is safe, else its safe characters and six of its hash.

    Two different names never share a slug by accident; letters, digits, `.`, `_` and `-` are safe.
    """
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:_LONGEST_SLUG]
    if safe and safe == name:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{safe}-{digest}" if safe else digest


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant; None if none is near."""
    by_folded = {candidate.casefold().replace("-", "_"): candidate for candidate in known}
    close = difflib.get_close_matches(word.casefold().replace("-", "_"), list(by_folded), n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str], noun: str) -> str:
    """A hint for an unknown word: the nearest one if there is one, and all of them."""
    words = tuple(known)
    near = nearest(word, words)
    listing = f"known {noun}: {', '.join(words)}" if words else f"there are no {noun}"
    return f"did you mean {near!r}? {listing}" if near else listing


def printable(text: str) -> str:
    """The text with every control character written as an escape, so that a terminal only shows it."""
    return "".join(
        character if character.isprintable() or character == "\n" else ascii(character)[1:-1] for character in text
    )


def json_text(document: object, *, indent: int | None = 2) -> str:
    """The document as JSON that only shows: what a terminal would obey is an escape, and reads back as it was.

    Letters of any language stay letters.   Raises: ValueError for NaN and infinity, which JSON does not have.
    """
    text = json.dumps(document, indent=indent, ensure_ascii=False, allow_nan=False)
    return _NOT_ASCII.sub(lambda it: it[0] if it[0].isprintable() else json.dumps(it[0])[1:-1], text)
