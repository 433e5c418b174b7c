"""Assurance: how well every service is, why it is not, and which alarm explains which, across all strata (C6, G1).

It listens to the news of all strata and asks control, once in a while, what routes and channels there are. It decides
nothing.
"""

from __future__ import annotations

from quoit.connectivity import api as connectivity
from quoit.connectivity.api import ChannelRow, GetInventory, InventoryRows, PathDown, PathLoss, PathUp
from quoit.fabric import api as fabric
from quoit.fabric.api import (
    FlowChanged,
    Flows,
    GetFlows,
    LinkAuth,
    LinkCalm,
    LinkQuarantined,
    LinkReleased,
    LinkSuspect,
    PoolLevel,
    SessionFlows,
)
from quoit.model.problem import Problem
from quoit.orchestration.laws import LAWS
from quoit.orchestration.service_graph import CONNECTIVITY_CONTROL, FABRIC_CONTROL, AssurancePlan, ServiceGraph
from quoit.orchestration.telemetry_api import (
    ASSURANCE,
    HEALTH_NEWS,
    AssuranceRow,
    AssuranceTable,
    CorrelatedAlarm,
    CorrelatedAlarms,
    GetAssurance,
    GetCorrelatedAlarms,
    HealthChanged,
    Need,
    RootCause,
    SymptomRow,
)
from quoit.planes.assurance import WELL, Symptom
from quoit.planes.correlation import explain
from quoit.planes.management import ALARM_NEWS, Alarm, Alarms, GetAlarms, Severity
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message
from quoit.service import api as service
from quoit.service.api import SessionChanged, SessionQuality, StreamFilled, StreamStarved

WITHIN = 5_000_000_000
FIRST_AUDIT_NS = 1_000_000_000
SETTLE_NS = 1_000_000
"""How long control's changes are let to come to an end before it is asked about them."""
UPKEEPS = (connectivity.UPKEEP, fabric.UPKEEP, service.UPKEEP)
WEIGHTS = {Severity.CRITICAL: 100, Severity.MAJOR: 60, Severity.MINOR: 20, Severity.WARNING: 5}
"""Points of health that an alarm takes from its object."""
SESSION_WEIGHTS = {"degraded": 50, "hybrid": 50, "pre-empted": 100}
LOSS_WEIGHT_PER_DB = 10


@message("orchestration.Audit")
class Audit(Message):
    """To itself: ask control and management what they know."""


@message("orchestration.AskFlows")
class AskFlows(Message):
    """To itself: ask control which routes there are."""


class AssuranceElement(Element):
    """Keeps the assurance graph and the table of alarms live."""

    stratum, plane = Stratum.SERVICE, Plane.TELEMETRY
    realises = ("A2", "C6", "G1")
    subscribes = (
        f"{connectivity.PATH_NEWS}.*",
        f"{connectivity.CHANNEL_NEWS}.*",
        f"{fabric.LINK_NEWS}.*.*",
        "fabric.flow.*.*",
        f"{fabric.SESSION_NEWS}.*",
        f"{service.STREAM_NEWS}.*",
        f"{service.SESSION_NEWS}.*",
        f"{ALARM_NEWS}.>",
    )

    def __init__(self, place: str, plan: AssurancePlan) -> None:
        super().__init__(ASSURANCE, place)
        self._plan = plan
        self._graph = ServiceGraph(plan)
        self._receivers = {link.link: f"module:{link.link}:{link.b}" for link in plan.links}
        self._alarms: dict[tuple[str, str, str], Alarm] = {}
        self._told: dict[str, tuple[int, tuple[str, ...]]] = {}
        self._asking = False

    async def start(self, ctx: Context) -> None:
        ctx.tell(self.name, Audit(), after=FIRST_AUDIT_NS)

    # -- what control and management know ------------------------------------------------------------

    @handles(Audit)
    async def on_audit(self, ctx: Context, msg: Audit) -> None:
        ctx.tell(self.name, Audit(), after=self._plan.audit_ns)
        await self._ask_inventory(ctx)
        await self.on_ask_flows(ctx, AskFlows())
        for upkeep in UPKEEPS:
            try:
                alarms: Alarms = await ctx.ask(upkeep, GetAlarms(), within=WITHIN)
            except Problem:
                continue  # what is known of it stands
            for alarm in alarms.alarms:
                self._note(ctx, alarm)
        self._tell(ctx)

    async def _ask_inventory(self, ctx: Context) -> None:
        try:
            told: InventoryRows = await ctx.ask(connectivity.CONTROLLER, GetInventory(), within=WITHIN)
        except Problem as problem:
            self._graph.ail(CONNECTIVITY_CONTROL, "does not answer", problem.detail or problem.code, 100, ctx.now)
            return
        self._graph.heal(CONNECTIVITY_CONTROL, "does not answer")
        for channel in told.channels:
            self._graph.set_channel(channel)

    @handles(AskFlows)
    async def on_ask_flows(self, ctx: Context, msg: AskFlows) -> None:
        self._asking = False
        try:
            told: Flows = await ctx.ask(fabric.CONTROLLER, GetFlows(), within=WITHIN)
        except Problem as problem:
            self._graph.ail(FABRIC_CONTROL, "does not answer", problem.detail or problem.code, 100, ctx.now)
        else:
            self._graph.heal(FABRIC_CONTROL, "does not answer")
            self._graph.set_flows(told, ctx.now)
        self._tell(ctx)

    def _ask_soon(self, ctx: Context) -> None:
        if not self._asking:
            self._asking = True
            ctx.tell(self.name, AskFlows(), after=SETTLE_NS)

    # -- news of connectivity ------------------------------------------------------------------------

    @handles(PathDown)
    async def on_down(self, ctx: Context, msg: PathDown) -> None:
        text = f"no light on span {msg.span}" + (", as planned" if msg.planned else "")
        self._ail(ctx, f"path:{msg.link}", "no light", text, 100)

    @handles(PathUp)
    async def on_up(self, ctx: Context, msg: PathUp) -> None:
        self._heal(ctx, f"path:{msg.link}", "no light")

    @handles(PathLoss)
    async def on_loss(self, ctx: Context, msg: PathLoss) -> None:
        excess_db = msg.loss_db - msg.planned_db
        weight = min(90, round(excess_db * LOSS_WEIGHT_PER_DB))
        if weight >= 1:
            self._ail(ctx, f"path:{msg.link}", "loss", f"{excess_db:.2f} dB above plan", weight)
        else:
            self._heal(ctx, f"path:{msg.link}", "loss")

    @handles(ChannelRow)
    async def on_channel(self, ctx: Context, msg: ChannelRow) -> None:
        self._graph.set_channel(msg)
        self._tell(ctx)

    # -- news of the fabric --------------------------------------------------------------------------

    @handles(LinkSuspect)
    async def on_suspect(self, ctx: Context, msg: LinkSuspect) -> None:
        self._ail(ctx, f"link:{msg.link}", "suspect", f"QBER {msg.qber:.4f}, {msg.expected:.4f} expected", 60)

    @handles(LinkCalm)
    async def on_calm(self, ctx: Context, msg: LinkCalm) -> None:
        self._heal(ctx, f"link:{msg.link}", "suspect")

    @handles(LinkQuarantined)
    async def on_quarantined(self, ctx: Context, msg: LinkQuarantined) -> None:
        self._ail(ctx, f"link:{msg.link}", "quarantined", msg.why, 100)

    @handles(LinkReleased)
    async def on_released(self, ctx: Context, msg: LinkReleased) -> None:
        self._heal(ctx, f"link:{msg.link}", "quarantined")

    @handles(LinkAuth)
    async def on_auth(self, ctx: Context, msg: LinkAuth) -> None:
        module = self._receivers.get(msg.link)
        if module is None:
            return
        if msg.parked:
            self._ail(ctx, module, "parked", "no key is left to authenticate messages with", 100)
        else:
            self._heal(ctx, module, "parked")

    @handles(PoolLevel)
    async def on_pool(self, ctx: Context, msg: PoolLevel) -> None:
        if msg.open:
            self._heal(ctx, f"pool:{msg.link}", "closed")
        else:
            self._ail(ctx, f"pool:{msg.link}", "closed", f"{msg.bits} bits are left", 100)

    @handles(FlowChanged)
    async def on_flow(self, ctx: Context, msg: FlowChanged) -> None:
        self._ask_soon(ctx)

    @handles(SessionFlows)
    async def on_session_flows(self, ctx: Context, msg: SessionFlows) -> None:
        self._ask_soon(ctx)

    # -- news of the service -------------------------------------------------------------------------

    @handles(StreamStarved)
    async def on_starved(self, ctx: Context, msg: StreamStarved) -> None:
        name = self._graph.add_stream(msg.stream)
        weight = 50 if msg.free_bits else 100
        self._ail(ctx, name, "starved", f"{msg.why}; {msg.free_bits} bits are left", weight)

    @handles(StreamFilled)
    async def on_filled(self, ctx: Context, msg: StreamFilled) -> None:
        self._heal(ctx, self._graph.add_stream(msg.stream), "starved")

    @handles(SessionChanged)
    async def on_session(self, ctx: Context, msg: SessionChanged) -> None:
        if msg.state == "closed":
            self._graph.end_session(msg.session_id)
            self._tell(ctx)
            return
        name = self._graph.add_session(msg.session_id)
        weight = SESSION_WEIGHTS.get(msg.state)
        if weight is None:
            self._heal(ctx, name, "short")
        else:
            self._ail(ctx, name, "short", f"{msg.state}: {msg.why}", weight)
        self._ask_soon(ctx)

    @handles(SessionQuality)
    async def on_quality(self, ctx: Context, msg: SessionQuality) -> None:
        name = f"session:{msg.session_id}"
        if name not in self._graph:
            return  # it is over
        if msg.kept:
            self._heal(ctx, name, "not as agreed")
        else:
            self._ail(ctx, name, "not as agreed", msg.text, 30)

    # -- alarms --------------------------------------------------------------------------------------

    @handles(Alarm)
    async def on_alarm(self, ctx: Context, msg: Alarm) -> None:
        self._note(ctx, msg)
        self._tell(ctx)

    def _note(self, ctx: Context, alarm: Alarm) -> None:
        key = (alarm.stratum, alarm.about, alarm.cause)
        name = self._graph.object_of(alarm)
        if alarm.cleared_ns is None:
            self._alarms[key] = alarm
            self._graph.ail(name, alarm.cause, alarm.text, WEIGHTS[Severity(alarm.severity)], ctx.now)
        else:
            self._alarms.pop(key, None)
            self._graph.heal(name, alarm.cause)
            if self._graph.kind(name) == "other":
                self._graph.remove(name)

    @handles(GetCorrelatedAlarms)
    async def on_get_alarms(self, ctx: Context, msg: GetCorrelatedAlarms) -> CorrelatedAlarms:
        graph = self._graph

        def below(alarm: Alarm) -> frozenset[str]:
            name = graph.object_of(alarm)
            return graph.below(name) | {name}

        roots = explain(self._alarms.values(), LAWS, graph.object_of, below)
        rows = [_correlated(alarm, why) for alarm, why in roots.items()]
        return CorrelatedAlarms(tuple(sorted(rows, key=lambda row: (bool(row.roots), row.since_ns))))

    # -- health --------------------------------------------------------------------------------------

    def _ail(self, ctx: Context, about: str, name: str, text: str, weight: int) -> None:
        if about in self._graph:
            self._graph.ail(about, name, text, weight, ctx.now)
            self._tell(ctx)

    def _heal(self, ctx: Context, about: str, name: str) -> None:
        if about in self._graph and self._graph.heal(about, name):
            self._tell(ctx)

    def _tell(self, ctx: Context) -> None:
        """Say whose health has changed, or what causes it."""
        healths = self._graph.healths()
        for name in [name for name in self._told if name not in healths]:
            del self._told[name]
        for name, health in healths.items():
            causes: tuple[str, ...] = ()
            if health < WELL:
                causes = tuple(f"{cause.about}: {cause.text}" for cause in self._graph.standing(name, healths).causes)
            if (health, causes) == self._told.get(name, (WELL, ())):
                continue
            self._told[name] = health, causes
            kind = self._graph.kind(name)
            ctx.publish(f"{HEALTH_NEWS}.{kind}", HealthChanged(name, kind, health, causes, ctx.now))
        kinds: dict[str, int] = {}
        for name, health in healths.items():
            kind = self._graph.kind(name)
            kinds[kind] = min(health, kinds.get(kind, WELL))
        for kind, worst in kinds.items():
            ctx.gauge("quoit_health", (kind,), worst)

    @handles(GetAssurance)
    async def on_get(self, ctx: Context, msg: GetAssurance) -> AssuranceTable:
        rows = []
        for one in self._graph.all():
            if one.health < msg.below:
                needs = tuple(Need(name, str(how)) for name, how in self._graph.needs(one.name))
                rows.append(
                    AssuranceRow(one.name, one.kind, one.health, _shown(one.symptoms), _shown(one.causes), needs)
                )
        return AssuranceTable(tuple(sorted(rows, key=lambda row: (row.health, row.name))))


def _shown(symptoms: tuple[Symptom, ...]) -> tuple[SymptomRow, ...]:
    return tuple(SymptomRow(s.about, s.name, s.text, s.weight, s.since_ns) for s in symptoms)


def _correlated(alarm: Alarm, roots: tuple[Alarm, ...]) -> CorrelatedAlarm:
    return CorrelatedAlarm(
        alarm.stratum,
        alarm.about,
        alarm.cause,
        alarm.severity,
        alarm.text,
        alarm.since_ns,
        tuple(RootCause(root.stratum, root.about, root.cause) for root in roots),
    )
