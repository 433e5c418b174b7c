"""RuleSets for a demand: links are purified where it helps, then spans of fixed reach are joined without handshakes."""

from __future__ import annotations

import msgspec

from quoit.engine.program import Circuit
from quoit.fabric.programs.asap import promise_of
from quoit.fabric.programs.demand import Compiled, Demand
from quoit.fabric.programs.lowering import lower
from quoit.fabric.programs.nested import cheapest
from quoit.fabric.programs.promises import elementary_pairs
from quoit.fabric.programs.rulesets import (
    Cmp,
    Condition,
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
    demand_of,
    outbound,
    return_leg,
)


class RuleSets:
    """Compiler `rulesets`. `documents`: the RuleSets as they travel, and when each node has its own."""

    purifies = True
    """More memories on a side may give it a higher floor."""

    def compile(self, demand: Demand) -> Compiled:
        """Raises Refused if links, purified or not, do not keep the floor over the path."""
        *_, request = outbound(demand, f"{demand.stations[0].name}--{demand.stations[-1].name}")
        rule_sets = respond(demand_of(request), request.connection)
        set_up = return_leg(request, rule_sets)
        circuit = lower(demand, rule_sets)
        demand.check_deadline(elementary_pairs(circuit))
        documents = {
            "rule_sets": {name: msgspec.to_builtins(rules) for name, rules in rule_sets.items()},
            "distributed_ns": set_up.distributed,
            "set_up_messages": set_up.messages,
        }
        return Compiled(circuit, promise_of(circuit), documents=documents)


def respond(demand: Demand, connection: str) -> dict[str, RuleSet]:
    """What the responder makes of the descriptions: a RuleSet for each node, by name. Raises Refused."""
    plan = cheapest("rulesets", demand, {1}, handshakes=False)
    found = {}
    for number, station in enumerate(demand.stations):
        rules = [*_purify(demand, plan, number)]
        rules += _swap(demand, plan, number) if 0 < number < len(demand.links) else _deliver(demand, plan, number)
        found[station.name] = RuleSet(connection, station.name, tuple(rules))
    return found


def _purify(demand: Demand, plan: Circuit, number: int) -> list[Rule]:
    rules = []
    for other in (number - 1, number + 1):
        if not 0 <= other < len(demand.stations):
            continue
        name = demand.stations[other].name
        for done in range(plan.purification.rounds.get(1, 0)):
            found = Res(2, name, rounds=done)
            then = (Purify(plan.purification.scheme), Send("parity", name))
            rules.append(Rule(f"purify with {name}, round {done + 1}", (found,), then))
    return rules


def _swap(demand: Demand, plan: Circuit, number: int) -> list[Rule]:
    rule = plan.nodes[number].swap
    assert rule is not None
    assert rule.left is not None
    assert rule.right is not None
    when, then = [], []
    for end in (rule.left, rule.right):
        name = demand.stations[end].name
        rounds = plan.purification.rounds.get(abs(end - number), 0)
        when.append(Res(1, name, rounds=rounds))
        then.append(Send("outcome", name))
    rules = [Rule("swap", tuple(when), (SwapPairs(), *then))]
    cutoff_ns = plan.nodes[number].cutoff_ns
    if cutoff_ns is not None:
        rules.append(Rule("cut-off", (Timer(cutoff_ns),), (Free(), Send("released"))))
    return rules


def _deliver(demand: Demand, plan: Circuit, number: int) -> list[Rule]:
    last = len(demand.links)
    rounds = plan.purification.rounds.get(last, 0)
    when: list[Condition] = [Res(1, demand.stations[last - number].name, rounds=rounds), Fidelity(demand.floor)]
    if demand.pairs is not None:
        when.append(Cmp("delivered", "<", demand.pairs))
    return [Rule("deliver", tuple(when), (Promote("application"),))]
