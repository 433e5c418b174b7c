"""The binomial law, with digits in its thin tails."""

from __future__ import annotations

from collections.abc import Iterable
from math import exp, lgamma, log, log1p


def mass(n: int, k: int, q: float) -> float:
    """Probability of exactly k of n when each has probability q."""
    if not 0 <= k <= n:
        return 0.0
    if q <= 0 or q >= 1:
        return float(k == (0 if q <= 0 else n))
    return exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(q) + (n - k) * log1p(-q))


# Each tail is summed itself: one minus the other side would leave a tail of 1e-20 no digits.
def up_to(n: int, k: int, q: float) -> float:
    """Probability of at most k of n."""
    return _total(mass(n, j, q) for j in range(min(k, n) + 1))


def above(n: int, k: int, q: float) -> float:
    """Probability of more than k of n."""
    return _total(mass(n, j, q) for j in range(max(k + 1, 0), n + 1))


def _total(masses: Iterable[float]) -> float:
    return min(1.0, sum(masses))
