"""RuleSets: made by the responder alone, the same after JSON, lowered to what they say, or refused with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from quoit.engine.program import Decay, Hop, Swap, werner_state
from quoit.fabric.programs.demand import Demand, Refused, Station
from quoit.fabric.programs.lowering import lower
from quoit.fabric.programs.ruleset_compiler import RuleSets, respond
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
    demand_of,
    from_json,
    outbound,
    return_leg,
    to_json,
)


def demand(hops: int = 3, floor: float = 0.6, decay: Decay = Decay.t1_t2(0.5, 0.3)) -> Demand:  # noqa: B008 - frozen
    link = Hop(100_000, 0.1, 400_000, werner_state(0.97))
    return Demand(tuple(Station(f"n{i}", decay, 3, 0.99, 0.995) for i in range(hops + 1)), (link,) * hops, floor, 50)


def test_set_up_takes_two_passes_of_light() -> None:
    asked = demand()
    requests = list(outbound(asked, "c"))
    assert [len(request.seen) for request in requests] == [1, 2, 3, 4]
    assert [request.reached_ns for request in requests] == [0, 100_000, 200_000, 300_000]
    with pytest.raises(Refused, match="reached its responder"):
        demand_of(requests[1])
    assert demand_of(requests[-1]) == asked
    rule_sets = respond(demand_of(requests[-1]), "c")
    set_up = return_leg(requests[-1], rule_sets)
    assert set_up.distributed == {"n3": 300_000, "n2": 400_000, "n1": 500_000, "n0": 600_000}
    assert set_up.messages == 6
    del rule_sets["n2"]
    with pytest.raises(Refused, match="none for n2"):
        return_leg(requests[-1], rule_sets)


def test_a_rule_set_is_the_same_after_its_journey() -> None:
    for rules in respond(demand(4, 0.88, Decay()), "c").values():
        assert from_json(to_json(rules)) == rules
    with pytest.raises(Refused, match="as JSON"):
        from_json('{"connection": "c", "owner": "n0", "rules": [{"name": "x", "when": [{"if": "MOON"}], "then": []}]}')
    with pytest.raises(Refused, match="unknown field"):
        from_json('{"connection": "c", "owner": "n0", "rules": [], "extra": 1}')


def test_what_is_distributed_is_what_runs() -> None:
    """The circuit comes of the JSON alone."""
    asked = demand(4, 0.85, Decay())
    made = RuleSets().compile(asked)
    assert any(made.circuit.purification.rounds.values())
    text = json.dumps(made.documents)
    sets = {name: from_json(json.dumps(rules)) for name, rules in json.loads(text)["rule_sets"].items()}
    assert lower(asked, sets) == made.circuit
    # no handshake: the wait is that of the devices
    assert {node.swap.wait_ns for node in made.circuit.nodes if node.swap} == {0}


def edited(change: Callable[[dict[str, RuleSet]], None], hops: int = 3) -> str:
    asked = demand(hops)
    sets = respond(asked, "c")
    assert lower(asked, sets).wanted == 50
    change(sets)
    with pytest.raises(Refused) as refusal:
        lower(asked, sets)
    return str(refusal.value)


def with_rules(owner: str, *more: Rule, drop: str = "") -> Callable[[dict[str, RuleSet]], None]:
    def change(sets: dict[str, RuleSet]) -> None:
        kept = tuple(rule for rule in sets[owner].rules if rule.name != drop)
        sets[owner] = msgspec.structs.replace(sets[owner], rules=(*kept, *more))

    return change


SWAP = (SwapPairs(), Send("outcome", "n0"), Send("outcome", "n3"))
BOTH = (Res(1, "n0"), Res(1, "n3"))
APPLY = (Promote("application"),)
FIFTY = Cmp("delivered", "<", 50)
PURIFY = (Purify("dejmps"), Send("parity", "n1"))


@pytest.mark.parametrize(
    ("owner", "rule", "drop", "reason"),
    [
        ("n1", Rule("again", BOTH, SWAP), "", "a node has one rule to swap"),
        ("n0", Rule("swap", BOTH, SWAP), "", "an end of the path has nothing to swap"),
        ("n1", Rule("s", (Res(1, "n0"),), SWAP), "swap", "one pair of its left and one of its right"),
        ("n1", Rule("s", (Res(1, "n2"), Res(1, "n3")), SWAP), "swap", "one pair of its left and one of its right"),
        ("n1", Rule("s", (*BOTH, Fidelity(0.9)), SWAP), "swap", "a swap waits for one pair on either side and nothing"),
        ("n1", Rule("s", (Res(1, "mars"), Res(1, "n3")), SWAP), "swap", "expected a partner on the path, found 'mars'"),
        ("n1", Rule("s", BOTH, (SwapPairs(), Send("outcome", "n0"))), "swap", "both partners must be sent the outcome"),
        ("n1", Rule("s", BOTH, (SwapPairs(), Free())), "swap", "expected one of SWAP, PURIFY, FREE, PROMOTE, found"),
        ("n1", Rule("t", (Timer(5),), (Free(), Send("released"))), "", "a node has one cut-off"),
        ("n1", Rule("t", (Timer(5),), (Free(),)), "cut-off", "told that the qubit was released"),
        ("n0", Rule("t", (Timer(5),), (Free(), Send("released"))), "", "halves at the ends belong to the application"),
        ("n0", Rule("p", (Res(2, "n1"), Timer(5)), PURIFY), "", "purification takes two pairs with one partner"),
        ("n0", Rule("p", (Res(2, "n1"),), (Purify("dejmps"),)), "", "must be sent the parity"),
        ("n0", Rule("p", (Res(2, "n1"),), PURIFY), "", "the same rounds of purification at both ends"),
        ("n1", Rule("d", (Res(1, "n3"),), (Promote("application"),)), "", "at the ends of the path, only"),
        ("n0", Rule("d", (Res(1, "n3"), Cmp("moons", "==", 3)), (Promote("application"),)), "deliver", "no counter"),
        ("n0", Rule("d", (Res(1, "n3"), FIFTY, Fidelity(0.99)), APPLY), "deliver", "is what the rules keep"),
        ("n0", Rule("d", (Res(1, "n3"), FIFTY), APPLY), "", "an end has one rule to deliver"),
        ("n0", Rule("d", (FIFTY,), APPLY), "deliver", "expected one pair with the other end"),
        ("n0", Rule("d", (Res(1, "n3"), Cmp("delivered", "<", 9)), APPLY), "deliver", "the same number of pairs"),
    ],
)  # fmt: skip
def test_what_cannot_be_lowered_is_refused_by_rule_and_reason(owner: str, rule: Rule, drop: str, reason: str) -> None:
    told = edited(with_rules(owner, rule, drop=drop))
    assert reason in told
    # Where rules do not fit each other, no single one is to blame.
    assert told.startswith(f"rule {rule.name!r} of {owner} cannot be lowered") or "both ends" in told


def test_rules_that_do_not_fit_each_other_are_refused() -> None:
    assert "no" in edited(lambda sets: sets.pop("n1") and None)
    assert "found none at n1" in edited(with_rules("n1", drop="swap"))

    def one_link_only(sets: dict[str, RuleSet]) -> None:
        with_rules("n0", Rule("p", (Res(2, "n1"),), PURIFY))(sets)
        with_rules("n1", Rule("p", (Res(2, "n0"),), (Purify("dejmps"), Send("parity", "n0"))))(sets)

    assert "all pairs over 1 link(s) to be purified alike" in edited(one_link_only)

    def unasked(sets: dict[str, RuleSet]) -> None:
        for here in range(4):
            for there in (here - 1, here + 1):
                if 0 <= there < 4:
                    then = (Purify("dejmps"), Send("parity", f"n{there}"))
                    with_rules(f"n{here}", Rule(f"p{there}", (Res(2, f"n{there}"),), then))(sets)

    assert "purified 1 time(s), and rules wait for 0" in edited(unasked)


def test_rules_for_any_partner_become_a_swap_of_whatever_comes_first() -> None:
    asked = demand(2)
    sets = respond(asked, "c")
    told = (SwapPairs(), Send("outcome"), Send("outcome"))
    with_rules("n1", Rule("any", (Res(side="left"), Res(side="right")), told), drop="swap")(sets)
    rule = lower(asked, sets).nodes[1].swap
    assert rule is not None
    assert replace(rule, success=1.0, noise=1.0) == Swap()
