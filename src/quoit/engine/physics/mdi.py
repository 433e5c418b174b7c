"""Measurement-device-independent QKD, infinite decoys (Lo, Curty, Qi 2012; Ma, Razavi, PRA 86, 062319)."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt

import numpy as np

from quoit.engine.physics.bb84 import E0, binary_entropy


@dataclass(frozen=True, slots=True)
class Mdi:
    """Single-photon yield and error, gain and error of the key basis, key per pair of signal pulses."""

    yield_11: float
    error_11: float
    gain: float
    error: float
    gain_11: float
    rate: float


def mdi(mu_a: float, mu_b: float, eta_a: float, eta_b: float, p_d: float, e_d: float, f_ec: float = 1.16) -> Mdi:
    """eta_a, eta_b: arm times detector; p_d > 0 or light on both sides; four threshold detectors.

    The rate is per pair of pulses that are signals in the key basis: multiply by their share.
    """
    live = (1 - p_d) ** 2
    y11 = live * (
        eta_a * eta_b / 2 + (2 * eta_a + 2 * eta_b - 3 * eta_a * eta_b) * p_d + 4 * (1 - eta_a) * (1 - eta_b) * p_d**2
    )
    e11 = (E0 * y11 - (E0 - e_d) * live * eta_a * eta_b / 2) / y11
    mean = eta_a * mu_a + eta_b * mu_b
    x = sqrt(eta_a * mu_a * eta_b * mu_b) / 2
    correct = (
        2 * live * exp(-mean / 2) * (1 - (1 - p_d) * exp(-eta_a * mu_a / 2)) * (1 - (1 - p_d) * exp(-eta_b * mu_b / 2))
    )
    wrong = 2 * p_d * live * exp(-mean / 2) * (float(np.i0(2 * x)) - (1 - p_d) * exp(-mean / 2))
    gain = correct + wrong
    error = (e_d * correct + (1 - e_d) * wrong) / gain
    gain_11 = mu_a * mu_b * exp(-mu_a - mu_b) * y11
    rate = gain_11 * (1 - binary_entropy(e11)) - gain * f_ec * binary_entropy(error)
    return Mdi(y11, e11, gain, error, gain_11, rate)
