"""A unit's QUIs are bound to other pairs: its states are made anew in the same memories, its identifier stays (B6, D1).

A pair that waits too long for its companions is made anew while a unit is put together (`service.assembly`). Here the
unit is whole, and nobody has used it yet, when somebody learns that its pairs are not what was promised of them. Its
applications cannot get at their qubits from then on; both halves of every pair are thrown away, and a new circuit
makes others, over links that control trusts. What could not come about is found out before anything is thrown away.

Units of one pair a state, which were not tested, can be bound anew. A state that was fused of several pairs, or
teleported, would have to be made as a whole; a state that was tested is one of many of which its like were tested.
"""

from __future__ import annotations

from quoit.model.problem import Problem
from quoit.model.unit import UnitState
from quoit.runtime.context import Context
from quoit.runtime.element import handles
from quoit.service.api import UNIT_NEWS, BindingRow, Bindings, GetBindings, RebindUnit, UnitRebound, UnitsChanged
from quoit.service.opening import POLL_NS, WITHIN
from quoit.service.rounds import Rounds
from quoit.service.states import Assembled, DropHalf, Edge, Heard, LayAside, PickUp, Promise, Star
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
                            self._fixed(unit, lead),
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

    def _fixed(self, unit: StatesUnit, lead: LeadSide) -> str:
        """Why the unit has to stay as it is, if it has."""
        made = lead.made
        assert made is not None
        if unit.wanted.tests:
            return "it was tested as it is"
        if len(made.star.edges) > 1 or made.star.own < 0 or made.workspace:
            return "its states are made of several pairs"
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
    async def on_lay_aside(self, ctx: Context, msg: LayAside) -> Heard:
        unit = self._units.get(msg.unit_id)
        if unit is None or unit.state is not UnitState.ESTABLISHED:
            raise Problem("unknown-unit")
        why = self._in_use(unit)
        if why or unit.asleep is not None:
            raise Problem("not-rebindable", why or "it is being bound anew")
        self._lay_aside(ctx, unit, msg.why)
        return Heard()

    def _lay_aside(self, ctx: Context, unit: StatesUnit, why: str) -> None:
        unit.asleep = Asleep(unit.expires_ns, unit.fidelity)
        unit.expires_ns = unit.fidelity = None
        unit.why = f"is bound to other pairs: {why}"
        for sae, own in unit.here.items():
            unit.ready[sae] = set()
            for slot in own:
                self._memory.pop(slot, None)
        self._say(ctx, unit)

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
        why = self._fixed(unit, lead)
        if why:
            raise Problem("not-rebindable", why)
        edge = lead.made.star.edges[0]
        lead.tries += 1
        plan = await self.plan(ctx, f"{unit.unit_id}/{lead.tries}", lead.parties, unit.wanted, idle=False)
        why = self._fixed(unit, lead)  # meanwhile
        if why or unit.state is not UnitState.ESTABLISHED:
            raise Problem("not-rebindable", why or f"it is {unit.state}")
        self._lay_aside(ctx, unit, msg.why)
        lead.remaking = True
        try:
            await ctx.ask(edge.party, LayAside(unit.unit_id, msg.why), within=WITHIN)
        except Problem:
            lead.remaking = False
            self._pick_up(ctx, unit)
            ctx.tell(edge.party, PickUp(unit.unit_id))  # its answer may have been lost
            raise
        try:
            await self._empty_pairs(ctx, unit, edge)
            assemble = await self._open(ctx, unit, lead, plan, edge.centre_slots, {edge.party: edge.party_slots})
            lead.plan = plan
            await self.on_assemble(ctx, assemble)
            made = await self._remade(ctx, unit, lead)
        except Problem as problem:
            if unit.state not in ENDED:
                await self._fail(ctx, unit, problem)
            raise
        finally:
            lead.remaking = False
        links = lead.over[0]
        ctx.emit(
            "qui.rebound", unit_id=unit.unit_id, qui=f"{unit.unit_id}/{edge.seat}", generation=lead.rebound,
            circuit=assemble.star.edges[0].circuit, links=links, why=msg.why,
        )  # fmt: skip
        return UnitRebound(unit.unit_id, lead.rebound, links, made.fidelity, unit.expires_ns)

    async def _empty_pairs(self, ctx: Context, unit: StatesUnit, edge: Edge) -> None:
        """Throw both halves away. The centre's memories are its own again until a state is whole."""
        for here, there in zip(edge.centre_slots, edge.party_slots, strict=True):
            await self._act(ctx, "discard", (here,))
            await ctx.ask(edge.party, DropHalf(unit.unit_id, there), within=WITHIN)
        unit.centre_slots = edge.centre_slots
        for sae in unit.here:
            unit.here[sae] = ()

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
