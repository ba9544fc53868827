"""YAML text -> plain values of which each remembers the line it came from, so an error can name it.

Duplicate keys are refused (YAML itself lets the last one win), `--set` is applied to the tree before it is
read, and a file made to blow up in memory is refused. This module knows nothing of scenarios.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.errors import ScenarioError
from bench.names import printable

KeyPath = tuple[str | int, ...]

_MOST_BYTES = 1_000_000
_MOST_NODES = 20_000
_DEEPEST = 30
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE = "tag:yaml.org,2002:merge"
_DATE, _BINARY = "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:binary"


@dataclass(frozen=True)
class Document:
    """What a YAML file says, and where it says it."""

    path: str
    text: str
    values: dict[str, Any]
    places: dict[KeyPath, str]
    """Key path -> `file:line`, or `--set KEY=VALUE` for what came from there."""
    assignments: tuple[str, ...] = ()
    """Each `KEY=VALUE` that was applied, in order."""

    def where(self, keys: KeyPath) -> str:
        """Where a key path stands; that of the nearest key above it if it stands nowhere."""
        while keys not in self.places and keys:
            keys = keys[:-1]
        return self.places.get(keys, self.path)


def read_document(path: Path, assignments: Sequence[str] = (), what: str = "a scenario") -> Document:
    """The mapping in a YAML file after each `KEY=VALUE` of `assignments`.

    Raises: ScenarioError if the file cannot be read, is no YAML mapping, or has a key twice.
    """
    text = _read_text(path)
    shown = str(path)
    root = _compose(text, shown)
    if root is None:
        raise ScenarioError(
            "the file is empty", where=f"{shown}:1", hint="`bench list scenarios` names some to start from"
        )
    if not isinstance(root, yaml.MappingNode):
        raise ScenarioError(
            f"{what} is a mapping of keys, this is {_noun(root)}",
            where=f"{shown}:{root.start_mark.line + 1}",
            hint="it begins for example with 'servers:'" if what == "a scenario" else "",
        )
    for assignment in assignments:
        root = _assigned(root, assignment)
    reader = _Reader(shown)
    return Document(shown, text, reader.mapping(root, ()), reader.places, tuple(assignments))


def _read_text(path: Path) -> str:
    try:
        if path.is_dir():
            raise ScenarioError("is a folder, not a scenario file", where=str(path), hint=_folder_hint(path))
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError as failure:
        raise ScenarioError(
            "no such file", where=str(path), hint="`bench list scenarios` names those that come with bench"
        ) from failure
    except OSError as failure:
        raise ScenarioError(f"cannot be read: {failure.strerror}", where=str(path)) from failure
    except ValueError as failure:
        raise ScenarioError(f"not a file name: {failure}", where=printable(str(path))) from failure
    if len(data) > _MOST_BYTES:
        raise ScenarioError("more than 1 MB, too large for a scenario", where=str(path))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        line = data[: failure.start].count(b"\n") + 1
        raise ScenarioError("not a text file in UTF-8", where=f"{path}:{line}") from failure


def _folder_hint(folder: Path) -> str:
    found = sorted(file.name for pattern in ("*.yaml", "*.yml") for file in folder.glob(pattern))
    return f"it holds {', '.join(found[:5])}" if found else "name the .yaml file"


def _compose(text: str, name: str) -> yaml.Node | None:
    """The node tree of a text; None if it holds nothing."""
    try:
        return yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as failure:
        raise _not_yaml(failure, text, name) from failure
    except yaml.reader.ReaderError as failure:
        place = f"{name}:{text.count(chr(10), 0, failure.position) + 1}"
        raise ScenarioError("not YAML: a character that is not allowed", where=place) from failure
    except RecursionError as failure:
        raise ScenarioError("nested too deeply", where=name) from failure


def _not_yaml(failure: yaml.MarkedYAMLError, text: str, name: str) -> ScenarioError:
    """The error with its line; a bracket that is never closed is reported where it was opened, too."""
    what = f"not YAML: {failure.problem or failure.context}"
    mark, begun = failure.problem_mark or failure.context_mark, failure.context_mark
    if name.startswith("--set") or mark is None:
        return ScenarioError(what, where=name, hint="the value is YAML; check its brackets and quotes")
    line = min(mark.line + 1, text.rstrip().count("\n") + 1)  # the end of the file is the end of its last line
    hint = "check the indentation, the colons and the quotes on this line and the one before"
    if begun is not None and failure.context and begun.line + 1 < line:
        hint = f"{failure.context} that begins on line {begun.line + 1}; {hint}"
    return ScenarioError(what, where=f"{name}:{line}", hint=hint)


class _Reader:
    """Node tree -> plain values, noting where each stands."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.places: dict[KeyPath, str] = {}
        self._nodes = 0
        self._scalars = yaml.constructor.SafeConstructor()

    def mapping(self, node: yaml.MappingNode, keys: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        lines: dict[str, str] = {}
        inherited: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                for base in _bases(value_node):
                    self._check(base, keys)
                    inherited = {**self._inherit(base, keys), **inherited}
                continue
            key, place = self._key(key_node, keys), self._place(key_node)
            if key in values:
                raise ScenarioError(
                    f"{_dotted((*keys, key))}: this key is there twice, first at {lines[key]}",
                    where=place,
                    hint="keep one of them, or give one another name",
                )
            self.places[(*keys, key)] = lines[key] = place
            values[key] = self._value(value_node, (*keys, key))
        return {**inherited, **values}

    def _inherit(self, base: yaml.Node, keys: KeyPath) -> dict[str, Any]:
        if not isinstance(base, yaml.MappingNode):
            raise ScenarioError(f"{_dotted(keys)}: only a mapping can be merged with <<", where=self._place(base))
        return self.mapping(base, keys)

    def _key(self, node: yaml.Node, keys: KeyPath) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise ScenarioError(
                f"{_dotted(keys)}: {_noun(node)} cannot be a key".removeprefix(": "), where=self._place(node)
            )
        return str(node.value)

    def _value(self, node: yaml.Node, keys: KeyPath) -> Any:
        self._check(node, keys)
        self.places.setdefault(keys, self._place(node))  # an item of a list has no key whose line it could take
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, keys)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*keys, index)) for index, item in enumerate(node.value)]
        self.places[keys] = self._place(node)
        return self._scalar(node, keys)

    def _scalar(self, node: yaml.Node, keys: KeyPath) -> Any:
        if node.tag in (_DATE, _BINARY):  # a scenario has neither; a name may look like one
            return str(node.value)
        try:
            return self._scalars.construct_object(node)
        except (yaml.constructor.ConstructorError, ValueError) as failure:
            problem = failure.problem if isinstance(failure, yaml.MarkedYAMLError) else str(failure)
            raise ScenarioError(f"{_dotted(keys)}: {problem}", where=self._place(node)) from failure

    def _check(self, node: yaml.Node, keys: KeyPath) -> None:
        """Refuses what no person writes: aliases that multiply, or contain themselves."""
        self._nodes += 1
        if self._nodes > _MOST_NODES or len(keys) > _DEEPEST:
            raise ScenarioError("too large or nested too deeply for a scenario", where=self._place(node))

    def _place(self, node: yaml.Node) -> str:
        name = getattr(node.start_mark, "name", "")
        return name if name.startswith("--set") else f"{self.path}:{node.start_mark.line + 1}"


def _bases(node: yaml.Node) -> Sequence[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else (node,)


def _noun(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    return "a list" if isinstance(node, yaml.SequenceNode) else "a single value"


def _dotted(keys: KeyPath) -> str:
    return printable(".".join(str(key) for key in keys))


# --set KEY=VALUE


def _assigned(root: yaml.MappingNode, assignment: str) -> yaml.MappingNode:
    """The tree with one value replaced; the tree that came in, and what aliases share with it, stays as it is."""
    key, equals, text = assignment.partition("=")
    where = printable(f"--set {assignment}")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ScenarioError(
            "not KEY=VALUE", where=where, hint="for example --set load.0.duration=5s; list items count from 0"
        )
    mark = yaml.Mark(where, 0, 0, 0, None, 0)
    value = _compose(text, where) or yaml.ScalarNode("tag:yaml.org,2002:null", "")
    _stamp(value, mark, 0)
    changed = _replaced(root, parts, value, mark)
    assert isinstance(changed, yaml.MappingNode)
    return changed


def _stamp(node: yaml.Node, mark: yaml.Mark, depth: int) -> None:
    """Makes every node of a value say that it came from --set."""
    node.start_mark = mark
    if depth > _DEEPEST or isinstance(node, yaml.ScalarNode):
        return
    for item in node.value:
        for part in item if isinstance(item, tuple) else (item,):
            _stamp(part, mark, depth + 1)


def _replaced(node: yaml.Node, parts: Sequence[str], value: yaml.Node, mark: yaml.Mark) -> yaml.Node:
    if not parts:
        return value
    if isinstance(node, yaml.SequenceNode):
        return _item_replaced(node, parts, value, mark)
    pairs = list(node.value) if isinstance(node, yaml.MappingNode) else []
    known = {str(key.value): index for index, (key, _) in enumerate(pairs)}
    taken = next((n for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in known), None)  # names may hold dots
    if taken is None:
        key = yaml.ScalarNode("tag:yaml.org,2002:str", parts[0], start_mark=mark)
        empty = yaml.MappingNode("tag:yaml.org,2002:map", [], start_mark=mark)
        pairs.append((key, _replaced(empty, parts[1:], value, mark)))
    else:
        index = known[".".join(parts[:taken])]
        key = yaml.ScalarNode("tag:yaml.org,2002:str", pairs[index][0].value, start_mark=pairs[index][0].start_mark)
        if taken == len(parts):
            key.start_mark = mark
        pairs[index] = (key, _replaced(pairs[index][1], parts[taken:], value, mark))
    return yaml.MappingNode("tag:yaml.org,2002:map", pairs, start_mark=node.start_mark)


def _item_replaced(node: yaml.SequenceNode, parts: Sequence[str], value: yaml.Node, mark: yaml.Mark) -> yaml.Node:
    items = list(node.value)
    if not parts[0].isdecimal() or int(parts[0]) >= len(items):
        count = f"it has {len(items)} of them, counted from 0" if items else "it is empty"
        raise ScenarioError(f"{parts[0]!r} is no item of this list", where=str(mark.name), hint=count)
    index = int(parts[0])
    items[index] = _replaced(items[index], parts[1:], value, mark)
    return yaml.SequenceNode(node.tag, items, start_mark=node.start_mark)
