"""Keys of entangled pairs beside what else a network does with pairs: disturbed memories, virtual links, switches."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from test_disturbed_memories import TEXT, fidelity, share
from test_networks import Story
from test_pair_keys import text
from test_virtual_links import BOSTON, DIRECT

from quoit.adapters.stores.memory import MemoryStore
from quoit.fabric.api import METERS, GetLinks
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import NetworkFileFaults, loads
from quoit.sdk import virtual_network

KEY = """links:
  - {name: key, between: [bob, charlie], protocol: bbm92-pairs, fidelity: 0.6, profile: quick}
profiles:
  quick: {base: bbm92-pairs, block_bits: 2000}
"""


@pytest.mark.realises("D1", "F5")
def test_a_kept_pair_pays_for_attempts_at_key_of_its_node() -> None:
    """alice and bob keep a pair for 10 ms; bob's attempts with charlie for key alone are what disturbs it. One attempt
    takes 149 us at least, and each costs 1/1800 of the coherence."""
    left = {}
    for name, network in (("quiet", TEXT), ("key", TEXT + KEY)):
        net = virtual_network(network, 1)
        net.run_for(0.5)
        a, b = net.application("a"), net.application("b")

        async def story(net: Any = net, a: Any = a, b: Any = b) -> tuple[float, float]:
            unit = await share(a, b, 0.6)
            await a.correct(unit.addresses[0], "I")  # the engine looks when something is done
            before = fidelity(net, unit)
            await a.sleep(0.01)
            await a.correct(unit.addresses[0], "I")
            return before, fidelity(net, unit)

        left[name] = asyncio.run(story())
    quiet, key = (before - after for before, after in left.values())
    most = 0.016 / 149e-6 / 1800 / 2  # with what asking takes, and windows at either edge
    assert quiet < 0.001
    assert 0.2 * most < key < 1.1 * most


@pytest.mark.parametrize("pairs", [1, 2])
def test_virtual_links_are_kept_ready_where_key_leaves_room(pairs: int) -> None:
    """Of three circuits that each link can bear one or two are for key: one more has to be left for who asks."""
    boston = BOSTON.replace(DIRECT, "").replace("fidelity: 0.97}", "fidelity: 0.97, pairs: 3}")
    key = f"links: [{{name: key, between: [harvard, mit], protocol: bbm92-pairs, fidelity: 0.6, width: {pairs}}}]\n"
    twin = assemble(loads(f"{boston}\n{key}policies: {{pair_compiler: edc}}\n"), Parts(lambda kme: MemoryStore(), 1))
    events: list[Any] = []
    twin.kernel.sinks.append(events.append)
    world = VirtualWorld(twin.kernel)
    world.begin()
    world.run_until(10**8)
    assert len([e for e in events if e.event == "virtual-links.ready"]) == (pairs == 1)
    assert not [e for e in events if e.event == "link.refused"]
    assert [e.fields["circuit"] for e in events if e.event == "circuit.opened"] == ["key"]


@pytest.mark.realises("D1", "E1")
def test_key_goes_over_pair_links_that_pass_switches() -> None:
    """A switch in the middle of a pair link, and one where two pair links meet: the links' light passes them, and the
    key's link, which has none of its own, is not blocked."""
    split = text().replace(
        "  - {between: [alice, one], length: 1 km}\n",
        "  - {name: near, between: [alice, hut], length: 500 m}\n  - {name: far, between: [hut, one], length: 500 m}\n",
    )
    split = split.replace("nodes:\n", "nodes:\n  hut: {}\n")
    split = split.replace(
        "{between: [alice, one], success: 0.5, fidelity: 0.995",
        "{name: alice--one, between: [one, alice], spans: [far, near], success: 0.5, fidelity: 0.995",
    )
    story = Story(split + "plant: {switches: [{node: hut, insertion: 2 dB}, {node: one, insertion: 2 dB}]}\n")
    story.run(3)
    (row,) = story.world.ask(METERS, GetLinks()).rows
    assert row.state == "up"
    assert row.blocks > 0
    assert row.failed_blocks == 0


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("spectrum: {wavelength: 1550 nm}", "bbm92-pairs has no light of its own; leave spectrum out"),
        ("drift: {rms: 0.01, time: 60s}", "bbm92-pairs has no light of its own; leave drift out"),
    ],
)
def test_what_is_of_light_is_refused_for_key_of_pairs(more: str, told: str) -> None:
    with pytest.raises(NetworkFileFaults, match=told):
        loads(text().replace("profile: quick}", f"profile: quick, {more}}}"))
