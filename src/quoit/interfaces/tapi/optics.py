"""What a TAPI server knows of the optical network behind it: plain values, and the port that a controller fills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol


class Lifecycle(StrEnum):
    """TAPI's lifecycle-state, as far as services go through it."""

    PLANNED = "PLANNED"
    INSTALLED = "INSTALLED"
    PENDING_REMOVAL = "PENDING_REMOVAL"


@dataclass(frozen=True, slots=True)
class Sip:
    """A service interface point: where a customer's signal enters, at a node (by its uuid)."""

    uuid: str
    name: str
    node: str


@dataclass(frozen=True, slots=True)
class Node:
    """A site or a switch."""

    uuid: str
    name: str
    up: bool = True


@dataclass(frozen=True, slots=True)
class Link:
    """A fibre between two nodes (uuids). `costs` by TAPI's cost-name, such as LOSS_DB; `risks`: shared-risk groups."""

    uuid: str
    name: str
    ends: tuple[str, str]
    costs: Mapping[str, float]
    latency_us: float
    risks: tuple[str, ...] = ()
    up: bool = True


@dataclass(frozen=True, slots=True)
class Network:
    """All of it. `topology` is the uuid of the one topology."""

    topology: str
    name: str
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    sips: tuple[Sip, ...]


@dataclass(frozen=True, slots=True)
class Wish:
    """A connectivity service as its customer asked for it. `ends` are uuids of two SIPs; `asked` is the TAPI object,
    with constraints of layers (spectrum), routing and diversity as they came."""

    uuid: str
    ends: tuple[str, str]
    start: datetime | None
    end: datetime | None
    asked: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Service:
    """How a service stands. `route`: uuids of its links, from the first end on; empty before there is one."""

    lifecycle: Lifecycle
    enabled: bool
    route: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PathWish:
    """Paths asked for between two SIPs; `asked` is the TAPI object with its constraints and objective."""

    ends: tuple[str, str]
    asked: Mapping[str, Any] = field(hash=False)


class Optics(Protocol):
    """The optical network's controller, as the server sees it. Problems that it raises are the client's answer."""

    def network(self) -> Network:
        """The network now; the same object while nothing of it has changed."""
        ...

    def services(self) -> Mapping[str, Service]:
        """How each service stands, by uuid; of services that were taken and not yet closed."""
        ...

    async def open(self, wish: Wish) -> None:
        """Take a service on: it is PLANNED from now on, and INSTALLED once it carries light. Raises Problem, and then
        nothing of it is reserved."""
        ...

    async def close(self, uuid: str) -> None:
        """Release a service; nothing happens for one that is not there."""
        ...

    async def paths(self, wish: PathWish) -> tuple[tuple[str, ...], ...]:
        """Routes that satisfy the wish, best first, each as uuids of links. Raises `Problem("no-route")`."""
        ...
