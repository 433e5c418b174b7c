"""What the Quantum Fabric answers to, and the news it gives. The only door into it.

Elements of the fabric at node N are called `module:<link>:<end>`, `kma:N` and `relay:N`; the fabric's
controller, meters and upkeep have one element each.
"""

from __future__ import annotations

from quoit.model.secret import Secret
from quoit.runtime.wire import Message, message

CONTROLLER = "fabric.controller"
METERS = "fabric.meters"
UPKEEP = "fabric.upkeep"

LINK_NEWS = "fabric.link"
"""Subjects are `fabric.link.<link>.<what>`; a link's name holds no dot."""


def kma(node: str) -> str:
    """Name of a node's key management agent."""
    return f"kma:{node}"


def relay(node: str) -> str:
    """Name of a node's key relay."""
    return f"relay:{node}"


def module(link: str, node: str) -> str:
    """Name of the module that terminates a link at a node."""
    return f"module:{link}:{node}"


def agent(node: str) -> str:
    """Name of a node's SDN agent (ETSI GS QKD 015), in twins that have agents."""
    return f"agent:{node}"


def controller_instance(number: int) -> str:
    """Name of one of several controllers of the fabric; `CONTROLLER` hands on to the one that leads."""
    return f"{CONTROLLER}.{number}"


class Piece(Message):
    """A stretch of link key: the coordinate that every secret bit has. `use`: delivered, pad, tag..."""

    link: str
    block: int
    offset: int
    bits: int
    use: str


@message("fabric.OpenFlow")
class OpenFlow(Message):
    """Service asks: keep a relay route from node `src` to node `dst`. Problem `no-route` if there is none."""

    src: str
    dst: str


@message("fabric.Flow")
class Flow(Message):
    """A route that is installed. `offered_bps` is what the narrowest link makes now, less other flows."""

    src: str
    dst: str
    epoch: int
    nodes: tuple[str, ...]
    links: tuple[str, ...]
    offered_bps: float
    name: str = ""


@message("fabric.CommissionNode")
class CommissionNode(Message):
    """`node` has joined: the links to it whose other ends are there get their paths and begin. Answered with
    `Commissioned`, also if it had been said before."""

    node: str


@message("fabric.Commissioned")
class Commissioned(Message):
    node: str
    links: tuple[str, ...]


@message("fabric.ReserveFlows")
class ReserveFlows(Message):
    """Service asks: `paths` routes of its own for `session`, each with `rate_bps` of key kept for it on every link.

    Routes share no node between their ends. `most_transit`: trusted nodes that may see the key on one route (0: a
    direct link; None: any number). `avoid`: nodes that may not. A session of higher `priority` takes rates away from
    lower ones if it must. Answered by `ReservedFlows`; Problem `no-route`, or `not-admitted` with `offered_bps`.
    """

    session: str
    src: str
    dst: str
    rate_bps: float
    paths: int = 1
    most_transit: int | None = None
    avoid: tuple[str, ...] = ()
    priority: int = 0


@message("fabric.ReservedFlows")
class ReservedFlows(Message):
    """The routes, and the sessions that had to give up theirs."""

    session: str
    flows: tuple[Flow, ...]
    preempted: tuple[str, ...] = ()


@message("fabric.ReleaseFlows")
class ReleaseFlows(Message):
    """The session is over: its routes and rates are free. Answered by `ReleasedFlows`, also if there were none."""

    session: str


@message("fabric.ReleasedFlows")
class ReleasedFlows(Message):
    session: str


SESSION_NEWS = "fabric.session"
"""Subjects are `fabric.session.<session>`."""


@message("fabric.SessionFlows")
class SessionFlows(Message):
    """News: a session's routes have changed. Fewer than were reserved: the rest is lost until a way is found.
    `preempted_by`: the session that took them."""

    session: str
    flows: tuple[Flow, ...]
    why: str
    preempted_by: str | None = None


@message("fabric.MoveKey")
class MoveKey(Message):
    """To the relay at `src`: bring `bits` fresh bits to `to`, an element at node `dst`, as `stream` from
    `start` on. `flow`: the reserved route to use. Answered by `KeyMoved` once that element has confirmed them."""

    stream: str
    start: int
    bits: int
    src: str
    dst: str
    to: str
    flow: str = ""


@message("fabric.KeyMoved")
class KeyMoved(Message):
    """The bits, and where they come from: pieces of every link on the way."""

    value: Secret
    pieces: tuple[Piece, ...]
    nodes: tuple[str, ...]


@message("fabric.KeyArrived")
class KeyArrived(Message):
    """At the far end: the same bits. The receiver confirms with `Stored` when it holds them durably."""

    stream: str
    start: int
    value: Secret
    pieces: tuple[Piece, ...]
    origin: str


@message("fabric.Stored")
class Stored(Message):
    bits: int


@message("fabric.AcquireLease")
class AcquireLease(Message):
    """A controller's instance, in its life that began at `life`, wants to lead, or go on leading, for `ttl_ns`.
    Answered with `Lease`."""

    holder: str
    life: int
    ttl_ns: int


@message("fabric.Lease")
class Lease(Message):
    """Who leads until when, in which epoch: each time that the leader is another, or comes back, it is higher. The
    holder is told what is wanted of the network: `sessions`, whose reservations stand."""

    holder: str
    epoch: int
    until_ns: int
    sessions: tuple[ReserveFlows, ...] = ()


APPLICATION_NEWS = "fabric.application"
"""Subjects are `fabric.application.<node>`."""


@message("fabric.KeysAsked")
class KeysAsked(Message):
    """News from Service: an application at `node` asked for keys with others; it got `bits`, which may be 0. Names are
    endpoint URNs; `peer_node` is where the first of `clients` is. `least_bps`: the rate that was agreed with it."""

    node: str
    server: str
    clients: tuple[str, ...]
    peer_node: str
    bits: int
    least_bps: float
    priority: int


@message("fabric.LinkReading")
class LinkReading(Message):
    """News, once a telemetry interval of `took_ns`: test detections and errors among them, and rates of one link.
    `clicks`: sifted detections by intensity, strongest first, where there are intensities. `bright`: the detectors'
    monitor of their supply current found bright light. `games`: rounds of a Bell test and those of them that were won,
    of protocols that have one."""

    link: str
    tested: int
    errors: int
    sifted_bps: float
    raw_bps: float
    at_ns: int
    block: int
    took_ns: int = 10**9
    clicks: tuple[int, ...] = ()
    bright: bool = False
    games: tuple[int, ...] = ()


@message("fabric.BlockMade")
class BlockMade(Message):
    """News: a block went through distillation. `secret_bits` 0: it failed, and `why` says so. `chsh`: its estimate of
    S, where the protocol tests it."""

    link: str
    block: int
    secret_bits: int
    qber: float
    sifted_bits: int
    leak_bits: int
    made_ns: int
    took_ns: int
    why: str | None = None
    chsh: float | None = None


@message("fabric.EndReading")
class EndReading(Message):
    """The other end's own reading of some intervals' test detections, as its agent tells it: (end of the interval, ns;
    tested; errors) each."""

    link: str
    rows: tuple[tuple[int, int, int], ...]


@message("fabric.BlockCredited")
class BlockCredited(Message):
    """The other end put so many secret bits of a block into its pool, as its agent tells it."""

    link: str
    block: int
    bits: int


@message("fabric.Falsify")
class Falsify(Message):
    """To a module: its reporting agent is in somebody's hands (`on` false: no more), and reports in this manner; see
    `fabric.reporting`. `delay_ns`: of one that tells late."""

    link: str
    on: bool = True
    manner: str = "repeat"
    delay_ns: int = 0


@message("fabric.LinkFinding")
class LinkFinding(Message):
    """News: what telemetry makes of a change on a link. `cause`: one of `fabric.detection.Cause`. `explained`: what
    another stratum has told that explains it. `void`: blocks are void, as `LinkSuspect`
    says. `over`: it is as it was again."""

    link: str
    cause: str
    text: str
    at_ns: int
    explained: str = ""
    void: bool = False
    over: bool = False


@message("fabric.LinkSuspect")
class LinkSuspect(Message):
    """News: a link's readings are not what they were. Blocks from `first_block` on may be compromised. `cause`: what
    the alarm is called; that its blocks are void does not depend on it."""

    link: str
    first_block: int
    qber: float
    expected: float
    at_ns: int
    why: str
    cause: str = "suspected eavesdropping"


@message("fabric.LinkCalm")
class LinkCalm(Message):
    """News: a suspect link's error rate has been as before for the hold time; `block` is the block under way,
    which counts as suspect still."""

    link: str
    block: int
    at_ns: int


@message("fabric.LinkQuarantined")
class LinkQuarantined(Message):
    """News: no key of these blocks may be used any more, wherever it went."""

    link: str
    first_block: int
    last_block: int
    at_ns: int
    why: str


@message("fabric.LinkAuth")
class LinkAuth(Message):
    """News: the key that authenticates a link's own messages lasts for so many blocks that fail. `parked`: so few
    that the link has stopped, before any message would have to go without a tag."""

    link: str
    blocks_left: int
    parked: bool
    at_ns: int


@message("fabric.CommissionLink")
class CommissionLink(Message):
    """An operator has brought both ends of a link fresh key for their messages."""

    link: str


@message("fabric.LinkReleased")
class LinkReleased(Message):
    """News: blocks from `from_block` on may be used; those that were quarantined stay so."""

    link: str
    from_block: int
    at_ns: int


@message("fabric.GetIncidents")
class GetIncidents(Message):
    """Which blocks are, or ever were, quarantined? For those who were away when it was news."""


class Incident(Message):
    link: str
    first_block: int
    last_block: int


@message("fabric.Incidents")
class Incidents(Message):
    incidents: tuple[Incident, ...]


@message("fabric.PoolLevel")
class PoolLevel(Message):
    """News: a pool crossed its floor. `open` tells whether the link can carry keys."""

    link: str
    bits: int
    open: bool


@message("fabric.DrainLink")
class DrainLink(Message):
    """Keep flows off a link as long as there is another way (`drain` false: no longer). Key in its pools stays,
    sessions find other routes or lose theirs. Answered with `LinkDrained`; Problem `no-such-element`."""

    link: str
    drain: bool = True
    why: str = "drained"


@message("fabric.LinkDrained")
class LinkDrained(Message):
    """`flows`: those that run over the link still, since there is no other way for them."""

    link: str
    flows: tuple[str, ...]


@message("fabric.GetPool")
class GetPool(Message):
    """To a node's agent: how much key has a link? Answered with `PoolLevel`; Problem `no-route` for a strange link."""

    link: str


@message("fabric.PoolReading")
class PoolReading(Message):
    """To the meters, once an interval in which a pool has changed: its level at the end of it."""

    link: str
    bits: int


@message("fabric.FlowChanged")
class FlowChanged(Message):
    """News: a route was moved, or (`nodes` empty) lost."""

    src: str
    dst: str
    epoch: int
    nodes: tuple[str, ...]
    why: str


@message("fabric.GetFlows")
class GetFlows(Message):
    """Management asks control: which routes are there, for pairs of nodes and for sessions? Answered with `Flows`."""


@message("fabric.Flows")
class Flows(Message):
    """Routes that Service asked for (`nodes` empty: there is none now), and those that sessions have reserved.
    `waiting`: links that are planned, and not commissioned before a node at their end has joined."""

    flows: tuple[Flow, ...]
    sessions: tuple[ReservedFlows, ...]
    waiting: tuple[str, ...] = ()

    @property
    def installed(self) -> tuple[Flow, ...]:
        """Routes that are there now: of pairs of nodes, then of sessions."""
        of_sessions = (flow for held in self.sessions for flow in held.flows)
        return (*(flow for flow in self.flows if flow.nodes), *of_sessions)

    def of_session(self, session: str) -> tuple[Flow, ...]:
        """The routes that this one has reserved; none if there is no such session."""
        return next((held.flows for held in self.sessions if held.session == session), ())


@message("fabric.GetLinks")
class GetLinks(Message):
    """Ask the meters for the table of all links."""


class LinkRow(Message):
    """`over`: links for entangled pairs that it goes over, none if it has a light of its own. `chsh`: S of the last
    block, where the protocol tests it. `rests_on`: what its key's secrecy does."""

    link: str
    a: str
    b: str
    state: str
    qber: float | None
    sifted_bps: float
    secret_bps: float
    pool_bits: int
    blocks: int
    failed_blocks: int
    over: tuple[str, ...] = ()
    chsh: float | None = None
    rests_on: str = ""


@message("fabric.Links")
class Links(Message):
    rows: tuple[LinkRow, ...]


# -- entanglement -----------------------------------------------------------------------------------------

PAIR_CONTROLLER = "fabric.pairs"


def memory(node: str) -> str:
    """Name of the agent that keeps a node's quantum memories."""
    return f"memory:{node}"


@message("fabric.ReserveSlots")
class ReserveSlots(Message):
    """Keep `number` memories of a node for `holder`. Answered with `Slots`; Problem `no-memory`."""

    holder: str
    number: int


@message("fabric.FreeSlots")
class FreeSlots(Message):
    """Give memories back; what is in them is lost. Answered with those that were the holder's."""

    holder: str
    slots: tuple[int, ...]


@message("fabric.Slots")
class Slots(Message):
    slots: tuple[int, ...]


@message("fabric.HalfReady")
class HalfReady(Message):
    """To the holder: half of pair number `number` of a circuit is in a memory of `node` since `at_ns`.

    The pair's own times: `attempt_ns`, since when its oldest part was stored; `heralded_ns`, when this end had its half
    and had heard of all swaps; `corrected_ns`, when both ends had.
    """

    circuit: str
    number: int
    node: str
    slot: int
    at_ns: int
    attempt_ns: int = 0
    heralded_ns: int = 0
    corrected_ns: int = 0


@message("fabric.HandOver")
class HandOver(Message):
    """Memories of `holder` become `to`'s, with what is in them. Answered with `Slots`; Problem `bad-operation`."""

    holder: str
    slots: tuple[int, ...]
    to: str


@message("fabric.GetMemories")
class GetMemories(Message):
    """Where is each memory of a node in its life? Answered with `MemoryRows`."""


class MemoryRow(Message):
    """`state`: of `fabric.qubits.QubitState`; `owner`: the function that owns the qubit in it; `lives`: qubits held so
    far; `idle_ns`: how long they were stored with nothing done to them."""

    slot: int
    state: str
    owner: str
    holder: str
    since_ns: int
    lives: int
    idle_ns: int


@message("fabric.MemoryRows")
class MemoryRows(Message):
    rows: tuple[MemoryRow, ...]


@message("fabric.OperateSlots")
class OperateSlots(Message):
    """Do a primitive on memories of one node that are the holder's. Answered by `SlotsDone`; Problem
    `bad-operation`."""

    holder: str
    name: str
    slots: tuple[int, ...]
    basis: str = "Z"
    angle_rad: float = 0.0
    pauli: str = "I"


class SlotStep(Message):
    """One of several operations on memories of one node."""

    name: str
    slots: tuple[int, ...]
    basis: str = "Z"
    angle_rad: float = 0.0


@message("fabric.RunSteps")
class RunSteps(Message):
    """Do these operations, one after the other, on memories of one node that are the holder's. Answered by
    `StepsDone`; Problem `bad-operation`, and what came before the fault has been done."""

    holder: str
    steps: tuple[SlotStep, ...]


@message("fabric.StepsDone")
class StepsDone(Message):
    """`bits`: what each step read. The device was at it from `began_ns` to `done_ns`."""

    bits: tuple[tuple[int, ...], ...]
    began_ns: int
    done_ns: int


@message("fabric.CountSlots")
class CountSlots(Message):
    """How many memories of a node are free? Answered with `SlotCount`."""


@message("fabric.SlotCount")
class SlotCount(Message):
    free: int
    number: int


@message("fabric.SlotsDone")
class SlotsDone(Message):
    bits: tuple[int, ...]
    ok: bool
    done_ns: int


PAIR_NEWS = "fabric.pair"
"""Subjects are `fabric.pair.<node>`, the node of the circuit's head."""


@message("fabric.PairDelivered")
class PairDelivered(Message):
    """News: a pair of a circuit is in the memories of those who asked for it."""

    node: str
    circuit: str
    at_ns: int


@message("fabric.PlanPairs")
class PlanPairs(Message):
    """What would a circuit between two nodes give? Answered with `PairPlan`; Problems `no-route`, `link-suspect`.
    `fidelity` None: at best, with qubits that need not wait. `via`: over these links and no others; empty: control's
    choice. `idle`: as if nobody else used links. `tested`: its pairs will be tested, so that links under suspicion may
    be taken where there is no other."""

    head: str
    tail: str
    fidelity: float | None = None
    via: tuple[str, ...] = ()
    idle: bool = False
    tested: bool = False


@message("fabric.PairPlan")
class PairPlan(Message):
    """The path that control would take. `state`: eigenvalues of a delivered pair at its worst, with that cut-off.
    `decay_hz`: rates at which its two halves lose the correlators XX, YY, ZZ together while they wait. `rate_hz`: pairs
    a second that the slowest of its links makes; circuits of several links are slower. `turned`: of an open circuit,
    its program begins at the tail, since it goes on from virtual links that were made that way."""

    nodes: tuple[str, ...]
    links: tuple[str, ...]
    state: tuple[float, float, float]
    decay_hz: tuple[float, float, float]
    cutoff_ns: int | None
    rate_hz: float = 0.0
    turned: bool = False


@message("fabric.OpenCircuit")
class OpenCircuit(Message):
    """Make `number` pairs between two nodes, none worse than `fidelity` when it is delivered, into memories that the
    holders have reserved. `via`: over these links and no others. `early`: each end has its half as soon as it has heard
    of all swaps, and need not wait for the other. `tested`: as in `PlanPairs`. Problems `no-route`, `link-suspect`,
    `fidelity-unreachable` (with `best`), `no-memory` of a link."""

    circuit: str
    head: str
    tail: str
    fidelity: float
    head_slots: tuple[int, ...]
    tail_slots: tuple[int, ...]
    head_holder: str
    tail_holder: str
    via: tuple[str, ...] = ()
    early: bool = False
    tested: bool = False


@message("fabric.OpenKeyCircuit")
class OpenKeyCircuit(Message):
    """Bring pairs without end to both ends of `link`, along `over`, links for entangled pairs in order from `head` to
    `tail`; none worse than `fidelity`. `width`: memories on each side of each of them. The head's module is programmed.
    Answered with `PairPlan`; Problems `no-route` if a link is used up, `fidelity-unreachable`."""

    link: str
    head: str
    tail: str
    over: tuple[str, ...]
    fidelity: float
    width: int = 1


@message("fabric.JudgeLinks")
class JudgeLinks(Message):
    """News to control: tests of states that were made over these links contradict what was promised of them, or
    (`sound`) bear it out. Suspected links are avoided, and closed to those who do not test."""

    links: tuple[str, ...]
    sound: bool


@message("fabric.RenewHalf")
class RenewHalf(Message):
    """One pair of an open circuit has waited too long and was given up: make another one into the same memories."""

    circuit: str
    head_slot: int
    tail_slot: int


@message("fabric.CloseCircuit")
class CloseCircuit(Message):
    circuit: str


@message("fabric.CalibrateLink")
class CalibrateLink(Message):
    """To control: have the devices of a link for pairs adjusted; it is dark meanwhile. Answered with `Done` when it is
    over; Problems `no-such-element`, `switching`."""

    link: str


@message("fabric.Done")
class Done(Message):
    """It is done."""


# -- link service and network service -----------------------------------------------------------------------
# Words are those of draft-dahlberg-ll-quantum-03 (CREATE, ACK, OK, ERR) and of PyPI `qlink-interface`; of the network
# service those of Kozlowski, Dahlberg, Wehner, CoNEXT 2020, doi:10.1145/3386367.3431293.


def link_service(node: str) -> str:
    """Name of a node's link service."""
    return f"link-service:{node}"


def network_service(node: str) -> str:
    """Name of a node's network service."""
    return f"network-service:{node}"


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


@message("fabric.OpenVirtualCircuit")
class OpenVirtualCircuit(Message):
    """To the network service at a circuit's head: set up `circuit` to `tail`, for pairs of `fidelity` or better.
    Entries are written at every node of the path. Answered with `VirtualCircuit`; Problems `no-route`,
    `fidelity-unreachable`, `unit-exists`."""

    circuit: str
    tail: str
    fidelity: float


class CircuitEntry(Message):
    """A node's row for one circuit. Links are named as the node sees them: `up_link` towards the head, `down_link`
    towards the tail, empty at the ends. `down_fidelity`: least of a pair of the downstream link. `down_rate_hz`: most
    pairs of that link; `rate_hz`: of the whole circuit. `cutoff_ns`: after which a waiting half is discarded.
    `down_light_ns`: one way over the downstream link."""

    circuit: str
    node: str
    upstream: str
    downstream: str
    up_link: str
    down_link: str
    down_fidelity: float
    down_rate_hz: float
    rate_hz: float
    cutoff_ns: int | None
    down_light_ns: int = 0


@message("fabric.VirtualCircuit")
class VirtualCircuit(Message):
    """`fidelity`: that no pair is below when it is delivered. `rate_hz`: most pairs a second; admitted requests' rates
    add up to no more."""

    circuit: str
    nodes: tuple[str, ...]
    fidelity: float
    rate_hz: float
    entries: tuple[CircuitEntry, ...]


@message("fabric.CloseVirtualCircuit")
class CloseVirtualCircuit(Message):
    """To the head: end the circuit and all its requests (REJECTED). Answered with `Done`."""

    circuit: str


@message("fabric.GetCircuits")
class GetCircuits(Message):
    """A node's table. Answered with `CircuitTable`."""


@message("fabric.CircuitTable")
class CircuitTable(Message):
    entries: tuple[CircuitEntry, ...]


@message("fabric.RequestPairs")
class RequestPairs(Message):
    """A user's request to the network service at a circuit's head: `number` pairs, or `rate_hz` for `deadline_ns`, all
    within that time. `delivery`: KEEP, when both ends can be sure of the pair; EARLY, as soon as this end can; MEASURE,
    outcomes alone, with `waits` B or C read as soon as this end can. `bell`: phi+, phi-, psi+ or psi-, the state that
    is delivered. Answered with `PairsAccepted`; the clients at both ends hear `PairsMade` and `PairsFailed`. Problems
    as of `CreatePairs`, and `not-admitted` for a rate (field `offered_hz`)."""

    client: str
    circuit: str
    deadline_ns: int
    number: int = 0
    rate_hz: float = 0.0
    delivery: str = "KEEP"
    bell: str = "phi+"
    purpose: int = 0
    priority: int = 0
    near: Reading = Reading()
    far: Reading = Reading()
    waits: str = ""


STRAY_NEWS = "fabric.stray"


@message("fabric.KeyStrayed")
class KeyStrayed(Message):
    """A KME tells: key from `src` to `dst` (of the reserved `flow`, if it has a name) came over these nodes, which is
    not the way that control has granted it. It is not used. `over`: key goes as it was granted again."""

    src: str
    dst: str
    nodes: tuple[str, ...]
    flow: str
    at_ns: int
    over: bool = False
