"""A rate that changes is noticed in the time that theory gives; one that does not raises no alarm."""

from __future__ import annotations

import numpy as np
import pytest

from quoit.planes.count_trend import ALARM, Change, CountTrend


def learned(rng: np.random.Generator, shift: float, per_reading: float) -> CountTrend:
    trend = CountTrend(shift)
    while trend.baseline is None:
        assert trend.add(int(rng.poisson(per_reading)), 1.0) is None, "no alarm while the baseline is learned"
    return trend


@pytest.mark.parametrize(("factor", "expected"), [(0.955, Change.FALLEN), (1.2, Change.RISEN), (0.5, Change.FALLEN)])
def test_a_change_is_noticed_within_three_times_its_expected_delay(factor: float, expected: Change) -> None:
    rng, shift, rate = np.random.default_rng(7), 0.045, 10_000.0
    trend = learned(rng, shift, rate)
    up = np.log1p(shift) if expected is Change.RISEN else np.log1p(-shift)
    per_reading = rate * (factor * up + (-shift if expected is Change.RISEN else shift))
    for reading in range(1, int(3 * ALARM / per_reading) + 3):
        change = trend.add(int(rng.poisson(rate * factor)), 1.0)
        if change is not None:
            assert change is expected
            assert reading <= 3 * ALARM / per_reading + 2
            return
    pytest.fail("the change went by unnoticed")


def test_ten_million_clean_readings_raise_no_alarm() -> None:
    """At ALARM = 30 one excursion passes with 1e-13; ten links that each see a million readings: below 1e-5, the five
    standard errors of ten learned baselines included."""
    rng = np.random.default_rng(11)
    for _ in range(10):
        trend = learned(rng, 0.05, 1_000.0)
        scores = rng.poisson(1_000.0, 1_000_000) * np.log1p(0.05) - trend.baseline * 0.05
        falls = rng.poisson(1_000.0, 1_000_000) * np.log1p(-0.05) + trend.baseline * 0.05
        for steps in (scores, falls):
            walk = np.concatenate([[0.0], np.cumsum(steps)])
            assert (walk - np.minimum.accumulate(walk)).max() < ALARM, "the CUSUM is the walk above its running minimum"


def test_learning_takes_as_many_counts_as_the_change_asks_for() -> None:
    trend = CountTrend(0.1)
    for _ in range(9):
        trend.add(1_000, 2.0)
    assert trend.baseline is None
    trend.add(1_000, 2.0)
    assert trend.baseline == 500.0
    assert trend.ratio(250, 1.0) == 0.5


def test_an_empty_reading_says_nothing_and_relearning_forgets() -> None:
    trend = CountTrend(0.5)
    trend.add(1_000, 1.0)
    assert trend.add(0, 0.0) is None
    assert trend.add(0, 1.0) is Change.FALLEN
    trend.rearm()
    assert trend.fall == 0.0
    assert trend.baseline == 1_000.0
    trend.relearn()
    assert trend.baseline is None
    assert trend.ratio(5, 1.0) is None


@pytest.mark.parametrize("shift", [0.0, 1.0, -0.2])
def test_a_change_that_cannot_be(shift: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        CountTrend(shift)
