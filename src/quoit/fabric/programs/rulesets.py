"""RuleSets: what a node of a connection does with its pairs, as rules of conditions and actions.

Source: Matsuo, Durand, Van Meter, PRA 100, 052320 (2019), doi:10.1103/PhysRevA.100.052320. A RuleSet is data: it goes
to its node when the connection is set up, and the node then decides by itself, from what it holds and has heard. Both
ends of a pair come to the same decision because their rules were made together, so no handshake is needed.

Set-up takes two passes. The request collects a description of every node and link on its way out; the responder makes
all RuleSets from these; the way back leaves each with its node.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import msgspec

from quoit.engine.program import Hop
from quoit.fabric.programs.demand import Demand, Refused, Station


class Res(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="RES", tag_field="if"):
    """So many pairs with that partner (None: with anybody on that `side`), purified so often."""

    count: int = 1
    partner: str | None = None
    side: Literal["left", "right"] | None = None
    rounds: int = 0


class Cmp(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="CMP", tag_field="if"):
    """A counter of the node compared with a number."""

    variable: str
    operator: Literal["<", "<=", "==", ">=", ">"]
    value: int


class Timer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="TIMER", tag_field="if"):
    """A qubit has waited that long."""

    after_ns: int


class Fidelity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="FIDELITY", tag_field="if"):
    """The pair's fidelity is that or better."""

    at_least: float


Condition = Res | Cmp | Timer | Fidelity


class SwapPairs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="SWAP", tag_field="do"):
    """Bell measurement of the two pairs that the conditions found."""


class Purify(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="PURIFY", tag_field="do"):
    """Spend the second pair that the conditions found on the first."""

    scheme: Literal["dejmps", "bbpssw"]


class Free(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="FREE", tag_field="do"):
    """Discard the qubit."""


class Promote(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="PROMOTE", tag_field="do"):
    """Hand the pair to the next stage: a further rule of the set, or the application."""

    to: str


class Send(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="SEND", tag_field="do"):
    """Tell the partner (None: whoever holds the other half) what came of it."""

    what: Literal["outcome", "parity", "released"]
    to: str | None = None


Action = SwapPairs | Purify | Free | Promote | Send


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When all conditions hold: all actions, in order."""

    name: str
    when: tuple[Condition, ...]
    then: tuple[Action, ...]


class RuleSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All rules of one node for one connection; earlier ones go first."""

    connection: str
    owner: str
    rules: tuple[Rule, ...]


def to_json(rule_set: RuleSet) -> bytes:
    """As it travels to its node."""
    return msgspec.json.encode(rule_set)


def from_json(text: bytes | str) -> RuleSet:
    """Raises Refused for what is no RuleSet, saying where."""
    try:
        return msgspec.json.decode(text, type=RuleSet)
    except msgspec.DecodeError as fault:
        raise Refused(f"expected a RuleSet as JSON: {fault}") from fault


@dataclass(frozen=True, slots=True)
class Description:
    """What a node adds to the request when it passes: itself, and its link towards the responder if there is one."""

    station: Station
    link: Hop | None


@dataclass(frozen=True, slots=True)
class Request:
    """A connection's request at some node of its way. `reached_ns`: when, by light and from its start."""

    connection: str
    floor: float
    pairs: int | None
    deadline_ns: int | None
    seen: tuple[Description, ...]
    reached_ns: int


@dataclass(frozen=True, slots=True)
class SetUp:
    """`distributed`: node and instant (ns from the request's start) at which it has its RuleSet; `messages` of both
    passes."""

    distributed: dict[str, int]
    messages: int


def outbound(demand: Demand, connection: str) -> Iterator[Request]:
    """The first pass: the request as it leaves each node, last as the responder has it."""
    seen: tuple[Description, ...] = ()
    at_ns = 0
    for number, station in enumerate(demand.stations):
        link = demand.links[number] if number < len(demand.links) else None
        seen = (*seen, Description(station, link))
        yield Request(connection, demand.floor, demand.pairs, demand.deadline_ns, seen, at_ns)
        at_ns += link.light_ns if link else 0


def demand_of(request: Request) -> Demand:
    """What the responder knows of the path: nothing but what the request collected. Raises Refused before its end."""
    links = tuple(d.link for d in request.seen if d.link is not None)
    if len(links) != len(request.seen) - 1:
        raise Refused("expected a request that reached its responder")
    stations = tuple(d.station for d in request.seen)
    return Demand(stations, links, request.floor, request.pairs, request.deadline_ns)


def return_leg(request: Request, rule_sets: dict[str, RuleSet]) -> SetUp:
    """The second pass: RuleSets travel back and each node keeps its own. Raises Refused if one has none."""
    at_ns = request.reached_ns
    distributed = {}
    for description in reversed(request.seen):
        name = description.station.name
        at_ns += description.link.light_ns if description.link else 0
        if name not in rule_sets:
            raise Refused(f"expected a RuleSet for each node of the path, found none for {name}")
        distributed[name] = at_ns
    return SetUp(distributed, 2 * (len(request.seen) - 1))
