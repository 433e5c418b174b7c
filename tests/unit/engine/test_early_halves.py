"""Halves that are handed over early: each end has its own as soon as it has heard, and the state is the same pair."""

from __future__ import annotations

import pytest

from quoit.engine.api import PAIRS, InstallCircuit, PairHeld
from quoit.engine.entangler import Entangler, PairLink
from quoit.engine.ledger import Node
from quoit.engine.program import Circuit, Decay, Hop, Swap, fidelity_of
from quoit.engine.program import Node as ProgramNode
from quoit.engine.states.memory import MemoryNoise
from quoit.engine.world import TrueLink, TrueSpan, World
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.kernel import Kernel

LIGHT_NS = 100_000, 900_000
DECAY = Decay.t1_t2(1e9, 0.01)


class Listener(Element):
    stratum, plane = Stratum.FABRIC, Plane.RESOURCE

    def __init__(self, name: str, entangler: Entangler) -> None:
        super().__init__(name, name)
        self._entangler = entangler
        self.heard: list[tuple[int, PairHeld, float]] = []

    @handles(PairHeld)
    async def on_held(self, ctx: Context, msg: PairHeld) -> None:
        node = {"left": ("a", msg.slot), "right": ("c", msg.slot)}[self.name]
        self.heard.append((ctx.now, msg, self._entangler.ledger.observe(node, ctx.now).fidelity()))


def played(early: bool) -> tuple[Listener, Listener]:
    hops = tuple(Hop(light, 0.1, 2 * light, (0.96, 0.96, 0.96), stored_ns=light) for light in LIGHT_NS)
    nodes = (ProgramNode(DECAY), ProgramNode(DECAY, Swap()), ProgramNode(DECAY))
    world = World({"s": TrueSpan("s", 1.0)}, {name: TrueLink(name, ("s",)) for name in ("ab", "bc")})
    memory = Node(MemoryNoise(t1_s=1e9, t2_s=0.01, twirled=True))
    links = PairLink("ab", 1.0, 2), PairLink("bc", 1.0, 2)
    entangler = Entangler(world, links, {"a": memory, "b": memory, "c": memory}, 5)
    ends = Listener("left", entangler), Listener("right", entangler)
    kernel = Kernel([entangler, *ends])
    slots = tuple(range(6))
    circuit = Circuit(nodes, hops, 1, 6)
    install = InstallCircuit("q", ("ab", "bc"), "a", "c", "left", "right", circuit, slots, slots, early=early)
    kernel.start()
    kernel.ask_from_outside(0, PAIRS, install, lambda _: None)
    kernel.run(10**9)
    return ends


def test_each_end_hears_at_its_own_time_and_never_before_it() -> None:
    left, right = played(early=True)
    assert [m.number for _, m, _ in left.heard] == [m.number for _, m, _ in right.heard] == list(range(1, 7))
    for (l_now, l, _), (r_now, r, _) in zip(left.heard, right.heard, strict=True):
        assert (l_now, r_now) == (l.heralded_ns, r.heralded_ns)
        assert l.corrected_ns == r.corrected_ns == max(l_now, r_now)
        assert l.attempt_ns == r.attempt_ns < min(l_now, r_now)
    gaps = {abs(l - r) for (l, _, _), (r, _, _) in zip(left.heard, right.heard, strict=True)}
    assert gaps == {LIGHT_NS[1] - LIGHT_NS[0]}


def test_without_it_both_hear_when_both_know() -> None:
    left, right = played(early=False)
    assert [now for now, _, _ in left.heard] == [m.corrected_ns for _, m, _ in right.heard]
    assert all(now == m.corrected_ns for now, m, _ in (*left.heard, *right.heard))


def test_an_early_pair_is_the_same_pair_a_little_younger() -> None:
    """The truth at the later end's time is alike whichever way the halves were handed over."""
    (_, late), (_, plain) = played(early=True), played(early=False)
    for (now, one, seen), (then, other, expected) in zip(late.heard, plain.heard, strict=True):
        if now == then:
            assert one.number == other.number
            assert seen == pytest.approx(expected, abs=1e-9)
    assert sum(now == then for (now, _, _), (then, _, _) in zip(late.heard, plain.heard, strict=True)) >= 1
    assert fidelity_of((0.96, 0.96, 0.96)) > max(f for _, _, f in late.heard)
