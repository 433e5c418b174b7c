"""Programs of hosts at a node's memories."""

from __future__ import annotations

from quoit.runtime.wire import Message, message

QNPU_NEWS = "service.qnpu"
"""Subjects are `service.qnpu.<node>`."""


@message("service.ClaimQubits")
class ClaimQubits(Message):
    """Set `number` memories of the node apart for programs. Answered with `Claimed`; Problem `no-memory`."""

    number: int


@message("service.Claimed")
class Claimed(Message):
    slots: tuple[int, ...]


@message("service.ActOnQubits")
class ActOnQubits(Message):
    """Do `name` in claimed memories: init, discard, move, measure (Z), x y z h s k t, rx ry rz (`angle_rad`), cnot cz
    swap. k is (Y + Z)/sqrt(2). Answered with `Operation`; Problem `bad-operation`."""

    name: str
    slots: tuple[int, ...]
    angle_rad: float = 0.0


class PairReading(Message):
    """How a half is measured at once: rotations in units of pi/16 about the axes of set `axes` (XYX, YZY, ZXZ), then
    Z; or in a basis drawn from set `random` (0: none, 1: X Z, 2: X Y Z, 3: those of CHSH)."""

    rotations: tuple[int, int, int] = (0, 0, 0)
    axes: int = 0
    random: int = 0


@message("service.WantPairs")
class WantPairs(Message):
    """A program asks for pairs (`creator`), or takes part in those that the other end of its socket asks for.

    `kind` 0: kept; 1: both halves measured; 2: the creator's measured. `fidelity` None: halfway between one half and
    the best there is. `within_ns`: longest time from one pair to the next. Answered with `QnpuHeard` at once; news
    follow. Problems `no-route`, `fidelity-unreachable`, `overloaded`.
    """

    request: int
    creator: bool
    socket: int
    remote: str
    remote_socket: int
    pairs: int
    kind: int = 0
    local: PairReading = PairReading()
    far: PairReading = PairReading()
    fidelity: float | None = None
    within_ns: int | None = None


@message("service.GrantQubit")
class GrantQubit(Message):
    """The request's next pair that is kept may come to this claimed memory."""

    request: int
    slot: int


@message("service.DropPairs")
class DropPairs(Message):
    """End a request. Answered when nothing can come to its memories any more; its other end hears that it failed,
    unless all pairs were there."""

    request: int


@message("service.SendWord")
class SendWord(Message):
    """Text from one application to another, at `node`. Answered when it has arrived."""

    sender: str
    to: str
    node: str
    socket: int
    text: str


@message("service.QnpuHeard")
class QnpuHeard(Message):
    """Understood and done."""


class QnpuNews(Message):
    """News of a node's quantum network processing unit, for its door."""

    node: str


@message("service.PairsMatched")
class PairsMatched(QnpuNews):
    """To who takes part: the other end has asked, for pairs of this kind."""

    request: int
    kind: int


@message("service.PairMade")
class PairMade(QnpuNews):
    """A pair is there; `slot` holds the own half, or `outcome` is what was read of it (in `basis`, if that was
    drawn: Z X Y ZPLUSX ZMINUSX are 0 to 4). `number`: alike at both ends."""

    request: int
    index: int
    kind: int
    create_id: int
    number: int
    creator: bool
    at_ns: int
    duration_ns: int
    slot: int | None = None
    outcome: int | None = None
    basis: int = 0


@message("service.PairsFailed")
class PairsFailed(QnpuNews):
    """The request has ended without the rest of its pairs. `code`: of the link layer service."""

    request: int
    code: str
    text: str


@message("service.WordCame")
class WordCame(QnpuNews):
    """Text has arrived for an application."""

    sender: str
    to: str
    socket: int
    text: str
