"""L1: a key buffer is low; give its link the transmitter or receiver that an optical switch lends (G2).

In MadQCI a switching coordinator gives modules to one link or another through optical switches (Martin et al., EPJ
Quantum Technology 11, 60 (2024)). Here a device at a node belongs to several links, of which one has it: the light of
the others is blocked at that node's switch. When the pool of one of those falls below `low`, and the pool of the one
that has the device holds `enough`, the device goes over. Whoever gives it away lives on its pool.

The coordinator makes the links so at its first period: the first of the list has the device. The plant begins so, too.
"""

from __future__ import annotations

from dataclasses import dataclass

from quoit.connectivity import api as connectivity
from quoit.connectivity.api import ADD_DROP, ChannelRow, GetInventory, InventoryRows, SetCrossConnect
from quoit.fabric import api as fabric
from quoit.fabric.api import GetPool, PoolLevel
from quoit.orchestration.loops.channel import SWITCHED_WITHIN, WITHIN
from quoit.planes.loop import Action, ClosedLoop, Finding, LoopPlan
from quoit.planes.management import Severity
from quoit.runtime.context import Context
from quoit.runtime.element import Stratum

LOW = "key buffer is low"


@dataclass(frozen=True)
class SharedDevice:
    """A transmitter or receiver at `node` that one of `links` has at a time; the first one at the beginning.

    `low_bits`: a pool below it wants the device. `enough_bits`: what the pool of the link that gives it must hold."""

    node: str
    links: tuple[str, ...]
    low_bits: int
    enough_bits: int


class BufferLoop(ClosedLoop):
    """Coordinates one shared device."""

    stratum = Stratum.FABRIC
    realises = ("G2",)

    def __init__(self, place: str, plan: LoopPlan, device: SharedDevice) -> None:
        super().__init__(place, plan)
        self._device = device
        self._holder = device.links[0]
        self._ready = False
        self._levels: dict[str, int] = {}

    async def monitor(self, ctx: Context) -> dict[str, int]:
        """Bits in each link's pool."""
        if not self._ready:
            for link in self._device.links[1:]:
                await self._block(ctx, link)
            self._ready = True
        levels: dict[str, int] = {}
        for link in self._device.links:
            level: PoolLevel = await ctx.ask(fabric.kma(self._device.node), GetPool(link), within=WITHIN)
            levels[link] = level.bits
        self._levels = levels
        return levels

    async def analyse(self, ctx: Context, seen: dict[str, int]) -> Finding | None:
        for link, bits in seen.items():
            if bits >= self._device.low_bits:
                self.alarms.clear(ctx, link, LOW)
        waiting = [(bits, link) for link, bits in seen.items() if link != self._holder and bits < self._device.low_bits]
        if not waiting:
            return None
        bits, link = min(waiting)
        text = f"{bits} bits, {self._device.low_bits} wanted; {self._holder} has the device at {self._device.node}"
        self.alarms.raise_(ctx, link, LOW, Severity.WARNING, text)
        return Finding(link, LOW, {"bits": bits, "holder": self._holder, "holder_bits": seen[self._holder]})

    async def decide(self, ctx: Context, finding: Finding) -> Action | None:
        if self._levels[self._holder] < self._device.enough_bits:
            return None
        what = f"lend the device at {self._device.node} from {self._holder} to {finding.about}"
        touched = (f"link {self._holder}", f"link {finding.about}", f"device {self._device.node}")
        return Action(what, touched, {"from": self._holder, "to": finding.about})

    async def execute(self, ctx: Context, action: Action) -> str:
        began = ctx.now
        await self._block(ctx, action.fields["from"])
        link = action.fields["to"]
        self._holder = link
        port, other = self._ports(await self._channel(ctx, link))
        join = SetCrossConnect(self._device.node, link, port, other)
        await ctx.ask(connectivity.CONTROLLER, join, within=SWITCHED_WITHIN)
        return f"{link} has it after {(ctx.now - began) / 1e6:.1f} ms"

    async def helped(self, ctx: Context, finding: Finding, seen: dict[str, int]) -> bool:
        """The pool has been filled above what was wanted."""
        await self.analyse(ctx, seen)
        return seen[finding.about] >= self._device.low_bits

    async def _block(self, ctx: Context, link: str) -> None:
        block = SetCrossConnect(self._device.node, link, "", "")
        await ctx.ask(connectivity.CONTROLLER, block, within=SWITCHED_WITHIN)

    async def _channel(self, ctx: Context, link: str) -> ChannelRow:
        inventory: InventoryRows = await ctx.ask(connectivity.CONTROLLER, GetInventory(), within=WITHIN)
        return next(row for row in inventory.channels if row.channel == link)

    def _ports(self, channel: ChannelRow) -> tuple[str, str]:
        """The ports of the node's switch that the link's own end joins there."""
        if channel.source == self._device.node:
            return ADD_DROP, channel.spans[0]
        return channel.spans[-1], ADD_DROP
