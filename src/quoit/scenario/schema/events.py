"""What happens at a time: faults, attacks, weather, load, orders."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from quoit.scenario.schema.forms import Duration, Frequency, Loss, Power, Rate, Section, Size, expect_one_of
from quoit.scenario.schema.spectrum import SHONE_MHZ, SHONE_WIDTH_MHZ


class Bend(Section):
    span: str
    loss_db: Loss = Field(alias="loss")


class Attack(Section):
    """What is done to a link. intercept-resend: on a QKD link with a light of its own, or on a pair link.
    photon-number-splitting, blinding: on a QKD link with a light of its own. depolarise: of a pair link's pairs, a
    fault rather than an attack. tamper-messages, falsify-telemetry: on any QKD link.

    `fraction`: of pulses resent, of single photons blocked, of pairs depolarised, of messages altered. `end`: whose
    agent tells what is not so.
    """

    kind: Literal[
        "intercept-resend",
        "photon-number-splitting",
        "blinding",
        "depolarise",
        "tamper-messages",
        "falsify-telemetry",
    ]
    link: str
    fraction: Annotated[float, Field(ge=0, le=1)] | None = None
    end: Literal["sender", "receiver"] | None = None

    @model_validator(mode="after")
    def _says_how_much(self) -> Attack:
        by_fraction = self.kind not in ("blinding", "falsify-telemetry")
        if by_fraction != (self.fraction is not None):
            raise ValueError(
                f"{self.kind} {'needs a fraction, found none' if by_fraction else 'has no fraction; leave it out'}"
            )
        if (self.kind == "falsify-telemetry") != (self.end is not None):
            raise ValueError("expected the key 'end' with falsify-telemetry, and with nothing else")
        return self


class Tapping(Section):
    """A coupler that leads light of a fibre away, and what it costs."""

    span: str
    loss_db: Loss = Field(alias="loss")


class RateChange(Section):
    link: str
    rate_bps: Rate = Field(alias="rate")


class Load(Section):
    """An application that takes keys, and its peer that takes them too."""

    source: str = Field(alias="from")
    to: str
    rate_bps: Rate = Field(alias="rate")
    key_size_bits: Size = Field(default=256, alias="key_size")
    arrivals: Literal["constant", "poisson"] = "constant"


class Weather(Section):
    """Loss that weather adds to a path through air."""

    span: str
    loss_db: Loss = Field(alias="loss")


class Shining(Section):
    """Light of which no inventory knows, from the first end of a span."""

    span: str
    launch_dbm: Power = Field(default=0.0, alias="launch")
    frequency_mhz: Frequency = Field(default=SHONE_MHZ, alias="frequency")
    width_mhz: Frequency = Field(default=SHONE_WIDTH_MHZ, alias="width")

    @model_validator(mode="after")
    def _is_light(self) -> Shining:
        if self.width_mhz <= 0 or not 180_000_000 <= self.frequency_mhz <= 475_000_000:
            raise ValueError("expected a width above 0 and a frequency of 180 to 475 THz")
        return self


class Mistuning(Section):
    """A classical channel sends with another power than it was told to."""

    channel: str
    launch_dbm: Power = Field(alias="launch")


class OrderSection(Section):
    """A customer of the optical network has a channel of the plant lit, with its own launch power or another one."""

    channel: str
    launch_dbm: Power | None = Field(default=None, alias="launch")


class Misalignment(Section):
    """The devices of a pair link drift: its pairs are depolarised by this share."""

    link: str
    share: Annotated[float, Field(ge=0, le=1)]


class Overstating(Section):
    """An optical domain's controller says that its ways lose this much less, and are so much quicker, than it knows."""

    domain: str
    loss_db: Loss = Field(default=0.0, alias="loss")
    latency_ns: Duration = Field(default=0, alias="latency")


KINDS_OF_EVENTS = (
    "cut", "bend", "tap", "attack", "rate", "load", "light", "power", "weather", "order", "misalign", "overstate"
)  # fmt: skip


class Event(Section):
    """Something that happens at a time: exactly one of cut, bend, tap, attack, rate, load, light, power, weather,
    order, misalign, overstate."""

    at_ns: Duration = Field(alias="at")
    until_ns: Duration | None = Field(default=None, alias="until")
    cut: str | None = None
    bend: Bend | None = None
    tap: Tapping | None = None
    attack: Attack | None = None
    rate: RateChange | None = None
    load: Load | None = None
    light: Shining | None = None
    power: Mistuning | None = None
    weather: Weather | None = None
    order: OrderSection | None = None
    misalign: Misalignment | None = None
    overstate: Overstating | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Event:
        expect_one_of(self, *KINDS_OF_EVENTS)
        if self.until_ns is not None and self.until_ns <= self.at_ns:
            raise ValueError("until must come after at")
        return self
