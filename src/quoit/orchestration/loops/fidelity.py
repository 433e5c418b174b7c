"""L3: entangled pairs of a link are worse than its promise; have its devices calibrated (G2, D2).

Nobody sees a fidelity; one measures pairs. Once a period the loop has some made on the link, as any user would, reads
both halves of each in X, Y or Z in turn and counts those that do not agree as they would in Phi+. A pair that control
promises with eigenvalue L in a basis disagrees with probability (1 - L) / 2 there, with waiting and readout taken into
account. More disagree than that: pairs have drifted. The test is Chernoff's bound on a sum of independent events, so a
round of good pairs is taken for bad with a probability of at most 1e-6. Fidelity is 1 - 3/2 of what disagrees.

Test rounds cost pairs and, for a moment, memories. Where memories are short the round is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, log

from quoit.fabric.api import (
    PAIR_CONTROLLER,
    CalibrateLink,
    CloseCircuit,
    FreeSlots,
    HalfReady,
    OpenCircuit,
    OperateSlots,
    PairPlan,
    PlanPairs,
    RenewHalf,
    ReserveSlots,
    Slots,
    SlotsDone,
    memory,
)
from quoit.model.problem import Problem
from quoit.orchestration.loops.channel import SWITCHED_WITHIN, WITHIN
from quoit.planes.loop import Action, ClosedLoop, Finding, LoopPlan
from quoit.planes.management import Severity
from quoit.runtime.context import Context
from quoit.runtime.element import Stratum, handles

WORSE = "pairs are worse than promised"
BASES = "XYZ"
CHANCE = 1e-6
"""Of taking a round of good pairs for bad."""
MARGIN = 0.01
"""Test pairs are asked for with this much less than the best fidelity, so that control need not strain."""
ROUND_NS = 20_000_000_000
LOOK_NS = 10_000_000


@dataclass(frozen=True)
class TestRounds:
    """What is measured: a link, its ends, pairs a round, memories at each end, and what imperfect readout at both
    leaves of a correlation."""

    __test__ = False
    link: str
    a: str
    b: str
    tests: int
    slots: int
    readout: float


@dataclass
class Round:
    """One round under way: what was counted, and what good pairs would give."""

    circuit: str
    state: tuple[float, float, float] = (1.0, 1.0, 1.0)
    decay_hz: tuple[float, float, float] = (0.0, 0.0, 0.0)
    asked: int = 0
    tested: int = 0
    wrong: int = 0
    expected: float = 0.0
    halves: dict[int, dict[str, tuple[int, int]]] = field(default_factory=dict)

    @property
    def fidelity(self) -> float:
        """Estimated from what was counted."""
        return 1 - 1.5 * self.wrong / self.tested

    @property
    def promised(self) -> float:
        """What it would be with as many as expected."""
        return 1 - 1.5 * self.expected / self.tested


def too_many(counted: int, expected: float, chance: float = CHANCE) -> bool:
    """Whether so many independent events, where so many are expected at most, are too many for chance.

    Chernoff: P(K >= k) <= exp(k - m - k ln(k / m)) for k > m.
    """
    if counted <= expected:
        return False
    floor = max(expected, 1e-9)
    return counted * log(counted / floor) - counted + floor > -log(chance)


class FidelityLoop(ClosedLoop):
    """Watches the pairs of one link."""

    stratum, realises = Stratum.FABRIC, ("G2", "D2")

    def __init__(self, place: str, plan: LoopPlan, tests: TestRounds) -> None:
        super().__init__(place, plan)
        self._tests = tests
        self._rounds = 0
        self._round: Round | None = None

    # -- monitor -------------------------------------------------------------------------------------

    async def monitor(self, ctx: Context) -> Round | None:
        """A round of test pairs; None if there was no room for it, or too few came in time."""
        t = self._tests
        self._rounds += 1
        taken: list[tuple[str, tuple[int, ...]]] = []
        try:
            for node in (t.a, t.b):
                slots: Slots = await ctx.ask(memory(node), ReserveSlots(self.name, t.slots), within=WITHIN)
                taken.append((node, slots.slots))
            return await self._measured(ctx, taken[0][1], taken[1][1])
        except Problem as problem:
            if problem.code not in ("no-memory", "no-route"):
                raise
            ctx.emit("loop.round_left_out", link=t.link, code=problem.code)
            return None
        finally:
            for node, numbers in taken:
                ctx.tell(memory(node), FreeSlots(self.name, numbers))

    async def _measured(self, ctx: Context, here: tuple[int, ...], there: tuple[int, ...]) -> Round | None:
        t = self._tests
        best: PairPlan = await ctx.ask(PAIR_CONTROLLER, PlanPairs(t.a, t.b), within=WITHIN)
        if best.links != (t.link,):
            return None  # control would take another way between these nodes
        floor = (1 + sum(best.state)) / 4 - MARGIN
        run = self._round = Round(f"test {t.link} {self._rounds}", asked=len(here))
        order = OpenCircuit(run.circuit, t.a, t.b, floor, here, there, self.name, self.name)
        try:
            plan: PairPlan = await ctx.ask(PAIR_CONTROLLER, order, within=WITHIN)
            run.state, run.decay_hz = plan.state, plan.decay_hz
            until = ctx.now + ROUND_NS
            while run.tested < t.tests and ctx.now < until:
                await ctx.sleep(LOOK_NS)
        finally:
            self._round = None
            ctx.tell(PAIR_CONTROLLER, CloseCircuit(run.circuit))
        return run if run.tested >= t.tests else None

    @handles(HalfReady)
    async def on_half(self, ctx: Context, msg: HalfReady) -> None:
        run = self._round
        if run is None or msg.circuit != run.circuit:
            return
        ends = run.halves.setdefault(msg.number, {})
        ends[msg.node] = msg.slot, msg.at_ns
        if len(ends) < 2:
            return
        del run.halves[msg.number]
        try:
            await self._test(ctx, run, msg.number % 3, ends)
        except Problem as problem:
            if self._round is run:
                ctx.log.warning("test_pair.lost", circuit=run.circuit, code=problem.code)

    async def _test(self, ctx: Context, run: Round, basis: int, ends: dict[str, tuple[int, int]]) -> None:
        t = self._tests
        bits: list[int] = []
        last_ns = 0
        for node in (t.a, t.b):
            order = OperateSlots(self.name, "measure", (ends[node][0],), BASES[basis])
            done: SlotsDone = await ctx.ask(memory(node), order, within=WITHIN)
            bits += done.bits
            last_ns = max(last_ns, done.done_ns)
        if self._round is not run or run.tested >= t.tests:
            return
        waited_s = (last_ns - min(at for _, at in ends.values())) / 1e9
        kept = t.readout * run.state[basis] * exp(-run.decay_hz[basis] * waited_s)
        run.tested += 1
        run.expected += (1 - kept) / 2
        run.wrong += (bits[0] != bits[1]) != (BASES[basis] == "Y")
        if run.asked < t.tests:
            run.asked += 1
            renew = RenewHalf(run.circuit, ends[t.a][0], ends[t.b][0])
            await ctx.ask(PAIR_CONTROLLER, renew, within=WITHIN)

    # -- analyse, decide, execute --------------------------------------------------------------------

    async def analyse(self, ctx: Context, seen: Round | None) -> Finding | None:
        if seen is None:
            return None
        link = self._tests.link
        ctx.gauge("quoit_pair_link_fidelity", (link,), seen.fidelity)
        if not too_many(seen.wrong, seen.expected):
            self.alarms.clear(ctx, link, WORSE)
            return None
        evidence = {"fidelity": round(seen.fidelity, 4), "promised": round(seen.promised, 4), "tests": seen.tested}
        text = f"fidelity {seen.fidelity:.3f} by {seen.tested} tests, {seen.promised:.3f} expected at least"
        self.alarms.raise_(ctx, link, WORSE, Severity.MAJOR, text)
        return Finding(link, WORSE, evidence)

    async def decide(self, ctx: Context, finding: Finding) -> Action | None:
        link = self._tests.link
        return Action(f"calibrate {link}", (f"pair link {link}",), {})

    async def execute(self, ctx: Context, action: Action) -> str:
        began = ctx.now
        await ctx.ask(PAIR_CONTROLLER, CalibrateLink(self._tests.link), within=SWITCHED_WITHIN)
        return f"calibrated within {(ctx.now - began) / 1e9:.2f} s"

    async def helped(self, ctx: Context, finding: Finding, seen: Round | None) -> bool:
        """A whole round says so."""
        return seen is not None and await self.analyse(ctx, seen) is None
