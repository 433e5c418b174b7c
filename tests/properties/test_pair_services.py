"""Whatever is asked of link and network services at once, by whom and in which order, and whatever happens meanwhile:
every request ends by its deadline, no pair is below what was promised, both ends know the same pairs, and no memory is
lost (invariants of entanglement: a half in at most one pair, each used exactly once)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quoit.engine.world import CutSpan
from quoit.fabric.api import (
    CancelPairs,
    CloseVirtualCircuit,
    FreeSlots,
    OpenVirtualCircuit,
    Reading,
    ReceivePairs,
    RequestPairs,
    StopReceiving,
    link_service,
    memory,
    network_service,
)
from quoit.model.problem import Problem

sys.path.insert(0, str(Path(__file__).parents[1] / "stories"))  # its stage
from pair_stage import BOSTON, MS, PairStage

NODES = ("harvard", "mit", "bu")
LONGEST_S = 3
REFUSALS = ("no-memory", "no-time", "fidelity-unreachable", "no-such-element", "not-admitted")
"""That some of the requests deserve."""
TEXT = BOSTON.replace("number: 8", "number: 5")


class Crowd:
    """Clients that ask for all kinds of things."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.stage = PairStage(TEXT, seed=seed)
        self.asked: list[tuple[str, int, str, int]] = []
        """(creator, create id, circuit, deadline)"""
        for node in NODES:
            for remote in NODES:
                if node != remote:
                    self.receive(node, remote)
        self.circuits = [("harvard", "bu", "c1"), ("mit", "harvard", "c2")]
        for head, tail, name in self.circuits:
            self.stage.ask(network_service(head), OpenVirtualCircuit(name, tail, 0.9))

    def receive(self, node: str, remote: str) -> None:
        for service in (link_service, network_service):
            self.stage.ask(service(node), ReceivePairs(f"client:{node}", remote))

    def pick(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def something(self) -> None:
        often, seldom = (self.create, self.create, self.over, self.free), (self.create, self.cancel, self.stop)
        try:
            self.pick(*often, *often, *seldom)()
        except Problem as problem:
            if problem.code not in REFUSALS:
                raise

    def create(self) -> None:
        node = self.pick(*NODES)
        remote = self.pick(*(other for other in NODES if other != node))
        within_ns = int(self.rng.integers(100, LONGEST_S * 1000)) * MS
        create_id = self.stage.create(
            node, remote, kind=self.pick("K", "M", "R"), number=self.pick(1, 2, 3), max_time_ns=within_ns,
            fidelity=self.pick(0.0, 0.9, 0.94), priority=self.pick(0, 1, 7), atomic=self.pick(True, False, False),
            consecutive=self.pick(True, False), near=Reading("XYZ"), far=Reading("CHSH"),
        )  # fmt: skip
        self.asked.append((node, create_id, "", self.stage.kernel.now + within_ns))

    def over(self) -> None:
        head, _, name = self.pick(*self.circuits)
        within_ns = int(self.rng.integers(100, LONGEST_S * 1000)) * MS
        order = RequestPairs(
            f"client:{head}", name, within_ns, self.pick(1, 2, 3), delivery=self.pick("KEEP", "EARLY", "MEASURE"),
            bell=self.pick("phi+", "psi-"), priority=self.pick(0, 5),
        )  # fmt: skip
        create_id = self.stage.ask(network_service(head), order).create_id
        self.asked.append((head, create_id, name, self.stage.kernel.now + within_ns))

    def free(self) -> None:
        node = self.pick(*NODES)
        slots = tuple({pair.slot for pair in self.stage.at[node].pairs if pair.slot is not None})
        self.stage.ask(memory(node), FreeSlots(f"client:{node}", slots))

    def cancel(self) -> None:
        if self.asked:
            node, create_id, circuit, _ = self.pick(*self.asked[-3:])
            service = network_service(node) if circuit else link_service(node)
            self.stage.ask(service, CancelPairs(f"client:{node}", create_id))
            self.asked = [entry for entry in self.asked if entry[:3] != (node, create_id, circuit)]

    def stop(self) -> None:
        node = self.pick(*NODES)
        remote = self.pick(*(other for other in NODES if other != node))
        self.stage.ask(link_service(node), StopReceiving(f"client:{node}", remote))
        self.receive(node, remote)


@pytest.mark.realises("B5", "D2", "D3")
@pytest.mark.parametrize("seed", range(8))
def test_every_request_ends_no_pair_is_below_its_promise_and_no_memory_is_lost(seed: int) -> None:
    crowd = Crowd(seed)
    stage = crowd.stage
    for turn in range(60):
        crowd.something()
        stage.run(float(crowd.rng.exponential(0.04)))
        if turn in (20, 40):
            cut = CutSpan("harvard--mit", turn == 20)
            stage.kernel.ask_from_outside(stage.kernel.now, "engine", cut, lambda _: None)
    stage.run(LONGEST_S + 0.1)
    check_ends(crowd)
    check_pairs(stage)
    for head, _, name in crowd.circuits:
        stage.ask(network_service(head), CloseVirtualCircuit(name))
    stage.run(0.5)
    for node in NODES:
        slots = tuple({pair.slot for pair in stage.at[node].pairs if pair.slot is not None})
        stage.ask(memory(node), FreeSlots(f"client:{node}", slots))
        assert len(stage.free(node)) == 5, node


def check_ends(crowd: Crowd) -> None:
    """Each request that was not given up was told of, as done or failed, by its deadline; and its pairs were no more
    than asked for."""
    assert len(crowd.asked) > 5
    for node, create_id, circuit, deadline_ns in crowd.asked:
        client = crowd.stage.at[node]
        told = [
            (at, n.done) for at, n in client.made if (n.origin, n.create_id, n.circuit) == (node, create_id, circuit)
        ]
        failed = [at for at, e in client.failed if (e.origin, e.create_id, e.circuit) == (node, create_id, circuit)]
        ends = [at for at, done in told if done] + failed
        assert len(ends) == 1, (node, create_id, circuit)
        assert max([at for at, _ in told] + ends) <= deadline_ns


def check_pairs(stage: PairStage) -> None:
    """Each pair was as good as it was said to be, and both ends heard of the same ones; but for those that were
    expired, for the other end had given up or stopped just then."""
    told: dict[tuple[str, int, str], dict[str, list[int]]] = {}
    for node, client in stage.at.items():
        for truth, pair in client.truths:
            assert truth >= pair.goodness
        for _, news in client.made:
            name = news.origin, news.create_id, news.circuit
            gone = {
                e.low for _, e in client.failed if e.code == "EXPIRE" and (e.origin, e.create_id, e.circuit) == name
            }
            both = told.setdefault(name, {"": []})
            both.setdefault(node, []).extend(pair.sequence for pair in news.pairs if pair.sequence not in gone)
    assert told
    for name, (_, *ends) in ((name, found.values()) for name, found in told.items()):
        assert ends[0] == (ends[1] if len(ends) > 1 else []), name
        assert len(set(ends[0])) == len(ends[0])
