"""Units of shared states: what is asked for, what can be promised of a tree of pairs, and who says what to whom.

A unit of N parties is made of a star of pairs: one between the centre and each other party, fused at the centre. What
is promised is a bound, not a mean: every pair is counted as control promised it at its worst, every gate that fails as
a loss, and every wait at its full length. So no state is ever below the promise.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, prod

from quoit.fabric.api import PairPlan
from quoit.model.lifecycle import Lifecycle
from quoit.model.problem import Problem
from quoit.runtime.wire import Message, message

STATE, DELIVER, BASIS = "state", "deliver", "basis"
KINDS = {"phi+": 2, "ghz": 32}
"""Kinds of states and the most parties that each can have."""
LEAST_FIDELITY = 0.5
"""Without a promise asked for: below one half nothing is entangled."""
STAGES = {"keep": 4, "measure": 3}
"""Stage of Wehner, Elkouss, Hanson (Science 362, eaam9288) from which on states are kept, or measured on arrival."""
LONGEST_NS = 10**12


def is_states(lifecycle: Lifecycle) -> bool:
    """Does it ask for states, and not for key?"""
    return STATE in lifecycle.more


@dataclass(frozen=True)
class Wanted:
    """A unit's request, checked: kind of state, how many, the least fidelity, and whether qubits are kept or measured
    (in `basis`) as soon as their state is whole."""

    kind: str
    number: int
    fidelity: float
    deliver: str
    basis: str

    @classmethod
    def of(cls, lifecycle: Lifecycle, parties: int) -> Wanted:
        """Problem `bad-lifecycle`."""
        kind = lifecycle.more[STATE]
        most = KINDS.get(kind)
        if most is None:
            raise Problem("bad-lifecycle", f"{STATE}: expected one of {', '.join(KINDS)}, found {kind[:40]!r}")
        if parties > most:
            raise Problem("bad-lifecycle", f"{STATE}={kind} has at most {most} parties, found {parties}")
        deliver = lifecycle.more.get(DELIVER, "keep")
        if deliver not in STAGES:
            raise Problem("bad-lifecycle", f"{DELIVER}: expected keep or measure, found {deliver[:40]!r}")
        basis = lifecycle.more.get(BASIS, "Z")
        if basis not in ("X", "Y", "Z"):
            raise Problem("bad-lifecycle", f"{BASIS}: expected X, Y or Z, found {basis[:40]!r}")
        fidelity = LEAST_FIDELITY if lifecycle.fidelity is None else float(lifecycle.fidelity)
        return cls(kind, lifecycle.size, fidelity, deliver, basis)


# -- what can be promised -------------------------------------------------------------------------------


class Edge(Message):
    """One pair of the star: eigenvalues at their worst when it is delivered, their decay per second while both halves
    wait, and the circuit that makes it."""

    circuit: str
    party: str
    node: str
    state: tuple[float, float, float]
    decay_hz: tuple[float, float, float]
    centre_slots: tuple[int, ...] = ()
    party_slots: tuple[int, ...] = ()

    def waited(self, wait_ns: int) -> tuple[float, float, float]:
        """Eigenvalues after that wait."""
        t = wait_ns * 1e-9
        x, y, z = (e * exp(-rate * t) for e, rate in zip(self.state, self.decay_hz, strict=True))
        return x, y, z


def edge_of(circuit: str, party: str, plan: PairPlan) -> Edge:
    """The edge that a plan of control makes."""
    return Edge(circuit, party, plan.nodes[-1], plan.state, plan.decay_hz)


def bound(edges: tuple[Edge, ...], waits_ns: tuple[int, ...], works: float) -> float:
    """Least fidelity of the fused state after these waits. `works`: probability that all of the centre's gates and
    readouts are right; if not, nothing is counted. Fusion of Bell-diagonal pairs: 1/2 [prod(a+b) + prod(a-b)] with a
    and b the weights of Phi+ and Phi-."""
    states = [edge.waited(wait) for edge, wait in zip(edges, waits_ns, strict=True)]
    return works * (prod((1 + z) / 2 for _, _, z in states) + prod((x + y) / 2 for x, y, _ in states)) / 2


def longest_wait(edges: tuple[Edge, ...], works: float, fidelity: float) -> int | None:
    """How long all pairs may wait with the bound still at `fidelity`, ns; None if it is not there to begin with."""

    def after(wait: int) -> float:
        return bound(edges, (wait,) * len(edges), works)

    if after(0) < fidelity:
        return None
    low, high = 0, LONGEST_NS
    if after(high) >= fidelity:
        return high
    while high - low > 1_000:
        middle = (low + high) // 2
        low, high = (middle, high) if after(middle) >= fidelity else (low, middle)
    return low


# -- between entanglement management entities -------------------------------------------------------------


@message("service.PrepareStates")
class PrepareStates(Message):
    """Originator's EME to a party's: keep memories for a unit. `number` 0: the centre's own are used. Answered with
    `Prepared`; Problem `no-memory`."""

    unit_id: str
    lead: str
    sae: str
    number: int
    endpoints: tuple[str, ...]
    lifecycle: str
    originator: str
    parties: tuple[str, ...]


@message("service.Prepared")
class Prepared(Message):
    slots: tuple[int, ...]


@message("service.Assemble")
class Assemble(Message):
    """Originator's EME to the centre's: make the states of a unit. `centre_party`: SAE ID of the party at the centre,
    empty if none is. `wait_ns`: how long a pair may wait for the others."""

    unit_id: str
    lead: str
    edges: tuple[Edge, ...]
    centre_party: str
    number: int
    wait_ns: int
    works: float
    fidelity: float
    valid_until_ns: int | None


@message("service.CheckAge")
class CheckAge(Message):
    """The centre's EME to itself: has this pair found its companions?"""

    unit_id: str
    index: int
    edge: int
    held_ns: int


@message("service.DropHalf")
class DropHalf(Message):
    """The centre's EME to a party's: the pair in this memory has waited too long. Answered with `Heard`."""

    unit_id: str
    slot: int


@message("service.StateReady")
class StateReady(Message):
    """The centre's EME to a party's: state number `index` is whole; note `pauli` on your qubit. Answered with
    `Heard`."""

    unit_id: str
    index: int
    slot: int
    pauli: str
    fidelity: float
    at_ns: int
    expires_ns: int | None


@message("service.Assembled")
class Assembled(Message):
    """The centre's EME to the originator's: all states are with their parties, or not (`why`)."""

    unit_id: str
    fidelity: float
    at_ns: int
    expires_ns: int | None
    why: str = ""


@message("service.EndStates")
class EndStates(Message):
    """To all EMEs of a unit: it has ended in `state`; free its memories. Answered with `Heard`."""

    unit_id: str
    state: str
    why: str


@message("service.PartyDone")
class PartyDone(Message):
    """A party's EME to the originator's: that party has used up all its qubits of the unit."""

    unit_id: str
    sae: str


@message("service.Heard")
class Heard(Message):
    """Understood and done."""


@message("service.CarryNote")
class CarryNote(Message):
    """One EME to another: a classical message between applications."""

    sender: str
    to: str
    text: str
    sent_ns: int


@message("service.WatchUnit")
class WatchUnit(Message):
    """An EME to itself: are those that this unit needs still there?"""

    unit_id: str


@message("service.HaveUnit")
class HaveUnit(Message):
    """One EME of a unit to another: do you still have it? Answered with `Heard`; Problem `unknown-unit`."""

    unit_id: str


@message("service.ExpireStates")
class ExpireStates(Message):
    """An EME to itself: has this unit's time come?"""

    unit_id: str
