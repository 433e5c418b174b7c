"""L3: entangled pairs of a link are worse than its promise; have its devices calibrated, or units bound to other pairs
(G2, D2).

Nobody sees a fidelity; one measures pairs. Once a period the loop has some made on the link, as any user would, reads
both halves of each in X, Y or Z in turn and counts those that do not agree as they would in Phi+. A pair that control
promises with eigenvalue L in a basis disagrees with probability (1 - L) / 2 there, with waiting and readout taken into
account. More disagree than that: pairs have drifted. The test is Chernoff's bound on a sum of independent events, so a
round of good pairs is taken for bad with a probability of at most 1e-6. Fidelity is 1 - 3/2 of what disagrees.

Calibration mends pairs that are still to be made, and leaves those alone that rest in memories. What was made between
the last good round and the next may be below its promise: where it is, by what the round showed, the QUI of that
segment is bound to other pairs and the unit keeps its identifier. That comes after calibration, if there is time, over
the same link or any other; and before it, away from the link, if a unit would end before the link is good again or
calibration has been tried and did not help. So the decision depends on deadlines, and its record says which.

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
    JudgeLinks,
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
from quoit.service.api import BindingRow, Bindings, GetBindings, RebindUnit, UnitRebound

WORSE = "pairs are worse than promised"
TAINTED = "units rest on pairs from when it had drifted"
BASES = "XYZ"
CHANCE = 1e-6
"""Of taking a round of good pairs for bad."""
MARGIN = 0.01
"""Test pairs are asked for with this much less than the best fidelity, so that control need not strain."""
ROUND_NS = 20_000_000_000
LOOK_NS = 10_000_000
REBOUND_WITHIN = 40_000_000_000


@dataclass(frozen=True)
class TestRounds:
    """What is measured: a link, its ends, pairs a round, memories at each end, and what imperfect readout at both
    leaves of a correlation. `calibration_ns`: how long its devices take; `entities`: who knows what units rest on."""

    __test__ = False
    link: str
    a: str
    b: str
    tests: int
    slots: int
    readout: float
    calibration_ns: int = 0
    entities: tuple[str, ...] = ()


@dataclass
class Round:
    """One round under way: what was counted, and what good pairs would give."""

    circuit: str
    state: tuple[float, float, float] = (1.0, 1.0, 1.0)
    decay_hz: tuple[float, float, float] = (0.0, 0.0, 0.0)
    began_ns: int = 0
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

    @property
    def kept(self) -> float:
        """What is left of the correlations that were promised, 0 to 1."""
        return min(1.0, max(0.0, (self.tested - 2 * self.wrong) / (self.tested - 2 * self.expected)))


@dataclass
class Drift:
    """A time in which the link was bad: what its pairs kept of their promise, since the last good round, until the
    first good one. `calibrated`: that has been tried."""

    since_ns: int
    kept: float
    until_ns: int | None = None
    calibrated: bool = False
    fixed: set[str] = field(default_factory=set)
    """Units that could not be bound to other pairs; they are not asked again."""


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
        self._good_ns = 0
        self._drift: Drift | None = None
        self._distrusted = False
        self._binding = False

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
        only = PlanPairs(t.a, t.b, via=(t.link,), tested=True)  # in doubt, too: how else should it be trusted again?
        best: PairPlan = await ctx.ask(PAIR_CONTROLLER, only, within=WITHIN)
        floor = (1 + sum(best.state)) / 4 - MARGIN
        run = self._round = Round(f"test {t.link} {self._rounds}", began_ns=ctx.now, asked=len(here))
        order = OpenCircuit(
            run.circuit, t.a, t.b, floor, here, there, self.name, self.name, via=(t.link,), tested=True
        )  # fmt: skip
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
            return await self._good_again(ctx, seen)
        if self._drift is None or self._drift.until_ns is not None:
            self._drift = Drift(self._good_ns, seen.kept)
        self._drift.kept = min(self._drift.kept, seen.kept)
        evidence = {"fidelity": round(seen.fidelity, 4), "promised": round(seen.promised, 4), "tests": seen.tested}
        text = f"fidelity {seen.fidelity:.3f} by {seen.tested} tests, {seen.promised:.3f} expected at least"
        self.alarms.raise_(ctx, link, WORSE, Severity.MAJOR, text)
        return Finding(link, WORSE, evidence)

    async def _good_again(self, ctx: Context, seen: Round) -> Finding | None:
        """The link is as promised. Are there units left from when it was not?"""
        link, drift = self._tests.link, self._drift
        self.alarms.clear(ctx, link, WORSE)
        self._good_ns = seen.began_ns
        if self._distrusted:
            self._distrusted = False
            ctx.tell(PAIR_CONTROLLER, JudgeLinks((link,), True))
        if drift is None:
            return None
        if drift.until_ns is None:
            drift.until_ns = ctx.now
        rows = await self._harmed(ctx, drift)
        if not rows:
            self._drift = None
            return None
        return Finding(link, TAINTED, {"units": sorted({row.unit_id for row in rows}), "kept": round(drift.kept, 3)})

    async def _harmed(self, ctx: Context, drift: Drift) -> list[BindingRow]:
        """What rests on the link's pairs of that time, is below what it needs, and could be bound to others."""
        found: list[BindingRow] = []
        for entity in self._tests.entities:
            ask = GetBindings(self._tests.link, drift.since_ns, drift.kept)
            answer: Bindings = await ctx.ask(entity, ask, within=WITHIN)
            found += (row for row in answer.rows if drift.until_ns is None or row.made_ns < drift.until_ns)
        return [
            row for row in found if row.fidelity < row.needed and not row.fixed and row.unit_id not in drift.fixed
        ]  # fmt: skip

    async def decide(self, ctx: Context, finding: Finding) -> Action | None:
        link, drift = self._tests.link, self._drift
        assert drift is not None
        rows = await self._harmed(ctx, drift)
        why = TAINTED if finding.cause == TAINTED else self._cannot_wait(ctx.now, rows, drift)
        self._binding = bool(rows and why)
        if self._binding:
            units = tuple(dict.fromkeys(row.unit_id for row in rows))
            kept = [f"{row.qui} at {row.fidelity:.3f}, needs {row.needed:g}" for row in rows]
            fields = {"units": list(units), "why": why, "quis": kept}
            touched = (f"pair link {link}", *(f"unit {unit}" for unit in units))
            return Action(f"bind {len(units)} unit(s) to other pairs: {why}", touched, fields)
        if finding.cause == TAINTED:
            return None
        return Action(f"calibrate {link}", (f"pair link {link}",), {"units": len(rows)})

    def _cannot_wait(self, now: int, rows: list[BindingRow], drift: Drift) -> str:
        """Why calibration would not do for these units; empty: it may come first."""
        if drift.calibrated:
            return "calibration did not help"
        ends = [row.expires_ns for row in rows if row.expires_ns is not None]
        good_ns = now + self._tests.calibration_ns + self.plan.period_ns
        if ends and min(ends) < good_ns:
            left_s, takes_s = (min(ends) - now) / 1e9, (good_ns - now) / 1e9
            return f"calibration and a round take {takes_s:.1f} s, a unit ends in {left_s:.1f} s"
        return ""

    async def execute(self, ctx: Context, action: Action) -> str:
        if "why" in action.fields:
            return await self._rebind(ctx, action)
        began = ctx.now
        if self._drift is not None:
            self._drift.calibrated = True
        await ctx.ask(PAIR_CONTROLLER, CalibrateLink(self._tests.link), within=SWITCHED_WITHIN)
        return f"calibrated within {(ctx.now - began) / 1e9:.2f} s"

    async def _rebind(self, ctx: Context, action: Action) -> str:
        """Away from the link, if it is still bad; a unit that cannot be bound anew stays as it is."""
        drift, link, began = self._drift, self._tests.link, ctx.now
        assert drift is not None
        if drift.until_ns is None and not self._distrusted:
            self._distrusted = True
            ctx.tell(PAIR_CONTROLLER, JudgeLinks((link,), False))
        bound: list[UnitRebound] = []
        refused: list[str] = []
        harmed = {row.unit_id: row for row in await self._harmed(ctx, drift)}
        for row in [harmed[unit] for unit in action.fields["units"] if unit in harmed]:
            order = RebindUnit(row.unit_id, action.fields["why"])
            try:
                bound.append(await ctx.ask(row.entity, order, within=REBOUND_WITHIN))
            except Problem as problem:
                drift.fixed.add(row.unit_id)
                refused.append(f"{problem.row.title}" + (f" ({problem.detail})" if problem.detail else ""))
        if not bound:
            raise Problem("not-rebindable", "; ".join(dict.fromkeys(refused)) or "nothing was left to be bound")
        over = ", ".join(sorted({" and ".join(one.links) for one in bound}))
        left = f"; {len(refused)} stay as they are: {'; '.join(dict.fromkeys(refused))}" if refused else ""
        return f"{len(bound)} unit(s) bound to pairs over {over} within {(ctx.now - began) / 1e9:.2f} s{left}"

    async def helped(self, ctx: Context, finding: Finding, seen: Round | None) -> bool:
        """After a calibration a whole round says so; after units were bound anew, that none is left to be."""
        if self._binding:
            return self._drift is None or not await self._harmed(ctx, self._drift)
        found = None if seen is None else await self.analyse(ctx, seen)
        return seen is not None and (found is None or found.cause == TAINTED)
