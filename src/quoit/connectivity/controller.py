"""Connectivity's control: gives quantum channels a path over the plant (E1, A3)."""

from __future__ import annotations

from quoit.connectivity.api import CONTROLLER, PLANT, Path, RequestPath
from quoit.connectivity.plant import Light, Span
from quoit.model.problem import Problem
from quoit.planes.graph import Graph
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles


class ConnectivityController(Element):
    """Plans paths of least loss and orders the plant to watch them."""

    stratum, plane = Stratum.CONNECTIVITY, Plane.CONTROL
    realises = ("A3", "E1")

    def __init__(self, place: str, spans: tuple[Span, ...]) -> None:
        super().__init__(CONTROLLER, place)
        self._spans = {span.name: span for span in spans}
        self._graph = Graph((span.name, span.a, span.b) for span in spans)

    @handles(RequestPath)
    async def on_request(self, ctx: Context, msg: RequestPath) -> Path:
        spans = msg.spans or self._plan(msg)
        path = Path(msg.link, spans, sum(self._spans[name].loss_db for name in spans), True)
        ctx.tell(PLANT, Light(path))
        return path

    def _plan(self, msg: RequestPath) -> tuple[str, ...]:
        found = self._graph.route(msg.a, msg.b, lambda name: self._spans[name].loss_db)
        if found is None:
            raise Problem("no-route", f"no fibre path from {msg.a} to {msg.b}", a=msg.a, b=msg.b)
        return found[1]
