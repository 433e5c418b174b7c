"""Paths and programs for demands, with as few memories on a side as keep the fidelity, and what is promised of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from quoit.engine.program import Circuit, fidelity_of
from quoit.fabric.api import PairPlan
from quoit.fabric.pair_book import Choice, PairBook
from quoit.fabric.pair_links import PairLinks
from quoit.fabric.programs.demand import Compiler, Demand, Refused
from quoit.fabric.programs.promises import elementary_pairs
from quoit.model.problem import Problem

ROUNDING = 1e-9
"""Taken off the best floor, which a compiler may have rounded up."""
WIDTHS = (1, 2, 3, 4)
"""Memories on each side: one more than rounds of purification, of which more than three have never paid."""


@dataclass(frozen=True)
class Made:
    """A path, the program for it, and what it keeps."""

    nodes: tuple[str, ...]
    links: tuple[str, ...]
    program: Circuit
    plan: PairPlan


class PairPaths:
    """Asks the book for paths, and the compiler for programs."""

    def __init__(self, known: PairLinks, book: PairBook, compiler: Compiler) -> None:
        self._known = known
        self._book = book
        self._compiler = compiler

    def made(
        self,
        ends: tuple[str, str],
        choice: Choice,
        fidelity: float | None,
        wanted: int,
        now: int,
        *,
        purify: bool = False,
    ) -> Made:
        """Path and program with as few memories on a side as keep the fidelity; None: the best, with more than one only
        to `purify`. Problems as of `PairBook.route`, `fidelity-unreachable`."""
        may = getattr(self._compiler, "purifies", False) and (purify or fidelity is not None)
        best: Made | None = None
        why: Problem | None = None
        for width in WIDTHS if may else WIDTHS[:1]:
            try:
                nodes, links = self._book.route(*ends, replace(choice, places=width), now)
                program = self.compiled(nodes, links, fidelity, wanted, width)
                found = Made(nodes, links, program, self.plan(nodes, links, program))
            except Problem as problem:
                if why is None or problem.fields.get("best", 0.0) > why.fields.get("best", 0.0):
                    why = problem
                if problem.code != "fidelity-unreachable":
                    break
                continue
            if fidelity is not None:
                return found
            if best is None or fidelity_of(found.plan.state) > fidelity_of(best.plan.state) + ROUNDING:
                best = found
        if best is None:
            raise why or Problem("internal", "no width was tried")
        return best

    def compiled(
        self, nodes: tuple[str, ...], links: tuple[str, ...], fidelity: float | None, wanted: int, width: int = 1
    ) -> Circuit:
        """The program for a path whose pairs are kept; `fidelity` None: the one that promises most. Problem
        `fidelity-unreachable`."""
        floor = 1.0 if fidelity is None else fidelity
        try:
            made = self._compiler.compile(self.demand(nodes, links, floor, wanted, width)).circuit
            if fidelity is None or self._keeps(nodes, made, fidelity):
                return made
            needed = self._known.raised(nodes, fidelity)  # for what the engine counts sooner or later than it is
            if needed > 1:
                raise Refused("attempts at the ends cost too much of what they keep", 1.0)
            return self._compiler.compile(self.demand(nodes, links, needed, wanted, width)).circuit
        except Refused as refused:
            best = refused.could_have
            if fidelity is None and best is not None:
                return self._best(nodes, links, best, wanted, width)
            raise unreachable(nodes, refused, None if best is None else self._known.lowered(nodes, best)) from refused

    def _best(self, nodes: tuple[str, ...], links: tuple[str, ...], best: float, wanted: int, width: int) -> Circuit:
        """As near to the best floor as the compiler makes one: with purification it may find none right at it."""
        for margin in (ROUNDING, 1e-6, 1e-4):
            try:
                return self._compiler.compile(self.demand(nodes, links, best - margin, wanted, width)).circuit
            except Refused as refused:
                why = refused
        raise unreachable(nodes, why, None) from why

    def demand(
        self, nodes: tuple[str, ...], links: tuple[str, ...], floor: float, wanted: int | None, memories: int = 1
    ) -> Demand:
        """For the compiler; `memories` on each side."""
        stations = tuple(replace(self._known.beside(node, links), memories=memories) for node in nodes)
        return Demand(stations, tuple(self._known.entries[link].hop for link in links), floor, wanted)

    def _keeps(self, nodes: tuple[str, ...], circuit: Circuit, fidelity: float) -> bool:
        kept = self._known.kept(nodes, circuit)
        return kept is None or kept.fidelity >= fidelity - ROUNDING / 2

    def plan(self, nodes: tuple[str, ...], links: tuple[str, ...], circuit: Circuit) -> PairPlan:
        """What the circuit is told to give. Problem `fidelity-unreachable` if nothing is proved of it."""
        kept = self._known.kept(nodes, circuit)
        if kept is None:
            raise Problem("fidelity-unreachable", "nothing is proved of the compiler's circuit", nodes=list(nodes))
        cutoffs = [node.cutoff_ns for node in circuit.nodes if node.cutoff_ns is not None]
        cutoff_ns = min(cutoffs, default=None)
        hops = [self._known.entries[link].hop for link in links]
        rate_hz = min(hop.success / hop.cycle_ns * 1e9 for hop in hops)
        if circuit.width > 1:  # pairs are spent on others
            rate_hz /= elementary_pairs(circuit)
        return PairPlan(nodes, links, kept.state, kept.decay_hz, cutoff_ns, rate_hz, width=circuit.width)


def unreachable(nodes: tuple[str, ...], refused: Refused, best: float | None) -> Problem:
    """No program keeps what was asked for; `best`: what could be had."""
    offered = {} if best is None else {"best": round(best, 6)}
    return Problem("fidelity-unreachable", f"from {nodes[0]} to {nodes[-1]}: {refused}", nodes=list(nodes), **offered)
