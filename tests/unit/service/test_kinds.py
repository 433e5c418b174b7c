"""Kinds of states: formulas of fidelity and of tests against matrices, recipes and promises against the ledger."""

from __future__ import annotations

from itertools import product
from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from quoit.engine.ledger import Ledger, Node
from quoit.engine.program import pair_of
from quoit.engine.states.device import DeviceNoise
from quoit.engine.states.memory import MemoryNoise
from quoit.model.problem import Problem
from quoit.service.kinds import Ghz, GraphState, Kind, Recipe, WState, kind_of, parse_graph
from quoit.service.states import Edge, Promise, Star

MATRICES = {
    "I": np.eye(2, dtype=complex), "X": np.array([[0, 1], [1, 0]], dtype=complex),
    "Y": np.array([[0, -1j], [1j, 0]]), "Z": np.diag([1, -1]).astype(complex),
}  # fmt: skip
Array = NDArray[np.complex128]


def string(letters: str) -> Array:
    found = np.eye(1, dtype=complex)
    for letter in letters:
        found = np.kron(found, MATRICES[letter])
    return found


def vector(kind: Kind) -> Array:
    """The state by its definition, without `service.kinds`."""
    n = kind.parties
    if isinstance(kind, WState):
        found = np.zeros(2**n, dtype=complex)
        found[[1 << k for k in range(n)]] = n**-0.5
        return found
    if isinstance(kind, GraphState):
        found = np.full(2**n, 2 ** (-n / 2), dtype=complex)
        for row in range(2**n):
            bits = [row >> n - 1 - k & 1 for k in range(n)]
            found[row] *= (-1) ** sum(bits[a] * bits[b] for a, b in kind.edges)
        return found
    found = np.zeros(2**n, dtype=complex)
    found[[0, -1]] = 2**-0.5
    return found


KINDS = [
    Ghz(2), Ghz(3), Ghz(4), WState(2), WState(3), WState(4), GraphState(2, parse_graph("line", 2)),
    GraphState(3, parse_graph("complete", 3)), GraphState(4, parse_graph("ring", 4)),
    GraphState(4, parse_graph("0-1.1-2.1-3", 4)),
]  # fmt: skip
NAMES = [f"{kind.name} {kind.parties} {number}" for number, kind in enumerate(KINDS)]
weights = st.lists(st.integers(0, 12), min_size=3, max_size=3).map(lambda w: (100 - sum(w), *w))


def noisy(kind: Kind, errors: list[tuple[int, ...]]) -> tuple[Array, list[tuple[float, float, float]]]:
    """The state behind Pauli channels (percent of I, X, Y, Z), and their eigenvalues."""
    v = vector(kind)
    rho = np.outer(v, v.conj())
    channels = []
    for k, percent in enumerate(errors):
        i, x, y, z = (p / 100 for p in percent)
        channels.append((i + x - y - z, i - x + y - z, i - x - y + z))
        parts = [string("I" * k + letter + "I" * (kind.parties - k - 1)) for letter in "IXYZ"]
        rho = sum((p / 100 * op @ rho @ op.conj().T for p, op in zip(percent, parts, strict=True)), 0 * rho)
    return rho, channels


@pytest.mark.realises("D1", "F5")
@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
@given(data=st.data())
@settings(max_examples=6, deadline=None, derandomize=True)
def test_fidelity_and_the_mean_of_tests_are_those_of_the_matrix(kind: Kind, data: st.DataObject) -> None:
    rho, channels = noisy(kind, data.draw(st.lists(weights, min_size=kind.parties, max_size=kind.parties)))
    v = vector(kind)
    fidelity = float(np.real(v.conj() @ rho @ v))
    assert kind.fidelity(channels) == pytest.approx(fidelity, abs=1e-12)
    total = 0.0
    for number in range(kind.settings):
        setting = kind.setting(number)
        assert len(setting.bases) == kind.parties
        for bits in product((0, 1), repeat=kind.parties):
            seen = np.eye(1, dtype=complex)
            for bit, basis in zip(bits, setting.bases, strict=True):
                # of a qubit that is thrown away either bit stands for half of it
                one = MATRICES["I"] / 2 if basis == "I" else (MATRICES["I"] + (-1) ** bit * MATRICES[basis]) / 2
                seen = np.kron(seen, one)
            total += float(np.real(np.trace(seen @ rho))) * kind.worth(setting, bits)
    assert kind.fidelity_of(total / kind.settings) == pytest.approx(fidelity, abs=1e-12)
    assert kind.mean_of(kind.fidelity_of(0.3)) == pytest.approx(0.3)


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
@given(data=st.data())
@settings(max_examples=20, deadline=None, derandomize=True)
def test_a_worse_pair_never_makes_a_better_state(kind: Kind, data: st.DataObject) -> None:
    """What makes the formula a bound: it grows with every eigenvalue."""
    eigenvalues = st.tuples(*[st.floats(0, 1)] * 3)
    channels = data.draw(st.lists(eigenvalues, min_size=kind.parties, max_size=kind.parties))
    which, axis = data.draw(st.integers(0, kind.parties - 1)), data.draw(st.integers(0, 2))
    worse = [list(channel) for channel in channels]
    worse[which][axis] *= data.draw(st.floats(0, 1))
    assert kind.fidelity([(x, y, z) for x, y, z in worse]) <= kind.fidelity(channels) + 1e-12


# -- recipes and promises on the engine's own ledger ----------------------------------------------------------

S = 10**9
PERFECT = Node()
PAULIS = "IXZY"
SHOTS = 5


def made(
    kind: Kind, own: int | None, pair: tuple[float, float, float], node: Node, waits: tuple[int, ...], seed: int,
    after: int = 0,
) -> tuple[float, int]:  # fmt: skip
    """True fidelity of a state that a centre makes of pairs, `after` ns later, and how long the centre was at it."""
    names = [f"n{seat}" for seat in range(kind.parties)]
    centre = "centre" if own is None else names[own]
    ledger = Ledger(np.random.default_rng(seed), dict.fromkeys([*names, "centre"], node))
    far = [seat for seat in range(kind.parties) if seat != own]
    latest = max(waits)
    for k, seat in enumerate(far):
        ledger.herald([(centre, k), (names[seat], 0)], pair_of(pair), latest - waits[k])
    recipe = kind.recipe(far, own)
    t, fixes = latest, ["I"] * len(far)
    for step in recipe.steps:
        slots = [(centre, q) for q in step.qubits]
        match step.name:
            case "init":
                done = ledger.init(slots[0], t)
            case "measure":
                done = ledger.measure(slots[0], t, step.basis)
            case "fuse":
                done = ledger.fuse(slots[0], slots[1], t)
            case "bell-measure":
                done = ledger.bell_measure(slots[0], slots[1], t)
            case _:
                done = ledger.gate(step.name.upper(), slots, t, angle_rad=step.angle_rad)
        if step.paulis:
            fix = step.paulis[int("".join(map(str, done.bits)), 2)]
            fixes[step.far] = PAULIS[PAULIS.index(fixes[step.far]) ^ PAULIS.index(fix)]
        t = done.done_ns
    places = {seat: (names[seat], 0) for seat in far}
    for k, seat in enumerate(far):
        ledger.correct(places[seat], fixes[k], t)
    if own is not None:
        assert recipe.own is not None
        places[own] = (centre, recipe.own)
    seen = ledger.observe(places[0], t + after)
    order = [seen.slots.index(places[seat]) for seat in range(kind.parties)]
    assert len(seen.slots) == kind.parties
    assert seen.matrix is not None
    n = kind.parties
    rho = seen.matrix.reshape((2,) * (2 * n)).transpose([*order, *(n + o for o in order)]).reshape(2**n, 2**n)
    v = vector(kind)
    return float(np.real(v.conj() @ rho @ v)), t - latest


def cases() -> list[tuple[Kind, int | None]]:
    small = [*KINDS, GraphState(5, parse_graph("ring", 5)), WState(5)]
    found: list[tuple[Kind, int | None]] = [(kind, own) for kind in small for own in (0, kind.parties - 1)]
    return found + [(kind, None) for kind in KINDS if kind.parties > 2]


IDS = [f"{kind.name} {kind.parties} own {own} {number}" for number, (kind, own) in enumerate(cases())]


@pytest.mark.realises("D1")
@pytest.mark.parametrize(("kind", "own"), cases(), ids=IDS)
def test_a_recipe_makes_its_state(kind: Kind, own: int | None) -> None:
    for seed in range(4):  # other outcomes, other corrections
        fidelity, _ = made(kind, own, (1.0, 1.0, 1.0), PERFECT, (0,) * kind.parties, seed)
        assert fidelity == pytest.approx(1.0, abs=1e-9)


@pytest.mark.realises("D1", "F5")
@pytest.mark.parametrize(("kind", "own"), cases(), ids=IDS)
@given(
    percent=weights, gate=st.sampled_from([0.95, 0.99, 1.0]), readout=st.sampled_from([0.97, 1.0]),
    t2_ms=st.sampled_from([5, 50, 1000]), waits=st.lists(st.integers(0, 3_000_000), min_size=5, max_size=5),
    after=st.integers(0, 3_000_000), seed=st.integers(0, 10**6),
)  # fmt: skip
@settings(max_examples=3, deadline=None, derandomize=True)
def test_no_state_is_below_its_promise(
    kind: Kind, own: int | None, percent: tuple[int, ...], gate: float, readout: float, t2_ms: int,
    waits: list[int], after: int, seed: int,
) -> None:  # fmt: skip
    """The truth after any outcomes is a mixture; the promise is about its mean over them, so outcomes are averaged."""
    i, x, y, z = (p / 100 for p in percent)
    pair = (max(0.0, i + x - y - z), max(0.0, i - x + y - z), max(0.0, i - x - y + z))
    memory = MemoryNoise.relaxation(np.inf, t2_ms * 1e-3, twirled=True)
    device = DeviceNoise(p2=gate, readout=readout, gate1_ns=20_000, gate2_ns=50_000, readout_ns=30_000)
    rate = 2 / (t2_ms * 1e-3)  # of both ends' halves together
    far = [seat for seat in range(kind.parties) if seat != own]
    truths = []
    for shot in range(SHOTS):
        fidelity, ops = made(kind, own, pair, Node(memory, device), tuple(waits[: len(far)]), seed + shot, after)
        truths.append(fidelity)
    recipe: Recipe = kind.recipe(far, own)
    edges = tuple(Edge(f"c{seat}", "", f"n{seat}", pair, (rate, rate, 0.0), seat) for seat in far)
    star = Star(
        kind.name, kind.parties, getattr(kind, "edges", ()), edges, -1 if own is None else own,
        recipe.works(gate, readout),
    )  # fmt: skip
    promise = Promise(star)
    total = tuple(wait + ops for wait in waits[: len(far)])
    least = promise.least(total, ops, after)
    # Outcomes are alike up to Paulis, which the channels commute with, but for readouts and the W state's branches.
    assert np.mean(truths) >= least - 4 * np.std(truths) / SHOTS**0.5 - 1e-9
    assert ops <= recipe.takes_ns(50_000, 30_000)
    left = promise.longest_wait(least, total, ops)
    assert left is not None
    assert left == pytest.approx(after, abs=2_000) or left > after
    assert promise.least(total, ops) * promise.unharmed(after) <= least + 1e-12
    assert promise.unharmed(after) == pytest.approx(
        ((1 + 2 * exp(-rate * after * 1e-9) + 1) / 4) ** (len(far) + (own is not None and recipe.workspace > 0))
    )


# -- what the lifecycle says ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parties", "edges"),
    [
        ("line", 3, ((0, 1), (1, 2))), ("ring", 4, ((0, 1), (0, 3), (1, 2), (2, 3))), ("ring", 2, ((0, 1),)),
        ("star", 3, ((0, 1), (0, 2))), ("complete", 3, ((0, 1), (0, 2), (1, 2))), ("2-0.1-2", 3, ((0, 2), (1, 2))),
    ],
)  # fmt: skip
def test_graphs_are_read(text: str, parties: int, edges: tuple[tuple[int, int], ...]) -> None:
    assert parse_graph(text, parties) == edges


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "expected line"), ("cube", "expected line"), ("0-1", "one piece"), ("0-0.1-2", "seats 0 to 2"),
        ("0-1.1-3", "seats 0 to 2"), ("0-1.1-0", "twice"), ("0-1.1-2.", "expected line"), ("0-1-2", "expected line"),
        ("٠-1", "expected line"),
    ],
)  # fmt: skip
def test_what_is_no_graph_is_refused(text: str, what: str) -> None:
    with pytest.raises(Problem, match=f"bad-lifecycle: graph: .*{what}"):
        parse_graph(text, 3)


@pytest.mark.parametrize(
    ("name", "parties", "what"),
    [("cat", 3, "expected one of"), ("w", 7, "at most 6"), ("phi+", 3, "at most 2"), ("graph", 9, "at most 8")],
)
def test_kinds_that_there_are_not(name: str, parties: int, what: str) -> None:
    with pytest.raises(Problem, match=f"bad-lifecycle: .*{what}"):
        kind_of(name, parties, ((0, 1),))
