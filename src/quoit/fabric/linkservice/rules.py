"""A request for pairs: what of it makes sense, what a link can promise, and in which basis a half is read."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, pi

import numpy as np

from quoit.engine.program import State, fidelity_of
from quoit.fabric.api import CreatePairs, Reading
from quoit.fabric.pair_links import PairLinks
from quoit.fabric.programs.demand import Demand
from quoit.model.problem import Problem

STAGES = {"K": 4, "M": 3, "R": 4}
"""Stage of Wehner, Elkouss, Hanson (Science 362, eaam9288) that each kind of request needs at both ends."""
KINDS = {"K": "keep", "M": "measure", "R": "prepare"}
MOST_PAIRS = 2**16 - 1
LONGEST_NS = 3600 * 10**9
TURN_RAD = 2 * pi / 256
BASES = {"": (), "XZ": ("X", "Z"), "XYZ": ("X", "Y", "Z"), "CHSH": ("Z+X", "Z-X")}
"""Sets of random bases, in the order of their probabilities."""
PAULIS = {"phi+": "I", "phi-": "Z", "psi+": "X", "psi-": "Y"}
"""Pauli on one half that makes each Bell state of Phi+."""
ERRS = {
    "malformed": "CREATE",
    "above-stage": "UNSUPP",
    "fidelity-unreachable": "UNSUPP",
    "no-route": "UNSUPP",
    "no-time": "NOTIME",
    "no-memory": "NORES",
    "not-receiving": "REJECTED",
}
"""ERR code by problem; OTHER for others."""


def err_of(problem: Problem) -> str:
    """Code of ERR that says the same."""
    return ERRS.get(problem.code, "OTHER")


def refusal(code: str, detail: str, /, **fields: object) -> Problem:
    """A problem with its ERR code in the field `err`."""
    return Problem(code, detail, err=ERRS.get(code, "OTHER"), **fields)


@dataclass(frozen=True, slots=True)
class Devices:
    """What a node's half of a request costs: `hear_ns`, from the engine to the node's controllers; gates; readout; and
    the memories that it has."""

    hear_ns: int
    gate_ns: int
    readout_ns: int
    memories: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What is promised of a path's pairs. `state`: eigenvalues that no delivered pair is below; `decay_hz`: rates at
    which XX, YY, ZZ fall while both halves wait; `pair_ns`: mean time of a pair; `light_ns`: one way."""

    links: tuple[str, ...]
    state: State
    decay_hz: State
    pair_ns: float
    light_ns: int

    @classmethod
    def of_link(cls, link: str, known: PairLinks) -> Facts:
        """Of one link, alone: what control promises of a circuit over it, if its compiler adds nothing."""
        entry = known.entries[link]
        nodes = entry.a, entry.b
        demand = Demand(tuple(known.beside(node, (link,)) for node in nodes), (entry.hop,), 0.0)
        kept = known.kept(nodes, demand.circuit({}, 1))
        assert kept is not None  # nothing is purified
        return cls((link,), kept.state, kept.decay_hz, entry.hop.cycle_ns / entry.hop.success, entry.hop.light_ns)

    def fidelity(self, wait_ns: int) -> float:
        """That no pair is below so long after it was delivered."""
        wait_s = max(0, wait_ns) * 1e-9
        x, y, z = (e * exp(-rate * wait_s) for e, rate in zip(self.state, self.decay_hz, strict=True))
        return fidelity_of((x, y, z))


def check(order: CreatePairs) -> None:
    """Problem `malformed` for a request that no link service understands."""
    for name, value, most in (
        ("number", order.number - 1, MOST_PAIRS - 1),
        ("purpose", order.purpose, 2**16 - 1),
        ("priority", order.priority, 7),
        ("max_time_ns", order.max_time_ns, LONGEST_NS),
    ):
        if not 0 <= value <= most:
            least = 1 if name == "number" else 0
            raise refusal("malformed", f"{name}: expected {least} to {most + least}, found {value + least}")
    if order.kind not in STAGES:
        raise refusal("malformed", f"kind: expected K, M or R, found {order.kind[:20]!r}")
    if not 0 <= order.fidelity <= 1:
        raise refusal("malformed", f"fidelity: expected 0 to 1, found {order.fidelity}")
    if order.waits not in ("B", "C", "T"):
        raise refusal("malformed", f"waits: expected B, C or T, found {order.waits[:20]!r}")
    if order.waits == "B" and order.kind != "M":
        raise refusal("malformed", "waits: expected C or T, since a half that is kept is no use before its herald")
    for end, reading in (("near", order.near), ("far", order.far)):
        _check_reading(end, reading)


def _check_reading(end: str, reading: Reading) -> None:
    if reading.random not in BASES:
        raise refusal("malformed", f"{end}.random: expected XZ, XYZ, CHSH or nothing, found {reading.random[:20]!r}")
    chances = (reading.first or 0, reading.second or 0)
    if min(chances) < 0 or max(chances) > 255 or (reading.random == "XYZ" and sum(chances) > 255):
        raise refusal("malformed", f"{end}: expected probabilities of 0 to 255, and together too, found {chances}")
    if not all(0 <= turn <= 255 for turn in reading.turns):
        raise refusal("malformed", f"{end}.turns: expected rotations of 0 to 255, found {reading.turns}")


def need_stage(stage: int, node: str, kind: str) -> None:
    """Problem `above-stage` if a node's domain is below the stage that the kind of request needs."""
    needed = STAGES[kind]
    if stage < needed:
        text = f"{node} is in a domain of stage {stage}, to {KINDS[kind]} pairs needs {needed}"
        raise refusal("above-stage", text, stage=stage, needed=needed)


def memories_needed(order: CreatePairs) -> int:
    """Memories that an end must have for it: one, or as many as pairs that are to be there together."""
    return order.number if order.kind == "K" and not order.consecutive else 1


def need_memories(order: CreatePairs, node: str, devices: Devices) -> None:
    """Problem `no-memory` if a node has fewer than the request holds at once."""
    needed = memories_needed(order)
    if needed > devices.memories:
        text = f"{node} has {devices.memories} memories, {needed} pairs are to be kept at once"
        raise refusal("no-memory", text, node=node, memories=devices.memories, needed=needed)


def closing_ns(a: Devices, b: Devices) -> int:
    """What an end needs at most from a pair's delivery to its client's OK: hearing of it, a correction, three
    rotations, a reading, each ordered and confirmed. A pair that comes later than this before the deadline is late."""
    per_end = (13 * d.hear_ns + 3 * d.gate_ns + d.readout_ns for d in (a, b))
    return max(per_end) + 1_000_000


def need_fidelity(order: CreatePairs, facts: Facts, close_ns: int) -> None:
    """Problem `fidelity-unreachable` with the best that could be promised when the client hears."""
    best = facts.fidelity(close_ns)
    if best < order.fidelity:
        text = f"expected at most {best:.4f}, found {order.fidelity:g}"
        raise refusal("fidelity-unreachable", text, best=round(best - 5e-7, 6))


def need_time(order: CreatePairs, facts: Facts, close_ns: int) -> None:
    """Problem `no-time` if so many pairs take longer in the mean than there is."""
    limit = order.max_time_ns or LONGEST_NS
    needed = round(order.number * facts.pair_ns) + close_ns
    if needed > limit:
        text = f"{order.number} pairs take {needed / 1e9:.3g} s in the mean, {limit / 1e9:.3g} s are given"
        raise refusal("no-time", text, needed_ns=needed)


def longest_wait_ns(facts: Facts, fidelity: float) -> int:
    """How long after its delivery a pair is still promised that fidelity; LONGEST_NS if longer than that."""
    if facts.fidelity(LONGEST_NS) >= fidelity:
        return LONGEST_NS
    low, high = 0, LONGEST_NS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if facts.fidelity(middle) >= fidelity else (low, middle)
    return low


def drawn(reading: Reading, rng: np.random.Generator) -> str:
    """Name of the basis: drawn from the set with the given chances, or "turned"."""
    bases = BASES[reading.random]
    if not bases:
        return "turned" if any(reading.turns) else "Z"
    first = reading.first
    if first is None:
        return bases[int(rng.integers(len(bases)))]
    chances = [first / 255, (reading.second or 0) / 255] if len(bases) == 3 else [first / 255]
    point = rng.random()
    for basis, chance in zip(bases, chances, strict=False):
        if point < chance:
            return basis
        point -= chance
    return bases[-1]


def steps(basis: str, reading: Reading) -> tuple[tuple[tuple[str, float], ...], str]:
    """Rotations (gate, rad) before a readout, and the readout's own basis."""
    if basis == "turned":
        x1, y, x2 = (turn * TURN_RAD for turn in reading.turns)
        return tuple((gate, angle) for gate, angle in (("rx", x1), ("ry", y), ("rx", x2)) if angle), "Z"
    if basis in ("Z+X", "Z-X"):
        return (("ry", -pi / 4 if basis == "Z+X" else pi / 4),), "Z"
    return (), basis
