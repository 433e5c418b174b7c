"""Channels: lit, moved and switched through, and the inventory of what is there."""

from __future__ import annotations

from quoit.runtime.wire import Message, message

CHANNEL_NEWS = "connectivity.channel"
"""Subjects are `connectivity.channel.<channel>`."""

QUANTUM, CLASSICAL = "quantum", "classical"
"""Kinds of channels. The quantum channel of a link has the link's name."""
LIT, OFF, SWITCHING, GONE = "lit", "off", "switching", "gone"
"""States of channels, as control knows them; a channel is told to be gone once, when it is removed. A quantum one that
is off has no path, and its row says where it had or would have one."""

ADD_DROP = "add/drop"
"""The port of a switch where its node's own equipment is; its other ports have the names of spans."""


@message("connectivity.LightChannel")
class LightChannel(Message):
    """Light a classical channel from node `source` along `spans`; `launch_dbm`: power into the first fibre.

    Answered with `ChannelRow` when the switches on the way have settled. Problems: `malformed` (the spans do not hang
    together, or the numbers make no sense), `no-such-element`, `channel-exists` (with another path or slot),
    `spectrum-taken`, `switching`.
    """

    channel: str
    source: str
    spans: tuple[str, ...]
    centre_mhz: int
    width_mhz: int
    launch_dbm: float


@message("connectivity.ExtinguishChannel")
class ExtinguishChannel(Message):
    """Switch a classical channel off; `remove`: give up its spectrum and its cross-connects, too."""

    channel: str
    remove: bool = False


@message("connectivity.SetLaunchPower")
class SetLaunchPower(Message):
    """Send a classical channel with another power, dBm into the first fibre."""

    channel: str
    launch_dbm: float


@message("connectivity.RetuneChannel")
class RetuneChannel(Message):
    """Move a channel of either kind to other spans (none: its own), another frequency (0: its own), or both.

    It is dark until all switches have settled.
    """

    channel: str
    spans: tuple[str, ...] = ()
    centre_mhz: int = 0


@message("connectivity.SetCrossConnect")
class SetCrossConnect(Message):
    """Join two ports of the switch at a node for a channel; empty ports: block it there."""

    node: str
    channel: str
    port: str
    other: str


@message("connectivity.CrossConnect")
class CrossConnect(Message):
    """Two ports of a switch that are joined for one channel; empty ports: it is blocked."""

    node: str
    channel: str
    port: str
    other: str


@message("connectivity.ChannelRow")
class ChannelRow(Message):
    """A channel as control means it to be; also the news when that changes. `state`: lit, off or switching."""

    channel: str
    kind: str
    source: str
    spans: tuple[str, ...]
    centre_mhz: int
    width_mhz: int
    launch_dbm: float | None
    state: str


class NodeRow(Message):
    """A node's optical equipment. `kind`: patch-panel, roadm or optical-switch; `ports`: spans, and add/drop."""

    node: str
    kind: str
    ports: tuple[str, ...]
    insertion_db: float
    switching_ns: int


class SpanPlan(Message):
    """A span as commissioned. `medium`: fibre or air; `risks`: what it shares with other spans, such as a duct;
    `windows`: (rise, set) in ns of those that carry light at times only, repeated every `every_ns` if that is not 0."""

    span: str
    a: str
    b: str
    length_km: float
    loss_db: float
    medium: str
    risks: tuple[str, ...]
    windows: tuple[tuple[int, int], ...] = ()
    every_ns: int = 0
    amplified: bool = False


@message("connectivity.GetInventory")
class GetInventory(Message):
    """What is there, and how is it meant to be used? Answered with `InventoryRows`."""


@message("connectivity.InventoryRows")
class InventoryRows(Message):
    nodes: tuple[NodeRow, ...]
    spans: tuple[SpanPlan, ...]
    channels: tuple[ChannelRow, ...]
    cross_connects: tuple[CrossConnect, ...]


class ChannelReading(Message):
    """A channel at one monitor. `channel` None: no channel of the inventory explains the light. `dbm` None: planned
    light that is not there. `planned_dbm`: by launch power and the losses of commissioning."""

    channel: str | None
    span: str
    node: str
    centre_mhz: int
    dbm: float | None
    planned_dbm: float | None
    osnr_db: float | None


@message("connectivity.GetChannels")
class GetChannels(Message):
    """What do the channel monitors say? Answered with `ChannelReadings`."""


@message("connectivity.ChannelReadings")
class ChannelReadings(Message):
    rows: tuple[ChannelReading, ...]
