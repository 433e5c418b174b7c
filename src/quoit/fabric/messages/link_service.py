"""The link service. Words are those of draft-dahlberg-ll-quantum-03 (CREATE, ACK, OK, ERR) and of PyPI
`qlink-interface`."""

from __future__ import annotations

from quoit.runtime.wire import Message, message


def link_service(node: str) -> str:
    """Name of a node's link service."""
    return f"link-service:{node}"


class Reading(Message):
    """How a half is measured. `random` empty: after rotations about X, Y and X by `turns`, in steps of 2 pi / 256, in
    Z. `XZ`, `XYZ` or `CHSH` (Z turned by +-pi/4 about Y): in a basis drawn at random, the first of the set with
    probability `first` / 255, the second of XYZ with `second` / 255, else the last; None: all alike likely."""

    random: str = ""
    first: int | None = None
    second: int | None = None
    turns: tuple[int, int, int] = (0, 0, 0)


@message("fabric.CreatePairs")
class CreatePairs(Message):
    """CREATE, to the link service of a node: make `number` pairs with a neighbour; `client`, an element of this node,
    hears `PairsMade` and `PairsFailed`. Answered with `PairsAccepted` (ACK) at once.

    `kind`: K both halves are kept, M both are measured, R the creator's is measured and the other one kept (remote
    state preparation). `max_time_ns` 0: an hour. `purpose`: port-like, 0 to 65535. `priority`: 0 to 7, higher first.
    `atomic`: no other request's pairs in between. `consecutive`: an OK for each pair; else one when all are there, K
    all in memory together. `near`, `far`: how the creator's and the other half are measured. `waits`: for which event
    of a pair a client waits (draft-van-meter-qirg-quantum-network-architecture): B attempt, C herald, T correction.

    Problems (field `err` is the ERR code): `malformed` CREATE; `above-stage`, `fidelity-unreachable`, `no-route`
    UNSUPP; `no-time` NOTIME; `no-memory` NORES; `overloaded` OTHER.
    """

    client: str
    remote: str
    kind: str = "K"
    number: int = 1
    fidelity: float = 0.0
    max_time_ns: int = 0
    purpose: int = 0
    priority: int = 0
    atomic: bool = False
    consecutive: bool = False
    near: Reading = Reading()
    far: Reading = Reading()
    waits: str = "T"


@message("fabric.PairsAccepted")
class PairsAccepted(Message):
    """ACK: the request will be scheduled. Its name in the network is (this node, `create_id`)."""

    create_id: int


@message("fabric.ReceivePairs")
class ReceivePairs(Message):
    """ReqReceive: `client` takes part in pairs that `remote` creates for `purpose`, until `StopReceiving`. Answered
    with `Done`; Problem `unit-exists` if another client does."""

    client: str
    remote: str
    purpose: int = 0


@message("fabric.StopReceiving")
class StopReceiving(Message):
    """ReqStopReceive. What is under way ends, at the creator with REJECTED. Answered with `Done`."""

    client: str
    remote: str
    purpose: int = 0


@message("fabric.CancelPairs")
class CancelPairs(Message):
    """The creator gives a request up; the receiver hears OTHER. What both were told of stays theirs. Answered with
    `Done`; Problem `no-such-element`."""

    client: str
    create_id: int


@message("fabric.ExpirePairs")
class ExpirePairs(Message):
    """A client's half is gone, so the other one is of no use: pairs with `remote` of sequence numbers in [low, high),
    counted modulo 2**16; or all of one request, if `create_id` is given with its `origin`. `circuit`: of the network
    service's. The other end's client hears EXPIRE. Answered with `Done`."""

    client: str
    remote: str
    low: int = 0
    high: int = 0
    origin: str = ""
    create_id: int | None = None
    circuit: str = ""


class MadePair(Message):
    """One pair of an OK. Entanglement id: the two nodes and `sequence`, alike at both ends.

    `goodness`: the pair has at least this fidelity to `bell` at `goodness_ns`, as long as nothing but waiting was done
    to it. `slot`: memory that holds the own half, the client's from now on; or `outcome`, read in `basis` (Z, X, Y,
    Z+X, Z-X, or "turned"). The three events of its life: `attempt_ns`, `heralded_ns` at this end, `corrected_ns`.
    """

    sequence: int
    goodness: float
    goodness_ns: int
    attempt_ns: int
    heralded_ns: int
    corrected_ns: int
    slot: int | None = None
    outcome: int | None = None
    basis: str = ""
    bell: str = "phi+"


@message("fabric.PairsMade")
class PairsMade(Message):
    """OK, to both ends' clients. `origin`: the node that created the request `create_id`. `done`: of the request's
    pairs none is to come. `circuit`: of the network service; empty: of the link service."""

    origin: str
    create_id: int
    remote: str
    purpose: int
    kind: str
    pairs: tuple[MadePair, ...]
    done: bool
    circuit: str = ""


@message("fabric.PairsFailed")
class PairsFailed(Message):
    """ERR, to both ends' clients. `code`: UNSUPP, NOTIME, NORES, REJECTED, OTHER, TIMEOUT: no further pair of the
    request comes, and what was not told by an OK is gone. EXPIRE: pairs that were told are of no use: those of sequence
    numbers in [low, high), or, if these are equal, all of the request."""

    origin: str
    create_id: int
    remote: str
    purpose: int
    code: str
    why: str
    low: int = 0
    high: int = 0
    circuit: str = ""


@message("fabric.AskFrame")
class AskFrame(Message):
    """A CREATE as it goes over a wire (`fabric.linkservice.codec`), to the link service of a node. Answered with
    `Frames`: one ACK, or one ERR."""

    client: str
    frame: bytes


@message("fabric.Frames")
class Frames(Message):
    frames: tuple[bytes, ...]
