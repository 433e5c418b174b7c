"""The originator's side of a unit until its states are being made: plan, wait for a turn, take all or nothing."""

from __future__ import annotations

from math import floor

from quoit.fabric.api import PAIR_CONTROLLER, CloseCircuit, OpenCircuit, PairPlan
from quoit.model.lifecycle import Lifecycle
from quoit.model.problem import Problem
from quoit.model.unit import UnitState
from quoit.model.urn import Urn, endpoint_equivalent
from quoit.runtime.context import Context
from quoit.runtime.element import handles
from quoit.service.api import OpenUnit, Unit, eme
from quoit.service.calendar import Calendar
from quoit.service.directory import Attachment
from quoit.service.kinds import kind_of
from quoit.service.planning import NEWS_NS, Centre, Plan
from quoit.service.scheduler import (
    SCHEDULER,
    GiveWay,
    Queued,
    TurnFailed,
    TurnTaken,
    UnitOver,
    WantTurn,
    YourTurn,
)
from quoit.service.states import (
    STAGES,
    Assemble,
    Edge,
    EndStates,
    Overdue,
    Prepared,
    PrepareStates,
    Promise,
    Star,
    UndoStates,
    Wanted,
    WatchUnit,
    edge_of,
)
from quoit.service.trials import least_tests
from quoit.service.turns import link_of, node_of
from quoit.service.unitbook import ENDED, YOUNG, LeadSide, StatesUnit, UnitBook

WITHIN = 5_000_000_000
ESTABLISH_NS = 8_000_000_000
"""How long a request waits for its states; then it is answered as it is, and news follow."""
POLL_NS, SLOW_POLL_NS = 2_000_000, 20_000_000
"""How often it looks: not so often while the unit waits for its turn, since many may."""
WATCH_NS = 1_000_000_000
"""How often EMEs of a unit look whether the others are there."""
MEANWHILE = ("no-memory", "no-route", "link-suspect", "fidelity-unreachable")
"""What may be otherwise when others have ended: a unit for which there was a plan waits for that."""


class Opening(UnitBook):
    """The part of an entanglement management entity that opens units for its applications."""

    def __init__(
        self,
        name: str,
        node: str,
        domain: str,
        stage: int,
        apps: tuple[Attachment, ...],
        centres: tuple[Centre, ...],
        calendar: Calendar,
    ) -> None:
        super().__init__(name, node, domain, apps, centres)
        self._stage = stage
        self._calendar = calendar

    @handles(OpenUnit)
    async def on_open_unit(self, ctx: Context, msg: OpenUnit) -> Unit:
        """Refuse at once what could never be; else queue for a turn, and wait a while for the states."""
        app = self._app(msg.originator)
        if msg.unit_id in self._units:
            raise Problem("unit-exists")
        parties = await self._parties(ctx, app, msg)
        lifecycle = Lifecycle.parse(msg.lifecycle, self._calendar.namespace)
        wanted = Wanted.of(lifecycle, len(parties))
        self._need_stage(wanted)
        _need_tests(wanted, len(parties))
        until = self._until_of(ctx, lifecycle)
        plan = await self.plan(ctx, msg.unit_id, parties, wanted, idle=True)
        unit = StatesUnit(
            msg.unit_id, msg.endpoints, msg.lifecycle, msg.originator, tuple(p.sae for p in parties), ctx.now,
            wanted, self.name,
        )  # fmt: skip
        unit.lead_side = LeadSide(parties, until, plan.links, plan)
        self._remember(unit)
        ctx.tell(self.name, WatchUnit(msg.unit_id), after=WATCH_NS)
        ctx.tell(self.name, Overdue(msg.unit_id), after=wanted.within_ns)
        want = WantTurn(msg.unit_id, self.name, msg.originator, wanted.priority, plan.taken, plan.links)
        try:
            queued: Queued = await ctx.ask(SCHEDULER, want, within=WITHIN)
        except Problem as problem:
            await self._fail(ctx, unit, problem)
            raise
        if queued.ahead and unit.state is UnitState.REQUESTED:
            unit.why = f"waits for its turn: {queued.ahead} before it"
        return await self._established(ctx, unit, msg.originator)

    async def _parties(self, ctx: Context, app: Attachment, msg: OpenUnit) -> tuple[Attachment, ...]:
        """By seat: in the order of their URNs, whichever way round the request has them."""
        own, others = 0, []
        for text in msg.endpoints:
            urn = self._calendar.namespace.endpoint(text)
            if endpoint_equivalent(urn, Urn.parse(app.urn)):
                own += 1
            else:
                others.append(await self._resolve(ctx, app, urn.assigned_name))
        if own != 1 or not others:
            raise Problem("malformed", "the originator is one of the endpoints, once, and there is another")
        parties = [app, *others]
        if len({party.node for party in parties}) < len(parties):
            raise Problem("malformed", "each endpoint of shared states is at a node of its own")
        return tuple(sorted(parties, key=lambda party: Urn.parse(party.urn).canonical))

    def _need_stage(self, wanted: Wanted) -> None:
        needed = STAGES[wanted.deliver]
        if self._stage < needed:
            found = f"the domain is at stage {self._stage}, to {wanted.deliver} states needs {needed}"
            raise Problem("above-stage", found, stage=self._stage, needed=needed)

    def _until_of(self, ctx: Context, lifecycle: Lifecycle) -> int | None:
        if lifecycle.valid_until_unix_s is None:
            return None
        until = self._calendar.ns_of(lifecycle.valid_until_unix_s)
        if until <= ctx.now:
            raise Problem("bad-lifecycle", "valid-until has passed")
        return until

    async def _established(self, ctx: Context, unit: StatesUnit, caller: str) -> Unit:
        end = ctx.now + ESTABLISH_NS
        while unit.state in YOUNG and ctx.now < end:
            late = unit.state is UnitState.REQUESTED and ctx.now > unit.created_ns + SLOW_POLL_NS
            await ctx.sleep(SLOW_POLL_NS if late else POLL_NS)
        if unit.state is UnitState.FAILED:
            assert unit.lead_side is not None
            raise unit.lead_side.fault or Problem("peer-unreachable", unit.why or "")
        return self._shown(unit, caller)

    # -- a turn ------------------------------------------------------------------------------------------

    @handles(YourTurn)
    async def on_turn(self, ctx: Context, msg: YourTurn) -> None:
        """Take all that the unit needs, or give all back and wait on."""
        unit = self._units.get(msg.unit_id)
        if unit is None or unit.state is not UnitState.REQUESTED or unit.lead_side is None:
            ctx.tell(SCHEDULER, UnitOver(msg.unit_id))
            return
        lead = unit.lead_side
        lead.tries += 1  # circuits of each try have names of their own: pairs of the last one may be on their way
        try:
            name = f"{unit.unit_id}/{lead.tries}"
            plan = await self.plan(ctx, name, lead.parties, unit.wanted, idle=False)
            lead.plan = plan
            lead.route = tuple(node for edge in plan.star.edges for node in (plan.centre, edge.node))
            assemble = await self._take(ctx, unit, lead, plan)
        except Problem as problem:
            if problem.code not in MEANWHILE:
                await self._fail(ctx, unit, problem)
                return
            lead.fault = problem
            await self._give_back(ctx, unit, lead)
            if unit.state in ENDED:
                ctx.tell(SCHEDULER, UnitOver(unit.unit_id))
            else:
                unit.why = f"waits: {problem.row.title}" + (f" ({problem.detail})" if problem.detail else "")
                ctx.tell(SCHEDULER, TurnFailed(unit.unit_id, _short(problem, lead.links)))
            return
        if unit.state in ENDED:  # meanwhile
            await self._give_back(ctx, unit, lead)
            ctx.tell(SCHEDULER, UnitOver(unit.unit_id))
            return
        lead.fault = None
        self._step(ctx, unit, UnitState.ROUTED)
        ctx.tell(eme(plan.centre), assemble)
        ctx.tell(SCHEDULER, TurnTaken(unit.unit_id, plan.taken, plan.links))

    async def _take(self, ctx: Context, unit: StatesUnit, lead: LeadSide, plan: Plan) -> Assemble:
        """Memories at every party and the centre, then circuits."""
        star, number = plan.star, unit.wanted.number
        centre_party = "" if star.own < 0 else lead.parties[star.own].sae
        lead.others = tuple(sorted(({eme(p.node) for p in lead.parties} | {eme(plan.centre)}) - {self.name}))
        slots: dict[str, tuple[int, ...]] = {}
        for party in lead.parties:
            own = 0 if party.sae == centre_party else number
            prepared: Prepared = await ctx.ask(eme(party.node), self._prepare(unit, party.sae, own), within=WITHIN)
            slots[eme(party.node)] = prepared.slots
        central: Prepared = await ctx.ask(
            eme(plan.centre), self._prepare(unit, "", plan.memories[plan.centre]), within=WITHIN
        )
        return await self._open(ctx, unit, lead, plan, central.slots, slots)

    async def _open(
        self, ctx: Context, unit: StatesUnit, lead: LeadSide, plan: Plan, central: tuple[int, ...],
        slots: dict[str, tuple[int, ...]],
    ) -> Assemble:  # fmt: skip
        """Circuits into memories that are kept: the centre's, and each party's by its EME."""
        wanted, star, number = unit.wanted, plan.star, unit.wanted.number
        centre_party = "" if star.own < 0 else lead.parties[star.own].sae
        halves = number * len(star.edges)
        opened: list[Edge] = []
        over: list[tuple[str, ...]] = []
        for i, edge in enumerate(star.edges):
            head = central[i * number : (i + 1) * number]
            order = OpenCircuit(
                edge.circuit, plan.centre, edge.node, plan.edge_fidelity(wanted.fidelity), head, slots[edge.party],
                eme(plan.centre), edge.party, tested=wanted.tests > 0, priority=wanted.priority,
                claim=f"{unit.unit_id} {edge.seat}",
            )  # fmt: skip
            lead.circuits = (*lead.circuits, edge.circuit)
            made: PairPlan = await ctx.ask(PAIR_CONTROLLER, order, within=WITHIN)
            over.append(made.links)
            sure = edge_of(edge.circuit, edge.party, edge.seat, made)
            opened.append(
                Edge(edge.circuit, edge.party, edge.node, sure.state, sure.decay_hz, edge.seat, head, slots[edge.party])
            )
        sure_star = Star(star.kind, star.parties, star.graph, tuple(opened), star.own, star.works)
        wait = Promise(sure_star).longest_wait(wanted.fidelity, (0,) * len(opened), plan.ops_ns)
        spent = NEWS_NS + plan.ops_ns
        if wait is None or wait <= spent:
            best = floor(plan.best * 1e4) / 1e4
            raise Problem("fidelity-unreachable", "pairs would not outlive the news of them", best=best)
        lead.over = tuple(over)
        lead.made = Assemble(
            unit.unit_id, self.name, sure_star, centre_party, number, (wait - spent) // 2, wanted.fidelity,
            lead.until_ns, wanted.tests > 0, central[halves:],
        )  # fmt: skip
        return lead.made

    def _prepare(self, unit: StatesUnit, sae: str, number: int) -> PrepareStates:
        return PrepareStates(
            unit.unit_id, self.name, sae, number, unit.endpoints, unit.lifecycle, unit.originator, unit.saes
        )

    async def _give_back(self, ctx: Context, unit: StatesUnit, lead: LeadSide) -> None:
        """Undo a try. Who does not answer frees its memories when it misses the unit."""
        await self._close_circuits(ctx, lead)
        for other in (self.name, *lead.others):
            try:
                await ctx.ask(other, UndoStates(unit.unit_id), within=WITHIN)
            except Problem as problem:
                ctx.emit("unit.undone", unit_id=unit.unit_id, eme=other, code=problem.code)

    async def _close_circuits(self, ctx: Context, lead: LeadSide) -> None:
        circuits, lead.circuits = lead.circuits, ()
        for circuit in circuits:
            await ctx.ask(PAIR_CONTROLLER, CloseCircuit(circuit), within=WITHIN)

    # -- ends before it is established -------------------------------------------------------------------

    @handles(GiveWay)
    async def on_give_way(self, ctx: Context, msg: GiveWay) -> None:
        unit = self._units.get(msg.unit_id)
        if unit is not None and unit.state in YOUNG:
            await self._fail(ctx, unit, Problem("pre-empted", f"by one of priority {msg.priority}"))
        elif unit is None or unit.state in ENDED:
            ctx.tell(SCHEDULER, UnitOver(msg.unit_id))

    @handles(Overdue)
    async def on_overdue(self, ctx: Context, msg: Overdue) -> None:
        """Its time is over: the reason is what kept it back last."""
        unit = self._units.get(msg.unit_id)
        if unit is None or unit.state not in YOUNG or unit.lead_side is None:
            return
        seconds = unit.wanted.within_ns / 1e9
        fault = unit.lead_side.fault
        text = f"not established within {seconds:g} s" + ("" if fault is None else f": {fault.detail}")
        fields = {} if fault is None else dict(fault.fields)
        await self._fail(ctx, unit, Problem("deadline" if fault is None else fault.code, text, **fields))

    async def _fail(self, ctx: Context, unit: StatesUnit, problem: Problem) -> None:
        """The unit has failed, for this reason, everywhere."""
        assert unit.lead_side is not None
        if unit.state not in ENDED:
            unit.lead_side.fault = problem
            unit.problem = problem.code
        await self.end(ctx, unit, UnitState.FAILED, problem.row.title + (f": {problem.detail}" * bool(problem.detail)))

    async def end(self, ctx: Context, unit: StatesUnit, state: UnitState, why: str) -> None:
        """The originator's EME ends a unit everywhere. Who does not answer frees its memories when it comes back."""
        lead = unit.lead_side
        assert lead is not None
        if unit.state not in ENDED:
            self._step(ctx, unit, state, why)
        for other in lead.others:
            ctx.tell(other, EndStates(unit.unit_id, str(state), why, unit.problem or ""))
        self._forget_assembly(unit.unit_id)
        await self._close_circuits(ctx, lead)
        await self._release(ctx, unit)
        ctx.tell(SCHEDULER, UnitOver(unit.unit_id))


def _need_tests(wanted: Wanted, parties: int) -> None:
    """Refuse a number of tests that could show nothing, however they came out. Problem `tests-inconclusive`."""
    if not wanted.tests:
        return
    kind = kind_of(wanted.kind, parties, wanted.edges)
    needed = least_tests(kind, wanted.fidelity, 1 - wanted.confidence)
    if wanted.tests < needed:
        raise Problem(
            "tests-inconclusive",
            f"to show {wanted.fidelity:g} with confidence {wanted.confidence:g} takes {needed} perfect tests at "
            f"least, found tests={wanted.tests}",
            needed=needed,
        )  # fmt: skip


def _short(problem: Problem, ideal: tuple[str, ...]) -> dict[str, int]:
    """What was missing, of what the unit would use if it were alone."""
    fields = problem.fields
    if problem.code == "no-memory" and "node" in fields:
        return {node_of(str(fields["node"])): max(1, int(fields["needed"]) - int(fields.get("free", 0)))}
    return {link_of(str(link)): 1 for link in fields.get("busy", ()) if link in ideal}
