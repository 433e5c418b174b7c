"""A fabric that is controlled from outside the twin: Service is told which flows stand, and nothing is decided here."""

from __future__ import annotations

from quoit.fabric import api
from quoit.fabric.api import (
    DrainLink,
    Flow,
    Flows,
    GetFlows,
    LinkDrained,
    OpenFlow,
    ReleasedFlows,
    ReleaseFlows,
    ReserveFlows,
)
from quoit.fabric.sdqkd.routes import Identifiers, flows_found
from quoit.fabric.sdqkd.southbound import SdqkdSouthbound
from quoit.fabric.sdqkd.tree import Node
from quoit.model.problem import Problem
from quoit.planes.configuration import CONFIGURATION_NEWS, ConfigurationChanged
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles


class StandingFlows(Element):
    """Reads agents' configurations when they change, and answers for whoever controls the fabric from outside.

    Named approximation: what such a controller learns of new wishes it learns from agents' notifications; sessions with
    agreed rates are refused, for no standard interface here would carry them out.
    """

    stratum, plane = Stratum.FABRIC, Plane.CONTROL
    realises = ("A3",)
    subscribes = (f"{CONFIGURATION_NEWS}.*",)

    def __init__(self, place: str, network: str, nodes: tuple[str, ...]) -> None:
        super().__init__(api.CONTROLLER, place)
        self._agents = SdqkdSouthbound(api.CONTROLLER, network, nodes)
        self._node_of = {api.agent(node): node for node in nodes}
        self._configurations: dict[str, Node] = {}
        self._flows: dict[tuple[str, str], Flow] = {}

    @property
    def identifiers(self) -> Identifiers:
        return self._agents.ids

    @handles(ConfigurationChanged)
    async def on_changed(self, ctx: Context, msg: ConfigurationChanged) -> None:
        node = self._node_of.get(msg.element)
        if node is None:
            return
        try:
            self._configurations[node] = await self._agents.configuration(ctx, node)
        except Problem as problem:
            ctx.log.warning("agent.silent", node=node, code=problem.code)
            return
        self._agents.discover(self._configurations)
        found = flows_found(self.identifiers, self._configurations, unclaimed=True)
        self._flows = {(flow.src, flow.dst): flow for flow in found if not flow.name}

    @handles(OpenFlow)
    async def on_open(self, ctx: Context, msg: OpenFlow) -> Flow:
        flow = self._flows.get((msg.src, msg.dst))
        if flow is None:
            detail = f"no virtual link from {msg.src} to {msg.dst} stands; the fabric is controlled from outside"
            raise Problem("no-route", detail)
        return flow

    @handles(ReserveFlows)
    async def on_reserve(self, ctx: Context, msg: ReserveFlows) -> Flow:
        raise Problem("no-route", "the fabric is controlled from outside, where nobody reserves rates for sessions")

    @handles(ReleaseFlows)
    async def on_release(self, ctx: Context, msg: ReleaseFlows) -> ReleasedFlows:
        return ReleasedFlows(msg.session)

    @handles(DrainLink)
    async def on_drain(self, ctx: Context, msg: DrainLink) -> LinkDrained:
        raise Problem("not-supported", "the fabric is controlled from outside, where nobody keeps flows off a link")

    @handles(GetFlows)
    async def on_get_flows(self, ctx: Context, msg: GetFlows) -> Flows:
        return Flows(tuple(flow for _, flow in sorted(self._flows.items())), ())
