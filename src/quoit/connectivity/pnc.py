"""The provisioning network controller of an optical domain (RFC 8453): it knows the domain's fibres and their light,
and routes through it (E3, E4).

To the coordinator above it, it shows the domain grey: ways between ends with loss, latency and risks, not how they run.
Risks of its own are told under numbers. Channels are read from the plant's common inventory, since light is one thing
from end to end; orders go through the plant's controller.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

from msgspec import structs

from quoit.connectivity.api import (
    CHANNEL_NEWS,
    SPAN_NEWS,
    ChannelRow,
    ComputePaths,
    GetMembers,
    Limits,
    Member,
    Members,
    Overstate,
    PathRow,
    Paths,
    SpanLight,
    pnc,
)
from quoit.connectivity.inventory import Inventory
from quoit.connectivity.routing import Computation, Router
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles

MOST_ENDS = 64


class ProvisioningController(Element):
    """Routes through one domain."""

    stratum, plane = Stratum.CONNECTIVITY, Plane.CONTROL
    realises = ("E3", "E4")
    subscribes = (f"{SPAN_NEWS}.*", f"{CHANNEL_NEWS}.*")

    def __init__(
        self, place: str, domain: str, inventory: Inventory, spans: Iterable[str], computation: Computation
    ) -> None:
        super().__init__(pnc(domain), place)
        self._domain = domain
        self._inventory = inventory
        self._spans = frozenset(spans)
        self._router = Router(inventory, computation, self._spans)
        self._dark: frozenset[str] = frozenset()
        self._numbers: dict[str, int] = {}
        self._overstated = Overstate()

    @handles(Overstate)
    async def on_overstate(self, ctx: Context, msg: Overstate) -> None:
        self._overstated = msg

    @handles(SpanLight)
    async def on_light(self, ctx: Context, msg: SpanLight) -> None:
        if msg.span in self._spans:
            self._dark = self._dark - {msg.span} if msg.loss_db is not None else self._dark | {msg.span}

    @handles(ChannelRow)
    async def on_channel(self, ctx: Context, msg: ChannelRow) -> None:
        self._inventory.note(msg)

    @handles(ComputePaths)
    async def on_compute(self, ctx: Context, msg: ComputePaths) -> Paths:
        return Paths(self._router.paths(msg, self._dark))

    @handles(GetMembers)
    async def on_members(self, ctx: Context, msg: GetMembers) -> Members:
        if len(msg.ends) > MOST_ENDS:
            raise Problem("malformed", f"expected at most {MOST_ENDS} ends, found {len(msg.ends)}")
        limits = msg.question.limits
        free = Limits(limits.objective, avoid=limits.avoid, centres_mhz=limits.centres_mhz)
        rows = []
        for a, b in combinations(sorted(set(msg.ends)), 2):
            question = structs.replace(
                msg.question, a=a, b=b, limits=free, companion=None, count=1, disjoint=False, protect=()
            )
            try:
                (path,) = self._router.paths(question, self._dark)
            except Problem as problem:
                if problem.code != "no-route":
                    raise
                continue
            rows.append(self._member(path, question))
        return Members(tuple(rows))

    def _member(self, path: PathRow, question: ComputePaths) -> Member:
        centres, noise = self._router.free_on(path, question, self._dark)
        own = (f"{self._domain}#{self._number(name)}" for name in (*path.spans, *path.nodes[1:-1]))
        ends = sum(self._inventory.insertion_db(node) for node in (path.nodes[0], path.nodes[-1]))
        return Member(
            path.nodes[0],
            path.nodes[-1],
            max(0.0, path.loss_db - ends - self._overstated.loss_db),
            max(0, path.latency_ns - self._overstated.latency_ns),
            path.switches,
            (*path.risks, *own),
            centres,
            noise,
        )

    def _number(self, name: str) -> int:
        """Under what number a span or a site of the domain is told as a risk."""
        return self._numbers.setdefault(name, len(self._numbers) + 1)
