"""Service units: N endpoint URNs and a lifecycle, without direction (draft 5.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from quoit.model.lifecycle import Lifecycle
from quoit.model.problem import Problem
from quoit.model.urn import Namespace, Urn


class UnitState(StrEnum):
    """Where a unit is in its life (requirement B6)."""

    REQUESTED = "requested"
    ROUTED = "routed"
    ESTABLISHED = "established"
    DELIVERED = "delivered"
    CONSUMED = "consumed"
    EXPIRED = "expired"
    FAILED = "failed"


_S = UnitState
TRANSITIONS: Mapping[UnitState, frozenset[UnitState]] = MappingProxyType(
    {
        _S.REQUESTED: frozenset({_S.ROUTED, _S.FAILED, _S.EXPIRED}),
        _S.ROUTED: frozenset({_S.ESTABLISHED, _S.FAILED, _S.EXPIRED}),
        _S.ESTABLISHED: frozenset({_S.DELIVERED, _S.CONSUMED, _S.FAILED, _S.EXPIRED}),
        _S.DELIVERED: frozenset({_S.DELIVERED, _S.CONSUMED, _S.FAILED, _S.EXPIRED}),
        _S.CONSUMED: frozenset(),
        _S.EXPIRED: frozenset(),
        _S.FAILED: frozenset(),
    }
)


def advance(was: UnitState, to: UnitState) -> UnitState:
    """The new state. Problem `bad-transition` if the table does not allow it."""
    if to not in TRANSITIONS[was]:
        raise Problem("bad-transition", f"{was} to {to}")
    return to


@dataclass(frozen=True, eq=False)
class ServiceUnit:
    """`endpoints`: at least two, distinct as instances, in any order. `originator` only says who asked."""

    endpoints: tuple[Urn, ...]
    lifecycle: Lifecycle
    originator: str | None = None

    def __post_init__(self) -> None:
        if len(self.endpoints) < 2:
            raise Problem("malformed", f"a unit has at least two endpoints, found {len(self.endpoints)}")
        if len({e.canonical for e in self.endpoints}) != len(self.endpoints):
            raise Problem("malformed", "two endpoints of the unit are the same instance")

    def canonical(self, namespace: Namespace) -> str:
        """Sorted endpoints and lifecycle, one a line: equal for equal units."""
        lines = sorted(e.canonical for e in self.endpoints)
        return "\n".join([*lines, self.lifecycle.to_urn(namespace).canonical])

    def unit_key(self, namespace: Namespace) -> str:
        """SHA-256 of the canonical form, hex."""
        return hashlib.sha256(self.canonical(namespace).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ServiceUnit):
            return NotImplemented
        mine, theirs = ({e.canonical for e in u.endpoints} for u in (self, other))
        return mine == theirs and self.lifecycle == other.lifecycle

    def __hash__(self) -> int:
        return hash((frozenset(e.canonical for e in self.endpoints), self.lifecycle.size))
