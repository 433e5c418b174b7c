"""Two links side by side: the first pair waits for the second, and is dropped when it has waited too long.

Sources: Collins, Jenkins, Kuzmich, Kennedy, PRL 98, 060502 (2007), doi:10.1103/PhysRevLett.98.060502, for memories
given up after a while; Rozpedek et al., PRA 99, 052330 (2019), doi:10.1103/PhysRevA.99.052330, for cut-offs in
repeaters of imperfect memories.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import expm1, log1p

from quoit.engine.physics.bell_pairs import bell_diagonal_key, swap, swap_noisy_fidelity, werner
from quoit.engine.physics.heralding import single_click


@dataclass(frozen=True, slots=True)
class Cutoff:
    """Mean slots until both pairs are there, and probability that a first pair leads to that.

    Mean fidelity of the pair that waited, and of the pair that an ideal swap makes of it and the fresh one.
    """

    mean_slots: float
    p_cycle: float
    waited_fidelity: float
    swapped_fidelity: float


def cutoff_parallel(p: float, m: int, tau_over_dt: float, F0: float) -> Cutoff:
    """Two links that succeed with probability p a slot each; a pair waits at most m slots, then both start anew.

    The waiting pair is a Werner pair of fidelity F0 and depolarises with time constant `tau_over_dt` slots; one that
    waited j slots has aged by j. ValueError unless 0 < p <= 1 and m >= 0.
    """
    if not (0 < p <= 1 and m >= 0):
        raise ValueError(f"expected 0 < p <= 1 and a cut-off of m >= 0 slots, found p={p}, m={m}")
    q = 1 - p
    # Written with expm1: at p of 1e-7 and long cut-offs 1 - q^m has no digits left.
    log_q = log1p(-p) if p < 1 else -float("inf")
    any_success = -expm1(2 * log_q)
    second_in_time = -expm1(m * log_q) if m > 0 else 0.0
    at_once, one_first = p * p / any_success, 2 * p * q / any_success
    p_cycle = at_once + one_first * second_in_time
    mean_slots = (1 / any_success + one_first / p * second_in_time) / p_cycle
    # sum over j = 1..m of p q^(j-1) r^j with r = exp(-1/tau)
    log_qr = log_q - 1 / tau_over_dt
    waited = 0.0
    if m > 0 and q > 0:
        waited = p / q * -expm1(m * log_qr) / expm1(-log_qr)
    aged = (at_once + one_first * waited) / p_cycle
    fidelity = 0.25 + (F0 - 0.25) * aged
    return Cutoff(mean_slots, p_cycle, fidelity, swap(werner(fidelity), werner(F0)).phi_plus)


@dataclass(frozen=True, slots=True)
class Repeater:
    """A link's success probability and fidelity; swapped pairs per second, their fidelity, secret bits per second."""

    p_link: float
    f_link: float
    rate_hz: float
    f_end: float
    key_bps: float


def two_link_repeater(
    alpha: float,
    eta: float,
    p_d: float,
    V: float,
    sigma_phi: float,
    t_cycle: float,
    m_cut: int,
    tau_mem_s: float,
    p2: float,
    eta_m: float,
) -> Repeater:
    """Two alike single-click links, a cut-off of `m_cut` attempts of t_cycle s, one imperfect swap.

    `tau_mem_s` is the depolarising time of a waiting pair. Approximations: the link's state is twirled to a Werner
    pair, and the mean state of all waits is swapped. Key is BB84 of the ends, f = 1, without sifting loss.
    """
    link = single_click(alpha, alpha, eta, eta, p_d, V, sigma_phi)
    wait = cutoff_parallel(link.p_success, m_cut, tau_mem_s / t_cycle, link.fidelity)
    f_end = swap_noisy_fidelity(wait.waited_fidelity, link.fidelity, p2, eta_m)
    rate = 1 / (wait.mean_slots * t_cycle)
    return Repeater(link.p_success, link.fidelity, rate, f_end, rate * bell_diagonal_key(werner(f_end)).bb84)
