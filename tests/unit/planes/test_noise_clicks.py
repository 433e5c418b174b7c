"""Noise clicks and error rates: there and back, and how much noise is bearable."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.planes.noise_clicks import NORMAL_STEP, bearable, noise_share, qber_with


@given(st.floats(0.001, 0.11), st.floats(0.0, 3.0))
def test_what_noise_makes_of_an_error_rate_tells_the_noise(expected: float, share: float) -> None:
    assert noise_share(qber_with(expected, share), expected) == pytest.approx(share, abs=1e-9)
    assert expected <= qber_with(expected, share) < 0.5


@given(st.floats(0.001, 0.11), st.floats(0.02, 3.0))
def test_with_the_bearable_share_of_the_noise_an_error_rate_is_just_normal(expected: float, share: float) -> None:
    qber = qber_with(expected, share)
    left = bearable(qber, expected) * noise_share(qber, expected)
    assert qber_with(expected, left) == pytest.approx(expected + NORMAL_STEP, abs=1e-9)


def test_an_error_rate_that_is_normal_bears_any_noise() -> None:
    assert bearable(0.02, 0.02) == inf
    assert bearable(0.02 + NORMAL_STEP / 2, 0.02) > 1
