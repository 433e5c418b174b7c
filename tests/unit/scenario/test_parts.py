"""Parts: what a choice of strata and planes holds, what it is called, and what a split of a twin demands."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.adapters.stores.memory import MemoryStore
from quoit.cli.atlas import elements
from quoit.runtime.element import Plane, Stratum
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.scenario.parts import (
    BY,
    CELLS,
    MAP_CELLS,
    PIECES,
    SEPARABLE,
    Cell,
    Cut,
    Holdings,
    Part,
    PartFault,
    Piece,
    cell_of,
    function_of,
    shortest_ns,
    standard_parts,
)

NETWORK = """
quoit: 1
name: two
policies: {control_latency: 30ms%s}
nodes: {a: {}, b: {}}
spans: [{between: [a, b], length: 10 km}]
links: [{between: [a, b], protocol: rated, rate: 20 kbit/s}]
applications: [{sae: x, kme: kme-a}, {sae: y, kme: kme-b}]
"""
APART = NETWORK % ", local_latency: 20ms"
MEMORY = Parts(lambda kme: MemoryStore())


@pytest.mark.realises("A1", "A2")
@pytest.mark.parametrize("cell", MAP_CELLS, ids=str)
def test_every_cell_of_the_map_has_an_element(cell: Cell) -> None:
    assert [c for c in elements() if (c.stratum, c.plane) == cell]


@pytest.mark.realises("A2")
def test_every_cell_of_a_least_network_has_an_element() -> None:
    kernel = assemble(loads(APART), Parts(lambda kme: MemoryStore())).kernel
    assert {(e.stratum, e.plane) for e in kernel.elements} == set(CELLS)


def test_a_choice_of_strata_and_planes() -> None:
    assert Part.of(["fabric"], ["control"]).cells == {Cell(Stratum.FABRIC, Plane.CONTROL)}
    assert Part.of(["fabric", "service"], ["control"]).name == "fabric-control_service-control"
    assert Part.of(["fabric", "service"], ["control", "telemetry"]).name == "cells-1540"
    assert Part.of(["fabric"]).name == "fabric"
    assert Part.of([], ["resource"]).name == "resource"
    assert Part.of(["engine"]).name == "engine"
    assert Part.of().name == "whole"
    assert Part.of(without=["fabric-control"]).name == "without-fabric-control"
    assert Part.of(["fabric"], without=["telemetry"]).terms == [
        "fabric-resource",
        "fabric-control",
        "fabric-management",
    ]


@pytest.mark.parametrize(
    "choice", [(["engine"], ["control"], []), (["fabric"], [], ["fabric"]), ([], [], ["whole"])], ids=str
)
def test_a_choice_of_nothing_is_refused(choice: tuple[list[str], list[str], list[str]]) -> None:
    with pytest.raises(PartFault, match="expected a choice that holds a cell"):
        Part.of(*choice)


@pytest.mark.parametrize("name", ["", "fabrik", "fabric_", "without-", "without-fabrik", "engine-control", "whole_x"])
def test_a_name_of_no_part_is_refused_with_the_names_there_are(name: str) -> None:
    with pytest.raises(PartFault, match=r"service, fabric, connectivity, engine.*resource, control"):
        Part.named(name)


def test_functions_of_a_cell_and_their_instances_may_be_held_by_themselves() -> None:
    control = Cell(Stratum.SERVICE, Plane.CONTROL)
    alone = Part.of(["service"], ["control"], functions=["access-1", "routing"])
    assert alone.pieces == {Piece(control, "access", 1), Piece(control, "routing")}
    assert alone.name == "service-control-access-1_service-control-routing"
    rest = Part.of(without=["service-control-access-1", "service-control-routing"])
    assert rest.name == "without-service-control-access-1_service-control-routing"
    assert Part.of(without=[alone.name]) == rest
    assert Part.of(["service"], without=["service-control-access"]).name == (
        "without-fabric_connectivity_engine_service-control-access"
    )
    assert not alone.has_resources
    for part in (alone, rest):
        assert Part.named(part.name) == part
    kernel = assemble(loads(APART.replace("policies: {", "policies: {control_instances: 2, ")), MEMORY).kernel
    Cut(loads(APART), [rest, alone], kernel.elements)
    held = [e.name for e in kernel.elements if e in alone]
    assert held == ["service.access:two#1", "service.routing:two#0", "service.routing:two#1"]
    assert {e.name for e in kernel.elements} - {e.name for e in kernel.elements if e in rest} == set(held)
    holdings = Holdings(kernel.elements)
    assert holdings.of(alone.name) == set(held)
    assert holdings.described(held) == ["service-control-access-1", "service-control-routing"]
    assert holdings.described(holdings.all) == [str(cell) for cell in CELLS]
    assert holdings.described(set(holdings.all) - set(held)) == [str(cell) for cell in CELLS]
    with pytest.raises(PartFault, match="no part holds service-control-access-1, service-control-routing; start"):
        Cut(loads(APART), [rest], kernel.elements)
    with pytest.raises(PartFault, match="in two parts at once: service-control-access-1"):
        Cut(loads(APART), [Part.named("whole"), Part.named("service-control-access-1")], kernel.elements)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (([], ["control"], [], ["access"]), "--element is of one cell; say which by --stratum and --plane"),
        ((["service"], ["control"], ["service-control-access"], ["routing"]), "leave --without to the other parts"),
        ((["service"], ["control"], [], ["access-9"]), r"\(access, admission, .*such as access-1\); found 'access-9'"),
        ((["fabric"], ["control"], [], ["controller"]), r"of fabric-control that may run by itself \(none\)"),
    ],
)
def test_elements_are_of_one_cell_and_have_names(choice: tuple[list[str], ...], said: str) -> None:
    with pytest.raises(PartFault, match=said):
        Part.of(*choice)


def test_the_table_of_separable_functions_is_that_of_the_elements() -> None:
    kernel = assemble(loads(APART), MEMORY).kernel
    found = {(cell_of(e), function_of(e)) for e in kernel.elements if e.separable}
    assert found == {(cell, function) for cell, functions in SEPARABLE.items() for function in functions}


@given(st.sets(st.sampled_from(CELLS)), st.sets(st.sampled_from(PIECES), min_size=1))
def test_a_name_says_what_pieces_a_part_holds_or_lacks(cells: set[Cell], pieces: set[Piece]) -> None:
    more = Part(frozenset(cells), frozenset(piece for piece in pieces if piece.cell not in cells))
    less = Part(frozenset(cells), lacks=frozenset(piece for piece in pieces if piece.cell in cells))
    for part in (more, less):
        if part.terms:
            assert Part.named(part.name) == part
            assert set(part.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")
            assert len(part.name) <= 64


@given(st.sets(st.sampled_from(CELLS), min_size=1))
def test_a_name_says_all_and_is_fit_for_a_subject_and_a_certificate(cells: set[Cell]) -> None:
    part = Part(frozenset(cells))
    assert Part.named(part.name) == part
    assert Part.named("_".join(part.terms)) == part
    assert set(part.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")
    assert len(part.name) <= 64
    assert part.has_resources == any(cell.plane is Plane.RESOURCE for cell in cells)


@pytest.mark.parametrize("name", ["cells-", "cells-0", "cells-2000", "cells--1", "cells-x"])
def test_a_number_that_no_cells_have_is_refused(name: str) -> None:
    with pytest.raises(PartFault, match="expected cells- and a number of 1 to 1fff"):
        Part.named(name)


def test_the_bus_has_credentials_for_every_cell_by_itself_and_for_the_rest() -> None:
    known = {part.cells for part in standard_parts()}
    for cell in CELLS:
        assert {frozenset({cell}), frozenset(CELLS) - {cell}} <= known
    for parts in BY.values():
        assert {part.cells for part in parts} <= known
        assert frozenset().union(*(part.cells for part in parts)) == frozenset(CELLS)
        assert all(not one.cells & other.cells for one, other in combinations(parts, 2))


def cut(text: str, *names: str) -> Cut:
    network = loads(text)
    kernel = assemble(network, Parts(lambda kme: MemoryStore())).kernel
    return Cut(network, [Part.named(name) for name in names], kernel.elements)


def test_a_cut_holds_every_cell_once() -> None:
    kernel = assemble(loads(APART), Parts(lambda kme: MemoryStore())).kernel
    found = cut(APART, "service", "without-service")
    assert {found(e) for e in kernel.elements if e.stratum is Stratum.SERVICE} == {0}
    assert {found(e) for e in kernel.elements if e.stratum is not Stratum.SERVICE} == {1}
    with pytest.raises(PartFault, match="no part holds fabric-control;"):
        cut(APART, "service", "without-service_fabric-control")
    with pytest.raises(PartFault, match="in two parts at once: service-control"):
        cut(APART, "whole", "service-control")


def test_elements_that_speak_without_delay_are_not_torn_apart() -> None:
    with pytest.raises(PartFault, match=r"node a would be in 2 processes.*local_latency: 50ms"):
        cut(NETWORK % "", "service", "without-service")
    cut(NETWORK % "", "whole")
    cut(NETWORK % "", "engine", "without-engine")  # the engine stands at no node: reading a device takes its time
    assert shortest_ns(loads(APART)) == 20_000_000
