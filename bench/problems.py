"""What is wrong with one scenario and where it is written, collected so that all of it is told at once.

Knows a document's lines, and nothing of what a scenario means.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.document import Document, KeyPath
from bench.errors import ScenarioError
from bench.names import nearest, printable


class ScenarioProblemsError(ScenarioError):
    """Everything that is wrong with one scenario, in the order of its lines; the first one is `where` and `what`."""

    def __init__(self, problems: Sequence[ScenarioError]) -> None:
        first = problems[0]
        super().__init__(first.what, where=first.where, hint=first.hint)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(ScenarioError.__str__(problem) for problem in self.problems)


class Problems:
    """Collects what is wrong with one document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._found: list[tuple[int, ScenarioError]] = []

    @property
    def found(self) -> bool:
        """Whether there is any."""
        return bool(self._found)

    @property
    def first(self) -> ScenarioError:
        """The one that was noted first."""
        return self._found[0][1]

    def aside(self) -> Problems:
        """An empty collection over the same document, for what is told in other words."""
        return Problems(self._document)

    def add(self, keys: KeyPath, what: str, hint: str = "") -> None:
        """Note a problem of one key."""
        dotted = ".".join(str(key) for key in keys)
        text = printable(f"{dotted}: {what}" if dotted else what)
        where = self._document.where(keys)
        self._found.append((_line(where), ScenarioError(text, where=where, hint=printable(hint))))

    def note(self, keys: KeyPath, failure: ScenarioError) -> None:
        """Note a failure; one that has its own place, in a file that the scenario names, keeps it."""
        if not failure.where:
            self.add(keys, failure.what, failure.hint)
            return
        named = self._document.where(keys)
        hint = f"{failure.hint}\n{'.'.join(str(key) for key in keys)} names it, {named}".lstrip("\n")
        problem = ScenarioError(printable(failure.what), where=printable(failure.where), hint=printable(hint))
        self._found.append((_line(named), problem))

    def unknown(self, keys: KeyPath, key: str, known: Sequence[str]) -> None:
        """Note a key that is not one of those known."""
        near = nearest(key, known)
        meant = f"did you mean {near!r}? " if near else ""
        above = ".".join(str(part) for part in keys[:-1])
        self.add(keys, "unknown key", f"{meant}known keys{f' of {above}' if above else ''}: {', '.join(known)}")

    def at(self, keys: KeyPath) -> At:
        """A block whose failure is a problem of this key."""
        return At(self, keys)

    def stop_if_any(self) -> None:
        """Raises: ScenarioError with what was noted, in the order of the lines; ScenarioProblemsError if several."""
        if not self._found:
            return
        ordered = [problem for _, problem in sorted(self._found, key=lambda found: found[0])]
        raise ordered[0] if len(ordered) == 1 else ScenarioProblemsError(ordered)


class At:
    """A block whose ScenarioError, or ValueError of a `__post_init__`, is noted as a problem of one key."""

    def __init__(self, problems: Problems, keys: KeyPath) -> None:
        self._problems, self._keys = problems, keys

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, failure: BaseException | None, trace: object) -> bool:
        if isinstance(failure, ScenarioError):
            self._problems.note(self._keys, failure)
        elif isinstance(failure, ValueError):
            self._problems.add(self._keys, getattr(failure, "what", str(failure)), getattr(failure, "hint", ""))
        else:
            return False
        return True


def _line(where: str) -> int:
    digits = where.rpartition(":")[2]
    return int(digits) if digits.isdecimal() and not where.startswith("--set") else 0
