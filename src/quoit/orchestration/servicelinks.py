"""Service links: an orchestrator has applications registered, looks at candidate paths, and deploys one (A5, E5).

The steps are those of an orchestration interface shaped after ETSI GS QKD 018. A service link is a key session whose
route control chose by hand: it is opened so that no node outside the candidate may see the key. Between two nodes of it
with parallel links the fabric takes the link that it likes; what route came about is asked and told.
"""

from __future__ import annotations

import msgspec

from quoit.fabric.api import CONTROLLER as FABRIC
from quoit.fabric.api import METERS, Flows, GetFlows, GetLinks, LinkRow, Links
from quoit.model.problem import Problem
from quoit.orchestration.api import (
    SERVICE_LINKS,
    Candidate,
    CreateServiceLink,
    DeployCandidate,
    FindCandidates,
    GetServiceLinks,
    RegisterApplication,
    ReleaseServiceLink,
    ServiceLink,
    ServiceLinks,
)
from quoit.orchestration.candidates import candidate_ways
from quoit.orchestration.translation import find
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.service.api import (
    SESSION_NEWS,
    ApplicationRow,
    Applications,
    CloseSession,
    Controllers,
    GetApplications,
    OpenSession,
    SessionChanged,
)

LOOK_NS, OPEN_NS = 2_000_000_000, 30_000_000_000
MOST_LINKS = 1_000
MOST_CANDIDATES = 8
SEARCHED = 64
"""Ways that are looked at for those which pass all nodes that were asked for."""
WIDE_BPS, TIE = 1e6, 0.01
REGISTERED, LINKED, DEPLOYED, LOST = "registered", "linked", "deployed", "lost"


class ServiceLinkManager(Element):
    """Keeps registered applications and the service links between them, in memory. `domains`: whose controllers know
    applications."""

    stratum, plane = Stratum.SERVICE, Plane.CONTROL
    realises = ("A5", "E5")
    subscribes = (f"{SESSION_NEWS}.*",)

    def __init__(self, place: str, domains: tuple[str, ...], controllers: int = 1) -> None:
        super().__init__(SERVICE_LINKS, place)
        self._controllers = Controllers(controllers, LOOK_NS)
        self._domains = domains
        self._by_app: dict[str, ServiceLink] = {}

    @handles(RegisterApplication)
    async def on_register(self, ctx: Context, msg: RegisterApplication) -> ServiceLink:
        if not msg.rate_bps > 0:
            raise Problem("malformed", f"bandwidth: expected above 0 bit/s, found {msg.rate_bps:g}")
        known = [row for domain in self._domains for row in await self._known(ctx, domain)]
        app, peer = find(msg.app, known), find(msg.peer, known)
        if app.sae == peer.sae:
            raise Problem("malformed", "peer_app_id: expected another application")
        old = self._by_app.get(app.sae)
        if old is not None and old.state in (DEPLOYED, LOST):
            raise Problem("unit-exists", f"{app.sae} has the service link {old.link_id}; release it first")
        if old is None and len(self._by_app) >= MOST_LINKS:
            raise Problem("overloaded", f"expected at most {MOST_LINKS} registered applications")
        row = ServiceLink("", app.sae, peer.sae, app.node, peer.node, app.kme, msg.rate_bps, msg.priority, REGISTERED)
        return self._keep(ctx, row)

    async def _known(self, ctx: Context, domain: str) -> tuple[ApplicationRow, ...]:
        answer: Applications = await self._controllers.ask(ctx, domain, GetApplications())
        return answer.rows

    @handles(CreateServiceLink)
    async def on_create(self, ctx: Context, msg: CreateServiceLink) -> ServiceLink:
        row = self._by_app.get(msg.app)
        if row is None:
            raise Problem("unknown-sae", f"{msg.app!r} is not registered; call app-registration first")
        if row.link_id:
            return row
        return self._keep(ctx, msgspec.structs.replace(row, link_id=msg.link_id, state=LINKED))

    @handles(FindCandidates)
    async def on_find(self, ctx: Context, msg: FindCandidates) -> ServiceLink:
        row = self._of(msg.link_id)
        if row.state == DEPLOYED:
            raise Problem("unit-exists", "it is deployed; release it first")
        links: Links = await ctx.ask(METERS, GetLinks(), within=LOOK_NS)
        usable = {one.link: one for one in links.rows if one.state == "up"}
        edges = [(one.link, one.a, one.b) for one in usable.values()]
        number = SEARCHED if msg.include else min(msg.number, MOST_CANDIDATES)
        ways = candidate_ways(edges, row.local, row.remote, lambda e: _cost(usable[e]), number, frozenset(msg.exclude))
        most = len(links.rows) + 1 if msg.most_transit is None else msg.most_transit
        fit = [way for way in ways if len(way[0]) - 2 <= most and set(msg.include) <= set(way[0])]
        if not fit:
            dead = sorted(one.link for one in links.rows if one.state != "up")
            detail = f"no way from {row.local} to {row.remote} fits" + (f"; not up: {', '.join(dead)}" if dead else "")
            raise Problem("no-route", detail)
        found = tuple(
            Candidate(i + 1, nodes, way, min(usable[link].secret_bps for link in way))
            for i, (nodes, way) in enumerate(fit[: min(msg.number, MOST_CANDIDATES)])
        )
        return self._keep(ctx, msgspec.structs.replace(row, candidates=found))

    @handles(DeployCandidate)
    async def on_deploy(self, ctx: Context, msg: DeployCandidate) -> ServiceLink:
        row = self._of(msg.link_id)
        chosen = next((one for one in row.candidates if one.number == msg.number), None)
        if chosen is None:
            there = ", ".join(str(one.number) for one in row.candidates) or "none"
            raise Problem("unknown-path", f"path_id: expected one of {there}, found {msg.number}")
        if row.state == DEPLOYED:
            raise Problem("unit-exists", "it is deployed; release it first")
        links: Links = await ctx.ask(METERS, GetLinks(), within=LOOK_NS)
        nodes = {node for one in links.rows for node in (one.a, one.b)}
        order = OpenSession(
            row.app,
            row.peer,
            row.link_id,
            row.rate_bps,
            priority=row.priority,
            most_transit=len(chosen.nodes) - 2,
            avoid=tuple(sorted(nodes - set(chosen.nodes))),
        )
        await ctx.ask(row.kme, order, within=OPEN_NS)
        flows: Flows = await ctx.ask(FABRIC, GetFlows(), within=LOOK_NS)
        route = next((f.nodes for f in flows.of_session(row.link_id)), ())
        return self._keep(ctx, msgspec.structs.replace(row, state=DEPLOYED, deployed=msg.number, route=route))

    @handles(ReleaseServiceLink)
    async def on_release(self, ctx: Context, msg: ReleaseServiceLink) -> ServiceLink:
        row = self._of(msg.link_id)
        if row.state in (DEPLOYED, LOST):
            try:
                await ctx.ask(row.kme, CloseSession(row.app, row.link_id), within=OPEN_NS)
            except Problem as problem:
                if problem.code != "unknown-session":
                    raise
        self._by_app.pop(row.app, None)
        ctx.emit("service_link.released", link=row.link_id, app=row.app)
        return row

    @handles(GetServiceLinks)
    async def on_get(self, ctx: Context, msg: GetServiceLinks) -> ServiceLinks:
        return ServiceLinks(tuple(self._by_app.values()))

    @handles(SessionChanged)
    async def on_session(self, ctx: Context, msg: SessionChanged) -> None:
        row = next((one for one in self._by_app.values() if one.link_id == msg.session_id), None)
        if row is None or row.state not in (DEPLOYED, LOST):
            return
        state = DEPLOYED if msg.state == "open" else LOST
        if state != row.state:
            self._keep(ctx, msgspec.structs.replace(row, state=state))

    def _of(self, link_id: str) -> ServiceLink:
        found = next((one for one in self._by_app.values() if one.link_id and one.link_id == link_id), None)
        if found is None:
            raise Problem("unknown-path", f"no service link is called {link_id!r}")
        return found

    def _keep(self, ctx: Context, row: ServiceLink) -> ServiceLink:
        self._by_app[row.app] = row
        ctx.emit("service_link.state", app=row.app, link=row.link_id, state=row.state, route=list(row.route))
        return row


def _cost(row: LinkRow) -> float:
    """Fewest links; among equally short ways the one with the widest links."""
    return 1.0 + TIE / (1.0 + row.secret_bps / WIDE_BPS)
