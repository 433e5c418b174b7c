"""What entanglement is used for besides key: clocks, identity, sensing, verified computing.

Sources: Giovannetti, Lloyd, Maccone, Nature 412, 417 (2001), doi:10.1038/35086525, for clocks; Lee et al., APL 114,
101102 (2019), doi:10.1063/1.5086493, for two-way offsets; Huelga et al., PRL 79, 3865 (1997),
doi:10.1103/PhysRevLett.79.3865, for sensing under dephasing; Dorner et al., PRL 102, 040403 (2009),
doi:10.1103/PhysRevLett.102.040403, for sensing under loss; Leichtle, Music, Kashefi, Ollivier, PRX Quantum 2, 040302
(2021), doi:10.1103/PRXQuantum.2.040302, for test rounds. Times in s, frequencies in rad/s, phases in rad.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import e, exp, log10, pi, sqrt

from quoit.engine.physics import binomial


@dataclass(frozen=True, slots=True)
class ClockJitter:
    """Rms of one pair's time difference; rms of the offset from pairs one way, and from as many each way (s)."""

    pair_s: float
    one_way_s: float
    two_way_s: float


def time_sync(sig_det_a: float, sig_det_b: float, sig_corr: float, n_pairs: float) -> ClockJitter:
    """Clock offset from `n_pairs` coincidences each way; rms jitters of the detectors and of the pair itself."""
    pair = sqrt(sig_det_a**2 + sig_det_b**2 + sig_corr**2)
    return ClockJitter(pair, pair / sqrt(n_pairs), pair / sqrt(2 * n_pairs))


_STEPS_PER_SIGMA = 50
_REACH_SIGMAS = 12


def time_sync_crlb_s(sigma: float, n_signal: float, bg_density: float) -> float:
    """Cramer-Rao bound (s) on the place of a Gaussian coincidence peak of rms `sigma` s on a flat background.

    `n_signal` coincidences in the peak, `bg_density` accidental ones per second of delay axis. Without background
    it is sigma / sqrt(n_signal).
    """
    if bg_density == 0:
        return sigma / sqrt(n_signal)
    background = bg_density * sigma / n_signal
    # Fisher information in units of n / sigma^2. The trapezoidal rule converges exponentially for such integrands.
    information = 0.0
    for step in range(1, _REACH_SIGMAS * _STEPS_PER_SIGMA + 1):
        x = step / _STEPS_PER_SIGMA
        density = exp(-x * x / 2) / sqrt(2 * pi)
        information += 2 * x * x * density * density / (density + background)
    return sigma / sqrt(n_signal * information / _STEPS_PER_SIGMA)


@dataclass(frozen=True, slots=True)
class TwoWay:
    """Offset of B's clock from A's, and one-way delay (s)."""

    offset_s: float
    delay_s: float


def two_way(t1: float, t2: float, t3: float, t4: float) -> TwoWay:
    """Light leaves A at t1 and reaches B at t2, leaves B at t3 and reaches A at t4, each by the local clock.

    Both ways are taken to be alike: an extra delay d on one of them shifts the offset by d/2 and nothing shows it.
    """
    there, back = t2 - t1, t4 - t3
    return TwoWay((there - back) / 2, (there + back) / 2)


def dispersion_s(D_ps_nm_km: float, L_km: float, bw_nm: float) -> float:
    """Width (s) that a fibre of dispersion D (ps/(nm km)) adds to a photon of bandwidth bw_nm.

    Energy-anticorrelated pairs over fibres of opposite dispersion do not show it.
    """
    return D_ps_nm_km * L_km * bw_nm * 1e-12


@dataclass(frozen=True, slots=True)
class IdentityTest:
    """Probabilities that the honest end is refused and that the impostor is accepted."""

    false_reject: float
    false_accept: float


def identity_test(n: int, k_max: int, q_honest: float, q_attack: float) -> IdentityTest:
    """n challenge pairs, at most k_max errors; error rates of the honest end and of the impostor.

    An impostor who intercepts and resends has 1/4, one who guesses 1/2.
    """
    return IdentityTest(binomial.above(n, k_max, q_honest), binomial.up_to(n, k_max, q_attack))


@dataclass(frozen=True, slots=True)
class PhaseSensing:
    """Rms (rad) of the estimate with unentangled sensors and with a GHZ state, and what that gains in dB."""

    sql: float
    ghz: float
    gain_db: float


def ghz_sensing(N: int, vis: float, n_shots: float) -> PhaseSensing:
    """The phase that N sensors have in common, or its mean, in `n_shots` repetitions with fringes of visibility `vis`.

    Visibility is the GHZ state's; the others are ideal. A gain below 0 dB is a loss: entanglement helps where
    vis > 1 / sqrt(N).
    """
    return PhaseSensing(1 / sqrt(N * n_shots), 1 / (vis * N * sqrt(n_shots)), 20 * log10(vis * sqrt(N)))


def ghz_dephasing_qfi(N: int, p: float) -> float:
    """Quantum Fisher information of the collective phase of N GHZ qubits, each phase-flipped with probability p."""
    return float(N * N * (1 - 2 * p) ** (2 * N))


def noon_loss_qfi(N: int, eta_a: float, eta_b: float) -> float:
    """Quantum Fisher information of the phase in an N-photon N00N state; transmittances of the two arms."""
    a, b = eta_a**N, eta_b**N
    return 2 * N * N * a * b / (a + b) if a + b > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Ramsey:
    """Best interrogation time (s), and rms of the frequency it gives (rad/s)."""

    t_opt_s: float
    delta_omega: float


def ramsey(N: int, gamma: float, T_total: float, entangled: bool = False) -> Ramsey:
    """Frequency estimation with N qubits in T_total s under Markovian dephasing, coherence falling as exp(-gamma t).

    GHZ states must be read N times sooner and gain nothing (Huelga et al. 1997).
    """
    return Ramsey(1 / (2 * gamma * N) if entangled else 1 / (2 * gamma), sqrt(2 * gamma * e / (N * T_total)))


def blind_verify_accept(t_rounds: int, k_max: int, p_round_err: float) -> float:
    """Probability that at most k_max of t_rounds test rounds of a blind computation fail, each with p_round_err."""
    return binomial.up_to(t_rounds, k_max, p_round_err)
