"""The calendar of planned works as closed loops read it, and what they tell it (E5, G2)."""

from __future__ import annotations

from collections.abc import Iterable

from quoit.connectivity import api as connectivity
from quoit.connectivity.api import GaveWay, GetWorks, WorksRow, WorksRows
from quoit.fabric import api as fabric
from quoit.fabric.api import DrainLink, LinkDrained
from quoit.runtime.context import Context

WITHIN = 10_000_000_000


async def works_ahead(ctx: Context) -> list[WorksRow]:
    """Works of either side that are not over, the first to begin first."""
    told: WorksRows = await ctx.ask(connectivity.WORKS, GetWorks(), within=WITHIN)
    left = [row for row in told.rows if row.state != connectivity.GIVEN_BACK and row.end_ns > ctx.now]
    return sorted(left, key=lambda row: (row.start_ns, row.works))


async def drain(ctx: Context, link: str, on: bool, why: str) -> LinkDrained:
    """Have the fabric keep flows off a link, or no longer; asking again tells what is left on it."""
    answer: LinkDrained = await ctx.ask(fabric.CONTROLLER, DrainLink(link, on, why), within=WITHIN)
    return answer


async def say_out_of_the_way(ctx: Context, link: str, works: Iterable[WorksRow]) -> None:
    """Tell the calendar that nothing uses the link's devices and fibres that these works need; each once."""
    for row in works:
        if link not in row.moved:
            await ctx.ask(connectivity.WORKS, GaveWay(row.works, link), within=WITHIN)


def left_on(drained: LinkDrained) -> str:
    """What is left on a drained link, in words."""
    flows = drained.flows
    return f"{len(flows)} flow(s) left on it ({', '.join(flows)})" if flows else "no flow on it"
