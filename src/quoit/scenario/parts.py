"""Parts of a twin that is run apart: which cells of the map one process holds, and what a split of them demands.

A cell is a plane of a stratum. A part holds cells, at all nodes; it is named after what it holds, so that the same part
has the same name wherever it is started: `fabric-control`, `service`, `telemetry`, `without-fabric-control`. Elements
that are separable may be held by themselves, all of a function or one instance: `service-control-access-1`.

Messages between parts must be on their way for longer than the bus takes. Between nodes that is `control_latency` and
the light's own time; between elements of one node that are of different cells, or separable, it is `local_latency`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple, TypeVar

from quoit.runtime.element import Element, Plane, Stratum
from quoit.scenario.schema import NetworkFile
from quoit.service.api import INSTANCE_MARK

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


SEPARABLE: Mapping[Cell, tuple[str, ...]] = {
    Cell(Stratum.SERVICE, Plane.CONTROL): ("access", "admission", "controller", "routing"),
    Cell(Stratum.SERVICE, Plane.TELEMETRY): ("monitor",),
}
"""Functions whose elements may run apart from the others of their cell."""
MOST_INSTANCES = 8
"""Of one function in a domain (`policies.control_instances`)."""
_PIECE = re.compile(r"([a-z]+)(?:-([0-7]))?")


class Piece(NamedTuple):
    """Separable elements of a cell: those of one function in all domains, or of these one instance."""

    cell: Cell
    function: str
    instance: int | None = None

    @classmethod
    def of(cls, cell: Cell, text: str) -> Piece:
        """`access`: all access controls; `access-1`: their instances 1. PartFault for what is no such word."""
        found = _PIECE.fullmatch(text)
        functions = SEPARABLE.get(cell, ())
        if found is None or found[1] not in functions:
            there = f"{', '.join(functions)}, or an instance such as {functions[0]}-1" if functions else "none"
            raise PartFault(f"expected an element of {cell} that may run by itself ({there}); found {text!r}")
        return cls(cell, found[1], None if found[2] is None else int(found[2]))

    def holds(self, element: Element) -> bool:
        """Whether the element is of the piece."""
        if not element.separable or cell_of(element) != self.cell or function_of(element) != self.function:
            return False
        return self.instance is None or self.instance == number_of(element)

    def __str__(self) -> str:
        return f"{self.cell}-{self.function}" + ("" if self.instance is None else f"-{self.instance}")


PIECES = tuple(
    Piece(cell, function, instance)
    for cell, functions in SEPARABLE.items()
    for function in functions
    for instance in (None, *range(MOST_INSTANCES))
)
"""All that there may be."""


def function_of(element: Element) -> str:
    """What a separable element does: `access` of `service.access:DOMAIN#0`."""
    return element.name.partition(":")[0].rpartition(".")[2]


def number_of(element: Element) -> int:
    """Which instance of its function an element is."""
    return int(element.name.partition(INSTANCE_MARK)[2] or 0)


@dataclass(frozen=True)
class Part:
    """What one process holds: cells, but not the `lacks` of these, and `pieces` of other cells."""

    cells: frozenset[Cell]
    pieces: frozenset[Piece] = frozenset()
    lacks: frozenset[Piece] = frozenset()

    @classmethod
    def of(
        cls,
        strata: Iterable[str] = (),
        planes: Iterable[str] = (),
        without: Iterable[str] = (),
        functions: Iterable[str] = (),
    ) -> Part:
        """The cells of these strata (all, if none is named) and planes (likewise), but those of parts named `without`;
        or of one cell these `functions` alone. PartFault if that is no cell."""
        of_strata, of_planes = frozenset(strata) or frozenset(Stratum), frozenset(planes) or frozenset(Plane)
        cells = {cell for cell in CELLS if cell.stratum in of_strata and cell.plane in of_planes}
        lacks = set[Piece]()
        for name in without:
            part = cls.named(name)
            cells -= part.cells
            lacks |= part.pieces
        if not cells:
            raise PartFault(
                f"expected a choice that holds a cell; found none of {', '.join(map(str, CELLS))} "
                "(the engine has a resource plane alone)"
            )
        functions = list(functions)
        if functions:
            return cls(frozenset(), cls._pieces(cells, functions, lacks))
        return cls(frozenset(cells), lacks=frozenset(piece for piece in lacks if piece.cell in cells))

    @staticmethod
    def _pieces(cells: set[Cell], functions: Iterable[str], lacks: set[Piece]) -> frozenset[Piece]:
        if len(cells) > 1 or lacks:
            raise PartFault(
                "--element is of one cell; say which by --stratum and --plane, and leave --without to the other parts"
            )
        (cell,) = cells
        return frozenset(Piece.of(cell, text) for text in functions)

    @classmethod
    def named(cls, name: str) -> Part:
        """The part of this name: a stratum, a plane, a cell such as `fabric-control`, a piece of a cell such as
        `service-control-access-1`, several of these with `_` between, all `without-` those, `whole`, or `cells-` and a
        number, as `name` gives them. PartFault for others."""
        if name.startswith(BY_NUMBER):
            return cls._numbered(name)
        text = name.removeprefix(WITHOUT)
        cells, pieces = set[Cell](), set[Piece]()
        for term in text.split("_"):
            found = set(CELLS) if term == "whole" else {c for c in CELLS if term in (c.stratum, c.plane, str(c))}
            cell = next((c for c in CELLS if term.startswith(f"{c}-")), None)
            if cell is not None:
                pieces.add(Piece.of(cell, term.removeprefix(f"{cell}-")))
            elif not found:
                raise PartFault(
                    f"expected a stratum ({', '.join(Stratum)}), a plane ({', '.join(Plane)}), a cell such as "
                    "fabric-control, an element of a cell such as service-control-access or service-control-access-1, "
                    f"several with _ between, or {WITHOUT} before them; found {name!r}"
                )
            cells |= found
        if name.startswith(WITHOUT):
            return cls.of(without=[text])
        return cls(frozenset(cells), frozenset(piece for piece in pieces if piece.cell not in cells))

    @classmethod
    def _numbered(cls, name: str) -> Part:
        numbers = name.removeprefix(BY_NUMBER).split("-")
        try:
            cells, pieces, lacks = (int(number, 16) for number in (*numbers, *["0"] * (3 - len(numbers))))
        except ValueError:
            cells = pieces = lacks = 0
        if not cells | pieces > 0 or cells >> len(CELLS) or (pieces | lacks) >> len(PIECES):
            raise PartFault(f"expected {BY_NUMBER} and a number of 1 to {(1 << len(CELLS)) - 1:x}, found {name!r}")
        return cls(_chosen(CELLS, cells), _chosen(PIECES, pieces), _chosen(PIECES, lacks))

    @property
    def name(self) -> str:
        """The short one of those that `named` understands."""
        rest = frozenset(CELLS) - self.cells
        lacks, pieces = sorted(map(str, self.lacks)), sorted(map(str, self.pieces))
        if lacks or pieces:
            name = "_".join([*_terms(self.cells), *pieces]) if pieces else WITHOUT + "_".join([*_terms(rest), *lacks])
            if len(name) <= LONGEST and not (lacks and pieces):
                return name
            numbers = (_number(CELLS, self.cells), _number(PIECES, self.pieces), _number(PIECES, self.lacks))
            return BY_NUMBER + "-".join(f"{number:x}" for number in numbers)
        if not rest:
            return "whole"
        own, others = _terms(self.cells), _terms(rest)
        name = WITHOUT + others[0] if len(others) == 1 < len(own) else "_".join(own)
        if len(name) <= LONGEST:
            return name
        return f"{BY_NUMBER}{_number(CELLS, self.cells):x}"

    @property
    def terms(self) -> list[str]:
        """What it holds, in as few names as will do."""
        return [*_terms(self.cells), *sorted(map(str, self.pieces))]

    @property
    def has_resources(self) -> bool:
        """Whether it has to do with keys and states themselves, and not only with their control or upkeep."""
        cells = (*self.cells, *(piece.cell for piece in self.pieces))
        return any(cell.plane is Plane.RESOURCE for cell in cells)

    def __contains__(self, element: Element) -> bool:
        if cell_of(element) in self.cells:
            return not any(piece.holds(element) for piece in self.lacks)
        return any(piece.holds(element) for piece in self.pieces)

    def __str__(self) -> str:
        return self.name


T = TypeVar("T")


def _chosen(among: Sequence[T], bits: int) -> frozenset[T]:
    return frozenset(one for n, one in enumerate(among) if bits >> n & 1)


def _number(among: Sequence[T], chosen: frozenset[T]) -> int:
    return sum(1 << n for n, one in enumerate(among) if one in chosen)


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
        elements = list(elements)
        holders = {e.name: [number for number, part in enumerate(parts) if e in part] for e in elements}
        holdings = Holdings(elements)
        twice = [c for c in CELLS if sum(c in part.cells and not part.lacks for part in parts) > 1]
        both = holdings.described(name for name, numbers in holders.items() if len(numbers) > 1)
        if twice or both:
            raise PartFault(f"in two parts at once: {', '.join(map(str, twice or both))}")
        missing = holdings.described(name for name, numbers in holders.items() if not numbers)
        if missing:
            raise PartFault(f"no part holds {', '.join(missing)}; start one with --stratum and --plane")
        demand_latency(network, parts, elements)
        self._of = {name: numbers[0] for name, numbers in holders.items()}

    def __call__(self, element: Element) -> int:
        return self._of[element.name]


class Holdings:
    """Which elements of a network the parts hold, by their names alone."""

    def __init__(self, elements: Iterable[Element]) -> None:
        order = {cell: number for number, cell in enumerate(CELLS)}
        self._elements = sorted(elements, key=lambda e: (order[cell_of(e)], e.name))
        self._known: dict[str, frozenset[str]] = {}

    @property
    def all(self) -> list[str]:
        """Names of all elements, cell by cell."""
        return [element.name for element in self._elements]

    def of(self, part: str) -> frozenset[str]:
        """Names of the elements that the part of this name holds. PartFault if it is no part's name."""
        if part not in self._known:
            held = Part.named(part)
            self._known[part] = frozenset(element.name for element in self._elements if element in held)
        return self._known[part]

    def described(self, names: Iterable[str]) -> list[str]:
        """Cells by their names, even if what may leave them is not meant; of cells of which nothing else is meant,
        functions, with instances where not all are."""
        named = frozenset(names)
        terms = list[str]()
        for cell in CELLS:
            own = [element for element in self._elements if cell_of(element) == cell]
            meant = [element for element in own if element.name in named]
            if own and (meant == own or not all(element.separable for element in meant)):
                terms.append(str(cell))
                continue
            functions = dict.fromkeys(function_of(element) for element in own)
            for function in functions:
                terms += self._described(cell, [e for e in own if function_of(e) == function], named)
        return terms

    @staticmethod
    def _described(cell: Cell, alike: Sequence[Element], named: frozenset[str]) -> list[str]:
        """Elements of one function: all by its name, some by their instances."""
        function = function_of(alike[0])
        if all(element.name in named for element in alike):
            return [str(Piece(cell, function))]
        return [str(Piece(cell, function, n)) for n in sorted({number_of(e) for e in alike if e.name in named})]


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
