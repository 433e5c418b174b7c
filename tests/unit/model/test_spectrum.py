"""Slots of spectrum: overlaps, guards, what is free."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.model.spectrum import C_BAND_MHZ, Slot, centre_of, free

slots = st.builds(Slot, st.integers(191_000_000, 197_000_000), st.integers(1, 400_000))


def test_edges_and_wavelength() -> None:
    slot = Slot(193_100_000, 50_000)
    assert (slot.lower_mhz, slot.upper_mhz) == (193_075_000, 193_125_000)
    assert slot.wavelength_nm == pytest.approx(1552.524, abs=1e-3)  # ITU-T G.694.1's anchor
    assert slot.width_nm == pytest.approx(0.402, abs=1e-3)
    assert slot.on_flexible_grid
    assert not Slot(193_101_000, 50_000).on_flexible_grid
    assert centre_of(slot.wavelength_nm) == slot.centre_mhz
    assert str(slot) == "193.1000 THz x 50 GHz"


def test_neighbours_that_touch_do_not_overlap() -> None:
    one, next_one = Slot(193_100_000, 50_000), Slot(193_150_000, 50_000)
    assert not one.overlaps(next_one)
    assert one.overlaps(next_one, guard_mhz=1)
    assert one.overlaps(one)


@given(slots, slots, st.integers(0, 300_000))
def test_overlap_has_no_order(one: Slot, other: Slot, guard: int) -> None:
    assert one.overlaps(other, guard) == other.overlaps(one, guard)


@given(st.lists(slots, max_size=12), st.integers(0, 200_000))
def test_what_is_free_touches_nothing_and_nothing_else_is_free(taken: list[Slot], guard: int) -> None:
    left = free(taken, guard_mhz=guard)
    for low, high in left:
        assert C_BAND_MHZ[0] <= low < high <= C_BAND_MHZ[1]
        assert all(high <= slot.lower_mhz - guard or low >= slot.upper_mhz + guard for slot in taken)
    assert list(left) == sorted(left)
    assert all(a[1] < b[0] for a, b in pairwise(left))
    gaps = [C_BAND_MHZ[0], *(edge for interval in left for edge in interval), C_BAND_MHZ[1]]
    for low, high in zip(gaps[::2], gaps[1::2], strict=True):
        if high > low:  # a stretch that is not free: its middle is within a guard of some slot
            middle = (low + high) // 2
            assert any(slot.lower_mhz - guard <= middle <= slot.upper_mhz + guard for slot in taken)
