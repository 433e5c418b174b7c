"""Windows of meters, thresholds and the power of devices."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from quoit.scenario.schema.forms import Duration, Section


class ThresholdSection(Section):
    """An alarm when a reading passes `raise`; it ends when one has come back past `clear`. Levels are written as in
    the rest of the file: `0.05`, `9 dB`, `100 kbit`, `2 kbit/s`, `20ms`. `on`: what of the meter is looked at: each
    reading, or a figure of each window. `of`: which links, spans or sessions; all, if it is not said."""

    metric: str
    raise_at: float | str = Field(alias="raise")
    clear_at: float | str = Field(alias="clear")
    severity: Literal["critical", "major", "minor", "warning"] = "minor"
    on: Literal["reading", "least", "mean", "most", "p50", "p95"] = "reading"
    of: list[str] | None = None


class TelemetrySection(Section):
    """Windows of simulated time that readings are summed up in, thresholds, and `power`: watts of devices instead of
    those of the table that figures of energy stand on (see docs/telemetry.md)."""

    window_ns: Duration = Field(default=60 * 10**9, alias="window")
    thresholds: list[ThresholdSection] = Field(default_factory=list)
    power: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _not_empty(self) -> TelemetrySection:
        if self.window_ns <= 0:
            raise ValueError("expected a window longer than 0s, found 0s")
        return self
