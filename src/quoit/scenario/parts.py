"""Parts of a twin that is run apart: which cells of the map one process holds, and what a split of them demands.

A cell is a plane of a stratum. A part holds whole cells, at all nodes; it is named after what it holds, so that the
same part has the same name wherever it is started: `fabric-control`, `service`, `telemetry`, `without-fabric-control`.

Messages between parts must be on their way for longer than the bus takes. Between nodes that is `control_latency` and
the light's own time; between elements of one node that are of different cells it is `local_latency`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from quoit.runtime.element import Element, Plane, Stratum
from quoit.scenario.schema import NetworkFile

WITHOUT = "without-"
BY_NUMBER = "cells-"
LONGEST = 64
"""Characters of a name in a certificate (RFC 5280, ub-common-name)."""
SHORT_NS = 20_000_000
"""A bus on a machine that is busy may take longer than a shorter latency."""


class PartFault(ValueError):
    """This selection, or this split, cannot be; the text says why and how to mend it."""


class Cell(NamedTuple):
    """A plane of a stratum."""

    stratum: Stratum
    plane: Plane

    def __str__(self) -> str:
        return f"{self.stratum}-{self.plane}"


MAP_CELLS = tuple(
    Cell(stratum, plane) for stratum, plane in product((Stratum.CONNECTIVITY, Stratum.FABRIC, Stratum.SERVICE), Plane)
)
"""The 3x4 map."""
CELLS = (Cell(Stratum.ENGINE, Plane.RESOURCE), *MAP_CELLS)
"""All cells: the map, and the synthetic environment below it."""
KMES = Cell(Stratum.SERVICE, Plane.RESOURCE)
"""The cell of KMEs, with their stores and their doors."""
OPTICAL = frozenset(Cell(Stratum.CONNECTIVITY, plane) for plane in (Plane.RESOURCE, Plane.CONTROL))
"""The cells that the optical network's door hears of: one part must hold both to open it."""


def cell_of(element: Element) -> Cell:
    """Where an element stands in the map."""
    return Cell(element.stratum, element.plane)


@dataclass(frozen=True)
class Part:
    """What one process holds."""

    cells: frozenset[Cell]

    @classmethod
    def of(cls, strata: Iterable[str] = (), planes: Iterable[str] = (), without: Iterable[str] = ()) -> Part:
        """The cells of these strata (all, if none is named) and planes (likewise), but those of parts named `without`.
        PartFault if that is no cell."""
        of_strata, of_planes = frozenset(strata) or frozenset(Stratum), frozenset(planes) or frozenset(Plane)
        cells = {cell for cell in CELLS if cell.stratum in of_strata and cell.plane in of_planes}
        for name in without:
            cells -= cls.named(name).cells
        if not cells:
            raise PartFault(
                f"expected a choice that holds a cell; found none of {', '.join(map(str, CELLS))} "
                "(the engine has a resource plane alone)"
            )
        return cls(frozenset(cells))

    @classmethod
    def named(cls, name: str) -> Part:
        """The part of this name: a stratum, a plane, a cell such as `fabric-control`, several of these with `_`
        between, all `without-` those, `whole`, or `cells-` and a number, as `name` gives them. PartFault for others."""
        if name.startswith(BY_NUMBER):
            return cls._numbered(name)
        text = name.removeprefix(WITHOUT)
        cells = set[Cell]()
        for term in text.split("_"):
            found = set(CELLS) if term == "whole" else {c for c in CELLS if term in (c.stratum, c.plane, str(c))}
            if not found:
                raise PartFault(
                    f"expected a stratum ({', '.join(Stratum)}), a plane ({', '.join(Plane)}), a cell such as "
                    f"fabric-control, several with _ between, or {WITHOUT} before them; found {name!r}"
                )
            cells |= found
        return cls.of(without=[text]) if name.startswith(WITHOUT) else cls(frozenset(cells))

    @classmethod
    def _numbered(cls, name: str) -> Part:
        try:
            bits = int(name.removeprefix(BY_NUMBER), 16)
        except ValueError:
            bits = 0
        if not 0 < bits < 1 << len(CELLS):
            raise PartFault(f"expected {BY_NUMBER} and a number of 1 to {(1 << len(CELLS)) - 1:x}, found {name!r}")
        return cls(frozenset(cell for n, cell in enumerate(CELLS) if bits >> n & 1))

    @property
    def name(self) -> str:
        """The short one of those that `named` understands."""
        rest = frozenset(CELLS) - self.cells
        if not rest:
            return "whole"
        own, others = _terms(self.cells), _terms(rest)
        name = WITHOUT + others[0] if len(others) == 1 < len(own) else "_".join(own)
        if len(name) <= LONGEST:
            return name
        return f"{BY_NUMBER}{sum(1 << n for n, cell in enumerate(CELLS) if cell in self.cells):x}"

    @property
    def terms(self) -> list[str]:
        """What it holds, in as few names as will do."""
        return _terms(self.cells)

    @property
    def has_resources(self) -> bool:
        """Whether it has to do with keys and states themselves, and not only with their control or upkeep."""
        return any(cell.plane is Plane.RESOURCE for cell in self.cells)

    def __contains__(self, element: Element) -> bool:
        return cell_of(element) in self.cells

    def __str__(self) -> str:
        return self.name


def _terms(cells: frozenset[Cell]) -> list[str]:
    """Whole strata and whole planes, as few as will do, then single cells."""

    def covered_by(names: Iterable[str]) -> list[str]:
        left, terms = set(cells), list[str]()
        for name in names:
            whole = {cell for cell in CELLS if name in cell}
            if whole <= cells and whole & left:
                terms.append(str(name))
                left -= whole
        return terms + [str(cell) for cell in CELLS if cell in left]

    return min(covered_by((*Stratum, *Plane)), covered_by((*Plane, *Stratum)), key=len)


def standard_parts() -> tuple[Part, ...]:
    """Strata, planes and cells, each of them and all without it."""
    names = dict.fromkeys([*Stratum, *Plane, *map(str, CELLS)])
    parts = [Part.named(name) for name in names]
    return tuple(dict.fromkeys([*parts, *(Part(frozenset(CELLS) - part.cells) for part in parts)]))


BY: Mapping[str, tuple[Part, ...]] = {
    "stratum": tuple(Part.named(stratum) for stratum in Stratum),
    "plane": tuple(Part.named(plane) for plane in Plane),
    "cell": tuple(Part.named(str(cell)) for cell in CELLS),
}
"""Ways to cut a twin: a process a stratum, a plane, or a cell."""


class Cut:
    """Which part of several holds an element: its number. Calls for no cell twice and for every one once."""

    def __init__(self, network: NetworkFile, parts: Sequence[Part], elements: Iterable[Element]) -> None:
        """PartFault if a cell is missing or claimed twice, or if two elements would have to speak without delay."""
        self._of = {cell: number for number, part in enumerate(parts) for cell in part.cells}
        twice = [c for c in CELLS if sum(c in part.cells for part in parts) > 1]
        if twice:
            raise PartFault(f"in two parts at once: {', '.join(map(str, twice))}")
        elements = list(elements)
        missing = sorted({str(cell_of(e)) for e in elements if cell_of(e) not in self._of})
        if missing:
            raise PartFault(f"no part holds {', '.join(missing)}; start one with --stratum and --plane")
        demand_latency(network, parts, elements)

    def __call__(self, element: Element) -> int:
        return self._of[cell_of(element)]


def demand_latency(network: NetworkFile, parts: Sequence[Part], elements: Iterable[Element]) -> None:
    """PartFault if two elements of one node are not in the same of the parts, and would speak without delay."""
    if network.policies.local_latency_ns > 0:
        return
    holders: dict[str, set[int]] = {}
    for element in elements:
        number = next((n for n, part in enumerate(parts) if element in part), len(parts))
        holders.setdefault(element.place, set()).add(number)
    shared = sorted(place for place, numbers in holders.items() if len(numbers) > 1)
    if shared:
        raise PartFault(
            f"elements of node {shared[0]} would be in {len(holders[shared[0]])} processes, and the file lets elements "
            "of one node speak without delay; give it a delay that is longer than the bus takes, in the file: "
            "policies: {local_latency: 50ms, control_latency: 50ms}"
        )


def shortest_ns(network: NetworkFile) -> int:
    """What a message between parts takes at least."""
    return min(network.policies.local_latency_ns, network.policies.control_latency_ns)
