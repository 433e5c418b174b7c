"""THE book of links for entangled pairs, and of what passes through nodes: who may use what, and who goes first.

Everybody who has pairs made asks control here: units, requests of the link and network service, programs, keys.
Memories at the ends are kept for their holders by the nodes' agents (`fabric.memory`), who are asked by the same rules;
the two that each circuit takes at every node between, control has kept there for the circuit, so they are in the same
count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from quoit.fabric.api import TRANSIT
from quoit.fabric.claims import Claims
from quoit.fabric.pair_links import PairLinkEntry, cost_of
from quoit.fabric.programs.demand import Station
from quoit.model.problem import Problem
from quoit.planes.graph import Graph

DISTRUST = 100.0
"""What a link under suspicion costs: more than any path without one."""

MANY = 1_000_000
"""Memories of a node of which nobody has said how many it has."""

Path = tuple[tuple[str, ...], tuple[str, ...]]
"""Nodes, and the links between them."""


@dataclass(frozen=True)
class Choice:
    """Among which links a path is looked for. `via`: these alone, if any; `tested`: those under suspicion, too;
    `idle`: as if there were nobody but keys and virtual links. `claim`, `priority`: for whom; `shut`: nodes that it
    must not pass; `crowded`: those without memories, too. `places`: on each link, and memories on each side of it."""

    via: tuple[str, ...] = ()
    tested: bool = False
    idle: bool = False
    claim: str = ""
    priority: int = 0
    shut: frozenset[str] = frozenset()
    crowded: bool = False
    places: int = 1


@dataclass
class Held:
    """What a circuit has: `links` with so many places each, memories of nodes by number, kept in `holder`'s name."""

    holder: str
    links: tuple[str, ...]
    places: int = 1
    memories: dict[str, tuple[int, ...]] = field(default_factory=dict)


class PairBook:
    """What of a network is taken. `memories`: how many each node has; a node that is not in it has enough.
    `apart`: how many circuits of each link are for keys, `apart_memories`: how many memories of each node."""

    def __init__(
        self,
        links: Iterable[PairLinkEntry],
        stations: Mapping[str, Station],
        memories: Mapping[str, int],
        apart: Mapping[str, int],
        apart_memories: Mapping[str, int],
    ) -> None:
        self.links = {entry.link: entry for entry in links}
        self.suspect: set[str] = set()
        self.used = dict.fromkeys(self.links, 0)
        self._stations = stations
        self._graph = Graph((entry.link, entry.a, entry.b) for entry in self.links.values())
        self._memories = dict(memories)
        self._free = dict(memories)
        self._lasting: dict[str, int] = {}
        self._apart = dict(apart)
        self._apart_memories = dict(apart_memories)
        self._ahead: dict[str, int] = {}
        self._claims = Claims()

    # -- links ---------------------------------------------------------------------------------------

    def left(self, link: str) -> int:
        """How many circuits more a link can bear, those for keys apart."""
        return self.links[link].width - self.used[link] - self._apart.get(link, 0)

    def full(self) -> list[str]:
        """Links that can bear no circuit more."""
        return sorted(name for name, used in self.used.items() if used >= self.links[name].width)

    def _open_to(self, link: str, among: Choice, now: int) -> bool:
        if among.via and link not in among.via:
            return False
        width = self.links[link].width
        if among.idle:
            return self._apart.get(link, 0) + among.places <= width  # keys never end
        kept = self._claims.kept(among.claim, among.priority, link, now)
        return self.used[link] + kept + among.places <= width

    # -- memories ------------------------------------------------------------------------------------

    def told(self, node: str, free: int) -> None:
        """By a node's agent: so many memories are free, or at least so many as it tells of."""
        self._free[node] = free

    def given_back(self, node: str, number: int) -> None:
        """Word is on its way to the node's agent, and will be there before anything that control asks later."""
        self._free[node] = min(self._memories[node], self._free[node] + number)

    def lasting(self, held: Held, more: int = 1) -> None:
        """What keys and virtual links hold is there for nobody, however long one waits. `more`: -1 takes it back."""
        for node, slots in held.memories.items():
            self._lasting[node] = self._lasting.get(node, 0) + more * len(slots)

    def ahead(self, wanted: Mapping[str, int]) -> None:
        """Count memories for virtual links: of each node at most half of those that are not for keys, so that demands
        find some. Problem `no-memory`; then nothing is counted."""
        for node, number in wanted.items():
            most = (self._memories.get(node, 0) - self._apart_memories.get(node, 0)) // 2
            left = most - self._ahead.get(node, 0)
            if number > left:
                raise Problem(
                    "no-memory", f"{node} has {left} memories left for virtual links, {number} are needed",
                    node=node, free=left, needed=number,
                )  # fmt: skip
        for node, number in wanted.items():
            self._ahead[node] = self._ahead.get(node, 0) + number

    def room(self, node: str, idle: bool) -> int:
        """Memories of a node for circuits that pass; `idle`: if nothing else went on."""
        if node not in self._memories:
            return MANY
        return self._memories[node] - self._lasting.get(node, 0) if idle else self._free[node]

    def _passable(self, node: str, among: Choice) -> bool:
        return node not in among.shut and (among.crowded or self.room(node, among.idle) >= TRANSIT * among.places)

    # -- paths ---------------------------------------------------------------------------------------

    def route(self, head: str, tail: str, among: Choice, now: int) -> Path:
        """The path with the best pairs among links and nodes that are not used up: a pair's loss of its eigenvalues
        adds up over the hops, and waiting for success counts as well. Links under suspicion are for those who test, and
        for them the last choice.

        Problems `no-route` (with the links that are `busy`), `link-suspect`, `no-memory` (with a node, what it has
        free and what is needed).
        """
        if head not in self._graph or tail not in self._graph:
            raise Problem("no-route", f"no link for entangled pairs joins {head} and {tail}")
        found = self._found(head, tail, among, now)
        if found is not None:
            self._claims.over(among.claim)
            return found
        raise self._refusal(head, tail, among, now)

    def _found(self, head: str, tail: str, among: Choice, now: int) -> Path | None:
        ends = (head, tail)

        def cost(link: str) -> float | None:
            entry = self.links[link]
            if not self._open_to(link, among, now) or (link in self.suspect and not among.tested):
                return None
            if not all(node in ends or self._passable(node, among) for node in (entry.a, entry.b)):
                return None
            return cost_of(entry, self._stations) + (link in self.suspect) * DISTRUST

        return self._graph.route(head, tail, cost)

    def _refusal(self, head: str, tail: str, among: Choice, now: int) -> Problem:
        """Why there is no path now: suspicion, if that is all; else what is wrong with the path that an idle network
        would give. Whoever tries again has places kept on that path."""
        wished = self._found(head, tail, replace(among, idle=True, shut=frozenset()), now)
        if wished is not None and among.claim:
            self._claims.wait(among.claim, among.priority, dict.fromkeys(wished[1], among.places), now)
        if not among.tested and self._found(head, tail, replace(among, tested=True), now) is not None:
            return Problem(
                "link-suspect", f"from {head} to {tail} only over {', '.join(sorted(self.suspect))}",
                suspect=sorted(self.suspect),
            )  # fmt: skip
        small = wished or self._found(head, tail, replace(among, idle=True, crowded=True), now)
        if small is not None and all(self._open_to(link, among, now) for link in small[1]):
            node = next((n for n in small[0][1:-1] if not self._passable(n, among)), None)
            if node is not None:
                return self.lack(node, self.room(node, among.idle), TRANSIT * among.places)
        kept = sorted(n for n in self.links if self.used[n] < self.links[n].width and not self._open_to(n, among, now))
        why = f"; places on {', '.join(kept)} are kept for others that go before it" if kept and not among.via else ""
        return Problem("no-route", f"no path from {head} to {tail} has a link free{why}", busy=self.full() + kept)

    @staticmethod
    def lack(node: str, free: int, needed: int) -> Problem:
        """A repeater has too few memories for one circuit more."""
        return Problem(
            "no-memory", f"{node} has {free} memories free, a circuit through it takes {needed}",
            node=node, free=free, needed=needed,
        )  # fmt: skip
