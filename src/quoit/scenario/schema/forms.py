"""The forms of values in files, with their units, and the base of all sections."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from quoit.model import quantity

Pair = Annotated[list[str], Field(min_length=2, max_length=2)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_\-]{0,63}$")]


def _shown(example: str) -> Any:
    return Field(json_schema_extra={"type": "string", "examples": [example]})


Duration = Annotated[int, BeforeValidator(quantity.parse_duration_ns), _shown("600s")]
Rate = Annotated[float, BeforeValidator(quantity.parse_rate_bps), _shown("2 kbit/s")]
Size = Annotated[int, BeforeValidator(quantity.parse_size_bits), _shown("256 bit")]
Length = Annotated[float, BeforeValidator(quantity.parse_length_km), _shown("24.5 km")]
Loss = Annotated[float, BeforeValidator(quantity.parse_loss_db), _shown("8.72 dB")]
Attenuation = Annotated[float, BeforeValidator(quantity.parse_attenuation_db_per_km), _shown("0.25 dB/km")]
Frequency = Annotated[int, BeforeValidator(quantity.parse_frequency_mhz), _shown("193.4 THz")]
Wavelength = Annotated[float, BeforeValidator(quantity.parse_wavelength_nm), _shown("1550.12 nm")]
Power = Annotated[float, BeforeValidator(quantity.parse_power_dbm), Field(le=30), _shown("-3 dBm")]
Aperture = Annotated[float, BeforeValidator(quantity.parse_aperture_m), Field(gt=0), _shown("30 cm")]
Angle = Annotated[float, BeforeValidator(quantity.parse_angle_rad), _shown("2 urad")]
Elevation = Annotated[float, BeforeValidator(quantity.parse_elevation_deg), Field(le=90), _shown("60 deg")]
Share = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """Base of all parts of the file: unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, frozen=True)


def expect_one_of(section: BaseModel, *names: str) -> None:
    """ValueError unless exactly one of these keys is given."""
    given = [name for name in names if getattr(section, name) is not None]
    if len(given) != 1:
        raise ValueError(f"expected exactly one of {', '.join(names)}; found {', '.join(given) or 'none'}")
