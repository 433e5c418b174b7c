"""Control of entanglement: chooses paths for pairs, has programs compiled, and keeps count of who uses which link.

What a circuit promises is its compiler's to say (`fabric.programs`): a bound that holds for every pair it delivers.
"""

from __future__ import annotations

from dataclasses import dataclass

from quoit.engine.program import Circuit, Hop
from quoit.fabric.api import (
    PAIR_CONTROLLER,
    CloseCircuit,
    Done,
    JudgeLinks,
    OpenCircuit,
    PairPlan,
    PlanPairs,
    RenewHalf,
    memory,
)
from quoit.fabric.memory import EndProgram, ExpectPairs, RenewPair, RunProgram
from quoit.fabric.programs.demand import Compiler, Demand, Refused, Station
from quoit.fabric.programs.promises import worst
from quoit.model.problem import Problem
from quoit.planes.graph import Graph
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles

ROUNDING = 1e-9
"""Taken off the best floor, which a compiler may have rounded up."""
DISTRUST = 100.0
"""What a link under suspicion costs: more than any path without one."""


@dataclass(frozen=True)
class PairLinkEntry:
    """A link as control knows it: its ends, what an attempt on it is like, how many circuits can share it."""

    link: str
    a: str
    b: str
    hop: Hop
    width: int


@dataclass(frozen=True)
class _Open:
    head: str
    tail: str
    links: tuple[str, ...]


class PairController(Element):
    """Programs circuits of entangled pairs (D1, D4)."""

    stratum, plane = Stratum.FABRIC, Plane.CONTROL
    realises = ("D1", "D2", "D3")

    def __init__(
        self, place: str, links: tuple[PairLinkEntry, ...], stations: tuple[Station, ...], compiler: Compiler
    ) -> None:
        super().__init__(PAIR_CONTROLLER, place)
        self._links = {entry.link: entry for entry in links}
        self._stations = {station.name: station for station in stations}
        self._compiler = compiler
        self._graph = Graph((entry.link, entry.a, entry.b) for entry in links)
        self._used = dict.fromkeys(self._links, 0)
        self._open: dict[str, _Open] = {}
        self._suspect: set[str] = set()

    # -- what Service asks ---------------------------------------------------------------------------

    @handles(PlanPairs)
    async def on_plan(self, ctx: Context, msg: PlanPairs) -> PairPlan:
        nodes, links = self._route(msg.head, msg.tail, msg.tested, msg.idle)
        return self._plan(nodes, links, self._compiled(nodes, links, msg.fidelity, 1))

    @handles(OpenCircuit)
    async def on_open(self, ctx: Context, msg: OpenCircuit) -> PairPlan:
        if msg.circuit in self._open:
            raise Problem("unit-exists", f"circuit {msg.circuit} is open")
        nodes, links = self._route(msg.head, msg.tail, msg.tested)
        program = self._compiled(nodes, links, msg.fidelity, len(msg.head_slots))
        plan = self._plan(nodes, links, program)
        for link in links:
            self._used[link] += 1
        self._open[msg.circuit] = _Open(msg.head, msg.tail, links)
        ctx.emit("circuit.opened", circuit=msg.circuit, nodes=nodes, cutoff_ns=plan.cutoff_ns)
        ctx.tell(memory(msg.tail), ExpectPairs(msg.circuit, msg.tail_holder))
        run = RunProgram(msg.circuit, links, msg.tail, program, msg.head_slots, msg.tail_slots, msg.head_holder)
        ctx.tell(memory(msg.head), run)
        return plan

    @handles(RenewHalf)
    async def on_renew(self, ctx: Context, msg: RenewHalf) -> Done:
        found = self._open.get(msg.circuit)
        if found is None:
            raise Problem("no-such-element", f"no circuit {msg.circuit!r} is open", circuit=msg.circuit)
        ctx.tell(memory(found.head), RenewPair(msg.circuit, msg.head_slot, msg.tail_slot))
        return Done()

    @handles(CloseCircuit)
    async def on_close(self, ctx: Context, msg: CloseCircuit) -> Done:
        found = self._open.pop(msg.circuit, None)
        if found is not None:
            for link in found.links:
                self._used[link] -= 1
            for node in (found.head, found.tail):
                ctx.tell(memory(node), EndProgram(msg.circuit))
            ctx.emit("circuit.closed", circuit=msg.circuit)
        return Done()

    @handles(JudgeLinks)
    async def on_judge(self, ctx: Context, msg: JudgeLinks) -> None:
        """Trust is lost by a test that failed and comes back by one that was passed; time alone mends nothing."""
        known = set(msg.links) & self._links.keys()
        changed = known & self._suspect if msg.sound else known - self._suspect
        for link in sorted(changed):
            ctx.emit("pairs.trusted" if msg.sound else "pairs.suspected", link=link)
        self._suspect = self._suspect - known if msg.sound else self._suspect | known

    # -- routes and promises -------------------------------------------------------------------------

    def _route(self, head: str, tail: str, tested: bool, idle: bool = False) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The path with the best pairs among links that are not used up: a pair's loss of its eigenvalues adds up
        over the hops, and waiting for success counts as well. Links under suspicion are for those who test, and for
        them the last choice."""
        if head not in self._graph or tail not in self._graph:
            raise Problem("no-route", f"no link for entangled pairs joins {head} and {tail}")
        found = self._graph.route(head, tail, lambda link: self._cost(link, tested, idle))
        if found is not None:
            return found
        if not tested and self._graph.route(head, tail, lambda link: self._cost(link, True, idle)) is not None:
            raise Problem(
                "link-suspect", f"from {head} to {tail} only over {', '.join(sorted(self._suspect))}",
                suspect=sorted(self._suspect),
            )  # fmt: skip
        busy = sorted(name for name, used in self._used.items() if used >= self._links[name].width)
        raise Problem("no-route", f"no path from {head} to {tail} has a link free", busy=busy)

    def _cost(self, link: str, tested: bool, idle: bool) -> float | None:
        entry = self._links[link]
        if (self._used[link] >= entry.width and not idle) or (link in self._suspect and not tested):
            return None
        x, y, z = entry.hop.state
        waits_s = entry.hop.cycle_ns / entry.hop.success * 1e-9
        rate = max(self._stations[n].decay.x_hz for n in (entry.a, entry.b))
        return (3 - x - y - z) / 4 + min(1.0, rate * waits_s) + 1e-6 + (link in self._suspect) * DISTRUST

    def _compiled(self, nodes: tuple[str, ...], links: tuple[str, ...], fidelity: float | None, wanted: int) -> Circuit:
        """The program for a path; `fidelity` None: the one that promises most. Problem `fidelity-unreachable`."""
        stations = tuple(self._stations[node] for node in nodes)
        hops = tuple(self._links[link].hop for link in links)
        floor = 1.0 if fidelity is None else fidelity
        try:
            return self._compiler.compile(Demand(stations, hops, floor, wanted)).circuit
        except Refused as refused:
            best = refused.could_have
            if fidelity is None and best is not None:
                return self._compiler.compile(Demand(stations, hops, best - ROUNDING, wanted)).circuit
            offered = {} if best is None else {"best": round(best, 6)}
            raise Problem(
                "fidelity-unreachable", f"from {nodes[0]} to {nodes[-1]}: {refused}", nodes=list(nodes), **offered
            ) from refused

    def _plan(self, nodes: tuple[str, ...], links: tuple[str, ...], circuit: Circuit) -> PairPlan:
        state = worst(circuit)
        if state is None:
            raise Problem("fidelity-unreachable", "nothing is proved of the compiler's circuit", nodes=list(nodes))
        ends = circuit.nodes[0].decay, circuit.nodes[-1].decay
        decay = ends[0].x_hz + ends[1].x_hz, ends[0].y_hz + ends[1].y_hz, ends[0].z_hz + ends[1].z_hz
        cutoffs = [node.cutoff_ns for node in circuit.nodes if node.cutoff_ns is not None]
        cutoff_ns = min(cutoffs, default=None)
        hops = [self._links[link].hop for link in links]
        rate_hz = min(hop.success / hop.cycle_ns * 1e9 for hop in hops)
        return PairPlan(nodes, links, state, decay, cutoff_ns, rate_hz)
