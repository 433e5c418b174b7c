"""Control of entanglement: chooses paths for pairs, compiles programs, and keeps count of who uses which link.

A promise of fidelity is kept by cut-offs: what a pair can lose before it is delivered is bounded by how long its
qubits may wait on the way. The bound counts every qubit at its worst, so delivered pairs are better than promised.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

from quoit.engine.physics.heralding import max_geometric_mean
from quoit.engine.program import Circuit, Decay, Hop, Node, Swap
from quoit.fabric.api import (
    PAIR_CONTROLLER,
    CloseCircuit,
    Done,
    OpenCircuit,
    PairPlan,
    PlanPairs,
    RenewHalf,
    memory,
)
from quoit.fabric.memory import EndProgram, ExpectPairs, RenewPair, RunProgram
from quoit.model.problem import Problem
from quoit.planes.graph import Graph
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles

LONGEST_CUTOFF_NS = 10**12
State = tuple[float, float, float]


@dataclass(frozen=True)
class PairLinkEntry:
    """A link as control knows it: its ends, what an attempt on it is like, how many circuits can share it."""

    link: str
    a: str
    b: str
    hop: Hop
    width: int


@dataclass(frozen=True)
class PairNodeEntry:
    """A node as control knows it: how its memories decay, what a swap costs (factor on the eigenvalues), and the
    probability that a two-qubit gate and a readout are right."""

    node: str
    decay: Decay
    swap_noise: float = 1.0
    gate: float = 1.0
    readout: float = 1.0


@dataclass(frozen=True)
class _Open:
    head: str
    tail: str
    links: tuple[str, ...]


class PairController(Element):
    """Programs circuits of entangled pairs (D1, D4)."""

    stratum, plane = Stratum.FABRIC, Plane.CONTROL
    realises = ("D1", "D2", "D3")

    def __init__(self, place: str, links: tuple[PairLinkEntry, ...], nodes: tuple[PairNodeEntry, ...]) -> None:
        super().__init__(PAIR_CONTROLLER, place)
        self._links = {entry.link: entry for entry in links}
        self._nodes = {entry.node: entry for entry in nodes}
        self._graph = Graph((entry.link, entry.a, entry.b) for entry in links)
        self._used = dict.fromkeys(self._links, 0)
        self._open: dict[str, _Open] = {}

    # -- what Service asks ---------------------------------------------------------------------------

    @handles(PlanPairs)
    async def on_plan(self, ctx: Context, msg: PlanPairs) -> PairPlan:
        nodes, links = self._route(msg.head, msg.tail)
        return self._plan(nodes, links, msg.fidelity)

    @handles(OpenCircuit)
    async def on_open(self, ctx: Context, msg: OpenCircuit) -> PairPlan:
        if msg.circuit in self._open:
            raise Problem("unit-exists", f"circuit {msg.circuit} is open")
        nodes, links = self._route(msg.head, msg.tail)
        plan = self._plan(nodes, links, msg.fidelity)
        program = self._program(nodes, links, plan.cutoff_ns, len(msg.head_slots))
        for link in links:
            self._used[link] += 1
        self._open[msg.circuit] = _Open(msg.head, msg.tail, links)
        ctx.emit("circuit.opened", circuit=msg.circuit, nodes=nodes, cutoff_ns=plan.cutoff_ns)
        ctx.tell(memory(msg.tail), ExpectPairs(msg.circuit, msg.tail_holder))
        run = RunProgram(
            msg.circuit, links, msg.tail, program, msg.head_slots, msg.tail_slots, msg.head_holder, msg.tail_holder
        )
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

    # -- routes and promises -------------------------------------------------------------------------

    def _route(self, head: str, tail: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The path with the best pairs among links that are not used up: a pair's loss of its eigenvalues adds up
        over the hops, and waiting for success counts as well."""
        if head not in self._graph or tail not in self._graph:
            raise Problem("no-route", f"no link for entangled pairs joins {head} and {tail}")
        route = self._graph.route(head, tail, self._cost)
        if route is None:
            busy = sorted(name for name, used in self._used.items() if used >= self._links[name].width)
            raise Problem("no-route", f"no path from {head} to {tail} has a link free", busy=busy)
        return route

    def _cost(self, link: str) -> float | None:
        entry = self._links[link]
        if self._used[link] >= entry.width:
            return None
        x, y, z = entry.hop.state
        waits_s = entry.hop.cycle_ns / entry.hop.success * 1e-9
        rate = max(self._nodes[n].decay.x_hz for n in (entry.a, entry.b))
        return (3 - x - y - z) / 4 + min(1.0, rate * waits_s) + 1e-6

    def _plan(self, nodes: tuple[str, ...], links: tuple[str, ...], fidelity: float | None) -> PairPlan:
        hops = [self._links[link].hop for link in links]
        cutoff = None
        if len(hops) > 1:
            cutoff = 0 if fidelity is None else self._cutoff(nodes, hops, fidelity)
        state = self._worst(nodes, hops, cutoff or 0)
        if fidelity is not None and _fidelity(state) < fidelity:
            best = round(_fidelity(self._worst(nodes, hops, 0)), 6)
            raise Problem(
                "fidelity-unreachable",
                f"from {nodes[0]} to {nodes[-1]} expected at most {best}, found {fidelity}",
                best=best, nodes=list(nodes),
            )  # fmt: skip
        x, y, z = state
        bell = (1 + x + y + z) / 4, (1 - x - y + z) / 4, (1 + x - y - z) / 4, (1 - x + y - z) / 4
        ends = self._nodes[nodes[0]].decay, self._nodes[nodes[-1]].decay
        decay = ends[0].x_hz + ends[1].x_hz, ends[0].y_hz + ends[1].y_hz, ends[0].z_hz + ends[1].z_hz
        return PairPlan(nodes, links, bell, self._rate_hz(hops), decay, cutoff)

    def _cutoff(self, nodes: tuple[str, ...], hops: list[Hop], fidelity: float) -> int:
        """The longest wait at inner nodes that keeps the promise; 0 if none does."""
        low, high = 0, LONGEST_CUTOFF_NS
        if _fidelity(self._worst(nodes, hops, high)) >= fidelity:
            return high
        while high - low > 1_000:
            middle = (low + high) // 2
            if _fidelity(self._worst(nodes, hops, middle)) >= fidelity:
                low = middle
            else:
                high = middle
        return low

    def _worst(self, nodes: tuple[str, ...], hops: list[Hop], cutoff_ns: int) -> State:
        """A delivered pair if each qubit waited as long as it may. Neighbouring links succeed within one cut-off of
        each other, so an end waits for at most a cut-off a swap, and for light to bring the news."""
        swaps, light = len(hops) - 1, sum(hop.light_ns for hop in hops)
        state = (1.0, 1.0, 1.0)
        for i, hop in enumerate(hops):
            for end in (i, i + 1):
                inner = 0 < end < len(hops)
                waited = hop.stored_ns + (cutoff_ns if inner else cutoff_ns * swaps + (light if swaps else 0))
                state = _waited(state, self._nodes[nodes[end]].decay, waited)
            state = state[0] * hop.state[0], state[1] * hop.state[1], state[2] * hop.state[2]
        for node in nodes[1:-1]:
            noise = self._nodes[node].swap_noise
            state = state[0] * noise, state[1] * noise, state[2] * noise
        return state

    @staticmethod
    def _rate_hz(hops: list[Hop]) -> float:
        """Pairs per second if no cut-off strikes and all links begin together: an upper estimate."""
        slowest = max(hops, key=lambda hop: hop.cycle_ns / hop.success)
        mean = max_geometric_mean(len(hops), slowest.success) * slowest.cycle_ns
        return 1e9 / (mean + sum(hop.light_ns for hop in hops[1:]))

    def _program(self, nodes: tuple[str, ...], links: tuple[str, ...], cutoff_ns: int | None, wanted: int) -> Circuit:
        """Swap as soon as both sides are there, discard after the cut-off."""
        hops = []
        for i, link in enumerate(links):
            hops.append(self._links[link].hop)
            assert {nodes[i], nodes[i + 1]} == {self._links[link].a, self._links[link].b}
        program = []
        for i, name in enumerate(nodes):
            entry = self._nodes[name]
            inner = 0 < i < len(nodes) - 1
            rule = Swap(noise=entry.swap_noise) if inner else None
            # A wait of nothing at all would discard what has just come.
            program.append(Node(entry.decay, rule, max(1, cutoff_ns) if inner and cutoff_ns is not None else None))
        return Circuit(tuple(program), tuple(hops), wanted=wanted)


def _waited(state: State, decay: Decay, waited_ns: int) -> State:
    t = waited_ns * 1e-9
    return state[0] * exp(-decay.x_hz * t), state[1] * exp(-decay.y_hz * t), state[2] * exp(-decay.z_hz * t)


def _fidelity(state: State) -> float:
    return (1 + sum(state)) / 4
