"""Which cause a change points to, and what two ends tell of each other.

Counts are drawn; the false-alarm probability of each run is below 1e-9.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.fabric.api import BlockCredited, BlockMade, EndReading, LinkReading
from quoit.fabric.detection import Battery, BatteryPlan, Cause, Finding, Seen, TwoEnds, promised_bell
from quoit.planes.share_trend import ALARM, ShareFloor

S = 10**9
MEANS = (40_000.0, 8_000.0)
"""Sifted detections of two intensities a second; mean photon numbers times probabilities are as 4.9 to 1."""
PLAN = BatteryPlan(0.08, (0.24, 0.049))


class Story:
    """A link whose readings are drawn, one a second."""

    def __init__(self, plan: BatteryPlan = PLAN, further: tuple = ()) -> None:  # type: ignore[type-arg]
        self.rng = np.random.default_rng(5)
        self.battery = Battery(plan, further)
        self.at = 0

    def reading(self, signal: float = 1.0, decoy: float = 1.0, qber: float = 0.02, bright: bool = False) -> LinkReading:
        self.at += 1
        clicks = tuple(int(self.rng.poisson(m * f)) for m, f in zip(MEANS, (signal, decoy), strict=True))
        sifted = sum(clicks)
        tested = sifted // 5
        errors = int(self.rng.binomial(tested, qber))
        return LinkReading("link", tested, errors, sifted, sifted, self.at * S, self.at, S, clicks, bright)

    def quiet(self, seconds: int) -> None:
        for _ in range(seconds):
            assert self.battery.add(self.reading()) == []

    def until(self, limit: int, **changes: float | bool) -> list[Finding]:
        for _ in range(limit):
            found = self.battery.add(self.reading(**changes))  # type: ignore[arg-type]
            if found:
                return found
        pytest.fail("nothing was found")


@pytest.mark.parametrize(
    ("changes", "cause", "void"),
    [
        ({"qber": 0.045}, Cause.EAVESDROPPING, True),
        # 6 % noise clicks, half of them wrong: (0.02 + 0.03)/1.06
        ({"signal": 1.06, "decoy": 1.06, "qber": 0.05 / 1.06}, Cause.NOISE, True),
        # errors of an eavesdropper under a rate that falls by 2 %: no loss explains them
        ({"signal": 0.98, "decoy": 0.98, "qber": 0.06}, Cause.EAVESDROPPING, True),
        # half of the light is gone, all of the errors stay: the error rate is doubled at most
        ({"signal": 0.955, "decoy": 0.955}, Cause.LOSS, False),
        ({"signal": 0.0, "decoy": 0.0}, Cause.CUT, False),
        ({"signal": 1.05, "decoy": 1.05}, Cause.RISE, False),
        ({"decoy": 0.3}, Cause.SPLITTING, True),
        ({"bright": True}, Cause.BLINDING, True),
    ],
)
def test_each_change_is_called_by_its_cause(changes: dict[str, float], cause: Cause, void: bool) -> None:
    story = Story()
    story.quiet(60)
    (found,) = story.until(60, **changes)
    assert (found.cause, found.void) == (cause, void)
    assert found.first_block >= 40  # what was made long before stays


def test_a_loss_is_told_once_and_told_again_when_it_is_over() -> None:
    story = Story()
    story.quiet(60)
    (lost,) = story.until(60, signal=0.9, decoy=0.9)
    for _ in range(30):
        assert story.battery.add(story.reading(signal=0.9, decoy=0.9)) == []
    (back,) = story.until(5)
    assert (lost.over, back.over, back.cause) == (False, True, Cause.LOSS)


def test_decoys_that_fail_from_the_start_are_found_without_a_baseline() -> None:
    story = Story()
    assert story.until(3, decoy=0.3)[0].cause is Cause.SPLITTING


def test_a_link_is_not_calm_while_any_sign_stands() -> None:
    story = Story()
    story.quiet(60)
    assert story.battery.calm(story.reading())
    assert not story.battery.calm(story.reading(qber=0.05))
    assert not story.battery.calm(story.reading(decoy=0.5))
    assert not story.battery.calm(story.reading(bright=True))
    story.battery.ends.agree = False
    assert not story.battery.calm(story.reading())


def test_a_rate_that_comes_and_goes_by_itself_is_not_watched() -> None:
    story = Story(BatteryPlan(0.08, (), steady=False))
    for factor in (1.0, 0.3, 1.4) * 30:
        assert story.battery.add(story.reading(signal=factor, decoy=factor)) == []


def test_a_further_detector_adds_suspicion_and_is_named() -> None:
    class Nervous:
        def add(self, seen: Seen) -> Finding | None:
            return Finding(Cause.EAVESDROPPING, seen.block, "a feeling") if seen.block == 3 else None

        def rearm(self) -> None:
            return None

    story = Story(further=(("nervous", Nervous()),))
    (found,) = story.until(5)
    assert (found.why, found.first_block) == ("nervous: a feeling", 3)


# -- the share of decoys -------------------------------------------------------------------------------


@given(st.floats(0.0, 0.2), st.floats(0.001, 0.5), st.floats(0, 1e-3))
def test_no_loss_and_no_noise_brings_the_share_of_decoys_below_the_floor(
    eta: float, ratio: float, vacuum: float
) -> None:
    """1 - (1 - Y0) exp(-eta mu) is concave in mu and not below 0 at 0, so f(nu)/f(mu) >= nu/mu."""
    mu = 0.5
    gains = [vacuum - (1 - vacuum) * np.expm1(-eta * k) for k in (mu, mu * ratio)]
    assert gains[1] >= ratio * gains[0] * (1 - 1e-9)


def test_a_million_clean_readings_at_the_floor_raise_no_alarm() -> None:
    """At the floor itself, the worst honest place: an excursion passes with e^-30, so 1e6 readings with 1e-7."""
    rng, floor = np.random.default_rng(3), ShareFloor(0.17)
    whole = rng.poisson(20_000, 1_000_000)
    part = rng.binomial(whole, 0.17)
    steps = part * floor._per_part + (whole - part) * floor._per_rest
    walk = np.concatenate([[0.0], np.cumsum(steps)])
    assert (walk - np.minimum.accumulate(walk)).max() < ALARM


def test_a_floor_outside_a_share_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        ShareFloor(1.2)


# -- two ends ------------------------------------------------------------------------------------------


def told(at: int, errors: int) -> tuple[LinkReading, EndReading]:
    return LinkReading("link", 1000, errors, 5e3, 5e3, at * S, at), EndReading("link", ((at * S, 1000, errors),))


def test_ends_that_tell_the_same_agree_in_any_order() -> None:
    ends = TwoEnds()
    for at in range(1, 20):
        near, far = told(at, at)
        pair = [lambda n=near: ends.near(n), lambda f=far: ends.far(f)]  # type: ignore[misc]
        assert [one() for one in (pair if at % 2 else pair[::-1])] == [None, None]
    assert ends.agree


def test_one_error_too_few_is_a_disagreement() -> None:
    ends = TwoEnds()
    ends.near(told(1, 20)[0])
    assert ends.far(told(1, 21)[1]) == "of one interval one end tells 21 errors in 1000, the other 20 in 1000"
    assert not ends.agree


def test_an_end_that_falls_silent_is_noticed_within_seconds() -> None:
    ends = TwoEnds()
    found = [ends.near(told(at, 20)[0]) for at in range(1, 10)]
    assert found[:8] == [None] * 8
    assert found[8] is not None
    assert "tells nothing" in found[8]


def test_blocks_must_be_credited_as_they_were_made_and_be_possible() -> None:
    made = BlockMade("link", 7, 4_000, 0.02, 10_000, 2_000, 0, S)
    ends = TwoEnds()
    for at in range(1, 9):
        near, far = told(at, 20)
        ends.near(near)
        ends.far(far)
    assert ends.made(made) is None
    assert ends.credited(BlockCredited("link", 7, 4_000)) is None
    assert ends.credited(BlockCredited("link", 8, 4_001)) is None
    other = BlockMade("link", 8, 4_000, 0.02, 10_000, 2_000, 0, S)
    assert "of block 8 one end tells 4000 secret bits, the other 4001" in (ends.made(other) or "")
    greedy = BlockMade("link", 9, 7_900, 0.02, 10_000, 2_000, 0, S)
    ends.credited(BlockCredited("link", 9, 7_900))
    assert "are the most" in (ends.made(greedy) or "")


def bell_reading(at: int, rng: np.random.Generator, s: float, played: int = 400) -> LinkReading:
    won = int(rng.binomial(played, (1 + s / 4) / 2))
    return LinkReading("link", 100, 2, 1e3, 1e4, at * S, at, S, (), False, (played, won))


@pytest.mark.realises("I2")
def test_s_below_what_is_promised_is_found_from_the_start_and_s_above_it_never() -> None:
    """Werner pairs of 0.95 are promised: S = 2.64. A hijacked repeater that makes up a fifth of its results takes a
    fifth of S; nothing is learned first, so what was there from the start is found as well."""
    rng = np.random.default_rng(3)
    promised = promised_bell(0.95, 1.0)
    plan = BatteryPlan(0.11, steady=False, bell=promised)
    assert promised is not None
    for s, within in ((2.0, 8), (0.8 * promised, 12), (0.0, 1)):
        battery = Battery(plan)
        found = [battery.add(bell_reading(at, rng, s)) for at in range(1, within + 1)]
        (finding,) = next(one for one in found if one)
        assert (finding.cause, finding.void, finding.first_block) == (Cause.ENTANGLEMENT, True, 0)
        assert not battery.calm(bell_reading(within + 1, rng, s, 20_000))
    honest = Battery(plan)
    assert not any(honest.add(bell_reading(at, rng, promised)) for at in range(1, 3_000))
    assert honest.calm(bell_reading(3_000, rng, promised))


def test_a_bell_test_finds_within_the_pairs_that_its_information_says() -> None:
    """30 / KL(won at S = 2 || won as promised) rounds on average; twice as many are enough for all of fifty."""
    promised = promised_bell(0.95, 1.0)
    assert promised is not None
    w, c = (1 + promised / 4) / 2, 0.75
    needed = ALARM / (c * np.log(c / w) + (1 - c) * np.log((1 - c) / (1 - w)))
    assert 1_000 < needed < 2_000
    for seed in range(50):
        rng = np.random.default_rng(seed)
        battery = Battery(BatteryPlan(0.11, steady=False, bell=promised))
        rounds = 0
        while not battery.add(bell_reading(rounds, rng, 2.0, 50)):
            rounds += 50
        assert rounds < 2 * needed


@pytest.mark.realises("I2")
def test_clicks_of_pulses_without_light_tell_noise_that_nothing_else_does() -> None:
    """Noise doubles the clicks in the dark, which are a thousandth of all; resending never does."""
    rng = np.random.default_rng(11)
    battery = Battery(BatteryPlan(0.08, (0.24, 0.024, 0.0)))

    def reading(at: int, dark: float, qber: float = 0.02) -> LinkReading:
        clicks = int(rng.poisson(40_000)), int(rng.poisson(4_300)), int(rng.poisson(50 * dark))
        tested = sum(clicks) // 5
        errors = int(rng.binomial(tested, qber))
        return LinkReading("link", tested, errors, sum(clicks), sum(clicks), at * S, at, S, clicks)

    assert not any(battery.add(reading(at, 1.0)) for at in range(1, 200))
    found = [battery.add(reading(at, 2.0)) for at in range(200, 205)]
    (noise,) = next(one for one in found if one)
    assert (noise.cause, noise.void, noise.over) == (Cause.NOISE, False, False)
    assert "without light" in noise.why
    over = [battery.add(reading(at, 1.0)) for at in range(205, 208)]
    assert [f.over for one in over for f in one] == [True]
    causes = {f.cause for at in range(208, 220) for f in battery.add(reading(at, 1.0, 0.06))}
    assert causes == {Cause.EAVESDROPPING}
