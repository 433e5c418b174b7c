"""How late the live world is at a thousand deliveries a second. Never early is the promise."""

from __future__ import annotations

import asyncio
import time

from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum
from quoit.runtime.kernel import Kernel
from quoit.runtime.live import LiveWorld

STEP_NS = 1_000_000


class Beat(Element):
    """Notes when it was woken, and when it was due."""

    stratum, plane = Stratum.ENGINE, Plane.RESOURCE

    def __init__(self) -> None:
        super().__init__("beat", "here")
        self.woken: list[tuple[int, int]] = []

    async def start(self, ctx: Context) -> None:
        while True:
            await ctx.sleep(STEP_NS)
            self.woken.append((ctx.now, time.monotonic_ns()))


def lateness_ms(seconds: float) -> list[float]:
    """Lateness of each delivery, sorted; negative would be early."""
    beat = Beat()
    kernel = Kernel([beat])

    async def main() -> int:
        world = LiveWorld(kernel)
        kernel.start()
        wall = time.monotonic_ns()
        world.begin(wall_ns=wall, stop_at=round(seconds * 1e9))
        await world.ended()
        world.end()
        return wall

    wall = asyncio.run(main())
    return sorted((at - wall - due) / 1e6 for due, at in beat.woken)
