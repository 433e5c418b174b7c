"""Finite-key lengths of decoy-state BB84 from counts per intensity.

- `lim2014`: two decoys, Lim, Curty, Walenta, Xu, Zbinden, PRA 89, 022307 (2014),
  doi:10.1103/PhysRevA.89.022307.
- `rusca2018`: one decoy, Rusca et al., APL 112, 171104 (2018), doi:10.1063/1.5023340.
- `no_decoys`: one intensity; all pulses of several photons count as known to an eavesdropper (Gottesman, Lo,
  Luetkenhaus, Preskill, QIC 4, 325 (2004)), with its own arguments.
- `onedecoy_2024`: one decoy, the corrected proof of Wiesemann et al., arXiv:2405.16578 (default). That paper
  shows technical flaws in the two earlier proofs; they stay for comparison.

The others take (mu, p, key counts, key errors, test counts, test errors, eps_sec, eps_cor). Error correction
costs `leak_bits` if given, else n f h(e). Sequences have one entry an intensity, strongest first. The test
basis only tells the phase error of the key basis.

A busy network judges a thousand blocks a second: plain scalars, no arrays, and intermediate values are
computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, floor, log, log2, sqrt
from typing import NamedTuple

from quoit.engine.physics.bb84 import binary_entropy

Numbers = Sequence[float]

LIM_TERMS = 21
RUSCA_TERMS = 19
WIESEMANN_TERMS = 15
"""In how many equal parts each proof splits its secrecy parameter."""
LEAST_RATE = 1e-12
"""Observed phase-error rates below this count as this: gamma has no value at 0."""


def _gamma(eps_sec: float, rate: float, s_test: float, s_key: float, terms: int) -> float:
    """Statistical gap between the error rate of the test and the phase-error rate of the key."""
    spread = (s_test + s_key) / (s_test * s_key)
    variance = (1 - rate) * rate
    # The logarithm is negative only for eps_sec near 1, where nothing is promised anyway.
    inner = max(0.0, log2(spread / variance * (terms / eps_sec) ** 2))
    return sqrt(spread * variance / log(2) * inner)


def _phase_error(v: float, s_test: float, s_key: float, eps_sec: float, terms: int) -> float:
    """Upper bound on the key's phase-error rate; 1/2 when nothing can be said."""
    if s_test <= 0 or s_key <= 0 or v >= s_test / 2:
        return 0.5
    rate = max(v / s_test, LEAST_RATE)
    return min(0.5, rate + _gamma(eps_sec, rate, s_test, s_key, terms))


def _leak(n: float, errors: float, f_ec: float, leak_bits: float | None) -> float:
    if leak_bits is not None:
        return leak_bits
    return n * f_ec * binary_entropy(errors / n) if n else 0.0


class Lim2014(NamedTuple):
    """Bounds and key length. X is the key basis there, Z the test basis; s_x1 and s_z1 may be negative."""

    s_x0: float
    s_x1: float
    s_z0: float
    s_z1: float
    v_z1: float
    phase_error: float
    leak_bits: float
    ell: int


class _ThreeIntensities:
    """Photon-number bounds of one source with two decoys."""

    __slots__ = ("_log_term", "_mu", "_tau0", "_tau1", "_w1", "_w2", "_w3")

    def __init__(self, mu: Numbers, p: Numbers, eps_sec: float) -> None:
        m1, m2, m3 = mu
        p1, p2, p3 = p
        if not (m1 > m2 + m3 and m2 > m3 >= 0):
            raise ValueError(f"two decoys need mu1 > mu2 + mu3 and mu2 > mu3 >= 0, found {tuple(mu)}")
        x1, x2, x3 = exp(m1), exp(m2), exp(m3)
        self._mu = (m1, m2, m3)
        self._w1, self._w2, self._w3 = x1 / p1, x2 / p2, x3 / p3
        self._tau0 = p1 / x1 + p2 / x2 + p3 / x3
        self._tau1 = p1 * m1 / x1 + p2 * m2 / x2 + p3 * m3 / x3
        self._log_term = log(LIM_TERMS / eps_sec) / 2

    def photons(self, counts: Numbers) -> tuple[float, float]:
        """Lower bounds on the clicks of vacuum and of single photons."""
        m1, m2, m3 = self._mu
        n1, n2, n3 = counts
        delta = sqrt((n1 + n2 + n3) * self._log_term)
        low2, low3 = self._w2 * (n2 - delta), self._w3 * (n3 - delta)
        high1, high2, high3 = self._w1 * (n1 + delta), self._w2 * (n2 + delta), self._w3 * (n3 + delta)
        s0 = max(0.0, self._tau0 * (m2 * low3 - m3 * high2) / (m2 - m3))
        brighter = m2 * m2 - m3 * m3
        excess = low2 - high3 - brighter / (m1 * m1) * (high1 - s0 / self._tau0)
        return s0, self._tau1 * m1 * excess / (m1 * (m2 - m3) - brighter)

    def single_errors(self, errors: Numbers) -> float:
        """Upper bound on the errors among the clicks of single photons."""
        _, m2, m3 = self._mu
        e1, e2, e3 = errors
        delta = sqrt((e1 + e2 + e3) * self._log_term)
        return max(0.0, self._tau1 * (self._w2 * (e2 + delta) - self._w3 * (e3 - delta)) / (m2 - m3))


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
    """Key length with two decoys. ValueError unless mu1 > mu2 + mu3 and mu2 > mu3 >= 0."""
    source = _ThreeIntensities(mu, p, eps_sec)
    s_x0, s_x1 = source.photons(key_counts)
    s_z0, s_z1 = source.photons(test_counts)
    v = source.single_errors(test_errors)
    phase = _phase_error(v, s_z1, s_x1, eps_sec, LIM_TERMS)
    leak = _leak(sum(key_counts), sum(key_errors), f_ec, leak_bits)
    secret = s_x0 + s_x1 * (1 - binary_entropy(phase)) - leak
    length = secret - 6 * log2(LIM_TERMS / eps_sec) - log2(2 / eps_cor)
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
    """Expected counts in the paper's channel model.

    `N` pulses, `q_x` share of basis X at each end, `eta_ch` and `eta_bob` transmittances of channel and
    receiver, `p_dc` dark counts per gate and detector, `p_ap` afterpulses per click, `e_mis` misalignment.
    """
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
    """Bounds and key length with one decoy, >= 0. `ell` of the 2024 proof is not rounded."""

    s_key0: float
    s_key1: float
    s_test1: float
    v_test1: float
    phase_error: float
    leak_bits: float
    ell: float


class _TwoIntensities:
    """What the two proofs with one decoy share: weights and photon-number probabilities of the source."""

    __slots__ = ("_share", "_to_singles", "log_term", "mu1", "mu2", "tau0", "tau1", "w1", "w2")

    def __init__(self, mu: Numbers, p: Numbers, eps: float) -> None:
        m1, m2 = mu
        p1, p2 = p
        if not m1 > m2 > 0:
            raise ValueError(f"one decoy needs mu1 > mu2 > 0, found {tuple(mu)}")
        x1, x2 = exp(m1), exp(m2)
        self.mu1, self.mu2 = m1, m2
        self.w1, self.w2 = x1 / p1, x2 / p2
        self.tau0 = p1 / x1 + p2 / x2
        self.tau1 = p1 * m1 / x1 + p2 * m2 / x2
        self.log_term = log(1 / eps) / 2
        self._to_singles = self.tau1 * m1 / (m2 * (m1 - m2))
        self._share = (m2 / m1) ** 2

    def vacuum_most(self, errors1: float, errors2: float, delta: float) -> float:
        """Upper bound on vacuum clicks: half of them are errors. Errors bounded from above, per intensity."""
        return 2 * (self.tau0 * min(self.w1 * errors1, self.w2 * errors2) + delta)

    def singles_least(self, high1: float, low2: float, vacuum: float) -> float:
        """Lower bound on clicks of single photons, from bounds on the counts and the most vacuum clicks."""
        share = self._share
        return self._to_singles * (self.w2 * low2 - share * self.w1 * high1 - (1 - share) * vacuum / self.tau0)

    def single_errors_most(self, high1: float, low2: float) -> float:
        """Upper bound on errors of single photons, from bounds on the errors; may be negative."""
        return self.tau1 / (self.mu1 - self.mu2) * (self.w1 * high1 - self.w2 * low2)


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
    """Key length with one decoy after Rusca et al. 2018. ValueError unless mu1 > mu2 > 0."""
    source = _TwoIntensities(mu, p, eps_sec / RUSCA_TERMS)
    n1, n2 = key_counts
    delta = sqrt((n1 + n2) * source.log_term)
    least_vacuum = source.mu1 * source.w2 * (n2 - delta) - source.mu2 * source.w1 * (n1 + delta)
    s0 = max(0.0, source.tau0 / (source.mu1 - source.mu2) * least_vacuum)
    s1 = _rusca_singles(source, n1, n2, *key_errors)
    s_test = _rusca_singles(source, *test_counts, *test_errors)
    e1, e2 = test_errors
    delta = sqrt((e1 + e2) * source.log_term)
    v = max(0.0, source.single_errors_most(e1 + delta, e2 - delta))
    phase = _phase_error(v, s_test, s1, eps_sec, RUSCA_TERMS)
    leak = _leak(n1 + n2, sum(key_errors), f_ec, leak_bits)
    secret = s0 + s1 * (1 - binary_entropy(phase)) - leak
    length = secret - 6 * log2(RUSCA_TERMS / eps_sec) - log2(2 / eps_cor)
    return OneDecoy(s0, s1, s_test, v, phase, leak, max(0, floor(length)))


def _rusca_singles(source: _TwoIntensities, n1: float, n2: float, e1: float, e2: float) -> float:
    delta = sqrt((n1 + n2) * source.log_term)
    delta_e = sqrt((e1 + e2) * source.log_term)
    vacuum = source.vacuum_most(e1 + delta_e, e2 + delta_e, delta)
    return source.singles_least(n1 + delta, n2 - delta, vacuum)


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
    """Key length with one decoy after the corrected proof. ValueError unless mu1 > mu2 > 0.

    Bounded counts stay between 0 and the total of their kind (clicks, or errors, of the basis); clicks of
    vacuum give no key.
    """
    eps0 = eps_sec / WIESEMANN_TERMS
    source = _TwoIntensities(mu, p, eps0)
    n1, n2 = key_counts
    s_key = _wiesemann_singles(source, n1, n2, *key_errors)
    t1, t2 = test_counts
    e1, e2 = test_errors
    s_test = _wiesemann_singles(source, t1, t2, e1, e2)
    delta = sqrt((e1 + e2) * source.log_term)
    v = source.single_errors_most(min(e1 + delta, e1 + e2), max(e2 - delta, 0.0))
    v = min(max(v, 0.0), t1 + t2)
    leak = _leak(n1 + n2, sum(key_errors), f_ec, leak_bits)
    if s_key <= 0 or s_test <= 0:
        return OneDecoy(0.0, s_key, s_test, v, 0.5, leak, 0.0)
    gap = sqrt((s_test + s_key) / (s_test * s_key) * (s_test + 1) / s_test * 2 * source.log_term)
    phase = min(0.5, v / s_test + gap)
    secret = s_key * (1 - binary_entropy(phase)) - leak
    length = secret - log2(2 / eps_cor) - 4 * log2(WIESEMANN_TERMS / (eps_sec * 2**0.25))
    return OneDecoy(0.0, s_key, s_test, v, phase, leak, max(0.0, length))


def _wiesemann_singles(source: _TwoIntensities, n1: float, n2: float, e1: float, e2: float) -> float:
    n, e = n1 + n2, e1 + e2
    delta = sqrt(n * source.log_term)
    delta_e = sqrt(e * source.log_term)
    vacuum = min(n, source.vacuum_most(min(e1 + delta_e, e), min(e2 + delta_e, e), delta))
    s1 = source.singles_least(min(n1 + delta, n), max(n2 - delta, 0.0), vacuum)
    return min(max(s1, 0.0), n)


class Untagged(NamedTuple):
    """Clicks of the key and the test that no eavesdropper may know from splitting, the phase error, the length >= 0."""

    key: float
    test: float
    phase_error: float
    ell: float


def no_decoys(
    mu: float,
    key_pulses: float,
    key_count: float,
    test_pulses: float,
    test_count: float,
    test_errors: float,
    eps_sec: float,
    eps_cor: float,
    leak_bits: float,
) -> Untagged:
    """Key length from one intensity: every pulse of two photons or more is taken as one that clicked and is known.

    `key_pulses`, `test_pulses`: pulses that were sent and would have been measured in each basis. The number of pulses
    of several photons is bounded by Bernstein's inequality, the phase error by sampling without replacement
    (Tomamichel et al., Nat. Commun. 3, 634 (2012)) with all errors on pulses that are not tagged. Expected counts of
    basis choices stand for drawn ones (approximation: they scatter by less than that bound). Of eps_sec a quarter goes
    to the two tails of Bernstein's bound, half to smoothing by eps_sec / 4 at both ends, a quarter to the hashing.
    """
    several = 1 - exp(-mu) * (1 + mu)
    b = log(8 / eps_sec)

    def tagged(pulses: float) -> float:
        mean = pulses * several
        return mean + b / 3 + sqrt(b * b / 9 + 2 * mean * b)

    key, test = key_count - tagged(key_pulses), test_count - tagged(test_pulses)
    if key <= 0 or test <= 0 or test_errors >= test / 2:
        return Untagged(max(key, 0.0), max(test, 0.0), 0.5, 0.0)
    gap = sqrt((key + test) * (test + 1) / (key * test**2) * log(4 / eps_sec))
    phase = min(0.5, test_errors / test + gap)
    secret = key * (1 - binary_entropy(phase)) - leak_bits
    return Untagged(key, test, phase, max(0.0, secret - log2(8 / (eps_sec**2 * eps_cor))))
