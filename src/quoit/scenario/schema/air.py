"""Paths through air and space: optics, sky, weather, satellites."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from quoit.scenario.schema.forms import (
    Angle,
    Aperture,
    Attenuation,
    Duration,
    Elevation,
    Frequency,
    Length,
    Loss,
    Section,
    Wavelength,
)
from quoit.scenario.schema.wandering import Clouds, Haze, Pointing


class PassSection(Section):
    """A satellite's culmination over the station: when, and how high."""

    at_ns: Duration = Field(alias="at")
    elevation_deg: Elevation = Field(alias="elevation")


class Satellite(Section):
    """One end of a path is a satellite in a circular orbit. `every`: the passes come again after so long.

    `zenith`: transmittance of clear air straight up.
    """

    altitude_km: Length = Field(alias="altitude")
    passes: Annotated[list[PassSection], Field(min_length=1, max_length=1_000)]
    every_ns: Duration | None = Field(default=None, alias="every")
    lowest_deg: Elevation = Field(default=10.0, alias="lowest")
    zenith: Annotated[float, Field(gt=0, le=1)] = 0.7

    @model_validator(mode="after")
    def _is_seen(self) -> Satellite:
        if not 100 <= self.altitude_km <= 40_000:
            raise ValueError(f"expected an altitude of 100 to 40000 km, found {self.altitude_km:g} km")
        for one in self.passes:
            if one.elevation_deg <= self.lowest_deg:
                raise ValueError(
                    f"expected passes that rise above the lowest elevation of {self.lowest_deg:g} deg, "
                    f"found one of {one.elevation_deg:g} deg"
                )
            if self.every_ns is not None and one.at_ns >= self.every_ns:
                raise ValueError("expected every pass within the time after which they come again")
        return self


class Sky(Section):
    """What a receiving telescope sees behind the sender; `day` not given: it is always night."""

    night: Literal["moonless", "new-moon", "full-moon", "clear-day", "hazy-day", "cloudy-day"] = "new-moon"
    day: Literal["clear-day", "hazy-day", "cloudy-day"] | None = None
    view_rad: Angle = Field(default=1e-4, alias="view")


class Air(Section):
    """A span through air or space. The first node of `between` holds the sender.

    `waist`: radius of the beam at the sender; `divergence`: half angle, if wider than diffraction makes it; `jitter`:
    rms of fast pointing errors per axis; `optics`: loss of both telescopes.
    """

    waist_m: Aperture = Field(alias="waist")
    receiver_m: Aperture = Field(alias="receiver")
    wavelength_nm: Wavelength = Field(default=850.0, alias="wavelength")
    filter_mhz: Frequency = Field(default=400_000, alias="filter")
    divergence_rad: Angle | None = Field(default=None, alias="divergence")
    jitter_rad: Angle = Field(default=0.0, alias="jitter")
    optics_db: Loss = Field(default=3.0, alias="optics")
    extinction_db_per_km: Attenuation = Field(default=0.5, alias="extinction")
    satellite: Satellite | None = None
    sky: Sky = Field(default_factory=Sky)
    haze: Haze | None = None
    clouds: Clouds | None = None
    pointing: Pointing | None = None

    @model_validator(mode="after")
    def _is_light(self) -> Air:
        if not 631 <= self.wavelength_nm <= 1665:
            raise ValueError(f"expected a wavelength of 631 to 1665 nm, found {self.wavelength_nm:g} nm")
        return self
