"""A link in mode `exact`: different raw bits at both ends, made equal by messages; equal keys come out."""

from __future__ import annotations

import uuid

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.runtime.trace import Event
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.service.api import Keys, OpenKeys, TakeKeys

NETWORK = """
quoit: 1
name: exact
mode: exact
nodes: {alice: {}, bob: {}}
spans:
  - {between: [alice, bob], length: 20 km, attenuation: 0.2 dB/km}
profiles:
  small: {base: sequence-benchmark, mu: [0.4, 0.1], p_intensity: [0.6, 0.4], p_z_sender: 0.7, p_z_receiver: 0.7,
          block_bits: 100000}
links:
  - {between: [alice, bob], profile: small}
applications:
  - {sae: alice-app, kme: kme-alice, allow: [bob-app]}
  - {sae: bob-app, kme: kme-bob, allow: [alice-app]}
policies: {stream_low: 4 kbit, stream_high: 8 kbit, pool_reopen: 8 kbit}
"""


@pytest.mark.realises("C1", "I1")
def test_real_distillation_gives_both_applications_the_same_key() -> None:
    twin = assemble(loads(NETWORK), Parts(lambda kme: MemoryStore()))
    events: list[Event] = []
    twin.kernel.sinks.append(events.append)
    world = VirtualWorld(twin.kernel)
    world.begin()
    world.run_until(9_000_000_000)
    made = [e for e in events if e.event == "block.made"]
    assert len(made) >= 2
    for event in made:
        assert 0 < event.fields["leak"] < event.fields["sifted"]
        assert 0 < event.fields["bits"] < event.fields["sifted"] - event.fields["leak"]
    key_id = str(uuid.UUID(int=1, version=4))
    opened: Keys = world.ask("kme-alice", OpenKeys("alice-app", "bob-app", 1, (key_id,)))
    taken: Keys = world.ask("kme-bob", TakeKeys("bob-app", "alice-app", (key_id,)))
    assert opened.keys[0].value == taken.keys[0].value


@pytest.mark.realises("I2")
def test_an_eavesdropper_ends_every_block() -> None:
    attacked = NETWORK + "events:\n  - {at: 0s, attack: {kind: intercept-resend, link: alice--bob, fraction: 0.5}}\n"
    twin = assemble(loads(attacked), Parts(lambda kme: MemoryStore()))
    events: list[Event] = []
    twin.kernel.sinks.append(events.append)
    world = VirtualWorld(twin.kernel)
    world.begin()
    world.run_until(6_000_000_000)
    assert not [e for e in events if e.event == "pool.filled"]
    assert [e for e in events if e.event == "link.quarantined"]
