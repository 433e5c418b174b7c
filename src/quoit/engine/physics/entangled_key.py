"""Finite keys of measured pairs: phase errors by sampling, CHSH values of counts, key lengths.

Sources: Tomamichel, Lim, Gisin, Renner, Nat. Commun. 3, 634 (2012), doi:10.1038/ncomms1631, for keys of a basis whose
phase errors are sampled in another one; Hoeffding, J. Am. Stat. Assoc. 58, 13 (1963), and Serfling, Ann. Stat. 2, 39
(1974), for the tails; Ekert, PRL 67, 661 (1991), doi:10.1103/PhysRevLett.67.661, for the settings.

The published proof fixes the error rate that it tolerates beforehand; here, as in devices of the field, the counted
rate takes its place and the length varies. All lengths trust the measuring devices: settings are what they are said to
be. None is device-independent; that would take another proof (`bounds.diqkd_fraction` has what would be left without
statistics).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log, log2, sqrt
from typing import NamedTuple

from quoit.engine.physics.bb84 import bb84_threshold, binary_entropy
from quoit.engine.physics.postprocessing import ec_leak_bits

FLIP = (1 - 1 / sqrt(2)) / 2
"""Share of results that differ between a qubit read in X, and in one of the two bases at 45 degrees to it at random."""


def sampling_gap(n_key: float, n_test: float, tail: float) -> float:
    """How much larger than in the test the share of errors in the untested rest may be, but with probability `tail`
    (Serfling's bound for sampling without replacement)."""
    return sqrt((n_key + n_test) * (n_test + 1) / (n_key * n_test**2) * log(1 / tail) / 2)


class KeyLength(NamedTuple):
    """Upper bound on the phase-error rate of the key basis, what error correction tells, secret bits (not rounded)."""

    phase_error: float
    leak_bits: int
    bits: float


def _length(n: int, m: int, phase: float, f_ec: float, eps_sec: float, eps_cor: float) -> KeyLength:
    leak = ceil(ec_leak_bits(n, min(0.5, m / n), f_ec))
    return KeyLength(phase, leak, n * (1 - binary_entropy(phase)) - leak - log2(2 / (eps_sec**2 * eps_cor)))


def bbm92_length(
    n_key: int, m_key: int, n_test: int, m_test: int, f_ec: float, eps_sec: float, eps_cor: float
) -> KeyLength:
    """Key of one basis whose phase errors were counted in the other one: `n` results of both ends, `m` that differ.

    The smoothing parameter is eps_sec / 4, so the tail of the sampling may have its square: that is the paper's
    ln(4 / eps_sec) under the root. What the key is away from ideal adds up to twice that parameter, and eps_sec / 2 of
    the hashing, for which the last term of the length pays: eps_sec.
    """
    gap = sampling_gap(n_key, n_test, (eps_sec / 4) ** 2)
    return _length(n_key, m_key, min(0.5, m_test / n_test + gap), f_ec, eps_sec, eps_cor)


def e91_length(
    n_key: int, m_key: int, n_test: int, m_test: int, f_ec: float, eps_sec: float, eps_cor: float
) -> KeyLength:
    """Key of Z results; the test: one end read X, the other D = (Z+X)/sqrt2 or, equally often and at random, A =
    (Z-X)/sqrt2, with its results turned round for A. `m_test` counts where they differ.

    For a qubit that choice is a reading of X of which the share `FLIP` is turned round at random. So the true errors
    in X are bounded by Hoeffding's tail, then those of the key basis by Serfling's; each gets half of the room.
    """
    tail = (eps_sec / 4) ** 2 / 2
    seen = m_test / n_test + sqrt(log(1 / tail) / (2 * n_test))
    in_test = max(0.0, (seen - FLIP) / (1 - 2 * FLIP))
    phase = min(0.5, in_test + sampling_gap(n_key, n_test, tail))
    return _length(n_key, m_key, phase, f_ec, eps_sec, eps_cor)


class Chsh(NamedTuple):
    """Estimate of S, and what it is at least but with the probability that was asked for."""

    estimate: float
    least: float


def chsh_of_counts(counts: Sequence[tuple[int, int]], eps: float) -> Chsh:
    """S = E1 + E2 + E3 - E4 from (results, results that differ) of the four settings, the last one with the minus.

    `least` is Hoeffding's bound for rounds that are independent of each other; both are 0 without results.
    """
    if not all(n for n, _ in counts):
        return Chsh(0.0, 0.0)
    first, second, third, last = (1 - 2 * m / n for n, m in counts)
    value = first + second + third - last
    return Chsh(value, value - sqrt(2 * log(1 / eps) * sum(1 / n for n, _ in counts)))


def least_key_fidelity(f_ec: float) -> float:
    """Fidelity of a Werner pair above which BBM92 leaves a key of long blocks; `f_ec`: of error correction."""
    return 1 - 1.5 * bb84_threshold(f_ec)
