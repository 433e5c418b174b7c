"""Watching a rate of counts for a change in either direction: two CUSUM tests on Poisson counts.

Page, Biometrika 41, 100 (1954); Lucas, Technometrics 27, 129 (1985) for counts. The baseline is learned first, until
its own standard error is a tenth of the change that the test is built for: a test that is armed on a rate which is
wrong by half that change drifts into an alarm of its own making, and ten to one leaves five standard errors for that.
"""

from __future__ import annotations

from enum import StrEnum
from math import log1p

ALARM = 30.0
"""ln of the likelihood ratio that raises the alarm: an excursion of this height is 1e-13 likely by chance."""


class Change(StrEnum):
    """What became of a rate."""

    RISEN = "risen"
    FALLEN = "fallen"


class CountTrend:
    """CUSUM over (counts, exposure) pairs. Exposure is whatever counts are proportional to: seconds, pulses."""

    def __init__(self, shift: float, alarm: float = ALARM) -> None:
        """`shift`: the relative change that the test is built for, 0 to 1, excluded. Raises ValueError."""
        if not 0 < shift < 1:
            raise ValueError(f"expected a relative change between 0 and 1; found {shift}")
        self.baseline: float | None = None
        """Counts for one unit of exposure, once learned."""
        self.rise = self.fall = 0.0
        self._shift, self._alarm = shift, alarm
        self._per_count = log1p(shift), log1p(-shift)
        self._to_learn = (10 / shift) ** 2
        self._counts = 0
        self._exposure = 0.0

    def add(self, counts: int, exposure: float) -> Change | None:
        """Take in one reading; says which way the rate has gone when the alarm limit is passed."""
        if exposure <= 0:
            return None
        if self.baseline is None:
            self._counts += counts
            self._exposure += exposure
            if self._counts >= self._to_learn:
                self.baseline = self._counts / self._exposure
            return None
        expected = self.baseline * exposure
        up, down = self._per_count
        rise = self.rise + counts * up - expected * self._shift
        fall = self.fall + counts * down + expected * self._shift
        self.rise = rise if rise > 0 else 0.0
        self.fall = fall if fall > 0 else 0.0
        if rise > self._alarm:
            return Change.RISEN
        return Change.FALLEN if fall > self._alarm else None

    def ratio(self, counts: int, exposure: float) -> float | None:
        """A reading as a multiple of the baseline; None while there is none."""
        if self.baseline is None or exposure <= 0:
            return None
        return counts / (self.baseline * exposure)

    def rearm(self) -> None:
        """Forget the excursions, keep the baseline."""
        self.rise = self.fall = 0.0

    def relearn(self) -> None:
        """The rate is meant to be another one from now on: learn it."""
        self.rearm()
        self.baseline = None
        self._counts, self._exposure = 0, 0.0
