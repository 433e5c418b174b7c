"""The sampler of single detections agrees with the click model in every count.

Statistical tests allow 5 sigma of the binomial: false alarm below 6e-7 for each of about 60 comparisons.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from quoit.engine.links.exact import ClickModel, DetectedRecord, SentRecord, draw_detections

MU = (0.5, 0.1, 0.0)
P_MU = (0.7, 0.2, 0.1)
LINK = {"eta": 0.02, "p_d": 2e-4, "e_d": 0.02}
PULSES = 20_000_000
Z_S, Z_R = 0.9, 0.8


def entropy(seed: int) -> object:
    return np.random.default_rng(seed).bytes


def draw(
    n_pulses: int = PULSES, model: ClickModel | None = None, seed: int = 5, **options: object
) -> tuple[SentRecord, DetectedRecord]:
    arguments = {"p_z_sender": Z_S, "p_z_receiver": Z_R, "entropy": entropy(seed + 1)} | options
    model = model or ClickModel.two_detectors(MU, P_MU, **LINK)
    return draw_detections(n_pulses, model, rng=np.random.default_rng(seed), **arguments)


def within_5_sigma(hits: int, trials: int, p: float) -> bool:
    return abs(hits - trials * p) <= 5.0 * math.sqrt(trials * p * (1 - p)) + 1e-9


def click_probabilities(mu: float, eta: float, p_d: float, e_d: float) -> tuple[float, float]:
    """(gain, error) by listing the outcomes of the right and the wrong detector."""
    right = 1 - (1 - p_d) * math.exp(-mu * eta * (1 - e_d))
    wrong = 1 - (1 - p_d) * math.exp(-mu * eta * e_d)
    gain = 1 - (1 - right) * (1 - wrong)
    return gain, (wrong * (1 - right) + right * wrong / 2) / gain


@pytest.mark.parametrize("fraction", [0.0, 0.3])
def test_counts_and_errors_by_intensity_and_basis_follow_the_model(fraction: float) -> None:
    sent, detected = draw(intercept_fraction=fraction)
    wrong = sent.bits != detected.bits
    for k, mu in enumerate(MU):
        gain, error = click_probabilities(mu, **LINK)
        error += fraction / 4 * (1 - 2 * error)
        for basis, share in ((0, Z_S * Z_R), (1, (1 - Z_S) * (1 - Z_R))):
            here = (sent.intensities == k) & (sent.bases == basis) & (detected.bases == basis)
            assert within_5_sigma(int(here.sum()), PULSES, P_MU[k] * gain * share)
            assert within_5_sigma(int(wrong[here].sum()), int(here.sum()), error)
    crossed = sent.bases != detected.bases
    assert within_5_sigma(int(wrong[crossed].sum()), int(crossed.sum()), 0.5)
    assert within_5_sigma(int(sent.bits.sum()), len(sent.bits), 0.5)


def test_both_records_are_of_the_same_distinct_pulses() -> None:
    sent, detected = draw(1_000_000, first_pulse=7_000_000)
    assert np.array_equal(sent.indices, detected.indices)
    assert (np.diff(sent.indices) > 0).all()
    assert sent.indices[0] >= 7_000_000
    assert sent.indices[-1] < 8_000_000


def test_positions_are_uniform() -> None:
    sent, _ = draw()
    for part in range(10):
        inside = (sent.indices // (PULSES // 10)) == part
        assert within_5_sigma(int(inside.sum()), len(sent.indices), 0.1)


def test_every_pulse_clicks_under_bright_light() -> None:
    model = ClickModel((1.0,), (1.0,), (0.25,))
    sent, _ = draw(1000, model)
    assert sent.indices.tolist() == list(range(1000))


def test_a_huge_dark_chunk_takes_no_memory_for_its_pulses() -> None:
    model = ClickModel((1.0,), (1e-12,), (0.5,))
    sent, detected = draw(10**13, model)
    assert 0 < len(sent.indices) < 30
    assert len(detected.bits) == len(sent.indices)


@pytest.mark.parametrize(("n_pulses", "gain"), [(0, 0.5), (1000, 0.0)])
def test_no_pulses_or_no_light_give_no_detections(n_pulses: int, gain: float) -> None:
    sent, detected = draw(n_pulses, ClickModel((1.0,), (gain,), (0.5,)))
    assert len(sent.indices) == len(detected.bases) == 0


def test_vacuum_without_dark_counts_never_clicks() -> None:
    model = ClickModel.two_detectors((0.4, 0.0), (0.5, 0.5), eta=0.1, p_d=0.0, e_d=0.01)
    sent, _ = draw(200_000, model)
    assert (sent.intensities == 0).all()


def test_dead_time_spaces_clicks_and_lowers_the_rate_as_non_paralysable() -> None:
    model = ClickModel((1.0,), (0.05,), (0.01,))
    sent, _ = draw(2_000_000, model, dead_time_pulses=30)
    assert np.diff(sent.indices).min() == 31
    expected = 2_000_000 * 0.05 / (1 + 0.05 * 30)
    # Renewal process: the variance of the count is the mean times (sigma of a gap over its mean) squared.
    sigma = math.sqrt(expected) * (math.sqrt(0.95) / 0.05) / (30 + 20)
    assert abs(len(sent.indices) - expected) < 5 * sigma


def test_errors_do_not_depend_on_the_key() -> None:
    one, other = draw(500_000, entropy=entropy(1)), draw(500_000, entropy=entropy(2))
    assert not np.array_equal(one[0].bits, other[0].bits)
    assert np.array_equal(one[0].bits ^ one[1].bits, other[0].bits ^ other[1].bits)
    assert np.array_equal(one[0].bases, other[0].bases)


def test_entropy_is_asked_for_one_bit_a_click() -> None:
    asked: list[int] = []

    def ones(count: int) -> bytes:
        asked.append(count)
        return b"\xff" * count

    sent, _ = draw(100_000, entropy=ones)
    assert asked == [(len(sent.indices) + 7) // 8]
    assert sent.bits.all()


def test_too_little_entropy_is_refused_instead_of_filled_with_zeros() -> None:
    with pytest.raises(ValueError, match="bytes of entropy"):
        draw(100_000, entropy=lambda count: bytes(count - 1))


def test_records_do_not_show_bits() -> None:
    sent, detected = draw(100_000)
    assert repr(sent) == f"SentRecord({len(sent.indices)} pulses)"
    assert repr(detected) == f"DetectedRecord({len(sent.indices)} detections)"


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        (((0.5, 0.5), (0.1,), (0.1,)), "an intensity"),
        (((0.5, 0.4), (0.1, 0.1), (0.1, 0.1)), "sum to 1"),
        (((1.0,), (1.2,), (0.1,)), "gain"),
        (((1.0,), (0.2,), (-0.1,)), "error"),
    ],
)
def test_an_impossible_model_is_refused(rows: tuple[tuple[float, ...], ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        ClickModel(*rows)


@pytest.mark.parametrize("option", [{"intercept_fraction": 1.1}, {"p_z_sender": -0.1}, {"dead_time_pulses": -1}])
def test_impossible_options_are_refused(option: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="found"):
        draw(10, **option)
