"""Query parameters (RFC 8040 cl. 4.8), read strictly: one that is unknown, twice there or out of place is a 400."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from quoit.interfaces.restconf.errors import bad_value
from quoit.interfaces.restconf.paths import decoded
from quoit.interfaces.strict_json import shown

GET = frozenset({"content", "depth", "fields", "with-defaults"})
INSERT = frozenset({"insert", "point"})
STREAM = frozenset({"start-time", "stop-time"})
DEFAULT_MODES = ("report-all", "trim", "explicit", "report-all-tagged")
MAX_FIELDS = 256
MAX_DEEP = 32
_IDENTIFIER = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_.-]*:)?[A-Za-z_][A-Za-z0-9_.-]*")

Fields = Mapping[str, Any]
"""Selected members, each with what is selected inside; with nothing inside, all of it is."""


@dataclass(frozen=True, slots=True)
class Query:
    """A request's parameters. `depth` None: unbounded. `defaults` None: the server's basic mode, explicit."""

    content: str = "all"
    depth: int | None = None
    fields: Fields | None = None
    defaults: str | None = None
    insert: str = "last"
    point: str | None = None
    start: datetime | None = None
    stop: datetime | None = None
    has_insert: bool = False


def parse_query(text: str, allowed: Collection[str]) -> Query:
    """The parameters of a query string. Raises invalid-value."""
    found: dict[str, str] = {}
    for part in text.split("&") if text else ():
        name, equals, value = part.partition("=")
        name = decoded(name)
        if name not in allowed:
            may = ", ".join(sorted(allowed)) or "none"
            raise bad_value(f"query parameter {shown(name)} does not go with this request; those that do: {may}")
        if name in found or not equals:
            raise bad_value(f"expected query parameter {name}=value once")
        found[name] = decoded(value)
    insert = _one_of(found, "insert", ("first", "last", "before", "after"), "last")
    point = found.get("point")
    if (insert in ("before", "after")) != (point is not None):
        raise bad_value("point goes with insert=before and insert=after, and they need it")
    return Query(
        content=_one_of(found, "content", ("config", "nonconfig", "all"), "all"),
        depth=_depth(found.get("depth", "unbounded")),
        fields=parse_fields(found["fields"]) if "fields" in found else None,
        defaults=_one_of(found, "with-defaults", DEFAULT_MODES, "") or None,
        insert=insert,
        point=point,
        start=_instant(found, "start-time"),
        stop=_instant(found, "stop-time"),
        has_insert="insert" in found,
    )


def _one_of(found: Mapping[str, str], name: str, values: tuple[str, ...], default: str) -> str:
    value = found.get(name)
    if value is None:
        return default
    if value not in values:
        raise bad_value(f"expected {name} to be one of {', '.join(values)}, found {shown(value)}")
    return value


def _depth(text: str) -> int | None:
    if text == "unbounded":
        return None
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise bad_value(f"expected depth from 1 to 65535 or unbounded, found {shown(text)}")
    return int(text)


def instant_of(text: str) -> datetime:
    """A date-and-time of RFC 6991. Raises ValueError for anything else, such as one without a zone."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", text, re.ASCII):
        raise ValueError(text)
    fraction = re.search(r"\.(\d+)", text)
    short = text.replace(fraction.group(), "." + fraction.group(1)[:6].ljust(6, "0")) if fraction else text
    return datetime.fromisoformat(short.replace("Z", "+00:00"))


def _instant(found: Mapping[str, str], name: str) -> datetime | None:
    if name not in found:
        return None
    try:
        return instant_of(found[name])
    except ValueError:
        raise bad_value(f"expected {name} as in 2026-01-31T12:00:00Z, found {shown(found[name])}") from None


def parse_fields(text: str) -> Fields:
    """The selection of RFC 8040 cl. 4.8.3, such as `a;b/c(d;e)`, as nested mappings. Raises invalid-value."""
    reader = _FieldsReader(text)
    selected = reader.several()
    if reader.at < len(text):
        raise reader.fault()
    return MappingProxyType(selected)


class _FieldsReader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.names = 0
        self.deep = 0

    def fault(self) -> Exception:
        return bad_value(f"fields cannot be read from {shown(self.text[self.at :] or 'its end')} on")

    def several(self) -> dict[str, Any]:
        selected = self._one()
        while self._skip(";"):
            _unite(selected, self._one())
        return selected

    def _one(self) -> dict[str, Any]:
        """One path, with what its parentheses hold at its end."""
        names = [self._name()]
        while self._skip("/"):
            names.append(self._name())
        inside: dict[str, Any] = {}
        if self._skip("("):
            self.deep += 1
            if self.deep > MAX_DEEP:
                raise self.fault()
            inside = self.several()
            self.deep -= 1
            if not self._skip(")"):
                raise self.fault()
        for name in reversed(names):
            inside = {name: inside}
        return inside

    def _name(self) -> str:
        found = _IDENTIFIER.match(self.text, self.at)
        self.names += 1
        if found is None or self.names > MAX_FIELDS:
            raise self.fault()
        self.at = found.end()
        return found.group()

    def _skip(self, char: str) -> bool:
        if self.text.startswith(char, self.at):
            self.at += 1
            return True
        return False


def _unite(selected: dict[str, Any], more: dict[str, Any]) -> None:
    """Add a selection to another; nothing inside a name means all of it, which takes the parts in."""
    for name, inside in more.items():
        if name not in selected:
            selected[name] = inside
        elif not inside or not selected[name]:
            selected[name] = {}
        else:
            _unite(selected[name], inside)
