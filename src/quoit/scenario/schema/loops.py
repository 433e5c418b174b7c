"""Closed loops: which run, and how."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from quoit.scenario.schema.forms import Duration, Loss, Section, Size, Wavelength


class LoopSection(Section):
    """How a closed loop runs. `hold_off`: a finding must last so long; `verify`: an action may take so long to help;
    `cooldown`: rest after an action; `budget`: actions within `budget_time`, at most; `dry_run`: only write down what
    would be done; `approval`: wait for an operator before acting. Higher `priority` takes locks from lower."""

    period_ns: Duration = Field(default=10**9, alias="period")
    hold_off_ns: Duration = Field(default=0, alias="hold_off")
    verify_ns: Duration = Field(default=30 * 10**9, alias="verify")
    cooldown_ns: Duration = Field(default=10 * 10**9, alias="cooldown")
    priority: Annotated[int, Field(ge=0, le=100)] = 0
    budget: Annotated[int, Field(ge=1, le=1_000)] = 6
    budget_time_ns: Duration = Field(default=600 * 10**9, alias="budget_time")
    dry_run: bool = False
    approval: bool = False

    @model_validator(mode="after")
    def _takes_time(self) -> LoopSection:
        if self.period_ns < 10**7:
            raise ValueError("expected a period of 10 ms or more")
        return self


class MovingLoop(LoopSection):
    """A loop that may move quantum light. `most_loss`: what another place may lose more; `wavelengths`: where else
    links' devices can be tuned to."""

    most_loss_db: Loss = Field(default=6.0, alias="most_loss")
    wavelengths: list[Wavelength] = Field(default_factory=list, max_length=16)

    @model_validator(mode="after")
    def _are_light(self) -> MovingLoop:
        for nm in self.wavelengths:
            if not 631 <= nm <= 1665:
                raise ValueError(f"expected wavelengths of 631 to 1665 nm, found {nm:g} nm")
        return self


class NoiseSection(MovingLoop):
    """L2: error rates that rise. `lower`: by how much classical channels may be lowered if nothing else helps."""

    priority: Annotated[int, Field(ge=0, le=100)] = 40
    lower_db: Loss = Field(default=0.0, alias="lower")


class RestoreSection(MovingLoop):
    """Fibres that are cut."""

    period_ns: Duration = Field(default=200 * 10**6, alias="period")
    most_loss_db: Loss = Field(default=12.0, alias="most_loss")
    priority: Annotated[int, Field(ge=0, le=100)] = 50


class WorksLoopSection(MovingLoop):
    """L5: planned works. `lead`: links leave so long before works begin."""

    cooldown_ns: Duration = Field(default=10**9, alias="cooldown")
    priority: Annotated[int, Field(ge=0, le=100)] = 30
    lead_ns: Duration = Field(default=60 * 10**9, alias="lead")


class SharedSection(Section):
    """A transmitter or receiver at a node that a switch gives to one of these links at a time, at first the first."""

    node: str
    links: Annotated[list[str], Field(min_length=2, max_length=64)]
    low_bits: Size = Field(default=100_000, alias="low")
    enough_bits: Size = Field(default=500_000, alias="enough")

    @model_validator(mode="after")
    def _is_enough(self) -> SharedSection:
        if self.enough_bits <= self.low_bits:
            raise ValueError("expected enough above low, or the device would go to and fro")
        return self


class BufferSection(LoopSection):
    """L1: key buffers that are low."""

    priority: Annotated[int, Field(ge=0, le=100)] = 10
    shared: Annotated[list[SharedSection], Field(min_length=1)]


class FidelitySection(LoopSection):
    """L3: entangled pairs that are worse than their link's promise. `tests`: pairs that a round spends; `slots`:
    memories that it takes of both nodes meanwhile."""

    period_ns: Duration = Field(default=60 * 10**9, alias="period")
    verify_ns: Duration = Field(default=180 * 10**9, alias="verify")
    priority: Annotated[int, Field(ge=0, le=100)] = 20
    tests: Annotated[int, Field(ge=30, le=100_000)] = 300
    slots: Annotated[int, Field(ge=1, le=64)] = 2


class DomainsSection(LoopSection):
    """L4: optical domains that give less than they announce. `clicks`: that a test would give if a way were as
    announced; `windows`: tests in a row that a figure must have been missed in, and `back` those in which all must have
    been kept before the preference is raised by `step`; `lowest`: what it is lowered to. `margin`, `noise_margin`,
    `latency_margin`: what a way may be worse than announced."""

    period_ns: Duration = Field(default=10 * 10**9, alias="period")
    cooldown_ns: Duration = Field(default=0, alias="cooldown")
    budget: Annotated[int, Field(ge=1, le=1_000)] = 20
    priority: Annotated[int, Field(ge=0, le=100)] = 15
    clicks: Annotated[int, Field(ge=30, le=1_000_000)] = 3_000
    windows: Annotated[int, Field(ge=2, le=100)] = 3
    back: Annotated[int, Field(ge=1, le=1_000)] = 6
    margin_db: Loss = Field(default=0.5, alias="margin")
    noise_margin_db: Loss = Field(default=3.0, alias="noise_margin")
    latency_margin_ns: Duration = Field(default=1_000, alias="latency_margin")
    lowest: Annotated[int, Field(ge=0, le=99)] = 10
    step: Annotated[int, Field(ge=1, le=100)] = 30


class Loops(Section):
    """Closed loops; those that are not named do not run."""

    noise: NoiseSection | None = None
    restore: RestoreSection | None = None
    works: WorksLoopSection | None = None
    buffer: BufferSection | None = None
    fidelity: FidelitySection | None = None
    domains: DomainsSection | None = None
