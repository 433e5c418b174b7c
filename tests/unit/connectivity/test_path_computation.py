"""Computed paths against all paths there are, on random plants; refusals say what binds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quoit.connectivity.label_search import LabelSearch
from quoit.connectivity.pce import Companion, ComputedPath, Demand, Fibre, Site
from quoit.model.problem import Problem

GRID = 6


@dataclass
class Plant:
    """A plant as tests write it down. Noise is given a fibre and direction; a companion doubles it."""

    sites: list[Site]
    fibres: list[Fibre]
    dark: frozenset[str] = frozenset()
    taken: dict[tuple[str, str], int] = field(default_factory=dict)
    noise: dict[tuple[str, str], float] = field(default_factory=dict)

    def free(self, fibre: str, towards: str) -> int:
        return (1 << GRID) - 1 & ~self.taken.get((fibre, towards), 0)

    def noise_cps(self, fibre: str, towards: str, channel: int, companion: int | None) -> float:
        return self.noise.get((fibre, towards), 0.0) * (1 + channel / 10) * (1 if companion is None else 2)

    def computation(self) -> LabelSearch:
        return LabelSearch(self.sites, self.fibres, self)


def simple_paths(plant: Plant, a: str, b: str) -> Iterator[tuple[list[str], list[Fibre]]]:
    """Every way without a site twice, by walking."""
    transit = {site.name: site.transit for site in plant.sites}

    def walk(sites: list[str], fibres: list[Fibre]) -> Iterator[tuple[list[str], list[Fibre]]]:
        here = sites[-1]
        if here == b:
            yield sites, fibres
            return
        if here != a and not transit[here]:
            return
        for fibre in plant.fibres:
            if here in (fibre.a, fibre.b):
                there = fibre.b if here == fibre.a else fibre.a
                if there not in sites:
                    yield from walk([*sites, there], [*fibres, fibre])

    yield from walk([a], [])


def candidates(plant: Plant, demand: Demand) -> list[tuple[tuple[int, int], tuple[str, ...], float]]:
    """(costs, fibres, noise) of everything that meets the demand, by the demand's own words."""
    found = []
    by_name = {site.name: site for site in plant.sites}
    for sites, fibres in simple_paths(plant, demand.a, demand.b):
        names = {fibre.name for fibre in fibres} | set(sites[1:-1]) | {risk for f in fibres for risk in f.risks}
        if demand.avoid & names or plant.dark & names or any(f.amplified for f in fibres):
            continue
        inner = [by_name[name] for name in sites[1:-1]]
        loss = sum(round(f.loss_db * 1e6) for f in fibres) + sum(round(s.transit_loss_db * 1e6) for s in inner)
        latency = sum(f.latency_ns for f in fibres)
        if demand.max_loss_db is not None and loss > demand.max_loss_db * 1e6 + 0.5:
            continue
        if demand.max_latency_ns is not None and latency > demand.max_latency_ns:
            continue
        if demand.max_switches is not None and sum(s.switch for s in inner) > demand.max_switches:
            continue
        costs = (loss, latency) if demand.objective == "loss" else (latency, loss)
        if not demand.channels:
            found.append((costs, tuple(f.name for f in fibres), 0.0))
            continue
        others = demand.companion.channels if demand.companion else (None,)
        for channel, other in product(demand.channels, others):
            noise = noise_if_free(plant, sites, fibres, channel, other, demand)
            if noise is not None:
                found.append((costs, tuple(f.name for f in fibres), noise))
    return found


def noise_if_free(plant, sites, fibres, channel, other, demand) -> float | None:
    """Noise at the receiver; None: the channels are not free, or it is too much."""
    if other is not None and abs(other - channel) < max(demand.companion.guard, 1):
        return None
    by_name = {site.name: site for site in plant.sites}
    noise = 0.0
    for fibre, there, here in zip(fibres, sites, sites[1:], strict=False):
        if not plant.free(fibre.name, here) >> channel & 1:
            return None
        if other is not None and not plant.free(fibre.name, here) & plant.free(fibre.name, there) & 1 << other:
            return None
        transit = by_name[here].transit_loss_db if here != demand.b else 0.0
        noise = (noise * 10 ** (-fibre.loss_db / 10) + plant.noise_cps(fibre.name, here, channel, other)) * 10 ** (
            -transit / 10
        )
    too_much = demand.max_noise_cps is not None and noise > demand.max_noise_cps
    return None if too_much else noise


@st.composite
def plants(draw: st.DrawFn) -> Plant:
    number = draw(st.integers(3, 6))
    names = [f"s{i}" for i in range(number)]
    sites = [
        Site(n, draw(st.sampled_from([0.0, 0.5, 2.0])), draw(st.booleans()), draw(st.integers(0, 9)) > 0) for n in names
    ]
    fibres, dark, taken, noise = [], set(), {}, {}
    for index in range(draw(st.integers(2, 10))):
        a, b = draw(st.permutations(names))[:2]
        risks = frozenset(draw(st.lists(st.sampled_from(["d1", "d2", "d3"]), max_size=1)))
        name = f"f{index}"
        loss, latency = draw(st.integers(0, 8)) / 2, draw(st.integers(0, 8))
        fibres.append(Fibre(name, a, b, loss, latency, risks, draw(st.integers(0, 9)) == 0))
        if draw(st.integers(0, 9)) == 0:
            dark.add(name)
        for end in (a, b):
            taken[name, end] = draw(st.integers(0, (1 << GRID) - 1))
            noise[name, end] = draw(st.sampled_from([0.0, 1.0, 10.0, 100.0]))
    return Plant(sites, fibres, frozenset(dark), taken, noise)


@st.composite
def demands(draw: st.DrawFn) -> Demand:
    channels = tuple(draw(st.lists(st.integers(0, GRID - 1), max_size=3, unique=True)))
    companion = Companion((0, 5), draw(st.integers(1, 2))) if channels and draw(st.booleans()) else None
    return Demand(
        "s0",
        draw(st.sampled_from(["s1", "s2"])),
        draw(st.sampled_from(["loss", "latency"])),
        draw(st.none() | st.integers(0, 20)),
        draw(st.none() | st.integers(0, 30)),
        draw(st.none() | st.integers(0, 3)),
        draw(st.none() | st.sampled_from([0.5, 3.0, 30.0, 150.0])) if channels else None,
        channels,
        companion,
        avoid=frozenset(draw(st.lists(st.sampled_from(["d1", "f1", "s0", "s3"]), max_size=2))),
    )


@given(plants(), demands())
@settings(max_examples=400, deadline=None)
def test_the_best_of_all_paths_is_found(plant: Plant, demand: Demand) -> None:
    every = candidates(plant, demand)
    if not every:
        with pytest.raises(Problem) as caught:
            plant.computation().path(demand)
        assert caught.value.code == "no-route"
        return
    found = plant.computation().path(demand)
    best = min(costs for costs, _, _ in every)
    assert costs_of(demand, found) == best
    offers = [noise for costs, fibres, noise in every if fibres == found.fibres]
    assert found.noise_cps == pytest.approx(min(offers)), "of the channels that are free, the least noisy"


@given(plants(), demands())
@settings(max_examples=200, deadline=None)
def test_alternatives_are_all_paths_in_order(plant: Plant, demand: Demand) -> None:
    found = list(plant.computation().alternatives(demand))
    costs = [costs_of(demand, path)[0] for path in found]
    assert costs == sorted(costs)
    assert sorted(path.fibres for path in found) == sorted({fibres for _, fibres, _ in candidates(plant, demand)})


@given(plants(), st.sampled_from(["loss", "latency"]))
@settings(max_examples=300, deadline=None)
def test_the_best_pair_without_shared_risk_is_found(plant: Plant, objective: str) -> None:
    demand = Demand("s0", "s1", objective)
    every = candidates(plant, demand)
    pairs = [
        one[0][0] + two[0][0]
        for index, one in enumerate(every)
        for two in every[index + 1 :]
        if not things(plant, one[1]) & things(plant, two[1])
    ]
    if not pairs:
        with pytest.raises(Problem) as caught:
            plant.computation().disjoint(demand)
        assert caught.value.code == "no-route"
        return
    first, second = plant.computation().disjoint(demand)
    assert costs_of(demand, first)[0] + costs_of(demand, second)[0] == min(pairs)


def things(plant: Plant, fibres: tuple[str, ...]) -> set[str]:
    """Fibres, risks and inner sites of a path from s0 to s1."""
    used = [fibre for fibre in plant.fibres if fibre.name in fibres]
    ends = {end for fibre in used for end in (fibre.a, fibre.b)} - {"s0", "s1"}
    return set(fibres) | {risk for fibre in used for risk in fibre.risks} | ends


def costs_of(demand: Demand, path: ComputedPath) -> tuple[int, int]:
    loss = round(path.loss_db * 1e6)
    return (loss, path.latency_ns) if demand.objective == "loss" else (path.latency_ns, loss)


RING = Plant(
    [Site("a"), Site("b", 1.0, True), Site("c", 1.0, True), Site("d", 1.0, True)],
    [
        Fibre("ab", "a", "b", 3.0, 15_000, frozenset({"duct-1"})),
        Fibre("bd", "b", "d", 3.0, 15_000),
        Fibre("ac", "a", "c", 2.0, 90_000, frozenset({"duct-1"})),
        Fibre("cd", "c", "d", 2.0, 90_000),
        Fibre("ad", "a", "d", 30.0, 70_000, amplified=True),
    ],
    noise={("ab", "b"): 1000.0, ("bd", "d"): 10.0},
)
ASKED = Demand("a", "d")


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        ({"max_loss_db": 4.0}, "loss", "at most 4.0 dB; the best path without this limit has 5.000 dB, over a-c-d"),
        ({"max_latency_ns": 10}, "latency", "30000 ns"),
        ({"max_switches": 0}, "switches", "1 switches"),
        ({"avoid": frozenset({"duct-1", "ad"})}, "avoid", "avoids ad, duct-1"),
        ({"avoid": frozenset({"duct-1"})}, "amplifier", "without amplifiers"),
    ],
)
def test_a_refusal_says_which_limit_binds(change: dict, reason: str, words: str) -> None:
    demand = replace(ASKED, objective="latency" if reason == "latency" else "loss", **change)
    with pytest.raises(Problem) as caught:
        RING.computation().path(demand)
    assert caught.value.code == "no-route"
    assert caught.value.fields["reason"] == reason
    assert words in caught.value.detail


def test_noise_takes_the_quieter_way_and_more_loss_weakens_what_came_before() -> None:
    plant = replace(RING, noise={("ac", "c"): 1000.0, ("bd", "d"): 10.0})
    quiet = plant.computation().path(replace(ASKED, channels=(1,), max_noise_cps=100.0))
    assert quiet.fibres == ("ab", "bd")
    assert quiet.noise_cps == pytest.approx(11.0)
    heard = plant.computation().path(replace(ASKED, channels=(1,)))
    assert heard.fibres == ("ac", "cd")
    assert heard.noise_cps == pytest.approx(1000 * 1.1 * 10 ** (-0.3))


def test_a_dark_fibre_and_a_taken_channel_are_not_used() -> None:
    plant = replace(RING, dark=frozenset({"cd"}), taken={("bd", "d"): 0b01})
    found = plant.computation().path(replace(ASKED, channels=(0, 1)))
    assert (found.fibres, found.channel) == (("ab", "bd"), 1)
    plant.taken["ab", "b"] = 0b10
    with pytest.raises(Problem) as caught:
        plant.computation().path(replace(ASKED, channels=(0, 1)))
    assert caught.value.fields["reason"] == "spectrum"


def test_one_duct_under_both_ways_leaves_no_pair() -> None:
    with pytest.raises(Problem) as caught:
        RING.computation().disjoint(ASKED)
    assert caught.value.fields["reason"] == "disjoint"


def test_sites_nobody_knows_and_demands_nobody_can_mean() -> None:
    with pytest.raises(Problem, match="expected a site of the plant; found x"):
        RING.computation().path(Demand("a", "x"))
    with pytest.raises(Problem, match="expected two sites"):
        Demand("a", "a")
    with pytest.raises(Problem, match="expected channels"):
        Demand("a", "b", max_noise_cps=1.0)
    with pytest.raises(Problem, match="at most 4096 pairs"):
        Demand("a", "b", channels=tuple(range(80)), companion=Companion(tuple(range(80))))
    with pytest.raises(Problem, match="found z"):
        LabelSearch([Site("a")], [Fibre("f", "a", "z", 1.0)], RING)
