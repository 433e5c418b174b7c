"""Entanglement-based QKD: pulsed and continuous-wave pair sources.

Sources: Ma, Fung, Lo, PRA 76, 012307 (2007); Neumann et al., PRA 104, 022406 (2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erf, log, sqrt

from quoit.engine.physics.bb84 import E0, binary_entropy


@dataclass(frozen=True, slots=True)
class PulsedPairs:
    """Coincidence gain and error per pulse, secret rate per pulse (not clamped)."""

    gain: float
    error: float
    rate: float


def bbm92_spdc(
    lam: float,
    eta_a: float,
    eta_b: float,
    y0a: float,
    y0b: float,
    e_d: float,
    f_ec: float = 1.22,
    q_sift: float = 0.5,
) -> PulsedPairs:
    """Pulsed down-conversion, threshold detectors; 2 lam pairs per pulse on average.

    `eta_a`, `eta_b`: source to click, per photon; `y0a`, `y0b`: background clicks per pulse; `q_sift`: share
    of the coincidences in equal bases.
    """
    both = 1 + eta_a * lam + eta_b * lam - eta_a * eta_b * lam
    a, b = 1 + eta_a * lam, 1 + eta_b * lam
    pairs = eta_a * eta_b * lam * (1 + lam)  # = a b - both
    # 1 - (1-y0a)/a^2 - (1-y0b)/b^2 + (1-y0a)(1-y0b)/both^2 loses all digits at high loss. The same, of positive
    # terms only: chance coincidences of the two sides, and what pairs add to them.
    side_a = (eta_a * lam * (2 + eta_a * lam) + y0a) / a**2
    side_b = (eta_b * lam * (2 + eta_b * lam) + y0b) / b**2
    gain = side_a * side_b + (1 - y0a) * (1 - y0b) * pairs * (a * b + both) / (a * b * both) ** 2
    if gain <= 0:
        return PulsedPairs(0.0, E0, 0.0)
    error = E0 - 2 * (E0 - e_d) * pairs / (a * b * both * gain)
    h = binary_entropy(error)
    return PulsedPairs(gain, error, q_sift * gain * (1 - f_ec * h - h))


@dataclass(frozen=True, slots=True)
class CwPairs:
    """Rates per second of a continuous-wave source."""

    singles_a_hz: float
    singles_b_hz: float
    cc_true_hz: float
    cc_accidental_hz: float
    cc_measured_hz: float
    car: float
    qber: float
    key_bps: float


def bbm92_cw(
    brightness_hz: float,
    eta_a: float,
    eta_b: float,
    dark_a_hz: float,
    dark_b_hz: float,
    coincidence_s: float,
    peak_fwhm_s: float,
    polarisation_error: float,
    f_ec: float = 1.1,
    q_sift: float = 0.5,
    dead_a_s: float = 0.0,
    dead_b_s: float = 0.0,
) -> CwPairs:
    """Coincidences in a window `coincidence_s` under a Gaussian peak of width `peak_fwhm_s`.

    `brightness_hz`: pairs per second; dead times are of the non-paralyzable kind. `key_bps` is clamped at 0.
    """
    raw_a, raw_b = brightness_hz * eta_a + dark_a_hz, brightness_hz * eta_b + dark_b_hz
    live_a, live_b = 1 / (1 + raw_a * dead_a_s), 1 / (1 + raw_b * dead_b_s)
    singles_a, singles_b = raw_a * live_a, raw_b * live_b
    inside = erf(sqrt(log(2)) * coincidence_s / peak_fwhm_s)
    true = brightness_hz * eta_a * eta_b * live_a * live_b * inside
    accidental = singles_a * singles_b * coincidence_s
    measured = true + accidental
    qber = (true * polarisation_error + accidental / 2) / measured if measured > 0 else E0
    h = binary_entropy(qber)
    return CwPairs(
        singles_a,
        singles_b,
        true,
        accidental,
        measured,
        true / accidental if accidental > 0 else float("inf"),
        qber,
        max(0.0, q_sift * measured * (1 - f_ec * h - h)),
    )


def car_fidelity(car: float, F0: float) -> float:
    """Fidelity of pairs of fidelity F0 at coincidence-to-accidental ratio `car`; accidentals are white noise."""
    return (car * F0 + 0.25) / (car + 1)
