"""Paths computed over an inventory: away from noise, on spectrum that is free, off fibres that are dark."""

from __future__ import annotations

import pytest

from quoit.connectivity.api import CLASSICAL, LIT, QUANTUM, ChannelRow
from quoit.connectivity.inventory import Inventory, Span, Switch
from quoit.connectivity.label_search import LabelSearch
from quoit.connectivity.pce import Companion, Demand
from quoit.connectivity.planning import Grid, PlannedLight, PlannedState, fibres_of, sites_of
from quoit.model.problem import Problem
from quoit.model.spectrum import Slot

GRID = Grid()
CHANNEL = 20  # 193.35 THz
SPANS = (
    Span("ac", "a", "c", 4.0, 20.0, risks=("main",)),
    Span("ab", "a", "b", 3.0, 15.0),
    Span("bc", "b", "c", 3.0, 15.0),
    Span("up", "a", "c", 0.1, 600.0, "air", windows=((0, 10),)),
)


def inventory(*channels: ChannelRow) -> Inventory:
    return Inventory(SPANS, [Switch("b", "roadm", 2.0, 10**7)], channels)


def classical(name: str, source: str, spans: tuple[str, ...], mhz: int, dbm: float | None) -> ChannelRow:
    return ChannelRow(name, CLASSICAL, source, spans, mhz, 50_000, dbm, LIT)


def search(plan: Inventory, **state: object) -> LabelSearch:
    return LabelSearch(sites_of(plan), fibres_of(plan), PlannedState(plan, GRID, **state))  # type: ignore[arg-type]


def test_without_limits_it_is_the_least_loss_and_a_satellite_is_no_path() -> None:
    path = search(inventory()).path(Demand("a", "c"))
    assert (path.fibres, path.loss_db, path.switches) == (("ac",), pytest.approx(4.0), 0)
    assert path.risks == {"main"}
    assert path.latency_ns == pytest.approx(97_934, abs=2)


@pytest.mark.realises("E3", "E4")
def test_a_limit_of_noise_leads_round_the_lit_fibre() -> None:
    plan = inventory(classical("x", "c", ("ac",), 192_000_000, 0.0))
    loud = search(plan).path(Demand("a", "c", channels=(CHANNEL,)))
    quiet = search(plan).path(Demand("a", "c", channels=(CHANNEL,), max_noise_cps=1e5))
    assert (loud.fibres, quiet.fibres) == (("ac",), ("ab", "bc"))
    assert quiet.noise_cps == 0
    # Switched off, it is as if it were not there.
    off = inventory(classical("x", "c", ("ac",), 192_000_000, None))
    assert search(off).path(Demand("a", "c", channels=(CHANNEL,), max_noise_cps=1e5)).fibres == ("ac",)


def test_noise_along_a_path_is_at_least_what_the_inventory_makes_of_the_whole() -> None:
    plan = inventory(
        classical("x", "a", ("ab", "bc"), 192_000_000, 0.0), classical("y", "c", ("bc",), 192_400_000, -3.0)
    )
    found = search(plan, dark=("ac",)).path(Demand("a", "c", channels=(CHANNEL,), max_noise_cps=1e12))
    whole = plan.noise("a", ("ab", "bc"), Slot(GRID.centre_mhz(CHANNEL), 25_000), 100.0)
    total = whole.raman_hz + whole.leaked_hz + whole.mixed_hz
    assert found.fibres == ("ab", "bc")
    # Only the leak at b is counted beside it, and that is small.
    assert total <= found.noise_cps <= 1.05 * total


def test_spectrum_that_is_taken_or_too_near_is_not_free() -> None:
    plan = inventory(
        ChannelRow("q", QUANTUM, "a", ("ac",), GRID.centre_mhz(CHANNEL), 25_000, None, LIT),
        classical("x", "a", ("ac",), GRID.centre_mhz(30), 0.0),
    )
    free = PlannedState(plan, GRID).free("ac", "c")
    closed = {n for n in range(GRID.size) if not free >> n & 1}
    # The classical one keeps a guard of 100 GHz from quantum ones, so its neighbours are closed, too.
    assert closed == {CHANNEL, 29, 30, 31}
    as_classical = PlannedState(plan, GRID, PlannedLight(CLASSICAL, 50_000)).free("ac", "c")
    assert {n for n in range(GRID.size) if not as_classical >> n & 1} == {CHANNEL - 1, CHANNEL, CHANNEL + 1, 30}
    moved = search(plan).path(Demand("a", "c", channels=(CHANNEL, 31, 33)))
    assert (moved.fibres, moved.channel) == (("ac",), 33)


def test_a_companion_adds_its_own_noise() -> None:
    demand = Demand("a", "c", channels=(CHANNEL,), companion=Companion((10,)), max_noise_cps=1e12)
    weak, strong = (
        search(inventory(), light=PlannedLight(companion_dbm=dbm)).path(demand).noise_cps for dbm in (-30.0, -10.0)
    )
    assert strong == pytest.approx(100 * weak)
    with pytest.raises(Problem, match="no-route"):
        search(inventory(), light=PlannedLight(companion_dbm=0.0)).path(
            Demand("a", "c", channels=(CHANNEL,), companion=Companion((10,)), max_noise_cps=1.0)
        )


def test_a_dark_fibre_is_no_way() -> None:
    assert search(inventory(), dark=("ac",)).path(Demand("a", "c")).fibres == ("ab", "bc")
