"""What a connectivity service is: the wish, how it stands, and the questions of path computation that it puts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from msgspec import structs

from quoit.connectivity.api import (
    CLASSICAL,
    INSTALLED,
    LIT,
    PLANNED,
    QUANTUM,
    ChannelRow,
    ComputePaths,
    OpenService,
    PathRow,
    ServiceRow,
)
from quoit.connectivity.inventory import Inventory
from quoit.connectivity.routing import GRID, WIDE_GRID, channel_of
from quoit.model.problem import Problem
from quoit.runtime.wire import Message, message


@message("connectivity.Begin")
class Begin(Message):
    """To oneself: it is time for a service, of this count, to be lit."""

    service: str
    count: int


@message("connectivity.Restore")
class Restore(Message):
    """To oneself: a service's hold-off is over, or its chances have changed."""

    service: str
    count: int


@message("connectivity.Revert")
class Revert(Message):
    """To oneself: a service's first path has been whole for its wait-to-restore."""

    service: str
    count: int
    since_ns: int


@message("connectivity.Expire")
class Expire(Message):
    """To oneself: a service's schedule ends."""

    service: str
    count: int


def companion_of(service: str) -> str:
    """The name of a service's companion channel."""
    return f"{service}:companion"


class Service:
    """A service as its controller knows it. `count` tells it from an earlier one of its name; `home` is its first path,
    to which a revertive one returns; `limits` are the wish's, and tighter if it was moved."""

    def __init__(self, wish: OpenService, count: int, inventory: Inventory) -> None:
        self.wish = wish
        # A quantum channel is as wide as its link's filter.
        self.width_mhz = inventory.channels[wish.link].width_mhz if wish.kind == QUANTUM else wish.width_mhz
        self.count = count
        self.limits = wish.limits
        self.lifecycle = PLANNED
        self.busy = False
        self.reverting = False
        self.home: tuple[str, ...] = ()
        self.note = ""
        self._path: PathRow | None = None

    @property
    def name(self) -> str:
        return self.wish.service

    @property
    def channel(self) -> str:
        """The plant's channel that carries it."""
        return self.wish.link if self.wish.kind == QUANTUM else self.wish.service

    @property
    def own_channels(self) -> tuple[str, ...]:
        """Channels that come and go with the service."""
        own = (self.wish.service,) if self.wish.kind == CLASSICAL else ()
        return (*own, companion_of(self.name)) if self.wish.companion is not None else own

    @property
    def spans(self) -> tuple[str, ...]:
        """Of its path; empty: none yet."""
        return self._path.spans if self._path is not None else ()

    @property
    def nodes(self) -> tuple[str, ...]:
        return self._path.nodes if self._path is not None else ()

    @property
    def risks(self) -> tuple[str, ...]:
        return self._path.risks if self._path is not None else ()

    @property
    def centre_mhz(self) -> int:
        """0: none yet."""
        return self._path.centre_mhz if self._path is not None else 0

    @property
    def reserved(self) -> tuple[ChannelRow, ...]:
        """The channels that it will have by its schedule; none once it is lit."""
        wish, path = self.wish, self._path
        if self.lifecycle != PLANNED or path is None:
            return ()
        launch = wish.launch_dbm if wish.kind == CLASSICAL else None
        name = f"{wish.service}:planned"
        rows = [ChannelRow(name, wish.kind, wish.a, path.spans, path.centre_mhz, self.width_mhz, launch, LIT)]
        if wish.companion is not None and path.companion_mhz is not None:
            beside, power = wish.companion.width_mhz, wish.companion.launch_dbm
            name = companion_of(name)
            rows.append(ChannelRow(name, CLASSICAL, wish.a, path.spans, path.companion_mhz, beside, power, LIT))
        return tuple(rows)

    def plan(self, path: PathRow) -> None:
        """What it would have if it began now."""
        self._path = path

    def stand(self, path: PathRow) -> None:
        """It is lit on this path."""
        self._path, self.note = path, ""
        self.home = self.home or path.spans

    def follow(self, channel: ChannelRow, inventory: Inventory) -> None:
        """Somebody else moved its channel."""
        assert self._path is not None
        risks = sorted({risk for span in channel.spans for risk in inventory.spans[span].risks})
        nodes = inventory.way(channel.source, channel.spans)
        loss = inventory.loss_db(channel.source, channel.spans)
        self._path = structs.replace(
            self._path, nodes=nodes, spans=channel.spans, loss_db=loss, centre_mhz=channel.centre_mhz,
            risks=tuple(risks),
        )  # fmt: skip
        self.note = "its channel was moved by another order"

    def tighten(self, avoid: tuple[str, ...], max_noise_hz: float | None) -> None:
        """Keep away from more, or keep it quieter. Problem `malformed` for a limit of noise where there is no quantum
        channel."""
        if max_noise_hz is not None and self.wish.kind != QUANTUM:
            raise Problem("malformed", "expected a limit of noise for a quantum service only")
        limits = structs.replace(self.limits, avoid=tuple(dict.fromkeys((*self.limits.avoid, *avoid))))
        self.limits = limits if max_noise_hz is None else structs.replace(limits, max_noise_hz=max_noise_hz)

    def wants_path(self, dark: Collection[str]) -> bool:
        """Whether it waits for a path to be had."""
        if self.busy:
            return False
        if self.lifecycle == PLANNED:
            return bool(self.note)
        lost = any(span in dark for span in self.spans)
        return self.lifecycle == INSTALLED and lost and self.wish.restoration.enabled

    def enabled(self, dark: Collection[str]) -> bool:
        """Whether light goes through, as far as equipment sees."""
        return self.lifecycle == INSTALLED and not self.busy and not any(span in dark for span in self.spans)

    def row(self, dark: Collection[str]) -> ServiceRow:
        wish, path = self.wish, self._path
        return ServiceRow(
            wish.service,
            wish.kind,
            wish.a,
            wish.b,
            self.channel,
            self.lifecycle,
            self.enabled(dark),
            self.spans,
            self.centre_mhz,
            self.width_mhz,
            path.companion_mhz if path is not None else None,
            path.loss_db if path is not None else 0.0,
            path.noise_hz if path is not None else 0.0,
            wish.start_ns,
            wish.end_ns,
            self.note,
        )


def check_wish(wish: OpenService, inventory: Inventory, services: Mapping[str, Service], now_ns: int) -> None:
    """Problems `malformed`, `no-such-element`, `channel-exists` for a wish that can never be kept."""
    start_ns = max(wish.start_ns or 0, now_ns)
    if not wish.service:
        raise Problem("malformed", "expected a name of the service, found none")
    if wish.end_ns is not None and wish.end_ns <= start_ns:
        raise Problem("malformed", f"expected an end after the start and after now, found {wish.end_ns} ns")
    if min(wish.restoration.hold_off_ns, wish.restoration.wait_ns) < 0:
        raise Problem("malformed", "expected times of restoration of at least 0")
    if wish.coroute and wish.spans:
        raise Problem("malformed", "expected spans or a service to be co-routed with, found both")
    for other in (wish.coroute, wish.apart_from):
        if other and other not in services:
            raise Problem("no-such-element", f"expected a service, found {other!r}", service=other)
    if wish.spans and inventory.way(wish.a, wish.spans)[-1] != wish.b:
        raise Problem("malformed", f"expected spans that lead to {wish.b!r}")
    if wish.kind == QUANTUM:
        _check_link(wish, inventory, services)
    elif wish.service in inventory.channels:
        raise Problem("channel-exists", f"there is a channel {wish.service} already", channel=wish.service)
    if wish.companion is not None and companion_of(wish.service) in inventory.channels:
        raise Problem("channel-exists", f"there is a channel {companion_of(wish.service)} already")


def _check_link(wish: OpenService, inventory: Inventory, services: Mapping[str, Service]) -> None:
    channel = inventory.channels.get(wish.link)
    if channel is None or channel.kind != QUANTUM:
        known = ", ".join(name for name, row in inventory.channels.items() if row.kind == QUANTUM) or "none"
        raise Problem("no-such-element", f"expected the quantum channel of a link ({known}), found {wish.link!r}")
    ends = (channel.source, inventory.way(channel.source, channel.spans)[-1])
    if (wish.a, wish.b) != ends:
        raise Problem("malformed", f"expected the link's ends, {ends[0]} to {ends[1]}, found {wish.a} to {wish.b}")
    taken = [name for name, service in services.items() if service.wish.link == wish.link and wish.link]
    if taken:
        raise Problem("channel-exists", f"service {taken[0]} carries the link {wish.link} already")


def overlap(one: OpenService, other: OpenService, now_ns: int) -> bool:
    """Whether two services are there at one time, as scheduled."""
    starts = max(one.start_ns or now_ns, other.start_ns or now_ns)
    ends = [wish.end_ns for wish in (one, other) if wish.end_ns is not None]
    return not ends or starts < min(ends)


def question_of(
    service: Service, inventory: Inventory, services: Mapping[str, Service], retune: bool, now_ns: int
) -> Iterator[ComputePaths]:
    """What to ask for a service, in order: its present wavelength first, unless it is to `retune`."""
    wish = service.wish
    channel = inventory.channels.get(service.channel)
    now = channel.centre_mhz if channel is not None else 0
    limits = service.limits
    avoid = set(limits.avoid)
    lead = services.get(wish.coroute)
    only = service.home if service.reverting else wish.spans or (lead.spans if lead is not None else ())
    if only:
        avoid |= inventory.spans.keys() - set(only)
    for other in services.values():
        if other.name == wish.apart_from or other.wish.apart_from == wish.service:
            avoid |= {*other.spans, *other.nodes[1:-1], *other.risks}
    # By the time that it begins, or before others come, these are gone.
    apart = [other for other in services.values() if not overlap(wish, other.wish, now_ns)]
    gone = [companion_of(service.name), *(name for other in apart for name in other.own_channels)]
    asked = ComputePaths(
        wish.a,
        wish.b,
        wish.kind,
        structs.replace(limits, avoid=tuple(sorted(avoid))),
        service.width_mhz,
        wish.launch_dbm,
        wish.isolation_db,
        wish.companion,
        besides=tuple(name for name in (service.channel, *gone) if name in inventory.channels),
        reserved=tuple(
            row
            for other in services.values()
            if other is not service and overlap(wish, other.wish, now_ns)
            for row in other.reserved
        ),
    )
    permitted = limits.centres_mhz or (GRID if wish.companion is None else WIDE_GRID)
    if now and not retune and _on_raster(now) and (now in permitted or not limits.centres_mhz):
        yield _at(asked, (now,))
    yield _at(asked, tuple(centre for centre in permitted if centre != now) or permitted)


def _at(question: ComputePaths, centres: tuple[int, ...]) -> ComputePaths:
    return structs.replace(question, limits=structs.replace(question.limits, centres_mhz=centres))


def _on_raster(centre_mhz: int) -> bool:
    try:
        channel_of(centre_mhz)
    except Problem:
        return False
    return True
