"""Units of shared states: what is asked for, what can be promised of a star of pairs, and who says what to whom.

A unit of N parties is made of a star of pairs: one between the centre and each other party, made one state at the
centre (`service.kinds`). What is promised is a bound, not a mean: every pair is counted as control promised it at its
worst, every gate or readout that fails as a loss, and every wait at its full length. So no state is ever below the
promise as long as devices are what control was told; test rounds show whether they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import exp, prod

from quoit.fabric.api import PairPlan
from quoit.model.lifecycle import Lifecycle
from quoit.model.problem import Problem
from quoit.runtime.wire import Message, message
from quoit.service.kinds import GRAPH, Eigenvalues, Kind, Recipe, kind_of, parse_graph
from quoit.service.trials import MOST_TESTS

STATE, DELIVER, BASIS, SHAPE = "state", "deliver", "basis", "graph"
TESTS, CONFIDENCE, PRIORITY, PATIENCE = "tests", "confidence", "priority", "within"
LEAST_FIDELITY = 0.5
"""Without a promise asked for: below one half no Bell pair or GHZ state is entangled."""
STAGES = {"keep": 4, "measure": 3}
"""Stage of Wehner, Elkouss, Hanson (Science 362, eaam9288) from which on states are kept, or measured on arrival."""
LONGEST_NS = 10**12
HIGHEST = 7
"""Priorities are 0 to 7; the highest goes first."""
PATIENCE_S, MOST_PATIENCE_S = 60, 3_600
"""How long a unit may take from its request until it is established: if nothing is said, and at most."""


@dataclass(frozen=True)
class Wanted:
    """A unit's request, checked: which states, how many, the least fidelity, and whether qubits are kept or measured
    (in `basis`) as soon as they are handed over. `tests` states at least are tested before, and must show the fidelity
    with `confidence`. `within_ns`: how long it may take."""

    kind: str
    number: int
    fidelity: float
    deliver: str
    basis: str
    edges: tuple[tuple[int, int], ...] = ()
    tests: int = 0
    confidence: float = 0.95
    priority: int = 0
    within_ns: int = PATIENCE_S * 10**9

    @classmethod
    def of(cls, lifecycle: Lifecycle, parties: int) -> Wanted:
        """Problem `bad-lifecycle`."""
        more = lifecycle.more
        kind = more[STATE]
        edges: tuple[tuple[int, int], ...] = ()
        if SHAPE in more and kind != GRAPH:
            raise Problem("bad-lifecycle", f"{SHAPE}: expected {STATE}={GRAPH}, found {STATE}={kind[:40]}")
        kind_of(kind, parties)
        if kind == GRAPH:
            edges = parse_graph(more.get(SHAPE, ""), parties)
        deliver = more.get(DELIVER, "keep")
        if deliver not in STAGES:
            raise Problem("bad-lifecycle", f"{DELIVER}: expected keep or measure, found {deliver[:40]!r}")
        basis = more.get(BASIS, "Z")
        if basis not in ("X", "Y", "Z"):
            raise Problem("bad-lifecycle", f"{BASIS}: expected X, Y or Z, found {basis[:40]!r}")
        fidelity = LEAST_FIDELITY if lifecycle.fidelity is None else float(lifecycle.fidelity)
        return cls(
            kind, lifecycle.size, fidelity, deliver, basis, edges, _whole(more, TESTS, 0, 0, MOST_TESTS),
            _share(more, CONFIDENCE, 0.95), _whole(more, PRIORITY, 0, 0, HIGHEST),
            _whole(more, PATIENCE, PATIENCE_S, 1, MOST_PATIENCE_S) * 10**9,
        )  # fmt: skip


def _whole(more: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = more.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and least <= int(text) <= most):
        raise Problem("bad-lifecycle", f"{name}: expected a whole number of {least} to {most}, found {text[:40]!r}")
    return int(text)


def _share(more: Mapping[str, str], name: str, default: float) -> float:
    text = more.get(name, str(default))
    digits = text.removeprefix("0.")
    if not (text.startswith("0.") and digits.isascii() and digits.isdigit() and len(digits) <= 6):
        raise Problem("bad-lifecycle", f"{name}: expected 0.5 to 0.999999, found {text[:40]!r}")
    if not 0.5 <= float(text) <= 0.999999:
        raise Problem("bad-lifecycle", f"{name}: expected 0.5 to 0.999999, found {text}")
    return float(text)


# -- what can be promised -------------------------------------------------------------------------------


class Edge(Message):
    """One pair of the star: eigenvalues at their worst when it is delivered, their decay per second while both halves
    wait, the circuit that makes it, and the seat of the party at its far end."""

    circuit: str
    party: str
    node: str
    state: tuple[float, float, float]
    decay_hz: tuple[float, float, float]
    seat: int = 0
    centre_slots: tuple[int, ...] = ()
    party_slots: tuple[int, ...] = ()

    def waited(self, wait_ns: int) -> Eigenvalues:
        """Eigenvalues after that wait."""
        t = wait_ns * 1e-9
        x, y, z = (e * exp(-rate * t) for e, rate in zip(self.state, self.decay_hz, strict=True))
        return x, y, z


def edge_of(circuit: str, party: str, seat: int, plan: PairPlan) -> Edge:
    """The edge that a plan of control makes."""
    return Edge(circuit, party, plan.nodes[-1], plan.state, plan.decay_hz, seat)


class Star(Message):
    """How a unit's states are made: `edges`, the seat of the party at the centre (-1: none there), and the probability
    that all of the centre's gates and readouts are right."""

    kind: str
    parties: int
    graph: tuple[tuple[int, int], ...]
    edges: tuple[Edge, ...]
    own: int
    works: float

    def kind_here(self) -> Kind:
        """The kind of state."""
        return kind_of(self.kind, self.parties, self.graph)

    def recipe(self) -> Recipe:
        """What the centre has to do."""
        own = None if self.own < 0 else self.own
        return self.kind_here().recipe([edge.seat for edge in self.edges], own)


class Promise:
    """What can be promised of a star's states."""

    def __init__(self, star: Star) -> None:
        self._star = star
        self._kind = star.kind_here()
        self._recipe = star.recipe()

    def least(self, waits_ns: tuple[int, ...], ops_ns: int, after_ns: int = 0) -> float:
        """Least fidelity when each pair has waited so long, the centre has been at work for `ops_ns` of that, and
        another `after_ns` have passed.

        A qubit at the centre that errs while gates go on may spoil others: all such errors count as a loss, beside
        the pairs' full wait. Of centre and party, decay rates are known together only: the party's own qubit there is
        counted with both."""
        star, recipe = self._star, self._recipe
        channels: list[Eigenvalues] = [(1.0, 1.0, 1.0)] * star.parties
        sound = star.works
        for edge, wait in zip(star.edges, waits_ns, strict=True):
            channels[edge.seat] = edge.waited(wait + after_ns)
            sound *= _unharmed(edge, ops_ns)
        first = star.edges[0]
        sound *= _unharmed(first, ops_ns) ** recipe.workspace
        if recipe.own is not None and recipe.workspace:
            x, y, z = (exp(-rate * (ops_ns + after_ns) * 1e-9) for rate in first.decay_hz)
            channels[star.own] = x, y, z
        return sound * self._kind.fidelity(channels)

    def longest_wait(self, fidelity: float, waits_ns: tuple[int, ...], ops_ns: int) -> int | None:
        """How long a state that has this behind it keeps `fidelity`, ns; None if it is below it already."""

        return _longest(lambda wait: self.least(waits_ns, ops_ns, wait) >= fidelity)

    def unharmed(self, wait_ns: int) -> float:
        """Probability at least that no memory of a state errs in that time: the share of its fidelity that it keeps,
        whatever that is."""
        star, own = self._star, self._recipe.own is not None and self._recipe.workspace > 0
        sound = prod(_unharmed(edge, wait_ns) for edge in star.edges)
        return sound * (_unharmed(star.edges[0], wait_ns) if own else 1.0)

    def unharmed_for(self, share: float) -> int | None:
        """How long every state keeps this share of its fidelity, ns. None if `share` is above 1."""
        return _longest(lambda wait: self.unharmed(wait) >= share)


def _longest(good: Callable[[int], bool]) -> int | None:
    """The longest wait (ns) that is still good, to a microsecond; None if none is."""
    if not good(0):
        return None
    low, high = 0, LONGEST_NS
    if good(high):
        return high
    while high - low > 1_000:
        middle = (low + high) // 2
        low, high = (middle, high) if good(middle) else (low, middle)
    return low


def _unharmed(edge: Edge, time_ns: int) -> float:
    """Probability that no error happens to one qubit, with decay rates that are both ends' together."""
    x, y, z = (exp(-rate * time_ns * 1e-9) for rate in edge.decay_hz)
    return (1 + x + y + z) / 4


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
    empty if none is. `wait_ns`: how long a pair may wait for the others. `tested`: states are made in turns, until one
    turn is delivered. `workspace`: the centre's memories beyond those of its halves, state after state."""

    unit_id: str
    lead: str
    star: Star
    centre_party: str
    number: int
    wait_ns: int
    fidelity: float
    valid_until_ns: int | None
    tested: bool = False
    workspace: tuple[int, ...] = ()


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
    """The centre's EME to a party's: state number `index` of this turn is whole; note `pauli` on your qubit. Answered
    with `Heard`. Of a unit that is tested the party's EME says to the originator's that it holds it (`Holding`)."""

    unit_id: str
    index: int
    slot: int
    pauli: str
    fidelity: float
    at_ns: int
    expires_ns: int | None
    turn: int = 0


@message("service.Holding")
class Holding(Message):
    """A party's EME to the originator's: its qubit of this state is here. `chance`: random bytes that nobody could
    foresee, made now that the state is there."""

    unit_id: str
    turn: int
    index: int
    sae: str
    chance: bytes
    fidelity: float
    at_ns: int
    expires_ns: int | None


@message("service.ReadTests")
class ReadTests(Message):
    """The originator's EME to a party's: read this turn's qubits, one a state, in these bases (I: throw away). Answered
    with `TestsRead`."""

    unit_id: str
    turn: int
    sae: str
    bases: str


@message("service.TestsRead")
class TestsRead(Message):
    bits: tuple[int, ...]


@message("service.MakeAgain")
class MakeAgain(Message):
    """The originator's EME to the centre's: this turn's states are used up, make others. Answered with `Heard`."""

    unit_id: str
    turn: int


@message("service.Deliver")
class Deliver(Message):
    """The originator's EME to all: this turn's states are the unit's; give them to their parties. `tests`: how many of
    its like were tested, and what they showed. Until `expires_ns` at most they are good for what was asked. Answered
    with `Heard`."""

    unit_id: str
    turn: int
    estimate: float
    estimate_least: float
    at_ns: int
    tests: int
    expires_ns: int


@message("service.UndoStates")
class UndoStates(Message):
    """The originator's EME to a party's: this attempt at the unit has not come about; give its memories back and forget
    it. Answered with `Heard`."""

    unit_id: str


@message("service.PromiseTested")
class PromiseTested(Message):
    """News: tests of a unit over these links contradict what control promised of them, or (`sound`) bear it out."""

    unit_id: str
    links: tuple[str, ...]
    sound: bool
    text: str
    at_ns: int


@message("service.LayAside")
class LayAside(Message):
    """The originator's EME to a party's: the unit's states are to be made anew, so its application shall not get at
    them until they are. Answered with `LaidAside`; Problem `not-rebindable` if it has begun to use them."""

    unit_id: str
    why: str


@message("service.LaidAside")
class LaidAside(Message):
    """The party's memories, by number of the state."""

    slots: tuple[int, ...]


@message("service.Vacate")
class Vacate(Message):
    """The originator's EME to a party's: throw away what the unit has in its memories, and keep them for it; `centre`:
    as the centre's. Answered with `Heard`."""

    unit_id: str
    centre: bool


@message("service.PickUp")
class PickUp(Message):
    """The originator's EME to a party's: nothing has come of it, the unit has its states as it had them. Answered with
    `Heard`."""

    unit_id: str


@message("service.Overdue")
class Overdue(Message):
    """An EME to itself: is this unit established by now?"""

    unit_id: str


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
    problem: str = ""


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
