"""Which stratum coordinates with Connectivity."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from quoit.scenario.schema.forms import Duration, Loss, Section, Wavelength


class CoordinationSection(Section):
    """Which stratum has other light given to links that are dark, noisy or in the way of works: the `fabric`, by how
    its links are, or `service`, by who needs them, for a fabric that is oblivious to Connectivity. `wavelengths`: where
    else links' devices can be tuned to; `most_loss`: what another place may lose more than the first one; `lead`: links
    leave so long before works begin; `hold_off`: light must be gone for so long; `verify`: a move may take so long to
    help; `cooldown`: until the next attempt; `budget`: moves of one link within `budget_time`, at most. Of whoever
    locks the same links, closed loops among them, the higher `priority` has them."""

    by: Literal["fabric", "service"]
    wavelengths: list[Wavelength] = Field(default_factory=list, max_length=16)
    most_loss_db: Loss = Field(default=6.0, alias="most_loss")
    lead_ns: Duration = Field(default=60 * 10**9, alias="lead")
    hold_off_ns: Duration = Field(default=0, alias="hold_off")
    verify_ns: Duration = Field(default=30 * 10**9, alias="verify")
    cooldown_ns: Duration = Field(default=10 * 10**9, alias="cooldown")
    priority: Annotated[int, Field(ge=0, le=100)] = 60
    budget: Annotated[int, Field(ge=1, le=1_000)] = 6
    budget_time_ns: Duration = Field(default=600 * 10**9, alias="budget_time")

    @model_validator(mode="after")
    def _are_light(self) -> CoordinationSection:
        for nm in self.wavelengths:
            if not 631 <= nm <= 1665:
                raise ValueError(f"expected wavelengths of 631 to 1665 nm, found {nm:g} nm")
        if self.cooldown_ns < 10**7:
            raise ValueError("expected a cooldown of 10 ms or more")
        return self
