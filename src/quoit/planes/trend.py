"""Watching an error rate for a rise: a one-sided CUSUM test on counted errors.

Page, Biometrika 41, 100 (1954). The baseline is learned from the first detections. The alarm limit is a
log-likelihood ratio: ln(1/p) with p the false-alarm scale of one excursion.
"""

from __future__ import annotations

from math import log, sqrt

LEARN = 20_000
"""Detections that make the baseline."""

ALARM = 30.0
"""ln of the likelihood ratio that raises the alarm: an excursion of this height is 1e-13 likely by chance."""

LEAST_SHIFT = 0.01
"""The rise in error rate that the test is built for, at least."""


class ErrorTrend:
    """CUSUM over (tested, errors) pairs.

    `since` is the mark at which the excursion began: that of the last reading before it, so that nothing
    made within the first suspect reading is trusted. While the baseline is learned, that is the start.
    """

    def __init__(self, ceiling: float) -> None:
        """`ceiling`: an error rate that is an alarm whatever the baseline."""
        self.ceiling = ceiling
        self.baseline: float | None = None
        self.score: float = 0.0
        self.since = 0
        self._mark = 0
        self._per_error = 0.0
        self._per_good = 0.0
        self._tested = 0
        self._errors = 0

    def add(self, tested: int, errors: int, mark: int) -> bool:
        """Take in one reading, which ended at `mark`; True when the alarm limit is passed."""
        began = self._mark
        self._mark = mark
        if tested == 0:
            return False
        if self.baseline is None:
            return self._learn(tested, errors)
        if self.score == 0.0:
            self.since = began
        score = self.score + errors * self._per_error + (tested - errors) * self._per_good
        self.score = score if score > 0 else 0.0
        return score > ALARM

    def _learn(self, tested: int, errors: int) -> bool:
        self._tested += tested
        self._errors += errors
        rate = self._errors / self._tested
        if self._tested >= LEARN // 20 and rate > self.ceiling:
            return True
        if self._tested >= LEARN:
            self._arm(max(rate, 1e-4))
        return False

    def _arm(self, q0: float) -> None:
        q1 = min(0.5, q0 + max(LEAST_SHIFT, q0 / 3))
        self.baseline = q0
        self._per_error = log(q1 / q0)
        self._per_good = log((1 - q1) / (1 - q0))

    def normal(self, tested: int, errors: int) -> bool:
        """Whether a reading agrees with the baseline again (within half the shift the test is built for)."""
        if tested == 0:
            return False
        q0 = self.baseline if self.baseline is not None else self.ceiling / 2
        return errors / tested <= q0 + max(LEAST_SHIFT, q0 / 3) / 2 + 3 * sqrt(q0 / tested)

    @property
    def last_trusted(self) -> int:
        """The mark up to which nothing is suspect: where the excursion began, or the last reading ended."""
        return self.since if self.score > 0 or self.baseline is None else self._mark

    def skip(self, mark: int) -> None:
        """Pass over a reading that ended at `mark` and must not count."""
        self._mark = mark

    def rearm(self) -> None:
        """Forget the excursion, keep the baseline."""
        self.score = 0.0
        self.since = self._mark
