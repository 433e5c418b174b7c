"""Watching a share of counts that nothing harmless brings below a known floor: a one-sided CUSUM test.

Page, Biometrika 41, 100 (1954). There is no baseline to learn, so what was there from the start is found as well.
"""

from __future__ import annotations

from math import log, sqrt

ALARM = 30.0
"""ln of the likelihood ratio that raises the alarm: an excursion of this height is 1e-13 likely by chance."""


class ShareFloor:
    """CUSUM over (part, whole) pairs for a share below `floor`.

    `since` is the mark of the last reading before the excursion.
    """

    def __init__(self, floor: float, shift: float = 0.05, alarm: float = ALARM) -> None:
        """`shift`: the relative fall that the test is built for. ValueError for numbers outside 0 to 1."""
        if not (0 < floor < 1 and 0 < shift < 1):
            raise ValueError(f"expected a floor and a shift between 0 and 1; found {floor} and {shift}")
        fallen = floor * (1 - shift)
        self.floor, self.score, self.since = floor, 0.0, 0
        self._shift, self._alarm = shift, alarm
        self._per_part, self._per_rest = log(fallen / floor), log((1 - fallen) / (1 - floor))
        self._mark = 0

    def add(self, part: int, whole: int, mark: int) -> bool:
        """Take in one reading, which ended at `mark`; True when the alarm limit is passed."""
        if self.score == 0.0:
            self.since = self._mark
        self._mark = mark
        score = self.score + part * self._per_part + (whole - part) * self._per_rest
        self.score = score if score > 0 else 0.0
        return score > self._alarm

    def normal(self, part: int, whole: int) -> bool:
        """Whether a reading is not below the floor (by more than half the shift and three standard errors)."""
        if not whole:
            return False
        slack = 3 * sqrt(self.floor * (1 - self.floor) / whole)
        return part / whole >= self.floor * (1 - self._shift / 2) - slack

    def rearm(self) -> None:
        """Forget the excursion."""
        self.score, self.since = 0.0, self._mark
