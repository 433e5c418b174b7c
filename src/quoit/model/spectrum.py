"""Slots of optical spectrum: what a channel takes, what is free.

Whole MHz, as ONF TAPI and the flexible grid of ITU-T G.694.1 have them (centres at 193.1 THz + n x 6.25 GHz, widths in
steps of 12.5 GHz); nothing here insists on a grid unless it is asked to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

C_M_S = 299_792_458
ANCHOR_MHZ = 193_100_000
CENTRE_STEP_MHZ = 6_250
WIDTH_STEP_MHZ = 12_500
C_BAND_MHZ = (191_300_000, 196_100_000)
"""1528.8 to 1567.1 nm: what erbium-window equipment covers."""

Interval = tuple[int, int]
"""Lower and upper edge, MHz."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A stretch of spectrum by its centre and width."""

    centre_mhz: int
    width_mhz: int

    @property
    def lower_mhz(self) -> int:
        return self.centre_mhz - self.width_mhz // 2

    @property
    def upper_mhz(self) -> int:
        return self.lower_mhz + self.width_mhz

    @property
    def centre_hz(self) -> float:
        return self.centre_mhz * 1e6

    @property
    def wavelength_nm(self) -> float:
        """Vacuum wavelength of the centre."""
        return C_M_S / self.centre_mhz * 1e3

    @property
    def width_nm(self) -> float:
        """The width as a stretch of wavelength."""
        return self.wavelength_nm * self.width_mhz / self.centre_mhz

    @property
    def on_flexible_grid(self) -> bool:
        """Whether ITU-T G.694.1, clause 7, has such a slot."""
        return not (self.centre_mhz - ANCHOR_MHZ) % CENTRE_STEP_MHZ and not self.width_mhz % WIDTH_STEP_MHZ

    def overlaps(self, other: Slot, guard_mhz: int = 0) -> bool:
        """Whether they come closer than a guard band; neighbours that touch do not overlap."""
        return self.lower_mhz < other.upper_mhz + guard_mhz and other.lower_mhz < self.upper_mhz + guard_mhz

    def __str__(self) -> str:
        return f"{self.centre_mhz / 1e6:.4f} THz x {self.width_mhz / 1e3:g} GHz"


def centre_of(wavelength_nm: float) -> int:
    """Frequency in MHz of a vacuum wavelength."""
    return round(C_M_S / wavelength_nm * 1e3)


def free(taken: Iterable[Slot], band: Interval = C_BAND_MHZ, guard_mhz: int = 0) -> tuple[Interval, ...]:
    """What of a band is left, a guard kept to each slot that is taken; ascending."""
    left = []
    at, end = band
    for low, high in sorted((slot.lower_mhz - guard_mhz, slot.upper_mhz + guard_mhz) for slot in taken):
        if low > at:
            left.append((at, min(low, end)))
        at = max(at, high)
        if at >= end:
            return tuple(left)
    left.append((at, end))
    return tuple(left)
