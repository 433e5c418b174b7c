"""Cascade: both ends equal, every parity counted, few rounds, and no silent agreement with a liar."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quoit.fabric.distill.cascade import (
    CascadeCorrector,
    CascadePlan,
    CascadeReference,
    ParityQueries,
    frames,
)


def entropy(p: float) -> float:
    return -p * math.log2(p) - (1 - p) * math.log2(1 - p)


def noisy_pair(n_bits: int, qber: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    sent = rng.integers(0, 2, n_bits, dtype=np.uint8)
    return sent, sent ^ (rng.random(n_bits) < qber).astype(np.uint8)


def run(
    sent: np.ndarray, received: np.ndarray, qber: float, seed: int = 1
) -> tuple[CascadeReference, CascadeCorrector]:
    corrector = CascadeCorrector(received, qber, np.random.default_rng(seed))
    reference = CascadeReference(sent, corrector.plan)
    while not corrector.done:
        asked = ParityQueries.from_bytes(corrector.next_queries().to_bytes())
        corrector.receive(reference.answer(asked))
    return reference, corrector


@pytest.mark.parametrize("qber", [0.01, 0.03, 0.05])
def test_a_frame_of_1e5_bits_is_corrected_with_efficiency_below_1_2_in_at_most_170_rounds(
    qber: float,
) -> None:
    sent, received = noisy_pair(100_000, qber, seed=int(qber * 1000))
    errors = int((sent != received).sum())
    reference, corrector = run(sent, received, qber)
    assert np.array_equal(corrector.corrected, sent)
    assert corrector.errors_found == errors
    assert corrector.rounds <= 170
    efficiency = corrector.leaked_bits / (len(sent) * entropy(errors / len(sent)))
    assert 1.0 < efficiency <= 1.20
    assert reference.leaked_bits == corrector.leaked_bits


@settings(max_examples=60, deadline=None)
@given(
    n_bits=st.integers(2, 700),
    qber=st.floats(0.0, 0.3),
    guess=st.floats(0.0, 0.5),
    seed=st.integers(0, 2**32),
)
def test_for_any_frame_and_any_guess_it_ends_with_all_known_parities_equal(
    n_bits: int, qber: float, guess: float, seed: int
) -> None:
    sent, received = noisy_pair(n_bits, qber, seed)
    reference, corrector = run(sent, received, guess, seed)
    left = sent ^ corrector.corrected
    assert left.sum() % 2 == 0
    assert corrector.errors_found + left.sum() == (sent ^ received).sum()
    for number, size in enumerate(corrector.plan.block_sizes):
        shuffled = left[corrector.plan.permutation(number)]
        blocks = np.add.reduceat(shuffled, np.arange(0, n_bits, size))
        assert (blocks % 2 == 0).all(), f"pass {number} ended with an odd block"
    assert reference.leaked_bits == corrector.leaked_bits


def test_frames_without_errors_cost_the_block_parities_only() -> None:
    sent, _ = noisy_pair(1000, 0.0, seed=5)
    _, corrector = run(sent, sent, 0.02)
    sizes = corrector.plan.block_sizes
    # From the second pass on the last block's parity follows from the parity of the whole frame.
    first, *later = [math.ceil(1000 / size) for size in sizes]
    assert corrector.leaked_bits == first + sum(blocks - 1 for blocks in later)
    assert corrector.rounds == len(sizes)


def test_residual_errors_are_rare() -> None:
    """100 frames at failure probability 1e-3 or less: more than 3 failures has probability below 1e-5."""
    failures = 0
    for seed in range(100):
        sent, received = noisy_pair(2000, 0.03, seed)
        _, corrector = run(sent, received, 0.03, seed)
        failures += not np.array_equal(corrector.corrected, sent)
    assert failures <= 3


def test_questions_of_one_round_share_no_bit() -> None:
    sent, received = noisy_pair(5000, 0.05, seed=9)
    corrector = CascadeCorrector(received, 0.05, np.random.default_rng(2))
    reference = CascadeReference(sent, corrector.plan)
    while not corrector.done:
        asked = corrector.next_queries()
        touched = np.concatenate(
            [
                corrector.plan.permutation(int(number))[start:stop]
                for number, start, stop in zip(asked.passes, asked.starts, asked.stops, strict=True)
            ]
        )
        assert len(np.unique(touched)) == len(touched)
        corrector.receive(reference.answer(asked))


def test_asking_again_gives_the_same_questions_until_answered() -> None:
    sent, received = noisy_pair(500, 0.05, seed=3)
    corrector = CascadeCorrector(received, 0.05, np.random.default_rng(2))
    assert corrector.next_queries().to_bytes() == corrector.next_queries().to_bytes()
    reference = CascadeReference(sent, corrector.plan)
    asked = corrector.next_queries()
    corrector.receive(reference.answer(asked))
    assert corrector.next_queries().to_bytes() != asked.to_bytes()


def test_permutations_come_from_the_plan_alone_and_never_change() -> None:
    plan = CascadePlan(8, 7, (2, 4, 4, 4))
    assert plan.permutation(0).tolist() == list(range(8))
    # Literal: another version of NumPy must give the same, or two ends would part.
    assert plan.permutation(1).tolist() == [3, 1, 6, 2, 5, 4, 0, 7]
    assert sorted(plan.permutation(2).tolist()) == list(range(8))
    assert plan.permutation(2).tolist() != plan.permutation(3).tolist()


def test_contradicting_answers_end_in_an_error_not_in_a_loop() -> None:
    sent, received = noisy_pair(2000, 0.05, seed=4)
    corrector = CascadeCorrector(received, 0.05, np.random.default_rng(2))
    astray = CascadeReference(sent, CascadePlan(2000, 99, corrector.plan.block_sizes))

    def follow_different_plans() -> None:
        while not corrector.done:
            corrector.receive(astray.answer(corrector.next_queries()))

    with pytest.raises(ValueError, match="contradict"):
        follow_different_plans()


def test_a_question_outside_the_frame_is_refused_and_not_counted() -> None:
    plan = CascadePlan(100, 7, (10, 40))
    reference = CascadeReference(np.zeros(100, dtype=np.uint8), plan)
    for number, start, stop in [(2, 0, 10), (0, 10, 10), (0, 95, 101)]:
        asked = ParityQueries(np.array([number], np.uint8), np.array([start], np.uint32), np.array([stop], np.uint32))
        with pytest.raises(ValueError, match="both ends must follow one plan"):
            reference.answer(asked)
    assert reference.leaked_bits == 0


def test_the_wrong_number_of_answers_is_refused() -> None:
    corrector = CascadeCorrector(np.zeros(100, dtype=np.uint8), 0.05, np.random.default_rng(2))
    with pytest.raises(ValueError, match="expected"):
        corrector.receive(np.zeros(1, dtype=np.uint8))
    with pytest.raises(ValueError, match="9 bytes"):
        ParityQueries.from_bytes(b"12345678")


@pytest.mark.parametrize("bits", [np.array([0, 2], np.uint8), np.zeros((2, 2), np.uint8)])
def test_packed_or_misshapen_bits_are_refused(bits: np.ndarray) -> None:
    with pytest.raises(ValueError, match="frame"):
        CascadeReference(bits, CascadePlan(2, 0, (1,)))


@given(n_bits=st.integers(0, 5000), frame_bits=st.integers(1, 700))
def test_frames_tile_the_block(n_bits: int, frame_bits: int) -> None:
    cut = frames(n_bits, frame_bits)
    covered = [i for part in cut for i in range(part.start, part.stop)]
    assert covered == list(range(n_bits))
    assert all(0 < part.stop - part.start <= frame_bits for part in cut)
