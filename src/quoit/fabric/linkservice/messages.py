"""What the services of two ends say to each other, and each to itself. A line's `head` is the end that schedules."""

from __future__ import annotations

from quoit.fabric.api import CreatePairs
from quoit.runtime.wire import Message, message


@message("fabric.OfferPairs")
class OfferPairs(Message):
    """The creator's end to the other: take part? `deadline_ns` is an instant; a last pair counts `close_ns` before it.
    Answered with `Done`; Problems `not-receiving`, `above-stage`, `no-memory`, `overloaded`."""

    line: str
    origin: str
    create_id: int
    order: CreatePairs
    bell: str
    deadline_ns: int
    close_ns: int


@message("fabric.SetUp")
class SetUp(Message):
    """A creator's end to itself: offer the request, then enter it into its line."""

    key: str


@message("fabric.ReadyHalf")
class ReadyHalf(Message):
    """Head to tail: keep a memory for the next pair of a request. Answered with `Slots`; Problem `no-memory`."""

    key: str


@message("fabric.SettlePair")
class SettlePair(Message):
    """Head to tail, when it has dealt with its half: have you with yours? `ok`: the head's half was used as the request
    says. Answered with `Settled`."""

    key: str
    circuit: str
    number: int
    ok: bool


@message("fabric.Settled")
class Settled(Message):
    ok: bool


@message("fabric.EndRequest")
class EndRequest(Message):
    """One end to the other: the request has ended before its time; `code` and `why` are for the client."""

    key: str
    code: str
    why: str


@message("fabric.ExpireHalves")
class ExpireHalves(Message):
    """One end to the other: these pairs have no other half any more. `whole`: they are all of their request. Answered
    with `Done`."""

    line: str
    sequences: tuple[int, ...]
    whole: bool = False


@message("fabric.SayExpired")
class SayExpired(Message):
    """An end to itself: tell the other one, and again until it has heard."""

    to: str
    halves: ExpireHalves
    tries: int = 0


@message("fabric.FreeLater")
class FreeLater(Message):
    """An end to itself: no pair can be on its way into these memories any more."""

    slots: tuple[int, ...]


@message("fabric.TakeTurn")
class TakeTurn(Message):
    """The head to itself: what is the next pair of this line for?"""

    line: str


@message("fabric.CheckDeadline")
class CheckDeadline(Message):
    """An end to itself: has this request's time come?"""

    key: str


@message("fabric.RestLine")
class RestLine(Message):
    """The head to itself: close the line's circuit if nobody has used it since turn `turns`."""

    line: str
    turns: int


@message("fabric.InstallEntry")
class InstallEntry(Message):
    """A circuit's head to the nodes of its path: write an entry for it. Answered with `VirtualCircuit` of one entry."""

    circuit: str
    nodes: tuple[str, ...]
    links: tuple[str, ...]
    place: int
    state: tuple[float, float, float]
    decay_hz: tuple[float, float, float]
    cutoff_ns: int | None


@message("fabric.SettleCircuit")
class SettleCircuit(Message):
    """A circuit's head to the nodes of its path: rate and light's way of the whole circuit. Answered with `Done`."""

    circuit: str
    rate_hz: float
    light_ns: int


@message("fabric.RemoveEntry")
class RemoveEntry(Message):
    """A circuit's head to the nodes of its path: it is closed."""

    circuit: str


@message("fabric.Forward")
class Forward(Message):
    """FORWARD, from node to node along the entries: the tail, and all before it, shall serve this request. Answered
    with `Done` by the tail, back the same way; Problems as of `OfferPairs`."""

    circuit: str
    offer: OfferPairs


@message("fabric.Complete")
class Complete(Message):
    """COMPLETE, from node to node along the entries: this request is over."""

    circuit: str
    key: str
