"""The routing module: routes for sessions, and word to the KMEs whenever they change (C5, C6; draft 4.2)."""

from __future__ import annotations

from quoit.fabric import api as fabric
from quoit.fabric.api import ReleasedFlows, ReleaseFlows, ReservedFlows, ReserveFlows, SessionFlows
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.service.agreements import RouteSession, SessionRoutes, UnrouteSession, router

ROUTING_NS = 2_000_000_000
"""How long finding and writing routes may take."""
WITHIN = ROUTING_NS * 9 // 10


class RoutingModule(Element):
    """Has the fabric reserve what a session needs, and keeps the KME's forwarding table true. A session that another
    instance looked after is taken over by asking this one for its routes."""

    stratum, plane = Stratum.SERVICE, Plane.CONTROL
    realises = ("C5", "C6")
    separable = True
    subscribes = (f"{fabric.SESSION_NEWS}.*",)

    def __init__(self, place: str, domain: str, instance: int = 0) -> None:
        super().__init__(router(domain, instance), place)
        self._kmes: dict[str, str] = {}

    @handles(RouteSession)
    async def on_route(self, ctx: Context, msg: RouteSession) -> SessionRoutes:
        asked = msg.asked
        wanted = ReserveFlows(
            asked.session_id,
            msg.src,
            msg.dst,
            asked.rate_bps,
            asked.paths,
            asked.most_transit,
            asked.avoid,
            asked.priority,
        )
        found: ReservedFlows = await ctx.ask(fabric.CONTROLLER, wanted, within=WITHIN)
        self._kmes[asked.session_id] = msg.kme
        return SessionRoutes(asked.session_id, found.flows)

    @handles(UnrouteSession)
    async def on_unroute(self, ctx: Context, msg: UnrouteSession) -> SessionRoutes:
        self._kmes.pop(msg.session_id, None)
        done: ReleasedFlows = await ctx.ask(fabric.CONTROLLER, ReleaseFlows(msg.session_id), within=WITHIN)
        return SessionRoutes(done.session, ())

    @handles(SessionFlows)
    async def on_flows(self, ctx: Context, msg: SessionFlows) -> None:
        kme = self._kmes.get(msg.session)
        if kme is not None:
            ctx.tell(kme, SessionRoutes(msg.session, msg.flows, msg.why, msg.preempted_by is not None))
