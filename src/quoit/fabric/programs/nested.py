"""Nested purification: spans of equal length are purified and joined to ones of twice the length, with handshakes.

Source: Briegel, Duer, Cirac, Zoller, PRL 81, 5932 (1998), doi:10.1103/PhysRevLett.81.5932. A path of any number of hops
is cut into halves as equal as whole hops permit, and so on down to the links. The node in the middle knows which two
spans it joins, asks the far ends of both to hold their halves, and swaps when both have answered: a round trip of light
to the farther one.

A round of purification is made only where it raises the fidelity of what goes in. Of all ways to spend rounds on spans
the compiler takes the one that spends the fewest pairs for the floor, counting how many it will lose to cut-offs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import expm1
from typing import Literal

from quoit.engine.program import Circuit, Purification, Swap
from quoit.fabric.programs.asap import promise_of
from quoit.fabric.programs.demand import Compiled, Demand, Refused
from quoit.fabric.programs.promises import (
    balanced,
    decays,
    elementary_pairs,
    every_round_helps,
    least,
    longest_cutoff,
    with_cutoff,
)

MOST_ROUNDS = 3
"""In all, on the way from a link to the ends; more has never paid on hardware that was published."""


class Nested:
    """Compiler `nested`."""

    purifies = True
    """More memories on a side may give it a higher floor."""

    def compile(self, demand: Demand) -> Compiled:
        """Raises Refused if no way to spend the memories on purification keeps the floor."""
        swaps = list(balanced(0, len(demand.links)))
        spans = {right - left for _, left, right in swaps} | {1}
        plan = cheapest("nested", demand, spans, handshakes=True)
        demand.check_deadline(elementary_pairs(plan))
        # The node asks both far ends to hold, and both answer.
        return Compiled(plan, promise_of(plan), handshake_messages=4)


def cheapest(who: str, demand: Demand, spans: set[int], handshakes: bool) -> Circuit:
    """The circuit that joins halves and spends the fewest pairs, with purification of these spans (in hops) only.

    Raises Refused with the best fidelity that was found.
    """
    found: list[_Candidate] = []
    best = 0.0
    for rounds in _ways(sorted(spans), min(MOST_ROUNDS, demand.width - 1)):
        for candidate in _candidates(demand, rounds, handshakes):
            fresh = least(with_cutoff(candidate, 1))
            if fresh is None or not every_round_helps(with_cutoff(candidate, 1)):
                continue
            best = max(best, fresh)
            if fresh < demand.floor:
                continue
            kept = with_cutoff(candidate, longest_cutoff(candidate, demand.floor))
            if every_round_helps(kept):
                found.append(_Candidate(_cost(kept), len(found), kept))
    if not found:
        raise Refused(
            f"{who}: expected a floor of {best:.4f} or less, found {demand.floor:g}: {demand.width} memories a side "
            "give no more, with purification wherever it helps",
            best,
        )
    return min(found, key=lambda c: (c.cost, c.number)).circuit


@dataclass(frozen=True, slots=True)
class _Candidate:
    cost: float
    number: int
    circuit: Circuit


def _ways(spans: list[int], most: int) -> Iterator[Mapping[int, int]]:
    """All ways to spend at most so many rounds on these spans, none first."""
    if not spans:
        yield {}
        return
    for own in range(most + 1):
        for others in _ways(spans[1:], most - own):
            yield {spans[0]: own, **others} if own else others


def _candidates(demand: Demand, rounds: Mapping[int, int], handshakes: bool) -> Iterator[Circuit]:
    n = len(demand.links)
    rules = {}
    for middle, left, right in balanced(0, n):
        near = sum(link.light_ns for link in demand.links[left:middle])
        far = sum(link.light_ns for link in demand.links[middle:right])
        rules[middle] = Swap(left, right, 2 * max(near, far) if handshakes else 0)
    worst_gate = min(station.gate_p2 for station in demand.stations)
    readout = min(station.readout for station in demand.stations)
    schemes: tuple[Literal["dejmps", "bbpssw"], ...] = ("dejmps", "bbpssw") if rounds else ("dejmps",)
    for scheme in schemes:
        # All nodes as good as the worst of them: the engine knows one quality of purification for a circuit.
        how = Purification(rounds, scheme, worst_gate**2, readout)
        circuit = demand.circuit(rules, demand.width, how)
        if scheme == "dejmps" and rounds and decays(circuit):
            continue  # nothing is proved of it
        yield circuit


def _cost(circuit: Circuit) -> float:
    """Pairs of a link that are spent for one of the ends, those included that a cut-off takes while they wait for a
    partner of the slowest link."""
    cutoffs = [node.cutoff_ns for node in circuit.nodes if node.cutoff_ns is not None]
    spent = elementary_pairs(circuit)
    if not cutoffs:
        return spent
    slowest = max(hop.cycle_ns / hop.success for hop in circuit.hops)
    in_time = -expm1(-min(cutoffs) / (slowest * spent))
    return spent / max(in_time, 1e-12) ** len(circuit.hops)
