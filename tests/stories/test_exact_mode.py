"""A link in mode `exact`: different raw bits at both ends, made equal by messages; equal keys come out."""

from __future__ import annotations

import uuid

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.fabric.api import UPKEEP
from quoit.fabric.reserve import ALARM_BLOCKS, PARK_BLOCKS
from quoit.planes.management import Alarms, GetAlarms, Severity
from quoit.runtime.trace import Event
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.scenario.fate import FATE, Strike
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


@pytest.mark.realises("I1", "G2")
def test_p10_a_link_that_distils_in_vain_parks_before_its_pads_end() -> None:
    """Blocks too short to leave key cost two tags each and give none back; fresh pads from outside help."""
    short = NETWORK.replace("block_bits: 100000", "block_bits: 400").replace("length: 20 km", "length: 60 km")
    twin = assemble(loads(short), Parts(lambda kme: MemoryStore()))
    events: list[Event] = []
    twin.kernel.sinks.append(events.append)
    world = VirtualWorld(twin.kernel)
    world.begin()

    def seen(name: str) -> list[Event]:
        return [e for e in events if e.event == name]

    def alarm() -> Severity | None:
        standing: Alarms = world.ask(UPKEEP, GetAlarms())
        return next((a.severity for a in standing.alarms if a.cause == "authentication key runs out"), None)

    while not seen("link.parked") and world.kernel.now < 200_000_000_000:
        if len(seen("block.failed")) < 64 - ALARM_BLOCKS:
            assert alarm() is None
        world.run_until(world.kernel.now + 500_000_000)
    (parked,) = seen("link.parked")
    assert parked.fields["blocks_left"] == PARK_BLOCKS
    assert len(seen("block.failed")) == 64 - PARK_BLOCKS
    assert alarm() == Severity.CRITICAL
    # chunks that arrive while a block is distilled do not make its tags differ at the two ends
    assert "tag-mismatch" not in {e.fields["why"] for e in seen("block.failed")}
    world.run_until(world.kernel.now + 2_000_000_000)
    assert len(seen("block.failed")) == 64 - PARK_BLOCKS  # it says nothing any more
    world.ask(FATE, Strike("commission", "alice--bob"))
    world.run_until(world.kernel.now + 1_000_000_000)
    assert alarm() is None
    again = seen("block.failed")[64 - PARK_BLOCKS :]
    assert len(again) > 3
    assert "tag-mismatch" not in {e.fields["why"] for e in again}  # both ends took the same pads, in the same order
