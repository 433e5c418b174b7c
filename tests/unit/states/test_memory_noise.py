"""Laws of storage: each convention by its own formula, and what cannot be."""

from __future__ import annotations

from math import exp, inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.engine.states import bell
from quoit.engine.states.memory import MemoryNoise

S = 1_000_000_000


def test_one_time_two_conventions() -> None:
    """The same T differs by 4/3 in the exponent."""
    w = [(4 * bell.decay(bell.werner(1.0), law(0.5), S // 10)[0] - 1) / 3 for law in LAWS]
    assert w == pytest.approx([exp(-4 * 0.1 / (3 * 0.5)), exp(-0.1 / 0.5)], rel=1e-12)


LAWS = (MemoryNoise.total_pauli, MemoryNoise.werner)


@pytest.mark.parametrize(
    ("t_s", "t1_s", "t2_s", "p_x", "p_z"),
    [(0.01, 0.1, 0.05, 0.0237906455, 0.066843978), (0.05, 10, 0.2, 0.0012468802, 0.109352728)],
)
def test_twirl_of_relaxation(t_s: float, t1_s: float, t2_s: float, p_x: float, p_z: float) -> None:
    twirl = MemoryNoise.relaxation(t1_s, t2_s, twirled=True).pauli_channel(round(t_s * S))
    assert twirl == pytest.approx((1 - p_z - 2 * p_x, p_z, p_x, p_x), abs=1e-9)
    # the exact law's channel is its twirl too, and says that it is not the whole truth
    exact = MemoryNoise.relaxation(t1_s, t2_s)
    assert exact.pauli_channel(round(t_s * S)) == twirl
    assert not exact.is_pauli


def test_relaxation_ends_in_zero_and_its_twirl_does_not() -> None:
    law = MemoryNoise.relaxation(0.1, 0.15)
    assert law.bloch_map(100 * S) == pytest.approx((0, 0, 0, 1), abs=1e-12)
    assert MemoryNoise.relaxation(0.1, 0.15, twirled=True).bloch_map(100 * S).shift == 0
    half = law.bloch_map(S // 10)
    assert half == pytest.approx((exp(-0.1 / 0.15), exp(-0.1 / 0.15), exp(-1), 1 - exp(-1)), rel=1e-12)


def test_noise_beside_relaxation_holds_z_below_one() -> None:
    """Balance of gain 1/T1 and loss 1/T1 + 1/tau."""
    law = MemoryNoise(t1_s=0.1, werner_tau_s=0.3)
    assert law.bloch_map(1000 * S).shift == pytest.approx(10 / (10 + 1 / 0.3), rel=1e-12)


def test_t2_defaults_to_what_relaxation_alone_gives() -> None:
    assert MemoryNoise(t1_s=2.0).rates_hz == pytest.approx((0.25, 0.25, 0.5))
    assert MemoryNoise().keeps
    assert MemoryNoise(t2_s=1.0).rates_hz == (1.0, 1.0, 0.0)


def test_attempts_dephase() -> None:
    law = MemoryNoise(decay_per_attempt=1 / 1800)
    assert law.bloch_map(0, 1800) == pytest.approx((exp(-1), exp(-1), 1, 0), rel=1e-12)
    assert not law.keeps
    # coherence e^-1 of Phi+: half of what is lost has become Phi-
    assert bell.decay(bell.werner(1.0), law, 0, 1800) == pytest.approx(
        ((1 + exp(-1)) / 2, (1 - exp(-1)) / 2, 0, 0), abs=1e-12
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"t1_s": 0.0}, "t1_s: expected a time > 0 s"),
        ({"t2_s": -1.0}, "t2_s: expected a time > 0 s"),
        ({"t1_s": float("nan")}, "t1_s"),
        ({"t1_s": 1.0, "t2_s": 2.1}, "at most 2 T1 = 2.0 s, found 2.1"),
        ({"t1_s": 1.0, "t2_s": inf}, "at most 2 T1"),
        ({"werner_tau_s": 0.0}, "werner_tau_s"),
        ({"pauli_hz": (1.0, -1.0, 0.0)}, "three rates"),
        ({"pauli_hz": (1.0, 1.0)}, "three rates"),
        ({"decay_per_attempt": -0.1}, "decay_per_attempt"),
    ],
)
def test_impossible_memories(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MemoryNoise(**arguments)  # type: ignore[arg-type]


def test_no_time_runs_backwards() -> None:
    for elapsed, attempts in ((-1, 0), (0, -1)):
        with pytest.raises(ValueError, match=">= 0"):
            MemoryNoise().bloch_map(elapsed, attempts)
    with pytest.raises(ValueError, match="time_s"):
        MemoryNoise.total_pauli(0.0)


rates = st.floats(0.0, 20.0)


@given(rates, rates, rates, st.floats(0.01, 10.0), st.integers(0, 10**10), st.integers(0, 5000))
def test_the_channel_is_the_map(rx: float, ry: float, rz: float, tau: float, elapsed: int, attempts: int) -> None:
    law = MemoryNoise(pauli_hz=(rx, ry, rz), werner_tau_s=tau, decay_per_attempt=1e-3)
    p = law.pauli_channel(elapsed, attempts)
    assert min(p) >= 0
    assert sum(p) == pytest.approx(1, abs=1e-12)
    p_i, p_z, p_x, p_y = p
    shrunk = (p_i + p_x - p_y - p_z, p_i + p_y - p_x - p_z, p_i + p_z - p_x - p_y)
    assert np.allclose(shrunk, law.bloch_map(elapsed, attempts)[:3], atol=1e-12)
