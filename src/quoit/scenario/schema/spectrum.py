"""Where light is: of quantum channels, and of those that do not say."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from quoit.model.spectrum import centre_of
from quoit.scenario.schema.forms import Frequency, Loss, Section, Wavelength

QUANTUM_MHZ, QUANTUM_WIDTH_MHZ = 193_400_000, 25_000
"""Where a quantum channel is that does not say: 1550.12 nm, 0.2 nm wide."""
SHONE_MHZ, SHONE_WIDTH_MHZ = 193_100_000, 50_000
"""Where unannounced light is that does not say: the anchor of ITU-T G.694.1."""


class Spectrum(Section):
    """Where a quantum channel is, and how well its filter keeps other light out: frequency or wavelength, `filter`."""

    frequency_mhz: Frequency | None = Field(default=None, alias="frequency")
    wavelength_nm: Wavelength | None = Field(default=None, alias="wavelength")
    filter_mhz: Frequency = Field(default=QUANTUM_WIDTH_MHZ, alias="filter")
    isolation_db: Loss = Field(default=100.0, alias="isolation")

    @model_validator(mode="after")
    def _is_one_place(self) -> Spectrum:
        expect_one_place(self, self.filter_mhz)
        return self

    @property
    def centre_mhz(self) -> int:
        return centre_of_section_mhz(self)


def centre_of_section_mhz(section: Any) -> int:
    """In MHz, from a section that has frequency or wavelength."""
    found: int = section.frequency_mhz or centre_of(section.wavelength_nm or 1.0)
    return found


def expect_one_place(section: Any, width_mhz: int) -> None:
    if (section.frequency_mhz is None) == (section.wavelength_nm is None):
        raise ValueError("expected exactly one of frequency, wavelength; found both or none")
    if width_mhz <= 0:
        raise ValueError("expected a width above 0")
    if not 180_000_000 <= centre_of_section_mhz(section) <= 475_000_000:
        raise ValueError(
            f"expected 180 to 475 THz (1665 to 631 nm), found {centre_of_section_mhz(section) / 1e6:.3f} THz"
        )
