"""Planning a unit: which centre, over which pairs, and what can be promised then.

Of all nodes that could be the centre the one is taken whose states would be best after the waits that its links' rates
make likely: fidelity, rate and distance in one number. Where control keeps anchors, it is asked which of them serve the
parties' nodes, and one of these is the centre if any will do. Links under suspicion are control's to avoid, and nodes
without enough free memories are passed over while there are others.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from quoit.fabric.api import (
    PAIR_CONTROLLER,
    TRANSIT,
    CountSlots,
    NodesResolved,
    PairPlan,
    PlanPairs,
    ResolveNodes,
    SlotCount,
    memory,
)
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.service.api import eme
from quoit.service.directory import Attachment
from quoit.service.kinds import kind_of
from quoit.service.pairdesk import PairDesk
from quoit.service.states import Edge, Promise, Star, Wanted, edge_of

WITHIN = 5_000_000_000
NEWS_NS = 5_000_000
"""What handing over costs at most beyond light: a few messages' processing. Counted as waiting."""


@dataclass(frozen=True)
class Centre:
    """A node at which states can be put together: probabilities that a two-qubit gate and a readout are right, how
    long they take, and how many memories there are."""

    node: str
    gate: float
    readout: float
    gate_ns: int
    readout_ns: int
    memories: int


@dataclass(frozen=True)
class Plan:
    """A star, and the best that is likely: its states after the waits that its rates make likely. `memories`: of the
    parties and the centre; `transit`: of the nodes that its pairs pass, as long as they are being made."""

    centre: str
    star: Star
    links: tuple[str, ...]
    memories: dict[str, int]
    ops_ns: int
    likely: float
    transit: dict[str, int]

    @property
    def taken(self) -> dict[str, int]:
        """Memories of all nodes while states are made."""
        return dict(Counter(self.memories) + Counter(self.transit))

    @property
    def best(self) -> float:
        """Fidelity of states whose pairs need not wait but for the news."""
        return Promise(self.star).least((NEWS_NS + self.ops_ns,) * len(self.star.edges), self.ops_ns)

    def wait(self, fidelity: float) -> int | None:
        """How long pairs may wait, with all that follows; None if they could not even be handed over."""
        wait = Promise(self.star).longest_wait(fidelity, (0,) * len(self.star.edges), self.ops_ns)
        return None if wait is None or wait <= NEWS_NS + self.ops_ns else wait

    def edge_fidelity(self, fidelity: float) -> float:
        """What each pair must have when it is delivered: half of what may be lost is left for waiting."""
        wait = self.wait(fidelity)
        assert wait is not None
        return min((1 + sum(edge.waited(wait // 2))) / 4 for edge in self.star.edges)


class Planner(PairDesk):
    """The part of an entanglement management entity that plans."""

    def __init__(
        self, name: str, node: str, domain: str, apps: tuple[Attachment, ...], centres: tuple[Centre, ...]
    ) -> None:
        super().__init__(name, node, domain, apps)
        self._centres = {centre.node: centre for centre in centres}
        self._anchored = False
        """Whether control keeps anchors, and resolves sets of nodes."""

    async def plan(self, ctx: Context, name: str, parties: tuple[Attachment, ...], wanted: Wanted, idle: bool) -> Plan:
        """`name`: what names of circuits begin with. `parties` by seat, the originator's is at this node. `idle`: as if
        the network did nothing else.

        Problems: `fidelity-unreachable` with the `best` there is, `no-memory` if the network is too small for it,
        `no-route`, `link-suspect`.
        """
        found, why = await self._search(ctx, name, parties, wanted, idle)
        if not found:
            raise why or Problem("no-route", "no node can be the centre")
        good = [plan for plan in found if plan.wait(wanted.fidelity) is not None]
        if not good:
            offered = int(max(plan.best for plan in found) * 1e4) / 1e4
            raise Problem(
                "fidelity-unreachable", f"expected at most {offered}, found {wanted.fidelity:g}", best=offered
            )
        fit = [plan for plan in good if self._room(plan, wanted.number) is None]
        if not fit:
            best = max(good, key=lambda plan: self._most(plan, wanted.number))
            raise self._room(best, wanted.number) or Problem("internal")
        fit.sort(key=lambda plan: -plan.likely)
        return fit[0] if idle else await self._with_room_now(ctx, fit)

    async def _search(
        self, ctx: Context, name: str, parties: tuple[Attachment, ...], wanted: Wanted, idle: bool
    ) -> tuple[list[Plan], Problem | None]:
        """Plans at the anchors if one of them will do, else at all nodes; with purified pairs if none does without."""
        anchors = await self._anchors(ctx, parties)
        found: list[Plan] = []
        why: Problem | None = None
        for centres in dict.fromkeys((anchors, frozenset[str]())):
            for purify in (False, True):
                more, fault = await self._plans(ctx, name, parties, wanted, idle, centres, purify)
                if not found or max(plan.best for plan in more or found) > max(plan.best for plan in found):
                    found, why = more, fault
                if any(self._would_do(plan, wanted) for plan in more):
                    return more, fault
        return found, why

    async def _anchors(self, ctx: Context, parties: tuple[Attachment, ...]) -> frozenset[str]:
        """Nodes at which the parties' states meet by the choice of control, which resolves the set of their nodes;
        none if it keeps no anchors."""
        if not self._anchored:
            return frozenset()
        ask = ResolveNodes(tuple(f"{party.domain}:{party.node}" for party in parties))
        answer: NodesResolved = await ctx.ask(PAIR_CONTROLLER, ask, within=WITHIN)
        return frozenset(answer.anchors.values())

    def _would_do(self, plan: Plan, wanted: Wanted) -> bool:
        return plan.wait(wanted.fidelity) is not None and self._room(plan, wanted.number) is None

    async def _plans(
        self,
        ctx: Context,
        name: str,
        parties: tuple[Attachment, ...],
        wanted: Wanted,
        idle: bool,
        anchors: frozenset[str],
        purify: bool,
    ) -> tuple[list[Plan], Problem | None]:
        found: list[Plan] = []
        why: Problem | None = None
        for centre in self._candidates(parties, anchors):
            edges: list[Edge] = []
            links: list[str] = []
            transit: Counter[str] = Counter()
            slowest_s = 0.0
            own = next((seat for seat, p in enumerate(parties) if p.node == centre.node), -1)
            try:
                for seat, party in enumerate(parties):
                    if seat != own:
                        ask = PlanPairs(centre.node, party.node, None, (), idle, wanted.tests > 0, purify)
                        plan: PairPlan = await ctx.ask(PAIR_CONTROLLER, ask, within=WITHIN)
                        edges.append(edge_of(f"{name}/{seat}", eme(party.node), seat, plan))
                        links += plan.links
                        transit.update(dict.fromkeys(plan.nodes[1:-1], TRANSIT * plan.width))
                        if plan.width > 1:
                            transit.update(dict.fromkeys((centre.node, party.node), plan.width - 1))
                        slowest_s += 1 / plan.rate_hz if plan.rate_hz else 0.0
            except Problem as problem:
                why = problem
                continue
            star = Star(wanted.kind, len(parties), wanted.edges, tuple(edges), own, 1.0)
            found.append(_planned(centre, star, tuple(links), parties, wanted, slowest_s, transit))
        return found, why

    def _candidates(self, parties: tuple[Attachment, ...], anchors: frozenset[str]) -> list[Centre]:
        """Nodes that could be the centre: of two parties the originator's; of more, these anchors, or if there are none
        every node with memories. States of two that are no Bell pairs are made at the originator's, too."""
        if len(parties) == 2:
            return [self._centres[self._node]] if self._node in self._centres else []
        return [self._centres[node] for node in sorted(self._centres) if not anchors or node in anchors]

    def _most(self, plan: Plan, states: int) -> int:
        """How many states there could be instead of so many."""
        return min(
            (self._has(node) - plan.transit.get(node, 0)) * states // number for node, number in plan.memories.items()
        )

    def _has(self, node: str) -> int:
        return self._centres[node].memories if node in self._centres else 0

    def _room(self, plan: Plan, states: int) -> Problem | None:
        """Why this could never be, whoever waits however long."""
        for node, number in sorted(plan.taken.items()):
            has = self._has(node)
            if number > has:
                return Problem(
                    "no-memory", f"{node} has {has} memories, {number} are needed", node=node, has=has, needed=number,
                    most=self._most(plan, states),
                )  # fmt: skip
        return None

    async def _with_room_now(self, ctx: Context, plans: list[Plan]) -> Plan:
        """The first whose centre has room now, else the first of all."""
        for plan in plans:
            if len(plans) == 1:
                break
            count: SlotCount = await ctx.ask(memory(plan.centre), CountSlots(), within=WITHIN)
            if count.free >= plan.memories[plan.centre]:
                return plan
        return plans[0]


def _planned(
    centre: Centre,
    star: Star,
    links: tuple[str, ...],
    parties: tuple[Attachment, ...],
    wanted: Wanted,
    wait_s: float,
    transit: dict[str, int],
) -> Plan:
    own = None if star.own < 0 else star.own
    recipe = kind_of(star.kind, star.parties, star.graph).recipe([edge.seat for edge in star.edges], own)
    works = recipe.works(centre.gate, centre.readout)
    star = Star(star.kind, star.parties, star.graph, star.edges, star.own, works)
    memories = {party.node: wanted.number for party in parties}
    memories[centre.node] = wanted.number * (len(star.edges) + recipe.workspace)
    ops_ns = recipe.takes_ns(centre.gate_ns, centre.readout_ns)
    wait_ns = NEWS_NS + ops_ns + round(wait_s * 1e9)
    likely = Promise(star).least((wait_ns,) * len(star.edges), ops_ns)
    return Plan(centre.node, star, links, memories, ops_ns, likely, transit)
