"""The entanglement management entity: where applications get shared states, and what they do with them (B6, D1).

The originator's EME plans a star of pairs and waits for its turn (`service.opening`), has every party's EME keep
memories (prepare), has the fabric make the pairs, and lets the centre put the states together (`service.assembly`).
Nobody is told of a state before it is whole, within its promise and, if that was asked for, tested (`service.rounds`);
when a promise cannot be kept any more, the unit has expired everywhere.
"""

from __future__ import annotations

from quoit.fabric.api import FreeSlots, ReserveSlots, Slots, memory
from quoit.model.lifecycle import Lifecycle
from quoit.model.problem import Problem
from quoit.model.unit import UnitState
from quoit.model.urn import Urn, covers
from quoit.runtime.context import Context
from quoit.runtime.element import Plane, Stratum, handles
from quoit.service.api import CloseUnit, GetUnit, ListUnits, Unit, Units, eme
from quoit.service.calendar import Calendar
from quoit.service.directory import Attachment
from quoit.service.opening import WATCH_NS
from quoit.service.planning import Centre
from quoit.service.rebinding import Rebinding
from quoit.service.scheduler import SCHEDULER, UnitFreed, UnitOver, UnitSettled
from quoit.service.states import (
    Assembled,
    DropHalf,
    EndStates,
    ExpireStates,
    HaveUnit,
    Heard,
    PartyDone,
    Prepared,
    PrepareStates,
    StateReady,
    UndoStates,
    Wanted,
    WatchUnit,
)
from quoit.service.unitbook import ENDED, YOUNG, LeadSide, StatesUnit

WITHIN = 5_000_000_000
PRESENCE_NS = 1_000_000_000
"""How long EMEs of a unit wait for the answer that the others are there."""


class Eme(Rebinding):
    """One entanglement management entity, for the applications at one node."""

    stratum, plane = Stratum.SERVICE, Plane.RESOURCE
    realises = ("B1", "B5", "B6", "D1", "D5")

    def __init__(
        self,
        node: str,
        domain: str,
        stage: int,
        apps: tuple[Attachment, ...],
        centres: tuple[Centre, ...],
        calendar: Calendar,
        root: bytes,
        anchored: bool = False,
    ) -> None:
        """`anchored`: control resolves sets of nodes by anchors."""
        super().__init__(eme(node), node, domain, stage, apps, centres, calendar, root)
        self._anchored = anchored

    # -- as a party's EME ----------------------------------------------------------------------------

    @handles(PrepareStates)
    async def on_prepare(self, ctx: Context, msg: PrepareStates) -> Prepared:
        unit = self._units.get(msg.unit_id)
        if unit is None:
            lifecycle = Lifecycle.parse(msg.lifecycle, self._calendar.namespace)
            wanted = Wanted.of(lifecycle, len(msg.parties))
            unit = StatesUnit(
                msg.unit_id, msg.endpoints, msg.lifecycle, msg.originator, msg.parties, ctx.now, wanted,
                msg.lead, UnitState.ROUTED,
            )  # fmt: skip
            self._remember(unit)
            ctx.tell(self.name, WatchUnit(msg.unit_id), after=WATCH_NS)
        slots: tuple[int, ...] = ()
        if msg.number:
            order = ReserveSlots(self.name, msg.number, unit.wanted.priority, f"{msg.unit_id} {msg.sae}")
            answer: Slots = await ctx.ask(memory(self._node), order, within=WITHIN)
            slots = answer.slots
        if unit.state in ENDED or self._units.get(msg.unit_id) is not unit:  # meanwhile
            if slots:
                await ctx.ask(memory(self._node), FreeSlots(self.name, slots), within=WITHIN)
            raise Problem("unknown-unit")
        if msg.sae:
            unit.here[msg.sae] = slots
            unit.ready[msg.sae], unit.used[msg.sae] = set(), set()
        else:
            unit.centre_slots = (*unit.centre_slots, *slots)
        return Prepared(slots)

    @handles(UndoStates)
    async def on_undo(self, ctx: Context, msg: UndoStates) -> Heard:
        unit = self._units.get(msg.unit_id)
        if unit is not None:
            self._forget_assembly(msg.unit_id)
            await self._release(ctx, unit)
            unit.here, unit.ready, unit.used = {}, {}, {}
            if unit.lead != self.name:
                self._units.pop(msg.unit_id, None)
        return Heard()

    @handles(DropHalf)
    async def on_drop(self, ctx: Context, msg: DropHalf) -> Heard:
        await self._act(ctx, "discard", (msg.slot,))
        return Heard()

    @handles(StateReady)
    async def on_ready(self, ctx: Context, msg: StateReady) -> Heard:
        await self.ready_here(ctx, msg)
        return Heard()

    async def ready_here(self, ctx: Context, msg: StateReady) -> None:
        unit = self._units.get(msg.unit_id)
        if unit is None or unit.state in (UnitState.FAILED, UnitState.EXPIRED):
            raise Problem("unknown-unit")
        if msg.expires_ns is not None and ctx.now >= msg.expires_ns and not unit.wanted.tests:
            raise Problem("fidelity-unreachable", "the news came after the promise had ended")
        sae = next((s for s, slots in unit.here.items() if msg.slot in slots), "")
        if not sae:
            # the party at the centre: its qubit is the one that stayed there
            sae = next(s for s, slots in unit.here.items() if len(slots) < unit.wanted.number)
            unit.here[sae] = (*unit.here[sae], msg.slot)
            unit.centre_slots = tuple(s for s in unit.centre_slots if s != msg.slot)
        if msg.pauli != "I":
            await self._act(ctx, "correct", (msg.slot,), pauli=msg.pauli)
        if unit.wanted.tests:
            self._hold(ctx, unit, sae, msg)
        else:
            await self.entrust(ctx, unit, sae, msg)

    async def entrust(self, ctx: Context, unit: StatesUnit, sae: str, msg: StateReady) -> None:
        unit.index[msg.slot] = msg.index
        self._memory[msg.slot] = sae
        self._touched.discard(msg.slot)
        self._unit_of[msg.slot] = unit.unit_id, sae
        unit.ready[sae].add(msg.slot)
        unit.fidelity = msg.fidelity if unit.fidelity is None else min(unit.fidelity, msg.fidelity)
        unit.fidelity_at_ns = msg.at_ns
        self._until(ctx, unit, msg.expires_ns)
        if unit.asleep is not None and len(unit.ready[sae]) == unit.wanted.number:
            self.awake(ctx, unit)
        await self._measured(ctx, unit, sae, msg)
        if len(unit.ready[sae]) == unit.wanted.number and unit.lead != self.name and unit.state is UnitState.ROUTED:
            self._step(ctx, unit, UnitState.ESTABLISHED)
            if unit.used[sae] == unit.ready[sae]:
                self._step(ctx, unit, UnitState.CONSUMED)

    async def _measured(self, ctx: Context, unit: StatesUnit, sae: str, msg: StateReady) -> None:
        """Where states are not kept: read the qubit now. Its result is what the party gets."""
        if unit.wanted.deliver == "measure":
            done = await self._act(ctx, "measure", (msg.slot,), unit.wanted.basis)
            unit.outcomes.setdefault(sae, {})[msg.index] = done.bits[0]
            await self.used(ctx, msg.slot)

    def _until(self, ctx: Context, unit: StatesUnit, expires_ns: int | None) -> None:
        """The unit's promise ends at the earliest instant that was heard of."""
        if expires_ns is not None and (unit.expires_ns is None or expires_ns < unit.expires_ns):
            unit.expires_ns = expires_ns
            ctx.tell(self.name, ExpireStates(unit.unit_id), after=max(0, expires_ns - ctx.now))

    @handles(Assembled)
    async def on_assembled(self, ctx: Context, msg: Assembled) -> None:
        unit = self._units.get(msg.unit_id)
        if unit is None or unit.lead_side is None:
            return
        if unit.lead_side.remaking:
            unit.lead_side.remade = msg
            return
        if unit.state not in YOUNG:
            return
        if msg.why:
            await self._fail(ctx, unit, Problem("peer-unreachable", msg.why))
            return
        await self.assembled(ctx, unit, unit.lead_side, msg)

    async def assembled(self, ctx: Context, unit: StatesUnit, lead: LeadSide, msg: Assembled) -> None:
        unit.fidelity, unit.fidelity_at_ns = msg.fidelity, msg.at_ns
        self._until(ctx, unit, msg.expires_ns)
        self._step(ctx, unit, UnitState.ESTABLISHED)
        left = {party.node: unit.wanted.number for party in lead.parties if party.sae not in lead.done}
        ctx.tell(SCHEDULER, UnitSettled(unit.unit_id, left))
        if lead.done:  # parties that did not keep their qubits
            self._done(ctx, unit, lead)
        await self._close_circuits(ctx, lead)

    # -- ends ----------------------------------------------------------------------------------------

    @handles(ExpireStates)
    async def on_expire(self, ctx: Context, msg: ExpireStates) -> None:
        unit = self._units.get(msg.unit_id)
        if unit is None or unit.expires_ns is None or ctx.now < unit.expires_ns:
            return
        if unit.state in (UnitState.ESTABLISHED, UnitState.DELIVERED, UnitState.ROUTED):
            self._forget_assembly(unit.unit_id)
            why = "its fidelity is no longer promised"
            if unit.lead_side is not None:
                await self.end(ctx, unit, UnitState.EXPIRED, why)
            else:
                self._step(ctx, unit, UnitState.EXPIRED, why)
                await self._release(ctx, unit)

    @handles(EndStates)
    async def on_end(self, ctx: Context, msg: EndStates) -> Heard:
        unit = self._units.get(msg.unit_id)
        if unit is not None:
            self._forget_assembly(msg.unit_id)
            if unit.state not in ENDED:
                unit.problem = msg.problem or None
                self._step(ctx, unit, UnitState(msg.state), msg.why)
            await self._release(ctx, unit)
        return Heard()

    @handles(HaveUnit)
    async def on_have(self, ctx: Context, msg: HaveUnit) -> Heard:
        unit = self._units.get(msg.unit_id)
        if unit is None or unit.state in ENDED:
            raise Problem("unknown-unit")
        return Heard()

    @handles(WatchUnit)
    async def on_watch(self, ctx: Context, msg: WatchUnit) -> None:
        """The originator's EME looks after all others, and they look after it. Who does not answer, or does not know
        the unit any more, has lost it for all."""
        unit = self._units.get(msg.unit_id)
        if unit is None or unit.state in ENDED:
            return
        others: tuple[str, ...] = (unit.lead,)
        if unit.lead_side is not None:
            others = () if unit.state is UnitState.REQUESTED else unit.lead_side.others
        for other in others:
            try:
                await ctx.ask(other, HaveUnit(msg.unit_id), within=PRESENCE_NS)
            except Problem as problem:
                if unit.state in ENDED or self._units.get(msg.unit_id) is not unit:
                    return
                why = f"{other}: {problem.row.title}"
                if unit.lead_side is not None:
                    await self._fail(ctx, unit, Problem("peer-unreachable", why))
                else:
                    unit.problem = "peer-unreachable"
                    self._step(ctx, unit, UnitState.FAILED, why)
                    self._forget_assembly(unit.unit_id)
                    await self._release(ctx, unit)
                return
        ctx.tell(self.name, msg, after=WATCH_NS)

    # -- looking -------------------------------------------------------------------------------------

    @handles(GetUnit)
    async def on_get_unit(self, ctx: Context, msg: GetUnit) -> Unit:
        self._app(msg.caller)
        return self._shown(self._found(msg.caller, msg.unit_id), msg.caller)

    @handles(ListUnits)
    async def on_list_units(self, ctx: Context, msg: ListUnits) -> Units:
        self._app(msg.caller)
        mine = [u for u in reversed(self._units.values()) if msg.caller in u.saes]
        shown = [self._shown(u, msg.caller) for u in mine if msg.state in (None, str(u.state))]
        if msg.prefix is not None:
            prefix = Urn.parse(msg.prefix)
            shown = [u for u in shown if any(covers(prefix, Urn.parse(e)) for e in u.endpoints)]
        return Units(tuple(shown[: msg.limit]))

    @handles(CloseUnit)
    async def on_close_unit(self, ctx: Context, msg: CloseUnit) -> Unit:
        self._app(msg.caller)
        unit = self._found(msg.caller, msg.unit_id)
        why = "closed by a party"
        if unit.lead_side is not None and unit.state not in ENDED:
            unit.lead_side.fault = Problem("peer-unreachable", why)
            await self.end(ctx, unit, UnitState.FAILED, why)
        elif unit.lead_side is None and unit.state not in ENDED:
            young = unit.state in YOUNG
            self._step(ctx, unit, UnitState.FAILED, why)
            self._forget_assembly(unit.unit_id)
            await self._release(ctx, unit)
            if young:  # it cannot come about any more
                ctx.tell(unit.lead, Assembled(unit.unit_id, 0.0, ctx.now, None, f"{self.name}: {why}"))
            else:
                ctx.tell(unit.lead, PartyDone(unit.unit_id, msg.caller))
        return self._shown(unit, msg.caller)

    # -- what parties use up ---------------------------------------------------------------------------

    async def used(self, ctx: Context, slot: int) -> None:
        """A qubit of a unit is used up. When all of a party's are, the unit is delivered to it; after the last
        party it is consumed."""
        unit_id, sae = self._unit_of.pop(slot, ("", ""))
        unit = self._units.get(unit_id)
        if unit is None:
            return
        unit.used[sae].add(slot)
        self._memory.pop(slot, None)
        await ctx.ask(memory(self._node), FreeSlots(self.name, (slot,)), within=WITHIN)
        if len(unit.used[sae]) < unit.wanted.number:
            return
        if unit.lead_side is not None:
            self._party_done(ctx, unit, unit.lead_side, sae)
        else:
            if unit.state is UnitState.ESTABLISHED:
                self._step(ctx, unit, UnitState.CONSUMED)
            ctx.tell(unit.lead, PartyDone(unit_id, sae))

    @handles(PartyDone)
    async def on_party_done(self, ctx: Context, msg: PartyDone) -> None:
        unit = self._units.get(msg.unit_id)
        if unit is not None and unit.lead_side is not None:
            self._party_done(ctx, unit, unit.lead_side, msg.sae)

    def _party_done(self, ctx: Context, unit: StatesUnit, lead: LeadSide, sae: str) -> None:
        lead.done.add(sae)
        node = next(party.node for party in lead.parties if party.sae == sae)
        if unit.state in (UnitState.ESTABLISHED, UnitState.DELIVERED):
            ctx.tell(SCHEDULER, UnitFreed(unit.unit_id, node))
            self._done(ctx, unit, lead)

    def _done(self, ctx: Context, unit: StatesUnit, lead: LeadSide) -> None:
        whole = lead.done == set(unit.saes)
        self._step(ctx, unit, UnitState.CONSUMED if whole else UnitState.DELIVERED)
        if whole:
            ctx.tell(SCHEDULER, UnitOver(unit.unit_id))
