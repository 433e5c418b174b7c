"""The port by which the fabric's control reaches devices, and the way that needs nobody in between.

Control decides: which links run, which route a flow takes. How an order gets to modules and relays is a matter of the
southbound; `sdqkd.southbound` is the other one, by way of SDN agents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from quoit.fabric import api
from quoit.fabric.api import Flow, OpenKeyCircuit
from quoit.fabric.kma import GuardPool
from quoit.fabric.module import ActivateLink, DeactivateLink
from quoit.fabric.relay import SetForwarding
from quoit.model.problem import Problem
from quoit.runtime.context import Context

WITHIN = 2_000_000_000


@dataclass(frozen=True)
class LinkEntry:
    """A link as control knows it: ends, and the spans it is pinned to (empty: any). `pairs`: what circuit it needs, if
    its key comes of entangled pairs. `on_demand`: it has no light and makes no key before somebody asks for it."""

    link: str
    sender: str
    receiver: str
    spans: tuple[str, ...] = ()
    pairs: OpenKeyCircuit | None = None
    on_demand: bool = False


class Southbound(Protocol):
    """Orders to devices. `ctx` is the controller's."""

    async def activate(self, ctx: Context, entry: LinkEntry) -> None:
        """Have a link make key."""
        ...

    async def deactivate(self, ctx: Context, entry: LinkEntry) -> None:
        """Have a link make no key."""
        ...

    async def install(self, ctx: Context, flow: Flow) -> None:
        """Write a flow's entries. Raises Problem if a node does not take its entry; others may stand then."""
        ...

    async def remove(self, ctx: Context, flow: Flow, nodes: tuple[str, ...]) -> None:
        """Forget the flow's entries at these of its nodes. The flow's epoch is that of what replaces it."""
        ...

    def guard(self, ctx: Context, entry: LinkEntry, bits: int) -> None:
        """Keep so many bits of a link's pool for reserved flows."""
        ...


class DirectSouthbound:
    """By the fabric's own messages. Entries of a flow with a name go out at once, for nobody uses it before it is told
    of; those of keys without one from the far end to the near one, so that no relay ever forwards into a gap."""

    def __init__(self) -> None:
        self._stopped: set[str] = set()

    async def activate(self, ctx: Context, entry: LinkEntry) -> None:
        # A receiver listens from the start; one that was told to stop must be told again.
        if entry.link in self._stopped:
            self._stopped.discard(entry.link)
            ctx.tell(api.module(entry.link, entry.receiver), ActivateLink(entry.link))
        ctx.tell(api.module(entry.link, entry.sender), ActivateLink(entry.link))

    async def deactivate(self, ctx: Context, entry: LinkEntry) -> None:
        self._stopped.add(entry.link)
        for node in (entry.sender, entry.receiver):
            ctx.tell(api.module(entry.link, node), DeactivateLink(entry.link))

    async def install(self, ctx: Context, flow: Flow) -> None:
        await self._write(ctx, flow, list(zip(reversed(flow.nodes[:-1]), reversed(flow.links), strict=True)))

    async def remove(self, ctx: Context, flow: Flow, nodes: tuple[str, ...]) -> None:
        await self._write(ctx, flow, [(node, None) for node in nodes if node != flow.dst])

    def guard(self, ctx: Context, entry: LinkEntry, bits: int) -> None:
        for node in (entry.sender, entry.receiver):
            ctx.tell(api.kma(node), GuardPool(entry.link, bits))

    async def _write(self, ctx: Context, flow: Flow, entries: Sequence[tuple[str, str | None]]) -> None:
        """A node that does not answer must not keep the others from their entries."""
        orders = [
            (api.relay(node), SetForwarding(flow.src, flow.dst, link, flow.epoch, flow.name)) for node, link in entries
        ]
        for batch in [orders] if flow.name else [[order] for order in orders]:
            for reply in await ctx.ask_all(batch, within=WITHIN):
                if isinstance(reply, Problem):
                    ctx.log.warning("forwarding.refused", code=reply.code, **reply.fields)
