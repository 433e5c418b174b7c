"""What wanders slowly: haze, clouds, pointing, the error rate of a link."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from quoit.scenario.schema.forms import Angle, Duration, Loss, Section, Share


class Wandering(Section):
    """A slow random process: its rms, in the unit of what wanders, and its correlation time."""

    time_ns: Duration = Field(default=600 * 10**9, alias="time")

    @model_validator(mode="after")
    def _takes_time(self) -> Wandering:
        if self.time_ns < 10**9:
            raise ValueError("expected a time of 1 s or more")
        return self


class Haze(Wandering):
    rms_db: Loss = Field(alias="rms")


class Clouds(Wandering):
    """`share`: of the time that a cloud is in the way."""

    share: Share


class Pointing(Wandering):
    time_ns: Duration = Field(default=30 * 10**9, alias="time")
    rms_rad: Angle = Field(alias="rms")


class Drift(Wandering):
    """Of the error rate of a link, as polarisation or phase in its fibre changes."""

    rms: Annotated[float, Field(gt=0, le=0.1)]
