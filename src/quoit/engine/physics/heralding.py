"""Heralded entanglement of two memories: one photon or two at the midpoint, attempt times, waiting.

Sources: Cabrillo, Cirac, Garcia-Fernandez, Zoller, PRA 59, 1025 (1999), doi:10.1103/PhysRevA.59.1025, for one click;
Barrett and Kok, PRA 71, 060310 (2005), doi:10.1103/PhysRevA.71.060310, for two; Humphreys et al., Nature 558, 268
(2018), doi:10.1038/s41586-018-0200-5, for deterministic delivery.

An efficiency `eta_*` is the probability that an emitted photon is detected: collection into the wanted line, frequency
conversion, fibre, detector. `p_d` is the dark-count probability per detector and window. Bright and dark spin states
are B and D, end A is written first.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, expm1, log, log1p, sqrt

from quoit.engine.physics import binomial
from quoit.engine.physics.bell_pairs import BellDiagonal
from quoit.engine.physics.fibre import GROUP_INDEX, delay_s


@dataclass(frozen=True, slots=True)
class SingleClick:
    """Success probability per attempt; given success, populations of both spins, coherence |BD><DB|, and errors.

    `fidelity` is with the Psi state that the clicking detector heralds. `qber_z` counts equal results as errors.
    """

    p_success: float
    p_bb: float
    p_bd: float
    p_db: float
    p_dd: float
    coherence: float
    fidelity: float
    qber_z: float
    qber_x: float

    def bell_diagonal(self) -> BellDiagonal:
        """The pair after a bit flip at one end, which makes Psi+ Phi+, and a twirl over Paulis.

        The twirl drops coherences between Bell states and is an approximation: fidelity, qber_z and qber_x stay.
        """
        odd, even = (self.p_bd + self.p_db) / 2, (self.p_bb + self.p_dd) / 2
        # Perfect pairs have no Phi- at all, and rounding may leave it a hair below.
        return BellDiagonal(odd + self.coherence, max(0.0, odd - self.coherence), even, even)


def single_click(
    alpha_a: float,
    alpha_b: float,
    eta_a: float,
    eta_b: float,
    p_d: float = 0.0,
    V: float = 1.0,
    sigma_phi: float = 0.0,
    p_de: float = 0.0,
    pnr: bool = False,
) -> SingleClick:
    """Each spin is bright with probability alpha and then emits; exactly one of two detectors must click.

    `V`: two-photon interference visibility, the squared overlap of the photons; `sigma_phi`: rms of the optical phase
    between the arms (rad); `p_de`: probability per node of a second photon that tells the path; `pnr`: detectors that
    tell two photons from one. Exact in p_d and eta. Arms are balanced when alpha_a eta_a = alpha_b eta_b.
    ValueError when no such click can be: in the dark, or when two photons always come and are told from one.
    """
    silent = 1 - p_d
    dark = 2 * p_d * silent
    one_of_two = eta_a * (1 - eta_b) + eta_b * (1 - eta_a)
    # Two photons leave by one port with probability (1+V)/2: a threshold detector takes them for one.
    bunched = 0.0 if pnr else eta_a * eta_b * (1 + V) / 2
    bb = alpha_a * alpha_b * (silent * (one_of_two + bunched) + dark * (1 - eta_a) * (1 - eta_b))
    bd = alpha_a * (1 - alpha_b) * (silent * eta_a + dark * (1 - eta_a))
    db = (1 - alpha_a) * alpha_b * (silent * eta_b + dark * (1 - eta_b))
    dd = (1 - alpha_a) * (1 - alpha_b) * dark
    coherence = silent * sqrt(alpha_a * (1 - alpha_a) * alpha_b * (1 - alpha_b) * eta_a * eta_b * V)
    coherence *= exp(-(sigma_phi**2) / 2) * (1 - p_de) ** 2
    total = bb + bd + db + dd
    if total <= 0:
        raise ValueError(
            f"nothing is heralded: no single click can come of alpha=({alpha_a}, {alpha_b}), eta=({eta_a}, {eta_b}), "
            f"p_d={p_d}"
        )
    odd, share = (bd + db) / total, coherence / total
    return SingleClick(
        p_success=total,
        p_bb=bb / total,
        p_bd=bd / total,
        p_db=db / total,
        p_dd=dd / total,
        coherence=share,
        fidelity=odd / 2 + share,
        qber_z=(bb + dd) / total,
        qber_x=0.5 - share,
    )


@dataclass(frozen=True, slots=True)
class DoubleClick:
    """Success probability per attempt; fidelity with the heralded Psi state; the state with that as Phi+."""

    p_success: float
    fidelity: float
    bell_diagonal: BellDiagonal


def double_click(eta_a: float, eta_b: float, p_d: float = 0.0, V: float = 1.0, pnr: bool = False) -> DoubleClick:
    """Time-bin photons of both nodes; exactly one detector must click in each of the two bins.

    `V`: two-photon interference visibility; `pnr`: detectors that tell two photons from one. Success goes with the
    square of the efficiency, and no phase between the arms matters. Exact in p_d and eta, up to coherences between
    Bell states, which a twirl over Paulis removes from `bell_diagonal`. ValueError when nothing can click.
    """
    silent = 1 - p_d
    dark = 2 * p_d * silent
    both = eta_a * eta_b / 2 * silent**2
    # Both photons in one bin say that the spins are equal; a dark count in the other bin hides it.
    same_bin = 0.0 if pnr else eta_a * eta_b / 2 * (1 + V) / 2 * silent * dark
    one = (eta_a * (1 - eta_b) + eta_b * (1 - eta_a)) * silent * dark
    none = (1 - eta_a) * (1 - eta_b) * dark**2
    total = both + same_bin + one + none
    if total <= 0:
        raise ValueError(f"nothing is heralded: no two clicks can come of eta=({eta_a}, {eta_b}), p_d={p_d}")
    noise = (one + none) / 4
    good, bad, even = both * (1 + V) / 2 + noise, both * (1 - V) / 2 + noise, same_bin / 2 + noise
    pair = BellDiagonal(good / total, bad / total, even / total, even / total)
    return DoubleClick(total, pair.phi_plus, pair)


def midpoint_source(p_pair: float, eta_a: float, eta_b: float) -> float:
    """Success probability when a source in the middle emits a pair with p_pair and each memory loads its photon.

    `eta_a`, `eta_b` hold fibre, absorption and the herald of absorption.
    """
    return p_pair * eta_a * eta_b


def sender_receiver(eta_emission: float, eta_fibre: float, eta_absorption: float) -> float:
    """Success probability when one memory sends to the other; 1/2 of the absorption for a linear-optics BSM there."""
    return eta_emission * eta_fibre * eta_absorption


_CROSSINGS = {"midpoint_bsm": 1, "midpoint_source": 1, "sender_receiver": 2}


def attempt_time_s(scheme: str, L_km: float, t_prep: float, n_g: float = GROUP_INDEX) -> float:
    """Seconds from one attempt of a memory to its next over L_km of fibre, end to end; `t_prep` s on top.

    With a station in the middle light goes half the way and the herald comes half the way back; a sender waits for
    the whole way twice. Nothing is known of the attempt before that. ValueError for another `scheme` than
    midpoint_bsm, midpoint_source, sender_receiver.
    """
    if scheme not in _CROSSINGS:
        raise ValueError(f"scheme is one of {', '.join(_CROSSINGS)}; found {scheme!r}")
    return t_prep + _CROSSINGS[scheme] * delay_s(L_km, n_g)


def multiplexed_rate_hz(p: float, t_cycle: float, t_prep: float, memories: int = 1) -> float:
    """Pairs per second of `memories` that take turns: each waits t_cycle s for its herald, attempts need t_prep s.

    Grows with the number of memories until attempts follow each other without a gap.
    """
    return p * min(memories / t_cycle, 1 / t_prep)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Mean attempts and pairs per second; times in s by which a pair is there with probability 50 and 99 %."""

    mean_attempts: float
    rate_hz: float
    t50_s: float
    t99_s: float


def geometric_link(p: float, t_cycle: float) -> Waiting:
    """Attempts of t_cycle s that succeed with 0 < p <= 1 each; ValueError otherwise.

    The quantiles are of the geometric law drawn out between attempts: round up to whole cycles.
    """
    _check_probability(p)
    if p == 1:
        return Waiting(1.0, 1 / t_cycle, t_cycle, t_cycle)
    per_attempt = log1p(-p)
    return Waiting(1 / p, p / t_cycle, log(0.5) / per_attempt * t_cycle, log(0.01) / per_attempt * t_cycle)


def max_geometric_mean(n: int, p: float) -> float:
    """Mean attempts until n links that try side by side have all succeeded, 0 < p <= 1; ValueError otherwise."""
    _check_probability(p)
    if p == 1:
        return 1.0 if n > 0 else 0.0
    # The textbook's alternating sum over subsets loses all digits beyond some 40 links. Here every term is positive:
    # after an attempt k of m links are still missing.
    mean = [0.0]
    for m in range(1, n + 1):
        later = sum(binomial.mass(m, k, 1 - p) * mean[k] for k in range(1, m))
        mean.append((1 + later) / -expm1(m * log1p(-p)))
    return mean[n]


def deterministic_delivery_f_max(eta: float) -> float:
    """Best mean fidelity of a state delivered on every tick, entangled by then or not (Humphreys et al., eq. 2).

    `eta`: entangling rate over decoherence rate. Failed ticks deliver white noise of fidelity 1/4. Beyond 1/2, so
    entangled on average, from eta = 0.83 on.
    """
    if eta <= 0:
        return 0.25
    # eta^(1/(1-eta)) tends to 1/e at 1, where the exponent is not defined.
    power = exp(log(eta) / (1 - eta)) if eta != 1 else exp(-1)
    return (1 + 3 * power) / 4


def _check_probability(p: float) -> None:
    if not 0 < p <= 1:
        raise ValueError(f"success probability per attempt must be within (0, 1], found {p}")
