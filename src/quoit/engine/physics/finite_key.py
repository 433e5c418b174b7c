"""Finite-key lengths of decoy-state BB84 from counts per intensity.

- `lim2014`: two decoys, Lim, Curty, Walenta, Xu, Zbinden, PRA 89, 022307 (2014).
- `rusca2018`: one decoy, Rusca et al., APL 112, 171104 (2018), doi:10.1063/1.5023340.
- `onedecoy_2024`: one decoy, the corrected proof of Wiesemann et al., arXiv:2405.16578 (default). That paper
  shows technical flaws in the two earlier proofs; they stay for comparison.

All take (mu, p, key counts, key errors, test counts, test errors, eps_sec, eps_cor). Error correction
costs `leak_bits` if given, else n f h(e). Sequences have one entry an intensity, strongest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, factorial, floor, log, log2, sqrt
from typing import NamedTuple

from quoit.engine.physics.bb84 import binary_entropy

Numbers = Sequence[float]


def _tau(mu: Numbers, p: Numbers, photons: int) -> float:
    """Probability that the source emits so many photons."""
    return sum(pk * exp(-k) * k**photons / factorial(photons) for k, pk in zip(mu, p, strict=True))


def _gamma(a: float, b: float, c: float, d: float, terms: int) -> float:
    """Statistical gap between the phase error of the key and the bit error of the test."""
    b = max(b, 1e-12)
    if c <= 0 or d <= 0 or b >= 1:
        return 0.5
    inner = (c + d) / (c * d * (1 - b) * b) * terms**2 / a**2
    return sqrt((c + d) * (1 - b) * b / (c * d * log(2)) * log2(inner))


def _phase_error(v: float, s_test: float, s_key: float, eps_sec: float, terms: int) -> float:
    if s_test <= 0 or s_key <= 0 or v / s_test >= 0.5:
        return 0.5
    rate = v / s_test
    return min(0.5, rate + _gamma(eps_sec, rate, s_test, s_key, terms))


def _leak(counts: Numbers, errors: Numbers, f_ec: float, leak_bits: float | None) -> float:
    if leak_bits is not None:
        return leak_bits
    n = sum(counts)
    return n * f_ec * binary_entropy(sum(errors) / n) if n else 0.0


class Lim2014(NamedTuple):
    """Bounds and key length. X is the key basis there, Z the test basis."""

    s_x0: float
    s_x1: float
    s_z0: float
    s_z1: float
    v_z1: float
    phase_error: float
    leak_bits: float
    ell: int


def _scaled(mu: Numbers, p: Numbers, counts: Numbers, delta: float, sign: int) -> list[float]:
    return [exp(k) / pk * (n + sign * delta) for k, pk, n in zip(mu, p, counts, strict=True)]


def lim2014(
    mu: Numbers,
    p: Numbers,
    key_counts: Numbers,
    key_errors: Numbers,
    test_counts: Numbers,
    test_errors: Numbers,
    eps_sec: float,
    eps_cor: float,
    f_ec: float = 1.16,
    leak_bits: float | None = None,
) -> Lim2014:
    """Key length with two decoys; mu1 > mu2 + mu3, mu2 > mu3 >= 0."""
    tau0, tau1 = _tau(mu, p, 0), _tau(mu, p, 1)
    m1, m2, m3 = mu

    def singles(counts: Numbers) -> tuple[float, float]:
        delta = sqrt(sum(counts) / 2 * log(21 / eps_sec))
        low, high = _scaled(mu, p, counts, delta, -1), _scaled(mu, p, counts, delta, +1)
        s0 = max(0.0, tau0 * (m2 * low[2] - m3 * high[1]) / (m2 - m3))
        s1 = (
            tau1
            * m1
            * (low[1] - high[2] - (m2**2 - m3**2) / m1**2 * (high[0] - s0 / tau0))
            / (m1 * (m2 - m3) - m2**2 + m3**2)
        )
        return s0, s1

    s_x0, s_x1 = singles(key_counts)
    s_z0, s_z1 = singles(test_counts)
    delta_m = sqrt(sum(test_errors) / 2 * log(21 / eps_sec))
    low, high = _scaled(mu, p, test_errors, delta_m, -1), _scaled(mu, p, test_errors, delta_m, +1)
    v = max(0.0, tau1 * (high[1] - low[2]) / (m2 - m3))
    phase = _phase_error(v, s_z1, s_x1, eps_sec, 21)
    leak = _leak(key_counts, key_errors, f_ec, leak_bits)
    length = s_x0 + s_x1 * (1 - binary_entropy(phase)) - leak - 6 * log2(21 / eps_sec) - log2(2 / eps_cor)
    return Lim2014(s_x0, s_x1, s_z0, s_z1, v, phase, leak, max(0, floor(length)))


class LimCounts(NamedTuple):
    """Expected counts per intensity: key basis X and test basis Z, errors m."""

    n_x: tuple[float, ...]
    m_x: tuple[float, ...]
    n_z: tuple[float, ...]
    m_z: tuple[float, ...]


def lim2014_counts(
    mu: Numbers,
    p: Numbers,
    q_x: float,
    N: float,
    eta_ch: float,
    eta_bob: float,
    p_dc: float,
    p_ap: float,
    e_mis: float,
) -> LimCounts:
    """The paper's channel model; N pulses, e_mis misalignment, p_dc and p_ap per gate."""
    eta = eta_ch * eta_bob
    rates, errors = [], []
    for k in mu:
        d = 1 - (1 - 2 * p_dc) * exp(-eta * k)
        rates.append(d * (1 + p_ap))
        errors.append(p_dc + e_mis * (1 - exp(-eta * k)) + p_ap * d / 2)

    def share(values: Numbers, basis: float) -> tuple[float, ...]:
        return tuple(N * pk * basis * v for pk, v in zip(p, values, strict=True))

    x, z = q_x**2, (1 - q_x) ** 2
    return LimCounts(share(rates, x), share(errors, x), share(rates, z), share(errors, z))


class OneDecoy(NamedTuple):
    """Bounds and key length with one decoy. `ell` of the 2024 proof is not rounded."""

    s_key0: float
    s_key1: float
    s_test1: float
    v_test1: float
    phase_error: float
    leak_bits: float
    ell: float


def rusca2018(
    mu: Numbers,
    p: Numbers,
    key_counts: Numbers,
    key_errors: Numbers,
    test_counts: Numbers,
    test_errors: Numbers,
    eps_sec: float,
    eps_cor: float,
    f_ec: float = 1.16,
    leak_bits: float | None = None,
) -> OneDecoy:
    """Key length with one decoy, mu1 > mu2; Rusca et al. 2018."""
    tau0, tau1 = _tau(mu, p, 0), _tau(mu, p, 1)
    m1, m2 = mu
    log_term = log(19 / eps_sec)

    def singles(counts: Numbers, errors: Numbers) -> tuple[float, float]:
        delta, delta_m = sqrt(sum(counts) / 2 * log_term), sqrt(sum(errors) / 2 * log_term)
        low, high = _scaled(mu, p, counts, delta, -1), _scaled(mu, p, counts, delta, +1)
        s0_low = max(0.0, tau0 / (m1 - m2) * (m1 * low[1] - m2 * high[0]))
        s0_high = min(2 * (tau0 * exp(k) / pk * (m + delta_m) + delta) for k, pk, m in zip(mu, p, errors, strict=True))
        s1 = (
            tau1 * m1 / (m2 * (m1 - m2)) * (low[1] - m2**2 / m1**2 * high[0] - (m1**2 - m2**2) / m1**2 * s0_high / tau0)
        )
        return s0_low, s1

    s0, s1 = singles(key_counts, key_errors)
    _, s_test1 = singles(test_counts, test_errors)
    delta_m = sqrt(sum(test_errors) / 2 * log_term)
    low, high = _scaled(mu, p, test_errors, delta_m, -1), _scaled(mu, p, test_errors, delta_m, +1)
    v = max(0.0, tau1 / (m1 - m2) * (high[0] - low[1]))
    phase = _phase_error(v, s_test1, s1, eps_sec, 19)
    leak = _leak(key_counts, key_errors, f_ec, leak_bits)
    length = s0 + s1 * (1 - binary_entropy(phase)) - leak - 6 * log2(19 / eps_sec) - log2(2 / eps_cor)
    return OneDecoy(s0, s1, s_test1, v, phase, leak, max(0, floor(length)))


def _clipped(values: Numbers, counts: Numbers, delta: float, sign: int) -> list[float]:
    return [min(max(v + sign * delta, 0.0), c) for v, c in zip(values, counts, strict=True)]


def onedecoy_2024(
    mu: Numbers,
    p: Numbers,
    key_counts: Numbers,
    key_errors: Numbers,
    test_counts: Numbers,
    test_errors: Numbers,
    eps_sec: float,
    eps_cor: float,
    f_ec: float = 1.16,
    leak_bits: float | None = None,
) -> OneDecoy:
    """Key length with one decoy after the corrected proof; all counts clipped to what was detected."""
    tau0, tau1 = _tau(mu, p, 0), _tau(mu, p, 1)
    m1, m2 = mu
    eps0 = eps_sec / 15
    weights = [exp(k) / pk for k, pk in zip(mu, p, strict=True)]

    def bounds(values: Numbers, total: float) -> tuple[list[float], list[float]]:
        delta = sqrt(sum(values) / 2 * log(1 / eps0))
        everything = [total] * 2
        low, high = _clipped(values, everything, delta, -1), _clipped(values, everything, delta, +1)
        return (
            [w * v for w, v in zip(weights, low, strict=True)],
            [w * v for w, v in zip(weights, high, strict=True)],
        )

    def singles(counts: Numbers, errors: Numbers) -> float:
        n = sum(counts)
        low, high = bounds(counts, n)
        _, errors_high = bounds(errors, n)
        delta = sqrt(n / 2 * log(1 / eps0))
        s0_high = min(2 * (tau0 * m + delta) for m in errors_high)
        s0_high = min(max(s0_high, 0.0), n)
        s1 = (
            tau1 * m1 / (m2 * (m1 - m2)) * (low[1] - m2**2 / m1**2 * high[0] - (m1**2 - m2**2) / m1**2 * s0_high / tau0)
        )
        return min(max(s1, 0.0), n)

    s_key, s_test = singles(key_counts, key_errors), singles(test_counts, test_errors)
    n_test = sum(test_counts)
    low, high = bounds(test_errors, n_test)
    v = min(max(tau1 / (m1 - m2) * (high[0] - low[1]), 0.0), n_test)
    leak = _leak(key_counts, key_errors, f_ec, leak_bits)
    if s_key <= 0 or s_test <= 0:
        return OneDecoy(0.0, s_key, s_test, v, 0.5, leak, 0.0)
    rate = min(0.5, v / s_test)
    gap = sqrt((s_test + s_key) / (s_test * s_key) * (s_test + 1) / s_test * log(1 / eps0))
    phase = rate + gap
    length = (
        s_key * (1 - binary_entropy(min(0.5, phase))) - leak - log2(2 / eps_cor) - 4 * log2(15 / (eps_sec * 2**0.25))
    )
    return OneDecoy(0.0, s_key, s_test, v, phase, leak, max(0.0, length))
