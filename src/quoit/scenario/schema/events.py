"""What happens at a time: faults, attacks, weather, load, orders."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from quoit.scenario.schema.forms import Duration, Frequency, Loss, Power, Rate, Section, Size, expect_one_of
from quoit.scenario.schema.spectrum import SHONE_MHZ, SHONE_WIDTH_MHZ


class Bend(Section):
    span: str
    loss_db: Loss = Field(alias="loss")


MANNERS = {
    "falsify-telemetry": "repeat",
    "withhold-telemetry": "withhold",
    "delay-telemetry": "delay",
    "forge-alarms": "cry",
}
"""Attacks by an end's reporting agent, and what `fabric.reporting` calls how it reports then."""
INTRUSIONS = {"lift-quarantine": "link", "reroute-keys": "via", "deny-control": "node"}
"""What is done to control, and the key that says where."""


class Attack(Section):
    """What is done to a link. intercept-resend: on a QKD link with a light of its own, or on a pair link.
    photon-number-splitting, blinding: on a QKD link with a light of its own. depolarise: of a pair link's pairs, a
    fault rather than an attack. On any QKD link tamper-messages, and what agents of its ends do that are in somebody's
    hands: falsify-telemetry (repeat what was told while all was well), withhold-telemetry, delay-telemetry,
    forge-alarms.

    `fraction`: of pulses resent, of single photons blocked, of pairs depolarised, of messages altered. `end`: whose
    agent it is. `delay`: by how much it tells late. `tests: known`: of a pair link, if somebody tells the eavesdropper
    beforehand which pairs will be tests.
    """

    kind: Literal[
        "intercept-resend",
        "photon-number-splitting",
        "blinding",
        "depolarise",
        "tamper-messages",
        "falsify-telemetry",
        "withhold-telemetry",
        "delay-telemetry",
        "forge-alarms",
    ]
    link: str
    fraction: Annotated[float, Field(ge=0, le=1)] | None = None
    end: Literal["sender", "receiver", "both"] | None = None
    delay_ns: Annotated[Duration, Field(ge=1)] | None = Field(default=None, alias="delay")
    tests: Literal["unknown", "known"] = "unknown"

    @model_validator(mode="after")
    def _says_how_much(self) -> Attack:
        by_fraction = self.kind != "blinding" and self.kind not in MANNERS
        if by_fraction != (self.fraction is not None):
            raise ValueError(
                f"{self.kind} {'needs a fraction, found none' if by_fraction else 'has no fraction; leave it out'}"
            )
        if (self.kind in MANNERS) != (self.end is not None):
            raise ValueError(f"expected the key 'end' with {', '.join(MANNERS)}, and with nothing else")
        if (self.kind == "delay-telemetry") != (self.delay_ns is not None):
            raise ValueError("expected the key 'delay' with delay-telemetry, and with nothing else")
        if self.tests == "known" and self.kind != "intercept-resend":
            raise ValueError("expected 'tests: known' with intercept-resend of a pair link, and with nothing else")
        return self


class Hijacking(Section):
    """A repeater in somebody's hands, which makes up the results of this share of its swaps."""

    node: str
    fraction: Annotated[float, Field(gt=0, le=1)]


class Intrusion(Section):
    """What is done to control, by somebody whose certificate is good.

    lift-quarantine: a stranger gives `link` back, once a second while it lasts. reroute-keys: a stranger has relays
    send the keys from the first to the last node of `via` this way. deny-control: nothing that control, management and
    telemetry say to `node`, or hear from there, arrives.
    """

    kind: Literal["lift-quarantine", "reroute-keys", "deny-control"]
    link: str | None = None
    via: Annotated[list[str], Field(min_length=2, max_length=64)] | None = None
    node: str | None = None

    @model_validator(mode="after")
    def _says_where(self) -> Intrusion:
        needed = INTRUSIONS[self.kind]
        given = [key for key in INTRUSIONS.values() if getattr(self, key) is not None]
        if given != [needed]:
            raise ValueError(f"{self.kind} needs the key {needed!r} and no other; found {', '.join(given) or 'none'}")
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
    "cut",
    "bend",
    "tap",
    "attack",
    "hijack",
    "control",
    "rate",
    "load",
    "light",
    "power",
    "weather",
    "order",
    "misalign",
    "overstate",
)


class Event(Section):
    """Something that happens at a time: exactly one of cut, bend, tap, attack, hijack, control, rate, load, light,
    power, weather, order, misalign, overstate."""

    at_ns: Duration = Field(alias="at")
    until_ns: Duration | None = Field(default=None, alias="until")
    cut: str | None = None
    bend: Bend | None = None
    tap: Tapping | None = None
    attack: Attack | None = None
    hijack: Hijacking | None = None
    control: Intrusion | None = None
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
