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
from quoit.scenario.parts import BY, CELLS, MAP_CELLS, Cell, Cut, Part, PartFault, shortest_ns, standard_parts

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
