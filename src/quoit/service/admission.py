"""Admission: whether the network can give the quality that is asked for (C6; draft 4.2)."""

from __future__ import annotations

from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.service.agreements import AdmitSession, RouteSession, SessionRoutes, admission, router
from quoit.service.instances import Instances
from quoit.service.router import ROUTING_NS


def admit(asked_bps: float | None, offered_bps: float) -> None:
    """Return if the rate can be given. Problem `not-admitted`, with the rate that could be, if not."""
    if asked_bps is not None and asked_bps > offered_bps:
        raise Problem(
            "not-admitted",
            f"{asked_bps:.0f} bit/s are asked, the network can give {offered_bps:.0f} bit/s now",
            offered_bps=offered_bps,
        )


class AdmissionControl(Element):
    """Grants sessions: within the contract, and if the routing module finds routes with rate to spare. What it has
    granted is with the fabric, so instances share nothing."""

    stratum, plane = Stratum.SERVICE, Plane.CONTROL
    realises = ("C5", "C6")
    separable = True

    def __init__(self, place: str, domain: str, fastest_ns: int, instance: int = 0, routers: int = 1) -> None:
        """`fastest_ns`: no answer takes less than the commits that it waits for."""
        super().__init__(admission(domain, instance), place)
        self._routers = Instances(tuple(router(domain, n) for n in range(routers)), ROUTING_NS)
        self._fastest_ns = fastest_ns

    @handles(AdmitSession)
    async def on_admit(self, ctx: Context, msg: AdmitSession) -> SessionRoutes:
        asked = msg.asked
        if msg.agreed_bps is not None:
            admit(asked.rate_bps, max(0.0, msg.agreed_bps - msg.held_bps))
        if asked.max_latency_ns is not None and asked.max_latency_ns < self._fastest_ns:
            detail = f"an answer within {asked.max_latency_ns} ns is asked, none takes less than {self._fastest_ns} ns"
            raise Problem("quality-unreachable", detail, offered_latency_ns=self._fastest_ns)
        route = RouteSession(asked, msg.kme, msg.src, msg.dst)
        found: SessionRoutes = await self._routers.ask(ctx, asked.session_id, route)
        return found
