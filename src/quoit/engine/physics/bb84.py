"""BB84 with weak coherent pulses: gains, error rates, decoy bounds, asymptotic key rates.

Sources: Ma, Qi, Zhao, Lo, PRA 72, 012326 (2005), doi:10.1103/PhysRevA.72.012326; GLLP, QIC 4, 325 (2004).
Rates are per emitted pulse and not clamped: they may be negative. `eta` is the click probability per
photon from source to detector; `y0` the background yield per pulse; `e_d` the misalignment error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, expm1, inf, log2
from typing import NamedTuple

E0 = 0.5
"""Error rate of a background click."""
MAX_REACH_KM = 10_000.0
"""A rate that is positive here counts as without limit: there are no background clicks in the model."""


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
    light = -expm1(-eta * mu)
    return light + y0 * (1 - light)


def wcp_qber(mu: float, eta: float, y0: float, e_d: float) -> float:
    """Error rate of those clicks."""
    return (E0 * y0 - e_d * expm1(-eta * mu)) / wcp_gain(mu, eta, y0)


def wcp_two_detector(mu: float, eta: float, p_d: float, e_d: float) -> Clicks:
    """Two threshold detectors, random bit on a double click; p_d dark counts per gate and detector.

    Exact at any brightness, so this is what counts are drawn from. The share e_d = sin^2(theta) of the light
    falls on the wrong detector. Without light and dark counts nothing clicks: gain 0, error 1/2.
    """
    x = mu * eta
    wrong = p_d - (1 - p_d) * expm1(-x * e_d)
    right = p_d - (1 - p_d) * expm1(-x * (1 - e_d))
    gain = wrong + right - wrong * right
    error = wrong * (1 - right / 2) / gain if gain > 0 else E0
    # Alike detectors give 1/2 exactly; rounding may carry it an ulp beyond, where no entropy is defined.
    return Clicks(gain, min(error, E0) if e_d <= E0 else error)


def ma_clicks(mu: float, eta: float, y0: float, e_d: float) -> Clicks:
    """Gain y0 + 1 - exp(-eta mu) and its error: the form in which the decoy bounds were published.

    It counts a click twice that light and background make together, hence is for y0 << 1 only.
    """
    light = -expm1(-eta * mu)
    gain = y0 + light
    return Clicks(gain, (E0 * y0 + e_d * light) / gain if gain > 0 else E0)


@dataclass(frozen=True, slots=True)
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
    """Rate when single-photon yield and error are known exactly.

    `q_sift`: share of the pulses that are sifted signals, 1/2 for symmetric BB84.
    """
    signal = ma_clicks(mu, eta, y0, e_d)
    yield_1 = eta + y0 - eta * y0
    error_1 = (E0 * y0 + e_d * eta) / yield_1 if yield_1 > 0 else E0
    gain_1 = yield_1 * mu * exp(-mu)
    rate = q_sift * (-signal.gain * f_ec * binary_entropy(signal.error) + gain_1 * (1 - binary_entropy(error_1)))
    return InfiniteDecoy(signal.gain, signal.error, yield_1, error_1, gain_1, rate)


@dataclass(frozen=True, slots=True)
class VacuumWeak:
    """Asymptotic rate with a vacuum and a weak decoy; bounds on the single-photon part."""

    signal: Clicks
    decoy: Clicks
    yield_1: float
    error_1: float
    gain_1: float
    rate: float


def vacuum_weak_yield(mu: float, nu: float, gain_mu: float, gain_nu: float, y0: float) -> float:
    """Lower bound on the single-photon yield from gains seen at mu and nu; negative when they tell nothing.

    ValueError unless mu > nu > 0.
    """
    if not mu > nu > 0:
        raise ValueError(f"the signal mu must be brighter than the weak decoy nu > 0, found mu={mu}, nu={nu}")
    share = (nu / mu) ** 2
    return mu / (mu * nu - nu**2) * (gain_nu * exp(nu) - gain_mu * exp(mu) * share - (1 - share) * y0)


def decoy_vacuum_weak(
    mu: float, nu: float, eta: float, y0: float, e_d: float, f_ec: float = 1.22, q_sift: float = 0.5
) -> VacuumWeak:
    """Rate with y0 taken as known from the vacuum decoy; ValueError unless mu > nu > 0.

    Where the bound on the yield is not positive nothing is known of single photons: error_1 is 1/2.
    """
    signal, decoy = ma_clicks(mu, eta, y0, e_d), ma_clicks(nu, eta, y0, e_d)
    yield_1 = vacuum_weak_yield(mu, nu, signal.gain, decoy.gain, y0)
    error_1 = (decoy.error * decoy.gain * exp(nu) - E0 * y0) / (yield_1 * nu) if yield_1 > 0 else E0
    gain_1 = yield_1 * mu * exp(-mu)
    rate = q_sift * (-signal.gain * f_ec * binary_entropy(signal.error) + gain_1 * (1 - binary_entropy(error_1)))
    return VacuumWeak(signal, decoy, yield_1, error_1, gain_1, rate)


def _root(f: Callable[[float], float], low: float, high: float) -> float:
    """Root of a falling function between low and high; an end when it has one sign only."""
    for _ in range(200):
        middle = (low + high) / 2
        if f(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def mu_opt(e_d: float, f_ec: float = 1.22) -> float:
    """Best signal intensity when dark counts are negligible: (1-mu) exp(-mu) = f h(e_d) / (1-h(e_d)).

    0 when e_d leaves no key at any intensity.
    """
    target = f_ec * binary_entropy(e_d) / (1 - binary_entropy(e_d))
    return _root(lambda mu: (1 - mu) * exp(-mu) - target, 0.0, 1.0)


def _reach_km(rate: Callable[[float], float]) -> float:
    """Where a rate that falls with distance reaches 0; 0 if it never was positive, inf if it stays so."""
    if rate(0.0) <= 0:
        return 0.0
    high = 1.0
    while rate(high) > 0:
        high *= 2
        if high > MAX_REACH_KM:
            return inf
    return _root(rate, high / 2 if high > 1 else 0.0, high)


def max_distance_infinite_decoy_km(
    alpha: float, eta_bob: float, y0: float, e_d: float, f_ec: float, mu: float
) -> float:
    """Where the rate with infinite decoys reaches 0; alpha in dB/km."""

    def rate(km: float) -> float:
        return gllp_infinite_decoy(mu, eta_bob * 10 ** (-alpha * km / 10), y0, e_d, f_ec).rate

    return _reach_km(rate)


def max_distance_vacuum_weak_km(
    alpha: float, eta_bob: float, y0: float, e_d: float, f_ec: float, mu: float, nu: float
) -> float:
    """Where the rate with vacuum and weak decoy reaches 0; alpha in dB/km."""

    def rate(km: float) -> float:
        bound = decoy_vacuum_weak(mu, nu, eta_bob * 10 ** (-alpha * km / 10), y0, e_d, f_ec)
        return bound.rate if bound.yield_1 > 0 and bound.error_1 < E0 else -1.0

    return _reach_km(rate)


def bb84_fraction(q_bit: float, q_phase: float, f_ec: float = 1.0) -> float:
    """Secret bits per sifted single-photon bit, 1 - f h(q_bit) - h(q_phase); not clamped."""
    return 1 - f_ec * binary_entropy(q_bit) - binary_entropy(q_phase)


def bb84_threshold(f_ec: float = 1.0) -> float:
    """QBER, equal in both bases, at which the fraction reaches 0: 11.0 % at f = 1."""
    return _root(lambda q: bb84_fraction(q, q, f_ec), 0.0, 0.5)
