"""Health and root causes across the strata: a cut explains the dark link, the closed pool and the starved stream."""

from __future__ import annotations

import uuid

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.model.problem import Problem
from quoit.orchestration.telemetry_api import (
    ASSURANCE,
    HEALTH_NEWS,
    AssuranceTable,
    CorrelatedAlarms,
    GetAssurance,
    GetCorrelatedAlarms,
    HealthChanged,
)
from quoit.runtime.virtual import VirtualWorld
from quoit.runtime.wire import Message
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.service import api as service

S = 1_000_000_000
LINE = """
quoit: 1
name: line
nodes: {a: {}, b: {}, c: {}}
spans:
  - {name: ab, between: [a, b], length: 20 km, attenuation: 0.2 dB/km}
  - {name: bc, between: [b, c], length: 20 km, attenuation: 0.2 dB/km}
links:
  - {name: left, between: [a, b]}
  - {name: right, between: [b, c]}
applications:
  - {sae: alice, kme: kme-a, allow: [carol], rate: 100 Mbit/s}
  - {sae: carol, kme: kme-c, allow: [alice]}
"""


def world_of(text: str) -> VirtualWorld:
    world = VirtualWorld(assemble(loads(text), Parts(lambda kme: MemoryStore())).kernel)
    world.begin()
    return world


def healths(world: VirtualWorld) -> dict[str, int]:
    table: AssuranceTable = world.ask(ASSURANCE, GetAssurance())
    return {row.name: row.health for row in table.rows}


def alarms(world: VirtualWorld) -> dict[tuple[str, str], set[tuple[str, str]]]:
    told: CorrelatedAlarms = world.ask(ASSURANCE, GetCorrelatedAlarms())
    return {(a.about, a.cause): {(root.about, root.cause) for root in a.roots} for a in told.alarms}


def drain(world: VirtualWorld) -> None:
    for first in range(10, 1_000_000, 64):
        ids = tuple(str(uuid.UUID(int=first + n, version=4)) for n in range(64))
        try:
            world.ask("kme-a", service.OpenKeys("alice", "carol", 64, ids, 4096))
        except Problem as refusal:
            if refusal.code in ("no-route", "no-key-material"):
                return
    raise AssertionError("keys never ended")


@pytest.mark.realises("A2", "C6", "G1")
def test_a_cut_fibre_is_the_root_of_all_that_follows_and_passes() -> None:
    world = world_of(LINE + "events: [{at: 20s, until: 60s, cut: bc}]")
    world.run_until(15 * S)
    assert alarms(world) == {}
    well = healths(world)
    assert {"stream:kme-a>kme-c", "flow:a>c", "pool:left", "link:right", "path:left", "span:bc"} < well.keys()
    assert set(well.values()) == {100}
    news: list[tuple[str, Message]] = []
    world.kernel.watchers.append(lambda subject, msg: news.append((subject, msg)))
    world.run_until(22 * S)
    root = {("bc", "loss of signal")}
    assert alarms(world) == {("bc", "loss of signal"): set(), ("right", "dark"): root}
    ill = healths(world)
    assert (ill["span:bc"], ill["path:right"], ill["link:right"]) == (0, 0, 0)
    assert ill["pool:right"] == ill["flow:a>c"] == ill["stream:kme-a>kme-c"] == 50  # the pool serves on
    assert ill["link:left"] == ill["pool:left"] == 100
    told = [msg for subject, msg in news if subject == f"{HEALTH_NEWS}.stream" and isinstance(msg, HealthChanged)]
    assert {(msg.name, msg.health) for msg in told} == {("stream:kme-a>kme-c", 50), ("stream:kme-c>kme-a", 50)}
    # The path is heard of first; a moment later its fibre explains it.
    assert [told[0].causes, told[-1].causes] == [("path:right: no light on span bc",), ("span:bc: no light arrives",)]
    drain(world)
    starving = alarms(world)
    assert starving["kme-a>kme-c", "key cannot be refilled"] == root
    assert healths(world)["stream:kme-a>kme-c"] == 0
    table: AssuranceTable = world.ask(ASSURANCE, GetAssurance(below=1))
    stream = next(row for row in table.rows if row.kind == "stream")
    assert {cause.about for cause in stream.causes} == {"span:bc"}
    world.run_until(80 * S)
    assert alarms(world) == {}
    assert set(healths(world).values()) == {100}


@pytest.mark.realises("C6", "G1")
def test_an_eavesdropper_is_its_own_root_and_voids_what_stands_on_it() -> None:
    attack = "events: [{at: 20s, attack: {kind: intercept-resend, link: left, fraction: 0.5}}]"
    world = world_of(LINE + attack)
    world.run_until(30 * S)
    told = alarms(world)
    assert told["left", "suspected eavesdropping"] == set()
    starved = told.get(("kme-a>kme-c", "key cannot be refilled"))
    assert starved in (None, {("left", "suspected eavesdropping")})
    ill = healths(world)
    assert ill["link:left"] == 0
    assert ill["link:right"] == 100
    assert ill["flow:a>c"] < 100


@pytest.mark.realises("E3", "G1")
def test_light_of_a_neighbour_explains_the_error_rate() -> None:
    world = world_of(LINE + "events: [{at: 20s, until: 40s, light: {span: ab, launch: 0 dBm}}]")
    world.run_until(30 * S)
    told = alarms(world)
    assert told["ab", "unexpected light"] == set()
    assert told["left", "noise light"] == {("ab", "unexpected light")}
    world.run_until(90 * S)
    assert alarms(world) == {}


@pytest.mark.realises("C6")
def test_sessions_come_and_go_with_their_routes() -> None:
    world = world_of(LINE + "events: [{at: 30s, until: 60s, cut: ab}]")
    world.run_until(20 * S)
    session = str(uuid.UUID(int=7, version=4))
    world.ask("kme-a", service.OpenSession("alice", "carol", session, 2000.0))
    world.run_until(21 * S)
    assert healths(world)[f"session:{session}"] == 100
    table: AssuranceTable = world.ask(ASSURANCE, GetAssurance())
    needs = next(row.needs for row in table.rows if row.name == f"session:{session}")
    assert [need.name for need in needs] == [f"route:{session}/0"]
    world.run_until(32 * S)
    assert healths(world)[f"session:{session}"] < 100
    told = alarms(world)
    short = (session, "session has not the routes it was promised")
    assert short not in told or told[short] == {("ab", "loss of signal")}
    world.run_until(90 * S)
    assert healths(world)[f"session:{session}"] == 100
    world.ask("kme-a", service.CloseSession("alice", session))
    world.run_until(91 * S)
    assert not any(session in name for name in healths(world))
