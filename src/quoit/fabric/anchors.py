"""Resolving sets of nodes over two tiers, in a network: by domain at control, by anchor inside each domain (D1).

After Cacciapuoti, Illiano, Caleffi on quantum addressing, as far as classical control can do it
(`fabric.programs.edc`). Control knows which domain a node identifier (`DOMAIN:NODE`) belongs to, and asks that domain's
table alone; no table knows of other domains' nodes.
"""

from __future__ import annotations

from collections.abc import Mapping

from quoit.fabric.api import NodesResolved, ResolveNodes
from quoit.fabric.programs.demand import Refused
from quoit.fabric.programs.edc import AnchorDirectory
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message

WITHIN = 2_000_000_000


def anchor_table(domain: str) -> str:
    """Name of the element that knows a domain's anchors."""
    return f"anchors:{domain}"


@message("fabric.AnchorsOf")
class AnchorsOf(Message):
    """Control to a domain's table: which anchors serve these nodes? Answered with `AnchorsFound`; Problem `no-route`
    names those that it does not know."""

    nodes: tuple[str, ...]


@message("fabric.AnchorsFound")
class AnchorsFound(Message):
    """Anchors' nodes by identifier."""

    anchors: dict[str, str]


class AnchorTable(Element):
    """The second tier, of one domain. `anchors`: of its nodes, by identifier."""

    stratum, plane = Stratum.FABRIC, Plane.CONTROL
    realises = ("D1",)

    def __init__(self, place: str, domain: str, anchors: Mapping[str, str]) -> None:
        super().__init__(anchor_table(domain), place)
        self._domain = domain
        self._directory = AnchorDirectory({}, {domain: anchors})

    @handles(AnchorsOf)
    async def on_asked(self, ctx: Context, msg: AnchorsOf) -> AnchorsFound:
        try:
            found = self._directory.inside(self._domain, msg.nodes)
        except Refused as refused:
            raise Problem("no-route", str(refused)) from refused
        ctx.emit("anchors.found", domain=self._domain, nodes=msg.nodes, anchors=found)
        return AnchorsFound(found)


class AnchorFront(Element):
    """The part of control that resolves: the first tier."""

    def __init__(self, name: str, place: str, domains: tuple[str, ...]) -> None:
        """`domains`: those that have tables; none if control keeps no anchors."""
        super().__init__(name, place)
        self._directory = AnchorDirectory(dict(zip(domains, domains, strict=True)), {})
        self._anchored = bool(domains)

    @handles(ResolveNodes)
    async def on_resolve(self, ctx: Context, msg: ResolveNodes) -> NodesResolved:
        if not self._anchored:
            return NodesResolved({}, (), 0)
        try:
            parts = self._directory.split(msg.nodes)
        except Refused as refused:
            raise Problem("no-route", str(refused)) from refused
        anchors: dict[str, str] = {}
        for domain, nodes in sorted(parts.items()):
            found: AnchorsFound = await ctx.ask(anchor_table(domain), AnchorsOf(nodes), within=WITHIN)
            anchors.update(found.anchors)
        lookups = 2 * len(anchors)
        ctx.emit("nodes.resolved", nodes=msg.nodes, domains=sorted(parts), anchors=anchors, lookups=lookups)
        return NodesResolved(anchors, tuple(sorted(parts)), lookups)
