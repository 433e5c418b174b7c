"""What the optical network's controller is asked for: connectivity services and works."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from quoit.scenario.schema.forms import Duration, Frequency, Loss, Name, Power, Section


class CompanionSection(Section):
    """A classical channel on the very fibres of a quantum one."""

    width_mhz: Frequency = Field(default=50_000, alias="width")
    launch_dbm: Power = Field(default=-20.0, alias="launch")


class RestorationSection(Section):
    """`hold_off` before a lost path is replaced; `revertive`: back when the first one has been whole for `wait`."""

    enabled: bool = True
    hold_off_ns: Duration = Field(default=0, alias="hold_off")
    revertive: bool = False
    wait_ns: Duration = Field(default=300 * 10**9, alias="wait")


class ConnectivityService(Section):
    """A service of the optical network: the quantum channel of `link`, or a classical channel `from` node `to` node.

    `max_noise`: noise photons per second in the filter at the receiver's input. `coroute`, `apart_from`: services that
    come before it in the file.
    """

    name: Name
    link: str | None = None
    source: str | None = Field(default=None, alias="from")
    to: str | None = None
    width_mhz: Frequency = Field(default=50_000, alias="width")
    launch_dbm: Power = Field(default=-20.0, alias="launch")
    objective: Literal["loss", "latency"] = "loss"
    max_loss_db: Loss | None = Field(default=None, alias="max_loss")
    max_latency_ns: Duration | None = Field(default=None, alias="max_latency")
    max_switches: Annotated[int, Field(ge=0)] | None = None
    max_noise_hz: Annotated[float, Field(ge=0)] | None = Field(default=None, alias="max_noise")
    avoid: list[str] = Field(default_factory=list)
    companion: CompanionSection | None = None
    coroute: str | None = None
    apart_from: str | None = None
    at_ns: Duration | None = Field(default=None, alias="at")
    until_ns: Duration | None = Field(default=None, alias="until")
    restoration: RestorationSection = Field(default_factory=RestorationSection)

    @model_validator(mode="after")
    def _is_one_kind(self) -> ConnectivityService:
        classical = self.source is not None and self.to is not None and self.source != self.to
        if (self.link is not None) == classical or (self.link is not None and (self.source or self.to)):
            raise ValueError("expected either link, or two different nodes from and to")
        if self.link is None and (self.companion is not None or self.max_noise_hz is not None):
            raise ValueError("companion and max_noise are for the quantum channel of a link")
        if self.until_ns is not None and self.until_ns <= (self.at_ns or 0):
            raise ValueError("until must come after at")
        return self


class WorksSection(Section):
    """Planned works on spans, known from the start. Services give way `lead` before they begin."""

    name: Name
    spans: Annotated[list[str], Field(min_length=1)]
    at_ns: Duration = Field(alias="at")
    until_ns: Duration = Field(alias="until")
    lead_ns: Duration = Field(default=60 * 10**9, alias="lead")
    force: bool = False

    @model_validator(mode="after")
    def _lasts(self) -> WorksSection:
        if self.until_ns <= self.at_ns:
            raise ValueError("until must come after at")
        return self
