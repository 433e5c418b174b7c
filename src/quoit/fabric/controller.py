"""The fabric's control: activates links and programs key routes into the relays (C4-C6).

Routes are written from the far end to the near one, so that no relay ever forwards into a gap, and a new
route is complete before the entries of the old one go (make before break).
"""

from __future__ import annotations

from dataclasses import replace as replace_entry

from msgspec.structs import replace

from quoit.connectivity.api import CONTROLLER as PATHS
from quoit.connectivity.api import PATH_NEWS, Path, PathDown, PathUp, ReleasePath, RequestPath
from quoit.fabric import api
from quoit.fabric.api import (
    SESSION_NEWS,
    BlockMade,
    Commissioned,
    CommissionNode,
    DisableLink,
    DrainLink,
    EnableLink,
    Flow,
    FlowChanged,
    Flows,
    GetFlows,
    KeyStrayed,
    LinkCommissioned,
    LinkDrained,
    LinkEnabled,
    LinkQuarantined,
    LinkReleased,
    OpenFlow,
    OpenKeyCircuit,
    PoolLevel,
    ReleasedFlows,
    ReleaseFlows,
    ReservedFlows,
    ReserveFlows,
    SessionFlows,
)
from quoit.fabric.reservations import Reservations
from quoit.fabric.southbound import DirectSouthbound, LinkEntry, Southbound
from quoit.model.problem import Problem
from quoit.planes.graph import Graph
from quoit.planes.telemetry import StartMeter, StopMeter
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles

WITHIN = 2_000_000_000
LET_GO_WITHIN = 600_000_000_000
"""For a path that is given up: no switch takes longer."""
INSTALL_POLL_NS = 1_000_000
TIE, TIE_BITS = 0.01, 1e7
"""Weight of an empty pool among equally short routes, and the level that halves it."""


DRAINED = 1000.0
"""Weight of a link that is to be kept free: more than any detour."""


class _State:
    __slots__ = ("bits", "bps", "dark", "drained", "mean_bps", "open", "quarantined")

    def __init__(self) -> None:
        self.bits = 0
        self.open = False
        self.dark = False
        self.drained = False
        self.quarantined = False
        self.bps = 0.0
        self.mean_bps = 0.0


class FabricController(Element):
    """Keeps a route for every pair of nodes that Service asked for."""

    stratum, plane = Stratum.FABRIC, Plane.CONTROL
    realises = ("A3", "C4", "C5", "C6", "D4")
    subscribes: tuple[str, ...] = (
        f"{PATH_NEWS}.*",
        f"{api.LINK_NEWS}.*.pool",
        f"{api.LINK_NEWS}.*.block",
        f"{api.LINK_NEWS}.*.quarantined",
        f"{api.LINK_NEWS}.*.released",
        f"{api.STRAY_NEWS}.*",
    )

    def __init__(
        self,
        place: str,
        links: tuple[LinkEntry, ...],
        name: str = api.CONTROLLER,
        southbound: Southbound | None = None,
        joining: frozenset[str] = frozenset(),
        oblivious: bool = False,
    ) -> None:
        """`joining`: nodes whose links are planned and not commissioned before they have joined. `oblivious`: nothing
        is asked of Connectivity; that a link runs is told, and whoever hears it sees to its light (D4)."""
        super().__init__(name, place)
        self._oblivious = oblivious
        self._south: Southbound = southbound or DirectSouthbound()
        self._joining = set(joining)
        self._asleep = {entry.link for entry in links if entry.on_demand}
        self._links = {entry.link: entry for entry in links}
        self._states = {entry.link: _State() for entry in links}
        self._flows: dict[tuple[str, str], Flow | None] = {}
        self._graph = Graph(self._edges())
        self._reservations = Reservations(self._edges(), self._able_bps)
        self._installed: dict[str, tuple[Flow, ...]] = {}
        self._installing: set[str] = set()
        self._guards: dict[str, int] = {}
        self._epoch = 0

    async def start(self, ctx: Context) -> None:
        # Above the epochs of an earlier life, whose entries the relays keep: none counted an epoch each nanosecond.
        self._epoch = ctx.now
        for entry in self._links.values():
            if not self._waits(entry):
                await self._commission(ctx, entry)

    def _waits(self, entry: LinkEntry) -> bool:
        return entry.link in self._asleep or not self._joining.isdisjoint((entry.sender, entry.receiver))

    async def _commission(self, ctx: Context, entry: LinkEntry) -> None:
        await self._light(ctx, entry)
        if entry.pairs is None:
            await self._south.activate(ctx, entry)
        else:
            await self._open_circuit(ctx, entry.pairs)

    @handles(CommissionNode)
    async def on_commission(self, ctx: Context, msg: CommissionNode) -> Commissioned:
        if all(msg.node not in (entry.sender, entry.receiver) for entry in self._links.values()):
            return Commissioned(msg.node, ())
        new = msg.node in self._joining
        self._joining.discard(msg.node)
        here = [e for e in self._links.values() if msg.node in (e.sender, e.receiver) and not self._waits(e)]
        for entry in here if new else ():
            await self._commission(ctx, entry)
            ctx.emit("link.joined", link=entry.link, node=msg.node)
        return Commissioned(msg.node, tuple(entry.link for entry in here))

    @handles(EnableLink)
    async def on_enable(self, ctx: Context, msg: EnableLink) -> LinkEnabled:
        entry = self._link(msg.link)
        if msg.link not in self._asleep:
            return LinkEnabled(msg.link, True)
        if not self._joining.isdisjoint((entry.sender, entry.receiver)):
            raise Problem("not-ready", f"an end of {msg.link} has not joined yet", link=msg.link)
        await self._commission(ctx, replace_entry(entry, spans=msg.spans or entry.spans))
        self._asleep.discard(msg.link)
        self._states[msg.link].drained = False
        ctx.emit("link.enabled", link=msg.link, spans=list(msg.spans))
        return LinkEnabled(msg.link, True)

    @handles(DisableLink)
    async def on_disable(self, ctx: Context, msg: DisableLink) -> LinkEnabled:
        entry = self._link(msg.link)
        if not entry.on_demand:
            raise Problem("malformed", f"expected a link that is there on demand, found {msg.link!r}", link=msg.link)
        if msg.link not in self._asleep:
            self._asleep.add(msg.link)
            await self.on_drain(ctx, DrainLink(msg.link, True, "nobody needs it"))
            await self._south.deactivate(ctx, entry)
            ctx.tell(api.METERS, StopMeter(msg.link))
            await ctx.ask(PATHS, ReleasePath(msg.link), within=LET_GO_WITHIN)
            ctx.emit("link.disabled", link=msg.link)
        return LinkEnabled(msg.link, False)

    def _link(self, name: str) -> LinkEntry:
        entry = self._links.get(name)
        if entry is None:
            raise Problem("no-such-element", f"expected a link of this network, found {name!r}", link=name)
        return entry

    async def _open_circuit(self, ctx: Context, wanted: OpenKeyCircuit) -> None:
        """A link without a circuit makes no key; the others do."""
        try:
            await ctx.ask(api.PAIR_CONTROLLER, wanted, within=WITHIN)
        except Problem as problem:
            ctx.emit("link.refused", link=wanted.link, code=problem.code, why=problem.detail)
            ctx.log.warning("link.refused", link=wanted.link, code=problem.code)

    def _edges(self) -> list[tuple[str, str, str]]:
        return [(entry.link, entry.sender, entry.receiver) for entry in self._links.values()]

    def _learn(self, entry: LinkEntry) -> None:
        """A link that was not known: routes may use it from now on."""
        if entry.link in self._links:
            return
        self._links[entry.link] = entry
        self._states[entry.link] = _State()
        self._graph = Graph(self._edges())
        self._reservations.edges = tuple(self._edges())

    async def _light(self, ctx: Context, entry: LinkEntry) -> None:
        if self._oblivious:
            news = LinkCommissioned(entry.link, entry.sender, entry.receiver)
            ctx.publish(f"{api.LINK_NEWS}.{entry.link}.commissioned", news)
        else:
            request = RequestPath(entry.link, entry.sender, entry.receiver, entry.spans)
            path: Path = await ctx.ask(PATHS, request, within=WITHIN)
            ctx.gauge("quoit_link_loss_db", (entry.link,), path.loss_db)
        ctx.tell(api.METERS, StartMeter(entry.link))

    # -- what Service asks ---------------------------------------------------------------------------

    @handles(OpenFlow)
    async def on_open(self, ctx: Context, msg: OpenFlow) -> Flow:
        pair = (msg.src, msg.dst)
        if self._flows.get(pair) is None:
            self._flows[pair] = None
            await self._route(ctx, pair, "opened")
        flow = self._flows[pair]
        if flow is None:
            raise Problem("no-route", f"no route from {msg.src} to {msg.dst} has key now", **self._why_not())
        return Flow(flow.src, flow.dst, flow.epoch, flow.nodes, flow.links, self._offer(flow))

    def _why_not(self) -> dict[str, list[str]]:
        return {
            "quarantined": [name for name, s in self._states.items() if s.quarantined],
            "dark": [name for name, s in self._states.items() if s.dark],
        }

    def _offer(self, flow: Flow) -> float:
        """What the narrowest link makes and nobody has reserved, shared evenly among the flows that use it."""
        shares = []
        for link in flow.links:
            users = sum(1 for f in self._flows.values() if f is not None and link in f.links)
            left = max(0.0, self._states[link].bps - self._reservations.reserved_bps(link))
            shares.append(left / max(1, users))
        return min(shares, default=0.0)

    # -- sessions ------------------------------------------------------------------------------------

    def _able_bps(self, link: str) -> float:
        """What a link makes, as far as sessions may count on it: one poor block does not end them."""
        state = self._states[link]
        return 0.0 if state.dark or state.quarantined or state.drained else state.mean_bps

    @handles(ReserveFlows)
    async def on_reserve(self, ctx: Context, msg: ReserveFlows) -> ReservedFlows:
        _, losers = self._reservations.reserve(msg)
        for loser in losers:
            await self._install(ctx, loser)
            news = SessionFlows(loser, (), f"taken by session {msg.session} of priority {msg.priority}", msg.session)
            ctx.publish(f"{SESSION_NEWS}.{loser}", news)
        flows = await self._install(ctx, msg.session)
        ctx.emit("session.reserved", session=msg.session, flows=[list(f.nodes) for f in flows], preempted=list(losers))
        return ReservedFlows(msg.session, flows, losers)

    @handles(ReleaseFlows)
    async def on_release(self, ctx: Context, msg: ReleaseFlows) -> ReleasedFlows:
        if self._reservations.release(msg.session) is not None:
            await self._install(ctx, msg.session)
            ctx.emit("session.released", session=msg.session)
        return ReleasedFlows(msg.session)

    async def _install(self, ctx: Context, session: str) -> tuple[Flow, ...]:
        """Write a session's routes, the new before the old ones go; then guard the pools on the way. One at a time:
        news of two links must not write the same session's entries in turn."""
        while session in self._installing:
            await ctx.sleep(INSTALL_POLL_NS)
        self._installing.add(session)
        held = self._reservations.held.get(session)
        old, flows = self._installed.pop(session, ()), list[Flow]()
        for number, (nodes, links) in enumerate(() if held is None else held.routes):
            same = next((flow for flow in old if flow.links == links), None)
            name = same.name if same is not None else _free_name(session, number, (*old, *flows))
            self._epoch += 1
            flow = Flow(nodes[0], nodes[-1], self._epoch, nodes, links, held.asked.rate_bps if held else 0.0, name)
            if same is None:
                await self._write_route(ctx, flow)
            flows.append(flow)
        for flow in old:
            if flow.name not in {kept.name for kept in flows}:
                self._epoch += 1
                await self._remove(ctx, replace(flow, epoch=self._epoch), flow.nodes)
        if flows:
            self._installed[session] = tuple(flows)
        self._installing.discard(session)
        self._guard(ctx, {link for flow in (*old, *flows) for link in flow.links})
        return tuple(flows)

    async def _write_route(self, ctx: Context, flow: Flow) -> None:
        try:
            await self._south.install(ctx, flow)
        except Problem as problem:
            ctx.log.warning("forwarding.refused", flow=flow.name, nodes=list(flow.nodes), code=problem.code)

    async def _remove(self, ctx: Context, flow: Flow, nodes: tuple[str, ...]) -> None:
        """Forget a flow's entries at these nodes of its."""
        try:
            await self._south.remove(ctx, flow, nodes)
        except Problem as problem:
            ctx.log.warning("forwarding.refused", flow=flow.name, nodes=list(nodes), code=problem.code)

    def _guard(self, ctx: Context, links: set[str]) -> None:
        for link in sorted(links):
            bits = self._reservations.guarded_bits(link)
            if bits != self._guards.get(link, 0):
                self._guards[link] = bits
                self._south.guard(ctx, self._links[link], bits)

    async def _repair(self, ctx: Context, link: str, why: str) -> None:
        """Sessions over a link that has changed, and sessions that miss a route since another one did."""
        held = self._reservations.held
        short = [s for s, one in held.items() if len(one.routes) < one.asked.paths]
        hit = dict.fromkeys((*self._reservations.using(link), *short))
        for session in sorted(hit, key=lambda s: -held[s].asked.priority):
            if session not in held:
                continue  # it ended while another one was being moved
            before = self._installed.get(session, ())
            self._reservations.repair(session)
            flows = await self._install(ctx, session)
            if [flow.links for flow in flows] != [flow.links for flow in before]:
                ctx.emit("session.moved", session=session, flows=[list(flow.nodes) for flow in flows], why=why)
                ctx.publish(f"{SESSION_NEWS}.{session}", SessionFlows(session, flows, why))

    @handles(GetFlows)
    async def on_get_flows(self, ctx: Context, msg: GetFlows) -> Flows:
        flows = [
            Flow(*pair, 0, (), (), 0.0) if flow is None else replace(flow, offered_bps=self._offer(flow))
            for pair, flow in sorted(self._flows.items())
        ]
        sessions = [ReservedFlows(session, held) for session, held in sorted(self._installed.items())]
        waiting = [entry.link for entry in self._links.values() if self._waits(entry)]
        return Flows(tuple(flows), tuple(sessions), tuple(waiting))

    # -- news ----------------------------------------------------------------------------------------

    @handles(PoolLevel)
    async def on_pool(self, ctx: Context, msg: PoolLevel) -> None:
        state = self._states[msg.link]
        state.bits = msg.bits
        if state.open != msg.open:
            state.open = msg.open
            await self._reroute(ctx, msg.link, "pool open" if msg.open else "pool closed")

    @handles(BlockMade)
    async def on_block(self, ctx: Context, msg: BlockMade) -> None:
        state = self._states[msg.link]
        state.bps = msg.secret_bits / (msg.took_ns / 1e9)
        idle = state.mean_bps == 0.0
        state.mean_bps = state.bps if idle else (state.mean_bps + state.bps) / 2
        if idle and state.bps:
            await self._repair(ctx, msg.link, f"first key: {msg.link}")

    @handles(LinkQuarantined)
    async def on_quarantined(self, ctx: Context, msg: LinkQuarantined) -> None:
        self._states[msg.link].quarantined = True
        await self._reroute(ctx, msg.link, "link quarantined")

    @handles(LinkReleased)
    async def on_released(self, ctx: Context, msg: LinkReleased) -> None:
        self._states[msg.link].quarantined = False
        await self._reroute(ctx, msg.link, "link released")

    @handles(PathDown)
    async def on_down(self, ctx: Context, msg: PathDown) -> None:
        if msg.link in self._states:
            self._states[msg.link].dark = True
            self._states[msg.link].bps = 0.0
            await self._repair(ctx, msg.link, f"no light: {msg.link}")

    @handles(PathUp)
    async def on_up(self, ctx: Context, msg: PathUp) -> None:
        if msg.link in self._states:
            self._states[msg.link].dark = False
            await self._repair(ctx, msg.link, f"light again: {msg.link}")

    @handles(KeyStrayed)
    async def on_strayed(self, ctx: Context, msg: KeyStrayed) -> None:
        """Somebody else has written into relays: write again what was decided, above the epoch of whoever it was."""
        if msg.over:
            return
        self._epoch = max(self._epoch, ctx.now)
        named = [flow for flows in self._installed.values() for flow in flows if flow.name == msg.flow]
        decided = named[0] if msg.flow and named else None if msg.flow else self._flows.get((msg.src, msg.dst))
        if decided is None:
            self._epoch += 1
            lost = Flow(msg.src, msg.dst, self._epoch, msg.nodes, (), 0.0, msg.flow)
            await self._remove(ctx, lost, msg.nodes)
            return
        self._epoch += 1
        again = replace(decided, epoch=self._epoch)
        await self._write_route(ctx, again)
        await self._remove(ctx, again, tuple(node for node in msg.nodes if node not in decided.nodes))
        ctx.emit("flow.rewritten", src=msg.src, dst=msg.dst, nodes=list(decided.nodes), strayed=list(msg.nodes))

    # -- what management asks ------------------------------------------------------------------------

    @handles(DrainLink)
    async def on_drain(self, ctx: Context, msg: DrainLink) -> LinkDrained:
        state = self._states[self._link(msg.link).link]
        if state.drained != msg.drain:
            state.drained = msg.drain
            ctx.emit("link.drained" if msg.drain else "link.given_back", link=msg.link, why=msg.why)
            await self._reroute(ctx, msg.link, msg.why)
        left = [f"{f.src}>{f.dst}" for f in self._flows.values() if f is not None and msg.link in f.links]
        return LinkDrained(msg.link, (*left, *self._reservations.using(msg.link)))

    # -- routing -------------------------------------------------------------------------------------

    def _cost(self, link: str) -> float | None:
        """Fewest hops; among equally short routes the one with the fullest pools. A dark link may still
        have key in its pools (ETSI GS QKD 015 calls it PASSIVE): usable."""
        state = self._states[link]
        if not state.open or state.quarantined:
            return None
        return (DRAINED if state.drained else 1.0) + TIE / (1.0 + state.bits / TIE_BITS)

    async def _reroute(self, ctx: Context, link: str, why: str) -> None:
        for pair in list(self._flows):
            await self._route(ctx, pair, f"{why}: {link}")
        await self._repair(ctx, link, f"{why}: {link}")

    async def _route(self, ctx: Context, pair: tuple[str, str], why: str) -> None:
        old = self._flows[pair]
        found = self._graph.route(*pair, self._cost)
        if found is None:
            if old is not None:
                await self._lose(ctx, pair, old, why)
            return
        nodes, links = found
        if old is not None and old.links == links:
            return
        self._epoch += 1
        flow = Flow(*pair, self._epoch, nodes, links, 0.0)
        self._flows[pair] = flow
        await self._write_route(ctx, flow)
        if old is not None:
            await self._remove(ctx, replace(old, epoch=flow.epoch), tuple(n for n in old.nodes if n not in nodes))
        self._tell(ctx, pair, flow.epoch, nodes, why)

    async def _lose(self, ctx: Context, pair: tuple[str, str], old: Flow, why: str) -> None:
        self._epoch += 1
        epoch = self._epoch
        self._flows[pair] = None
        await self._remove(ctx, replace(old, epoch=epoch), old.nodes)
        self._tell(ctx, pair, epoch, (), why)

    def _tell(self, ctx: Context, pair: tuple[str, str], epoch: int, nodes: tuple[str, ...], why: str) -> None:
        ctx.emit("flow.changed", src=pair[0], dst=pair[1], nodes=list(nodes), why=why)
        ctx.publish(f"fabric.flow.{pair[0]}.{pair[1]}", FlowChanged(*pair, epoch, nodes, why))


def _free_name(session: str, number: int, taken: tuple[Flow, ...]) -> str:
    """A name for a session's new route that none of its routes has."""
    names = {flow.name for flow in taken}
    while f"{session}/{number}" in names:
        number += 1
    return f"{session}/{number}"
