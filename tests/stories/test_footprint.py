"""Energy for each bit and each pair, and fibre shared, reckoned by hand and by the twin."""

from __future__ import annotations

import uuid

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.connectivity import api as connectivity
from quoit.model.power import POWERS
from quoit.orchestration.telemetry_api import FOOTPRINT, Footprint, GetFootprint
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import NetworkFileFaults, loads
from quoit.service import api as service

S = 1_000_000_000
NETWORK = """
quoit: 1
name: footprint
nodes: {a: {}, b: {}, c: {}}
spans:
  - {name: ab, between: [a, b], length: 30 km, attenuation: 0.2 dB/km}
  - {name: bc, between: [b, c], length: 10 km, attenuation: 0.2 dB/km}
  - {name: spare, between: [a, c], length: 50 km}
links:
  - {name: left, between: [a, b]}
  - {name: right, between: [b, c], protocol: rated, rate: 100 kbit/s}
applications:
  - {sae: alice, kme: kme-a, allow: [bob]}
  - {sae: bob, kme: kme-b, allow: [alice]}
"""
LEFT = {"laser": 1, "intensity-modulator": 1, "motorised-waveplate": 2, "time-tagger": 1, "computer": 2,
        "detector-ingaas": 2}  # fmt: skip
WATTS = (
    sum(number * POWERS[device].watts for device, number in LEFT.items())
    + 2 * POWERS["qkd-unit"].watts
    + 3 * POWERS["key-server"].watts
    + POWERS["control-server"].watts
)


def world_of(text: str) -> VirtualWorld:
    world = VirtualWorld(assemble(loads(text), Parts(lambda kme: MemoryStore())).kernel)
    world.begin()
    return world


def footprint(world: VirtualWorld) -> Footprint:
    told: Footprint = world.ask(FOOTPRINT, GetFootprint())
    return told


@pytest.mark.realises("G4")
def test_energy_for_each_bit_is_power_times_time_over_bits() -> None:
    world = world_of(NETWORK)
    world.run_until(20 * S)
    before = footprint(world)
    assert (before.key_bits, before.joules_per_bit, before.pair_joules) == (0, None, 0)
    assert before.key_watts == pytest.approx(WATTS)
    # The links are on a few milliseconds after the start.
    assert before.key_joules == pytest.approx(WATTS * before.at_ns / S, rel=1e-3)
    ids = tuple(str(uuid.UUID(int=n, version=4)) for n in range(8))
    world.ask("kme-a", service.OpenKeys("alice", "bob", 8, ids))
    world.run_until(40 * S)
    after = footprint(world)
    assert after.key_bits == 8 * 256
    assert after.joules_per_bit == pytest.approx(after.key_joules / 2048)
    assert sum(value for _, value in world.kernel.instruments.read("quoit_key_bits_delivered_total")) == 2048
    energy = dict(world.kernel.instruments.read("quoit_energy_joules_total"))
    assert energy["keys",] == pytest.approx(after.key_joules)
    assumed = sum(row.number * row.watts for row in after.devices if row.assumed)
    assert {row.device for row in after.devices if row.assumed} == {"qkd-unit", "key-server", "control-server"}
    assert after.assumed_ratio == pytest.approx(assumed / WATTS)


@pytest.mark.realises("G4")
def test_fibre_is_shared_while_a_customer_is_on_it() -> None:
    world = world_of(NETWORK)
    world.run_until(12 * S)
    assert (footprint(world).quantum_km, footprint(world).shared_ratio) == (40.0, 0.0)
    light = connectivity.LightChannel("customer", "a", ("ab",), 190_000_000, 50_000, -20.0)
    world.ask(connectivity.CONTROLLER, light)
    world.run_until(13 * S)
    assert footprint(world).shared_ratio == pytest.approx(0.75)
    world.ask(connectivity.CONTROLLER, connectivity.ExtinguishChannel("customer"))
    world.run_until(14 * S)
    assert footprint(world).shared_km == 0.0


@pytest.mark.realises("G4")
def test_pairs_have_their_own_energy_and_links_burn_only_in_use() -> None:
    text = """
quoit: 1
name: pairs
nodes: {a: {memories: {number: 4}}, b: {memories: {number: 4}}}
spans: [{between: [a, b], length: 10 km}]
pair_links: [{name: ab, between: [a, b], success: 0.01, fidelity: 0.98}]
applications:
  - {sae: alice, kme: kme-a, allow: [bob]}
  - {sae: bob, kme: kme-b, allow: [alice]}
"""
    world = world_of(text)
    world.run_until(5 * S)
    idle = footprint(world)
    resting = 2 * (POWERS["memory-cryostat"].watts + POWERS["memory-control"].watts) + POWERS["control-server"].watts
    assert (idle.key_watts, idle.pair_watts, idle.pairs) == (0, pytest.approx(resting), 0)
    urns = tuple(f"urn:qkd:pairs:{sae}" for sae in ("alice", "bob"))
    lifecycle = "urn:qkd:lifecycle?=size=2&fidelity=0.9&state=ghz"
    world.ask(service.eme("a"), service.OpenUnit("alice", urns, lifecycle, str(uuid.UUID(int=3, version=4))), 60 * S)
    world.run_until(world.kernel.now + S)
    after = footprint(world)
    assert after.pairs >= 2
    assert after.joules_per_pair == pytest.approx(after.pair_joules / after.pairs)
    assert after.pair_joules > idle.pair_joules


@pytest.mark.realises("G4")
def test_better_numbers_may_be_given() -> None:
    world = world_of(NETWORK + "telemetry: {power: {qkd-unit: 50, control-server: 0}}")
    world.run_until(S)
    told = footprint(world)
    assert told.key_watts == pytest.approx(WATTS - 2 * 150 - 100)
    assert {row.device for row in told.devices if row.assumed} == {"key-server"}
    with pytest.raises(NetworkFileFaults, match="did you mean 'computer'"):
        loads(NETWORK + "telemetry: {power: {computr: 50}}")
    with pytest.raises(NetworkFileFaults, match="0 or more, found -1"):
        loads(NETWORK + "telemetry: {power: {computer: -1}}")
