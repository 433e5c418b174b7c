"""What the elements that look across the strata answer to, and the news they give: assurance, alarms, footprint."""

from __future__ import annotations

from quoit.runtime.wire import Message, message

ASSURANCE = "orchestration.assurance"
FOOTPRINT = "orchestration.footprint"
HEALTH_NEWS = "assurance"
"""Subjects are `assurance.<kind>`."""


class SymptomRow(Message):
    """What is wrong with one subservice by itself. `weight`: points of health that it takes."""

    about: str
    name: str
    text: str
    weight: int
    since_ns: int


class Need(Message):
    """What a subservice depends on, and how: impacting, buffered or informational."""

    name: str
    impact: str


class AssuranceRow(Message):
    """A subservice (RFC 9418): health 0 to 100, its own symptoms, and those at the far end of its dependencies that
    cause what ails it."""

    name: str
    kind: str
    health: int
    symptoms: tuple[SymptomRow, ...]
    causes: tuple[SymptomRow, ...]
    needs: tuple[Need, ...]


@message("orchestration.GetAssurance")
class GetAssurance(Message):
    """How well is everything? `below` 101: all; else only what has less health. Answered with `AssuranceTable`."""

    below: int = 101


@message("orchestration.AssuranceTable")
class AssuranceTable(Message):
    """Subservices, those that are most ill first."""

    rows: tuple[AssuranceRow, ...]


@message("orchestration.HealthChanged")
class HealthChanged(Message):
    """News: the health of a subservice, or what causes it, is another. `causes`: in words."""

    name: str
    kind: str
    health: int
    causes: tuple[str, ...]
    at_ns: int


class RootCause(Message):
    """The alarm that explains another one."""

    stratum: str
    about: str
    cause: str


class CorrelatedAlarm(Message):
    """A standing alarm; `roots`: the alarms that explain it, none if nothing does."""

    stratum: str
    about: str
    cause: str
    severity: str
    text: str
    since_ns: int
    roots: tuple[RootCause, ...] = ()


@message("orchestration.GetCorrelatedAlarms")
class GetCorrelatedAlarms(Message):
    """What is wrong now, and why? Answered with `CorrelatedAlarms`."""


@message("orchestration.CorrelatedAlarms")
class CorrelatedAlarms(Message):
    """Standing alarms of all strata: roots before what they explain, then oldest first."""

    alarms: tuple[CorrelatedAlarm, ...]


class PowerShare(Message):
    """Devices that are on. `watts`: of each. `assumed`: nobody has published that number."""

    device: str
    number: int
    watts: float
    assumed: bool


@message("orchestration.GetFootprint")
class GetFootprint(Message):
    """What has the network cost so far? Answered with `Footprint`."""


@message("orchestration.Footprint")
class Footprint(Message):
    """Figures since the start. Energy of keys and of entangled pairs in J, what was delivered of each, and energy for
    each (None: nothing was delivered). Of the fibre that carries quantum channels (km): how much of it carries
    classical traffic as well. `assumed_ratio`: share of the power of now that stands on assumptions."""

    at_ns: int
    key_watts: float
    key_joules: float
    key_bits: int
    joules_per_bit: float | None
    pair_watts: float
    pair_joules: float
    pairs: int
    joules_per_pair: float | None
    quantum_km: float
    shared_km: float
    shared_ratio: float | None
    assumed_ratio: float | None
    devices: tuple[PowerShare, ...]
