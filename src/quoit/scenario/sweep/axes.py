"""Axes of a study: which value of the base they change, and the values that they give it, one after the other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

from quoit.model import quantity

_NUMBER = re.compile(r"\s*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)\s*([A-Za-zµμ/]*)\s*\Z")
_EXACT = Context(prec=60)
_WRITTEN = Context(prec=12)
_DIMENSIONS: tuple[Mapping[str, Decimal], ...] = (
    quantity.DURATIONS, quantity.LENGTHS, quantity.SIZES, quantity.RATES, quantity.LOSSES, quantity.ATTENUATIONS,
    quantity.FREQUENCIES,
)  # fmt: skip
_WHOLE = {**quantity.DURATIONS, **quantity.SIZES}
"""Units in which a file may say only whole numbers of ns or bits."""


class PathFault(ValueError):
    """A path that leads nowhere in the base; says at which part."""


def split(value: object) -> tuple[Decimal, str] | None:
    """A number and its unit ("" for none), or None for what is neither number nor quantity."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    found = _NUMBER.match(value if isinstance(value, str) else repr(value))
    if found is None or (isinstance(value, str) and not found[2]):
        return None  # a string of digits alone is a name
    return Decimal(found[1]), found[2]


def spread(start: object, to: object, steps: int, log: bool) -> tuple[Any, ...]:
    """`steps` values from `start` to `to`, in equal steps or ratios, to 12 digits; whole ns and bits where a unit asks
    for them. Raises ValueError for ends of two units, no numbers, or in equal ratios not above 0."""
    ends = (split(start), split(to))
    if ends[0] is None or ends[1] is None:
        raise ValueError(f"expected numbers, or quantities such as '10 km', found from {start!r} to {to!r}")
    (a, unit), (b, other) = ends[0], ends[1]
    if unit != other:
        raise ValueError(f"expected one unit at both ends, found {start!r} and {to!r}")
    if a == b:
        raise ValueError(f"expected two ends that differ, found {start!r} twice")
    if log and (a <= 0 or b <= 0):
        raise ValueError(f"expected ends above 0 for equal ratios, found {start!r} and {to!r}")
    inner = [_between(a, b, Decimal(i) / (steps - 1), log) for i in range(1, steps - 1)]
    numbers = [a, *(_allowed(number, unit) for number in inner), b]
    if unit:
        return tuple(f"{number.normalize(_EXACT):f} {unit}" for number in numbers)
    if isinstance(start, int) and isinstance(to, int) and all(number == int(number) for number in numbers):
        return tuple(int(number) for number in numbers)
    return tuple(float(number) for number in numbers)


def _between(a: Decimal, b: Decimal, share: Decimal, log: bool) -> Decimal:
    if log:
        grown = _EXACT.multiply(_EXACT.ln(_EXACT.divide(b, a)), share)
        return _EXACT.multiply(a, _EXACT.exp(grown))
    return _EXACT.add(a, _EXACT.multiply(_EXACT.subtract(b, a), share))


def _allowed(number: Decimal, unit: str) -> Decimal:
    number = _WRITTEN.plus(number)
    scale = _WHOLE.get(unit)
    return number if scale is None else (number * scale).to_integral_value() / scale


@dataclass(frozen=True)
class Axis:
    """A path into the base as the file writes it, and its values."""

    name: str
    values: tuple[Any, ...]
    log: bool = False
    """Whether its steps are equal ratios."""

    @property
    def column(self) -> str:
        """Its name in tables: with the unit last, if all values are quantities of one kind."""
        unit = self._unit()
        if not unit:
            return self.name
        return f"{self.name}_{unit.replace('/', '_per_').replace(chr(0xB5), 'u').replace(chr(0x3BC), 'u')}"

    def cells(self) -> tuple[Any, ...]:
        """The values as tables show them: numbers in the column's unit; else as written, what is no scalar as text."""
        unit = self._unit()
        if unit:
            return tuple(_in_unit(value, unit) for value in self.values)
        kinds = {bool if isinstance(v, bool) else int if isinstance(v, int) else type(v) for v in self.values}
        if kinds <= {int, float} or kinds in ({str}, {bool}):
            return self.values
        return tuple(value if isinstance(value, str) else repr(value) for value in self.values)

    def numbers(self) -> tuple[float, ...] | None:
        """The cells as numbers to plot over, or None if they are none."""
        cells = self.cells()
        if all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in cells):
            return tuple(float(cell) for cell in cells)
        return None

    def _unit(self) -> str:
        """The first value's unit, if all others can be told in it."""
        found = [split(value) for value in self.values]
        units = [part[1] for part in found if part is not None]
        if len(units) < len(self.values) or not all(units):
            return ""
        alike = len(set(units)) == 1 or any(all(unit in known for unit in units) for known in _DIMENSIONS)
        return units[0] if alike else ""


def _in_unit(value: object, unit: str) -> float:
    found = split(value)
    assert found is not None
    number, own = found
    if own == unit:
        return float(number)
    known = next(table for table in _DIMENSIONS if own in table and unit in table)
    return float(_EXACT.divide(number * known[own], known[unit]))


# -- paths ------------------------------------------------------------------------------------------------


def located(values: Any, path: str) -> tuple[str | int, ...]:
    """The path with names of list entries replaced by their index. Raises PathFault."""
    loc: list[str | int] = []
    here = values
    for part in path.split("."):
        if isinstance(here, list):
            index = _entry(here, part, path)
            loc.append(index)
            here = here[index]
        elif isinstance(here, dict) or here is None:
            loc.append(part)
            here = None if here is None else here.get(part)
        else:
            raise PathFault(f"{part!r} in {path!r} leads below {here!r}, which has no parts")
    return tuple(loc)


def _entry(entries: list[Any], part: str, path: str) -> int:
    names = [_name_of(entry) for entry in entries]
    if part in names:
        return names.index(part)
    if part.isdecimal() and int(part) < len(entries):
        return int(part)
    known = ", ".join(name for name in names if name) or "none has a name"
    raise PathFault(f"no entry {part!r} in {path!r}; expected an index below {len(entries)}, or a name: {known}")


def _name_of(entry: Any) -> str | None:
    """How network files name an entry of a list: by name, by SAE ID, or by the two nodes that it joins."""
    if not isinstance(entry, dict):
        return None
    for key in ("name", "sae"):
        if isinstance(entry.get(key), str):
            return str(entry[key])
    between = entry.get("between")
    return "--".join(map(str, between)) if isinstance(between, list) else None


def changed(values: Any, loc: tuple[str | int, ...], value: Any) -> Any:
    """The values with one of them set; what is not on the way to it is shared, not copied."""
    if not loc:
        return value
    head, rest = loc[0], loc[1:]
    if isinstance(values, list):
        assert isinstance(head, int)
        return [changed(entry, rest, value) if i == head else entry for i, entry in enumerate(values)]
    below = {} if values is None else values
    return {**below, head: changed(below.get(head), rest, value)}
