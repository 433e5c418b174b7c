"""Fabric programs: what each node of a path does with its halves of pairs, as the engine executes it.

Control compiles a demand into one `Circuit` and installs it; devices then work without asking. A node's program is a
rule of the form *when a pair is ready on my left and one on my right, swap them*, with conditions on how far the two
must reach, a cut-off for qubits that wait, and the option to swap only on demand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from quoit.engine.physics.bell_pairs import BellDiagonal

State = tuple[float, float, float]
"""Eigenvalues (x, y, z) of a pair."""

WINDOW_NS = 1_000_000
"""So far ahead of the present the engine runs circuits; what one does to another comes so much too soon or too late."""


class ProgramFault(ValueError):
    """A circuit that no device could execute; says where and what was expected."""


@dataclass(frozen=True, slots=True)
class Decay:
    """How a memory's qubit decays: rates per second of the correlators XX, YY and ZZ of the pair it belongs to."""

    x_hz: float = 0.0
    y_hz: float = 0.0
    z_hz: float = 0.0

    @classmethod
    def t1_t2(cls, t1_s: float, t2_s: float) -> Decay:
        """Pauli twirl of amplitude damping and dephasing. Raises ProgramFault unless 0 < t2 <= 2 t1."""
        if not 0 < t2_s <= 2 * t1_s:
            raise ProgramFault(f"expected 0 < T2 <= 2 T1, found T1 = {t1_s} s and T2 = {t2_s} s")
        return cls(1 / t2_s, 1 / t2_s, 1 / t1_s)

    @classmethod
    def pauli(cls, total_hz: float) -> Decay:
        """X, Y and Z errors equally likely, `total_hz` of all together: the convention of SeQUeNCe."""
        return cls(*(4 * total_hz / 3,) * 3)

    @classmethod
    def werner(cls, tau_s: float) -> Decay:
        """Werner parameter times exp(-t/tau): the convention of SimQN and MQNS."""
        return cls(*(1 / tau_s,) * 3)


@dataclass(frozen=True, slots=True)
class Hop:
    """One elementary link of a path.

    `light_ns`: one way between its nodes. `success`: probability of an attempt. `cycle_ns`: from one attempt to the
    next; a success is known at both ends when its attempt's cycle ends, and both halves have been in memory for
    `stored_ns` by then. `restart_ns`: from the instant that both memories are free. `asks_ns`: so much of a cycle the
    left node spends on asking, and need not wait with it until the right memory is free, but for its own. `state`:
    eigenvalues (x, y, z) of a heralded pair.
    """

    light_ns: int
    success: float
    cycle_ns: int
    state: tuple[float, float, float]
    stored_ns: int = 0
    restart_ns: int = 0
    asks_ns: int = 0


@dataclass(frozen=True, slots=True)
class Swap:
    """A node's rule. `left`, `right`: number of the node at which the pair on that side must end, None for any.
    `wait_ns`: handshake and gates. `noise`: factor on the eigenvalues for imperfect gates and readout. `on_demand`:
    once for each pair asked for, not ahead of it."""

    left: int | None = None
    right: int | None = None
    wait_ns: int = 0
    success: float = 1.0
    noise: float = 1.0
    on_demand: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a path: its memories, and for inner nodes their rule. `cutoff_ns`: after which a waiting qubit of
    an inner node is discarded; None: never. `attempt_loss`: each attempt that the node begins multiplies the coherence
    of the qubits it stores (correlators XX and YY) by exp(-this); a half is stored from its herald on. `others_hz`: of
    attempts that the node may make for other circuits meanwhile, their highest rate, on `others` set-ups."""

    decay: Decay = Decay()
    swap: Swap | None = None
    cutoff_ns: int | None = None
    attempt_loss: float = 0.0
    others_hz: float = 0.0
    others: int = 0


@dataclass(frozen=True, slots=True)
class Purification:
    """`rounds`: by the number of hops that a pair spans, how many rounds it needs before it may go on. `gates`:
    probability that both nodes' CNOTs work; `readout`: that the parity is read as it is."""

    rounds: Mapping[int, int]
    scheme: Literal["dejmps", "bbpssw"] = "dejmps"
    gates: float = 1.0
    readout: float = 1.0


@dataclass(frozen=True, slots=True)
class Circuit:
    """A path with a program at each node. `width`: memories on each side of each hop. `wanted`: pairs to deliver,
    None for no end."""

    nodes: tuple[Node, ...]
    hops: tuple[Hop, ...]
    width: int = 1
    wanted: int | None = None
    purification: Purification = field(default_factory=lambda: Purification({}))

    def __post_init__(self) -> None:
        """Raises ProgramFault for what no device could do."""
        if len(self.nodes) != len(self.hops) + 1 or not self.hops:
            raise ProgramFault(f"expected one node more than hops, found {len(self.nodes)} and {len(self.hops)}")
        if self.width < 1:
            raise ProgramFault(f"expected a width of 1 or more, found {self.width}")
        for number, hop in enumerate(self.hops):
            _check_hop(number, hop)
        for number, node in enumerate(self.nodes):
            self._check_node(number, node)
        if any(self.purification.rounds.values()) and self.width < 2:
            raise ProgramFault("purification spends a second pair: expected a width of 2 or more, found 1")
        for name in ("gates", "readout"):
            value = getattr(self.purification, name)
            if not 0 <= value <= 1:
                raise ProgramFault(f"purification: expected {name} in [0, 1], found {value}")

    def _check_node(self, number: int, node: Node) -> None:
        inner = 0 < number < len(self.nodes) - 1
        if inner != (node.swap is not None):
            raise ProgramFault(f"node {number}: expected a swap rule at inner nodes and only there")
        if min(node.attempt_loss, node.others_hz, node.others) < 0:
            raise ProgramFault(f"node {number}: expected attempt_loss, others_hz and others from 0 up")
        if node.cutoff_ns is not None and node.cutoff_ns <= 0:
            raise ProgramFault(f"node {number}: expected a cut-off above 0 ns, found {node.cutoff_ns}")
        if node.swap is None:
            return
        left, right = node.swap.left, node.swap.right
        if left is not None and not 0 <= left < number:
            raise ProgramFault(f"node {number}: expected its left pair to end at 0 to {number - 1}, found {left}")
        if right is not None and not number < right < len(self.nodes):
            raise ProgramFault(f"node {number}: expected its right pair to end beyond it, found {right}")
        if not 0 <= node.swap.success <= 1 or not 0 <= node.swap.noise <= 1 or node.swap.wait_ns < 0:
            raise ProgramFault(f"node {number}: expected success and noise in [0, 1] and wait_ns from 0 up")


def _check_hop(number: int, hop: Hop) -> None:
    if not 0 < hop.success <= 1:
        raise ProgramFault(f"hop {number}: expected a success probability in (0, 1], found {hop.success}")
    if hop.light_ns < 0 or hop.cycle_ns < max(1, hop.light_ns):
        # A herald must not come before light can travel.
        raise ProgramFault(f"hop {number}: expected a cycle of {max(1, hop.light_ns)} ns or more, found {hop.cycle_ns}")
    if not 0 <= hop.stored_ns <= hop.cycle_ns or hop.restart_ns < 0:
        raise ProgramFault(f"hop {number}: expected 0 <= stored_ns <= cycle_ns and restart_ns from 0 up")
    if not 0 <= hop.asks_ns <= hop.cycle_ns - max(hop.light_ns, hop.stored_ns):
        # When the right memory is free, light and storage still need their time.
        raise ProgramFault(
            f"hop {number}: expected asks_ns to leave light and stored_ns in a cycle, found {hop.asks_ns}"
        )
    x, y, z = hop.state
    if min(1 + x + y + z, 1 + x - y - z, 1 - x + y - z, 1 - x - y + z) < -1e-12:
        raise ProgramFault(f"hop {number}: {hop.state} are the eigenvalues of no state")


def state_of(pair: BellDiagonal) -> State:
    """Eigenvalues of a Bell-diagonal pair."""
    i, z, x, y = pair
    return i - z + x - y, i - z - x + y, i + z - x - y


def pair_of(state: State) -> BellDiagonal:
    """Probabilities of the Bell states; rounding below 0 is taken off."""
    x, y, z = state
    shares = (1 + x + y + z, 1 - x - y + z, 1 + x - y - z, 1 - x + y - z)
    return BellDiagonal(*(max(0.0, share / 4) for share in shares))


def werner_state(fidelity: float) -> tuple[float, float, float]:
    """Eigenvalues of a Werner state of that fidelity."""
    w = (4 * fidelity - 1) / 3
    return w, w, w


def fidelity_of(state: tuple[float, float, float]) -> float:
    """Fidelity with the ideal Bell state."""
    return (1 + sum(state)) / 4
