"""Connectivity services of the optical network, and the paths that are computed for them."""

from __future__ import annotations

from quoit.connectivity.messages.channels import QUANTUM, ChannelRow
from quoit.runtime.wire import Message, message

SERVICE_NEWS = "connectivity.service"
"""Subjects are `connectivity.service.<service>`."""


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
    channels with the most noise that a classical one beside them may leave them with. `reserved`: channels that will be
    there as well, by their schedules. Reserves nothing.

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
    reserved: tuple[ChannelRow, ...] = ()


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
    `start_ns` None: now. `end_ns` None: until it is closed. Spectrum of a schedule is
    reserved from when it is planned: what overlaps it in time keeps off it.

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


@message("connectivity.GetWish")
class GetWish(Message):
    """What was a service asked for as? Answered with its `OpenService`; Problem `no-such-element`."""

    service: str


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
