"""Kinds of shared states: how far each can be promised, how a centre makes it, and how its ends test it.

*Promise.* A pair that a qubit is brought through is a Pauli channel on that qubit, with eigenvalues (x, y, z): the
correlators XX, -YY, ZZ of the pair. For a target state psi of N qubits the fidelity behind N such channels is exactly

    F = 2^-N sum_P <psi|P|psi>^2 prod_k lambda_k(P_k)        (P: all Pauli strings, lambda(I) = 1)

No coefficient is negative, so F only falls when an eigenvalue falls: with every eigenvalue at its worst, F is a bound.

*Making.* GHZ states are fused from the halves at the centre. Of a graph state the centre makes the edges between its
halves and reads them in X, which leaves the graph state at the far ends up to Z (doi:10.1103/PhysRevA.69.062311). A W
state is no stabilizer state: the centre prepares one of its own qubits, and teleports them.

*Testing.* Each state that is tested is read in local bases drawn at random, and gives one number. Their mean is an
affine function of the fidelity: for stabilizer states the sign of a random element of the stabilizer group, for W
states the populations and the coherences between any two parties (direct estimation,
doi:10.1103/PhysRevLett.106.230501).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import acos, prod, sqrt

import numpy as np

from quoit.model.problem import Problem

Eigenvalues = tuple[float, float, float]
"""Of a Pauli channel, for X, Y and Z."""

GHZ, PHI, W, GRAPH = "ghz", "phi+", "w", "graph"
MOST_PARTIES = {PHI: 2, GHZ: 32, W: 6, GRAPH: 8}
"""By kind. W states are held as density matrices of eight qubits at most: six, and the pair that one goes through."""
SHAPES = ("line", "ring", "star", "complete")
MOST_EDGES = 28


@dataclass(frozen=True)
class Step:
    """One operation of the centre. `qubits`: 0 to E - 1 are the halves of its E pairs, workspace comes after them. What
    is read, as a number of one or two bits, says which of `paulis` is due at the far end of pair `far`."""

    name: str
    qubits: tuple[int, ...]
    basis: str = "Z"
    angle_rad: float = 0.0
    far: int = -1
    paulis: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """What the centre does when all pairs of a state are there. `workspace`: memories beyond those of its halves;
    `own`: number of the qubit that stays with a party at the centre, None without one."""

    steps: tuple[Step, ...]
    workspace: int
    own: int | None

    def works(self, gate: float, readout: float) -> float:
        """Probability that every two-qubit gate and every readout is right."""
        gates = sum(step.name in ("fuse", "cnot", "cz", "bell-measure") for step in self.steps)
        read = sum({"measure": 1, "fuse": 1, "bell-measure": 2}.get(step.name, 0) for step in self.steps)
        return float(gate**gates * readout**read)

    def takes_ns(self, gate_ns: int, readout_ns: int) -> int:
        """Time of all operations, one after the other."""
        read = sum(step.name in ("measure", "fuse", "bell-measure") for step in self.steps)
        return len(self.steps) * gate_ns + read * readout_ns


@dataclass(frozen=True)
class Setting:
    """How one state is tested: a basis for each party (I: its qubit is thrown away), and what the bits are worth."""

    bases: str
    sign: int = 1
    pair: tuple[int, int] | None = None


class Kind:
    """A kind of state for so many parties, whose *seats* are numbered from 0."""

    name: str

    def __init__(self, parties: int) -> None:
        self.parties = parties

    def fidelity(self, channels: Sequence[Eigenvalues]) -> float:
        """Behind these channels, one a seat; eigenvalues of 0 to 1."""
        raise NotImplementedError

    def recipe(self, seats: Sequence[int], own: int | None) -> Recipe:
        """`seats` of the far ends of the centre's pairs; `own`: of the party at the centre, None if there is none."""
        raise NotImplementedError

    @property
    def settings(self) -> int:
        """How many ways of testing there are, all equally probable."""
        raise NotImplementedError

    def setting(self, number: int) -> Setting:
        """Number 0 to `settings` - 1."""
        raise NotImplementedError

    def worth(self, setting: Setting, bits: Sequence[int]) -> float:
        """-1 to 1: what these bits, one a seat, say. Its mean over settings is `mean_of` the fidelity."""
        raise NotImplementedError

    def fidelity_of(self, mean: float) -> float:
        """The fidelity with which results have this mean."""
        raise NotImplementedError

    def mean_of(self, fidelity: float) -> float:
        """Inverse of `fidelity_of`."""
        raise NotImplementedError

    def misread(self, readouts: Sequence[float]) -> float:
        """How much too high wrong readouts can make an estimate of a fidelity of one half or more. They pull every
        correlator of a stabilizer state towards 0, never up."""
        return 0.0


# -- stabilizer states ----------------------------------------------------------------------------------

_TIMES = {("X", "Y"): ("Z", 1), ("Y", "Z"): ("X", 1), ("Z", "X"): ("Y", 1)}
_TIMES |= {(b, a): (c, 3) for (a, b), (c, _) in _TIMES.items()}


def _product(one: str, other: str) -> tuple[str, int]:
    """Of two Pauli strings: the string and the power of i before it."""
    letters, phase = [], 0
    for a, b in zip(one, other, strict=True):
        if a == "I" or b == "I" or a == b:
            letters.append(a if b == "I" else b if a == "I" else "I")
        else:
            letter, power = _TIMES[a, b]
            letters.append(letter)
            phase += power
    return "".join(letters), phase % 4


class Stabilized(Kind):
    """A state that is told by its stabilizer group, of which `generators` are Pauli strings with sign +."""

    def __init__(self, parties: int, generators: Sequence[str]) -> None:
        super().__init__(parties)
        self.generators = tuple(generators)

    def element(self, mask: int) -> tuple[str, int]:
        """The product of the generators in `mask`, and its sign."""
        letters, phase = "I" * self.parties, 0
        for number, generator in enumerate(self.generators):
            if mask >> number & 1:
                letters, power = _product(letters, generator)
                phase += power
        return letters, 1 - phase % 4

    @property
    def settings(self) -> int:
        return (1 << self.parties) - 1

    def setting(self, number: int) -> Setting:
        letters, sign = self.element(number + 1)
        return Setting(letters, sign)

    def worth(self, setting: Setting, bits: Sequence[int]) -> float:
        read = (bit for bit, basis in zip(bits, setting.bases, strict=True) if basis != "I")
        return float(setting.sign * (-1) ** sum(read))

    def fidelity_of(self, mean: float) -> float:
        return (mean * self.settings + 1) / (1 << self.parties)

    def mean_of(self, fidelity: float) -> float:
        return (fidelity * (1 << self.parties) - 1) / self.settings


class Ghz(Stabilized):
    """(|0...0> + |1...1>) / sqrt 2; of two parties the Bell pair Phi+."""

    def __init__(self, parties: int) -> None:
        flips = [_string(parties, {k: "Z", k + 1: "Z"}) for k in range(parties - 1)]
        super().__init__(parties, ["X" * parties, *flips])
        self.name = PHI if parties == 2 else GHZ

    def fidelity(self, channels: Sequence[Eigenvalues]) -> float:
        same = prod((1 + z) / 2 for _, _, z in channels) + prod((1 - z) / 2 for _, _, z in channels)
        phase = prod((x + y) / 2 for x, y, _ in channels) + prod((x - y) / 2 for x, y, _ in channels)
        return (same + phase) / 2

    def recipe(self, seats: Sequence[int], own: int | None) -> Recipe:
        steps = [Step("fuse", (0, k), far=k, paulis=("I", "X")) for k in range(1, len(seats))]
        if own is None:  # nobody's qubit is left at the centre: read it so that the others keep their state
            steps.append(Step("measure", (0,), "X", far=0, paulis=("I", "Z")))
        return Recipe(tuple(steps), 0, None if own is None else 0)


class GraphState(Stabilized):
    """Qubits in |+> with a CZ along each of `edges`: stabilized by X at each party with Z at all its neighbours."""

    name = GRAPH

    def __init__(self, parties: int, edges: Sequence[tuple[int, int]]) -> None:
        self.edges = tuple(edges)
        rows = []
        for seat in range(parties):
            around = {b if a == seat else a for a, b in self.edges if seat in (a, b)}
            rows.append(_string(parties, {seat: "X", **dict.fromkeys(around, "Z")}))
        super().__init__(parties, rows)

    @cached_property
    def _group(self) -> np.ndarray[tuple[int, int], np.dtype[np.intp]]:
        """All elements: rows of 0 to 3 for I, X, Y, Z."""
        masks = np.arange(2**self.parties)[:, None] >> np.arange(self.parties) & 1
        flips = masks @ np.array([[letter in "XY" for letter in row] for row in self.generators], dtype=int) % 2
        phases = masks @ np.array([[letter in "YZ" for letter in row] for row in self.generators], dtype=int) % 2
        found: np.ndarray[tuple[int, int], np.dtype[np.intp]] = np.where(phases, 3 - flips, flips)
        return found

    def fidelity(self, channels: Sequence[Eigenvalues]) -> float:
        table = np.array([(1.0, *channel) for channel in channels])
        return float(np.prod(table[np.arange(self.parties), self._group], axis=1).mean())

    def recipe(self, seats: Sequence[int], own: int | None) -> Recipe:
        """A half is read as soon as all its edges are made, so few pairs are ever joined at a time."""
        place = {seat: number for number, seat in enumerate(seats)}
        steps = []
        if own is not None:
            place[own] = len(seats)
            steps += [Step("init", (place[own],)), Step("h", (place[own],))]
        left = {seat: {e for e in self.edges if seat in e} for seat in place}
        unread = set(seats)
        while unread:
            seat = min(unread, key=lambda s: (len(left[s]), s))
            for edge in sorted(left[seat]):
                a, b = edge
                steps.append(Step("cz", (place[a], place[b])))
                left[a].discard(edge)
                left[b].discard(edge)
            for done in sorted(s for s in unread if not left[s]):
                steps.append(Step("measure", (place[done],), "X", far=place[done], paulis=("I", "Z")))
                unread.discard(done)
        return Recipe(tuple(steps), 0 if own is None else 1, None if own is None else len(seats))


def _string(parties: int, letters: dict[int, str]) -> str:
    return "".join(letters.get(k, "I") for k in range(parties))


# -- W states --------------------------------------------------------------------------------------------


class WState(Kind):
    """(|10...0> + |010...0> + ... + |0...01>) / sqrt N: loses one party and stays entangled."""

    name = W

    def fidelity(self, channels: Sequence[Eigenvalues]) -> float:
        n = self.parties
        even = [(1 + z) / 2 for _, _, z in channels]
        odd = [(1 - z) / 2 for _, _, z in channels]
        found = n * prod(even)
        for i, j in combinations(range(n), 2):
            rest = prod(even[k] for k in range(n) if k not in (i, j))
            together = channels[i][0] * channels[j][0] + channels[i][1] * channels[j][1]
            found += rest * (2 * odd[i] * odd[j] + together)
        return found / n**2

    def recipe(self, seats: Sequence[int], own: int | None) -> Recipe:
        """One excitation is handed on, each qubit keeping its share of it; then all but the own one are teleported.
        On a target in |0> a controlled turn by `angle` takes one CZ between two turns by half of it."""
        pairs, n = len(seats), self.parties
        steps = [Step("init", (pairs + k,)) for k in range(n)]
        steps.append(Step("x", (pairs,)))
        for k in range(n - 1):
            here, then = pairs + k, pairs + k + 1
            turn = acos(sqrt(1 / (n - k)))  # the share that stays here is 1 / (n - k)
            steps += [
                Step("ry", (then,), angle_rad=-turn), Step("cz", (here, then)), Step("ry", (then,), angle_rad=turn),
                Step("cnot", (then, here)),
            ]  # fmt: skip
        # Which qubit goes where does not matter: a W state is alike for all.
        for k in range(pairs):
            steps.append(Step("bell-measure", (pairs + k, k), far=k, paulis=("I", "Z", "X", "Y")))
        return Recipe(tuple(steps), n, None if own is None else pairs + n - 1)

    @property
    def settings(self) -> int:
        return 2 + self.parties * (self.parties - 1)

    @property
    def _weight(self) -> float:
        """F is this times the mean: F = <one excitation>/N + sum_ij <(XX + YY)_ij, the others in |0>> / 2N."""
        return self.settings / (2 * self.parties)

    def setting(self, number: int) -> Setting:
        if number < 2:
            return Setting("Z" * self.parties)
        which, axis = divmod(number - 2, 2)
        i, j = list(combinations(range(self.parties), 2))[which]
        bases = ["Z"] * self.parties
        bases[i] = bases[j] = "XY"[axis]
        return Setting("".join(bases), pair=(i, j))

    def worth(self, setting: Setting, bits: Sequence[int]) -> float:
        if setting.pair is None:
            return float(sum(bits) == 1)
        i, j = setting.pair
        if any(bit for k, bit in enumerate(bits) if k not in (i, j)):
            return 0.0
        return float((-1) ** (bits[i] + bits[j]))

    def fidelity_of(self, mean: float) -> float:
        return self._weight * mean

    def mean_of(self, fidelity: float) -> float:
        return fidelity / self._weight

    def misread(self, readouts: Sequence[float]) -> float:
        """A result between -1 and 1 changes by 2 at most, with the probability that any bit is wrong."""
        return 2 * self._weight * (1 - prod(readouts))


# -- from the lifecycle ------------------------------------------------------------------------------------


def kind_of(name: str, parties: int, edges: Sequence[tuple[int, int]] = ()) -> Kind:
    """Problem `bad-lifecycle` for kinds that there are not, or not for so many parties."""
    most = MOST_PARTIES.get(name)
    if most is None:
        raise Problem("bad-lifecycle", f"state: expected one of {', '.join(MOST_PARTIES)}, found {name[:40]!r}")
    if parties > most:
        raise Problem("bad-lifecycle", f"state={name} has at most {most} parties, found {parties}", most=most)
    if name == W:
        return WState(parties)
    if name == GRAPH:
        return GraphState(parties, edges)
    return Ghz(parties)


def parse_graph(text: str, parties: int) -> tuple[tuple[int, int], ...]:
    """Edges of `line`, `ring`, `star` (seat 0 in the middle), `complete`, or as written: `0-1.1-2`. Problem
    `bad-lifecycle`, also if the graph falls apart: then it would be several units."""
    if text in SHAPES:
        return _shape(text, parties)
    edges = set()
    for part in text.split("."):
        ends = part.split("-")
        if len(ends) != 2 or not all(end.isascii() and end.isdigit() and len(end) <= 2 for end in ends):
            raise _bad(f"expected {', '.join(SHAPES)} or edges such as 0-1.1-2, found {text[:40]!r}")
        a, b = sorted(map(int, ends))
        if a == b or b >= parties:
            raise _bad(f"expected edges between two of the seats 0 to {parties - 1}, found {part}")
        if (a, b) in edges:
            raise _bad(f"edge {part} is there twice")
        edges.add((a, b))
    if len(edges) > MOST_EDGES:
        raise _bad(f"expected at most {MOST_EDGES} edges, found {len(edges)}")
    _need_connected(edges, parties)
    return tuple(sorted(edges))


def _shape(name: str, parties: int) -> tuple[tuple[int, int], ...]:
    if name == "complete":
        return tuple(combinations(range(parties), 2))
    if name == "star":
        return tuple((0, k) for k in range(1, parties))
    line = tuple((k, k + 1) for k in range(parties - 1))
    if name == "line" or parties == 2:
        return line
    return tuple(sorted((*line, (0, parties - 1))))


def _need_connected(edges: set[tuple[int, int]], parties: int) -> None:
    reached, grown = {0}, True
    while grown:
        more = {seat for edge in edges if reached & set(edge) for seat in edge}
        grown = not more <= reached
        reached |= more
    if len(reached) < parties:
        apart = min(set(range(parties)) - reached)
        raise _bad(f"expected a graph in one piece, found no way from seat 0 to seat {apart}")


def _bad(text: str) -> Problem:
    return Problem("bad-lifecycle", f"graph: {text}")
