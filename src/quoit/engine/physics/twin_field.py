"""Twin-field QKD after Curty, Azuma, Lo, npj Quantum Inf. 5, 64 (2019), infinite decoys."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, cos, exp, factorial, sqrt

from quoit.engine.physics.bb84 import binary_entropy

EXACT_PHOTONS = 12
MAX_PHOTONS = 39


def tf_yield(n: int, m: int, t: float, p_d: float) -> float:
    """Probability that one given detector alone clicks when the ends send n and m photons."""
    total = sum(
        comb(n, k) * comb(m, k) * (1 - t / 2) ** (n + m - 2 * k) * (t / 2) ** (2 * k) for k in range(min(n, m) + 1)
    )
    return (1 - p_d) * total - (1 - p_d) ** 2 * (1 - t) ** (n + m)


@dataclass(frozen=True, slots=True)
class TwinField:
    """Conclusive probability per detector, bit error, bound on the phase error, key per pulse pair."""

    p_xx: float
    error_x: float
    error_z: float
    rate: float


def tf_cal(mu: float, eta_total: float, p_d: float, f_ec: float = 1.15, phase_mis: float = 0.0) -> TwinField:
    """eta_total end to end including detectors; phase_mis in radians. Yields above 12 photons count as 1."""
    t = sqrt(eta_total)
    gamma, overlap = t * mu, cos(phase_mis)
    p_xx = (1 - p_d) / 2 * (exp(-gamma * overlap) + exp(gamma * overlap)) * exp(-gamma) - (1 - p_d) ** 2 * exp(
        -2 * gamma
    )
    error_x = (exp(-gamma * overlap) - (1 - p_d) * exp(-gamma)) / (
        exp(-gamma * overlap) + exp(gamma * overlap) - 2 * (1 - p_d) * exp(-gamma)
    )
    c = [exp(-mu / 2) * mu ** (n / 2) / sqrt(factorial(n)) for n in range(MAX_PHOTONS + 1)]
    error_z = 0.0
    for parity in (0, 1):
        terms = 0.0
        for n in range(parity, MAX_PHOTONS + 1, 2):
            for m in range(parity, MAX_PHOTONS + 1, 2):
                exact = n <= EXACT_PHOTONS and m <= EXACT_PHOTONS
                terms += c[n] * c[m] * sqrt(tf_yield(n, m, t, p_d) if exact else 1.0)
        error_z += terms**2
    error_z /= p_xx
    rate = 2 * p_xx * (1 - f_ec * binary_entropy(error_x) - binary_entropy(min(0.5, error_z)))
    return TwinField(p_xx, error_x, error_z, rate)
