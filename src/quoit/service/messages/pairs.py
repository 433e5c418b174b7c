"""Entangled pairs that applications ask for: by the link service, and over circuits of the network service."""

from __future__ import annotations

from quoit.fabric.api import CreatePairs, MadePair, RequestPairs
from quoit.runtime.wire import Message, message


@message("service.AskPairs")
class AskPairs(Message):
    """Pairs with another application at a neighbouring node, by the link service: `request` says what, in its `remote`
    whose (SAE ID or endpoint URN); its `client` is filled in. Answered with `PairsAsked`; Problems as of
    `fabric.CreatePairs`, and `not-receiving`."""

    caller: str
    request: CreatePairs


@message("service.PairsAsked")
class PairsAsked(Message):
    create_id: int


@message("service.OpenPairCircuit")
class OpenPairCircuit(Message):
    """A virtual circuit of the caller's to another application's node, by the network service, for pairs of `fidelity`
    or better. Answered with `PairCircuit`; Problems as of `fabric.OpenVirtualCircuit`."""

    caller: str
    peer: str
    fidelity: float


@message("service.PairCircuit")
class PairCircuit(Message):
    """`fidelity`: no pair is below when it is delivered; `rate_hz`: most pairs a second."""

    circuit: str
    peer: str
    nodes: tuple[str, ...]
    fidelity: float
    rate_hz: float


@message("service.ClosePairCircuit")
class ClosePairCircuit(Message):
    """End a circuit of the caller's, and all its requests. Answered with `PairNews` of none."""

    caller: str
    circuit: str


@message("service.AskOver")
class AskOver(Message):
    """Pairs over a circuit of the caller's: `request` says what; its `client` is filled in. Answered with
    `PairsAsked`; Problems as of `fabric.RequestPairs`, and `not-receiving`."""

    caller: str
    request: RequestPairs


@message("service.TakePart")
class TakePart(Message):
    """The caller takes part in pairs that `peer` asks for with this purpose; `stop`: no longer. Answered with
    `PairNews` of none; Problem `unit-exists`."""

    caller: str
    peer: str
    purpose: int = 0
    stop: bool = False


@message("service.GivePairsUp")
class GivePairsUp(Message):
    """End a request of the caller's, of the link service or over a circuit. Answered with `PairNews` of none; Problem
    `no-such-element`."""

    caller: str
    create_id: int
    circuit: str = ""


@message("service.TakePairs")
class TakePairs(Message):
    """What the link service has told for the caller, waiting for the first of it for `wait_ns` at most. Each is given
    once. Answered with `PairNews`."""

    caller: str
    wait_ns: int = 0


class PairTold(Message):
    """One OK or ERR. `circuit`: empty if it is of the link service. `peer`: the other application's SAE ID; `mine`: the
    caller has asked for these pairs. OK: `pairs`, with `addresses` of the halves that are kept, empty for those that
    are measured; `done`: none is to come. ERR: `code`, `why`, and for EXPIRE the sequence numbers [low, high), or, if
    equal, the whole request."""

    create_id: int
    mine: bool
    peer: str
    purpose: int
    kind: str = ""
    pairs: tuple[MadePair, ...] = ()
    addresses: tuple[str, ...] = ()
    done: bool = False
    code: str = ""
    why: str = ""
    low: int = 0
    high: int = 0
    circuit: str = ""


@message("service.PairNews")
class PairNews(Message):
    news: tuple[PairTold, ...]


PAIR_NEWS = "service.pairs"
"""Subjects are `service.pairs.<EME>`: what tests say of links for entangled pairs."""
