"""Whether an optical domain gives what it announces: tests across it, and the preference that routes have for it."""

from __future__ import annotations

from quoit.runtime.wire import Message, message

TESTER = "connectivity.tester"
"""Test sets at the borders of optical domains."""
MOST_PREFERENCE = 100
"""Of a domain that nothing is held against (BGP's usual local preference)."""


@message("connectivity.TestWay")
class TestWay(Message):
    """Send test light across `domain` from its border node `a` to its border node `b`, on the way that it gives to
    channels of customers at this frequency: weak pulses, as many as would give so many `clicks` at the other end if
    the way lost `loss_db` (but 10^8 at most); and as long again without light. Answered with `WayTested`. Problems as
    of `ComputePaths`; `malformed`."""

    __test__ = False
    domain: str
    a: str
    b: str
    centre_mhz: int
    loss_db: float
    clicks: int


@message("connectivity.WayTested")
class WayTested(Message):
    """What the test set counted. `per_loss`: clicks with light that a way without loss would have given; `clicks` with
    light, `dark_clicks` in `dark_ns` without. `efficiency`, `dark_hz`: the detector's. `delay_ns`: of the light's
    arrival; None if too little arrived to tell. `ends_db`: what the switches at both ends take, which is not the way's.
    """

    domain: str
    a: str
    b: str
    per_loss: float
    clicks: int
    dark_clicks: int
    dark_ns: int
    efficiency: float
    dark_hz: float
    delay_ns: int | None
    ends_db: float
    drop_db: float


class Excess(Message):
    """What a way between two border nodes loses more than is announced, as measured."""

    a: str
    b: str
    loss_db: float


@message("connectivity.PreferDomain")
class PreferDomain(Message):
    """Have routes prefer an optical domain so much, 0 to 100: one of lower preference is taken only if there is no way
    within the limits through those of higher. As long as it is below 100, its ways are counted with what they lose in
    `excess`. Answered with `DomainPreference`; Problems `no-such-element`, `malformed`."""

    domain: str
    preference: int
    excess: tuple[Excess, ...] = ()


@message("connectivity.DomainPreference")
class DomainPreference(Message):
    """How much routes prefer a domain; also news."""

    domain: str
    preference: int
    excess: tuple[Excess, ...] = ()


@message("connectivity.GetPreferences")
class GetPreferences(Message):
    """Answered with `DomainPreferences`."""


@message("connectivity.DomainPreferences")
class DomainPreferences(Message):
    rows: tuple[DomainPreference, ...]


@message("connectivity.Overstate")
class Overstate(Message):
    """From fate: a domain's controller says from now on that its ways lose so much less than it knows, and are so much
    quicker; 0: it says what it knows."""

    loss_db: float = 0.0
    latency_ns: int = 0
