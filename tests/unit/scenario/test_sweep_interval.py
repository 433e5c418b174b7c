"""Student's interval of a few runs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from quoit.scenario.sweep.interval import mean_and_half, student


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 9, 30, 999])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_quantiles_are_those_of_scipy(degrees: int, level: float) -> None:
    assert student(degrees, level) == pytest.approx(stats.t.ppf((1 + level) / 2, degrees), rel=1e-9)


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    """4 sigma of a count out of 1,000: false alarm once in 16,000."""
    samples = np.random.default_rng(1).normal(5, 2, (1000, 3))
    covered = 0
    for sample in samples:
        mean, half = mean_and_half(sample.tolist())
        assert half is not None
        covered += abs(mean - 5) < half
    assert abs(covered - 950) < 4 * (1000 * 0.95 * 0.05) ** 0.5


def test_one_value_has_no_interval_and_none_no_mean() -> None:
    assert mean_and_half([3.0]) == (3.0, None)
    with pytest.raises(ValueError, match="found none"):
        mean_and_half([])
