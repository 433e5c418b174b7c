"""Who is next: units that compete for memories and links wait here, in an order that starves nobody.

*Order.* The higher effective priority first: a unit's own, and one more for every `AGE_NS` that it has waited, 7 at
most. Among equals applications take turns: each unit has a start tag, one after the application's last one and never
before the tag that was served last (start-time fair queueing, doi:10.1109/90.649569).

*No deadlock.* Nobody waits for anything while it holds something: a unit whose turn it is takes all it needs or gives
all back. Units that need the same thing try one after the other; who has failed tries alone.

*No starvation.* A unit that cannot be served keeps what it needs from all who come after it. So it waits for those
before it and for nobody else: after 7 `AGE_NS` at latest these are no more than the `MOST_WAITING` that can wait, and
each of them, and each unit that holds what it needs, ends by the deadline that it named, or by its promise's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from quoit.model.problem import Problem

MOST_WAITING = 256
AGE_NS = 5_000_000_000
HIGHEST = 7


class Stage(StrEnum):
    """Of a claim: waiting for its turn, trying to take what it needs, holding it to make states, or settled: made.
    Leaving: it has been told to give way."""

    WAITING = "waiting"
    TRYING = "trying"
    HOLDING = "holding"
    LEAVING = "leaving"
    SETTLED = "settled"


@dataclass
class Claim:
    """What one unit needs or has. `memories`: how many by node; `links`: those it would use if nobody else did, or
    does. `short`: what it lacked at its last try, by resource. `granted`: its effective priority when its turn came."""

    unit_id: str
    lead: str
    originator: str
    priority: int
    memories: dict[str, int]
    links: tuple[str, ...]
    since_ns: int
    serial: int = 0
    tag: int = 0
    stage: Stage = Stage.WAITING
    short: dict[str, int] = field(default_factory=dict)
    alone: bool = False
    granted: int = 0

    @property
    def resources(self) -> set[str]:
        return {node_of(n) for n, number in self.memories.items() if number} | {link_of(k) for k in self.links}

    def effective(self, now: int) -> int:
        """Priority with age."""
        return min(HIGHEST, self.priority + (now - self.since_ns) // AGE_NS)


def node_of(node: str) -> str:
    """Name of a node's memories as a resource."""
    return f"node {node}"


def link_of(link: str) -> str:
    """Name of a link as a resource."""
    return f"link {link}"


class Turns:
    """All claims of a network. `capacity`: memories by node."""

    def __init__(self, capacity: Mapping[str, int], most_waiting: int = MOST_WAITING) -> None:
        self._capacity = dict(capacity)
        self._most_waiting = most_waiting
        self._claims: dict[str, Claim] = {}
        self._served = 0
        self._last_tag: dict[str, int] = {}
        self._serial = 0

    def __len__(self) -> int:
        return len(self._claims)

    def claim(self, unit_id: str) -> Claim | None:
        """None if it is not known (any more)."""
        return self._claims.get(unit_id)

    def all(self) -> tuple[Claim, ...]:
        """Every claim, oldest first."""
        return tuple(self._claims.values())

    def waiting(self, now: int) -> list[Claim]:
        """In the order in which their turns come."""
        found = [claim for claim in self._claims.values() if claim.stage is Stage.WAITING]
        return sorted(found, key=lambda c: (-c.effective(now), c.tag, c.serial))

    def enter(self, claim: Claim) -> Claim | None:
        """Let it wait. If too many wait, the last of them has to go, and is returned. Problem `overloaded` if that
        would be the new one itself; `unit-exists`."""
        if claim.unit_id in self._claims:
            raise Problem("unit-exists")
        queue = self.waiting(claim.since_ns)
        out = None
        if len(queue) >= self._most_waiting:
            out = queue[-1]
            if out.effective(claim.since_ns) >= claim.priority:
                raise Problem("overloaded", f"{len(queue)} units wait for memories and links", waiting=len(queue))
            del self._claims[out.unit_id]
        self._serial += 1
        claim.serial = self._serial
        claim.tag = max(self._served, self._last_tag.get(claim.originator, 0)) + 1
        self._last_tag[claim.originator] = claim.tag
        self._claims[claim.unit_id] = claim
        return out

    def ahead(self, claim: Claim, now: int) -> int:
        """How many wait before it."""
        return self.waiting(now).index(claim)

    # -- turns -----------------------------------------------------------------------------------------

    def next(self, now: int) -> list[Claim]:
        """Those whose turn it is now; they are trying from now on."""
        trying = [claim for claim in self._claims.values() if claim.stage is Stage.TRYING]
        if any(claim.alone for claim in trying):
            return []
        kept: set[str] = set()
        for claim in trying:
            kept |= claim.resources
        granted: list[Claim] = []
        for claim in self.waiting(now):
            wanted = claim.resources
            free = not wanted & kept and not claim.short and not self._lacking(claim)
            kept |= wanted
            if not free:
                continue
            if claim.alone and (trying or granted):
                break  # as soon as they are through
            claim.stage, claim.granted = Stage.TRYING, claim.effective(now)
            self._served = max(self._served, claim.tag)
            granted.append(claim)
            if claim.alone:
                break
        self._forget_tags()
        return granted

    def _forget_tags(self) -> None:
        """Of applications that have nothing here and whose turns are past."""
        here = {claim.originator for claim in self._claims.values()}
        self._last_tag = {o: tag for o, tag in self._last_tag.items() if o in here or tag > self._served}

    def _lacking(self, claim: Claim) -> dict[str, int]:
        """Memories that are missing by the books, by resource."""
        taken = self._taken()
        lacking = {}
        for node, number in claim.memories.items():
            missing = taken.get(node, 0) + number - self._capacity.get(node, 0)
            if number and missing > 0:
                lacking[node_of(node)] = missing
        return lacking

    def _taken(self) -> dict[str, int]:
        taken: dict[str, int] = {}
        for claim in self._claims.values():
            if claim.stage is not Stage.WAITING:
                for node, number in claim.memories.items():
                    taken[node] = taken.get(node, 0) + number
        return taken

    def took(self, unit_id: str, memories: Mapping[str, int], links: Iterable[str]) -> None:
        """The try has come about, with these resources."""
        claim = self._claims.get(unit_id)
        if claim is not None and claim.stage is Stage.TRYING:
            claim.stage, claim.short, claim.alone = Stage.HOLDING, {}, False
            claim.memories, claim.links = dict(memories), tuple(links)

    def failed(self, unit_id: str, short: Mapping[str, int]) -> None:
        """It has not, for want of these; it waits on at its place until something changes."""
        claim = self._claims.get(unit_id)
        if claim is not None and claim.stage is Stage.TRYING:
            claim.stage, claim.short, claim.alone = Stage.WAITING, dict(short) or {"": 1}, True

    def changed(self) -> None:
        """Something may have become free: who has failed may try again."""
        for claim in self._claims.values():
            claim.short = {}

    def freed(self, unit_id: str, node: str) -> None:
        """A party has used up its qubits."""
        claim = self._claims.get(unit_id)
        if claim is not None:
            claim.memories.pop(node, None)
            self.changed()

    def settled(self, unit_id: str, memories: Mapping[str, int]) -> None:
        """Its states are made: these memories are left, no link is."""
        claim = self._claims.get(unit_id)
        if claim is not None:
            claim.stage, claim.memories, claim.links = Stage.SETTLED, dict(memories), ()
            self.changed()

    def over(self, unit_id: str) -> None:
        """It has ended."""
        if self._claims.pop(unit_id, None) is not None:
            self.changed()

    # -- pre-emption -------------------------------------------------------------------------------------

    def victims(self, now: int) -> list[tuple[Claim, Claim]]:
        """(who gives way, to whom): units of lower priority that have no state yet, and only if all that the other
        lacks comes free by it. Age protects a unit here, but gives no power over others."""
        found = []
        spoken: set[str] = set()
        for claim in self.waiting(now):
            if not claim.resources & spoken:
                for victim in self._give_way(claim):
                    victim.stage = Stage.LEAVING
                    found.append((victim, claim))
            spoken |= claim.resources
        return found

    def _give_way(self, claim: Claim) -> list[Claim]:
        lacking = claim.short | self._lacking(claim)
        leaving = [c for c in self._claims.values() if c.stage is Stage.LEAVING]
        weaker = [c for c in self._claims.values() if c.stage is Stage.HOLDING and c.granted < claim.priority]
        weaker.sort(key=lambda c: (c.granted, -c.serial))
        chosen: list[Claim] = []
        for resource, missing in sorted(lacking.items()):
            left = missing - sum(_gives(c, resource) for c in (*leaving, *chosen))
            for other in weaker:
                if left > 0 and other not in chosen and _gives(other, resource):
                    chosen.append(other)
                    left -= _gives(other, resource)
            if left > 0:
                return []
        return chosen


def _gives(claim: Claim, resource: str) -> int:
    """How much of a resource comes free when this one gives way."""
    kind, _, name = resource.partition(" ")
    if kind == "node":
        return claim.memories.get(name, 0)
    return int(kind == "link" and name in claim.links)
