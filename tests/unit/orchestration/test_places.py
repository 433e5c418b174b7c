"""Where else a quantum channel could be."""

from __future__ import annotations

import pytest

from quoit.connectivity.api import (
    CLASSICAL,
    LIT,
    QUANTUM,
    ChannelRow,
    CrossConnect,
    InventoryRows,
    NodeRow,
    SpanPlan,
)
from quoit.model.problem import Problem
from quoit.orchestration.loops.places import Guards, Place, Places

HERE, OTHER = 193_400_000, 228_849_000


def span(name: str, a: str, b: str, db: float, medium: str = "fibre", duct: str = "") -> SpanPlan:
    return SpanPlan(name, a, b, db * 5, db, medium, (duct,) if duct else ())


SPANS = (
    span("main", "a", "b", 5, duct="street"),
    span("twin", "a", "b", 5.1, duct="street"),
    span("north", "a", "c", 4),
    span("south", "c", "b", 4),
    span("sky", "a", "b", 1, "air"),
)


def inventory(*others: ChannelRow, joined: bool = True, kind: str = "roadm") -> InventoryRows:
    link = ChannelRow("link", QUANTUM, "a", ("main",), HERE, 25_000, None, LIT)
    nodes = tuple(NodeRow(node, kind if node == "a" else "patch-panel", (), 0.0, 0) for node in "abc")
    joints = (CrossConnect("a", "link", "add/drop", "main"),) if joined else ()
    return InventoryRows(nodes, SPANS, (link, *others), joints)


def places(*others: ChannelRow, joined: bool = True, kind: str = "roadm") -> Places:
    return Places(inventory(*others, joined=joined, kind=kind), "link", Guards(0, 100_000))


def test_its_own_path_then_one_apart_then_one_beside_and_never_through_air() -> None:
    assert list(places().paths()) == [("main",), ("north", "south"), ("twin",)]
    assert list(places().paths(frozenset({"main", "north"}))) == [("twin",)]
    assert list(places().paths(frozenset({"main", "twin", "south"}))) == []


def test_places_keep_their_distance_from_other_channels() -> None:
    near = ChannelRow("otn", CLASSICAL, "b", ("main", "north"), HERE + 120_000, 50_000, 0.0, LIT)
    found = list(places(near).free((OTHER,)))
    assert Place(("main",), HERE) not in found  # 100 GHz are kept to a classical channel
    assert Place(("main",), OTHER) in found
    assert Place(("twin",), HERE) in found
    assert Place(("north", "south"), HERE) not in found
    beside = ChannelRow("other", QUANTUM, "a", ("twin",), HERE + 30_000, 25_000, None, LIT)
    assert Place(("twin",), HERE) in list(places(beside).free(()))  # quantum channels may be neighbours


def test_a_switch_that_is_set_against_it_blocks_a_channel() -> None:
    assert not places().blocked
    assert places(joined=False).blocked
    assert not places(joined=False, kind="patch-panel").blocked, "nothing there could block it"


def test_a_channel_that_is_not_there() -> None:
    with pytest.raises(Problem, match="expected a channel of this plant, found 'nobody'"):
        Places(inventory(), "nobody", Guards())
