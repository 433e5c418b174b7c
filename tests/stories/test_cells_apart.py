"""Every cell of the map runs by itself: the same trace as in one piece, and keys go on when control goes and returns.

The parts' kernels run in step in this process; what they say to each other goes through MessagePack, as on the bus.
"""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.fabric.api import METERS, GetLinks, Links
from quoit.model.problem import Problem
from quoit.runtime.inbox import Frame
from quoit.runtime.kernel import Kernel
from quoit.runtime.trace import Event, digest_of
from quoit.runtime.wire import Message
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.scenario.fate import FATE, Strike
from quoit.scenario.parts import BY, CELLS, KMES, MAP_CELLS, SEPARABLE, Cell, Cut, Part
from quoit.service.api import (
    CloseSession,
    GetSession,
    Keys,
    OpenKeys,
    OpenSession,
    Session,
    TakeKeys,
)
from quoit.testing.checkers import verify

NETWORK = """
quoit: 1
name: apart
seed: 7
policies:
  {control_latency: 20ms, local_latency: 20ms, stream_low: 4 kbit, stream_high: 8 kbit, pool_reopen: 2 kbit}
nodes:
  a: {memories: {number: 4, hardware: siv-boston-2024, gate: 0.998, readout: 0.999}}
  b: {}
  c: {memories: {number: 4, hardware: siv-boston-2024, gate: 0.998, readout: 0.999}}
spans: [{between: [a, b], length: 10 km}, {between: [b, c], length: 5 km}, {between: [a, c], length: 20 km}]
links:
  - {between: [a, b], protocol: rated, rate: 20 kbit/s}
  - {between: [b, c], protocol: rated, rate: 20 kbit/s}
pair_links: [{name: pairs, between: [a, c], success: 0.004, fidelity: 0.97}]
plant: {channels: [{name: video, source: a, spans: [a--c], frequency: 193.1 THz, launch: 0 dBm}]}
applications: [{sae: x, kme: kme-a}, {sae: y, kme: kme-c}]
events:
  - {at: 3s, load: {from: x, to: y, rate: 2 kbit/s}}
  - {at: 5s, until: 7s, cut: b--c}
"""
COORDINATION = "coordination: {{by: {}, most_loss: 10 dB, wavelengths: [1548.5 nm]}}\n"
S = 1_000_000_000
END = 9 * S
WHOLE = (Part.named("whole"),)


class Twin:
    """A network in parts, each with a kernel of its own. Only what is sent crosses from one to another."""

    def __init__(self, parts: tuple[Part, ...], text: str = NETWORK) -> None:
        self.network = loads(text)
        self.parts = parts
        self.events: list[Event] = []
        self.dead: set[int] = set()
        self.lives = [0] * len(parts)
        self.kernels = [self._kernel(number, 0) for number in range(len(parts))]
        for kernel in self.kernels:
            kernel.start()
        self.now = 0
        self.number = 0

    def _kernel(self, number: int, now: int) -> Kernel:
        kernel = assemble(self.network, Parts(lambda kme: MemoryStore(), start_ns=now)).kernel
        kernel.sinks.append(self.events.append)
        kernel.split(Cut(self.network, self.parts, kernel.elements), number, self)
        return kernel

    def send(self, process: int, frame: Frame) -> None:
        if process not in self.dead:
            self.kernels[process].receive(tuple(msgspec.msgpack.decode(msgspec.msgpack.encode(frame))))

    def run(self, until: int) -> None:
        """All that is due before `until`."""
        living = [kernel for number, kernel in enumerate(self.kernels) if number not in self.dead]
        while (due := min(k.next_due for k in living if k.next_due is not None)) < until:
            for kernel in living:
                kernel.run(due)
        self.now = until
        assert not any(kernel.disorder for kernel in self.kernels)

    def kill(self, number: int) -> None:
        self.dead.add(number)

    def bring_back(self, number: int) -> None:
        """A fresh process in the place of one that has gone: it knows nothing of what its elements knew."""
        self.dead.discard(number)
        self.lives[number] += 1
        kernel = self.kernels[number] = self._kernel(number, self.now)
        kernel.begin_life(self.lives[number])
        kernel.start()

    def ask(self, to: str, msg: Message, at: int = 0) -> Any:
        """From outside, at the part `at`, wherever `to` lives. Raises its `Problem`."""
        box: list[Any] = []
        self.kernels[at].ask_from_outside(self.now, to, msg, box.append)
        for _ in range(200):
            self.run(self.now + S // 20)
            if box:
                break
        if isinstance(box[0], Problem):
            raise box[0]
        return box[0]

    def id(self) -> str:
        self.number += 1
        return str(uuid.UUID(int=self.number, version=4))

    def key_at_both_ends(self) -> None:
        opened: Keys = self.ask("kme-a", OpenKeys("x", "y", 1, (self.id(),), 256))
        taken: Keys = self.ask("kme-c", TakeKeys("y", "x", tuple(key.key_id for key in opened.keys)))
        assert [k.value for k in opened.keys] == [k.value for k in taken.keys]


def story(parts: tuple[Part, ...], text: str = NETWORK) -> list[Event]:
    """A load, a cut, a session; what happened, by whatever part."""
    twin = Twin(parts, text)
    home = next(n for n, part in enumerate(parts) if KMES in part.cells)
    twin.run(4 * S)
    session: Session = twin.ask("kme-a", OpenSession("x", "y", twin.id(), 1_000.0), home)
    assert twin.ask("kme-a", GetSession("x", session.session_id), home).state == "open"
    twin.run(END)
    assert not verify({"event": e.event, "t": e.t, "by": e.by, "n": e.n, **e.fields} for e in twin.events).violations
    return twin.events


@pytest.fixture(scope="module")
def in_one_piece() -> str:
    events = story(WHOLE)
    said = {e.event for e in events}
    assert {"keys.taken", "key.moved", "session.reserved", "link.dark", "link.lit", "alarm.raised"} <= said
    return digest_of(events)


@pytest.mark.realises("A1", "A2", "A4", "G3")
@pytest.mark.parametrize("cell", MAP_CELLS, ids=str)
def test_a_cell_by_itself_against_the_rest(in_one_piece: str, cell: Cell) -> None:
    alone = Part(frozenset({cell}))
    rest = Part(frozenset(CELLS) - alone.cells)
    assert digest_of(story((rest, alone))) == in_one_piece


@pytest.mark.realises("A1", "A2", "G3")
@pytest.mark.parametrize("by", BY)
def test_all_strata_planes_and_cells_apart(in_one_piece: str, by: str) -> None:
    assert digest_of(story(BY[by])) == in_one_piece


@pytest.mark.realises("A1", "D4")
@pytest.mark.parametrize("by", ["fabric", "service"])
def test_whoever_coordinates_the_strata_does_it_over_a_bus_too(by: str) -> None:
    """The session, or the stream without one, needs the link that is cut; it goes round by a."""
    digests = set()
    for parts in (WHOLE, BY["cell"]):
        twin = Twin(parts, NETWORK + COORDINATION.format(by))
        twin.run(END)
        moved = [event.fields for event in twin.events if event.event == "coordination.moved"]
        assert [(one["by"], one["link"], one["spans"]) for one in moved] == [(by, "b--c", ["a--b", "a--c"])]
        digests.add(digest_of(twin.events))
    assert len(digests) == 1


@pytest.mark.realises("A1", "D4")
@pytest.mark.parametrize(("by", "cell"), [("fabric", "fabric-control"), ("service", "service-control")])
def test_a_coordinator_that_was_away_when_light_was_lost_sees_to_it_when_it_is_back(by: str, cell: str) -> None:
    alone = Part.named(cell)
    text = NETWORK.replace("until: 7s", "until: 20s")
    twin = Twin((Part(frozenset(CELLS) - alone.cells), alone), text + COORDINATION.format(by))
    twin.run(9 * S // 2)
    twin.kill(1)
    twin.run(7 * S)
    twin.bring_back(1)
    twin.run(19 * S)
    moved = [event.fields for event in twin.events if event.event == "coordination.moved"]
    assert [(one["by"], one["link"], one["spans"]) for one in moved] == [(by, "b--c", ["a--b", "a--c"])]


def test_the_delay_between_planes_is_in_the_trace(in_one_piece: str) -> None:
    """Else the tests above could not tell that it is needed."""
    twin = Twin(WHOLE, NETWORK.replace("local_latency: 20ms, ", ""))
    twin.run(END)
    assert digest_of(twin.events) != in_one_piece


@pytest.mark.realises("A1", "G3")
@pytest.mark.parametrize("at", range(4))
def test_every_part_answers_for_elements_of_all(at: int) -> None:
    twin = Twin(BY["stratum"])
    twin.run(2 * S)
    links: Links = twin.ask(METERS, GetLinks(), at)
    assert [row.link for row in links.rows] == ["a--b", "b--c"]
    before = twin.now
    assert twin.ask(FATE, Strike("cut", "a--b"), at) is None
    assert twin.now - before <= S // 10
    twin.run(twin.now + 2 * S)
    with pytest.raises(Problem, match="no element is called"):
        twin.ask("nobody", GetLinks(), at)
    assert {e.event for e in twin.events} >= {"world.edited", "link.dark"}


SEVERAL = NETWORK.replace("policies:\n  {", "policies:\n  {control_instances: 2, ")
FUNCTIONS = tuple(f"{cell}-{function}" for cell, functions in SEPARABLE.items() for function in functions)
"""Of service: access, admission, controller, routing, monitor."""


@pytest.mark.realises("A1", "A2", "C6", "G3")
def test_each_function_of_service_control_by_itself_in_two_instances() -> None:
    alone = [Part.named(f"{function}-{instance}") for function in FUNCTIONS for instance in range(2)]
    rest = Part.of(without=[part.name for part in alone])
    assert digest_of(story((rest, *alone), SEVERAL)) == digest_of(story(WHOLE, SEVERAL))


@pytest.mark.realises("C2", "C6", "G3")
def test_c6_sessions_are_had_from_either_instance_when_the_other_part_is_away() -> None:
    ones, zeros = (Part.named("_".join(f"{function}-{n}" for function in FUNCTIONS)) for n in (1, 0))
    rest = Part.of(without=[ones.name, zeros.name])
    twin = Twin((rest, ones, zeros), SEVERAL[: SEVERAL.index("  - {at: 5s")])
    twin.run(6 * S)
    for number in (1, 2):
        twin.kill(number)
        session: Session = twin.ask("kme-a", OpenSession("x", "y", twin.id(), 1_000.0))
        assert session.state == "open"
        twin.run(twin.now + 5 * S)
        twin.key_at_both_ends()
        twin.ask("kme-a", CloseSession("x", session.session_id))
        twin.bring_back(number)
        twin.run(twin.now + 5 * S)
    assert refusals(twin) == []


BORDER = """
quoit: 1
name: border
policies: {control_latency: 20ms, local_latency: 20ms, control_instances: 2}
domains: [{name: east, prefix: "urn:qkd:east"}, {name: west, prefix: "urn:qkd:west"}]
nodes: {a: {domain: east}, b: {domain: west}}
spans: [{between: [a, b], length: 10 km}]
links: [{between: [a, b], protocol: rated, rate: 100 kbit/s, initial_pool: 1 Mbit}]
applications: [{sae: x, kme: kme-a}, {sae: y, kme: kme-b}, {sae: z, kme: kme-b}, {sae: w, kme: kme-b}]
"""


@pytest.mark.realises("B3", "C2", "C6")
def test_a_service_controller_that_comes_back_is_told_what_it_has_missed() -> None:
    ones, zeros = Part.named("service-control-controller-1"), Part.named("service-control-controller-0")
    twin = Twin((Part.of(without=[ones.name, zeros.name]), ones, zeros), BORDER)
    twin.run(2 * S)
    twin.kill(1)
    assert key_for(twin, "y") == 1
    twin.bring_back(1)
    twin.run(twin.now + S)
    twin.kill(2)  # what knows of the other domain since the start
    assert key_for(twin, "z") == 1
    twin.kill(1)
    with pytest.raises(Problem, match="none of 2 instances answered"):
        key_for(twin, "w")


def key_for(twin: Twin, sae: str) -> int:
    """Keys for an application of the other domain of which this KME has not been told before."""
    opened: Keys = twin.ask("kme-a", OpenKeys("x", sae, 1, (twin.id(),), 256))
    return len(opened.keys)


def without(*cells: str) -> tuple[Part, ...]:
    """A part with these cells, after one with all others."""
    alone = Part.named("_".join(cells))
    return Part(frozenset(CELLS) - alone.cells), alone


@pytest.mark.realises("A2", "C2", "G3")
@pytest.mark.parametrize("plane", ["control", "management", "telemetry"])
@pytest.mark.parametrize("stratum", ["connectivity", "fabric", "service"])
def test_c2_keys_go_on_without_a_plane_and_after_its_return(stratum: str, plane: str) -> None:
    quiet = NETWORK[: NETWORK.index("  - {at: 5s")]
    twin = Twin(without(f"{stratum}-{plane}"), quiet)
    twin.run(6 * S)
    twin.key_at_both_ends()
    twin.kill(1)
    served = moved(twin)
    twin.run(twin.now + 20 * S)
    twin.key_at_both_ends()
    while_away = moved(twin)
    assert while_away > served, "streams were filled from the fabric while it was away"
    twin.bring_back(1)
    twin.run(twin.now + 20 * S)
    twin.key_at_both_ends()
    assert moved(twin) > while_away
    assert refusals(twin) == []


def moved(twin: Twin) -> int:
    return sum(event.event == "key.moved" for event in twin.events)


def refusals(twin: Twin) -> list[dict[str, Any]]:
    return [e.fields for e in twin.events if e.event == "load.refused"]


@pytest.mark.realises("C2", "C4")
def test_control_that_came_back_is_obeyed_and_reroutes() -> None:
    """Its epochs are later than those of its earlier life; else relays would take it for a stale one."""
    ring = NETWORK.replace("pair_links:", "  - {between: [a, c], protocol: rated, rate: 20 kbit/s}\npair_links:")
    ring = ring[: ring.index("  - {at: 5s")].replace("local_latency", "quarantine_hold: 2s, local_latency")
    twin = Twin(without("fabric-control"), ring)
    twin.run(6 * S)

    def routes_while(fraction: float) -> set[tuple[str, ...]]:
        twin.kernels[0].ask_from_outside(twin.now, FATE, Strike("intercept", "a--c", fraction), _nothing)
        twin.run(twin.now + 15 * S)
        settled = twin.now - 5 * S
        return {tuple(e.fields["nodes"]) for e in twin.events if e.event == "key.moved" and e.t > settled}

    straight = {("a", "c"), ("c", "a")}
    for _ in range(2):  # its first life changes the route four times
        assert not routes_while(1.0) & straight
        assert routes_while(0.0) & straight
    twin.kill(1)
    twin.run(twin.now + 5 * S)
    twin.bring_back(1)
    twin.run(twin.now + 5 * S)
    detour = routes_while(1.0)
    assert detour
    assert not detour & straight
    twin.key_at_both_ends()


def _nothing(reply: Any) -> None:
    """Nobody waits for the answer."""
