"""The entanglement management entity: where applications get shared states, and what they do with them (B6, D1).

The originator's EME plans a star of pairs, has every party's EME keep memories (prepare), has the fabric make the
pairs, and lets the centre put the states together (commit). Nobody is told of a state before it is whole and within
its promise; when a promise cannot be kept any more, the unit has expired everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from quoit.fabric.api import (
    PAIR_CONTROLLER,
    CloseCircuit,
    FreeSlots,
    OpenCircuit,
    PairPlan,
    PlanPairs,
    ReserveSlots,
    Slots,
    memory,
)
from quoit.model.lifecycle import Lifecycle
from quoit.model.problem import Problem
from quoit.model.unit import UnitState, advance
from quoit.model.urn import Urn, covers, endpoint_equivalent
from quoit.runtime.context import Context
from quoit.runtime.element import Plane, Stratum, handles
from quoit.service.api import (
    UNIT_NEWS,
    CloseUnit,
    GetUnit,
    ListUnits,
    OpenUnit,
    Unit,
    Units,
    UnitsChanged,
    eme,
)
from quoit.service.calendar import Calendar
from quoit.service.directory import Attachment
from quoit.service.pairdesk import PairDesk
from quoit.service.states import (
    STAGES,
    Assemble,
    Assembled,
    DropHalf,
    Edge,
    EndStates,
    ExpireStates,
    HaveUnit,
    Heard,
    PartyDone,
    Prepared,
    PrepareStates,
    StateReady,
    Wanted,
    WatchUnit,
    bound,
    edge_of,
    longest_wait,
)

WITHIN = 5_000_000_000
ESTABLISH_NS = 8_000_000_000
"""How long a request waits for its states; then it is answered as it is, and news follow."""
POLL_NS = 2_000_000
WATCH_NS, PRESENCE_NS = 1_000_000_000, 1_000_000_000
"""How often EMEs of a unit look whether the others are there, and how long they wait for the answer."""
MOST_UNITS = 10_000
"""That an EME keeps, ended ones included."""
ENDED = (UnitState.FAILED, UnitState.EXPIRED, UnitState.CONSUMED)
NEWS_NS = 5_000_000
"""What handing over costs at most beyond light: a few messages' processing. Counted as waiting."""


@dataclass(frozen=True)
class Centre:
    """A node at which states can be put together: probabilities that a two-qubit gate and a readout are right."""

    node: str
    gate: float
    readout: float


@dataclass
class _Unit:
    """A unit as one EME knows it. `here`: memories of each of its applications; those that are `ready`, those that are
    `used` up, and which state each is of (`index`). `lead`: the originator's EME."""

    unit_id: str
    endpoints: tuple[str, ...]
    lifecycle: str
    originator: str
    saes: tuple[str, ...]
    created_ns: int
    wanted: Wanted
    lead: str
    state: UnitState = UnitState.REQUESTED
    why: str | None = None
    here: dict[str, tuple[int, ...]] = field(default_factory=dict)
    ready: dict[str, set[int]] = field(default_factory=dict)
    used: dict[str, set[int]] = field(default_factory=dict)
    index: dict[int, int] = field(default_factory=dict)
    outcomes: dict[str, dict[int, int]] = field(default_factory=dict)
    fidelity: float | None = None
    fidelity_at_ns: int | None = None
    expires_ns: int | None = None
    others: tuple[str, ...] = ()
    circuits: tuple[str, ...] = ()
    centre_slots: tuple[int, ...] = ()
    done: set[str] = field(default_factory=set)
    route: tuple[str, ...] = ()


class Eme(PairDesk):
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
    ) -> None:
        super().__init__(eme(node), node, domain, apps)
        self._stage = stage
        self._centres = {centre.node: centre for centre in centres}
        self._calendar = calendar
        self._units: dict[str, _Unit] = {}
        self._unit_of: dict[int, tuple[str, str]] = {}

    # -- opening -------------------------------------------------------------------------------------

    @handles(OpenUnit)
    async def on_open_unit(self, ctx: Context, msg: OpenUnit) -> Unit:
        """Plan, prepare, commit; then wait a while for the states."""
        app = self._app(msg.originator)
        if msg.unit_id in self._units:
            raise Problem("unit-exists")
        parties = await self._parties(ctx, app, msg)
        lifecycle = Lifecycle.parse(msg.lifecycle, self._calendar.namespace)
        wanted = Wanted.of(lifecycle, len(parties))
        needed = STAGES[wanted.deliver]
        if self._stage < needed:
            found = f"the domain is at stage {self._stage}, to {wanted.deliver} states needs {needed}"
            raise Problem("above-stage", found, stage=self._stage, needed=needed)
        until = None
        if lifecycle.valid_until_unix_s is not None:
            until = self._calendar.ns_of(lifecycle.valid_until_unix_s)
            if until <= ctx.now:
                raise Problem("bad-lifecycle", "valid-until has passed")
        plan = await self._plan(ctx, msg.unit_id, parties, wanted)
        unit = _Unit(
            msg.unit_id, msg.endpoints, msg.lifecycle, msg.originator, tuple(p.sae for p in parties), ctx.now,
            wanted, self.name,
        )  # fmt: skip
        unit.route = tuple(node for edge in plan.edges for node in (plan.centre, edge.node))
        self._remember(unit)
        ctx.tell(self.name, WatchUnit(msg.unit_id), after=WATCH_NS)
        try:
            await self._commit(ctx, unit, parties, plan, wanted, until)
        except Problem as problem:
            await self._end(ctx, unit, UnitState.FAILED, problem.row.title)
            raise
        return await self._established(ctx, unit, msg.originator)

    async def _parties(self, ctx: Context, app: Attachment, msg: OpenUnit) -> tuple[Attachment, ...]:
        """The originator first."""
        own, others = 0, []
        for text in msg.endpoints:
            urn = self._calendar.namespace.endpoint(text)
            if endpoint_equivalent(urn, Urn.parse(app.urn)):
                own += 1
            else:
                others.append(await self._resolve(ctx, app, urn.assigned_name))
        if own != 1 or not others:
            raise Problem("malformed", "the originator is one of the endpoints, once, and there is another")
        nodes = [app.node, *(other.node for other in others)]
        if len(set(nodes)) < len(nodes):
            raise Problem("malformed", "each endpoint of shared states is at a node of its own")
        return app, *others

    async def _plan(self, ctx: Context, unit_id: str, parties: tuple[Attachment, ...], wanted: Wanted) -> _Plan:
        """The centre whose star promises most. Problem `fidelity-unreachable` with the best there is."""
        best: _Plan | None = None
        why: Problem | None = None
        for centre in self._candidates(parties):
            others = [p for p in parties if p.node != centre.node]
            try:
                edges = []
                for number, party in enumerate(others):
                    plan: PairPlan = await ctx.ask(PAIR_CONTROLLER, PlanPairs(centre.node, party.node), within=WITHIN)
                    edges.append(edge_of(f"{unit_id}/{number}", eme(party.node), plan))
            except Problem as problem:
                why = problem
                continue
            found = _Plan.of(centre, tuple(edges), len(parties) - len(others))
            if best is None or found.best > best.best:
                best = found
        if best is None:
            raise why or Problem("no-route", "no node can be the centre")
        if best.wait(wanted.fidelity) is None:
            offered = round(best.best, 4)
            raise Problem(
                "fidelity-unreachable", f"expected at most {offered}, found {wanted.fidelity:g}", best=offered
            )
        return best

    def _candidates(self, parties: tuple[Attachment, ...]) -> list[Centre]:
        """Nodes that could be the centre: of two parties the originator's; of more, every node with memories."""
        if len(parties) == 2:
            return [self._centres[parties[0].node]] if parties[0].node in self._centres else []
        return [self._centres[node] for node in sorted(self._centres)]

    async def _commit(
        self, ctx: Context, unit: _Unit, parties: tuple[Attachment, ...], plan: _Plan, wanted: Wanted, until: int | None
    ) -> None:
        number = wanted.number
        centre_party = next((p.sae for p in parties if p.node == plan.centre), "")
        slots: dict[str, tuple[int, ...]] = {}
        unit.others = tuple(sorted(({eme(p.node) for p in parties} | {eme(plan.centre)}) - {self.name}))
        for party in parties:
            ask = PrepareStates(
                unit.unit_id, self.name, party.sae, 0 if party.sae == centre_party else number,
                unit.endpoints, unit.lifecycle, unit.originator, unit.saes,
            )  # fmt: skip
            prepared: Prepared = await ctx.ask(eme(party.node), ask, within=WITHIN)
            slots[eme(party.node)] = prepared.slots
        centre_ask = PrepareStates(
            unit.unit_id,
            self.name,
            "",
            number * len(plan.edges),
            unit.endpoints,
            unit.lifecycle,
            unit.originator,
            unit.saes,
        )
        central: Prepared = await ctx.ask(eme(plan.centre), centre_ask, within=WITHIN)
        self._step(ctx, unit, UnitState.ROUTED)
        edges = tuple(
            Edge(
                e.circuit, e.party, e.node, e.state, e.decay_hz,
                central.slots[i * number : (i + 1) * number], slots[e.party],
            )
            for i, e in enumerate(plan.edges)
        )  # fmt: skip
        opened = []
        for edge in edges:
            order = OpenCircuit(
                edge.circuit, plan.centre, edge.node, plan.edge_fidelity(wanted.fidelity), edge.centre_slots,
                edge.party_slots, eme(plan.centre), edge.party,
            )  # fmt: skip
            unit.circuits = (*unit.circuits, edge.circuit)
            made: PairPlan = await ctx.ask(PAIR_CONTROLLER, order, within=WITHIN)
            sure = edge_of(edge.circuit, edge.party, made)
            opened.append(
                Edge(
                    edge.circuit, edge.party, edge.node, sure.state, sure.decay_hz, edge.centre_slots, edge.party_slots
                )
            )
        wait = longest_wait(tuple(opened), plan.works, wanted.fidelity)
        if wait is None or wait <= NEWS_NS:
            raise Problem("fidelity-unreachable", "pairs would not outlive the news of them", best=round(plan.best, 4))
        assemble = Assemble(
            unit.unit_id, self.name, tuple(opened), centre_party, number, (wait - NEWS_NS) // 2, plan.works,
            wanted.fidelity, until,
        )  # fmt: skip
        ctx.tell(eme(plan.centre), assemble)

    async def _established(self, ctx: Context, unit: _Unit, caller: str) -> Unit:
        end = ctx.now + ESTABLISH_NS
        while unit.state in (UnitState.REQUESTED, UnitState.ROUTED) and ctx.now < end:
            await ctx.sleep(POLL_NS)
        if unit.state is UnitState.FAILED:
            raise Problem("peer-unreachable", unit.why or "")
        return self._shown(unit, caller)

    def _remember(self, unit: _Unit) -> None:
        """Keep a unit; the oldest that have ended are forgotten when there are many. Problem `overloaded`."""
        if len(self._units) >= MOST_UNITS:
            ended = [old.unit_id for old in self._units.values() if old.state in ENDED]
            if not ended:
                raise Problem("overloaded", f"{MOST_UNITS} units are alive here")
            for unit_id in ended[: MOST_UNITS // 10]:
                del self._units[unit_id]
        self._units[unit.unit_id] = unit

    # -- as a party's EME ----------------------------------------------------------------------------

    @handles(PrepareStates)
    async def on_prepare(self, ctx: Context, msg: PrepareStates) -> Prepared:
        unit = self._units.get(msg.unit_id)
        if unit is None:
            lifecycle = Lifecycle.parse(msg.lifecycle, self._calendar.namespace)
            wanted = Wanted.of(lifecycle, len(msg.parties))
            unit = _Unit(
                msg.unit_id, msg.endpoints, msg.lifecycle, msg.originator, msg.parties, ctx.now, wanted,
                msg.lead, UnitState.ROUTED,
            )  # fmt: skip
            self._remember(unit)
            ctx.tell(self.name, WatchUnit(msg.unit_id), after=WATCH_NS)
        slots: tuple[int, ...] = ()
        if msg.number:
            answer: Slots = await ctx.ask(memory(self._node), ReserveSlots(self.name, msg.number), within=WITHIN)
            slots = answer.slots
        if msg.sae:
            unit.here[msg.sae] = slots
            unit.ready[msg.sae], unit.used[msg.sae] = set(), set()
        else:
            unit.centre_slots = slots
        return Prepared(slots)

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
        if msg.expires_ns is not None and ctx.now >= msg.expires_ns:
            raise Problem("fidelity-unreachable", "the news came after the promise had ended")
        sae = next((s for s, slots in unit.here.items() if msg.slot in slots), "")
        if not sae:
            # the party at the centre: its qubit is the one that stayed there
            sae = next(s for s, slots in unit.here.items() if len(slots) < unit.wanted.number)
            unit.here[sae] = (*unit.here[sae], msg.slot)
            unit.centre_slots = tuple(s for s in unit.centre_slots if s != msg.slot)
        if msg.pauli != "I":
            await self._act(ctx, "correct", (msg.slot,), pauli=msg.pauli)
        unit.index[msg.slot] = msg.index
        self._memory[msg.slot] = sae
        self._unit_of[msg.slot] = unit.unit_id, sae
        unit.ready[sae].add(msg.slot)
        unit.fidelity = msg.fidelity if unit.fidelity is None else min(unit.fidelity, msg.fidelity)
        unit.fidelity_at_ns = msg.at_ns
        self._until(ctx, unit, msg.expires_ns)
        await self._measured(ctx, unit, sae, msg)
        if len(unit.ready[sae]) == unit.wanted.number and unit.lead != self.name and unit.state is UnitState.ROUTED:
            self._step(ctx, unit, UnitState.ESTABLISHED)
            if unit.used[sae] == unit.ready[sae]:
                self._step(ctx, unit, UnitState.CONSUMED)

    async def _measured(self, ctx: Context, unit: _Unit, sae: str, msg: StateReady) -> None:
        """Where states are not kept: read the qubit now. Its result is what the party gets."""
        if unit.wanted.deliver == "measure":
            done = await self._act(ctx, "measure", (msg.slot,), unit.wanted.basis)
            unit.outcomes.setdefault(sae, {})[msg.index] = done.bits[0]
            await self.used(ctx, msg.slot)

    def _until(self, ctx: Context, unit: _Unit, expires_ns: int | None) -> None:
        """The unit's promise ends at the earliest instant that was heard of."""
        if expires_ns is not None and (unit.expires_ns is None or expires_ns < unit.expires_ns):
            unit.expires_ns = expires_ns
            ctx.tell(self.name, ExpireStates(unit.unit_id), after=max(0, expires_ns - ctx.now))

    async def give_up(self, ctx: Context, unit_id: str, slot: int) -> None:
        unit = self._units.get(unit_id)
        if unit is not None and slot in unit.centre_slots:
            unit.centre_slots = tuple(s for s in unit.centre_slots if s != slot)
            await ctx.ask(memory(self._node), FreeSlots(self.name, (slot,)), within=WITHIN)

    @handles(Assembled)
    async def on_assembled(self, ctx: Context, msg: Assembled) -> None:
        unit = self._units.get(msg.unit_id)
        if unit is None or unit.state not in (UnitState.REQUESTED, UnitState.ROUTED):
            return
        if msg.why:
            await self._end(ctx, unit, UnitState.FAILED, msg.why)
            return
        unit.fidelity, unit.fidelity_at_ns = msg.fidelity, msg.at_ns
        self._until(ctx, unit, msg.expires_ns)
        self._step(ctx, unit, UnitState.ESTABLISHED)
        if unit.done:  # parties that did not keep their qubits
            self._step(ctx, unit, UnitState.CONSUMED if unit.done == set(unit.saes) else UnitState.DELIVERED)
        for circuit in unit.circuits:
            await ctx.ask(PAIR_CONTROLLER, CloseCircuit(circuit), within=WITHIN)

    # -- ends ----------------------------------------------------------------------------------------

    @handles(ExpireStates)
    async def on_expire(self, ctx: Context, msg: ExpireStates) -> None:
        unit = self._units.get(msg.unit_id)
        if unit is None or unit.expires_ns is None or ctx.now < unit.expires_ns:
            return
        if unit.state in (UnitState.ESTABLISHED, UnitState.DELIVERED, UnitState.ROUTED):
            self._step(ctx, unit, UnitState.EXPIRED, "its fidelity is no longer promised")
            await self._release(ctx, unit)

    @handles(EndStates)
    async def on_end(self, ctx: Context, msg: EndStates) -> Heard:
        unit = self._units.get(msg.unit_id)
        if unit is not None:
            self._forget_assembly(msg.unit_id)
            if unit.state not in ENDED:
                self._step(ctx, unit, UnitState(msg.state), msg.why)
            await self._release(ctx, unit)
        return Heard()

    @handles(HaveUnit)
    async def on_have(self, ctx: Context, msg: HaveUnit) -> Heard:
        if msg.unit_id not in self._units:
            raise Problem("unknown-unit")
        return Heard()

    @handles(WatchUnit)
    async def on_watch(self, ctx: Context, msg: WatchUnit) -> None:
        """The originator's EME looks after all others, and they look after it. Who does not answer, or does not know
        the unit any more, has lost it for all."""
        unit = self._units.get(msg.unit_id)
        if unit is None or unit.state in ENDED:
            return
        for other in unit.others if unit.lead == self.name else (unit.lead,):
            try:
                await ctx.ask(other, HaveUnit(msg.unit_id), within=PRESENCE_NS)
            except Problem as problem:
                why = f"{other}: {problem.row.title}"
                if unit.lead == self.name:
                    await self._end(ctx, unit, UnitState.FAILED, why)
                elif unit.state not in ENDED:
                    self._step(ctx, unit, UnitState.FAILED, why)
                    await self._release(ctx, unit)
                return
        ctx.tell(self.name, msg, after=WATCH_NS)

    async def _end(self, ctx: Context, unit: _Unit, state: UnitState, why: str) -> None:
        """The originator's EME ends a unit everywhere. Who does not answer frees its memories when it comes back."""
        if unit.state not in ENDED:
            self._step(ctx, unit, state, why)
        for circuit in unit.circuits:
            await ctx.ask(PAIR_CONTROLLER, CloseCircuit(circuit), within=WITHIN)
        for other in unit.others:
            ctx.tell(other, EndStates(unit.unit_id, str(state), why))
        self._forget_assembly(unit.unit_id)
        await self._release(ctx, unit)

    async def _release(self, ctx: Context, unit: _Unit) -> None:
        """Give the unit's memories at this node back."""
        slots = {slot for own in unit.here.values() for slot in own} | set(unit.centre_slots)
        for own in unit.used.values():
            slots -= own
        for slot in slots:
            self._memory.pop(slot, None)
            self._unit_of.pop(slot, None)
        if slots:
            await ctx.ask(memory(self._node), FreeSlots(self.name, tuple(sorted(slots))), within=WITHIN)
        unit.centre_slots = ()
        for sae in unit.here:
            unit.used[sae] = set(unit.here[sae])

    def _step(self, ctx: Context, unit: _Unit, state: UnitState, why: str | None = None) -> None:
        was, unit.state = unit.state, advance(unit.state, state)
        unit.why = why
        ctx.emit("unit.states", unit_id=unit.unit_id, state=str(state), why=why, eme=self.name)
        parties = tuple(sae for sae in unit.saes if sae in self._apps)
        news = UnitsChanged(self.name, (unit.unit_id,), parties, (str(was), str(state)), ctx.now, why)
        ctx.publish(f"{UNIT_NEWS}.{self.name}", news)

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
        if unit.lead == self.name:
            await self._end(ctx, unit, UnitState.FAILED, "closed by a party")
        elif unit.state not in ENDED:
            self._step(ctx, unit, UnitState.FAILED, "closed by a party")
            await self._release(ctx, unit)
        return self._shown(unit, msg.caller)

    def _found(self, caller: str, unit_id: str) -> _Unit:
        unit = self._units.get(unit_id)
        if unit is None:
            raise Problem("unknown-unit")
        if caller not in unit.saes:
            raise Problem("foreign-unit")
        return unit

    def _shown(self, unit: _Unit, caller: str) -> Unit:
        ready = unit.ready.get(caller, set()) - unit.used.get(caller, set())
        own = sorted(ready, key=unit.index.__getitem__)
        return Unit(
            unit_id=unit.unit_id,
            endpoints=tuple(f"{text.partition('?=')[0]}?=nonce={unit.unit_id}" for text in unit.endpoints),
            lifecycle=unit.lifecycle,
            originator=unit.originator,
            state=str(unit.state),
            size_bits=unit.wanted.number,
            created_ns=unit.created_ns,
            expires_ns=unit.expires_ns,
            key_id=unit.unit_id,
            route=unit.route,
            why=unit.why,
            kind=unit.wanted.kind,
            addresses=tuple(f"{self._node}/{slot}" for slot in own),
            outcomes=tuple(bit for _, bit in sorted(unit.outcomes.get(caller, {}).items())),
            fidelity=None if unit.fidelity is None else round(unit.fidelity, 6),
            fidelity_at_ns=unit.fidelity_at_ns,
        )

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
        if unit.lead == self.name:
            self._party_done(ctx, unit, sae)
        else:
            if unit.state is UnitState.ESTABLISHED:
                self._step(ctx, unit, UnitState.CONSUMED)
            ctx.tell(unit.lead, PartyDone(unit_id, sae))

    @handles(PartyDone)
    async def on_party_done(self, ctx: Context, msg: PartyDone) -> None:
        unit = self._units.get(msg.unit_id)
        if unit is not None and unit.lead == self.name:
            self._party_done(ctx, unit, msg.sae)

    def _party_done(self, ctx: Context, unit: _Unit, sae: str) -> None:
        unit.done.add(sae)
        if unit.state in (UnitState.ESTABLISHED, UnitState.DELIVERED):
            whole = unit.done == set(unit.saes)
            self._step(ctx, unit, UnitState.CONSUMED if whole else UnitState.DELIVERED)


@dataclass(frozen=True)
class _Plan:
    """A star: its centre, its pairs at their best, and the probability that the centre does everything right."""

    centre: str
    edges: tuple[Edge, ...]
    works: float

    @classmethod
    def of(cls, centre: Centre, edges: tuple[Edge, ...], party_at_centre: int) -> _Plan:
        works = (centre.gate * centre.readout) ** (len(edges) - 1)
        return cls(centre.node, edges, works if party_at_centre else works * centre.readout)

    @property
    def best(self) -> float:
        """Fidelity of states whose pairs need not wait but for the news."""
        return bound(self.edges, (NEWS_NS,) * len(self.edges), self.works)

    def wait(self, fidelity: float) -> int | None:
        """How long pairs may wait."""
        wait = longest_wait(self.edges, self.works, fidelity)
        return None if wait is None or wait <= NEWS_NS else wait

    def edge_fidelity(self, fidelity: float) -> float:
        """What each pair must have when it is delivered: half of what may be lost is left for waiting."""
        wait = self.wait(fidelity)
        assert wait is not None
        return min((1 + sum(edge.waited(wait // 2))) / 4 for edge in self.edges)
