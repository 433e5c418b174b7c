"""Customers of the optical network that a file describes: they have classical channels lit, and switched off again.

Unlike light of which no inventory knows, this is ordered from Connectivity's control, as a controller of the optical
network would order it, and may be refused.
"""

from __future__ import annotations

from quoit.connectivity.api import CONTROLLER, ExtinguishChannel, LightChannel
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum
from quoit.runtime.wire import Message
from quoit.scenario.schema import NetworkFile

WITHIN = 600_000_000_000


class Customer(Element):
    """Orders one channel at a time of its own choice, and gives it up at another."""

    stratum, plane = Stratum.CONNECTIVITY, Plane.CONTROL
    realises = ("F8", "E3")

    def __init__(self, name: str, place: str, channel: LightChannel, at_ns: int, until_ns: int | None) -> None:
        super().__init__(name, place)
        self._channel = channel
        self._at_ns = at_ns
        self._until_ns = until_ns

    async def start(self, ctx: Context) -> None:
        await ctx.sleep_until(max(self._at_ns, ctx.now))
        await self._order(ctx, self._channel)
        if self._until_ns is not None:
            await ctx.sleep_until(max(self._until_ns, ctx.now))
            await self._order(ctx, ExtinguishChannel(self._channel.channel))

    async def _order(self, ctx: Context, msg: Message) -> None:
        what = {"channel": self._channel.channel, "order": type(msg).__name__}
        try:
            await ctx.ask(CONTROLLER, msg, within=WITHIN)
        except Problem as problem:
            ctx.emit("order.refused", code=problem.code, detail=problem.detail, **what)
            return
        ctx.emit("order.done", **what)


def customers(network: NetworkFile, place: str) -> list[Element]:
    """One for each order of the file."""
    channels = {channel.name: channel for channel in network.plant.channels}
    found: list[Element] = []
    for number, event in enumerate(network.events):
        if event.order is None:
            continue
        c = channels[event.order.channel]
        dbm = c.launch_dbm if event.order.launch_dbm is None else event.order.launch_dbm
        order = LightChannel(c.name, c.source, tuple(c.spans), c.centre_mhz, c.width_mhz, dbm)
        found.append(Customer(f"customer:{number}:{c.name}", place, order, event.at_ns, event.until_ns))
    return found
