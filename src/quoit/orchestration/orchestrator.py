"""The orchestrator: one view over the controllers of all strata, and what both sides tell each other (A5, E5).

It keeps no copy of the network: a view is asked for anew each time, through the doors of the strata, and says who was
silent. Over several domains it is hierarchical (one for all, which asks every domain's control) or federated (one in
each domain, which asks its peers for what other domains may know). Nodes that join come through here as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from quoit.connectivity import api as connectivity
from quoit.connectivity.api import (
    ChannelRow,
    EndWorks,
    GetInventory,
    GetServices,
    GetSpans,
    GetWorks,
    InventoryRows,
    PathDown,
    PathUp,
    Services,
    SpanLight,
    Spans,
    WorksRow,
    WorksRows,
)
from quoit.fabric import api as fabric
from quoit.fabric.api import (
    Commissioned,
    CommissionNode,
    Flows,
    GetFlows,
    GetLinks,
    LinkQuarantined,
    LinkReleased,
    Links,
)
from quoit.model.problem import Problem
from quoit.orchestration.api import (
    LINK_SEEN,
    NODE_NEWS,
    SPAN_SEEN,
    WORKS_NEWS,
    DomainRow,
    GetView,
    GetWorksCalendar,
    Interface,
    LinkSeen,
    NodeJoined,
    PlanWorks,
    QuantumNode,
    RegisterNode,
    SpanSeen,
    View,
    WithdrawWorks,
    WorksAnnounced,
    WorksCalendar,
    orchestrator,
)
from quoit.orchestration.works import announcement, check, is_over, shown
from quoit.planes.management import Alarms, GetAlarms
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message
from quoit.service import api as service
from quoit.service.api import AdmitNode, Applications, Controllers, GetApplications, GetKmeState, KmeState, controller

WITHIN_NS = 2_000_000_000
PEER_NS = 60_000_000_000
WORKS_NS = 600_000_000_000
"""For works: switches move before the answer, in the worst case."""
UPKEEPS = (connectivity.UPKEEP, fabric.UPKEEP, service.UPKEEP)
A = TypeVar("A", bound=Message)


@dataclass(frozen=True)
class DomainPlan:
    """A domain as orchestration is told of it: its nodes, its KMEs with the node of each."""

    name: str
    prefix: str
    nodes: tuple[str, ...]
    kmes: tuple[tuple[str, str], ...]
    controllers: int = 1
    """Instances of its service controller."""


class Orchestrator(Element):
    """`own`: domains whose controllers it asks; `peers`: domains whose orchestrators it asks. `interfaces`: those that
    are planned, by node; `joining`: nodes that come with a token."""

    stratum, plane = Stratum.SERVICE, Plane.MANAGEMENT
    realises = ("A5", "E5", "G2")

    def __init__(
        self,
        place: str,
        own: tuple[DomainPlan, ...],
        peers: tuple[DomainPlan, ...] = (),
        interfaces: dict[str, tuple[Interface, ...]] | None = None,
        joining: frozenset[str] = frozenset(),
        domain: str = "",
        otn: bool = False,
    ) -> None:
        """`otn`: whether there is an optical network's controller to be asked for its services."""
        super().__init__(orchestrator(domain), place)
        self._own = own
        self._controllers = Controllers(max((plan.controllers for plan in own), default=1), WITHIN_NS)
        self._peers = peers
        self._interfaces = dict(interfaces or {})
        self._joining = joining
        self._joined: set[str] = set()
        self._told: dict[str, WorksRow] = {}
        self._otn = otn
        self._dark: set[str] = set()
        self._nodes = frozenset(node for plan in own for node in plan.nodes)
        self.subscribes = (
            f"{connectivity.PATH_NEWS}.*",
            f"{connectivity.SPAN_NEWS}.*",
            f"{fabric.LINK_NEWS}.*.quarantined",
            f"{fabric.LINK_NEWS}.*.released",
            f"{connectivity.WORKS_NEWS}.*",
        )

    # -- the view ------------------------------------------------------------------------------------

    @handles(GetView)
    async def on_get(self, ctx: Context, msg: GetView) -> View:
        began, silent = ctx.now, list[str]()
        abroad = msg.asking is not None
        links = await self._asked(ctx, fabric.METERS, GetLinks(), Links(()), silent)
        flows = await self._asked(ctx, fabric.CONTROLLER, GetFlows(), Flows((), ()), silent)
        inventory = await self._asked(ctx, connectivity.CONTROLLER, GetInventory(), _NOTHING, silent)
        spans = await self._asked(ctx, connectivity.METERS, GetSpans(), Spans(()), silent)
        services = Services(())
        if self._otn and not abroad:
            services = await self._asked(ctx, connectivity.OTN, GetServices(), services, silent)
        alarms = [await self._asked(ctx, upkeep, GetAlarms(), Alarms(()), silent) for upkeep in UPKEEPS]
        applications, kmes = await self._service(ctx, abroad, silent)
        here = self._nodes
        view = View(
            began,
            ctx.now,
            tuple(DomainRow(domain.name, domain.prefix, "own", tuple(silent)) for domain in self._own),
            tuple(self._node(domain, node) for domain in self._own for node in domain.nodes),
            tuple(row for row in links.rows if row.a in here or row.b in here),
            () if abroad else tuple(flow for flow in flows.installed if flow.src in here or flow.dst in here),
            () if abroad else flows.waiting,
            () if abroad else kmes,
            applications,
            tuple(span for span in inventory.spans if span.a in here or span.b in here),
            tuple(row for row in spans.spans if row.a in here or row.b in here),
            () if abroad else tuple(row for row in inventory.nodes if row.node in here),
            () if abroad else inventory.channels,
            () if abroad else tuple(alarm for answer in alarms for alarm in answer.alarms),
            services.rows,
        )
        for peer in () if abroad else self._peers:
            view = _merged(view, await self._of_peer(ctx, peer))
        return msgspec.structs.replace(view, at_ns=ctx.now)

    async def _service(
        self, ctx: Context, abroad: bool, silent: list[str]
    ) -> tuple[tuple[service.ApplicationRow, ...], tuple[KmeState, ...]]:
        rows: list[service.ApplicationRow] = []
        states: list[KmeState] = []
        for domain in self._own:
            rows += await self._applications(ctx, domain, abroad, silent)
            for kme, node in () if abroad else domain.kmes:
                if self._is_there(node):
                    empty = KmeState(kme, node, domain.name, (), ())
                    states.append(await self._asked(ctx, kme, GetKmeState(), empty, silent))
        return tuple(rows), tuple(states)

    async def _applications(
        self, ctx: Context, domain: DomainPlan, abroad: bool, silent: list[str]
    ) -> tuple[service.ApplicationRow, ...]:
        try:
            answer: Applications = await self._controllers.ask(ctx, domain.name, GetApplications(abroad))
        except Problem:
            silent.append(controller(domain.name))
            return ()
        return answer.rows

    async def _asked(self, ctx: Context, element: str, question: Message, nothing: A, silent: list[str]) -> A:
        """The answer; `nothing` from whoever is silent, which is noted. One that is silent does not hide the others."""
        try:
            answer: A = await ctx.ask(element, question, within=WITHIN_NS)
        except Problem:
            silent.append(element)
            return nothing
        return answer

    async def _of_peer(self, ctx: Context, peer: DomainPlan) -> View:
        """What another domain's orchestrator tells strangers; an empty view that says so if it is silent."""
        own = self._own[0].name if self._own else ""
        try:
            told: View = await ctx.ask(orchestrator(peer.name), GetView(own), within=PEER_NS)
        except Problem:
            row = DomainRow(peer.name, peer.prefix, "peer", (orchestrator(peer.name),))
            return msgspec.structs.replace(_EMPTY, domains=(row,))
        rows = tuple(msgspec.structs.replace(row, mode="peer") for row in told.domains)
        return msgspec.structs.replace(told, domains=rows)

    def _node(self, domain: DomainPlan, node: str) -> QuantumNode:
        kmes = tuple(kme for kme, at in domain.kmes if at == node)
        names = tuple(one.name for one in self._interfaces.get(node, ()))
        return QuantumNode(node, domain.name, "endpoint" if kmes else "relay", kmes, self._is_there(node), names)

    def _is_there(self, node: str) -> bool:
        return node not in self._joining or node in self._joined

    # -- news of links, as others may know them -----------------------------------------------------------

    @handles(PathDown)
    async def on_dark(self, ctx: Context, msg: PathDown) -> None:
        self._seen(ctx, msg.link, "dark", f"no light on span {msg.span}")

    @handles(PathUp)
    async def on_lit(self, ctx: Context, msg: PathUp) -> None:
        self._seen(ctx, msg.link, "lit", "all spans carry light")

    @handles(LinkQuarantined)
    async def on_quarantined(self, ctx: Context, msg: LinkQuarantined) -> None:
        self._seen(ctx, msg.link, "quarantined", msg.why)

    @handles(LinkReleased)
    async def on_released(self, ctx: Context, msg: LinkReleased) -> None:
        self._seen(ctx, msg.link, "released", "its error rate has been normal for the hold time")

    def _seen(self, ctx: Context, link: str, state: str, why: str) -> None:
        if any(one.link == link for node in self._nodes for one in self._interfaces.get(node, ())):
            ctx.publish(f"{LINK_SEEN}.{link}", LinkSeen(link, state, why, ctx.now))

    @handles(SpanLight)
    async def on_span(self, ctx: Context, msg: SpanLight) -> None:
        """What the quantum side hears of the optical topology: that a span has gone dark, or is lit again."""
        if (msg.loss_db is None) == (msg.span in self._dark):
            return
        self._dark ^= {msg.span}
        inventory = await self._inventory(ctx)
        span = next((span for span in inventory.spans if span.span == msg.span), None)
        if span is None or self._nodes.isdisjoint((span.a, span.b)):
            return
        links = tuple(sorted(c.channel for c in inventory.channels if _carries(c, msg.span)))
        state = "dark" if msg.loss_db is None else "lit"
        ctx.publish(f"{SPAN_SEEN}.{msg.span}", SpanSeen(msg.span, state, links, ctx.now))

    # -- planned works, of either side: Connectivity's calendar has them ------------------------------------

    @handles(PlanWorks)
    async def on_works(self, ctx: Context, msg: PlanWorks) -> WorksAnnounced:
        check(msg.works, ctx.now)
        links: Links = await ctx.ask(fabric.METERS, GetLinks(), within=WITHIN_NS)
        order = announcement(msg.works, links.rows, await self._inventory(ctx))
        row: WorksRow = await ctx.ask(connectivity.WORKS, order, within=WORKS_NS)
        return await self._announced(ctx, row)

    @handles(WithdrawWorks)
    async def on_withdraw(self, ctx: Context, msg: WithdrawWorks) -> WorksAnnounced:
        if all(row.works != msg.works_id for row in await self._calendar(ctx)):
            raise Problem("no-such-data", f"no works are called {msg.works_id!r}")
        row: WorksRow = await ctx.ask(connectivity.WORKS, EndWorks(msg.works_id), within=WORKS_NS)
        return await self._announced(ctx, row)

    @handles(GetWorksCalendar)
    async def on_get_works(self, ctx: Context, msg: GetWorksCalendar) -> WorksCalendar:
        inventory = await self._inventory(ctx)
        rows = sorted(await self._calendar(ctx), key=lambda row: (row.start_ns, row.works))
        return WorksCalendar(tuple(shown(row, inventory) for row in rows))

    @handles(WorksRow)
    async def on_works_row(self, ctx: Context, msg: WorksRow) -> None:
        """The calendar has changed, by whomever: both sides hear of it. That somebody gave way is no news for all."""
        was = self._told.get(msg.works)
        plan = msgspec.structs.replace(msg, moved=(), stuck=())
        if was == plan or (was is None and msg.state == connectivity.GIVEN_BACK):
            return
        self._told[msg.works] = plan
        if msg.state == connectivity.GIVEN_BACK:
            del self._told[msg.works]
        ctx.publish(WORKS_NEWS, await self._announced(ctx, msg))

    async def _calendar(self, ctx: Context) -> list[WorksRow]:
        told: WorksRows = await ctx.ask(connectivity.WORKS, GetWorks(), within=WITHIN_NS)
        return [row for row in told.rows if not is_over(row, ctx.now)]

    async def _inventory(self, ctx: Context) -> InventoryRows:
        found: InventoryRows = await ctx.ask(connectivity.CONTROLLER, GetInventory(), within=WITHIN_NS)
        return found

    async def _announced(self, ctx: Context, row: WorksRow) -> WorksAnnounced:
        withdrawn = row.state == connectivity.GIVEN_BACK and row.end_ns > ctx.now
        return WorksAnnounced(shown(row, await self._inventory(ctx)), ctx.now, withdrawn, self.name)

    # -- nodes that join ---------------------------------------------------------------------------------

    @handles(RegisterNode)
    async def on_register(self, ctx: Context, msg: RegisterNode) -> NodeJoined:
        """Discover what it has, have its links commissioned and its applications admitted. May be repeated."""
        domain = next((domain for domain in self._own if msg.node in domain.nodes), None)
        if domain is None or msg.node not in self._joining:
            names = ", ".join(sorted(self._joining)) or "none"
            raise Problem(
                "not-joining", f"expected a node of the file that joins by token ({names}), found {msg.node!r}"
            )
        planned = {(one.link, one.role): one for one in self._interfaces.get(msg.node, ())}
        reported = {(one.link, one.role): one for one in msg.interfaces}
        missing = [f"{link} ({role})" for link, role in planned if (link, role) not in reported]
        if missing:
            raise Problem(
                "malformed", f"expected interfaces for all planned links, found none for {', '.join(missing)}"
            )
        for which, one in planned.items():
            if reported[which].protocol != one.protocol:
                found = f"{one.link}: expected protocol {one.protocol}, found {reported[which].protocol!r}"
                raise Problem("malformed", found)
        linked: Commissioned = await ctx.ask(fabric.CONTROLLER, CommissionNode(msg.node), within=PEER_NS)
        admitted: Applications = await self._controllers.ask(ctx, domain.name, AdmitNode(msg.node))
        self._joined.add(msg.node)
        waiting = tuple(sorted({link for link, _ in planned} - set(linked.links)))
        unplanned = tuple(sorted(one.name for which, one in reported.items() if which not in planned))
        saes = tuple(row.sae for row in admitted.rows)
        news = NodeJoined(msg.node, linked.links, waiting, unplanned, saes, ctx.now)
        ctx.emit("node.joined", node=msg.node, links=list(linked.links), waiting=list(waiting), applications=list(saes))
        ctx.publish(f"{NODE_NEWS}.{msg.node}", news)
        return news


_NOTHING = InventoryRows((), (), (), ())
_EMPTY = View(0, 0, (), (), (), (), (), (), (), (), (), (), (), ())


def _carries(channel: ChannelRow, span: str) -> bool:
    """Whether it is quantum light that goes over this span."""
    return channel.kind == connectivity.QUANTUM and channel.state != connectivity.OFF and span in channel.spans


def _merged(one: View, other: View) -> View:
    """Two domains' views as one: what both tell of is there once, as the first says."""
    fields: dict[str, Any] = {}
    for name, key in (
        ("domains", "name"), ("nodes", "node"), ("links", "link"), ("applications", "sae"), ("spans", "span"),
        ("lights", "span"), ("optics", "node"), ("channels", "channel"), ("kmes", "kme"),
    ):  # fmt: skip
        fields[name] = _once((*getattr(one, name), *getattr(other, name)), key)
    fields["flows"] = tuple(dict.fromkeys((*one.flows, *other.flows)))
    fields["waiting"] = tuple(dict.fromkeys((*one.waiting, *other.waiting)))
    return msgspec.structs.replace(one, **fields)


def _once(rows: Iterable[Any], key: str) -> tuple[Any, ...]:
    found: dict[str, Any] = {}
    for row in rows:
        found.setdefault(getattr(row, key), row)
    return tuple(found.values())
