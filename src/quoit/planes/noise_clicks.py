"""What noise light does to an error rate, for whoever must say how much of it a link can bear (D4, G2).

Noise light clicks at random: half of its clicks are errors. With `x` noise clicks for each click of the signal,

    q = (q0 + x / 2) / (1 + x),    so    x = (q - q0) / (1/2 - q).

Approximation: dead time and afterpulses are left out.
"""

from __future__ import annotations

NORMAL_STEP = 0.004
"""So much above expectation counts as normal: the fabric's trend takes 0.005."""


def noise_share(qber: float, expected: float) -> float:
    """Noise clicks for each click of the signal that make an error rate of `expected` one of `qber`."""
    return max(0.0, qber - expected) / max(1e-3, 0.5 - qber)


def qber_with(expected: float, share: float) -> float:
    """The error rate with so many noise clicks for each click of the signal."""
    return (expected + share / 2) / (1 + share)


def bearable(qber: float, expected: float) -> float:
    """Which share of the noise that makes `qber` of `expected` leaves the error rate normal: 1 or more if it is."""
    needed = noise_share(qber, expected)
    return float("inf") if needed <= 0 else noise_share(expected + NORMAL_STEP, expected) / needed
