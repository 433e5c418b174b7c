"""Pairs for programs of hosts: what two ends say to each other, and what each knows of a request."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import pi

from quoit.fabric.api import HalfReady
from quoit.runtime.wire import Message, message
from quoit.service.api import PairMade, PairReading, WantPairs, qnpu

WITHIN = 5_000_000_000
RETRY_NS = 2_000_000
LONGEST_LACK_NS = 5_000_000_000
"""How long a request waits for a memory, or a link, that others use."""
MOST_REQUESTS = 1_000
"""Under way at a node."""
KEEP, MEASURE, PREPARE = range(3)
AXES = (("rx", "ry", "rx"), ("ry", "rz", "ry"), ("rz", "rx", "rz"))
BASES = ((), (1, 0), (1, 2, 0), (3, 4))
"""Bases of each random set: Z X Y ZPLUSX ZMINUSX are 0 to 4."""
TURNS: tuple[tuple[tuple[str, float], ...], ...] = (
    (), (("h", 0.0),), (("correct", 0.0), ("rx", -pi / 2)), (("ry", -pi / 4),), (("ry", pi / 4),),
)  # fmt: skip
"""What carries each basis to Z."""

Door = tuple[int, str, int]
"""A socket as its node sees it: own number, remote node, remote number."""


@message("service.OfferPairs")
class OfferPairs(Message):
    """The creator's end to the other: take part. `first`: number of the first pair. Answered with `QnpuHeard`."""

    request: int
    node: str
    socket: int
    remote_socket: int
    pairs: int
    kind: int
    reading: PairReading
    circuit: str
    first: int


@message("service.PairSlot")
class PairSlot(Message):
    """The other end to the creator's: the next pair's half may come to this memory."""

    request: int
    slot: int


@message("service.BreakOff")
class BreakOff(Message):
    """The other end to the creator's: it takes no more part. Answered when nothing can come any more."""

    request: int
    code: str
    text: str


@message("service.WithdrawOffer")
class WithdrawOffer(Message):
    """The creator's end to the other: the request has failed. Answered with `QnpuHeard`."""

    request: int
    node: str
    text: str


@message("service.DriveRequest")
class DriveRequest(Message):
    """To itself: can a creator's request go on?"""

    request: int


@message("service.MatchDoor")
class MatchDoor(Message):
    """To itself: can who takes part at this socket go on?"""

    door: tuple[int, str, int]


@message("service.CheckLate")
class CheckLate(Message):
    """To itself: has the next pair come in time?"""

    request: int
    done: int


@dataclass(eq=False)
class Making:
    """A creator's request. `own`, `theirs`: memories for the next pairs, here and there. `reserved`: those taken for a
    half that is measured. `lacking_ns`: since when there is no memory for one."""

    want: WantPairs
    peer: str
    circuit: str
    first: int
    fidelity: float = 0.5
    own: deque[int] = field(default_factory=deque)
    theirs: deque[int] = field(default_factory=deque)
    reserved: set[int] = field(default_factory=set)
    begun: int = 0
    done: int = 0
    opened: bool = False
    busy: bool = False
    ended: bool = False
    lacking_ns: int | None = None


@dataclass(eq=False)
class Taking:
    """A request to take part. `told`: offers that its program knows of."""

    want: WantPairs
    grants: deque[int] = field(default_factory=deque)
    reserved: set[int] = field(default_factory=set)
    told: list[Offered] = field(default_factory=list)
    assigned: int = 0
    done: int = 0
    ended: bool = False


@dataclass(eq=False)
class Offered:
    """What a remote creator wants. `busy`: a half of it is on its way to be measured."""

    offer: OfferPairs
    assigned: int = 0
    done: int = 0
    busy: bool = False
    ended: bool = False
    lacking_ns: int | None = None

    @property
    def peer(self) -> str:
        return qnpu(self.offer.node)


@dataclass(eq=False)
class Half:
    """What a memory waits for: pair `index` of an own request; at the far end also of an offer."""

    of: Making | Taking
    index: int
    began_ns: int
    offered: Offered | None = None


def door_of(want: WantPairs) -> Door:
    return want.socket, want.remote, want.remote_socket


def lack_of(node: str) -> str:
    return f"no memory of {node} was free for {LONGEST_LACK_NS // 10**9} s to measure a half in"


def circuit_of(half: Half) -> str:
    return half.of.circuit if isinstance(half.of, Making) else half.offered.offer.circuit if half.offered else ""


def reading_of(half: Half) -> PairReading | None:
    """How the half is measured; None if it is kept."""
    if isinstance(half.of, Making):
        return None if half.of.want.kind == KEEP else half.of.want.local
    assert half.offered is not None
    return half.offered.offer.reading if half.offered.offer.kind == MEASURE else None


def news_of(node: str, half: Half, ready: HalfReady, outcome: int | None, basis: int) -> PairMade:
    making = isinstance(half.of, Making)
    if isinstance(half.of, Making):
        kind, create_id, first = half.of.want.kind, half.of.want.request, half.of.first
    else:
        assert half.offered is not None
        kind, create_id, first = half.offered.offer.kind, half.offered.offer.request, half.offered.offer.first
    return PairMade(
        node, half.of.want.request, half.index, kind, create_id, first + ready.number - 1, making, ready.at_ns,
        ready.at_ns - half.began_ns, ready.slot if outcome is None else None, outcome, basis,
    )  # fmt: skip
