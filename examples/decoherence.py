"""Teleportation over a pair that had to wait: mean fidelity against waiting time, simulated and by closed form.

Alice and Bob share a pair of fidelity 0.95. Both halves wait in memories with T1 and T2; then Alice teleports a random
qubit, her two bits travel 25 km of fibre, Bob corrects and is asked in the direction in which the qubit pointed. How
often he answers yes is the mean fidelity; nothing looks into a state. The closed form is (2F + 1)/3 (Horodecki et al.
1999, doi:10.1103/PhysRevA.60.1888), where F is what the pair would have when Bob corrects. Beyond F = 1/2 it beats the
2/3 that Alice and Bob reach without entanglement.

    python examples/decoherence.py [SHOTS]

It uses the ledger of quantum states by itself, as an experiment on one table would: no network, no control.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from math import acos, exp, pi, sqrt

import numpy as np

from quoit.engine.ledger import Ledger, Node
from quoit.engine.physics.bell_pairs import teleport_mean_fidelity, werner
from quoit.engine.physics.fibre import delay_s
from quoit.engine.states.memory import MemoryNoise
from quoit.runtime import seeds

FIDELITY = 0.95
LENGTH_KM = 25.0
MEMORY = MemoryNoise(t1_s=20e-3, t2_s=10e-3)
WAITS_MS = (0, 1, 2, 3, 4, 6, 8, 12)
NS_PER_S = 10**9


@dataclass(frozen=True)
class Row:
    """Of one waiting time: the measured mean fidelity with its standard error, and the closed form."""

    wait_s: float
    measured: float
    sigma: float
    expected: float


def pair_fidelity(start: float, wait_a_s: float, wait_b_s: float, memory: MemoryNoise = MEMORY) -> float:
    """Fidelity of a Werner pair whose halves have waited so long under relaxation (T1) and dephasing (T2); exact."""
    t2_s = 2 * memory.t1_s if memory.t2_s is None else memory.t2_s
    both_s, purity = wait_a_s + wait_b_s, (4 * start - 1) / 3
    # Relaxation orders even white noise: both halves tend to |0>.
    ordered = (1 - exp(-wait_a_s / memory.t1_s)) * (1 - exp(-wait_b_s / memory.t1_s))
    return (1 + purity * (2 * exp(-both_s / t2_s) + exp(-both_s / memory.t1_s)) + ordered) / 4


def teleported_right(ledger: Ledger, rng: np.random.Generator, wait_ns: int, begin_ns: int) -> bool:
    """One teleportation of a random pure qubit; whether Bob finds it pointing where Alice had it point."""
    held, own, far = ("alice", 0), ("alice", 1), ("bob", 0)
    ledger.herald((held, far), werner(FIDELITY), begin_ns)
    theta, phi = acos(1 - 2 * rng.random()), 2 * pi * rng.random()
    now_ns = ledger.init(own, begin_ns + wait_ns).done_ns
    now_ns = ledger.gate("RY", own, now_ns, angle_rad=theta).done_ns
    now_ns = ledger.gate("RZ", own, now_ns, angle_rad=phi).done_ns
    measured = ledger.bell_measure(own, held, now_ns)
    told_ns = measured.done_ns + round(delay_s(LENGTH_KM) * NS_PER_S)
    ledger.correct(far, measured.pauli, told_ns)
    return ledger.measure(far, told_ns, (theta, phi)).bits == (0,)


def experiment(wait_s: float, shots: int, seed: int = 1) -> Row:
    """Many teleportations with one waiting time."""
    rng = seeds.generator(seed, "decoherence", f"qubits {wait_s}")
    nodes = {name: Node(MEMORY) for name in ("alice", "bob")}
    ledger = Ledger(seeds.generator(seed, "decoherence", f"outcomes {wait_s}"), nodes, oracle=False)
    right = sum(teleported_right(ledger, rng, round(wait_s * NS_PER_S), shot * NS_PER_S) for shot in range(shots))
    pair = pair_fidelity(FIDELITY, wait_s, wait_s + delay_s(LENGTH_KM))
    expected = teleport_mean_fidelity(pair)
    return Row(wait_s, right / shots, sqrt(expected * (1 - expected) / shots), expected)


def main(shots: int = 400) -> None:
    """The table."""
    print(f"{'waiting, ms':>11}  {'measured':>8}  {'+-':>6}  {'(2F+1)/3':>8}")
    for wait_ms in WAITS_MS:
        row = experiment(wait_ms * 1e-3, shots)
        beats = "" if row.expected > 2 / 3 else "  no better than without entanglement"
        print(f"{wait_ms:>11}  {row.measured:>8.4f}  {row.sigma:>6.4f}  {row.expected:>8.4f}{beats}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
