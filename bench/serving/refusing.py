"""What the keys of a person's own server may not hold: secrets written out, and what could never be sent.

Complaints name the variable or the key, and never repeat a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from bench.credentials import holds_password, names_in, unsendable, unset, written_out
from bench.server import Missing, Mistake
from bench.units import UnitError

_SECRET_FLAG = re.compile(r"--?(?:[\w-]*[-_])?(?:api[-_]?key|token|secret|password|passwd)", re.IGNORECASE)
_ASSIGNED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")
_SCRIPT_FLAG = re.compile(r"-[a-z]*c")
"""What comes before a script for a shell, which fills in variables itself: `sh -c`, `bash -ec`."""
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_YOURS = ("host", "content-length", "connection", "transfer-encoding")
_SECRET_FIELD = re.compile(r"(.*([-_]|[a-z](?=[A-Z])))?(?i:api[-_]?key|access[-_]?key|token|secret|password|passwd)")
"""Narrower than for headers: bodies have fields such as `key` and `auth` that hold no secret."""
_MARK = re.compile(r"<.*>|\[.*\]|")
"""Text that is no secret whatever its field is called: nothing, or a mark such as `<pad>`."""

Sent = Mapping[tuple[str, ...], str]
"""Texts that go into requests, by the keys that hold them."""


def lacking(texts: Iterable[str]) -> Missing | None:
    """Missing, if one of the texts names an environment variable that is not set."""
    names = unset(texts)
    if not names:
        return None
    said = f"the environment variable {names[0]} is not set" + (f" (nor {', '.join(names[1:])})" if names[1:] else "")
    return Missing(said, " ".join(["export", *(f"{name}=..." for name in names)]))


def unsendable_texts(sent: Sent) -> tuple[Mistake, ...]:
    """Those of the texts that take something from the environment which no header, or no path, may hold."""
    found = []
    for keys, text in sent.items():
        unfit = unsendable(text, spaces="headers" in keys)
        if unfit is not None:
            name, why = unfit
            file_hint = f"""export {name}="$(tr -d '\\r\\n' < FILE)" takes a secret out of a file without it"""
            hint = file_hint if "line break" in why else "what cannot be sent as it is has to be encoded before"
            found.append(Mistake(keys, f"the environment variable {name} {why}", hint))
    return tuple(found)


def check_target(what: str, target: str) -> None:
    """Refuse a path that cannot be sent, and credentials in its query.   Raises: UnitError."""
    if any(character.isspace() or not character.isprintable() for character in target):
        raise UnitError(f"{what} holds a space or a character that cannot be seen", "write %20 for a space")
    if not target.isascii():
        raise UnitError(f"{what} holds a character that no URL may hold", "write it as %, for example %C3%A9 for é")
    for pair in filter(None, target.partition("#")[0].partition("?")[2].split("&")):
        name, _, value = pair.partition("=")
        refuse_secret(f"{name} in {what}", name, value)


def check_body(body: Any) -> None:
    """Refuse what a body would carry as it is written: `${NAME}`, and credentials.   Raises: UnitError."""
    elsewhere = "send it in headers: {{Authorization: 'Bearer ${{{0}}}'}}, or in request.path: '/...?key=${{{0}}}'"
    for name, value in _texts_in(body):
        variables = names_in([name, value])
        if variables:
            raise UnitError(
                f"${{{variables[0]}}} in 'request.body' stays as it is: nothing is filled in there but the photo",
                elsewhere.format(variables[0]),
            )
        if _SECRET_FIELD.fullmatch(name) and not _MARK.fullmatch(value) and "{image_b64}" not in value:
            raise UnitError(
                f"{name} in 'request.body' looks like a credential and is written out",
                f"results would hold it; {elsewhere.format(_variable(name))}",
            )


def _texts_in(value: Any, name: str = "") -> Iterable[tuple[str, str]]:
    """Each text in a JSON value with the name of its field."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield "", str(key)
            yield from _texts_in(each, str(key))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts_in(each, name)
    elif isinstance(value, str):
        yield name, value


def check_headers(headers: dict[str, str]) -> None:
    """Refuse headers that cannot be sent, and credentials that are written out.   Raises: UnitError."""
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or name.lower() in _NOT_YOURS:
            raise UnitError(f"{name!r} cannot be a header here", f"these are set for you: {', '.join(_NOT_YOURS)}")
        if not value.isprintable() or not value.isascii():
            raise UnitError(f"the header {name} holds a character that no header may hold", "")
        refuse_secret(f"the header {name}", name, value)


def refuse_secret(what: str, name: str, value: str) -> None:
    """Refuse a credential that is written out; its value is not repeated.   Raises: UnitError."""
    if written_out(name, value):
        variable = _variable(name)
        raise UnitError(
            f"{what} looks like a credential and is written out",
            f"keep it in an environment variable and write ${{{variable}}}; results then hold the name only",
        )


def check_arguments(arguments: Sequence[str]) -> None:
    """Refuse what only a shell would understand, and credentials, in a command line that no shell reads.

    Raises: UnitError.
    """
    assigned = _ASSIGNED.match(arguments[0]) if arguments else None
    if assigned is not None:
        raise UnitError(
            f"'run' begins with {assigned[1]}=, which only a shell would set", f"give it in env: {{{assigned[1]}: ...}}"
        )
    for argument, before in zip(arguments, ("", *arguments), strict=False):
        names = names_in([argument])
        if names and not _SCRIPT_FLAG.fullmatch(before):
            raise UnitError(
                f"${{{names[0]}}} in 'run' stays as it is: no shell reads the command line",
                f"give it in env: {{{names[0]}: '${{{names[0]}}}'}} and have the program take it from there; a command "
                "line can be read by everybody on this machine",
            )
        if holds_password(argument):
            raise UnitError(
                "a URL in 'run' holds a name or a password",
                "everybody on this machine can read it there; keep it in an environment variable, which env passes on",
            )
    _refuse_secret_flags(arguments)


def _refuse_secret_flags(arguments: Sequence[str]) -> None:
    """Refuse `--token=...` and `--token ...` with a value that is written out.   Raises: UnitError."""
    for argument, following in zip_longest(arguments, arguments[1:], fillvalue="-"):
        flag, given, value = argument.partition("=")
        value = value if given else following
        written = value and not value.startswith("-") and "{" not in value
        if _SECRET_FLAG.fullmatch(flag) and written:
            variable = _variable(flag)
            raise UnitError(
                f"the value of {flag} in 'run' looks like a credential and is written out",
                f"everybody on this machine can read it there; give it in env: {{{variable}: '${{{variable}}}'}}",
            )


def _variable(name: str) -> str:
    """The environment variable that a credential of this name would be kept in: `--api-key` as API_KEY."""
    return re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")
