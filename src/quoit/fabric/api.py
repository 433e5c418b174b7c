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


@message("fabric.LinkReading")
class LinkReading(Message):
    """News, once a telemetry interval: test detections and errors among them, and rates of one link."""

    link: str
    tested: int
    errors: int
    sifted_bps: float
    raw_bps: float
    at_ns: int
    block: int


@message("fabric.BlockMade")
class BlockMade(Message):
    """News: a block went through distillation. `secret_bits` 0: it failed, and `why` says so."""

    link: str
    block: int
    secret_bits: int
    qber: float
    sifted_bits: int
    leak_bits: int
    made_ns: int
    took_ns: int
    why: str | None = None


@message("fabric.LinkSuspect")
class LinkSuspect(Message):
    """News: a link's error rate is not what it was. Blocks from `first_block` on may be compromised."""

    link: str
    first_block: int
    qber: float
    expected: float
    at_ns: int
    why: str


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


@message("fabric.FlowChanged")
class FlowChanged(Message):
    """News: a route was moved, or (`nodes` empty) lost."""

    src: str
    dst: str
    epoch: int
    nodes: tuple[str, ...]
    why: str


@message("fabric.GetLinks")
class GetLinks(Message):
    """Ask the meters for the table of all links."""


class LinkRow(Message):
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
    """To the holder: half of pair number `number` of a circuit is in a memory of `node` since `at_ns`."""

    circuit: str
    number: int
    node: str
    slot: int
    at_ns: int


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


@message("fabric.SlotsDone")
class SlotsDone(Message):
    bits: tuple[int, ...]
    ok: bool
    done_ns: int


@message("fabric.PlanPairs")
class PlanPairs(Message):
    """What would a circuit between two nodes give? Answered with `PairPlan`; Problem `no-route`. `fidelity` None: at
    best, with qubits that need not wait."""

    head: str
    tail: str
    fidelity: float | None = None


@message("fabric.PairPlan")
class PairPlan(Message):
    """The path that control would take. `state`: eigenvalues of a delivered pair at its worst, with that cut-off.
    `decay_hz`: rates at which its two halves lose the correlators XX, YY, ZZ together while they wait."""

    nodes: tuple[str, ...]
    links: tuple[str, ...]
    state: tuple[float, float, float]
    decay_hz: tuple[float, float, float]
    cutoff_ns: int | None


@message("fabric.OpenCircuit")
class OpenCircuit(Message):
    """Make `number` pairs between two nodes, none worse than `fidelity` when it is delivered, into memories that the
    holders have reserved. Problems `no-route`, `fidelity-unreachable` (with `best`), `no-memory` of a link."""

    circuit: str
    head: str
    tail: str
    fidelity: float
    head_slots: tuple[int, ...]
    tail_slots: tuple[int, ...]
    head_holder: str
    tail_holder: str


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
