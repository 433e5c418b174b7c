"""RuleSets lowered to a circuit, or refused with the reason.

RuleSets can say more than the engine's nodes can do. What is lowered does exactly what the rules say; a rule that has
no counterpart is refused by node and name, and nothing is left out in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from quoit.engine.program import Circuit, ProgramFault, Purification, Swap
from quoit.fabric.programs.demand import Demand, Refused
from quoit.fabric.programs.promises import least
from quoit.fabric.programs.rulesets import (
    Cmp,
    Fidelity,
    Free,
    Promote,
    Purify,
    Res,
    Rule,
    RuleSet,
    Send,
    SwapPairs,
    Timer,
)

Scheme = Literal["dejmps", "bbpssw"]


@dataclass(slots=True)
class _Found:
    """What the rules said so far. `rounds`: by span, of whom it is known; `needs`: rounds that a swap or a delivery
    waits for, by span."""

    swaps: dict[int, Swap] = field(default_factory=dict)
    cutoffs: dict[int, int] = field(default_factory=dict)
    purified: dict[tuple[int, int], set[int]] = field(default_factory=dict)
    needs: dict[int, set[int]] = field(default_factory=dict)
    schemes: set[Scheme] = field(default_factory=set)
    wanted: set[int | None] = field(default_factory=set)
    floors: list[tuple[int, Rule, float]] = field(default_factory=list)
    delivering: set[int] = field(default_factory=set)


def lower(demand: Demand, rule_sets: Mapping[str, RuleSet]) -> Circuit:
    """The circuit that does what the RuleSets of all nodes, by name, say together. Raises Refused."""
    found = _Found()
    for number, station in enumerate(demand.stations):
        if station.name not in rule_sets:
            raise Refused(f"expected a RuleSet for each node of the path, found none for {station.name}")
        for rule in rule_sets[station.name].rules:
            _read(demand, found, number, rule)
    _check_whole(demand, found)
    circuit = _circuit(demand, found)
    kept = least(circuit)
    for number, rule, floor in found.floors:
        if kept is None or kept < floor:
            what = "nothing is proved of these pairs" if kept is None else f"{kept:.4f} is what the rules keep"
            raise _refusal(demand, number, rule, f"no device estimates a single pair's fidelity, and {what}")
    return circuit


def _refusal(demand: Demand, number: int, rule: Rule, why: str) -> Refused:
    return Refused(f"rule {rule.name!r} of {demand.stations[number].name} cannot be lowered: {why}")


def _read(demand: Demand, found: _Found, number: int, rule: Rule) -> None:
    kinds = {type(action) for action in rule.then} - {Send}
    if kinds == {SwapPairs}:
        _read_swap(demand, found, number, rule)
    elif kinds == {Purify}:
        _read_purification(demand, found, number, rule)
    elif kinds == {Free}:
        _read_cutoff(demand, found, number, rule)
    elif kinds == {Promote}:
        _read_delivery(demand, found, number, rule)
    else:
        names = ", ".join(sorted(kind.__name__ for kind in kinds)) or "none but SEND"
        raise _refusal(demand, number, rule, f"expected one of SWAP, PURIFY, FREE, PROMOTE, found {names}")


def _partner(demand: Demand, number: int, rule: Rule, res: Res) -> int:
    names = [station.name for station in demand.stations]
    if res.partner not in names or names.index(res.partner) == number:
        raise _refusal(demand, number, rule, f"expected a partner on the path, found {res.partner!r}")
    return names.index(res.partner)


def _read_swap(demand: Demand, found: _Found, number: int, rule: Rule) -> None:
    if not 0 < number < len(demand.links):
        raise _refusal(demand, number, rule, "an end of the path has nothing to swap with")
    if number in found.swaps:
        raise _refusal(demand, number, rule, "a node has one rule to swap, and this is the second")
    ends: dict[str, int | None] = {}
    for condition in rule.when:
        if not isinstance(condition, Res) or condition.count != 1:
            raise _refusal(demand, number, rule, "a swap waits for one pair on either side and nothing else")
        end = None if condition.partner is None else _partner(demand, number, rule, condition)
        side = condition.side if end is None else "left" if end < number else "right"
        if side is None or side in ends or condition.side not in (None, side):
            raise _refusal(demand, number, rule, "expected one pair of its left and one of its right")
        ends[side] = end
        if end is not None:
            found.needs.setdefault(abs(end - number), set()).add(condition.rounds)
        elif condition.rounds:
            raise _refusal(demand, number, rule, "how often a pair was purified is known for a named partner only")
    if len(ends) != 2:
        raise _refusal(demand, number, rule, "expected one pair of its left and one of its right")
    told = sum(1 for action in rule.then if isinstance(action, Send) and action.what == "outcome")
    if told < 2:
        raise _refusal(demand, number, rule, "both partners must be sent the outcome, or their halves are useless")
    found.swaps[number] = Swap(ends["left"], ends["right"])


def _read_purification(demand: Demand, found: _Found, number: int, rule: Rule) -> None:
    match rule.when:
        case (Res(count=2) as res,):
            partner = _partner(demand, number, rule, res)
        case _:
            raise _refusal(demand, number, rule, "purification takes two pairs with one partner, and nothing else")
    if not any(isinstance(action, Send) and action.what == "parity" for action in rule.then):
        raise _refusal(demand, number, rule, "the partner must be sent the parity, or nobody knows whether it worked")
    done = found.purified.setdefault((number, partner), set())
    if res.rounds in done:
        raise _refusal(demand, number, rule, f"round {res.rounds + 1} with {res.partner} has a rule already")
    done.add(res.rounds)
    found.schemes |= {action.scheme for action in rule.then if isinstance(action, Purify)}


def _read_cutoff(demand: Demand, found: _Found, number: int, rule: Rule) -> None:
    if not 0 < number < len(demand.links):
        raise _refusal(demand, number, rule, "halves at the ends belong to the application and are never discarded")
    match rule.when:
        case (Timer(after_ns=after_ns),) if after_ns > 0:
            pass
        case _:
            raise _refusal(demand, number, rule, "expected to free a qubit by one TIMER above 0 ns and nothing else")
    if number in found.cutoffs:
        raise _refusal(demand, number, rule, "a node has one cut-off, and this is the second")
    if not any(isinstance(action, Send) and action.what == "released" for action in rule.then):
        raise _refusal(demand, number, rule, "the partner must be told that the qubit was released")
    found.cutoffs[number] = after_ns


def _read_delivery(demand: Demand, found: _Found, number: int, rule: Rule) -> None:
    n = len(demand.links)
    if number not in (0, n) or rule.then != (Promote("application"),):
        raise _refusal(demand, number, rule, "pairs are promoted to the application, at the ends of the path, only")
    if number in found.delivering:
        raise _refusal(demand, number, rule, "an end has one rule to deliver, and this is the second")
    wanted: int | None = None
    reaches = False
    for condition in rule.when:
        match condition:
            case Res(count=1) if _partner(demand, number, rule, condition) == n - number:
                found.needs.setdefault(n, set()).add(condition.rounds)
                reaches = True
            case Fidelity(at_least=floor):
                found.floors.append((number, rule, floor))
            case Cmp(variable="delivered", operator="<", value=value) if value > 0:
                wanted = value
            case _:
                raise _refusal(demand, number, rule, f"no counter or clock of a device says {condition}")
    if not reaches:
        raise _refusal(demand, number, rule, "expected one pair with the other end of the path")
    found.wanted.add(wanted)
    found.delivering.add(number)


# -- all rules together ------------------------------------------------------------------------------------


def _check_whole(demand: Demand, found: _Found) -> None:
    n = len(demand.links)
    idle = [demand.stations[k].name for k in range(1, n) if k not in found.swaps]
    if idle:
        raise Refused(f"expected a rule to swap at each inner node, found none at {', '.join(idle)}")
    if found.delivering != {0, n} or len(found.wanted) != 1:
        raise Refused("expected both ends to promote the same number of pairs to their applications")
    if len(found.schemes) > 1:
        raise Refused("expected one scheme of purification on the path, found two")
    for (one, other), done in found.purified.items():
        if found.purified.get((other, one)) != done:
            names = f"{demand.stations[one].name} and {demand.stations[other].name}"
            raise Refused(f"expected the same rounds of purification at both ends, found others at {names}")
        if done != set(range(len(done))):
            raise Refused(f"expected rounds of purification without a gap, found {sorted(done)}")


def _circuit(demand: Demand, found: _Found) -> Circuit:
    rounds = _rounds(demand, found)
    gate = min(station.gate_p2 for station in demand.stations)
    readout = min(station.readout for station in demand.stations)
    scheme: Scheme = next(iter(found.schemes), "dejmps")
    try:
        circuit = demand.circuit(found.swaps, demand.width, Purification(rounds, scheme, gate**2, readout))
        nodes = [replace(node, cutoff_ns=found.cutoffs.get(number)) for number, node in enumerate(circuit.nodes)]
        return replace(circuit, nodes=tuple(nodes), wanted=next(iter(found.wanted)))
    except ProgramFault as fault:
        raise Refused(f"these RuleSets make no circuit: {fault}") from fault


def _rounds(demand: Demand, found: _Found) -> dict[int, int]:
    """By span. All spans of a length are purified alike, and whoever waits for a pair waits for all its rounds."""
    n = len(demand.links)
    spans = {(k, k + 1) for k in range(n)} | {(0, n)}
    for number, rule in found.swaps.items():
        spans |= {(end, number) for end in (rule.left,) if end is not None}
        spans |= {(number, end) for end in (rule.right,) if end is not None}
    stray = {pair for pair in found.purified if tuple(sorted(pair)) not in spans}
    if stray:
        raise Refused(f"purification between {sorted(stray)}: no rule ever waits for a pair between these nodes")
    rounds: dict[int, int] = {}
    for left, right in sorted(spans):
        own = len(found.purified.get((left, right), ()))
        if rounds.setdefault(right - left, own) != own:
            raise Refused(f"expected all pairs over {right - left} link(s) to be purified alike")
    for span, needs in found.needs.items():
        if needs != {rounds.get(span, 0)}:
            asked = " and ".join(map(str, sorted(needs)))
            raise Refused(
                f"pairs over {span} link(s) are purified {rounds.get(span, 0)} time(s), and rules wait for {asked}"
            )
    return {span: own for span, own in rounds.items() if own}
