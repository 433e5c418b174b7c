"""Paths through air: passes, weather, pointing and sky from one instant to the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from quoit.engine.air import AirPath, AirPlan, Orbiting, Pass, Sky, Wander

S = 10**9
NIGHT = Sky(1.5e-4, 1.5e-4, 5e-5)
ORBIT = Orbiting(5e5, 20.0, 0.7, (Pass(300 * S, 75.0),))
PLAN = AirPlan(850.0, 0.08, 1.0, 1e-5, 1e-6, 6.0, NIGHT, ORBIT)
STREET = AirPlan(1550.0, 0.02, 0.2, None, 0.0, 3.0, NIGHT, None, 2_000.0, 0.5)


def streams(seed: int = 1) -> Callable[[str], np.random.Generator]:
    made = {name: np.random.default_rng([seed, n]) for n, name in enumerate(("haze", "clouds", "pointing"))}
    return made.__getitem__


@pytest.mark.realises("E1")
def test_a_satellite_is_seen_in_its_pass_alone() -> None:
    path = AirPath(PLAN)
    ((rise, sets, _),) = ORBIT.windows(0)
    assert rise < 300 * S < sets
    seen = []
    for at in (0, rise - 1, rise, 300 * S, sets - 1, sets, 600 * S):
        path.advance(at, streams())
        seen.append(path.loss_db)
    assert [loss is not None for loss in seen] == [False, False, True, True, True, False, False]
    assert seen[3] == pytest.approx(PLAN.best_loss_db)
    assert seen[2] == pytest.approx(PLAN.clear_loss_db(20.0), abs=1e-3)
    assert seen[3] < seen[2]


def test_it_is_looked_at_when_something_happens() -> None:
    path = AirPath(PLAN)
    ((rise, sets, _),) = ORBIT.windows(0)
    assert path.next_ns(0) == rise
    assert path.next_ns(rise) == rise + S
    assert path.next_ns(sets - 5) == sets
    assert path.next_ns(sets) is None
    daily = AirPath(replace(PLAN, orbit=replace(ORBIT, every_ns=86_400 * S)))
    assert daily.next_ns(sets) == rise + 86_400 * S


def test_fixed_ends_in_clear_air_never_change() -> None:
    path = AirPath(STREET)
    assert path.next_ns(0) is None
    assert not STREET.moves
    # 2 km of 0.5 dB/km, 3 dB of optics, and a beam that the aperture takes whole.
    assert path.loss_db == pytest.approx(4.0, abs=0.3)


def test_haze_only_adds_and_has_its_rms_and_memory() -> None:
    """|x| of a Gaussian of rms 2: its mean square is 4; 4000 samples 5 times apart, 5 sigma is 11 %."""
    path = AirPath(replace(STREET, haze_db=2.0, haze_s=10.0))
    draw = streams(3)
    clear = STREET.clear_loss_db(None)
    extra = []
    for n in range(4_000):
        path.advance(n * 50 * S, draw)
        assert path.loss_db is not None
        extra.append(path.loss_db - clear)
    assert min(extra) >= 0
    assert float(np.mean(np.square(extra))) == pytest.approx(4.0, rel=0.11)


def test_clouds_take_their_share_of_the_time() -> None:
    """Share 0.3 in 8000 looks, five correlation times apart: 5 sigma is 0.026."""
    path = AirPath(replace(STREET, cloud=0.3, cloud_s=10.0))
    draw = streams(4)
    dark = 0
    for n in range(8_000):
        path.advance(n * 50 * S, draw)
        dark += path.loss_db is None
    assert dark / 8_000 == pytest.approx(0.3, abs=0.026)


def test_pointing_errors_cost_light() -> None:
    path = AirPath(replace(STREET, wander_rad=2e-5, wander_s=5.0))
    draw = streams(5)
    losses = []
    for n in range(200):
        path.advance(n * S, draw)
        losses.append(path.loss_db)
    assert min(loss for loss in losses if loss is not None) >= STREET.clear_loss_db(None) - 1e-9
    assert len(set(losses)) > 100


def test_a_wander_has_the_correlation_of_its_time() -> None:
    """Lag-one correlation e^(-1/5) of 20000 samples; its sigma is below 0.005, so 5 sigma is 0.025."""
    wander, rng = Wander(5.0), np.random.default_rng(6)
    x = np.array([wander.advance(1.0, rng) for _ in range(20_000)])
    assert float(np.corrcoef(x[1:], x[:-1])[0, 1]) == pytest.approx(np.exp(-0.2), abs=0.025)
    assert float(np.std(x)) == pytest.approx(1.0, abs=0.08)


def test_sky_is_brighter_by_day_and_dark_when_nobody_looks() -> None:
    noon = Sky(1.5e-4, 1.5, 5e-5, 0.0, 0.0, 1_774_008_000.0)  # 2026-03-20, 12:00 UTC, on the equator
    path = AirPath(replace(STREET, sky=noon))
    path.advance(0, streams())
    by_day = path.background_hz(1.0)
    path.advance(12 * 3600 * S, streams())
    assert by_day == pytest.approx(1e4 * path.background_hz(1.0), rel=1e-6)
    assert AirPath(PLAN).background_hz(1.0) == 0.0


def test_same_seed_same_weather() -> None:
    plan = replace(STREET, haze_db=1.0, cloud=0.2, wander_rad=1e-6)

    def history(seed: int) -> list[float | None]:
        path, draw = AirPath(plan), streams(seed)
        found = []
        for n in range(50):
            path.advance(n * S, draw)
            found.append(path.loss_db)
        return found

    assert history(1) == history(1) != history(2)
