"""The fabric's controller as a client of ETSI GS QKD 015: it knows what agents tell, and orders by their configuration.

Routes and reservations are the same controller's as without agents; this adds discovery, leadership and reconciling.
Whoever leads keeps nothing that it could not read again: flows are found in the nodes' configurations, sessions in the
lease. A link that makes no key but has some (PASSIVE) is used, a quarantined one too as far as its pools were kept.

A leader that was paused, or cut off, still believes that it leads until its lease runs out by its own clock; what it
writes after another has taken over carries an epoch that agents refuse.
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial

from quoit.connectivity.api import PATH_NEWS
from quoit.fabric import api
from quoit.fabric.api import (
    AcquireLease,
    Commissioned,
    CommissionNode,
    DrainLink,
    Flow,
    Lease,
    LinkDrained,
    OpenFlow,
    ReleasedFlows,
    ReleaseFlows,
    ReservedFlows,
    ReserveFlows,
)
from quoit.fabric.controller import FabricController
from quoit.fabric.reservations import Reservation
from quoit.fabric.sdqkd import tree
from quoit.fabric.sdqkd.applications import (
    GONE,
    NEW,
    QOS,
    Applications,
    Changed,
    changed_of,
    registered,
    told_of,
    wanted_pairs,
    with_app,
    with_quality,
    without_app,
)
from quoit.fabric.sdqkd.routes import flows_found
from quoit.fabric.sdqkd.southbound import SdqkdSouthbound
from quoit.fabric.sdqkd.tree import Link, Node
from quoit.fabric.southbound import LinkEntry
from quoit.model.problem import Problem
from quoit.planes.configuration import CONFIGURATION_NEWS, ConfigurationChanged, Notification
from quoit.runtime.context import Context
from quoit.runtime.element import handles
from quoit.runtime.wire import Message, message

SECOND = 1_000_000_000
TURN_NS = SECOND
"""How often an instance asks for the lease, or renews it."""
LEASE_NS = 3 * SECOND
RECONCILE_NS = 5 * SECOND
WITHIN = SECOND


@message("fabric.ControlTurn")
class ControlTurn(Message):
    """An instance to itself, in its life that began at `life`: ask for the lease."""

    life: int


@message("fabric.LookAt")
class LookAt(Message):
    """An instance to itself: a node has news, read its state."""

    node: str


class SdqkdController(FabricController):
    """One instance. `links`: what planning knows of them, for their spans; which there are is discovered."""

    realises = ("A3", "C4", "C5", "C6", "D4")
    subscribes = (f"{PATH_NEWS}.*", f"{CONFIGURATION_NEWS}.*")

    def __init__(
        self,
        place: str,
        network: str,
        nodes: tuple[str, ...],
        links: tuple[LinkEntry, ...],
        number: int = 0,
        optical: bool = True,
        joining: frozenset[str] = frozenset(),
        oblivious: bool = False,
    ) -> None:
        """`optical`: links are commissioned from here, with their light unless the fabric is `oblivious` to it; else
        they are somebody else's matter. `joining`: nodes whose agents are asked nothing before they have joined."""
        name = api.controller_instance(number)
        self._agents = SdqkdSouthbound(name, network, tuple(node for node in nodes if node not in joining))
        super().__init__(place, links, name, self._agents, joining, oblivious)
        self._node_of = {api.agent(node): node for node in nodes}
        self._optical = optical
        self._until_ns = 0
        self._ready = False
        self._reconciled_ns = 0
        self._network = network
        self._applications = Applications()
        self._looking: set[str] = set()
        self._away: set[str] = set()

    @property
    def leads(self) -> bool:
        """Whether this instance believes that it leads."""
        return self._agents.epoch > 0

    async def start(self, ctx: Context) -> None:
        self._epoch = ctx.now
        ctx.tell(self.name, ControlTurn(ctx.now))

    # -- leading -----------------------------------------------------------------------------------------

    @handles(ControlTurn)
    async def on_turn(self, ctx: Context, msg: ControlTurn) -> None:
        ctx.tell(self.name, msg, after=TURN_NS)
        if self.leads and ctx.now >= self._until_ns:
            self._step_down(ctx, "its lease ran out")
        asked_ns = ctx.now
        try:
            lease: Lease = await ctx.ask(api.CONTROLLER, AcquireLease(self.name, msg.life, LEASE_NS), within=WITHIN)
        except Problem:
            return  # nobody is told to lead; a lease that runs goes on until its end
        if lease.holder != self.name:
            if self.leads:
                self._step_down(ctx, f"{lease.holder} leads")
            return
        self._until_ns = asked_ns + LEASE_NS  # the keeper counts from later on, so ours ends first
        if lease.epoch != self._agents.epoch:
            self._admit(lease.joined)
            await self._take_over(ctx, lease)
        elif self._ready and (late := self._admit(lease.joined)):
            await self._commission_nodes(ctx, late)
        elif self._ready and ctx.now - self._reconciled_ns >= RECONCILE_NS:
            await self._reconcile(ctx)

    def _step_down(self, ctx: Context, why: str) -> None:
        ctx.emit("control.steps_down", epoch=self._agents.epoch, why=why)
        self._agents.epoch = 0
        self._ready = False

    async def _take_over(self, ctx: Context, lease: Lease) -> None:
        """Fence the former leader at every node, then learn what stands, and go on from there."""
        self._agents.epoch = lease.epoch
        self._ready = False
        self._forget()
        configurations = await self._read_all(ctx, take=True)
        discovered = self._agents.discover(configurations)
        for entry in discovered:
            self._learn(entry)
        for entry in discovered:
            known = self._links[entry.link]
            if self._optical:
                await self._light(ctx, known)
            await self._ordered(ctx, self._south.activate(ctx, entry), entry.link)
            if known.pairs is not None:  # the circuit is the pair controller's matter; no agent knows of it
                await self._open_circuit(ctx, known.pairs)
        for node in self._agents.nodes:
            await self._look(ctx, node)
        self._adopt(flows_found(self._agents.ids, configurations), lease)
        self._reconciled_ns = ctx.now
        self._ready = self.leads
        ctx.emit("control.ready", epoch=lease.epoch, nodes=len(configurations), links=len(discovered))
        for session in list(self._reservations.held):
            self._reservations.repair(session)
            await self._install(ctx, session)
        for pair in wanted_pairs(configurations):
            await self._keep(ctx, pair, "an application that is registered")
        await self._register(ctx)

    def _admit(self, nodes: tuple[str, ...]) -> tuple[str, ...]:
        """Nodes among these that have joined and were not known to have."""
        late = tuple(node for node in nodes if node in self._joining)
        self._joining.difference_update(late)
        self._agents.nodes = (*self._agents.nodes, *late)
        return late

    @handles(CommissionNode)
    async def on_commission(self, ctx: Context, msg: CommissionNode) -> Commissioned:
        """Discover a node that has joined, by its agent, and make the links to it whose other ends are there."""
        self._check_lead()
        found = await self._commission_nodes(ctx, self._admit((msg.node,)) or (msg.node,))
        return Commissioned(msg.node, found)

    async def _commission_nodes(self, ctx: Context, nodes: tuple[str, ...]) -> tuple[str, ...]:
        for node in nodes:
            await self._ordered(ctx, self._agents.take(ctx, node), node)
        entries = [e for e in self._agents.discover(await self._read_all(ctx)) if {e.sender, e.receiver} & {*nodes}]
        for entry in entries:
            self._learn(entry)
            if self._optical:
                await self._light(ctx, self._links[entry.link])
            await self._ordered(ctx, self._south.activate(ctx, entry), entry.link)
            ctx.emit("link.joined", link=entry.link, nodes=list(nodes))
        return tuple(entry.link for entry in entries)

    def _forget(self) -> None:
        """What an earlier life as leader knew may be wrong by now."""
        self._flows.clear()
        self._installed.clear()
        self._guards.clear()
        self._reservations.held.clear()
        for state in self._states.values():
            state.drained = False

    def _adopt(self, found: list[Flow], lease: Lease) -> None:
        """Flows that stand are kept: those without a name by their ends, those of sessions by their names."""
        for flow in found:
            if not flow.name:
                self._flows[flow.src, flow.dst] = flow
        for link in lease.drained:
            if link in self._states:
                self._states[link].drained = True
        for asked in lease.sessions:
            mine = tuple(f for f in found if f.name.rpartition("/")[0] == asked.session)
            routes = tuple((flow.nodes, flow.links) for flow in mine)
            self._reservations.held[asked.session] = Reservation(asked, routes)
            self._installed[asked.session] = mine

    async def _read_all(self, ctx: Context, take: bool = False) -> dict[str, Node]:
        """Configurations of all nodes whose agents answer."""
        found = {}
        for node in self._agents.nodes:
            try:
                if take:
                    await self._agents.take(ctx, node)
                found[node] = await self._agents.configuration(ctx, node)
            except Problem as problem:
                self._heed(ctx, problem, node)
            else:
                self._away.discard(node)
        return found

    def _heed(self, ctx: Context, problem: Problem, about: str) -> None:
        """A refused order: one by epoch ends the leadership; others are for reconciling."""
        if problem.code == "stale-epoch":
            if self.leads:  # else it has been told already
                ctx.emit("control.fenced", about=about, epoch=self._agents.epoch)
                self._step_down(ctx, problem.detail)
        elif problem.code == "deadline" and about not in self._away:
            self._away.add(about)
            ctx.emit("control.node_away", node=about)
        elif problem.code != "deadline":
            ctx.log.warning("agent.refused", about=about, code=problem.code, detail=problem.detail)

    async def _ordered(self, ctx: Context, order: Awaitable[object], about: str) -> object:
        """Have an order carried out; what stands in its way is heeded, and None returned."""
        try:
            return await order
        except Problem as problem:
            self._heed(ctx, problem, about)
            return None

    async def _reconcile(self, ctx: Context) -> None:
        """Make actual what is intended at every node, and read how it does."""
        self._reconciled_ns = ctx.now
        configurations = await self._read_all(ctx)
        for entry in self._agents.discover(configurations):
            self._learn(entry)
            await self._ordered(ctx, self._south.activate(ctx, entry), entry.link)
        for node in configurations:
            flows = [flow for flow in self._intended() if node in flow.nodes]
            try:
                if self._ready and await self._agents.reconcile(ctx, node, flows):
                    ctx.emit("control.reconciled", node=node)
            except Problem as problem:
                self._heed(ctx, problem, node)
            await self._look(ctx, node)

    def _intended(self) -> list[Flow]:
        open_flows = [flow for flow in self._flows.values() if flow is not None]
        return [*open_flows, *(flow for flows in self._installed.values() for flow in flows)]

    # -- what agents tell --------------------------------------------------------------------------------

    @handles(Notification)
    async def on_notification(self, ctx: Context, msg: Notification) -> None:
        await self._hear(ctx, msg.element)
        if msg.name == NEW and (told := told_of(msg.content)) is not None:
            self._applications.hear(told)
            await self._register(ctx)
        elif msg.name in (GONE, QOS) and self._ready and (changed := changed_of(msg.content)) is not None:
            await self._change(ctx, changed, gone=msg.name == GONE)

    async def _register(self, ctx: Context) -> None:
        """Applications whose two nodes are known: a route for their keys, and an entry at both nodes."""
        if not self._ready:
            return
        for told, remote in self._applications.found():
            ends = [self._agents.ids.name_of(qkdn_id) for qkdn_id in (told.local_qkdn_id, remote)]
            if None in ends:
                continue  # at a node of another network
            src, dst = (str(end) for end in ends)
            await self._keep(ctx, (src, dst), told.server_app_id)
            carried = self._flows.get((src, dst)) is not None
            backing = (self._agents.ids.flow(src, dst, ""),) if carried else ()
            new = False
            for node, at, other in ((dst, remote, told.local_qkdn_id), (src, told.local_qkdn_id, remote)):
                app = registered(self._network, told, at, other, backing)
                new |= bool(await self._ordered(ctx, self._agents.edit(ctx, node, partial(with_app, app=app)), node))
            if new:  # else an earlier leader did it
                ctx.emit(
                    "application.registered", app=told.server_app_id, peers=list(told.client_app_id), nodes=[src, dst]
                )

    async def _keep(self, ctx: Context, pair: tuple[str, str], why: str) -> None:
        """A route for this pair, from now on: if there is none yet, as soon as one is found."""
        if self._flows.get(pair) is None:
            self._flows[pair] = None
            await self._route(ctx, pair, f"asked for by {why}")

    async def _change(self, ctx: Context, changed: Changed, gone: bool) -> None:
        """An application asks for something else, or has left: then its entries go. The route stays: others may use
        it, and it costs nothing while nobody does."""
        for node in self._agents.nodes:

            def change(now: Node) -> Node:
                return without_app(now, changed.app_id) if gone else with_quality(now, changed)

            await self._ordered(ctx, self._agents.edit(ctx, node, change), node)
        ctx.emit("application.forgotten" if gone else "application.changed", app=changed.app_id)

    @handles(ConfigurationChanged)
    async def on_configured(self, ctx: Context, msg: ConfigurationChanged) -> None:
        if msg.caller != self.name:
            await self._hear(ctx, msg.element)

    async def _hear(self, ctx: Context, element: str) -> None:
        """News of a node: read it once, however many there are."""
        node = self._node_of.get(element)
        if node in self._agents.nodes and self._ready and node not in self._looking:
            self._looking.add(node)
            ctx.tell(self.name, LookAt(node))

    @handles(LookAt)
    async def on_look(self, ctx: Context, msg: LookAt) -> None:
        self._looking.discard(msg.node)
        if self._ready:
            await self._look(ctx, msg.node)

    async def _look(self, ctx: Context, node: str) -> None:
        """Read a node's state, and take in how its links do. The end that sends speaks for a link."""
        try:
            state = await self._agents.state(ctx, node)
        except Problem as problem:
            self._heed(ctx, problem, node)
            return
        by_id = {self._agents.ids.link(name): name for name in self._links}
        for link in state.links.values():
            name = by_id.get(link.qkdl_id)
            if name is not None and self._links[name].sender == node:
                await self._take_in(ctx, name, link)

    async def _take_in(self, ctx: Context, name: str, link: Link) -> None:
        state = self._states[name]
        bps = float((link.qkdl_performance.skr if link.qkdl_performance is not None else None) or 0)
        idle, was_open = state.mean_bps == 0.0, state.open
        state.bps = bps
        state.mean_bps = bps if idle else (state.mean_bps + bps) / 2
        state.open = link.qkdl_status in (tree.ACTIVE, tree.PASSIVE)
        if not self._ready:
            return
        if state.open != was_open:
            await self._reroute(ctx, name, f"link is {(link.qkdl_status or 'unknown').removeprefix(tree.TYPES)}")
        elif idle and bps:
            await self._repair(ctx, name, f"first key: {name}")

    # -- what Service asks, through the front ------------------------------------------------------------

    def _check_lead(self) -> None:
        if not self._ready:
            raise Problem("no-controller", f"{self.name} does not lead")

    @handles(OpenFlow)
    async def on_open(self, ctx: Context, msg: OpenFlow) -> Flow:
        self._check_lead()
        return await super().on_open(ctx, msg)

    @handles(ReserveFlows)
    async def on_reserve(self, ctx: Context, msg: ReserveFlows) -> ReservedFlows:
        self._check_lead()
        return await super().on_reserve(ctx, msg)

    @handles(ReleaseFlows)
    async def on_release(self, ctx: Context, msg: ReleaseFlows) -> ReleasedFlows:
        self._check_lead()
        return await super().on_release(ctx, msg)

    @handles(DrainLink)
    async def on_drain(self, ctx: Context, msg: DrainLink) -> LinkDrained:
        self._check_lead()
        return await super().on_drain(ctx, msg)

    async def _write_route(self, ctx: Context, flow: Flow) -> None:
        try:
            await self._south.install(ctx, flow)
        except Problem as problem:
            self._heed(ctx, problem, flow.src)

    async def _remove(self, ctx: Context, flow: Flow, nodes: tuple[str, ...]) -> None:
        try:
            await self._south.remove(ctx, flow, nodes)
        except Problem as problem:
            self._heed(ctx, problem, flow.src)
