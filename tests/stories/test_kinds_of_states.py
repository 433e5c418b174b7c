"""W and graph states as units: what is delivered is what was asked for, and never below its promise."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from quoit.sdk import Application, Refusal, Unit, VirtualNetwork
from shared_states import BOSTON, Array, S, events_of, ghz, graph_state, network, play, settled, truths, w_state

PARTIES = ("alice", "bob", "charlie")

HUB = """
quoit: 1
name: hub
nodes:
  hub: {memories: {number: 16, t2: 2 s, gate: 0.999, readout: 0.999, gate_time: 50 us, readout_time: 20 us}}
  a: {memories: {number: 4, t2: 2 s}}
  b: {memories: {number: 4, t2: 2 s}}
  c: {memories: {number: 4, t2: 2 s}}
  d: {memories: {number: 4, t2: 2 s}}
spans:
  - {between: [hub, a], length: 5 km}
  - {between: [hub, b], length: 5 km}
  - {between: [hub, c], length: 5 km}
  - {between: [hub, d], length: 5 km}
pair_links:
  - {between: [hub, a], success: 0.02, fidelity: 0.985}
  - {between: [hub, b], success: 0.02, fidelity: 0.985}
  - {between: [hub, c], success: 0.02, fidelity: 0.985}
  - {between: [hub, d], success: 0.02, fidelity: 0.985}
applications:
  - {sae: ann, kme: kme-a}
  - {sae: ben, kme: kme-b}
  - {sae: cyd, kme: kme-c}
  - {sae: dan, kme: kme-d}
"""
FOUR = ("ann", "ben", "cyd", "dan")


async def share(apps: list[Application], **asked: Any) -> list[Unit]:
    own = await settled(apps[0], await apps[0].request([app.sae for app in apps[1:]], **asked))
    return [own, *[await app.next_unit() for app in apps[1:]]]


async def live_out(net: VirtualNetwork, apps: list[Application], target: Array, floor: float, **asked: Any) -> Unit:
    """A unit's states against the truth: when they are delivered, and until the promise ends."""
    units = await share(apps, fidelity=floor, **asked)
    assert {unit.state for unit in units} == {"established"}
    assert units[0].fidelity is not None
    assert floor <= units[0].fidelity < 1
    assert all(truth >= floor for truth in truths(net, units, target))
    end = min(unit.expires_ns or 0 for unit in units)
    await apps[0].sleep((end - net.now_ns) / S - 0.001)
    assert all(truth >= floor for truth in truths(net, units, target))
    await apps[0].sleep(0.02)
    assert (await apps[0].unit(units[0].unit_id)).state == "expired"
    return units[0]


@pytest.mark.realises("B5", "D1", "F5")
@pytest.mark.parametrize(
    ("asked", "target", "floor"),
    [
        ({"kind": "w"}, w_state(3), 0.8),
        ({"graph": "line"}, graph_state(3, [(0, 1), (1, 2)]), 0.8),
        ({"graph": [("charlie", "bob"), ("alice", "charlie")], "number": 2}, graph_state(3, [(0, 2), (1, 2)]), 0.8),
        ({"graph": "complete"}, graph_state(3, [(0, 1), (1, 2), (0, 2)]), 0.8),
    ],
)
def test_three_parties_share_states_of_every_kind(asked: dict[str, Any], target: Array, floor: float) -> None:
    net = network(BOSTON.read_text(), seed=3)
    apps = [net.application(sae) for sae in PARTIES]

    async def story() -> None:
        for _ in range(4):
            await live_out(net, apps, target, floor, **asked)
        free = await apps[2].allocate(8)
        assert len(free) == 8

    play(story())


@pytest.mark.realises("B5", "D1")
def test_a_centre_that_is_no_party_makes_states_for_four() -> None:
    net = network(HUB, seed=2)
    apps = [net.application(sae) for sae in FOUR]

    async def story() -> None:
        ring = graph_state(4, [(0, 1), (1, 2), (2, 3), (0, 3)])
        for asked, target in (({"kind": "w"}, w_state(4)), ({"graph": "ring"}, ring), ({}, ghz(4))):
            unit = await live_out(net, apps, target, 0.8, **asked)
            assert unit.kind == asked.get("kind", "graph" if asked else "ghz")

    play(story())


@pytest.mark.realises("B5")
def test_of_a_w_state_one_party_reads_one() -> None:
    """In Z exactly one of three reads 1, but for errors: at F > 0.85 more than 12 of 30 are one in 10^4."""
    net = network(BOSTON.read_text(), seed=5)
    apps = [net.application(sae) for sae in PARTIES]
    ones: list[int] = []

    async def story() -> None:
        for _ in range(30):
            units = await share(apps, kind="w", fidelity=0.85, measure="Z")
            ones.append(sum(unit.outcomes[0] for unit in units))
            assert units[0].addresses == ()

    play(story())
    assert sum(one != 1 for one in ones) <= 12


@pytest.mark.realises("B5")
def test_stabilizers_of_a_graph_state_are_seen_in_measurements() -> None:
    """A line a - b - c has Z X Z = +1: at F > 0.85 more than 12 of 30 errors are one in 10^4."""
    net = network(BOSTON.read_text(), seed=6)
    apps = [net.application(sae) for sae in PARTIES]
    errors = 0

    async def story() -> None:
        nonlocal errors
        for _ in range(15):
            units = await share(apps, graph="line", fidelity=0.85, number=2)
            for addresses in zip(*(unit.addresses for unit in units), strict=True):
                bits = [await app.measure(a, b) for app, a, b in zip(apps, addresses, "ZXZ", strict=True)]
                errors += sum(bits) % 2

    play(story())
    assert errors <= 12


@pytest.mark.realises("D1")
def test_what_cannot_be_had_is_refused_with_what_could_be() -> None:
    net = network(BOSTON.read_text(), seed=1)
    alice = net.application("alice")
    others = ["bob", "charlie"]

    async def story() -> None:
        for asked in ({"kind": "w"}, {"graph": "ring"}):
            with pytest.raises(Refusal, match="fidelity-unreachable") as refused:
                await alice.request(others, fidelity=0.97, **asked)
            offered = refused.value.fields["best"]
            assert 0.9 < offered < 0.97
            unit = await settled(alice, await alice.request(others, fidelity=offered - 0.01, **asked))
            assert unit.state == "established"
            await alice.close_unit(unit.unit_id)
        with pytest.raises(Refusal, match="no-memory") as refused:
            await alice.request(others, kind="w", number=2)
        assert refused.value.fields["needed"] == 10
        assert refused.value.fields["has"] == 8
        assert refused.value.fields["most"] == 1
        with pytest.raises(Refusal, match="bad-lifecycle: graph: expected a graph in one piece"):
            await alice.request(others, graph=[("alice", "bob")])
        with pytest.raises(Refusal, match="bad-lifecycle: graph"):
            await alice.request(others, kind="graph")
        with pytest.raises(Refusal, match="priority: expected a whole number of 0 to 7, found '8'"):
            await alice.request(others, priority=8)
        with pytest.raises(ValueError, match="stranger"):
            await alice.request(others, graph=[("alice", "bob"), ("bob", "urn:qkd:boston:stranger")])

    play(story())


def test_the_order_of_names_does_not_count() -> None:
    """Seats follow URNs: the same graph, asked for by another party in another order, is the same state."""
    net = network(BOSTON.read_text(), seed=8)
    alice, bob, charlie = (net.application(sae) for sae in PARTIES)

    async def story() -> None:
        edges = [("charlie", "alice"), ("alice", "bob")]
        units = await share([charlie, bob, alice], graph=edges, fidelity=0.8)
        assert truths(net, units, graph_state(3, [(0, 2), (1, 2)]))[0] > 0.8

    play(story())


def test_the_example_plays() -> None:
    done = subprocess.run(
        [sys.executable, str(BOSTON.with_name("kinds_of_states.py"))], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["w", "line graph", "tested pair"]


def test_targets_are_normalised() -> None:
    for target in (ghz(3), w_state(3), graph_state(3, [(0, 1)])):
        assert np.vdot(target, target).real == pytest.approx(1)


@pytest.mark.realises("D2")
def test_memories_amid_a_program_are_given_back_when_it_is_done() -> None:
    """Gates of 20 ms: a unit that is closed while the centre is at work leaves its memories when the device has come
    to the end, and what comes next finds them empty."""
    net = network(HUB.replace("t2: 2 s", "t2: 1000 s").replace("50 us", "20 ms"), seed=2)
    happened = events_of(net)
    ann, *others = (net.application(sae) for sae in FOUR)

    async def story() -> None:
        async def close_in_the_middle() -> None:
            while sum(e.event == "memory.held" and e.fields["node"] == "hub" for e in happened) < 4:
                await ann.sleep(0.001)
            await ann.sleep(0.1)
            (unit,) = (await ann._call("GET", "/api/v1/units"))["units"]
            await ann.close_unit(unit["unit_id"])

        ask = ann.request([app.sae for app in others], kind="w", number=1, fidelity=0.5)
        with pytest.raises(Refusal, match="closed by a party"):
            await asyncio.gather(ask, close_in_the_middle())
        closed = net.now_ns
        for _ in range(2):
            await live_out_of(net, [ann, *others])
        freed = next(e.t for e in happened if e.event == "memory.freed" and e.fields["node"] == "hub")
        assert freed > closed + 50_000_000
        # a program that goes on without its qubits would fail, or spoil what comes next
        failed = [e.fields["why"] for e in happened if e.event == "unit.states" and e.fields["state"] == "failed"]
        assert set(failed) == {"closed by a party"}

    play(story())


async def live_out_of(net: VirtualNetwork, apps: list[Application]) -> None:
    """A GHZ unit in the same memories, good and given back."""
    units = await share(apps, fidelity=0.7)
    assert min(truths(net, units, ghz(4))) >= 0.7
    await apps[0].close_unit(units[0].unit_id)
    await apps[0].sleep(0.1)
