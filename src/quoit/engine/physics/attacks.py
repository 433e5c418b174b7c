"""What attacks and faults do to the telemetry of a link, and how much data shows it."""

from __future__ import annotations

from math import ceil, sqrt
from statistics import NormalDist

ADDED_ERROR = {"bb84": 1 / 4, "sixstate": 1 / 3}
"""Error that measuring and resending in a random basis makes, by protocol."""


def intercept_resend_qber(frac: float, e0: float = 0.0, protocol: str = "bb84") -> float:
    """QBER when a fraction is measured and resent on a link of intrinsic error e0."""
    d = ADDED_ERROR[protocol]
    return frac * (d + e0 - 2 * d * e0) + (1 - frac) * e0


def qber_test_sample(q0: float, q1: float, alpha: float, beta: float) -> int:
    """Sample bits that tell q1 from q0 with false alarm alpha and miss beta (normal approximation)."""
    z_a, z_b = NormalDist().inv_cdf(1 - alpha), NormalDist().inv_cdf(1 - beta)
    return ceil(((z_a * sqrt(q0 * (1 - q0)) + z_b * sqrt(q1 * (1 - q1))) / (q1 - q0)) ** 2)


def count_z(n_obs: float, n_exp: float) -> float:
    """Deviation of a count from its expectation in standard deviations."""
    return (n_obs - n_exp) / sqrt(n_exp)


def mitm_success(tag_bits: int, msg_bits: float, tries: int = 1) -> float:
    """Probability that one of several forged messages passes a Wegman-Carter tag."""
    p = min(1.0, ceil(msg_bits / tag_bits) * 2.0**-tag_bits)
    return 1 - (1 - p) ** tries
