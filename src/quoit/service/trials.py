"""Test rounds: what the results of tested states say of the fidelity, and with which confidence.

Results are numbers from -1 to 1 whose mean is known for every fidelity (`service.kinds`). Bounds on their mean are
Hoeffding's first inequality (doi:10.1080/01621459.1963.10500830, Theorem 1): for n of them with mean m, scaled to 0..1,
P(mean of results >= q) <= exp(-n KL(q || m)). It holds for any distribution, and for a sample drawn without
replacement, which is what a choice of states at random is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, log

from quoit.service.kinds import Kind

FALSE_ALARM = 1e-3
"""Probability at most that tests of sound states contradict their promise."""
MOST_TESTS = 10_000


@dataclass(frozen=True)
class Estimate:
    """Of a fidelity by `tests` results: the likeliest, and bounds of which each is wrong with the probability that was
    asked for."""

    fidelity: float
    least: float
    most: float
    tests: int


def divergence(q: float, m: float) -> float:
    """KL(q || m) of two coins, 0 <= q <= 1, 0 < m < 1."""
    first = q * log(q / m) if q > 0 else 0.0
    return first + ((1 - q) * log((1 - q) / (1 - m)) if q < 1 else 0.0)


def least_mean(mean: float, number: int, wrong: float) -> float:
    """The mean is below this with probability `wrong` at most."""
    return _edge(mean, number, wrong, 0.0)


def most_mean(mean: float, number: int, wrong: float) -> float:
    """The mean is above this with probability `wrong` at most."""
    return _edge(mean, number, wrong, 1.0)


def _edge(mean: float, number: int, wrong: float, end: float) -> float:
    """Between the mean and an end of 0..1: where the divergence is as large as `wrong` allows. Errs outwards."""
    allowed = log(1 / wrong) / number
    inside, outside = mean, end
    for _ in range(60):
        middle = (inside + outside) / 2
        if not 0 < middle < 1 or divergence(mean, middle) > allowed:
            outside = middle
        else:
            inside = middle
    return outside


def estimate(kind: Kind, results: Sequence[float], wrong: float, readouts: Sequence[float]) -> Estimate:
    """`wrong`: how improbable an error of either bound must be. `readouts`: of the parties' devices, as declared."""
    n = len(results)
    mean = (sum(results) / n + 1) / 2
    low, high = least_mean(mean, n, wrong), most_mean(mean, n, wrong)
    least, middle, most = (kind.fidelity_of(2 * value - 1) for value in (low, mean, high))
    return Estimate(
        min(1.0, max(0.0, middle)), max(0.0, least - kind.misread(readouts)),
        min(1.0, most + _read_low(kind, readouts)), n,
    )  # fmt: skip


def _read_low(kind: Kind, readouts: Sequence[float]) -> float:
    """How much too low wrong readouts can make an estimate: a result changes by 2 at most, if any bit is wrong."""
    right = 1.0
    for readout in readouts:
        right *= readout
    return (kind.fidelity_of(1.0) - kind.fidelity_of(-1.0)) * (1 - right)


def least_tests(kind: Kind, fidelity: float, wrong: float) -> int:
    """How many tests show this fidelity if every state is perfect; fewer never can."""
    best, floor = ((kind.mean_of(value) + 1) / 2 for value in (1.0, fidelity))
    if fidelity >= 1:
        return MOST_TESTS + 1
    return ceil(log(1 / wrong) / divergence(min(best, 1.0), floor))


# -- chance that nobody can foresee ------------------------------------------------------------------------


def dice(contributions: Iterable[bytes]) -> bytes:
    """What all ends have thrown together: as unpredictable as the best of them."""
    return hashlib.sha256(b"\x1f".join(sorted(contributions))).digest()


def thrown(together: bytes, what: str, below: int) -> int:
    """A number of 0 to `below` - 1 for this purpose; uneven by less than 2^-200."""
    digest = hashlib.sha256(together + b"\x1f" + what.encode()).digest()
    return int.from_bytes(digest, "big") % below
