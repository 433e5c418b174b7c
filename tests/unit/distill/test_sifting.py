"""Sifting: the ends keep the same detections, and a crooked announcement is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.fabric.distill.sifting import Basis, Sifted, sift_at_receiver, sift_at_sender, tally


def u8(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.uint8)


def record(**changes: Any) -> dict[str, Any]:
    plain = {
        "indices": np.array([2, 5, 9, 11]),
        "bases": u8(0, 0, 1, 1),
        "intensities": u8(0, 1, 0, 1),
        "bits": u8(1, 0, 1, 1),
    }
    return plain | changes


def test_both_ends_keep_the_detections_with_equal_bases() -> None:
    keep, sender = sift_at_sender(np.array([2, 5, 9, 11]), u8(0, 1, 1, 1), **record())
    assert keep.tolist() == [True, False, True, True]
    receiver = sift_at_receiver(keep, sender.intensities, bases=u8(0, 1, 1, 1), bits=u8(1, 1, 0, 1))
    assert sender.bits_in(Basis.Z).tolist() == [1]
    assert sender.bits_in(Basis.X).tolist() == [1, 1]
    assert receiver.bits_in(Basis.X).tolist() == [0, 1]
    assert receiver.intensities_in(Basis.X).tolist() == [0, 1]
    tested = tally(
        receiver.bits_in(Basis.X), sender.bits_in(Basis.X), receiver.intensities_in(Basis.X), n_intensities=3
    )
    assert tested.counts == (1, 1, 0)
    assert tested.errors == (1, 0, 0)
    assert tested.total == 2
    assert tested.error_rate == 0.5


def test_the_sender_may_know_of_pulses_that_were_not_announced() -> None:
    keep, sender = sift_at_sender(np.array([5, 11]), u8(0, 1), **record())
    assert keep.all()
    assert sender.bits.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("indices", "bases", "complaint"),
    [
        ([5, 5], [0, 0], "ascend"),
        ([9, 5], [0, 0], "ascend"),
        ([5, 7], [0, 0], "pulse 7"),
        ([5, 99], [0, 0], "pulse 99"),
        ([5, 9], [0, 2], "bases are 0"),
        ([5, 9], [0], "one basis"),
    ],
)
def test_a_crooked_announcement_is_refused(indices: list[int], bases: list[int], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        sift_at_sender(np.array(indices), u8(*bases), **record())


def test_a_reply_that_does_not_fit_the_announcement_is_refused() -> None:
    bases, bits = u8(0, 1, 1), u8(0, 0, 1)
    with pytest.raises(ValueError, match="keep mask"):
        sift_at_receiver(np.array([True, True]), u8(0, 0), bases=bases, bits=bits)
    with pytest.raises(ValueError, match="2 detections were kept"):
        sift_at_receiver(np.array([True, True, False]), u8(0), bases=bases, bits=bits)


def test_an_intensity_that_the_source_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="intensity 2"):
        tally(u8(0), u8(0), u8(2), n_intensities=2)
    with pytest.raises(ValueError, match="one length"):
        tally(u8(0), u8(0, 1), u8(0), n_intensities=2)


def test_bits_do_not_show_in_the_repr() -> None:
    assert repr(Sifted(u8(0), u8(0), u8(1))) == "Sifted(1 detections)"


@given(st.lists(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2), st.integers(0, 1)), max_size=9), max_size=5))
def test_chunks_join_in_order(chunks: list[list[tuple[int, int, int]]]) -> None:
    parts = [Sifted(*(u8(*(row[i] for row in rows)) for i in range(3))) for rows in chunks]
    flat = [row for rows in chunks for row in rows]
    joined = Sifted.join(parts)
    assert list(zip(joined.bases.tolist(), joined.intensities.tolist(), joined.bits.tolist(), strict=True)) == flat


def test_no_detections_are_no_error() -> None:
    keep, sender = sift_at_sender(np.zeros(0, np.int64), u8(), **record())
    assert len(keep) == len(sender) == 0
    assert tally(u8(), u8(), u8(), 2).error_rate == 0.0
