"""A unit's QUIs are bound to other pairs: its states are made anew in the same memories, its identifier stays (B6, D1).

A pair that waits too long for its companions is made anew while a unit is put together (`service.assembly`). Here the
unit is whole, and nobody has used it yet, when somebody learns that its pairs are not what was promised of them. Its
applications cannot get at their qubits from then on; both halves of every pair are thrown away, and a new circuit
makes others, over links that control trusts. What could not come about is found out before anything is thrown away:
the way, memories at the centre, and whether an application has begun to use its qubits.

All kinds of states are made as a whole, and each party's in the memories that it has: a centre, which may be another
one than before, takes further memories for as long as that lasts. A unit that was tested stays as it is: what was shown
of it, was shown of states that were made like it.
"""

from __future__ import annotations

from quoit.model.problem import Problem
from quoit.model.unit import UnitState
from quoit.runtime.context import Context
from quoit.runtime.element import handles
from quoit.service.api import (
    UNIT_NEWS,
    BindingRow,
    Bindings,
    GetBindings,
    RebindUnit,
    UnitRebound,
    UnitsChanged,
    eme,
)
from quoit.service.opening import POLL_NS, WITHIN
from quoit.service.planning import Plan
from quoit.service.rounds import Rounds
from quoit.service.states import (
    Assembled,
    Edge,
    Heard,
    LaidAside,
    LayAside,
    PickUp,
    Prepared,
    Promise,
    Star,
    Vacate,
)
from quoit.service.unitbook import ENDED, Asleep, LeadSide, StatesUnit

REMADE_WITHIN_NS = 30_000_000_000
"""How long new states may take. Their unit's applications wait meanwhile; after that the unit has failed."""


class Rebinding(Rounds):
    """The part of an entanglement management entity that binds units to other pairs."""

    # -- what rests on what ------------------------------------------------------------------------------

    @handles(GetBindings)
    async def on_bindings(self, ctx: Context, msg: GetBindings) -> Bindings:
        rows: list[BindingRow] = []
        for unit in self._units.values():
            lead = unit.lead_side
            if lead is None or lead.made is None or unit.state is not UnitState.ESTABLISHED:
                continue
            if unit.fidelity_at_ns is None or unit.fidelity_at_ns < msg.since_ns:
                continue
            fidelity = self._reckoned(unit, lead, msg, ctx.now)
            for edge, links in zip(lead.made.star.edges, lead.over, strict=True):
                if msg.link in links:
                    rows.append(
                        BindingRow(
                            unit.unit_id, self.name, f"{unit.unit_id}/{edge.seat}", lead.rebound, edge.circuit, links,
                            unit.fidelity_at_ns, round(fidelity, 6), unit.wanted.fidelity, unit.expires_ns,
                            self._fixed(unit),
                        )
                    )  # fmt: skip
        return Bindings(tuple(rows))

    @staticmethod
    def _reckoned(unit: StatesUnit, lead: LeadSide, asked: GetBindings, now: int) -> float:
        """What the unit's worst state is likely to have now, if that link's pairs keep so much of what was promised.
        Waits before it was whole are left out: they are short beside those after it."""
        assert lead.made is not None
        assert unit.fidelity_at_ns is not None
        star = lead.made.star
        edges = tuple(
            _weaker(edge, asked.kept ** links.count(asked.link))
            for edge, links in zip(star.edges, lead.over, strict=True)
        )
        waited = (now - unit.fidelity_at_ns,) * len(edges)
        return Promise(Star(star.kind, star.parties, star.graph, edges, star.own, star.works)).least(waited, 0)

    def _fixed(self, unit: StatesUnit) -> str:
        """Why the unit has to stay as it is, if it has."""
        if unit.wanted.tests:
            return "it was tested as it is"
        if unit.wanted.deliver != "keep":
            return "its qubits were read when they came"
        if unit.asleep is not None:
            return "it is being bound anew"
        return self._in_use(unit)

    def _in_use(self, unit: StatesUnit) -> str:
        """Whether an application here has begun to use the unit."""
        slots = {slot for own in unit.here.values() for slot in own}
        used = any(unit.used.values()) or not self._touched.isdisjoint(slots)
        return f"an application at {self._node} has begun to use it" if used else ""

    # -- as either party's EME -----------------------------------------------------------------------------

    @handles(LayAside)
    async def on_lay_aside(self, ctx: Context, msg: LayAside) -> LaidAside:
        unit = self._units.get(msg.unit_id)
        if unit is None or unit.state is not UnitState.ESTABLISHED:
            raise Problem("unknown-unit")
        why = self._in_use(unit)
        if why or unit.asleep is not None:
            raise Problem("not-rebindable", why or "it is being bound anew")
        return LaidAside(self._lay_aside(ctx, unit, msg.why))

    def _lay_aside(self, ctx: Context, unit: StatesUnit, why: str) -> tuple[int, ...]:
        """Its memories here, by number of the state."""
        unit.asleep = Asleep(unit.expires_ns, unit.fidelity)
        unit.expires_ns = unit.fidelity = None
        unit.why = f"is bound to other pairs: {why}"
        for sae, own in unit.here.items():
            unit.ready[sae] = set()
            for slot in own:
                self._memory.pop(slot, None)
        self._say(ctx, unit)
        return _in_order(unit)

    @handles(PickUp)
    async def on_pick_up(self, ctx: Context, msg: PickUp) -> Heard:
        unit = self._units.get(msg.unit_id)
        if unit is not None:
            self._pick_up(ctx, unit)
        return Heard()

    def _pick_up(self, ctx: Context, unit: StatesUnit) -> None:
        asleep = unit.asleep
        if asleep is None or unit.state in ENDED:
            return
        unit.fidelity = asleep.fidelity
        for sae, own in unit.here.items():
            unit.ready[sae] = set(own)
            self._memory.update(dict.fromkeys(own, sae))
        self._until(ctx, unit, asleep.expires_ns)
        self.awake(ctx, unit)

    @handles(Vacate)
    async def on_vacate(self, ctx: Context, msg: Vacate) -> Heard:
        """Throw away what the unit has here. At the centre the memories are the centre's until a state is whole."""
        unit = self._units.get(msg.unit_id)
        if unit is None or unit.asleep is None or unit.state in ENDED:
            raise Problem("unknown-unit")
        slots = _in_order(unit)
        for slot in slots:
            await self._act(ctx, "discard", (slot,))
        if msg.centre:
            unit.centre_slots = (*slots, *unit.centre_slots)
            unit.here = dict.fromkeys(unit.here, ())
        return Heard()

    def awake(self, ctx: Context, unit: StatesUnit) -> None:
        """The unit's applications at this node can get at its states again."""
        unit.asleep = unit.why = None
        self._say(ctx, unit)

    def _say(self, ctx: Context, unit: StatesUnit) -> None:
        parties = tuple(sae for sae in unit.saes if sae in self._apps)
        state = str(unit.state)
        news = UnitsChanged(self.name, (unit.unit_id,), parties, (state, state), ctx.now, unit.why)
        ctx.publish(f"{UNIT_NEWS}.{self.name}", news)

    # -- as the originator's EME -----------------------------------------------------------------------------

    @handles(RebindUnit)
    async def on_rebind(self, ctx: Context, msg: RebindUnit) -> UnitRebound:
        unit = self._units.get(msg.unit_id)
        lead = None if unit is None else unit.lead_side
        if unit is None or lead is None or lead.made is None or unit.state is not UnitState.ESTABLISHED:
            raise Problem("unknown-unit")
        why = self._fixed(unit)
        if why:
            raise Problem("not-rebindable", why)
        lead.tries += 1
        plan = await self.plan(ctx, f"{unit.unit_id}/{lead.tries}", lead.parties, unit.wanted, idle=False)
        why = self._fixed(unit)  # meanwhile
        if why or unit.state is not UnitState.ESTABLISHED:
            raise Problem("not-rebindable", why or f"it is {unit.state}")
        lead.remaking = True
        try:
            slots = await self._all_aside(ctx, unit, lead, msg.why)
            made = await self._made_anew(ctx, unit, lead, plan, slots)
        finally:
            lead.remaking = False
        for edge, links in zip(lead.made.star.edges, lead.over, strict=True):
            ctx.emit(
                "qui.rebound", unit_id=unit.unit_id, qui=f"{unit.unit_id}/{edge.seat}", generation=lead.rebound,
                circuit=edge.circuit, links=links, why=msg.why,
            )  # fmt: skip
        links = tuple(dict.fromkeys(link for links in lead.over for link in links))
        return UnitRebound(unit.unit_id, lead.rebound, links, made.fidelity, unit.expires_ns)

    async def _all_aside(
        self, ctx: Context, unit: StatesUnit, lead: LeadSide, why: str
    ) -> dict[str, tuple[int, ...]]:  # fmt: skip
        """No application can get at the unit any more; every party's memories, by EME and number of the state. Or all
        have it as they had it."""
        slots = {self.name: self._lay_aside(ctx, unit, why)}
        try:
            for party in lead.parties:
                if eme(party.node) != self.name:
                    aside: LaidAside = await ctx.ask(
                        eme(party.node), LayAside(unit.unit_id, why), within=WITHIN
                    )  # fmt: skip
                    slots[eme(party.node)] = aside.slots
        except Problem:
            self._all_back(ctx, unit, lead)
            raise
        return slots

    def _all_back(self, ctx: Context, unit: StatesUnit, lead: LeadSide) -> None:
        self._pick_up(ctx, unit)
        for party in lead.parties:  # an answer may have been lost, so all are told
            if eme(party.node) != self.name:
                ctx.tell(eme(party.node), PickUp(unit.unit_id))

    async def _made_anew(
        self, ctx: Context, unit: StatesUnit, lead: LeadSide, plan: Plan, slots: dict[str, tuple[int, ...]]
    ) -> Assembled:  # fmt: skip
        """As `Opening._take`, but that parties have their memories. From the first qubit that is thrown away there is
        no way back: what goes wrong then fails the unit."""
        centre, own = eme(plan.centre), plan.star.own >= 0
        more = plan.memories[plan.centre] - (unit.wanted.number if own else 0)
        lead.others = tuple(sorted({*lead.others, centre} - {self.name}))
        try:
            prepared: Prepared = await ctx.ask(centre, self._prepare(unit, "", more), within=WITHIN)
        except Problem:
            self._all_back(ctx, unit, lead)
            raise
        try:
            for party in lead.parties:
                vacate = Vacate(unit.unit_id, eme(party.node) == centre)
                await ctx.ask(eme(party.node), vacate, within=WITHIN)
            central = _laid_out(plan, unit.wanted.number, slots[centre] if own else (), prepared.slots)
            assemble = await self._open(ctx, unit, lead, plan, central, slots)
            lead.plan = plan
            lead.route = tuple(node for edge in plan.star.edges for node in (plan.centre, edge.node))
            ctx.tell(centre, assemble)
            return await self._remade(ctx, unit, lead)
        except Problem as problem:
            if unit.state not in ENDED:
                await self._fail(ctx, unit, problem)
            raise

    async def _remade(self, ctx: Context, unit: StatesUnit, lead: LeadSide) -> Assembled:
        """Wait until all states are whole again."""
        end = ctx.now + REMADE_WITHIN_NS
        while lead.remade is None and unit.state not in ENDED and ctx.now < end:
            await ctx.sleep(POLL_NS)
        made, lead.remade = lead.remade, None
        if unit.state in ENDED:
            raise Problem("unknown-unit", f"the unit is {unit.state}")
        if made is None:
            raise Problem("deadline", f"no new states within {REMADE_WITHIN_NS / 1e9:g} s")
        if made.why:
            raise Problem("peer-unreachable", made.why)
        lead.rebound += 1
        unit.fidelity, unit.fidelity_at_ns = made.fidelity, made.at_ns
        self._until(ctx, unit, made.expires_ns)
        await self._close_circuits(ctx, lead)
        return made

    def _until(self, ctx: Context, unit: StatesUnit, expires_ns: int | None) -> None:
        """The unit's promise ends at this instant, unless it does before."""
        raise NotImplementedError


def _weaker(edge: Edge, kept: float) -> Edge:
    x, y, z = edge.state
    return Edge(edge.circuit, edge.party, edge.node, (x * kept, y * kept, z * kept), edge.decay_hz, edge.seat)


def _in_order(unit: StatesUnit) -> tuple[int, ...]:
    """A unit's memories at this node, by number of the state; one application has them all."""
    return tuple(sorted((slot for own in unit.here.values() for slot in own), key=unit.index.__getitem__))


def _laid_out(plan: Plan, number: int, own: tuple[int, ...], more: tuple[int, ...]) -> tuple[int, ...]:
    """The centre's memories as `Assemble` wants them: halves pair by pair, then workspace state by state. Those that a
    party there has are where its qubits will stay."""
    recipe, pairs = plan.star.recipe(), len(plan.star.edges)
    kept: dict[int, int] = {}
    if recipe.own is not None:
        for index, slot in enumerate(own):
            inside = recipe.own < pairs
            at = (
                recipe.own * number + index
                if inside
                else pairs * number + index * recipe.workspace + recipe.own - pairs
            )
            kept[at] = slot
    others = iter(more)
    return tuple(kept[at] if at in kept else next(others) for at in range(len(own) + len(more)))
