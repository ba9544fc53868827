"""`{port}` and its like in a command line of a person's own: which there are, and what takes their place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from bench.errors import LaunchError
from bench.names import did_you_mean
from bench.server import ModelForm, Place
from bench.units import UnitError

NAMES = ("port", "host", "model", "folder", "cores", "in_flight", "python")
"""What a command line may hold in braces; `{{` and `}}` are the braces themselves."""
_FOUND = re.compile(r"\$\{[^}]*\}|\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}")
_VARIABLE = "${"
"""`${NAME}` is an environment variable's, and no placeholder."""


def used(texts: Iterable[str]) -> set[str]:
    """The placeholders that the texts hold.   Raises: UnitError for one that there is not."""
    found = {match[1] for text in texts for match in _FOUND.finditer(text) if match[1]}
    for name in sorted(found - set(NAMES)):
        raise UnitError(
            f"unknown placeholder {{{name}}}",
            f"{did_you_mean(name, NAMES, 'placeholders')}; write {{{{{name}}}}} for the text itself",
        )
    return found


def replaced(text: str, values: Mapping[str, str]) -> str:
    """The text with every placeholder replaced."""

    def value(found: re.Match[str]) -> str:
        if found[1]:
            return values[found[1]]
        return found[0] if found[0].startswith(_VARIABLE) else found[0][0]

    return _FOUND.sub(value, text)


def values_at(place: Place, form: ModelForm | None) -> dict[str, str]:
    """What stands for each placeholder at this place.   Raises: LaunchError if the model lacks that form."""
    values = {
        "port": str(place.port),
        "host": place.host,
        "folder": str(place.folder),
        "cores": str(place.cores),
        "in_flight": str(place.in_flight),
        "python": str(place.python),
    }
    if form is not None:
        file = None if place.model is None else place.model.file(form)
        if file is None:
            raise LaunchError(f"there is no model as {form} to serve", hint="give the model as a .keras or .h5 file")
        values["model"] = str(file)
    return values
