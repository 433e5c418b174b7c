"""Quantum packets: times and losses to the nanosecond, contention by each policy, and numbers against closed forms.

Statistics: each comparison with a closed form is of 20 batches and has a false-alarm probability below 1e-4 (a Student
t of 19 degrees of freedom beyond 5).
"""

from __future__ import annotations

from math import exp, factorial, sqrt
from typing import Any

import numpy as np
import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.connectivity import api
from quoit.connectivity.packet_ports import Port, Switching
from quoit.engine.physics.fibre import delay_s
from quoit.model.problem import Problem
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.scenario.fate import FATE, Strike

S = 10**9
# Two links whose paths share the span from b to c.
NETWORK = """
quoit: 1
name: packets
nodes: {a: {}, b: {}, c: {}, d: {}}
spans:
  - {name: ab, between: [a, b], length: 10 km, attenuation: 0.2 dB/km}
  - {name: db, between: [d, b], length: 10 km, attenuation: 0.2 dB/km}
  - {name: bc, between: [b, c], length: 20 km, attenuation: 0.2 dB/km}
plant:
  switches: [{node: b, insertion: 1 dB, switching: 1 ms}]
  packets: {links: [one, two]MORE}
links:
  - {name: one, between: [a, c], spans: [ab, bc], spectrum: {frequency: 193.4 THz}}
  - {name: two, between: [d, c], spans: [db, bc], spectrum: {frequency: 193.6 THz}}
"""
NEAR, FAR = (round(delay_s(km) * 1e9) for km in (10, 20))
AHEAD = 200 + 20_000 + 50
"""Header, offset and guard come before the payload."""
HOLD = 1000 + 2 * 50 + 100


class Bench:
    """The network in virtual time."""

    def __init__(self, more: str = "") -> None:
        twin = assemble(loads(NETWORK.replace("MORE", more)), Parts(lambda kme: MemoryStore()))
        self.kernel = twin.kernel
        self.world = VirtualWorld(twin.kernel)
        self.world.begin()
        self.world.run_until(S)

    def send(self, link: str, **more: Any) -> Any:
        return self.ask(api.SendPacket(link, 1000, **more))

    def ask(self, msg: Any) -> Any:
        return self.world.ask(api.PACKETS, msg)

    def both(self) -> tuple[Any, Any]:
        """Two packets of the same instant: they meet at b."""
        fates: list[Any] = []
        now = self.kernel.now
        for link in ("one", "two"):
            self.kernel.ask_from_outside(now, api.PACKETS, api.SendPacket(link, 1000), fates.append)
        self.kernel.run(now + S)
        first, second = sorted(fates, key=lambda fate: fate.link)
        return first, second


@pytest.mark.realises("E2")
def test_a_packet_arrives_when_and_as_weak_as_its_way_makes_it() -> None:
    bench = Bench()
    begin = bench.kernel.now
    fate = bench.send("one")
    assert fate.lost == ""
    assert fate.at_ns - begin == AHEAD + NEAR + FAR
    assert fate.loss_db == pytest.approx(2 + 1 + 4)
    expected = 1000 * 10**-0.7
    assert abs(fate.survivors - expected) < 5 * sqrt(expected)


def test_a_circuit_needs_no_header_and_meets_nobody_and_links_choose() -> None:
    bench = Bench()
    begin = bench.kernel.now
    bench.ask(api.SetForwardingMode("one", api.CIRCUIT))
    fate = bench.send("one")
    assert (fate.mode, fate.at_ns - begin) == (api.CIRCUIT, NEAR + FAR)
    one, two = bench.both()
    assert (one.mode, one.lost, two.mode, two.lost) == (api.CIRCUIT, "", api.PACKET, "")


@pytest.mark.realises("E2")
def test_who_meets_another_is_dropped_delayed_or_kept_by_policy() -> None:
    one, two = Bench().both()
    assert sorted((one.lost, two.lost)) == ["", "contention"]
    one, two = Bench(", policy: delay, loop: 5 us, loop_loss: 0.5 dB").both()
    late = max((one, two), key=lambda fate: fate.wait_ns)
    assert (one.lost, two.lost, late.wait_ns) == ("", "", 5_000)
    assert late.loss_db == pytest.approx(7.5)
    one, two = Bench(", policy: buffer, t2: 10 us").both()
    late = max((one, two), key=lambda fate: fate.wait_ns)
    assert (one.lost, two.lost, late.wait_ns) == ("", "", HOLD)
    assert late.coherence == pytest.approx(exp(-HOLD / 10_000))
    assert abs(one.at_ns - two.at_ns) == HOLD
    one, two = Bench(", channels: 2").both()
    assert sorted((one.lost, two.lost)) == ["", "contention"]  # both are on the first channel, which nothing converts


def test_a_payload_that_overtakes_its_header_or_comes_too_weak_or_late_is_lost() -> None:
    bench = Bench()
    # Two switches read it, and the second must be set: 2 + 2 + 1 us, less the guard.
    assert bench.send("one", offset_ns=4_949).lost == "offset"
    assert bench.send("one", offset_ns=4_950).lost == ""
    assert bench.send("one", budget_db=6.9).lost == "budget"
    assert bench.send("one", ttl_ns=AHEAD + NEAR + FAR - 1).lost == "ttl"
    assert bench.send("one", ttl_ns=AHEAD + NEAR + FAR).lost == ""
    bench.world.ask(FATE, Strike("cut", "bc"))
    bench.world.run_until(2 * S)
    assert bench.send("one").lost == "dark"
    bench.ask(api.SetForwardingMode("one", api.CIRCUIT))
    fate = bench.send("one")
    assert (fate.lost, fate.survivors) == ("dark", 0)


@pytest.mark.parametrize(
    ("msg", "code"),
    [
        (api.SendPacket("nope", 10), "no-such-element"),
        (api.SendPacket("one", 0), "malformed"),
        (api.SendPacket("one", 10, offset_ns=-1), "malformed"),
        (api.SendPacket("one", 10, budget_db=float("nan")), "malformed"),
        (api.SetForwardingMode("one", "teleport"), "malformed"),
        (api.SetForwardingMode("nope", "packet"), "no-such-element"),
    ],
)
def test_what_makes_no_sense_is_refused(msg: Any, code: str) -> None:
    with pytest.raises(Problem) as found:
        Bench().ask(msg)
    assert found.value.code == code


# -- a port against closed forms ---------------------------------------------------------------------------

BATCHES, EACH = 20, 10_000


def arrivals(load: float, hold_ns: int, batch: int) -> list[int]:
    """A Poisson process in whole ns, in erlang of one server."""
    gaps = np.random.default_rng((7, batch)).exponential(hold_ns / load, EACH)
    return [int(at) for at in np.cumsum(gaps)]


def close_to(samples: list[float], expected: float) -> None:
    mean, sigma = float(np.mean(samples)), float(np.std(samples, ddof=1)) / sqrt(len(samples))
    assert abs(mean - expected) < 5 * sigma, (mean, expected, sigma)
    assert sigma < 0.03 * expected


def erlang_b(servers: int, load: float) -> float:
    terms = [load**n / factorial(n) for n in range(servers + 1)]
    return terms[-1] / sum(terms)


@pytest.mark.parametrize(("channels", "load"), [(1, 0.3), (1, 1.0), (4, 2.5)])
def test_dropping_loses_what_erlang_says(channels: int, load: float) -> None:
    lost = []
    for batch in range(BATCHES):
        port = Port(Switching(channels=channels))
        taken = [port.take(at, 10_000) for at in arrivals(load, 10_000, batch)]
        lost.append(sum(one is None for one in taken) / EACH)
    close_to(lost, erlang_b(channels, load))


@pytest.mark.parametrize("load", [0.3, 0.6])
def test_memories_make_a_payload_wait_as_in_an_m_d_1_queue(load: float) -> None:
    waits = []
    for batch in range(BATCHES):
        port = Port(Switching(policy="buffer", memories=10_000))
        taken = [port.take(at, 10_000) for at in arrivals(load, 10_000, batch)]
        waits.append(sum(one.wait_ns for one in taken if one is not None) / EACH)
    close_to(waits, load * 10_000 / (2 * (1 - load)))


def test_loops_lose_less_than_dropping_and_more_than_memories() -> None:
    def lost(switching: Switching) -> int:
        port = Port(switching)
        return sum(port.take(at, 10_000) is None for at in arrivals(0.6, 10_000, 0))

    none, few, many = (
        lost(Switching(policy="drop")),
        lost(Switching(policy="delay", loop_ns=12_000, turns=2, lines=2)),
        lost(Switching(policy="buffer", memories=100)),
    )
    assert none > few > many == 0
    assert lost(Switching(policy="delay", loop_ns=9_999, lines=10)) == none  # a loop is too short for the payload
    assert lost(Switching(policy="buffer", memories=0)) == none
