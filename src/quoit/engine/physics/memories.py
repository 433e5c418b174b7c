"""What waiting does to stored qubits and pairs: relaxation, dephasing, depolarisation, and their Pauli twirl.

T1 is relaxation to |0>; T2 that of coherence, T2 <= 2 T1. Times in s, `inf` for a process that is absent. Fidelity is
<Bell|rho|Bell>. Source: Nielsen and Chuang, Quantum Computation and Quantum Information, sec. 8.3, 8.4.

Pauli channels of successive waits compose, so a pair kept as `BellDiagonal` may be aged whenever it is looked at.
"""

from __future__ import annotations

from math import exp, expm1, inf

from quoit.engine.physics.bell_pairs import PauliProbabilities


def t1t2_bell_fidelity(t: float, T1a: float, T2a: float, T1b: float, T2b: float, bell: str = "phi") -> float:
    """Fidelity of a Bell pair (`phi` for Phi+-, `psi` for Psi+-) t s after it was perfect; exact.

    Psi decays faster in population: |11>, which Phi holds, relaxes to |00>, which Phi holds too. ValueError for
    another `bell`, negative t, or T2 > 2 T1.
    """
    for t1, t2 in ((T1a, T2a), (T1b, T2b)):
        _check_times(t, t1, t2)
    lost_a, lost_b = -expm1(-t / T1a), -expm1(-t / T1b)
    coherence = exp(-t / T2a - t / T2b) / 2
    if bell == "phi":
        return (1 + lost_a * lost_b + (1 - lost_a) * (1 - lost_b)) / 4 + coherence
    if bell == "psi":
        return (1 - lost_a + 1 - lost_b) / 4 + coherence
    raise ValueError(f"bell is phi or psi, found {bell!r}")


def pair_lifetime_s(tau_a: float, tau_b: float) -> float:
    """Time constant of a pair whose halves depolarise with tau_a and tau_b: rates add."""
    rate = 1 / tau_a + 1 / tau_b
    return 1 / rate if rate > 0 else inf


def werner_decay(F0: float, t: float, tau: float) -> float:
    """Fidelity of a Werner pair after t s of depolarisation with time constant tau: towards 1/4."""
    return 0.25 + (F0 - 0.25) * exp(-t / tau)


def pauli_twirl(t: float, T1: float, T2: float) -> PauliProbabilities:
    """Pauli errors of one qubit that waits t s: relaxation and dephasing, twirled.

    An approximation: relaxation prefers |0> and the twirl does not. The states of the two differ by that part only.
    ValueError for negative t or T2 > 2 T1.
    """
    _check_times(t, T1, T2)
    flip = -expm1(-t / T1) / 4
    phase = max(0.0, -expm1(-t / T2) / 2 - flip)
    return PauliProbabilities(1 - 2 * flip - phase, flip, flip, phase)


def decay_per_attempt(attempts: float, n_1e: float) -> PauliProbabilities:
    """Pauli errors of a memory while its node makes `attempts` further attempts at entanglement.

    Each attempt's laser pulses and spin flips dephase a nearby nuclear spin: coherence falls to 1/e in n_1e attempts.
    Apply it beside the decay with time. Source: Kalb et al., PRA 97, 062330 (2018), doi:10.1103/PhysRevA.97.062330.
    """
    phase = -expm1(-attempts / n_1e) / 2
    return PauliProbabilities(1 - phase, 0.0, 0.0, phase)


def _check_times(t: float, t1: float, t2: float) -> None:
    if t < 0:
        raise ValueError(f"a wait cannot be negative, found {t} s")
    if not 0 < t2 <= 2 * t1:
        raise ValueError(f"coherence outlives relaxation at most twofold, 0 < T2 <= 2 T1; found T1={t1}, T2={t2}")
