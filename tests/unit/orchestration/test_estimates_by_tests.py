"""When a round of test pairs is worse than chance would have it."""

from __future__ import annotations

from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.orchestration.loops.fidelity import CHANCE, Round, too_many


def tail(counted: int, mean: float) -> float:
    """P(K >= counted) of a Poisson variable, which is above that of any sum of independent events of that mean."""
    term = total = exp(-mean)
    for k in range(1, counted):
        term *= mean / k
        total += term
    return 1 - total


@given(st.floats(0.5, 60.0), st.integers(0, 200))
def test_what_is_called_too_many_is_less_likely_than_was_said(mean: float, counted: int) -> None:
    if too_many(counted, mean):
        assert tail(counted, mean) <= CHANCE + 1e-12


@given(st.floats(0.0, 60.0))
def test_what_is_expected_is_never_too_many_and_everything_always_is(mean: float) -> None:
    assert not too_many(int(mean), mean)
    assert too_many(10_000, mean)


def test_fidelity_from_counts() -> None:
    run = Round("c", tested=300, wrong=20, expected=8.0)
    assert run.fidelity == pytest.approx(0.9)  # a Werner state of 0.9 disagrees in 1/15 of the reads
    assert run.promised == pytest.approx(0.96)
