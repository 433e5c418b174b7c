"""Random units compete on random networks, some links of which are worse than control believes.

Whatever happens: every unit ends or is established in its time, no state that is tested is below what was asked for,
no state of sound links is below its promise, and when all is over every memory is free and no book has an entry.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quoit.sdk import Application, Refusal, Unit, VirtualNetwork
from shared_states import (
    Array,
    S,
    depolarise,
    events_of,
    ghz,
    graph_state,
    network,
    play,
    scheduler,
    settled,
    truths,
    w_state,
)

KNOWN = {
    "pre-empted", "deadline", "no-memory", "no-route", "fidelity-unreachable", "tests-inconclusive",
    "promise-contradicted", "link-suspect",
}  # fmt: skip
WITHIN_S = 6


@dataclass(frozen=True)
class Demand:
    """At `at_ms` the application of the first of `parties` asks; it keeps what it gets for `use_ms`."""

    at_ms: int
    parties: tuple[int, ...]
    kind: str
    number: int
    priority: int
    tests: int
    use_ms: int
    measure: bool


@dataclass(frozen=True)
class Net:
    """`links` between nodes 0 to n-1 with a rate class; `memories` of each node; `depolarised` links and how much."""

    links: tuple[tuple[int, int], ...]
    rates: tuple[float, ...]
    memories: tuple[int, ...]
    width: int
    depolarised: tuple[tuple[int, float], ...]
    demands: tuple[Demand, ...]

    @property
    def text(self) -> str:
        nodes = "".join(
            f"  n{n}: {{memories: {{number: {m}, t2: 3 s, gate: 0.999, readout: 0.999, gate_time: 20 us}}}}\n"
            for n, m in enumerate(self.memories)
        )
        spans = "".join(f"  - {{between: [n{a}, n{b}], length: 5 km}}\n" for a, b in self.links)
        links = "".join(
            f"  - {{between: [n{a}, n{b}], success: {rate}, fidelity: 0.98, pairs: {self.width}}}\n"
            for (a, b), rate in zip(self.links, self.rates, strict=True)
        )
        apps = "".join(f"  - {{sae: app{n}, kme: kme-n{n}}}\n" for n in range(len(self.memories)))
        return (
            f"quoit: 1\nname: random\nnodes:\n{nodes}spans:\n{spans}pair_links:\n{links}applications:\n{apps}"
            "policies: {control_latency: 200 us}\n"
        )


@st.composite
def nets(draw: st.DrawFn) -> Net:
    nodes = draw(st.integers(3, 5))
    tree = [(draw(st.integers(0, n - 1)), n) for n in range(1, nodes)]
    others = [pair for pair in itertools.combinations(range(nodes), 2) if pair not in tree]
    links = tuple(tree + draw(st.lists(st.sampled_from(others), unique=True, max_size=2)))
    rates = tuple(draw(st.sampled_from([0.0002, 0.005, 0.2])) for _ in links)
    memories = tuple(draw(st.integers(2, 6)) for _ in range(nodes))
    demands = []
    for _ in range(draw(st.integers(2, 7))):
        kind = draw(st.sampled_from(["pair", "pair", "pair", "ghz", "w", "line"]))
        order = draw(st.permutations(range(nodes)))
        demands.append(
            Demand(
                at_ms=draw(st.integers(0, 400)),
                parties=tuple(order[: 2 if kind == "pair" else 3]),
                kind=kind,
                number=draw(st.sampled_from([1, 1, 2, 3])),
                priority=draw(st.integers(0, 7)),
                tests=draw(st.sampled_from([0, 0, 24])) if kind in ("pair", "ghz") else 0,
                use_ms=draw(st.integers(0, 600)),
                measure=draw(st.booleans()),
            )
        )
    depolarised = draw(st.lists(st.tuples(st.integers(0, len(links) - 1), st.sampled_from([0.1, 0.5])), max_size=1))
    return Net(links, rates, memories, draw(st.sampled_from([1, 2, 4])), tuple(depolarised), tuple(demands))


class Judge:
    """Plays a network's demands and judges each by the truth."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.twin: VirtualNetwork = network(net.text, seed=len(net.demands))
        self.events = events_of(self.twin)
        self.apps = [self.twin.application(f"app{n}") for n in range(len(net.memories))]
        for link, fraction in net.depolarised:
            depolarise(self.twin, "n{}--n{}".format(*net.links[link]), fraction)
        self.outcomes: list[str] = []

    async def all(self) -> None:
        await asyncio.gather(*(self.one(demand) for demand in self.net.demands))
        await self.apps[0].sleep(3.0)
        for n, app in enumerate(self.apps):
            assert len(await app.allocate(self.net.memories[n])) == self.net.memories[n]
        assert scheduler(self.twin).turns.all() == ()

    async def one(self, demand: Demand) -> None:
        app, *others = (self.apps[n] for n in demand.parties)
        await app.sleep(demand.at_ms / 1e3)
        asked: dict[str, Any] = {"kind": "w"} if demand.kind == "w" else {}
        if demand.kind == "line":
            asked["graph"] = "line"
        if demand.measure:
            asked["measure"] = "Z"
        floor = 0.6
        begun = self.twin.now_ns
        try:
            unit = await app.request(
                [other.sae for other in others], number=demand.number, fidelity=floor, tests=demand.tests,
                priority=demand.priority, within_s=WITHIN_S, **asked,
            )  # fmt: skip
        except Refusal as refusal:
            self.outcomes.append(refusal.code)
        else:
            unit = await settled(app, unit)
            await self.judge(app, others, unit, demand, floor)
        assert self.twin.now_ns - begun < (WITHIN_S + 1 + demand.use_ms / 1e3) * S

    async def judge(
        self, app: Application, others: list[Application], unit: Unit, demand: Demand, floor: float
    ) -> None:
        self.outcomes.append(unit.problem or unit.state)
        if unit.state == "failed":
            assert unit.problem in KNOWN
            return
        sound = not self.net.depolarised
        if demand.measure:
            assert all(len(view.outcomes) == demand.number for view in [unit])
        elif unit.state == "established" and (sound or demand.tests):
            views = [unit, *[await other.unit(unit.unit_id) for other in others]]
            if all(len(view.addresses) == demand.number for view in views):
                assert min(truths(self.twin, views, self.target(demand))) >= floor
        await app.sleep(demand.use_ms / 1e3)
        if not demand.measure:
            await app.close_unit(unit.unit_id)

    @staticmethod
    def target(demand: Demand) -> Array:
        n = len(demand.parties)
        if demand.kind == "w":
            return w_state(n)
        return graph_state(n, [(0, 1), (1, 2)]) if demand.kind == "line" else ghz(n)


@pytest.mark.realises("B5", "B6", "D1", "F5")
@given(nets())
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_all_units_end_and_no_promise_is_broken(net: Net) -> None:
    judge = Judge(net)
    play(judge.all())
    assert len(judge.outcomes) == len(net.demands)
    assert set(judge.outcomes) <= KNOWN | {"established", "consumed"}
    for event in judge.events:
        if event.event == "turn.preempted":
            assert event.fields["priority"] > 0
    taken = np.zeros(len(net.memories), dtype=int)
    for event in judge.events:
        if event.event in ("memory.reserved", "memory.freed"):
            node = int(event.fields["node"][1:])
            taken[node] += len(event.fields["slots"]) * (1 if event.event == "memory.reserved" else -1)
            assert 0 <= taken[node] <= net.memories[node]


def test_many_outcomes_were_met() -> None:
    """The law above would say little if all units went the same way: one busy network by hand."""
    demands = tuple(
        Demand(10 * n, parties, kind, 2, priority, tests, 200, False)
        for n, (parties, kind, priority, tests) in enumerate(
            [((0, 1), "pair", 0, 0), ((1, 2), "pair", 0, 0), ((0, 2), "pair", 5, 0), ((0, 1, 2), "ghz", 7, 0),
             ((2, 0), "pair", 7, 24), ((1, 0), "pair", 3, 0)]
        )
    )  # fmt: skip
    net = Net(((0, 1), (1, 2)), (0.0002, 0.0002), (4, 4, 4), 1, (), demands)
    judge = Judge(net)
    play(judge.all())
    assert {"established", "pre-empted"} <= set(judge.outcomes)
