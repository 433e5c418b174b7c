"""What results of tests say: bounds that err as rarely as they say, and chance that all ends have a part in."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from quoit.service.kinds import Ghz, GraphState, Kind, WState, parse_graph
from quoit.service.trials import dice, divergence, estimate, least_mean, least_tests, most_mean, thrown

KINDS = [Ghz(2), Ghz(3), WState(3), GraphState(4, parse_graph("ring", 4))]


def test_bounds_are_where_the_divergence_says() -> None:
    for mean in (0.0, 0.3, 0.97, 1.0):
        low, high = least_mean(mean, 100, 0.05), most_mean(mean, 100, 0.05)
        assert low <= mean <= high
        for edge in (low, high):
            if 0 < edge < 1:
                assert 100 * divergence(mean, edge) == pytest.approx(log(20), rel=1e-6)
    assert least_mean(1.0, 100, 0.05) == pytest.approx(0.05**0.01)  # all passed: the rule of three, nearly
    assert most_mean(0.0, 100, 0.05) == pytest.approx(1 - 0.05**0.01)
    assert (least_mean(0.0, 5, 0.05), most_mean(1.0, 5, 0.05)) == (0.0, 1.0)


@pytest.mark.realises("F5")
@pytest.mark.parametrize("wrong", [0.05, 0.2])
def test_a_bound_is_wrong_as_rarely_as_it_says(wrong: float) -> None:
    """Coins of several biases, 4000 runs each. The expected share of errors is at most `wrong`; more than 0.02 above
    it is six standard deviations."""
    rng = np.random.default_rng(5)
    for p in (0.6, 0.9, 0.97):
        heads = rng.binomial(60, p, 4000)
        low = {h: least_mean(h / 60, 60, wrong) for h in set(heads.tolist())}
        high = {h: most_mean(h / 60, 60, wrong) for h in set(heads.tolist())}
        assert np.mean([low[h] > p for h in heads.tolist()]) <= wrong + 0.02
        assert np.mean([high[h] < p for h in heads.tolist()]) <= wrong + 0.02


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name + str(kind.parties))
def test_least_tests_are_just_enough(kind: Kind) -> None:
    """Perfect states: that many results show the fidelity, one fewer does not."""
    needed = least_tests(kind, 0.8, 0.05)
    mean = (kind.mean_of(1.0) + 1) / 2
    assert kind.fidelity_of(2 * least_mean(mean, needed, 0.05) - 1) >= 0.8
    assert kind.fidelity_of(2 * least_mean(mean, needed - 1, 0.05) - 1) < 0.8
    assert least_tests(kind, 1.0, 0.05) > 10_000


def test_wrong_readouts_are_allowed_for() -> None:
    perfect, bad = [1.0] * 3, [0.99] * 3
    good = [1.0] * 100
    assert estimate(Ghz(3), good, 0.05, bad).least == estimate(Ghz(3), good, 0.05, perfect).least
    assert estimate(Ghz(3), good, 0.05, bad).most == 1.0
    w = [1.0] * 60 + [0.0] * 40
    assert estimate(WState(3), w, 0.05, bad).least < estimate(WState(3), w, 0.05, perfect).least - 0.07
    low = [1.0] * 60 + [-1.0] * 40
    assert estimate(Ghz(3), low, 0.05, bad).most > estimate(Ghz(3), low, 0.05, perfect).most + 0.05


@pytest.mark.realises("I2")
def test_dice_need_every_end_and_are_fair() -> None:
    """3000 throws of a six: each face 500 +- 20.4; more than 110 off is five standard deviations."""
    one, two = b"1" * 32, b"2" * 32
    assert dice([one, two]) == dice([two, one])
    assert dice([one, two]) != dice([one, b"3" * 32])
    together = dice([one, two])
    assert thrown(together, "a", 2**64) != thrown(together, "b", 2**64)
    faces = np.bincount([thrown(dice([one, n.to_bytes(32, "big")]), "x", 6) for n in range(3000)])
    assert max(abs(faces - 500)) < 110
    assert thrown(together, "x", 1) == 0
