"""One application floods its KME; the agreed rates of the others hold (C3)."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.model.problem import Problem
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.service.api import Keys, OpenKeys

S, MS = 1_000_000_000, 1_000_000
SIZE = 256
NETWORK = """
quoit: 1
name: flood
nodes: {a: {}, b: {}}
spans: [{between: [a, b], length: 10 km}]
links: [{between: [a, b], protocol: rated, rate: 20 kbit/s, initial_pool: 200 kbit}]
applications:
  - {sae: steady, kme: kme-a, allow: [far], rate: 4 kbit/s}
  - {sae: greedy, kme: kme-a, allow: [far]%s}
  - {sae: far, kme: kme-b, allow: [steady, greedy]}
policies: {stream_low: 64 kbit, stream_high: 128 kbit, patience: 500 ms}
"""


def flooded(limits: str) -> tuple[Counter[str], Counter[str]]:
    """What comes of the requests of both, in 40 s: codes of refusals, or "served"."""
    world = VirtualWorld(assemble(loads(NETWORK % limits), Parts(lambda kme: MemoryStore())).kernel)
    world.begin()
    world.run_until(5 * S)
    came: dict[str, Counter[str]] = {"steady": Counter(), "greedy": Counter()}

    def note(who: str) -> Any:
        def heard(answer: Any) -> None:
            came[who]["served" if isinstance(answer, Keys) else answer.code] += 1

        return heard

    for turn in range(40_000 // 8):
        at = 5 * S + turn * 8 * MS
        asks = [("greedy", 4)]  # 128 kbit/s is wanted
        if turn % 8 == 0:
            asks.append(("steady", 1))  # 4 kbit/s
        for who, number in asks:
            ids = tuple(str(uuid.uuid4()) for _ in range(number))
            world.kernel.ask_from_outside(at, "kme-a", OpenKeys(who, "far", number, ids, SIZE), note(who))
    world.run_until(60 * S)
    return came["steady"], came["greedy"]


@pytest.mark.realises("C3")
@pytest.mark.parametrize("limits", ["", ", rate: 8 kbit/s, burst: 8 kbit"], ids=["no rate", "a rate"])
def test_c3_a_flood_leaves_the_agreed_rates_of_others_whole(limits: str) -> None:
    steady, greedy = flooded(limits)
    assert steady == {"served": 625}
    assert greedy["served"] > 100  # what is over is its
    assert sum(greedy.values()) - greedy["served"] > 1_000


def test_what_nobody_has_a_claim_to_is_for_whoever_asks() -> None:
    network = NETWORK.replace(", rate: 4 kbit/s", "") % ""
    world = VirtualWorld(assemble(loads(network), Parts(lambda kme: MemoryStore())).kernel)
    world.begin()
    world.run_until(5 * S)
    served = 0
    try:
        for _ in range(200):
            world.ask("kme-a", OpenKeys("greedy", "far", 1, (str(uuid.uuid4()),), SIZE))
            served += 1
    except Problem as problem:
        pytest.fail(f"after {served}: {problem}")
