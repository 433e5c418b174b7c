"""Test rounds: the ends of a unit make sure for themselves that its states are as good as they were promised.

A unit with `tests` is made in *turns* of as many states as it has. When all parties hold all qubits of a turn, each
adds random bytes from its own root, made just then; together they decide whether this turn is tested or delivered, and
in which bases. Nobody who makes states can know it while they are being made, and no single end decides it alone, but
for the originator's, which adds its bytes last.

First as many states are tested as were asked for. Of the m + 1 turns that would test as many again, one is delivered,
each with the same probability, and those before it are tested as well. So a state that is delivered is one like all
others, chosen at random, also against a network that becomes worse once it believes itself trusted: it hits the right
turn with probability 1 / (m + 1), or is tested. It is delivered only if the last tests show the fidelity that was asked
for, with the confidence that was asked for, and no longer than a state of what they show at least would keep it. If
they contradict what control promised, the unit fails, control hears which links are under suspicion, and an alarm
stands.
"""

from __future__ import annotations

import hashlib
import hmac
from math import ceil
from typing import Any

from msgspec.structs import replace

from quoit.fabric.api import PAIR_CONTROLLER, JudgeLinks
from quoit.model.problem import Problem
from quoit.model.secret import Secret
from quoit.model.unit import UnitState
from quoit.runtime.context import Context
from quoit.runtime.element import handles
from quoit.service.api import PAIR_NEWS, eme
from quoit.service.calendar import Calendar
from quoit.service.directory import Attachment
from quoit.service.kinds import Kind, Setting, kind_of
from quoit.service.opening import Opening
from quoit.service.planning import NEWS_NS, Centre
from quoit.service.states import (
    Assembled,
    Deliver,
    Heard,
    Holding,
    MakeAgain,
    Promise,
    PromiseTested,
    ReadTests,
    StateReady,
    TestsRead,
)
from quoit.service.trials import FALSE_ALARM, Estimate, dice, estimate, thrown
from quoit.service.unitbook import ENDED, LeadSide, StatesUnit

WITHIN = 5_000_000_000


class Rounds(Opening):
    """The part of an entanglement management entity that tests. `root`: what its random bytes grow from."""

    def __init__(
        self,
        name: str,
        node: str,
        domain: str,
        stage: int,
        apps: tuple[Attachment, ...],
        centres: tuple[Centre, ...],
        calendar: Calendar,
        root: bytes,
    ) -> None:
        super().__init__(name, node, domain, stage, apps, centres, calendar)
        self._root = Secret(root)
        self._throws = 0

    # -- as a party's EME ----------------------------------------------------------------------------

    def _hold(self, ctx: Context, unit: StatesUnit, sae: str, msg: StateReady) -> None:
        """A qubit of a turn is here, and is not its application's yet."""
        held = unit.held.setdefault(sae, {})
        if any(other.turn != msg.turn for other in held.values()):
            held.clear()
        held[msg.index] = msg
        # Numbered, and not named by the unit: its name is random, and must not decide what happens in virtual time.
        self._throws += 1
        chance = hmac.digest(self._root.reveal(), self._throws.to_bytes(8, "big"), hashlib.sha256)
        news = Holding(
            msg.unit_id, msg.turn, msg.index, sae, chance, msg.fidelity, msg.at_ns, msg.expires_ns
        )  # fmt: skip
        ctx.tell(unit.lead, news)

    def _turn_held(self, unit_id: str, sae: str, turn: int) -> tuple[StatesUnit, dict[int, StateReady]]:
        unit = self._units.get(unit_id)
        if unit is None or unit.state in ENDED:
            raise Problem("unknown-unit")
        held = unit.held.get(sae, {})
        if len(held) != unit.wanted.number or any(msg.turn != turn for msg in held.values()):
            raise Problem("bad-operation", f"turn {turn} of the unit is not whole here")
        return unit, held

    @handles(ReadTests)
    async def on_read(self, ctx: Context, msg: ReadTests) -> TestsRead:
        unit, held = self._turn_held(msg.unit_id, msg.sae, msg.turn)
        unit.held[msg.sae] = {}
        bits = []
        for index, basis in enumerate(msg.bases):
            slot = held[index].slot
            if basis == "I":
                await self._act(ctx, "discard", (slot,))
                bits.append(0)
            else:
                bits.append((await self._act(ctx, "measure", (slot,), basis)).bits[0])
        return TestsRead(tuple(bits))

    @handles(Deliver)
    async def on_deliver(self, ctx: Context, msg: Deliver) -> Heard:
        """All parties here get their qubits, and the centre is done."""
        unit = self._units.get(msg.unit_id)
        if unit is None or unit.state in ENDED:
            raise Problem("unknown-unit")
        unit.estimate, unit.estimate_least = msg.estimate, msg.estimate_least
        unit.estimate_at_ns, unit.tested = msg.at_ns, msg.tests
        self._forget_assembly(msg.unit_id)
        for sae in list(unit.held):
            _, held = self._turn_held(msg.unit_id, sae, msg.turn)
            unit.held[sae] = {}
            for index in sorted(held):
                ends = min(msg.expires_ns, held[index].expires_ns or msg.expires_ns)
                sure = min(held[index].fidelity, msg.estimate_least)
                await self.entrust(ctx, unit, sae, replace(held[index], fidelity=sure, expires_ns=ends))
        for slot in unit.centre_slots:
            await self.give_up(ctx, unit.unit_id, slot)
        return Heard()

    async def entrust(self, ctx: Context, unit: StatesUnit, sae: str, msg: StateReady) -> None:
        """A qubit is its application's from now on."""
        raise NotImplementedError

    # -- as the originator's EME -----------------------------------------------------------------------

    @handles(Holding)
    async def on_holding(self, ctx: Context, msg: Holding) -> None:
        unit = self._units.get(msg.unit_id)
        lead = None if unit is None else unit.lead_side
        if unit is None or lead is None or unit.state in ENDED or msg.turn != lead.turn or msg.sae not in unit.saes:
            return
        lead.holding.setdefault(msg.index, {})[msg.sae] = msg
        whole = [index for index, by in lead.holding.items() if len(by) == len(unit.saes)]
        if len(whole) < unit.wanted.number:
            return
        try:
            await self._round(ctx, unit, lead)
        except Problem as problem:
            if unit.state not in ENDED:
                await self._fail(ctx, unit, problem)

    async def _round(self, ctx: Context, unit: StatesUnit, lead: LeadSide) -> None:
        """A turn is whole at all parties: test it, or deliver it."""
        number, asked = unit.wanted.number, unit.wanted.tests
        kind = kind_of(unit.wanted.kind, len(lead.parties), unit.wanted.edges)
        everyone = [by[sae] for by in lead.holding.values() for sae in unit.saes]
        lead.holding = {}
        together = dice(holding.chance for holding in everyone)
        if any(h.expires_ns is not None and h.expires_ns <= ctx.now + 2 * NEWS_NS for h in everyone):
            # The first of its states are too old by now: they would speak ill of all.
            await self._read(ctx, unit, lead, [Setting("I" * kind.parties)] * number)
            await self._again(ctx, unit, lead)
            return
        if lead.tests >= asked:
            # One of so many turns, each with the same probability, is the one to be delivered.
            left = ceil(asked / number) + 1 - lead.spared
            if thrown(together, "keep", left) == 0:
                await self._deliver(ctx, unit, lead, kind)
                return
            lead.spared += 1
        settings = [kind.setting(thrown(together, f"setting {i}", kind.settings)) for i in range(number)]
        bits = await self._read(ctx, unit, lead, settings)
        worth = [kind.worth(setting, row) for setting, row in zip(settings, bits, strict=True)]
        lead.results = (lead.results + worth)[-asked:]
        lead.promised = (lead.promised + [self._promised_now(ctx, lead, everyone)] * number)[-asked:]
        before, lead.tests = lead.tests, lead.tests + number
        unit.tested = lead.tests
        ctx.emit("unit.tested", unit_id=unit.unit_id, turn=lead.turn, bases=[s.bases for s in settings], worth=worth)
        if before < asked <= lead.tests:
            self._judge(ctx, unit, lead, kind)
        await self._again(ctx, unit, lead)

    @staticmethod
    def _promised_now(ctx: Context, lead: LeadSide, held: list[Holding]) -> float:
        """What the worst of these states must still have, now that the last of its qubits has been read."""
        assert lead.plan is not None
        since = ctx.now - min(holding.at_ns for holding in held)
        return min(holding.fidelity for holding in held) * Promise(lead.plan.star).unharmed(since)

    async def _read(
        self, ctx: Context, unit: StatesUnit, lead: LeadSide, settings: list[Setting]
    ) -> list[tuple[int, ...]]:
        """Every party reads its qubits; bits by state, then by seat."""
        columns = []
        for seat, party in enumerate(lead.parties):
            bases = "".join(setting.bases[seat] for setting in settings)
            order = ReadTests(unit.unit_id, lead.turn, party.sae, bases)
            read: TestsRead = await ctx.ask(eme(party.node), order, within=WITHIN)
            columns.append(read.bits)
        return list(zip(*columns, strict=True))

    async def _again(self, ctx: Context, unit: StatesUnit, lead: LeadSide) -> None:
        if unit.state in ENDED or lead.plan is None:
            return
        turn, lead.turn = lead.turn, lead.turn + 1
        await ctx.ask(eme(lead.plan.centre), MakeAgain(unit.unit_id, turn), within=WITHIN)

    def _judge(self, ctx: Context, unit: StatesUnit, lead: LeadSide, kind: Kind) -> Estimate:
        """What the last tests say: asked for twice, when there are enough and before a delivery. Problems
        `promise-contradicted`, `tests-inconclusive`."""
        readouts = [self._centres[party.node].readout for party in lead.parties]
        promised = sum(lead.promised) / len(lead.promised)
        alarm = estimate(kind, lead.results, FALSE_ALARM / 2, readouts)
        found = estimate(kind, lead.results, 1 - unit.wanted.confidence, readouts)
        unit.estimate, unit.estimate_least, unit.estimate_at_ns = found.fidelity, found.least, ctx.now
        fields = {
            "promised": round(promised, 4), "estimate": round(found.fidelity, 4), "least": round(found.least, 4),
            "tests": found.tests,
        }  # fmt: skip
        if alarm.most < promised:
            text = f"promised {promised:.3f}, {found.tests} tests show {found.fidelity:.3f}, at most {alarm.most:.3f}"
            self._tell_control(ctx, unit, lead, False, text)
            raise Problem("promise-contradicted", text, most=round(alarm.most, 4), **fields)
        if found.least < unit.wanted.fidelity:
            raise _inconclusive(unit, found, fields)
        return found

    async def _deliver(self, ctx: Context, unit: StatesUnit, lead: LeadSide, kind: Kind) -> None:
        found = self._judge(ctx, unit, lead, kind)
        assert lead.plan is not None
        left = Promise(lead.plan.star).unharmed_for(unit.wanted.fidelity / found.least)
        if left is None or left <= 2 * NEWS_NS:
            raise _inconclusive(unit, found, {"least": round(found.least, 4), "tests": found.tests})
        self._tell_control(ctx, unit, lead, True, "")
        order = Deliver(unit.unit_id, lead.turn, found.fidelity, found.least, ctx.now, lead.tests, ctx.now + left)
        for other in (*lead.others, self.name):
            await ctx.ask(other, order, within=WITHIN)
        if unit.state is UnitState.ROUTED:
            assert unit.fidelity is not None
            done = Assembled(unit.unit_id, unit.fidelity, unit.fidelity_at_ns or ctx.now, unit.expires_ns)
            await self.assembled(ctx, unit, lead, done)

    def _tell_control(self, ctx: Context, unit: StatesUnit, lead: LeadSide, sound: bool, text: str) -> None:
        links = () if lead.plan is None else tuple(sorted(set(lead.plan.links)))
        news = PromiseTested(unit.unit_id, links, sound, text, ctx.now)
        ctx.publish(f"{PAIR_NEWS}.{self.name}", news)
        ctx.tell(PAIR_CONTROLLER, JudgeLinks(links, sound))

    async def assembled(self, ctx: Context, unit: StatesUnit, lead: LeadSide, msg: Assembled) -> None:
        """All states are with their parties."""
        raise NotImplementedError


def _inconclusive(unit: StatesUnit, found: Estimate, fields: dict[str, Any]) -> Problem:
    text = (
        f"{found.tests} tests show {found.fidelity:.3f}, and {found.least:.3f} at least with confidence "
        f"{unit.wanted.confidence:g}; asked for was {unit.wanted.fidelity:g}, and some time to use it"
    )
    return Problem("tests-inconclusive", text, **fields)
