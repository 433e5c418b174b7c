"""What the Connectivity stratum answers to, and the news it gives. The only door into it."""

from __future__ import annotations

from quoit.runtime.wire import Message, message

PLANT = "connectivity.plant"
CONTROLLER = "connectivity.controller"
METERS = "connectivity.meters"
UPKEEP = "connectivity.upkeep"
SPAN_NEWS = "connectivity.span"
"""Subjects are `connectivity.span.<span>`."""
PATH_NEWS = "connectivity.path"
"""Subjects are `connectivity.path.<link>`."""
SPECTRUM_NEWS = "connectivity.spectrum"
"""Subjects are `connectivity.spectrum.<span>`."""
CHANNEL_NEWS = "connectivity.channel"
"""Subjects are `connectivity.channel.<channel>`."""
WORKS_NEWS = "connectivity.works"
"""Subjects are `connectivity.works.<work>`."""

QUANTUM, CLASSICAL = "quantum", "classical"
"""Kinds of channels. The quantum channel of a link has the link's name."""
LIT, OFF, SWITCHING = "lit", "off", "switching"
"""States of channels, as control knows them."""
ADD_DROP = "add/drop"
"""The port of a switch where its node's own equipment is; its other ports have the names of spans."""


@message("connectivity.RequestPath")
class RequestPath(Message):
    """Give the quantum channel of `link` from node to node a path; `spans` empty: any, of least loss."""

    link: str
    a: str
    b: str
    spans: tuple[str, ...] = ()


@message("connectivity.Path")
class Path(Message):
    """A path that is provisioned, with the loss it was planned with."""

    link: str
    spans: tuple[str, ...]
    loss_db: float
    lit: bool


@message("connectivity.PathDown")
class PathDown(Message):
    """News: no light arrives on a path, because a span of it is dark. `planned`: as was to be expected, since a
    satellite has set, or switches are about to let go by control's own order."""

    link: str
    span: str
    at_ns: int
    planned: bool = False


@message("connectivity.PathUp")
class PathUp(Message):
    """News: all spans of a path carry light again."""

    link: str
    at_ns: int


@message("connectivity.PathLoss")
class PathLoss(Message):
    """News: a path's loss differs from what it was."""

    link: str
    loss_db: float
    planned_db: float
    at_ns: int


@message("connectivity.SpanLight")
class SpanLight(Message):
    """News: the power meter at a span's end reads this loss; None: no light arrives."""

    span: str
    loss_db: float | None
    at_ns: int


@message("connectivity.GetSpans")
class GetSpans(Message):
    """What do the power meters say? Answered with `Spans`."""


class SpanRow(Message):
    """One span: loss at commissioning and now. `state`: lit, dark, or unknown before the first reading."""

    span: str
    a: str
    b: str
    commissioned_db: float
    loss_db: float | None
    state: str


@message("connectivity.Spans")
class Spans(Message):
    spans: tuple[SpanRow, ...]


# -- channels, switches, spectrum -------------------------------------------------------------------------


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


@message("connectivity.GetInventory")
class GetInventory(Message):
    """What is there, and how is it meant to be used? Answered with `InventoryRows`."""


@message("connectivity.InventoryRows")
class InventoryRows(Message):
    nodes: tuple[NodeRow, ...]
    spans: tuple[SpanPlan, ...]
    channels: tuple[ChannelRow, ...]
    cross_connects: tuple[CrossConnect, ...]


@message("connectivity.GetSpectrum")
class GetSpectrum(Message):
    """What of the C band is free on all of these spans, with a guard kept to what is taken?"""

    spans: tuple[str, ...]
    guard_mhz: int = 0


class TakenSlot(Message):
    span: str
    channel: str
    kind: str
    lower_mhz: int
    upper_mhz: int


@message("connectivity.Spectrum")
class Spectrum(Message):
    """Slots in use on the spans, and what is free on all of them: (lower, upper) edges in MHz."""

    taken: tuple[TakenSlot, ...]
    free: tuple[tuple[int, int], ...]


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


@message("connectivity.GetNoise")
class GetNoise(Message):
    """What noise would a quantum channel have along these spans from node `source`, in this slot, beside all classical
    channels as they are planned? `besides`: a channel to leave out. `seen`: light of monitors to count as well, each
    taken to be of the span's power at its end `node` and 50 GHz wide. Answered with `PlannedNoise`."""

    source: str
    spans: tuple[str, ...]
    centre_mhz: int
    width_mhz: int
    isolation_db: float = 100.0
    besides: str = ""
    seen: tuple[ChannelReading, ...] = ()


@message("connectivity.PlannedNoise")
class PlannedNoise(Message):
    """Photons per second in the filter at the receiver's input, and the path's loss with switches. An estimate from
    launch powers and losses of commissioning; fibre only, so the sky behind a telescope is not in it."""

    raman_hz: float
    leaked_hz: float
    mixed_hz: float
    loss_db: float


class SpectralLine(Message):
    """A channel as the monitor at a span's end `node` sees it. OSNR in 0.1 nm, at most what the monitor resolves."""

    node: str
    centre_mhz: int
    width_mhz: int
    dbm: float
    osnr_db: float


@message("connectivity.SpanSpectrum")
class SpanSpectrum(Message):
    """News: what the channel monitors of a span see."""

    span: str
    lines: tuple[SpectralLine, ...]
    at_ns: int


@message("connectivity.GetChannels")
class GetChannels(Message):
    """What do the channel monitors say? Answered with `ChannelReadings`."""


@message("connectivity.ChannelReadings")
class ChannelReadings(Message):
    rows: tuple[ChannelReading, ...]


# -- planned works ----------------------------------------------------------------------------------------


@message("connectivity.PlanWork")
class PlanWork(Message):
    """Somebody will work on these spans from `from_ns` to `until_ns`, when no light may be relied on there. Replaces
    an earlier plan of the same name. Answered with `Works`; Problems `malformed`, `no-such-element`."""

    work: str
    spans: tuple[str, ...]
    from_ns: int
    until_ns: int


@message("connectivity.CancelWork")
class CancelWork(Message):
    """The work does not take place, or is over early. Answered with `Works`; Problem `no-such-element`."""

    work: str


@message("connectivity.GetWorks")
class GetWorks(Message):
    """Which works are planned or under way? Answered with `Works`."""


@message("connectivity.Works")
class Works(Message):
    """Works that are not over, the first to begin first; also the news when they change."""

    works: tuple[PlanWork, ...]
