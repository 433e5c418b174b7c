"""Circuits of entangled pairs: what control plans, opens and closes."""

from __future__ import annotations

from quoit.runtime.wire import Message, message

PAIR_CONTROLLER = "fabric.pairs"
TRANSIT = 2
"""Memories that a circuit takes at a node between its ends: one on each side."""


PAIR_NEWS = "fabric.pair"
"""Subjects are `fabric.pair.<node>`, the node of the circuit's head."""


@message("fabric.PairDelivered")
class PairDelivered(Message):
    """News: a pair of a circuit is in the memories of those who asked for it."""

    node: str
    circuit: str
    at_ns: int


@message("fabric.ResolveNodes")
class ResolveNodes(Message):
    """Which anchors serve these nodes (identifiers, `DOMAIN:NODE`)? Answered with `NodesResolved`; Problem `no-route`
    names those that nobody knows."""

    nodes: tuple[str, ...]


@message("fabric.NodesResolved")
class NodesResolved(Message):
    """`anchors`: nodes by identifier, empty if control keeps no anchors; `domains` whose tables were asked; `lookups`:
    entries read in both tiers."""

    anchors: dict[str, str]
    domains: tuple[str, ...]
    lookups: int


@message("fabric.PlanPairs")
class PlanPairs(Message):
    """What would a circuit between two nodes give? Answered with `PairPlan`; Problems `no-route`, `link-suspect`.
    `fidelity` None: at best, with qubits that need not wait. `via`: over these links and no others; empty: control's
    choice. `idle`: as if nobody else used links. `tested`: its pairs will be tested, so that links under suspicion may
    be taken where there is no other. `purify`: at best with purification, where control's compiler has it and it helps;
    a fidelity that is given has it anyway if it cannot be kept without."""

    head: str
    tail: str
    fidelity: float | None = None
    via: tuple[str, ...] = ()
    idle: bool = False
    tested: bool = False
    purify: bool = False


@message("fabric.PairPlan")
class PairPlan(Message):
    """The path that control would take. `state`: eigenvalues of a delivered pair at its worst, with that cut-off.
    `decay_hz`: rates at which its two halves lose the correlators XX, YY, ZZ together while they wait. `rate_hz`: pairs
    a second that the slowest of its links makes; circuits of several links are slower. `turned`: of an open circuit,
    its program begins at the tail, since it goes on from virtual links that were made that way. `width`: memories on
    each side of every node of it, more than one for purification."""

    nodes: tuple[str, ...]
    links: tuple[str, ...]
    state: tuple[float, float, float]
    decay_hz: tuple[float, float, float]
    cutoff_ns: int | None
    rate_hz: float = 0.0
    turned: bool = False
    width: int = 1


@message("fabric.OpenCircuit")
class OpenCircuit(Message):
    """Make `number` pairs between two nodes, none worse than `fidelity` when it is delivered, into memories that the
    holders have reserved. `via`: over these links and no others. `early`: each end has its half as soon as it has heard
    of all swaps, and need not wait for the other. `tested`: as in `PlanPairs`. `priority`, `claim`: as in
    `ReserveSlots`, for places on links and for memories of the nodes between, two each. Problems `no-route`,
    `link-suspect`, `fidelity-unreachable` (with `best`), `no-memory` of a node between."""

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
    priority: int = 0
    claim: str = ""


@message("fabric.OpenKeyCircuit")
class OpenKeyCircuit(Message):
    """Bring pairs without end to both ends of `link`, along `over`, links for entangled pairs in order from `head` to
    `tail`; none worse than `fidelity`. `width`: memories on each side of each of them. The head's module is programmed.
    Answered with `PairPlan`; Problems `no-route` if a link is used up, `no-memory`, `fidelity-unreachable`."""

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
