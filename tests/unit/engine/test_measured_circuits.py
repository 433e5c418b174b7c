"""Circuits whose pairs are read at once: rates that formulas give, what the world does to them, on and off.

Counts are of renewals and of binomials; comparisons allow five standard deviations (6e-7), fewer than 30 of them.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import pi, sqrt

import pytest

from quoit.engine.api import MEASURED, Chunk, CloseLink, MeasurePairs
from quoit.engine.channels import PairLink
from quoit.engine.kernels.machine import PairMachine, can_compile
from quoit.engine.links.pairs import Setting, Settings
from quoit.engine.measured import MeasuredPairs, MeasuredPlan, Reader
from quoit.engine.program import Circuit, Decay, Hop, Node, Swap, werner_state
from quoit.engine.world import TrueLink, TrueSpan, World
from quoit.fabric.programs.promises import mean
from quoit.model.problem import Problem
from quoit.runtime import seeds
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.kernel import Kernel, PlaneViolation
from quoit.runtime.virtual import VirtualWorld
from quoit.runtime.wire import Message, message

S = 10**9
P, CYCLE, LIGHT = 0.2, 20_000, 5_000
HOP = Hop(LIGHT, P, CYCLE, werner_state(0.97), stored_ns=LIGHT, restart_ns=LIGHT)
DIRECT = Circuit((Node(), Node()), (HOP,))
IN_Z = Settings((Setting(0.0, 1.0),), (Setting(0.0, 1.0),))


@message("test.Say")
class Say(Message):
    """To the bench: tell the engine this."""


class Bench(Element):
    """The modules of both ends in one."""

    stratum, plane = Stratum.FABRIC, Plane.RESOURCE

    def __init__(self) -> None:
        super().__init__("bench", "here")
        self.said: Message = Say()
        self.chunks: list[Chunk] = []

    @handles(Say)
    async def on_say(self, ctx: Context, msg: Say) -> None:
        ctx.tell(MEASURED, self.said)

    @handles(Chunk)
    async def on_chunk(self, ctx: Context, msg: Chunk) -> None:
        assert ctx.now == msg.end_ns + 1  # one processing time away
        self.chunks.append(msg)


class Rig:
    """A world of two pair links in a row, one measured link over them, and a bench."""

    def __init__(
        self, settings: Settings = IN_Z, readers: dict[str, Reader] | None = None, chunk_ns: int = S // 10
    ) -> None:
        names = ("ab", "bc")
        self.world = World(
            {name: TrueSpan(name, 1.0) for name in names},
            {name: TrueLink(name, (name,)) for name in names} | {"key": TrueLink("key", names)},
        )
        links = [PairLink(name, 1.0, 2) for name in names]
        self.bench = Bench()
        plan = MeasuredPlan("key", "bench", chunk_ns, settings)
        self.engine = MeasuredPairs(self.world, links, [plan], readers or {}, 5)
        self.virtual = VirtualWorld(Kernel([self.bench, self.engine], seed=5, latency=lambda here, there: 1))
        self.virtual.begin()

    def say(self, msg: Message) -> None:
        self.bench.said = msg
        kernel = self.virtual.kernel
        kernel.ask_from_outside(kernel.now, "bench", Say(), lambda _: None)

    def chunks(self, seconds: float) -> list[Chunk]:
        """What comes in this stretch of time."""
        before = len(self.bench.chunks)
        self.virtual.run_until(self.virtual.kernel.now + round(seconds * S))
        return self.bench.chunks[before:]

    def run(self, seconds: float) -> tuple[int, int]:
        """Pairs of the chunks of this stretch, and those of them whose results differ."""
        new = self.chunks(seconds)
        return sum(c.counts[0] for c in new), sum(c.counts[1] for c in new)


def measure(program: Circuit, *links: str) -> MeasurePairs:
    return MeasurePairs("key", links, "a", "c" if len(links) == 2 else "b", program)


@pytest.mark.realises("F3")
@pytest.mark.parametrize(("width", "takes_ns"), [(1, 0), (1, 40_000), (3, 0)])
def test_pairs_come_as_often_as_attempts_succeed_and_readouts_end(width: int, takes_ns: int) -> None:
    """A renewal: geometric attempts, then both readouts at the worst one after the other, then light."""
    rig = Rig(readers={"a": Reader(1.0, takes_ns), "b": Reader(1.0, takes_ns)})
    rig.say(measure(replace(DIRECT, width=width), "ab"))
    chunks = rig.chunks(2.0)
    n = sum(c.counts[0] for c in chunks)
    mean_ns = LIGHT + 2 * takes_ns + CYCLE / P
    expected = sum(c.duration_ns for c in chunks) * width / mean_ns
    spread = sqrt(expected) * sqrt(1 - P) * CYCLE / P / mean_ns
    assert abs(n - expected) < 5 * spread + 2 * width


@pytest.mark.realises("F2", "F4")
def test_ageing_swaps_and_readouts_show_in_the_results() -> None:
    """Two links whose pairs wait for each other, in memories that keep and in some that do not. The closed form for two
    links in step has the mean of the correlator."""
    errors = []
    for t2_s in (1e6, 0.002):
        decay = Decay.t1_t2(t2_s, t2_s)
        program = Circuit((Node(decay), Node(decay, Swap(noise=0.98)), Node(decay)), (HOP, HOP))
        rig = Rig(readers={"a": Reader(0.99), "c": Reader(0.98)})
        rig.say(measure(program, "ab", "bc"))
        n, m = rig.run(1.5)
        fidelity = mean(program)
        assert fidelity is not None
        w = (4 * fidelity - 1) / 3 * (2 * 0.99 - 1) * (2 * 0.98 - 1)
        error = (1 - w) / 2
        assert abs(m / n - error) < 5 * sqrt(error * (1 - error) / n)
        errors.append(error)
    assert errors[1] > errors[0] + 0.02  # the test tells them apart


@pytest.mark.realises("F8", "I2")
def test_what_happens_to_the_world_is_in_the_results_and_nowhere_else() -> None:
    z_and_x = Settings((Setting(0.0, 0.5), Setting(pi / 2, 0.5)), (Setting(0.0, 0.5), Setting(pi / 2, 0.5)))
    rig = Rig(z_and_x)
    rig.say(measure(DIRECT, "ab"))

    def errors(edit: str, value: float) -> tuple[float, int]:
        setattr(rig.world.links["ab"], edit, value)
        rig.world.edition += 1
        rig.run(0.2)  # the chunk under way
        chunks = rig.chunks(2.0)
        setattr(rig.world.links["ab"], edit, 0.0)
        total = [sum(c.counts[i] for c in chunks) for i in range(8)]
        return (total[1] + total[7]) / (total[0] + total[6]), total[0] + total[6]

    w = HOP.state[2]
    for edit, value, left in (("depolarised", 0.0, w), ("depolarised", 0.2, 0.8 * w), ("intercepted", 0.5, 0.75 * w)):
        seen, n = errors(edit, value)
        assert abs(seen - (1 - left) / 2) < 5 * sqrt(0.25 / n)
    rig.world.spans["ab"].cut = True
    rig.world.edition += 1
    rig.run(0.2)
    assert rig.run(0.5) == (0, 0)
    rig.world.spans["ab"].cut = False
    rig.world.spans["ab"].bend_db = 3.0103
    rig.world.edition += 1
    rig.run(0.2)
    chunks = rig.chunks(2.0)
    expected = sum(c.duration_ns for c in chunks) / (LIGHT + 2 * CYCLE / P)
    assert abs(sum(sum(c.counts[::2]) for c in chunks) - expected) < 5 * sqrt(expected)


def test_chunks_follow_each_other_without_gaps_until_the_link_is_closed() -> None:
    rig = Rig(chunk_ns=70_000_001)
    rig.say(measure(DIRECT, "ab"))
    rig.run(0.5)
    assert [c.serial for c in rig.bench.chunks] == list(range(1, 8))
    assert {c.duration_ns for c in rig.bench.chunks} == {70_000_001}
    ends = [c.end_ns for c in rig.bench.chunks]
    assert {b - a for a, b in pairwise(ends)} == {70_000_001}
    rig.say(CloseLink("key"))
    assert rig.run(0.5) == (0, 0)
    rig.say(measure(DIRECT, "ab"))
    n, _ = rig.run(0.3)
    assert n > 0
    assert rig.bench.chunks[-1].serial > 8


def test_an_unknown_link_is_refused_and_control_may_not_speak_to_it() -> None:
    with pytest.raises(Problem, match="measures no pairs for 'other'"):
        Rig().virtual.ask(MEASURED, MeasurePairs("other", ("ab",), "a", "b", DIRECT))

    class Control(Bench):
        plane = Plane.CONTROL

    bench = Control()
    bench.said = measure(DIRECT, "ab")
    virtual = VirtualWorld(Kernel([bench, Rig().engine], seed=1, latency=lambda here, there: 1))
    virtual.begin()
    virtual.kernel.ask_from_outside(0, "bench", Say(), lambda _: None)
    with pytest.raises(PlaneViolation):
        virtual.run_until(S)


@pytest.mark.skipif(not can_compile(), reason="numba is not here: the fast extra")
def test_a_state_that_changes_on_the_way_is_the_same_in_compiled_code() -> None:
    program = Circuit((Node(), Node(Decay.t1_t2(1.0, 0.01), Swap()), Node()), (HOP, HOP))
    found = []
    for compiled in (False, True):
        machine = PairMachine([program], lambda purpose, n: seeds.generator(3, purpose, str(n)), compiled=compiled)
        machine.run(S // 100)
        machine.set_state(1, (0.5, 0.25, 0.125))
        found.append(machine.run(S // 50))
    assert len(found[0]) > 20
    assert (found[0].state == found[1].state).all()
    assert found[0].state[-1, 2] < 0.2
