"""BB84 with weak coherent pulses: gains, error rates, decoy bounds, asymptotic key rates.

Sources: Ma, Qi, Zhao, Lo, PRA 72, 012326 (2005), doi:10.1103/PhysRevA.72.012326; GLLP, QIC 4, 325 (2004).
Rates are per emitted pulse and not clamped: they may be negative. `eta` is the click probability per
photon from source to detector; `y0` the background yield per pulse; `e_d` the misalignment error.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log2
from typing import NamedTuple

E0 = 0.5
"""Error rate of a background click."""


class Clicks(NamedTuple):
    """Click probability per pulse, and error rate of the clicks."""

    gain: float
    error: float


def binary_entropy(x: float) -> float:
    """h(x) in bits; 0 at 0 and 1."""
    if x <= 0.0 or x >= 1.0:
        return 0.0
    return -x * log2(x) - (1 - x) * log2(1 - x)


def wcp_gain(mu: float, eta: float, y0: float) -> float:
    """Click probability of a pulse with mean photon number mu: 1 - (1-y0) exp(-eta mu)."""
    return 1 - (1 - y0) * exp(-eta * mu)


def wcp_qber(mu: float, eta: float, y0: float, e_d: float) -> float:
    """Error rate of those clicks."""
    return (E0 * y0 + e_d * (1 - exp(-eta * mu))) / wcp_gain(mu, eta, y0)


def wcp_two_detector(mu: float, eta: float, p_d: float, e_d: float) -> Clicks:
    """Two threshold detectors, random bit on a double click; p_d dark counts per gate and detector."""
    x = mu * eta
    no_click = (1 - p_d) ** 2 * exp(-x)
    gain = 1 - no_click
    wrong = 0.5 * (1 + (1 - p_d) * (exp(-x * (1 - e_d)) - exp(-x * e_d)) - no_click)
    return Clicks(gain, wrong / gain if gain > 0 else E0)


def _ma(mu: float, eta: float, y0: float, e_d: float) -> Clicks:
    gain = y0 + 1 - exp(-eta * mu)
    return Clicks(gain, (E0 * y0 + e_d * (1 - exp(-eta * mu))) / gain)


@dataclass(frozen=True)
class InfiniteDecoy:
    """Asymptotic rate with infinitely many decoys."""

    gain: float
    error: float
    yield_1: float
    error_1: float
    gain_1: float
    rate: float


def gllp_infinite_decoy(
    mu: float, eta: float, y0: float, e_d: float, f_ec: float = 1.22, q_sift: float = 0.5
) -> InfiniteDecoy:
    """Rate when single-photon yield and error are known exactly."""
    signal = _ma(mu, eta, y0, e_d)
    yield_1 = eta + y0 - eta * y0
    error_1 = (E0 * y0 + e_d * eta) / yield_1
    gain_1 = yield_1 * mu * exp(-mu)
    rate = q_sift * (-signal.gain * f_ec * binary_entropy(signal.error) + gain_1 * (1 - binary_entropy(error_1)))
    return InfiniteDecoy(signal.gain, signal.error, yield_1, error_1, gain_1, rate)


@dataclass(frozen=True)
class VacuumWeak:
    """Asymptotic rate with a vacuum and a weak decoy; bounds on the single-photon part."""

    signal: Clicks
    decoy: Clicks
    yield_1: float
    error_1: float
    gain_1: float
    rate: float


def decoy_vacuum_weak(
    mu: float, nu: float, eta: float, y0: float, e_d: float, f_ec: float = 1.22, q_sift: float = 0.5
) -> VacuumWeak:
    """Rate with y0 taken as known from the vacuum decoy."""
    signal, decoy = _ma(mu, eta, y0, e_d), _ma(nu, eta, y0, e_d)
    yield_1 = (
        mu
        / (mu * nu - nu**2)
        * (decoy.gain * exp(nu) - signal.gain * exp(mu) * nu**2 / mu**2 - (mu**2 - nu**2) / mu**2 * y0)
    )
    error_1 = (decoy.error * decoy.gain * exp(nu) - E0 * y0) / (yield_1 * nu)
    gain_1 = yield_1 * mu * exp(-mu)
    rate = q_sift * (-signal.gain * f_ec * binary_entropy(signal.error) + gain_1 * (1 - binary_entropy(error_1)))
    return VacuumWeak(signal, decoy, yield_1, error_1, gain_1, rate)


def _bisect(f, low: float, high: float) -> float:  # type: ignore[no-untyped-def]
    """Root of a falling function between low and high."""
    for _ in range(200):
        middle = (low + high) / 2
        if f(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def mu_opt(e_d: float, f_ec: float = 1.22) -> float:
    """Best signal intensity when dark counts are negligible: (1-mu) exp(-mu) = f h(e_d) / (1-h(e_d))."""
    target = f_ec * binary_entropy(e_d) / (1 - binary_entropy(e_d))
    return _bisect(lambda mu: (1 - mu) * exp(-mu) - target, 0.0, 1.0)


def max_distance_infinite_decoy_km(
    alpha: float, eta_bob: float, y0: float, e_d: float, f_ec: float, mu: float
) -> float:
    """Where the rate with infinite decoys reaches 0; alpha in dB/km."""

    def rate(km: float) -> float:
        return gllp_infinite_decoy(mu, eta_bob * 10 ** (-alpha * km / 10), y0, e_d, f_ec).rate

    return _bisect(rate, 0.0, 1000.0)


def max_distance_vacuum_weak_km(
    alpha: float, eta_bob: float, y0: float, e_d: float, f_ec: float, mu: float, nu: float
) -> float:
    """Where the rate with vacuum and weak decoy reaches 0; alpha in dB/km."""

    def rate(km: float) -> float:
        bound = decoy_vacuum_weak(mu, nu, eta_bob * 10 ** (-alpha * km / 10), y0, e_d, f_ec)
        return bound.rate if bound.yield_1 > 0 and bound.error_1 < E0 else -1.0

    return _bisect(rate, 0.0, 1000.0)


def bb84_fraction(q_bit: float, q_phase: float, f_ec: float = 1.0) -> float:
    """Secret bits per sifted single-photon bit."""
    return 1 - f_ec * binary_entropy(q_bit) - binary_entropy(q_phase)


def bb84_threshold(f_ec: float = 1.0) -> float:
    """QBER at which the fraction reaches 0: 11.0 % at f = 1."""
    return _bisect(lambda q: bb84_fraction(q, q, f_ec), 0.0, 0.5)
