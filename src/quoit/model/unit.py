"""Service units: N endpoint URNs and a lifecycle, without direction (draft 5.3)."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Self

from quoit.model.lifecycle import Lifecycle
from quoit.model.problem import Problem
from quoit.model.urn import Namespace, Urn


def seats(urns: Sequence[str]) -> tuple[int, ...]:
    """The seat of each of a unit's parties, from 0: their places in the order of their canonical URNs. So parties have
    numbers, for the edges of a graph, and the order in which they are named still does not count."""
    order = sorted(range(len(urns)), key=lambda number: Urn.parse(urns[number]).canonical)
    return tuple(order.index(number) for number in range(len(urns)))


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
# Each of N parties takes its copy: delivered follows delivered until the last one consumed the unit. An
# established unit whose parties all take at one instant, or that is closed, is consumed without a delivery
# in between. What has ended stays as it ended: content is erased then.
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
        allowed = ", ".join(sorted(TRANSITIONS[was])) or "nothing: it is the end"
        raise Problem("bad-transition", f"after {was} expected {allowed}; found {to}")
    return to


@dataclass(frozen=True, eq=False)
class ServiceUnit:
    """`endpoints`: at least two, distinct as instances, in any order. `originator` only says who asked.

    Neither the order nor the originator counts in comparisons and in the canonical form.
    Problem `malformed` for too few endpoints or an endpoint that occurs twice.
    """

    endpoints: tuple[Urn, ...]
    lifecycle: Lifecycle
    originator: str | None = None

    def __post_init__(self) -> None:
        if len(self.endpoints) < 2:
            raise Problem("malformed", f"expected at least two endpoints of a unit, found {len(self.endpoints)}")
        seen: set[str] = set()
        for endpoint in self.endpoints:
            if endpoint.canonical in seen:
                raise Problem("malformed", f"expected distinct endpoints of a unit, found {endpoint.text!r} twice")
            seen.add(endpoint.canonical)

    @property
    def instances(self) -> frozenset[str]:
        """The endpoints in canonical form."""
        return frozenset(e.canonical for e in self.endpoints)

    def canonical(self, namespace: Namespace) -> str:
        """Sorted endpoints and then the lifecycle, LF between them: equal for equal units."""
        return "\n".join([*sorted(self.instances), self.lifecycle.to_urn(namespace).canonical])

    def unit_key(self, namespace: Namespace) -> str:
        """SHA-256 of the canonical form, hex: both ends compute the same without talking."""
        return hashlib.sha256(self.canonical(namespace).encode()).hexdigest()

    def unit_uuid(self, namespace: Namespace) -> str:
        """UUIDv5 (RFC 9562) of the canonical form in the URL namespace, where a deterministic key_ID is wanted.

        It can be guessed by whoever knows the unit, and it is not the version 4 of ETSI GS QKD 004.
        """
        return str(uuid.uuid5(uuid.NAMESPACE_URL, self.canonical(namespace)))

    def to_json(self, namespace: Namespace) -> str:
        """`{"endpoints": [URN, ...], "lifecycle": URN}`: endpoints as they were written, in their order."""
        endpoints = [e.text for e in self.endpoints]
        return json.dumps({"endpoints": endpoints, "lifecycle": self.lifecycle.to_urn(namespace).text})

    @classmethod
    def from_json(cls, text: str, namespace: Namespace) -> Self:
        """Inverse of `to_json`. Problem `malformed`, `malformed-urn` or `bad-lifecycle`."""
        try:
            members = json.loads(text)
        except (ValueError, RecursionError) as fault:
            raise Problem("malformed", f"expected JSON, found {text[:40]!r}: {fault}") from fault
        if not isinstance(members, dict) or members.keys() != {"endpoints", "lifecycle"}:
            raise Problem("malformed", "expected an object of exactly endpoints and lifecycle")
        endpoints, lifecycle = members["endpoints"], members["lifecycle"]
        if not isinstance(endpoints, list) or not all(isinstance(e, str) for e in [*endpoints, lifecycle]):
            raise Problem("malformed", "expected endpoints as a list of URNs and lifecycle as a URN")
        return cls(tuple(map(namespace.endpoint, endpoints)), Lifecycle.parse(lifecycle, namespace))

    def to_lines(self, namespace: Namespace) -> str:
        """One URN a line, the lifecycle last: URNs hold no white space."""
        urns = [*self.endpoints, self.lifecycle.to_urn(namespace)]
        return "".join(f"{urn.text}\n" for urn in urns)

    @classmethod
    def from_lines(cls, text: str, namespace: Namespace) -> Self:
        """Inverse of `to_lines`; the lifecycle may stand on any line, but exactly once. Problems as `from_json`."""
        urns = [Urn.parse(line) for line in text.split("\n") if line]
        lifecycles = [urn for urn in urns if namespace.is_lifecycle(urn)]
        if len(lifecycles) != 1:
            raise Problem("malformed", f"expected exactly one lifecycle URN, found {len(lifecycles)}")
        endpoints = tuple(namespace.endpoint(urn.text) for urn in urns if urn is not lifecycles[0])
        return cls(endpoints, Lifecycle.from_urn(lifecycles[0], namespace))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ServiceUnit):
            return NotImplemented
        return self.instances == other.instances and self.lifecycle == other.lifecycle

    def __hash__(self) -> int:
        return hash((self.instances, self.lifecycle))
