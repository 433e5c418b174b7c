"""Trees of ETSI GS QKD 015 as values: what is read is what was written; dates and decimals are the standard's."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.fabric.api import Flow
from quoit.fabric.sdqkd import tree
from quoit.fabric.sdqkd.fencing import check_turn, next_turn
from quoit.fabric.sdqkd.hardware import Hardware, Module
from quoit.fabric.sdqkd.routes import Identifiers, flows_found, is_flow, reconciled
from quoit.fabric.sdqkd.tree import Node, Turn
from quoit.model.problem import Problem

NODES = tuple("abcde")
IDS = Identifiers("net")


@given(st.integers(0, 10**11))
def test_dates_are_those_of_the_calendar(ms: int) -> None:
    exact = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms * 25)
    assert (
        tree.date_and_time(ms * 25 / 1000) == exact.strftime("%Y-%m-%dT%H:%M:%S.") + f"{exact.microsecond // 1000:03d}Z"
    )


@pytest.mark.parametrize(("value", "text"), [(2.5, "2.5"), (0.0, "0.0"), (12.3456, "12.346"), (3.0, "3.0")])
def test_decimals_are_canonical(value: float, text: str) -> None:
    assert tree.decimal(value) == text


@pytest.mark.parametrize(("bps", "said"), [(-1.0, 0), (1e12, 2**32 - 1), (1234.5, 1234)])
def test_rates_fit_32_bits(bps: float, said: int) -> None:
    assert tree.rate(bps) == said


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"etsi-qkd-sdn-node:qkd_node":{}}', '{"etsi-qkd-sdn-node:qkd_node":{"qkdn_id":"x","y":1}}']
)
def test_what_is_no_node_is_refused(text: str) -> None:
    with pytest.raises(Problem, match="malformed"):
        tree.read(text)


def test_no_node_is_none_and_empty_lists_are_not_written() -> None:
    assert tree.read("{}") is None
    assert json.loads(tree.write(Node("x").with_lists(links={}, apps={}, interfaces={}))) == {
        tree.ROOT: {"qkdn_id": "x"}
    }


# -- turns ---------------------------------------------------------------------------------------------------

_TURNS = st.none() | st.builds(lambda e, n: Turn(str(e), str(n)), st.integers(0, 5), st.integers(0, 5))


@given(_TURNS, st.integers(1, 5))
def test_a_turn_that_a_controller_takes_is_taken_and_never_again(held: Turn | None, epoch: int) -> None:
    before = Node("x", qkdn_version="1", control=held)
    if held is not None and held.key[0] > epoch:
        with pytest.raises(Problem, match="stale-epoch"):
            next_turn(held, epoch)
        return
    turn = next_turn(held, epoch)
    after = Node("x", qkdn_version="2", control=turn)
    check_turn(before, after)
    for again in (after, Node("x", qkdn_version="3", control=held), Node("x", qkdn_version="3", control=turn)):
        with pytest.raises(Problem, match="stale-epoch"):
            check_turn(after, again)


# -- flows ---------------------------------------------------------------------------------------------------


def ring() -> dict[str, Node]:
    """Five nodes with a module for every pair, before anybody has made a link."""
    pairs = [(a, b) for a in NODES for b in NODES if a < b]
    numbers = {(a + b, node): NODES.index(b if node == a else a) + 1 for a, b in pairs for node in (a, b)}
    found = {}
    for node in NODES:
        modules = []
        for a, b in pairs:
            if node in (a, b):
                far = b if node == a else a
                here, there = numbers[a + b, node], numbers[a + b, far]
                modules.append(Module(a + b, here, far, there, node == a, "m", "DV-QKD", a + b, 1.0))
        found[node] = Hardware("net", node, tuple(modules), NODES).commissioned(with_links=False)
    return found


@st.composite
def flows(draw: st.DrawFn) -> list[Flow]:
    """Flows of different names over simple ways."""
    out = []
    for number in range(draw(st.integers(0, 4))):
        nodes = draw(st.permutations(NODES))[: draw(st.integers(2, 5))]
        links = tuple("".join(sorted(pair)) for pair in itertools.pairwise(nodes))
        name = f"s/{number}" if draw(st.booleans()) else ""
        rate = float(draw(st.integers(1, 9_000))) if name else 0.0
        if not any((flow.src, flow.dst, flow.name) == (nodes[0], nodes[-1], name) for flow in out):
            out.append(Flow(nodes[0], nodes[-1], 0, tuple(nodes), links, rate, name))
    return sorted(out, key=lambda flow: (flow.src, flow.dst, flow.name))


@given(flows(), flows())
def test_what_is_reconciled_is_found_again_whatever_stood_before(first: list[Flow], then: list[Flow]) -> None:
    nodes = ring()
    for wanted in (first, then):
        nodes = {name: reconciled(IDS, node, name, wanted) for name, node in nodes.items()}
        assert flows_found(IDS, nodes) == wanted
        for name, node in nodes.items():
            assert tree.read(tree.write(node)) == node
            assert reconciled(IDS, node, name, wanted) is node  # nothing to do twice
    cleared = {name: reconciled(IDS, node, name, ()) for name, node in nodes.items()}
    assert all(not node.links and not node.apps for node in cleared.values())


@given(flows().filter(bool), st.data())
def test_a_flow_that_lacks_a_hop_is_not_found(wanted: list[Flow], data: st.DataObject) -> None:
    nodes = {name: reconciled(IDS, node, name, wanted) for name, node in ring().items()}
    flow = data.draw(st.sampled_from(wanted))
    gap = data.draw(st.sampled_from(flow.nodes))
    nodes[gap] = reconciled(IDS, nodes[gap], gap, [other for other in wanted if other is not flow])
    assert flow not in flows_found(IDS, nodes)


def test_virtual_links_of_others_stay() -> None:
    link = tree.Link("v", qkdl_type=tree.VIRT, virt_next_hop=("x",))
    node = Node("n").with_lists(links={"v": link})
    assert not is_flow(node, link)
    assert reconciled(IDS, node, "a", ()) is node
