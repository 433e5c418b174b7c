"""Readings of delivered pairs: which results two ends get that measure in settings chosen at random.

Counts are, for each setting of the left end and within it for each of the right end: pairs, and those of them whose
two results differ. Every pair's results are drawn from its own true state, which is Bell-diagonal in the pair machine;
only their numbers are kept, no record a pair.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, sin

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Setting:
    """A direction between Z (0) and X (pi/2), and the probability with which an end chooses it."""

    angle_rad: float
    p: float


@dataclass(frozen=True)
class Settings:
    """Of both ends. The probabilities of an end sum to 1."""

    left: tuple[Setting, ...]
    right: tuple[Setting, ...]

    @property
    def counts(self) -> int:
        """How many counts a chunk has."""
        return 2 * len(self.left) * len(self.right)


def measured(
    settings: Settings, state: NDArray[np.float64], right_bits: float, rng: np.random.Generator
) -> tuple[int, ...]:
    """Counts of pairs with these eigenvalues, shape (n, 3). `right_bits`: how much of a correlator is left by both
    ends' readouts, (2 eta - 1)^2 where both are right with probability eta."""
    n, columns = len(state), len(settings.right)
    left, right = (_chosen(end, rng.random(n)) for end in (settings.left, settings.right))
    along_z = _table([s.angle_rad for s in settings.left], [s.angle_rad for s in settings.right], cos)[left, right]
    along_x = _table([s.angle_rad for s in settings.left], [s.angle_rad for s in settings.right], sin)[left, right]
    correlator = right_bits * (along_x * state[:, 0] + along_z * state[:, 2])
    differ = rng.random(n) < (1 - correlator) / 2
    place = left * columns + right
    size = settings.counts // 2
    both = np.stack([np.bincount(place, minlength=size), np.bincount(place[differ], minlength=size)], axis=1)
    return tuple(both.ravel().tolist())


def _chosen(end: tuple[Setting, ...], dice: NDArray[np.float64]) -> NDArray[np.int64]:
    edges = np.cumsum([s.p for s in end[:-1]])
    return np.searchsorted(edges, dice, side="right")


def _table(left: list[float], right: list[float], part: Callable[[float], float]) -> NDArray[np.float64]:
    return np.outer([part(a) for a in left], [part(b) for b in right])
