"""What an operator sees of a fibre that is bent, cut and spliced, and of a tapped link: alarms and readings."""

from __future__ import annotations

import uuid

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.connectivity import api as connectivity
from quoit.fabric import api as fabric
from quoit.model.problem import Problem
from quoit.planes.management import Alarms, GetAlarms
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.service import api as service

NETWORK = """
quoit: 1
name: alarms
nodes: {alice: {}, bob: {}}
spans:
  - {name: fibre, between: [alice, bob], length: 20 km, attenuation: 0.2 dB/km}
links:
  - {name: link, between: [alice, bob]}
applications:
  - {sae: alice-app, kme: kme-alice, allow: [bob-app]}
  - {sae: bob-app, kme: kme-bob, allow: [alice-app]}
events:
  - {at: 5s, until: 10s, bend: {span: fibre, loss: 1.5 dB}}
  - {at: 15s, until: 20s, cut: fibre}
  - {at: 25s, until: 30s, attack: {kind: intercept-resend, link: link, fraction: 0.4}}
"""
S = 1_000_000_000


@pytest.fixture
def world() -> VirtualWorld:
    world = VirtualWorld(assemble(loads(NETWORK), Parts(lambda kme: MemoryStore())).kernel)
    world.begin()
    return world


def standing(world: VirtualWorld) -> set[tuple[str, str, str]]:
    found: set[tuple[str, str, str]] = set()
    for upkeep in (connectivity.UPKEEP, fabric.UPKEEP, service.UPKEEP):
        alarms: Alarms = world.ask(upkeep, GetAlarms())
        found |= {(a.stratum, a.cause, a.severity) for a in alarms.alarms}
    return found


def causes(world: VirtualWorld) -> set[tuple[str, str]]:
    return {(stratum, cause) for stratum, cause, _ in standing(world)}


def loss_db(world: VirtualWorld) -> float | None:
    spans: connectivity.Spans = world.ask(connectivity.METERS, connectivity.GetSpans())
    return spans.spans[0].loss_db


@pytest.mark.realises("A2", "E1", "G1")
def test_each_stratum_tells_its_own_side_and_every_alarm_clears(world: VirtualWorld) -> None:
    seen = {}
    for at in (4, 7, 12, 17, 22, 28):
        world.run_until(at * S)
        seen[at] = standing(world), loss_db(world)
    lost = ("connectivity", "loss of signal", "critical"), ("fabric", "dark", "major")
    assert seen == {
        4: (set(), pytest.approx(4.0)),
        7: ({("connectivity", "degraded", "minor")}, pytest.approx(5.5)),
        12: (set(), pytest.approx(4.0)),
        17: (set(lost), None),
        22: (set(), pytest.approx(4.0)),
        # An eavesdropper who measures and resends takes no light: only the fabric can tell.
        28: ({("fabric", "suspected eavesdropping", "critical")}, pytest.approx(4.0)),
    }
    world.run_until(60 * S)
    assert standing(world) == set()


@pytest.mark.realises("A2", "B6", "G1")
def test_the_service_stratum_counts_units_and_tells_which_pair_starves() -> None:
    dark = NETWORK[: NETWORK.index("events:")] + "events: [{at: 15s, until: 60s, cut: fibre}]"
    world = VirtualWorld(assemble(loads(dark), Parts(lambda kme: MemoryStore())).kernel)
    world.begin()
    starving = ("service", "key cannot be refilled")
    world.run_until(200_000_000)
    assert starving in causes(world)  # no block is there yet
    world.run_until(14 * S)
    assert starving not in causes(world)
    ids = tuple(str(uuid.UUID(int=n, version=4)) for n in range(3))
    world.ask("kme-alice", service.OpenKeys("alice-app", "bob-app", 3, ids))
    world.ask("kme-bob", service.TakeKeys("bob-app", "alice-app", ids[:2]))
    world.run_until(16 * S)
    counts: service.UnitCounts = world.ask(service.METERS, service.GetUnitCounts())
    assert {(c.kme, c.state): c.units for c in counts.counts} == {
        ("kme-alice", "established"): 3,
        ("kme-bob", "delivered"): 2,
    }
    assert drain(world).code in ("no-route", "no-key-material")  # the fibre is cut
    assert starving in causes(world)
    world.run_until(65 * S)
    assert starving not in causes(world)


def drain(world: VirtualWorld) -> Problem:
    """Open keys until one request is refused."""
    for first in range(10, 1_000_000, 64):
        ids = tuple(str(uuid.UUID(int=first + n, version=4)) for n in range(64))
        try:
            world.ask("kme-alice", service.OpenKeys("alice-app", "bob-app", 64, ids, 4096))
        except Problem as refusal:
            return refusal
    raise AssertionError("keys never ended")
