"""Pairs on request where links are kept ready ahead of demand, and where attempts cost what nodes store."""

from __future__ import annotations

import pytest
from pair_stage import BOSTON, PairStage, S

from quoit.fabric.api import OpenVirtualCircuit, ReceivePairs, RequestPairs, network_service

DIRECT = "  - {between: [harvard, mit], success: 0.004, fidelity: 0.97}\n"
READY = BOSTON.replace(DIRECT, "").replace("[mit, bu], length: 6 km", "[mit, bu], length: 60 km")
NODE = "{memories: {number: 8, hardware: nv-three-node-2021, t1: 1000 s, t2: 100 s, gate: 0.999, readout: 0.999}}"
TRYING = f"""
quoit: 1
name: attempts
nodes:
  left: {NODE}
  middle: {NODE}
  right: {NODE}
spans:
  - {{between: [left, middle], length: 5 km}}
  - {{between: [middle, right], length: 5 km}}
pair_links:
  - {{between: [left, middle], success: 0.1, fidelity: 0.99, attempt: 200 us, pairs: 2}}
  - {{between: [middle, right], success: 0.1, fidelity: 0.99, attempt: 200 us, pairs: 2}}
applications:
  - {{sae: alice, kme: kme-left}}
  - {{sae: carol, kme: kme-right}}
"""


@pytest.mark.realises("D1", "D2")
@pytest.mark.parametrize(("head", "tail"), [("harvard", "mit"), ("mit", "harvard")])
@pytest.mark.parametrize("delivery", ["KEEP", "EARLY"])
def test_a_circuit_goes_on_from_virtual_links_whichever_end_they_were_made_from(
    head: str, tail: str, delivery: str
) -> None:
    """They are made from harvard on; each pair is in the memories that its two ends keep for it, and its promise is
    that of the circuit which was planned."""
    stage = PairStage(f"{READY}\npolicies: {{pair_compiler: edc}}\n", seed=4)
    stage.ask(network_service(head), OpenVirtualCircuit("vc", tail, 0.75))
    stage.ask(network_service(tail), ReceivePairs(f"client:{tail}", head))
    order = RequestPairs(f"client:{head}", "vc", 10 * S, number=4, delivery=delivery)
    stage.ask(network_service(head), order)
    stage.run(5)
    opened = stage.events_of("circuit.opened")
    assert ["adopted" in e.fields for e in opened] == [True]
    near, far = stage.at[head], stage.at[tail]
    assert len(near.pairs) == 4
    assert [pair.sequence for pair in near.pairs] == [pair.sequence for pair in far.pairs]
    for truth, pair in near.truths + (far.truths if delivery == "KEEP" else []):
        assert truth >= pair.goodness >= 0.75
    for pair in near.pairs:
        assert pair.attempt_ns < pair.heralded_ns <= pair.corrected_ns


@pytest.mark.realises("B5", "D1")
@pytest.mark.parametrize("delivery", ["KEEP", "EARLY"])
def test_what_is_promised_has_the_attempts_in_it_that_are_made_beside_it(delivery: str) -> None:
    """Both links try again for the next pair while the first ones are kept: their promise is below the link's state by
    what that may cost, and holds."""
    stage = PairStage(TRYING, seed=5)
    for node, other in (("left", "middle"), ("middle", "right")):
        stage.receive(other, node)
        stage.create(node, other, kind="K", number=4, fidelity=0.8, consecutive=True, max_time_ns=10 * S)
    circuit = stage.ask(network_service("left"), OpenVirtualCircuit("vc", "right", 0.8))
    stage.ask(network_service("right"), ReceivePairs("client:right", "left"))
    stage.ask(network_service("left"), RequestPairs("client:left", "vc", 10 * S, number=3, delivery=delivery))
    stage.run(10)
    assert not [err for client in stage.at.values() for err in client.failed]
    assert [len(stage.at[node].pairs) for node in ("left", "middle", "right")] == [7, 8, 7]
    for client in stage.at.values():
        for truth, pair in client.truths:
            assert truth >= pair.goodness >= 0.8
    assert 0.8 <= circuit.fidelity < 0.97
    assert max(pair.goodness for pair in stage.at["middle"].pairs) < 0.985
