"""Rules of requests for pairs: what is promised, which basis is drawn, whose turn it is."""

from __future__ import annotations

from collections import Counter
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.engine.program import Circuit, Decay, Hop, Node, werner_state
from quoit.fabric.api import CreatePairs, Reading
from quoit.fabric.linkservice.head import PairService
from quoit.fabric.linkservice.rules import LONGEST_NS, Facts, drawn, longest_wait_ns, steps
from quoit.fabric.linkservice.state import Line, Request, runs
from quoit.fabric.pair_links import PairLinkEntry, PairLinks
from quoit.fabric.programs.demand import Station
from quoit.fabric.programs.promises import least

A, B = Station("a", Decay.t1_t2(20.0, 3.0)), Station("b", Decay.t1_t2(5.0, 1.0))
HOP = Hop(50_000, 0.01, 60_000, werner_state(0.95), stored_ns=50_000)
FACTS = Facts.of_link("ab", PairLinks([PairLinkEntry("ab", "a", "b", HOP, 2)], [A, B]))


def test_a_nodes_own_view_of_a_link_is_controls_promise() -> None:
    circuit = Circuit((Node(A.decay), Node(B.decay)), (HOP,))
    assert FACTS.fidelity(0) == pytest.approx(least(circuit), abs=1e-12)
    assert FACTS.pair_ns == pytest.approx(6e6)


@given(st.floats(0.3, 0.94))
def test_the_longest_wait_is_the_last_instant_of_the_promise(fidelity: float) -> None:
    wait = longest_wait_ns(FACTS, fidelity)
    assert FACTS.fidelity(wait) >= fidelity
    assert wait == LONGEST_NS or FACTS.fidelity(wait + 1) < fidelity


@pytest.mark.parametrize(
    ("reading", "chances"),
    [
        (Reading("XZ"), {"X": 1 / 2, "Z": 1 / 2}),
        (Reading("XYZ"), {"X": 1 / 3, "Y": 1 / 3, "Z": 1 / 3}),
        (Reading("CHSH", 51), {"Z+X": 1 / 5, "Z-X": 4 / 5}),
        (Reading("XYZ", 102, 51), {"X": 2 / 5, "Y": 1 / 5, "Z": 2 / 5}),
        (Reading("XYZ", 255, 0), {"X": 1.0}),
        (Reading(), {"Z": 1.0}),
        (Reading(turns=(0, 1, 0)), {"turned": 1.0}),
    ],
)
def test_bases_are_drawn_with_their_chances(reading: Reading, chances: dict[str, float]) -> None:
    """Each within 5 standard deviations: a false alarm in 10^6."""
    rng, shots = np.random.default_rng(1), 3000
    found = Counter(drawn(reading, rng) for _ in range(shots))
    assert set(found) == set(chances)
    for basis, chance in chances.items():
        assert abs(found[basis] - shots * chance) <= 5 * sqrt(shots * chance * (1 - chance))


def test_turns_that_are_nothing_cost_no_gate() -> None:
    assert steps("Z", Reading()) == ((), "Z")
    assert steps("X", Reading("XZ")) == ((), "X")
    gates, basis = steps("turned", Reading(turns=(0, 64, 128)))
    assert [gate for gate, _ in gates] == ["ry", "rx"]
    assert [angle for _, angle in gates] == pytest.approx([np.pi / 2, np.pi])
    assert basis == "Z"


def request(number: int, priority: int, blocked: int = 0) -> Request:
    line = Line("l", "a", "b", FACTS, 0.9)
    order = CreatePairs("c", "b", priority=priority)
    return Request(f"a#{number}", "a", number, line, order, "phi+", "c", True, "b", 10**9, 0, blocked_until=blocked)


@given(st.lists(st.tuples(st.integers(0, 7), st.sampled_from([0, 100])), max_size=12), st.integers(-1, 11))
def test_turns_go_by_priority_then_age_unless_an_atomic_request_has_begun(
    entries: list[tuple[int, int]], begun: int
) -> None:
    waiting = [request(number, priority, blocked) for number, (priority, blocked) in enumerate(entries)]
    chosen = PairService.choose(waiting, f"a#{begun}", 50)
    ready = [r for r in waiting if not r.blocked_until]
    if 0 <= begun < len(waiting):
        assert chosen is (waiting[begun] if waiting[begun] in ready else None)
    elif not ready:
        assert chosen is None
    else:
        assert chosen is sorted(ready, key=lambda r: (-r.order.priority, r.create_id))[0]


def test_ranges_of_sequence_numbers() -> None:
    assert runs(()) == []
    assert runs((3, 4, 5, 9, 65535, 0)) == [(3, 6), (9, 10), (65535, 1)]
