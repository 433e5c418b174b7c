"""Service units: opened, looked at, closed, and the news of their states."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from quoit.model.secret import Secret
from quoit.runtime.wire import Message, message


@message("service.OpenUnit")
class OpenUnit(Message):
    """Establish a service unit: `endpoints` are N >= 2 endpoint URNs without instance, `lifecycle` a URN.

    `originator` is the SAE that asks and must be attached to one of the endpoints. `unit_id` is a random
    version-4 UUID drawn at the edge; it is also the unit's 014 key_ID.
    """

    originator: str
    endpoints: tuple[str, ...]
    lifecycle: str
    unit_id: str


@message("service.GetUnit")
class GetUnit(Message):
    caller: str
    unit_id: str


@message("service.ListUnits")
class ListUnits(Message):
    """Units that `caller` is an endpoint of, newest first; `prefix` restricts to endpoints it covers."""

    caller: str
    prefix: str | None = None
    state: str | None = None
    limit: int = 100


@message("service.CloseUnit")
class CloseUnit(Message):
    caller: str
    unit_id: str


class Segment(Message):
    """A QUI of the unit: which stretch of which link's key stream stands behind it."""

    qui: str
    link: str
    block: int
    offset: int
    bits: int


@message("service.Unit")
class Unit(Message):
    """A service unit as its parties may see it. `state`: requested, routed, established, delivered,
    consumed, expired or failed."""

    unit_id: str
    endpoints: tuple[str, ...]
    lifecycle: str
    originator: str
    state: str
    size_bits: int
    created_ns: int
    expires_ns: int | None
    key_id: str
    route: tuple[str, ...] = ()
    segments: tuple[Segment, ...] = ()
    why: str | None = None
    # the content, in the one answer that hands it to the originator
    content: Secret | None = None
    # of shared states: which, where the caller's own qubits are or what was read of them, and what was promised when
    kind: str = "key"
    addresses: tuple[str, ...] = ()
    outcomes: tuple[int, ...] = ()
    fidelity: float | None = None
    fidelity_at_ns: int | None = None
    # what tests of its like have shown, at least and when, and how many there were
    estimate: float | None = None
    estimate_least: float | None = None
    estimate_at_ns: int | None = None
    tested: int = 0
    # code of the problem for which it has failed
    problem: str | None = None
    # of keys: qkd, or hybrid
    made_of: str | None = None


@message("service.Units")
class Units(Message):
    units: tuple[Unit, ...]


UNIT_NEWS = "service.unit"


@message("service.GetUnitCounts")
class GetUnitCounts(Message):
    """How many units are in which state? Answered with `UnitCounts`."""


class UnitCount(Message):
    kme: str
    state: str
    units: int


@message("service.UnitCounts")
class UnitCounts(Message):
    counts: tuple[UnitCount, ...]


@message("service.UnitsChanged")
class UnitsChanged(Message):
    """News of `kme`: units of the same parties went through `steps`, beginning with the state they were in.
    `bits`: of each, where they are keys that were just opened."""

    kme: str
    unit_ids: tuple[str, ...]
    parties: tuple[str, ...]
    steps: tuple[str, ...]
    at_ns: int
    why: str | None = None
    bits: int = 0

    def each(self) -> Iterator[UnitChanged]:
        """Every step of every unit."""
        for unit_id in self.unit_ids:
            for was, state in pairwise(self.steps):
                yield UnitChanged(unit_id, self.parties, was, state, self.at_ns, self.why)


class UnitChanged(Message):
    """A unit went from one state to another."""

    unit_id: str
    parties: tuple[str, ...]
    was: str
    state: str
    at_ns: int
    why: str | None = None
