"""The fabric's control as Connectivity's customer: it has other light given to links that need it (D4).

It decides on what it knows: error rates, light, and what is left in pools. Every link of its own that is dark, noisy,
or on a fibre on which somebody will work gets other light as soon as there is some, those with the least key in stock
first; when works are over a link goes back to where it was. What anybody needs key for it does not know.
"""

from __future__ import annotations

from quoit.connectivity.api import Case, CustomerPlan, LightCustomer, Noise
from quoit.fabric import api
from quoit.fabric.api import GetLinks, LinkReleased, LinkRow, Links, LinkSuspect, PoolLevel
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Stratum, handles

WITHIN = 2_000_000_000


class FabricCoordinator(LightCustomer):
    """Keeps the fabric's links in light. There if the network file says `coordination: {by: fabric}`."""

    stratum = Stratum.FABRIC
    realises = ("A3", "C6", "D4", "E3")

    def __init__(self, place: str, plan: CustomerPlan) -> None:
        super().__init__(api.COORDINATOR, place, plan)
        self.subscribes += (
            f"{api.LINK_NEWS}.*.suspect",
            f"{api.LINK_NEWS}.*.released",
            f"{api.LINK_NEWS}.*.pool",
        )
        self._stock: dict[str, int] = {}

    async def start(self, ctx: Context) -> None:
        await super().start(ctx)
        if ctx.now > 0:  # it has come back, and does not know what it missed
            self.note_dark(ctx, [row.link for row in await self._rows_now(ctx) if row.state == "dark"])

    @handles(LinkSuspect)
    async def on_suspect(self, ctx: Context, msg: LinkSuspect) -> None:
        self.note_noise(ctx, msg.link, Noise(msg.qber, msg.expected, msg.at_ns))

    @handles(LinkReleased)
    async def on_released(self, ctx: Context, msg: LinkReleased) -> None:
        self.note_noise(ctx, msg.link, None)

    @handles(PoolLevel)
    async def on_pool(self, ctx: Context, msg: PoolLevel) -> None:
        self._stock[msg.link] = msg.bits

    async def choose(self, ctx: Context, cases: list[Case]) -> list[Case]:
        """All of them: a link without light is of no use to anybody."""
        return sorted(cases, key=lambda case: (self._stock.get(case.link, 0), case.link))

    async def qber(self, ctx: Context, link: str) -> float | None:
        # If nobody answers, what it was when the link became suspect will do.
        return next((row.qber for row in await self._rows_now(ctx) if row.link == link), None)

    async def _rows_now(self, ctx: Context) -> tuple[LinkRow, ...]:
        try:
            links: Links = await ctx.ask(api.METERS, GetLinks(), within=WITHIN)
        except Problem:
            return ()
        return links.rows
