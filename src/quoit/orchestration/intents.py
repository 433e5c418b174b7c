"""Intents: what is wanted of the network, kept up and reported on (G2; RFC 9315: fulfil, assure).

An intent is translated, set up, watched once a period and whenever its session changes, and reported on. What heals by
itself is left alone: the fabric reroutes sessions, KMEs go hybrid. What is lost is set up anew if the intent says so.
Intents are in memory: they end with the element that keeps them, and so do the sessions that they opened.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from quoit.connectivity.api import OTN, REMOVED
from quoit.fabric.api import CONTROLLER as FABRIC
from quoit.fabric.api import Flows, GetFlows
from quoit.model.problem import Blame, Problem
from quoit.model.urn import Namespace
from quoit.orchestration.api import (
    ACKNOWLEDGED,
    ACTIVE,
    DEGRADED,
    FAILED,
    IN_PROGRESS,
    INTENT_NEWS,
    INTENTS,
    KEY,
    NOTIFY,
    STATES,
    TERMINATED,
    CreateIntent,
    Decision,
    EndIntent,
    Figure,
    GetIntent,
    GetReports,
    Intent,
    IntentChanged,
    Intents,
    ListIntents,
    OpticalService,
    Report,
    Reports,
    ReviseIntent,
)
from quoit.orchestration.figures import Availability, missed, of_light, of_session, of_unit, without_routes
from quoit.orchestration.intent_light import IntentLight, words
from quoit.orchestration.translation import Order, check, translate
from quoit.planes.loop import LOOP_NEWS, LoopRecord
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message
from quoit.service.api import (
    SESSION_NEWS,
    ApplicationRow,
    Applications,
    CloseSession,
    CloseUnit,
    Controllers,
    GetApplications,
    GetSession,
    GetUnit,
    OpenSession,
    OpenUnit,
    Session,
    SessionChanged,
    Unit,
)

S = 1_000_000_000
PERIOD_NS = 10 * S
WITHIN_NS = 30 * S
"""For opening: routes are reserved, a unit's states are made."""
LOOK_NS = 2 * S
MOST_INTENTS = 200
"""Intents that are not over."""
KEPT_OVER = 200
"""Terminated and failed ones that can still be read."""
REPORTS_KEPT, DECISIONS_KEPT = 100, 64
MOST_ATTEMPTS = 30
"""Periods in which an intent is tried before it has failed."""
STAGES = {"chosen": "decide", "done": "execute", "observed": "analyse", "not-had": "verify"}
"""Of an intent's own loop, by the steps of its explanation."""
OVER = frozenset({FAILED, TERMINATED})
MENDS_ITSELF = frozenset({Blame.NETWORK, Blame.PEER})


@message("orchestration.Fulfil")
class Fulfil(Message):
    """To oneself: set up this version of an intent."""

    intent_id: str
    version: int


@message("orchestration.Assure")
class Assure(Message):
    """To oneself: a period is over."""

    intent_id: str
    version: int


@message("orchestration.Expire")
class Expire(Message):
    """To oneself: an intent's time is over."""

    intent_id: str


@dataclass
class _Kept:
    """An intent, and what it stands on. `busy`: a handler sets it up or takes it down."""

    shown: Intent
    reports: deque[Report] = field(default_factory=lambda: deque(maxlen=REPORTS_KEPT))
    availability: Availability = field(default_factory=Availability)
    order: Order | None = None
    light: tuple[OpticalService, ...] = ()
    attempts: int = 0
    numbered: int = 0
    served_bits: int = 0
    reported_ns: int = 0
    busy: bool = False

    @property
    def over(self) -> bool:
        return self.shown.state in OVER


class IntentManager(Element):
    """Keeps intents. `domains`: whose service controllers know the applications. `optical`: the element that lights
    paths for whoever asks (`RequestOpticalService`); None: nobody can be asked for light, and reports say so.
    `keepers`: the closed loops that look after each link.

    An intent's own care is a closed loop, too: what it monitors, analyses, decides and does each period is on the
    stream `loop.intent:<intent>` like the records of other loops (G2)."""

    stratum, plane = Stratum.SERVICE, Plane.CONTROL
    realises = ("G2", "E5", "A5")
    subscribes = (f"{SESSION_NEWS}.*",)

    def __init__(
        self,
        place: str,
        domains: tuple[str, ...],
        namespace: Namespace,
        *,
        period_ns: int = PERIOD_NS,
        optical: str | None = None,
        keepers: Mapping[str, tuple[str, ...]] | None = None,
        name: str = INTENTS,
        controllers: int = 1,
    ) -> None:
        super().__init__(name, place)
        self._controllers = Controllers(controllers, LOOK_NS)
        self._domains = domains
        self._namespace = namespace
        self._period_ns = period_ns
        self._light = IntentLight(optical)
        self._keepers = dict(keepers or {})
        self._kept: dict[str, _Kept] = {}

    # -- what is asked -------------------------------------------------------------------------------

    @handles(CreateIntent)
    async def on_create(self, ctx: Context, msg: CreateIntent) -> Intent:
        check(msg.expression)
        if msg.intent_id in self._kept:
            raise Problem("unit-exists", "draw a new identifier for the intent")
        if sum(not one.over for one in self._kept.values()) >= MOST_INTENTS:
            raise Problem("overloaded", f"expected at most {MOST_INTENTS} intents at a time; end some")
        if msg.ends_ns is not None and msg.ends_ns <= ctx.now:
            raise Problem("malformed", "validFor.endDateTime has passed")
        shown = Intent(
            msg.intent_id, msg.name, msg.description, msg.expression, msg.priority, msg.owner, ACKNOWLEDGED, 1, ctx.now,
            ctx.now, msg.ends_ns, "understood", (), (),
        )  # fmt: skip
        kept = self._kept[msg.intent_id] = _Kept(shown, reported_ns=ctx.now)
        self._forget_oldest()
        self._tell(ctx, kept, "created")
        if msg.ends_ns is not None:
            ctx.tell(self.name, Expire(msg.intent_id), after=msg.ends_ns - ctx.now)
        self._begin(ctx, kept)
        return kept.shown

    @handles(GetIntent)
    async def on_get(self, ctx: Context, msg: GetIntent) -> Intent:
        return self._find(msg.intent_id).shown

    @handles(ListIntents)
    async def on_list(self, ctx: Context, msg: ListIntents) -> Intents:
        if msg.state is not None and msg.state not in STATES:
            raise Problem("malformed", f"lifecycleStatus: expected one of {', '.join(STATES)}, found {msg.state!r}")
        found = [one.shown for one in self._kept.values() if msg.state in (None, one.shown.state)]
        return Intents(tuple(found[msg.offset : msg.offset + msg.limit]), len(found))

    @handles(GetReports)
    async def on_reports(self, ctx: Context, msg: GetReports) -> Reports:
        found = list(reversed(self._find(msg.intent_id).reports))
        if msg.report_id is not None:
            found = [report for report in found if report.report_id == msg.report_id]
            if not found:
                raise Problem("unknown-intent", f"no such report; the last {REPORTS_KEPT} of an intent are kept")
        return Reports(tuple(found[msg.offset : msg.offset + msg.limit]), len(found))

    @handles(ReviseIntent)
    async def on_revise(self, ctx: Context, msg: ReviseIntent) -> Intent:
        kept = self._find(msg.intent_id)
        if kept.over:
            raise Problem("intent-over", f"it is {kept.shown.state}: {kept.shown.why}")
        if msg.expression is not None:
            check(msg.expression)
        given = {"name": msg.name, "description": msg.description, "expression": msg.expression}
        kept.shown = msgspec.structs.replace(kept.shown, **{k: v for k, v in given.items() if v is not None})
        if msg.expression is not None:
            kept.shown = msgspec.structs.replace(kept.shown, version=kept.shown.version + 1)
            kept.attempts = 0
            await self._take_down(ctx, kept)
            self._explain(ctx, kept, "done", f"version {kept.shown.version} replaces what was set up before")
            self._begin(ctx, kept)
        self._tell(ctx, kept, "revised")
        return kept.shown

    @handles(EndIntent)
    async def on_end(self, ctx: Context, msg: EndIntent) -> Intent:
        kept = self._find(msg.intent_id)
        if not kept.over:
            self._become(ctx, kept, TERMINATED, "ended by request")
            await self._take_down(ctx, kept)
        if msg.remove and self._kept.pop(msg.intent_id, None) is not None:
            self._tell(ctx, kept, "removed")
        return kept.shown

    @handles(Expire)
    async def on_expire(self, ctx: Context, msg: Expire) -> None:
        kept = self._kept.get(msg.intent_id)
        if kept is not None and not kept.over:
            self._become(ctx, kept, TERMINATED, "its time is over")
            await self._take_down(ctx, kept)

    # -- fulfil --------------------------------------------------------------------------------------

    def _begin(self, ctx: Context, kept: _Kept) -> None:
        ctx.spawn(Fulfil(kept.shown.intent_id, kept.shown.version))
        ctx.tell(self.name, Assure(kept.shown.intent_id, kept.shown.version), after=self._period_ns)

    @handles(Fulfil)
    async def on_fulfil(self, ctx: Context, msg: Fulfil) -> None:
        kept = self._kept.get(msg.intent_id)
        if kept is not None and not kept.over and kept.shown.version == msg.version and not kept.busy:
            kept.busy = True
            try:
                await self._set_up(ctx, kept, msg.version)
            finally:
                kept.busy = False

    async def _set_up(self, ctx: Context, kept: _Kept, version: int) -> None:
        """Try once. What comes too late, because the intent has changed meanwhile, is taken down again."""
        if kept.shown.state != IN_PROGRESS:
            self._become(ctx, kept, IN_PROGRESS, "being set up")
        kept.attempts += 1
        new_id = str(uuid.UUID(bytes=ctx.rng("ids").bytes(16), version=4))
        shown = kept.shown
        try:
            known = await self._applications(ctx)
            order = translate(shown.expression, shown.priority, known, self._namespace, new_id)
            if kept.attempts == 1:
                self._explain(ctx, kept, "chosen", "; ".join(order.said))
            try:
                opened = await ctx.ask(order.element, order.message, within=WITHIN_NS)
            except Problem as problem:
                if problem.code == "deadline":
                    await self._close(ctx, order)  # it may have come about all the same
                await self._ask_for_light(ctx, kept, order, problem)
                raise
        except Problem as problem:
            if kept.shown.version == version and not kept.over:
                self._not_had(ctx, kept, problem)
                if kept.shown.state in OVER:
                    await self._give_light_back(ctx, kept)
            return
        if kept.over or kept.shown.version != version:
            await self._close(ctx, order)
            return
        kept.order, kept.attempts, kept.served_bits = order, 0, 0
        self._explain(ctx, kept, "done", await self._came_about(ctx, opened))
        self._judge(ctx, kept, opened)

    async def _applications(self, ctx: Context) -> tuple[ApplicationRow, ...]:
        rows: tuple[ApplicationRow, ...] = ()
        for domain in self._domains:
            answer: Applications = await self._controllers.ask(ctx, domain, GetApplications())
            rows += answer.rows
        return rows

    async def _came_about(self, ctx: Context, opened: Session | Unit) -> str:
        if isinstance(opened, Unit):
            route = f" over {' '.join(opened.route)}" if opened.route else ""
            return f"unit {opened.unit_id} is {opened.state}{route}"
        said = f"session {opened.session_id} is {opened.state}"
        try:
            found: Flows = await ctx.ask(FABRIC, GetFlows(), within=LOOK_NS)
        except Problem:
            return said
        flows = found.of_session(opened.session_id)
        loops = dict.fromkeys(loop for flow in flows for link in flow.links for loop in self._keepers.get(link, ()))
        said += f" over {' and '.join('-'.join(flow.nodes) for flow in flows)}" if flows else ""
        return said + (f"; its links are looked after by the loops {', '.join(loops)}" if loops else "")

    async def _ask_for_light(self, ctx: Context, kept: _Kept, order: Order, problem: Problem) -> None:
        """Where no link leads, another light path might: asked of whoever controls the optical network."""
        if kept.light:
            return
        version = kept.shown.version
        kept.light, said = await self._light.ask(ctx, kept.shown, order.ends, problem)
        if kept.over or kept.shown.version != version:
            await self._give_light_back(ctx, kept)
        elif kept.light:
            self._explain(ctx, kept, "done", said)
        elif said:
            self._explain_once(ctx, kept, "not-had", said)

    async def _look_at_light(self, ctx: Context, kept: _Kept) -> None:
        """How the light stands. What the optical network has closed is given up, and asked for again if missed."""
        kept.light = await self._light.now(ctx, kept.shown.intent_id, kept.light)
        gone = [row.service for row in kept.light if row.state == REMOVED]
        if gone:
            self._explain(ctx, kept, "observed", f"the optical network has closed {', '.join(gone)}")
            await self._give_light_back(ctx, kept)

    async def _give_light_back(self, ctx: Context, kept: _Kept) -> None:
        kept.light = ()
        said = await self._light.give_back(ctx, kept.shown.intent_id)
        if said:
            self._explain(ctx, kept, "done", said)

    def _not_had(self, ctx: Context, kept: _Kept, problem: Problem) -> None:
        """It could not be set up: wait for the network, or say that it cannot be."""
        offered = problem.fields.get("offered_bps", problem.fields.get("best"))
        said = words(problem) + (f"; what could be had: {offered:g}" if isinstance(offered, int | float) else "")
        self._explain_once(ctx, kept, "not-had", said)
        if problem.row.blame not in MENDS_ITSELF:
            self._become(ctx, kept, FAILED, said)
        elif kept.attempts >= MOST_ATTEMPTS:
            self._become(ctx, kept, FAILED, f"given up after {kept.attempts} attempts: {said}")
        elif kept.shown.why != said:
            self._become(ctx, kept, IN_PROGRESS, said)

    # -- assure --------------------------------------------------------------------------------------

    @handles(Assure)
    async def on_assure(self, ctx: Context, msg: Assure) -> None:
        kept = self._kept.get(msg.intent_id)
        if kept is None or kept.over or kept.shown.version != msg.version:
            return
        ctx.tell(self.name, msg, after=self._period_ns)
        if kept.busy:
            return
        kept.busy = True
        try:
            await self._look_at_light(ctx, kept)
            if kept.order is None:
                await self._set_up(ctx, kept, msg.version)
                if not kept.over:
                    self._report(ctx, kept, None)
                return
            try:
                found = await self._look(ctx, kept)
            except Problem as problem:  # silence is no loss: it may answer next time
                self._unseen(ctx, kept, problem)
                return
            if kept.over or kept.shown.version != msg.version:
                return
            self._report(ctx, kept, found)
            if found is None or not _stands(found):
                await self._lost(ctx, kept, found, msg.version)
            elif isinstance(found, Session) and without_routes(found) and kept.shown.expression.on_violation != NOTIFY:
                lost = Problem("no-route", found.why or "the session has no route")
                await self._ask_for_light(ctx, kept, kept.order, lost)
        finally:
            kept.busy = False

    @handles(SessionChanged)
    async def on_session(self, ctx: Context, msg: SessionChanged) -> None:
        """A session is in another state: no need to wait for the period's end."""
        kept = next((one for one in self._kept.values() if _session_id(one.order) == msg.session_id), None)
        if kept is None or kept.over or kept.busy:
            return
        self._explain(ctx, kept, "observed", f"the session is {msg.state}: {msg.why}")
        try:
            found = await self._look(ctx, kept)
        except Problem as problem:
            self._unseen(ctx, kept, problem)
            return
        self._judge(ctx, kept, found)

    async def _look(self, ctx: Context, kept: _Kept) -> Session | Unit | None:
        """What it stands on, as its keeper says; None if that is gone. Problem if nobody says."""
        if kept.order is None:
            return None
        opened = kept.order.message
        look = GetSession(*_ids(opened)) if isinstance(opened, OpenSession) else GetUnit(*_ids(opened))
        try:
            found: Session | Unit = await ctx.ask(kept.order.element, look, within=LOOK_NS)
        except Problem as problem:
            if problem.code in ("unknown-session", "unknown-unit"):
                return None
            raise
        return found

    def _judge(self, ctx: Context, kept: _Kept, found: Session | Unit | None) -> None:
        """Active or degraded, from what is there now."""
        if kept.over or (kept.shown.state == IN_PROGRESS and found is None):
            return
        figures = self._figures(ctx, kept, found)
        lacking = missed(figures)
        kept.availability.note(ctx.now, not lacking)
        state = DEGRADED if lacking else ACTIVE
        why = lacking or "all targets are met"
        hybrid = isinstance(found, Session) and found.state == "hybrid"
        why = f"keys are made without the links (hybrid); {why}" if hybrid else why
        if (state, why) != (kept.shown.state, kept.shown.why):
            self._become(ctx, kept, state, why)

    def _unseen(self, ctx: Context, kept: _Kept, problem: Problem) -> None:
        if kept.over or kept.order is None:
            return
        kept.availability.note(ctx.now, False)
        why = f"{kept.order.element} does not say how it is: {words(problem)}"
        if (kept.shown.state, kept.shown.why) != (DEGRADED, why):
            self._become(ctx, kept, DEGRADED, why)

    def _figures(self, ctx: Context, kept: _Kept, found: Session | Unit | None) -> list[Figure]:
        e = kept.shown.expression
        if e.kind == KEY:
            session = found if isinstance(found, Session) else None
            return of_session(e, session, kept.served_bits, ctx.now - kept.reported_ns)
        return of_unit(e, found if isinstance(found, Unit) else None)

    def _report(self, ctx: Context, kept: _Kept, found: Session | Unit | None) -> None:
        self._judge(ctx, kept, found)
        figures = [
            *self._figures(ctx, kept, found),
            *of_light(kept.light),
            kept.availability.figure(kept.shown.expression.targets.availability),
        ]
        kept.numbered += 1
        shown = kept.shown
        report = Report(
            f"{shown.intent_id}-{kept.numbered}", shown.intent_id, kept.numbered, kept.reported_ns, ctx.now,
            shown.state, tuple(figures), shown.why,
        )  # fmt: skip
        kept.reports.append(report)
        measured = {figure.name: figure.measured for figure in figures}
        self._record(ctx, kept, "monitor", shown.why, **measured)
        kept.reported_ns = ctx.now
        if isinstance(found, Session):
            kept.served_bits = found.served_bits
        ctx.publish(f"{INTENT_NEWS}.{shown.intent_id}", report)

    async def _lost(self, ctx: Context, kept: _Kept, found: Session | Unit | None, version: int) -> None:
        """What it stood on is gone or used up: again, or let it be."""
        used = isinstance(found, Unit) and found.state == "consumed"
        what = "the unit has been used" if used else "what it stood on is gone"
        order, kept.order = kept.order, None
        if order is not None and found is not None and not used:
            await self._close(ctx, order)
        if not used and kept.shown.expression.on_violation == NOTIFY:
            self._become(ctx, kept, FAILED, f"{what}, and on_violation is {NOTIFY}")
            return
        self._explain(ctx, kept, "chosen", f"{what}: set up again")
        await self._set_up(ctx, kept, version)

    # -- ending and telling ----------------------------------------------------------------------------

    async def _take_down(self, ctx: Context, kept: _Kept) -> None:
        order, kept.order = kept.order, None
        kept.availability.note(ctx.now, False)
        if order is not None:
            await self._close(ctx, order)
        if kept.light:
            await self._give_light_back(ctx, kept)

    async def _close(self, ctx: Context, order: Order) -> None:
        caller, name = _ids(order.message)
        close = CloseSession(caller, name) if isinstance(order.message, OpenSession) else CloseUnit(caller, name)
        try:
            await ctx.ask(order.element, close, within=WITHIN_NS)
        except Problem as problem:
            if problem.code not in ("unknown-session", "unknown-unit"):
                ctx.log.warning("intent.not_closed", resource=name, code=problem.code)

    def _become(self, ctx: Context, kept: _Kept, state: str, why: str) -> None:
        before = kept.shown.state
        resources = [] if kept.order is None else [f"{kept.order.element}/{_ids(kept.order.message)[1]}"]
        resources += [f"{OTN}/{row.service}" for row in kept.light]
        kept.shown = msgspec.structs.replace(
            kept.shown, state=state, why=why, changed_ns=ctx.now, resources=() if state in OVER else tuple(resources)
        )
        self._explain(ctx, kept, "observed" if state in (ACTIVE, DEGRADED) else "done", f"{state}: {why}")
        ctx.emit("intent.state", intent=kept.shown.intent_id, was=before, state=state, why=why)
        self._tell(ctx, kept, "state")

    def _explain(self, ctx: Context, kept: _Kept, step: str, text: str) -> None:
        said = (*kept.shown.decisions, Decision(ctx.now, step, text))[-DECISIONS_KEPT:]
        kept.shown = msgspec.structs.replace(kept.shown, decisions=said)
        self._record(ctx, kept, STAGES[step], text)
        ctx.emit("intent.decision", intent=kept.shown.intent_id, step=step, text=text)

    def _record(self, ctx: Context, kept: _Kept, stage: str, text: str, **fields: object) -> None:
        """A step of the intent's own loop, on the stream of loops."""
        name = f"intent:{kept.shown.intent_id}"
        ctx.publish(f"{LOOP_NEWS}.{name}", LoopRecord(name, stage, kept.shown.version, text, fields, ctx.now))

    def _explain_once(self, ctx: Context, kept: _Kept, step: str, text: str) -> None:
        """What is tried again each period is not said again each period."""
        if all(decision.text != text for decision in kept.shown.decisions):
            self._explain(ctx, kept, step, text)

    def _tell(self, ctx: Context, kept: _Kept, what: str) -> None:
        ctx.publish(f"{INTENT_NEWS}.{kept.shown.intent_id}", IntentChanged(what, kept.shown))

    def _find(self, intent_id: str) -> _Kept:
        found = self._kept.get(intent_id)
        if found is None:
            raise Problem("unknown-intent")
        return found

    def _forget_oldest(self) -> None:
        over = [name for name, one in self._kept.items() if one.over]
        for name in over[: max(0, len(over) - KEPT_OVER)]:
            del self._kept[name]


def _ids(opened: OpenSession | OpenUnit) -> tuple[str, str]:
    """Who opened it, and its identifier."""
    return (
        (opened.caller, opened.session_id) if isinstance(opened, OpenSession) else (opened.originator, opened.unit_id)
    )


def _session_id(order: Order | None) -> str | None:
    return order.message.session_id if order is not None and isinstance(order.message, OpenSession) else None


def _stands(found: Session | Unit) -> bool:
    """Whether it may still serve: sessions heal themselves, units are used up."""
    if isinstance(found, Session):
        return found.state != "closed"
    return found.state in ("requested", "routed", "established", "delivered")
