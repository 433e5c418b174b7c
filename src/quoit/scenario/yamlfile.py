"""Reading a network file as YAML 1.2 with the place of every value.

PyYAML speaks YAML 1.1; the resolvers below are those of the 1.2 core schema: `no` is a string, `012` is
twelve, `1e3` a number, `12:30:00` a string. Doubled keys and alias bombs are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

try:
    from yaml import CSafeLoader as _Base
except ImportError:  # PyYAML without libyaml: slower, the same result
    from yaml import SafeLoader as _Base  # type: ignore[assignment]

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 32
MAX_VALUES = 1_000_000

Loc = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """Line and column, both from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Document:
    """Plain values, the place of each, and the faults of the YAML itself."""

    values: Any
    places: dict[Loc, Place]
    faults: list[tuple[Place, Loc, str]]


class _Loader(_Base):
    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 - the name and form PyYAML looks for


def _resolver(tag: str, pattern: str, first: str) -> None:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))


_resolver("null", r"^(?:~|null|Null|NULL|)$", "~nN\0")
_resolver("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF")
_resolver("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", "-+0123456789")
_resolver(
    "float",
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
    "-+0123456789.",
)


def _place(node: yaml.Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


def _scalar(node: yaml.ScalarNode) -> Any:
    kind, text = node.tag.rpartition(":")[2], node.value
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int":
        return int(text, 8 if text.startswith("0o") else 16 if text.startswith("0x") else 10)
    if kind == "float":
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


class _Reader:
    def __init__(self) -> None:
        self.places: dict[Loc, Place] = {}
        self.faults: list[tuple[Place, Loc, str]] = []
        self._values = 0

    def read(self, node: yaml.Node, loc: Loc) -> Any:
        self._values += 1
        self.places[loc] = _place(node)
        if len(loc) > MAX_DEPTH or self._values > MAX_VALUES:
            self.faults.append((_place(node), loc, f"deeper than {MAX_DEPTH} levels or more than {MAX_VALUES} values"))
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, loc)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*loc, i)) for i, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else repr(key.value)
            if name in out:
                self.faults.append((_place(key), (*loc, name), f"the key {name!r} occurs twice; remove one"))
                continue
            out[name] = self.read(value, (*loc, name))
            self.places[(*loc, name, "<key>")] = _place(key)
        return out


def read(text: str) -> Document:
    """Parse a file's text. Faults of the YAML are in the document, nothing is raised for them."""
    reader = _Reader()
    if len(text.encode()) > MAX_BYTES:
        return Document({}, {}, [(Place(1, 1), (), f"larger than {MAX_BYTES} bytes")])
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
        return Document({}, {}, [(place, (), f"not YAML: {fault.problem or fault.context}")])
    except yaml.YAMLError as fault:
        return Document({}, {}, [(Place(1, 1), (), f"not YAML: {fault}")])
    if node is None:
        return Document({}, {}, [(Place(1, 1), (), "the file is empty")])
    values = reader.read(node, ())
    return Document(values, reader.places, reader.faults)
