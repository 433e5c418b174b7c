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

QUANTUM, CLASSICAL = "quantum", "classical"
"""Kinds of channels. The quantum channel of a link has the link's name."""
LIT, OFF, SWITCHING, GONE = "lit", "off", "switching", "gone"
"""States of channels, as control knows them; a channel is told to be gone once, when it is removed."""
OTN = "connectivity.otn"
"""The optical network's controller towards its customers (RFC 8453: the MDSC)."""
SERVICE_NEWS = "connectivity.service"
"""Subjects are `connectivity.service.<service>`."""
WORKS = "connectivity.works"
PACKETS = "connectivity.packets"
"""The plant's packet switches."""
WORKS_NEWS = "connectivity.works"
"""Subjects are `connectivity.works.<works>`."""
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


# -- connectivity services of the optical network ----------------------------------------------------------


def pnc(domain: str) -> str:
    """The provisioning network controller of an optical domain (RFC 8453)."""
    return f"connectivity.pnc.{domain}"


class Limits(Message):
    """What a path must keep; None and empty do not bind. `max_loss_db`: from add to drop, switches included.
    `max_noise_hz`: noise photons per second in the filter at the receiver's input, of a quantum channel only.
    `avoid`: names of spans, of risks such as ducts, and of nodes that light may not pass. `centres_mhz`: permitted
    centres, on the raster of 6.25 GHz around 193.1 THz; empty: the grid of 100 GHz in the C band."""

    objective: str = "loss"
    max_loss_db: float | None = None
    max_latency_ns: int | None = None
    max_switches: int | None = None
    max_noise_hz: float | None = None
    avoid: tuple[str, ...] = ()
    centres_mhz: tuple[int, ...] = ()


class Companion(Message):
    """A classical channel on the very fibres of a quantum one, such as that of its distillation."""

    width_mhz: int = 50_000
    launch_dbm: float = -20.0


@message("connectivity.ComputePaths")
class ComputePaths(Message):
    """Which ways has a channel of this kind from node to node? At most `count`, the best first; or, `disjoint`, two
    that share no risk. `besides`: channels that are not to be counted, since they would move. `protect`: quantum
    channels with the most noise that a classical one beside them may leave them with. Reserves nothing.

    Answered with `Paths`. Problems: `no-route` with what binds (`reason`) and what could be had (`offered`),
    `unknown-site`, `malformed`.
    """

    a: str
    b: str
    kind: str = QUANTUM
    limits: Limits = Limits()
    width_mhz: int = 25_000
    launch_dbm: float = 0.0
    isolation_db: float = 100.0
    companion: Companion | None = None
    count: int = 1
    disjoint: bool = False
    besides: tuple[str, ...] = ()
    protect: tuple[tuple[str, float], ...] = ()


class PathRow(Message):
    """A way from end to end: loss from add to drop, noise at the receiver's input by plan (quantum only), and all that
    its spans share risk with."""

    nodes: tuple[str, ...]
    spans: tuple[str, ...]
    loss_db: float
    latency_ns: int
    switches: int
    noise_hz: float
    centre_mhz: int
    companion_mhz: int | None
    risks: tuple[str, ...]


@message("connectivity.Paths")
class Paths(Message):
    rows: tuple[PathRow, ...]


@message("connectivity.GetMembers")
class GetMembers(Message):
    """A domain's grey abstraction for one question: the best way between each two of these of its nodes.

    Answered with `Members`; pairs that have no way are left out.
    """

    ends: tuple[str, ...]
    question: ComputePaths


class Member(Message):
    """What an MDSC learns of a way through a domain: its ends, loss, latency, switches and risks, centres that are free
    all along and the noise on each, in its worse direction. How it runs it does not say."""

    a: str
    b: str
    loss_db: float
    latency_ns: int
    switches: int
    risks: tuple[str, ...]
    centres_mhz: tuple[int, ...]
    noise_hz: tuple[float, ...]


@message("connectivity.Members")
class Members(Message):
    rows: tuple[Member, ...]


PLANNED, INSTALLED, PENDING_REMOVAL, REMOVED = "PLANNED", "INSTALLED", "PENDING_REMOVAL", "REMOVED"
"""A service's life (ONF TAPI's lifecycle-state); it is told to be removed once."""


class Restoration(Message):
    """What happens to a service whose light is lost: nothing, or after `hold_off_ns` another path; `revertive`: back to
    the first one when that has been whole for `wait_ns` (wait to restore, ITU-T G.808.1)."""

    enabled: bool = True
    hold_off_ns: int = 0
    revertive: bool = False
    wait_ns: int = 300_000_000_000


@message("connectivity.OpenService")
class OpenService(Message):
    """A channel from node `a` to node `b`, kept within its limits for as long as it is wanted.

    A quantum service carries the quantum channel of `link`, which it moves; it may have a `companion`, planned jointly
    and lit as `<service>:companion`. A classical one lights a channel of its own name. `spans`: this way and no search;
    `coroute`: the name of a service whose fibres it takes; `apart_from`: one with which it may share no risk.
    `start_ns` None: now. `end_ns` None: until it is closed. Spectrum is taken at the start, not reserved before.

    Answered with `ServiceRow`, PLANNED. Problems: as of `ComputePaths`; `channel-exists`, `no-such-element`.
    """

    service: str
    kind: str
    a: str
    b: str
    link: str = ""
    width_mhz: int = 50_000
    launch_dbm: float = -20.0
    isolation_db: float = 100.0
    limits: Limits = Limits()
    companion: Companion | None = None
    spans: tuple[str, ...] = ()
    coroute: str = ""
    apart_from: str = ""
    start_ns: int | None = None
    end_ns: int | None = None
    restoration: Restoration = Restoration()


@message("connectivity.CloseService")
class CloseService(Message):
    """Give a service up; one that is not there is closed already. A quantum link keeps the path that it has."""

    service: str


@message("connectivity.MoveService")
class MoveService(Message):
    """Find a service another path or wavelength: these spans, risks and nodes avoided from now on, and with at most
    this noise, if said. Its present wavelength is left, too, if `retune`. `dry`: only say whether it could.

    Answered with `ServiceRow` when its light is there again. Problems: `no-route`, `switching`, `no-such-element`.
    """

    service: str
    avoid: tuple[str, ...] = ()
    max_noise_hz: float | None = None
    retune: bool = False
    dry: bool = False


@message("connectivity.ServiceRow")
class ServiceRow(Message):
    """How a service stands; also the news when that changes. `enabled`: light goes through, as far as equipment sees.
    `channel`: the plant's channel that carries it. `spans` empty: it has no path yet. `note`: why it is as it is, where
    that is not plain."""

    service: str
    kind: str
    a: str
    b: str
    channel: str
    lifecycle: str
    enabled: bool
    spans: tuple[str, ...]
    centre_mhz: int
    width_mhz: int
    companion_mhz: int | None
    loss_db: float
    noise_hz: float
    start_ns: int | None
    end_ns: int | None
    note: str = ""


@message("connectivity.GetServices")
class GetServices(Message):
    """Answered with `Services`."""


@message("connectivity.Services")
class Services(Message):
    rows: tuple[ServiceRow, ...]


@message("connectivity.CloseSpans")
class CloseSpans(Message):
    """No path shall take these spans, until they are given back with none. `why`: by whom they are kept."""

    why: str
    spans: tuple[str, ...]


@message("connectivity.SpansClosed")
class SpansClosed(Message):
    why: str
    spans: tuple[str, ...]


# -- planned works -----------------------------------------------------------------------------------------

ANNOUNCED, DRAINING, HELD, DOWN, GIVEN_BACK = "announced", "draining", "held", "down", "given-back"


@message("connectivity.AnnounceWorks")
class AnnounceWorks(Message):
    """Somebody must work on these spans. `lead_ns` before the start, services move elsewhere; at the start the spans
    are down, and at the end they are given back. From now on no new path takes them.

    Answered with `WorksRow`. Without `force`, works that something could not give way to are refused (`no-route`, with
    `stuck`); and if something is on the spans at the start all the same, they are held until it has gone. With `force`,
    classical light that is still there is switched off for the time of the works.
    """

    works: str
    spans: tuple[str, ...]
    start_ns: int
    end_ns: int
    lead_ns: int = 60_000_000_000
    force: bool = False


@message("connectivity.EndWorks")
class EndWorks(Message):
    """Give the spans of some works back, before their time or before they began."""

    works: str


@message("connectivity.WorksRow")
class WorksRow(Message):
    """Works; also the news of their state. `moved`: services that gave way; `stuck`: channels on the spans."""

    works: str
    spans: tuple[str, ...]
    start_ns: int
    end_ns: int
    state: str
    moved: tuple[str, ...]
    stuck: tuple[str, ...]


@message("connectivity.GetWorks")
class GetWorks(Message):
    """Answered with `WorksRows`."""


@message("connectivity.WorksRows")
class WorksRows(Message):
    rows: tuple[WorksRow, ...]


# -- quantum packets ---------------------------------------------------------------------------------------

CIRCUIT, PACKET = "circuit", "packet"


@message("connectivity.SetForwardingMode")
class SetForwardingMode(Message):
    """Forward payloads of a link over a circuit, which has its channel to itself, or as packets from switch to switch.
    Answered with the message. Problems: `no-such-element`, `malformed`."""

    link: str
    mode: str


@message("connectivity.SendPacket")
class SendPacket(Message):
    """Send a payload of `slots` slots along a link's path: header, `offset_ns`, guard, payload, guard, trailer.

    `budget_db`: more loss than this is no use; `ttl_ns`: nor is it later than that after now. Answered with
    `PacketFate` when the payload is through or lost. Problems: `no-such-element`, `malformed`, `overloaded`.
    """

    link: str
    slots: int
    slot_ns: int = 1
    header_ns: int = 200
    guard_ns: int = 50
    offset_ns: int = 20_000
    trailer_ns: int = 100
    budget_db: float = 40.0
    ttl_ns: int = 1_000_000_000


@message("connectivity.PacketFate")
class PacketFate(Message):
    """What became of a payload. `lost`: why, or empty: contention, offset (it came before its switch was set), dark,
    budget, ttl. `at_ns`: its first slot at the receiver, or where it was lost. `survivors`: slots whose photon arrives.
    `coherence`: what waiting in memories left, 1 if it did not wait."""

    link: str
    mode: str
    lost: str
    at_ns: int
    loss_db: float
    wait_ns: int
    coherence: float
    survivors: int


# -- other light for a link --------------------------------------------------------------------------------


@message("connectivity.FindLight")
class FindLight(Message):
    """Where else could the quantum channel of `link` go? Reserves nothing.

    `centres_mhz`: other centres that its devices can be tuned to; one that is not on the raster of the flexible grid is
    not looked at. `more_loss_db`: what another place may lose more than the one that was asked for at first. `apart`:
    it shares no span and no risk with where the channel is. `quieter`: its noise for each photon that gets through is
    at most this share of what it is now. `isolation_db`: of the link's filter.

    Answered with `LightFound`. Problems: `no-route` (`reason`: what bound the search), `no-such-element`, `switching`,
    `not-supported` where there is no optical network's controller.
    """

    link: str
    centres_mhz: tuple[int, ...] = ()
    more_loss_db: float = 6.0
    apart: bool = False
    quieter: float | None = None
    isolation_db: float = 100.0


class LightPlace(Message):
    """A path and a centre for a channel: what it loses there from add to drop, and the noise photons per second in its
    filter at the receiver's input, as planned."""

    spans: tuple[str, ...]
    centre_mhz: int
    loss_db: float
    noise_hz: float


@message("connectivity.LightFound")
class LightFound(Message):
    """Where the channel of `link` is, and where else it could be, the least lossy first."""

    link: str
    here: LightPlace
    places: tuple[LightPlace, ...]


# A customer's side of all this, for the strata above; it stands on the messages, so it comes after them.
from quoit.connectivity.cases import Case as Case  # noqa: E402
from quoit.connectivity.cases import Cause as Cause  # noqa: E402
from quoit.connectivity.cases import CustomerLink as CustomerLink  # noqa: E402
from quoit.connectivity.cases import CustomerPlan as CustomerPlan  # noqa: E402
from quoit.connectivity.cases import Noise as Noise  # noqa: E402
from quoit.connectivity.customer import LightCustomer as LightCustomer  # noqa: E402
