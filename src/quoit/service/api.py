"""What the Service stratum answers to, and the news it gives. The only door into it.

Times are nanoseconds since the scenario's start unless the name ends in `_unix_s`. Sizes are bits.
SAE = secure application entity (ETSI GS QKD 014); its identifier here is the one its certificate gave.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from quoit.fabric.api import CreatePairs as CreatePairs
from quoit.fabric.api import MadePair as MadePair
from quoit.fabric.api import Reading as Reading
from quoit.fabric.api import RequestPairs as RequestPairs
from quoit.model.secret import Secret
from quoit.runtime.wire import Message, message


@message("service.GetStatus")
class GetStatus(Message):
    """What could `caller` get for a key shared with `slave`?"""

    caller: str
    slave: str


@message("service.Status")
class Status(Message):
    source_kme: str
    target_kme: str
    master_sae: str
    slave_sae: str
    key_size_bits: int
    stored_key_count: int
    max_key_count: int
    max_key_per_request: int
    max_key_size_bits: int
    min_key_size_bits: int
    max_sae_id_count: int
    # bit/s the network can refill this pair with, by the controller's last admission estimate
    refill_bps: float


@message("service.OpenKeys")
class OpenKeys(Message):
    """Make `number` keys shared by `caller`, `slave` and `additional`; the caller gets them now.

    `key_ids` are `number` random version-4 UUIDs in lower case, drawn at the edge so that a replay of
    the recorded request names the same keys. `size_bits` None: the pair's default size.
    """

    caller: str
    slave: str
    number: int
    key_ids: tuple[str, ...]
    size_bits: int | None = None
    additional: tuple[str, ...] = ()
    valid_for_ns: int | None = None


@message("service.TakeKeys")
class TakeKeys(Message):
    """The slave's side: `caller` takes keys that `master` opened. All or nothing."""

    caller: str
    master: str
    key_ids: tuple[str, ...]
    # compat flag dec_path_self: `master` in the request is the caller itself; go by key_ID alone
    any_master: bool = False


class Key(Message):
    """`made_of`: qkd, or hybrid (an older key of the links, and post-quantum key encapsulation)."""

    key_id: str
    value: Secret
    made_of: str = "qkd"


@message("service.Keys")
class Keys(Message):
    keys: tuple[Key, ...]


@message("service.OpenUnit")
class OpenUnit(Message):
    """Establish a service unit: `endpoints` are N >= 2 endpoint URNs without instance, `lifecycle` a URN.

    `originator` is the SAE that asks and must be attached to one of the endpoints. `unit_id` is a random
    version-4 UUID drawn at the edge; it is also the unit's 014 key_ID.
    """

    originator: str
    endpoints: tuple[str, ...]
    lifecycle: str
    unit_id: str


@message("service.GetUnit")
class GetUnit(Message):
    caller: str
    unit_id: str


@message("service.ListUnits")
class ListUnits(Message):
    """Units that `caller` is an endpoint of, newest first; `prefix` restricts to endpoints it covers."""

    caller: str
    prefix: str | None = None
    state: str | None = None
    limit: int = 100


@message("service.CloseUnit")
class CloseUnit(Message):
    caller: str
    unit_id: str


@message("service.OpenSession")
class OpenSession(Message):
    """Keys of an agreed quality between `caller` and `peer`, until `valid_for_ns` from now (None: until it is closed).

    `session_id` is a random version-4 UUID drawn at the edge. `rate_bps` and `burst_bits` (None: ten seconds' worth)
    are what may be taken; the network sets them aside on every link of the way. `paths` routes without common nodes:
    the key is the sum of a share from each, so that no trusted node sees it. `most_transit`: how many trusted nodes
    may lie on one route (0: none). `avoid`: nodes that may not. `max_latency_ns`, `max_jitter_ns`: how long an answer
    may take, and by how much that may vary. `on_shortage`: `refuse`, or `hybrid` to have keys made of an older one and
    post-quantum key encapsulation while the links give none; such keys are labelled. Answered by `Session`.
    """

    caller: str
    peer: str
    session_id: str
    rate_bps: float
    burst_bits: int | None = None
    priority: int = 0
    paths: int = 1
    most_transit: int | None = None
    avoid: tuple[str, ...] = ()
    max_latency_ns: int | None = None
    max_jitter_ns: int | None = None
    valid_for_ns: int | None = None
    on_shortage: str = "refuse"


@message("service.GetSession")
class GetSession(Message):
    caller: str
    session_id: str


@message("service.CloseSession")
class CloseSession(Message):
    caller: str
    session_id: str


@message("service.ListSessions")
class ListSessions(Message):
    """All sessions that `caller` has opened and that are not over, oldest first. Answered by `Sessions`."""

    caller: str


@message("service.Session")
class Session(Message):
    """A session as its owner sees it. `state`: open, degraded (it has fewer routes than agreed), hybrid,
    pre-empted or closed.
    `routes` now, and the most trusted nodes on one of them. `served_bits` and, of the last answers, the 95th
    percentile of the time they took and its distance to the 5th."""

    session_id: str
    caller: str
    peer: str
    state: str
    rate_bps: float
    burst_bits: int
    priority: int
    paths: int
    most_transit: int | None
    routes: int
    trusted_nodes: int
    opened_ns: int
    ends_ns: int | None
    served_bits: int
    latency_ns: int | None = None
    jitter_ns: int | None = None
    why: str | None = None


@message("service.Sessions")
class Sessions(Message):
    sessions: tuple[Session, ...]


SESSION_NEWS = "service.session"
"""Subjects are `service.session.<KME>`."""


@message("service.SessionChanged")
class SessionChanged(Message):
    """News: a session of `kme` is in another state."""

    kme: str
    session_id: str
    state: str
    why: str
    at_ns: int


@message("service.SessionQuality")
class SessionQuality(Message):
    """News: what a session delivers is (`kept` false: is not) what was agreed; `text` says which figure."""

    session_id: str
    kept: bool
    text: str
    at_ns: int


class Segment(Message):
    """A QUI of the unit: which stretch of which link's key stream stands behind it."""

    qui: str
    link: str
    block: int
    offset: int
    bits: int


@message("service.Unit")
class Unit(Message):
    """A service unit as its parties may see it. `state`: requested, routed, established, delivered,
    consumed, expired or failed."""

    unit_id: str
    endpoints: tuple[str, ...]
    lifecycle: str
    originator: str
    state: str
    size_bits: int
    created_ns: int
    expires_ns: int | None
    key_id: str
    route: tuple[str, ...] = ()
    segments: tuple[Segment, ...] = ()
    why: str | None = None
    # the content, in the one answer that hands it to the originator
    content: Secret | None = None
    # of shared states: which, where the caller's own qubits are or what was read of them, and what was promised when
    kind: str = "key"
    addresses: tuple[str, ...] = ()
    outcomes: tuple[int, ...] = ()
    fidelity: float | None = None
    fidelity_at_ns: int | None = None
    # what tests of its like have shown, at least and when, and how many there were
    estimate: float | None = None
    estimate_least: float | None = None
    estimate_at_ns: int | None = None
    tested: int = 0
    # code of the problem for which it has failed
    problem: str | None = None
    # of keys: qkd, or hybrid
    made_of: str | None = None


@message("service.Units")
class Units(Message):
    units: tuple[Unit, ...]


def controller(domain: str) -> str:
    """Name of a domain's service controller."""
    return f"service.controller:{domain}"


@message("service.GetApplications")
class GetApplications(Message):
    """To a domain's controller: which applications does it have? `abroad`: those alone that other domains may know.
    Answered with `Applications`."""

    abroad: bool = False


class ApplicationRow(Message):
    """An application and where it is attached."""

    sae: str
    urn: str
    kme: str
    node: str
    domain: str
    routable: bool


@message("service.Applications")
class Applications(Message):
    domain: str
    prefix: str
    rows: tuple[ApplicationRow, ...]


@message("service.AdmitNode")
class AdmitNode(Message):
    """To a domain's controller: `node` has joined; its applications may be reached from now on. Answered with the
    `Applications` that this brought, also if it had been said before."""

    node: str


@message("service.GetKmeState")
class GetKmeState(Message):
    """Management asks a KME for its sessions and streams, of all applications. Answered with `KmeState`."""


class StreamRow(Message):
    """End-to-end key towards a peer KME, for a session or for all. `routes`: the nodes of each route it is moved on;
    none of a stream that belongs to no session: the fabric keeps that one's. `asked_bits`: of all keys
    that applications have asked of it, given or not."""

    name: str
    peer: str
    session: str
    routes: tuple[tuple[str, ...], ...]
    asked_bits: int = 0


@message("service.KmeState")
class KmeState(Message):
    kme: str
    node: str
    domain: str
    sessions: tuple[Session, ...]
    streams: tuple[StreamRow, ...]


def eme(node: str) -> str:
    """Name of a node's entanglement management entity."""
    return f"eme-{node}"


@message("service.Operate")
class OperateOn(Message):
    """Do `name` on the caller's qubits at these memory addresses (`node/slot`): init, x y z h s sdg t rx ry rz, cnot
    cz swap, measure (`basis` X, Y or Z), bell-measure, correct (`pauli`), discard. Answered by `Operation`;
    Problem `bad-operation`."""

    caller: str
    name: str
    addresses: tuple[str, ...]
    basis: str = "Z"
    angle_rad: float = 0.0
    pauli: str = "I"


@message("service.Operation")
class Operation(Message):
    """`bits`: what was read, in the order of the addresses. `done_ns`: when."""

    bits: tuple[int, ...]
    ok: bool
    done_ns: int


@message("service.AllocateMemory")
class AllocateMemory(Message):
    """Empty memories of the caller's own, at its node. Answered by `Memories`; Problem `no-memory`."""

    caller: str
    number: int


@message("service.FreeMemory")
class FreeMemory(Message):
    """Give memories back."""

    caller: str
    addresses: tuple[str, ...]


@message("service.Memories")
class Memories(Message):
    addresses: tuple[str, ...]


@message("service.SendNote")
class SendNote(Message):
    """A classical message from one application to another (`to`: SAE ID or endpoint URN)."""

    caller: str
    to: str
    text: str


@message("service.TakeNotes")
class TakeNotes(Message):
    """What has arrived for the caller, waiting for the first one for `wait_ns` at most. Each is given once."""

    caller: str
    wait_ns: int = 0


class Note(Message):
    sender: str
    text: str
    sent_ns: int
    arrived_ns: int


@message("service.Notes")
class Notes(Message):
    notes: tuple[Note, ...]


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
METERS = "service.meters"
COORDINATOR = "service.coordinator"
"""There if Service coordinates with Connectivity for an oblivious fabric."""
UPKEEP = "service.upkeep"
UNIT_NEWS = "service.unit"
STREAM_NEWS = "service.stream"
"""Subjects are `service.unit.<KME>` and `service.stream.<KME>`."""


@message("service.GetUnitCounts")
class GetUnitCounts(Message):
    """How many units are in which state? Answered with `UnitCounts`."""


class UnitCount(Message):
    kme: str
    state: str
    units: int


@message("service.UnitCounts")
class UnitCounts(Message):
    counts: tuple[UnitCount, ...]


@message("service.GetDeliveredBits")
class GetDeliveredBits(Message):
    """How much key was handed out? Answered with `DeliveredBits`."""


@message("service.DeliveredBits")
class DeliveredBits(Message):
    """Bits of keys that were opened and handed to those who asked for them, each key once."""

    bits: int


@message("service.StreamStarved")
class StreamStarved(Message):
    """News: the fabric cannot fill the key between two KMEs, for the reason that it gave."""

    stream: str
    why: str
    free_bits: int
    at_ns: int


@message("service.StoreRewound")
class StoreRewound(Message):
    """News: the store of `kme` was older than `peer` remembers; `keys` that waited in it are void."""

    kme: str
    peer: str
    keys: int
    at_ns: int


@message("service.StreamFilled")
class StreamFilled(Message):
    """News: it can again."""

    stream: str
    at_ns: int


@message("service.UnitsChanged")
class UnitsChanged(Message):
    """News of `kme`: units of the same parties went through `steps`, beginning with the state they were in.
    `bits`: of each, where they are keys that were just opened."""

    kme: str
    unit_ids: tuple[str, ...]
    parties: tuple[str, ...]
    steps: tuple[str, ...]
    at_ns: int
    why: str | None = None
    bits: int = 0

    def each(self) -> Iterator[UnitChanged]:
        """Every step of every unit."""
        for unit_id in self.unit_ids:
            for was, state in pairwise(self.steps):
                yield UnitChanged(unit_id, self.parties, was, state, self.at_ns, self.why)


class UnitChanged(Message):
    """A unit went from one state to another."""

    unit_id: str
    parties: tuple[str, ...]
    was: str
    state: str
    at_ns: int
    why: str | None = None


@message("service.Fields")
class Fields(Message):
    """Free name/value pairs, for observers."""

    values: dict[str, Any]


# -- programs of hosts at a node's memories ---------------------------------------------------------------

QNPU_NEWS = "service.qnpu"
"""Subjects are `service.qnpu.<node>`."""


def qnpu(node: str) -> str:
    """Name of a node's quantum network processing unit: what runs programs of hosts there."""
    return f"qnpu:{node}"


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
