"""Mean of a few runs and how far it may be off: Student's interval."""

from __future__ import annotations

from collections.abc import Sequence
from math import atan, cos, pi, sin, sqrt
from statistics import fmean, stdev

LEVEL = 0.95


def mean_and_half(values: Sequence[float], level: float = LEVEL) -> tuple[float, float | None]:
    """Mean, and half the width of its interval at `level` if the values are normal; None for a single value.

    ValueError for no value."""
    if not values:
        raise ValueError("expected one value or more, found none")
    if len(values) == 1:
        return values[0], None
    return fmean(values), student(len(values) - 1, level) * stdev(values) / sqrt(len(values))


def student(degrees: int, level: float = LEVEL) -> float:
    """The t within which, either way, Student's distribution has the share `level`; 1 degree of freedom or more.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4, inverted by halving.
    """
    low, high = 0.0, 1.0
    while within(high, degrees) < level:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle, degrees) < level else (low, middle)
    return high


def within(t: float, degrees: int) -> float:
    """Share of Student's distribution between -t and t."""
    angle = atan(t / sqrt(degrees))
    square = cos(angle) ** 2
    odd = degrees % 2
    term = cos(angle) if odd else 1.0
    total = 0.0
    for k in range(2 + odd, degrees + 1, 2):
        total += term
        term *= square * (k - 1) / k
    if not odd:
        return sin(angle) * total
    return 2 / pi * (angle + sin(angle) * total)
