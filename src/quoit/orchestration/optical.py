"""Light for intents: the quantum network as a customer of the optical network (E3, E4, E5; RFC 8453's CNC).

Where no link leads, the devices of one may be there all the same and want nothing but light: links on demand, and links
whose path is dark and that nobody else restores. The way with the fewest of them is taken; for each a connectivity
service is opened, with its companion on the same fibres, and when it stands the fabric is told to enable the link.
Several intents may need one link: it is given back with the last of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from quoit.connectivity import api as connectivity
from quoit.connectivity.api import (
    CloseService,
    Companion,
    GetServices,
    Limits,
    OpenService,
    ServiceRow,
    Services,
)
from quoit.fabric import api as fabric
from quoit.fabric.api import DisableLink, EnableLink, GetLinks, LinkRow, Links
from quoit.model.problem import Problem
from quoit.orchestration.api import (
    OPTICAL,
    GetOpticalServices,
    OpticalService,
    OpticalServices,
    ReleaseOpticalServices,
    RequestOpticalService,
)
from quoit.orchestration.candidates import candidate_ways
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles

LOOK_NS = 2_000_000_000
ORDER_NS = 600_000_000_000
"""For an order: no switch takes longer."""
STAND_NS = 20_000_000_000
"""How long a service may take to have light; then it is given up."""
POLL_NS = 10_000_000
MOST_WAYS = 16
TRIES = 4
"""Ways that light is asked for, the best first."""
USABLE, SHARED, UNLIT = 1.0, 500.0, 1000.0
"""Costs of a link: any way over links that have light is better than to light one, and it is better to share light that
another intent has asked for."""


@dataclass(frozen=True)
class Lightable:
    """A link that light can be asked for, between nodes `a` (which sends) and `b`. `on_demand`: it has none before;
    else it has lost it."""

    link: str
    a: str
    b: str
    isolation_db: float
    limits: Limits = field(default_factory=Limits)
    companion: Companion | None = None
    on_demand: bool = False


@dataclass
class _Lit:
    """A link's light. `users`: intents that need it. `pending`: it is being opened or given back."""

    plan: Lightable
    users: set[str] = field(default_factory=set)
    pending: bool = False

    @property
    def service(self) -> str:
        return service_of(self.plan.link)


def service_of(link: str) -> str:
    """The name of the service that carries a link's light for intents."""
    return f"link-{link}"


class OpticalServiceManager(Element):
    """Asks for light, and gives it back."""

    stratum, plane = Stratum.SERVICE, Plane.CONTROL
    realises = ("A3", "E3", "E4", "E5")

    def __init__(self, place: str, links: tuple[Lightable, ...]) -> None:
        super().__init__(OPTICAL, place)
        self._plans = {plan.link: plan for plan in links}
        self._lit: dict[str, _Lit] = {}

    # -- asking --------------------------------------------------------------------------------------

    @handles(RequestOpticalService)
    async def on_request(self, ctx: Context, msg: RequestOpticalService) -> OpticalServices:
        reasons: list[str] = []
        for wanted in (await self._ways(ctx, msg))[:TRIES]:
            try:
                await self._light_all(ctx, wanted, msg.intent_id)
            except Problem as problem:
                reasons.append(_said(problem))
                continue
            ctx.emit("optical.lit", intent=msg.intent_id, links=wanted)
            return await self.on_get(ctx, GetOpticalServices(msg.intent_id))
        ctx.emit("optical.refused", intent=msg.intent_id, why=reasons)
        raise Problem("no-route", "; ".join(dict.fromkeys(reasons)), reason="light", refusals=reasons)

    async def _ways(self, ctx: Context, msg: RequestOpticalService) -> list[list[str]]:
        """The links that need light on each way that could be had, the best first. Problem `no-route` if there is no
        way, or one that needs none."""
        rows = (await self._links(ctx)).rows
        up = {row.link for row in rows if row.state == "up"}
        unlit = {row.link for row in rows if self._could_be_lit(row)} - up

        def cost(link: str) -> float | None:
            if link in up:
                return USABLE
            if link not in unlit:
                return None
            return SHARED if link in self._lit else UNLIT

        edges = [(row.link, row.a, row.b) for row in rows]
        found = candidate_ways(edges, msg.a, msg.b, cost, MOST_WAYS, frozenset(msg.avoid))
        most = msg.most_transit
        ways = [way for way in found if most is None or len(way[0]) - 2 <= most]
        lit = ["-".join(nodes) for nodes, links in ways if up.issuperset(links)]
        if lit and not msg.short:
            raise Problem("no-route", f"links with light lead from {msg.a} to {msg.b} already ({lit[0]})", reason="lit")
        if len(lit) == len(ways):
            known = ", ".join(sorted(self._plans)) or "none"
            detail = f"no link that could have light leads from {msg.a} to {msg.b} within the targets (known: {known})"
            raise Problem("no-route", detail, reason="no-devices")
        return [[link for link in links if link in unlit] for _, links in ways if not up.issuperset(links)]

    def _could_be_lit(self, row: LinkRow) -> bool:
        plan = self._plans.get(row.link)
        return plan is not None and (plan.on_demand or row.state == "dark")

    async def _links(self, ctx: Context) -> Links:
        found: Links = await ctx.ask(fabric.METERS, GetLinks(), within=LOOK_NS)
        return found

    async def _light_all(self, ctx: Context, links: list[str], intent: str) -> None:
        """All of them, or none is kept."""
        taken: list[str] = []
        try:
            for link in links:
                new = intent not in (self._lit[link].users if link in self._lit else ())
                await self._light(ctx, self._plans[link], intent)
                if new:
                    taken.append(link)
        except Problem:
            for link in taken:
                await self._leave(ctx, link, intent)
            raise

    async def _light(self, ctx: Context, plan: Lightable, intent: str) -> None:
        await self._settled(ctx, plan.link)
        lit = self._lit.setdefault(plan.link, _Lit(plan))
        lit.users.add(intent)
        lit.pending = True
        try:
            if await self._own(ctx, lit) is None:  # new, or somebody has closed it
                await self._open(ctx, lit)
        except Problem:
            lit.users.discard(intent)
            if not lit.users:
                del self._lit[plan.link]
            raise
        finally:
            lit.pending = False

    async def _settled(self, ctx: Context, link: str) -> None:
        """Wait until nobody is opening it or giving it back."""
        while link in self._lit and self._lit[link].pending:
            await ctx.sleep(POLL_NS)

    async def _open(self, ctx: Context, lit: _Lit) -> None:
        """Have its service be there with light, and the link enabled; else nothing is left of either."""
        plan = lit.plan
        wish = OpenService(
            lit.service, connectivity.QUANTUM, plan.a, plan.b, plan.link, isolation_db=plan.isolation_db,
            limits=plan.limits, companion=plan.companion,
        )  # fmt: skip
        row: ServiceRow = await ctx.ask(connectivity.OTN, wish, within=ORDER_NS)
        try:
            row = await self._stands(ctx, lit, row)
            if plan.on_demand:
                await ctx.ask(fabric.CONTROLLER, EnableLink(plan.link, row.spans), within=ORDER_NS)
        except Problem:
            await self._give_back(ctx, lit)
            raise

    async def _stands(self, ctx: Context, lit: _Lit, row: ServiceRow) -> ServiceRow:
        """Wait for its light. Problem `no-route` with the controller's own words if there is none."""
        until_ns = ctx.now + STAND_NS
        while not row.enabled:
            if row.note or ctx.now >= until_ns:
                raise Problem("no-route", row.note or f"{row.service} had no light within {STAND_NS / 1e9:g} s")
            await ctx.sleep(POLL_NS)
            now = await self._own(ctx, lit)
            if now is None:
                raise Problem("no-route", f"{row.service} was closed by somebody else")
            row = now
        return row

    async def _own(self, ctx: Context, lit: _Lit) -> ServiceRow | None:
        """The service that carries its light. One of the same name may be somebody else's."""
        row = (await self._services(ctx)).get(lit.service)
        return row if row is not None and row.channel == lit.plan.link else None

    async def _services(self, ctx: Context) -> Mapping[str, ServiceRow]:
        found: Services = await ctx.ask(connectivity.OTN, GetServices(), within=LOOK_NS)
        return {row.service: row for row in found.rows}

    # -- giving back ---------------------------------------------------------------------------------

    @handles(ReleaseOpticalServices)
    async def on_release(self, ctx: Context, msg: ReleaseOpticalServices) -> OpticalServices:
        had = await self.on_get(ctx, GetOpticalServices(msg.intent_id))
        gone = [row for row in had.rows if await self._leave(ctx, row.link, msg.intent_id)]
        if gone:
            ctx.emit("optical.released", intent=msg.intent_id, links=[row.link for row in gone])
        return OpticalServices(tuple(gone))

    async def _leave(self, ctx: Context, link: str, intent: str) -> bool:
        """An intent leaves a link; whether it was the last."""
        await self._settled(ctx, link)
        lit = self._lit.get(link)
        if lit is None:
            return False
        lit.users.discard(intent)
        if lit.users:
            return False
        lit.pending = True
        await self._give_back(ctx, lit)
        del self._lit[link]
        return True

    async def _give_back(self, ctx: Context, lit: _Lit) -> None:
        """The fabric first, so that nothing uses the light that goes. A silent element does not keep the rest."""
        link = lit.plan.link
        if lit.plan.on_demand:
            try:
                await ctx.ask(fabric.CONTROLLER, DisableLink(link), within=ORDER_NS)
            except Problem as problem:
                ctx.log.warning("light.not_released", link=link, order="DisableLink", code=problem.code)
        try:
            if await self._own(ctx, lit) is not None:
                await ctx.ask(connectivity.OTN, CloseService(lit.service), within=ORDER_NS)
        except Problem as problem:
            ctx.log.warning("light.not_released", link=link, order="CloseService", code=problem.code)

    # -- telling -------------------------------------------------------------------------------------

    @handles(GetOpticalServices)
    async def on_get(self, ctx: Context, msg: GetOpticalServices) -> OpticalServices:
        mine = [lit for lit in self._lit.values() if msg.intent_id in lit.users]
        return OpticalServices(tuple([_row(lit, await self._own(ctx, lit)) for lit in mine]))


def _row(lit: _Lit, row: ServiceRow | None) -> OpticalService:
    if row is None:
        return OpticalService(lit.service, lit.plan.link, connectivity.REMOVED, False, (), 0, note="it was closed")
    return OpticalService(
        row.service, lit.plan.link, row.lifecycle, row.enabled, row.spans, row.centre_mhz, row.companion_mhz,
        row.note,
    )  # fmt: skip


def _said(problem: Problem) -> str:
    """A refusal in words, with what binds and what could be had, if that is said."""
    text = problem.detail or problem.row.title
    offered = problem.fields.get("offered")
    return f"{text}; what could be had: {offered}" if offered else text
