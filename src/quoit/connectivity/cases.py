"""What a customer of Connectivity knows of a link whose light will not do: the case, its stage, the plan by which it is
kept in light; and what the customer tells itself (D4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from quoit.connectivity.messages.other_light import LightPlace
from quoit.runtime.wire import Message, message


class Cause(StrEnum):
    """Why a link is to have other light, the most urgent first."""

    DARK = "no light"
    WORKS = "planned works"
    NOISE = "noise"
    OVER = "works are over"


class Stage(StrEnum):
    """Where a case stands."""

    OPEN = "open"
    MOVING = "moving"
    VERIFYING = "verifying"


@dataclass(frozen=True)
class CustomerLink:
    """A link with light of its own. `spans`: those that it is pinned to (none: any). `isolation_db`: of its filter.
    `kept`: the optical network has it as a service, restores it and has it give way to works itself. `noisy`: whether
    its error rate tells of noise."""

    link: str
    a: str
    b: str
    spans: tuple[str, ...] = ()
    isolation_db: float = 100.0
    kept: bool = False
    noisy: bool = True


@dataclass(frozen=True)
class CustomerPlan:
    """How links are kept in light. `centres_mhz`: where else their devices can be tuned to; `more_loss_db`: what
    another place may lose more than the first one; `lead_ns`: so long before works a link leaves. `hold_off_ns`: how
    long light must be gone; `reading_ns`: interval of the fabric's readings. `verify_ns`: how long other light may take
    to help; `cooldown_ns`: until the next attempt. `budget`: moves of one link within `budget_ns`, at most.
    `priority`: among whoever locks the same links and spans. `period_ns`: how often what was left alone is looked at.
    """

    links: tuple[CustomerLink, ...]
    centres_mhz: tuple[int, ...] = ()
    more_loss_db: float = 6.0
    lead_ns: int = 60_000_000_000
    hold_off_ns: int = 0
    reading_ns: int = 1_000_000_000
    verify_ns: int = 30_000_000_000
    cooldown_ns: int = 10_000_000_000
    budget: int = 6
    budget_ns: int = 600_000_000_000
    priority: int = 60
    period_ns: int = 1_000_000_000


@dataclass(frozen=True)
class Noise:
    """What the fabric told of an error rate that rose."""

    qber: float
    expected: float
    at_ns: int


@dataclass
class Case:
    """A link that is to have other light. `ready_ns`: not before then is anything done. `apart`: somewhere quieter did
    not help, so that it is to leave its fibres. `said`: what was last written down of it, so that it is said once."""

    link: str
    cause: Cause
    number: int
    since_ns: int
    ready_ns: int
    stage: Stage = Stage.OPEN
    place: LightPlace | None = None
    moved: bool = False
    apart: bool = False
    said: str = ""


@message("connectivity.Consider")
class Consider(Message):
    """A customer to itself: decide on the cases that are open."""


@message("connectivity.CarryOut")
class CarryOut(Message):
    """A customer to itself: have the link of case `number` moved."""

    link: str
    number: int


@message("connectivity.Verify")
class Verify(Message):
    """A customer to itself: has case `number` been helped?"""

    link: str
    number: int


@message("connectivity.LookAtWorks")
class LookAtWorks(Message):
    """A customer to itself: works are near."""
