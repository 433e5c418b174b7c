"""The network service. Words are those of Kozlowski, Dahlberg, Wehner, CoNEXT 2020, doi:10.1145/3386367.3431293."""

from __future__ import annotations

from quoit.fabric.messages.link_service import Reading
from quoit.runtime.wire import Message, message


def network_service(node: str) -> str:
    """Name of a node's network service."""
    return f"network-service:{node}"


@message("fabric.OpenVirtualCircuit")
class OpenVirtualCircuit(Message):
    """To the network service at a circuit's head: set up `circuit` to `tail`, for pairs of `fidelity` or better.
    Entries are written at every node of the path. Answered with `VirtualCircuit`; Problems `no-route`,
    `fidelity-unreachable`, `unit-exists`."""

    circuit: str
    tail: str
    fidelity: float


class CircuitEntry(Message):
    """A node's row for one circuit. Links are named as the node sees them: `up_link` towards the head, `down_link`
    towards the tail, empty at the ends. `down_fidelity`: least of a pair of the downstream link. `down_rate_hz`: most
    pairs of that link; `rate_hz`: of the whole circuit. `cutoff_ns`: after which a waiting half is discarded.
    `down_light_ns`: one way over the downstream link."""

    circuit: str
    node: str
    upstream: str
    downstream: str
    up_link: str
    down_link: str
    down_fidelity: float
    down_rate_hz: float
    rate_hz: float
    cutoff_ns: int | None
    down_light_ns: int = 0


@message("fabric.VirtualCircuit")
class VirtualCircuit(Message):
    """`fidelity`: that no pair is below when it is delivered. `rate_hz`: most pairs a second; admitted requests' rates
    add up to no more."""

    circuit: str
    nodes: tuple[str, ...]
    fidelity: float
    rate_hz: float
    entries: tuple[CircuitEntry, ...]


@message("fabric.CloseVirtualCircuit")
class CloseVirtualCircuit(Message):
    """To the head: end the circuit and all its requests (REJECTED). Answered with `Done`."""

    circuit: str


@message("fabric.GetCircuits")
class GetCircuits(Message):
    """A node's table. Answered with `CircuitTable`."""


@message("fabric.CircuitTable")
class CircuitTable(Message):
    entries: tuple[CircuitEntry, ...]


@message("fabric.RequestPairs")
class RequestPairs(Message):
    """A user's request to the network service at a circuit's head: `number` pairs, or `rate_hz` for `deadline_ns`, all
    within that time. `delivery`: KEEP, when both ends can be sure of the pair; EARLY, as soon as this end can; MEASURE,
    outcomes alone, with `waits` B or C read as soon as this end can. `bell`: phi+, phi-, psi+ or psi-, the state that
    is delivered. Answered with `PairsAccepted`; the clients at both ends hear `PairsMade` and `PairsFailed`. Problems
    as of `CreatePairs`, and `not-admitted` for a rate (field `offered_hz`)."""

    client: str
    circuit: str
    deadline_ns: int
    number: int = 0
    rate_hz: float = 0.0
    delivery: str = "KEEP"
    bell: str = "phi+"
    purpose: int = 0
    priority: int = 0
    near: Reading = Reading()
    far: Reading = Reading()
    waits: str = ""
