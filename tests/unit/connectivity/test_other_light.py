"""Where else a link's light could go: what Connectivity answers a customer, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.connectivity import api
from quoit.connectivity.api import FindLight, LightChannel, LightFound, RetuneChannel
from quoit.model.problem import Problem
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.scenario.fate import FATE, Strike

S = 10**9
MAIN, O_BAND = 193_400_000, 228_850_000
"""The link's own centre, and one of the O band on the raster: 1310 nm."""
NETWORK = """
quoit: 1
name: ways
nodes: {a: {}, b: {}, c: {}}
spans:
  - {name: main, between: [a, b], length: 20 km, attenuation: 0.2 dB/km, duct: street}
  - {name: twin, between: [a, b], length: 22 km, attenuation: 0.2 dB/km, duct: street}
  - {name: ac, between: [a, c], length: 20 km, attenuation: 0.2 dB/km}
  - {name: cb, between: [c, b], length: 20 km, attenuation: 0.2 dB/km}
PLANT
links:
  - {name: link, between: [a, b], spans: [main], spectrum: {frequency: 193.4 THz}}
"""
PLANT = """plant:
  switches: [{node: c, kind: optical-switch, insertion: 1 dB, switching: 10 ms}]
  channels: [{name: otn, from: b, spans: [main], frequency: 194.0 THz, launch: 0 dBm, lit: false}]
  works: WORKS
"""


class Plant:
    """The network after 2 s; links are commissioned by then."""

    def __init__(self, plant: str = PLANT.replace("WORKS", "[]")) -> None:
        twin = assemble(loads(NETWORK.replace("PLANT", plant)), Parts(lambda kme: MemoryStore()))
        self.world = VirtualWorld(twin.kernel)
        self.world.begin()
        self.world.run_until(2 * S)

    def find(self, **wish: Any) -> LightFound:
        found: LightFound = self.world.ask(api.CONTROLLER, FindLight("link", **wish))
        return found

    def ways(self, **wish: Any) -> list[tuple[str, ...]]:
        return [place.spans for place in self.find(**wish).places]

    def refusal(self, link: str = "link", **wish: Any) -> Problem:
        with pytest.raises(Problem) as refused:
            self.world.ask(api.CONTROLLER, FindLight(link, **wish))
        return refused.value

    def light_otn(self) -> None:
        order = LightChannel("otn", "b", ("main",), 194_000_000, 50_000, 0.0)
        self.world.ask(api.CONTROLLER, order)


@pytest.mark.realises("D4", "E3")
def test_other_places_come_the_least_lossy_first_and_not_the_present_one() -> None:
    found = Plant().find()
    assert found.here.spans == ("main",)
    assert found.here.loss_db == pytest.approx(4.0)
    assert [p.spans for p in found.places] == [("twin",), ("ac", "cb")]
    assert [p.loss_db for p in found.places] == pytest.approx([4.4, 9.0])  # with the switch at c


def test_the_customer_says_how_much_may_be_lost() -> None:
    plant = Plant()
    assert plant.ways(more_loss_db=4.9) == [("twin",)]
    problem = plant.refusal(more_loss_db=0.3)
    assert (problem.code, problem.fields["reason"]) == ("no-route", "loss")
    assert problem.detail == "no other light for link: expected a place of at most 4.30 dB; found 4.40 dB at least"


def test_what_may_be_lost_is_counted_from_the_first_place_and_not_from_where_it_went_since() -> None:
    plant = Plant()
    plant.world.ask(api.CONTROLLER, RetuneChannel("link", ("ac", "cb")))
    assert plant.ways(more_loss_db=4.9) == [("main",), ("twin",)]


def test_apart_shares_no_duct_either() -> None:
    plant = Plant()
    assert plant.ways(apart=True) == [("ac", "cb")]
    problem = plant.refusal(apart=True, more_loss_db=1.0)
    assert problem.fields["reason"] == "loss"


@pytest.mark.realises("D4", "E3")
def test_quieter_is_by_the_formulas_of_planning_and_other_wavelengths_count() -> None:
    plant = Plant()
    plant.light_otn()
    found = plant.find(quieter=0.1, centres_mhz=(O_BAND,))
    assert found.here.noise_hz > 1000
    limit = 0.1 * found.here.noise_hz * 10 ** (found.here.loss_db / 10)
    assert all(p.noise_hz * 10 ** (p.loss_db / 10) <= limit for p in found.places)
    assert (("main",), O_BAND) in [(p.spans, p.centre_mhz) for p in found.places]
    assert (("twin",), MAIN) in [(p.spans, p.centre_mhz) for p in found.places]


def test_where_no_light_is_known_nothing_is_quieter() -> None:
    problem = Plant().refusal(quieter=0.5)
    assert problem.fields["reason"] == "noise"
    assert problem.fields["noise_hz"] == 0.0


def test_dark_fibres_and_fibres_with_works_are_no_place_to_go() -> None:
    plant = Plant()
    plant.world.ask(FATE, Strike("cut", "twin"))
    plant.world.run_until(3 * S)
    assert plant.ways() == [("ac", "cb")]
    announced = Plant(PLANT.replace("WORKS", "[{name: dig, spans: [ac], at: 90s, until: 100s}]"))
    assert announced.ways() == [("twin",)]


@pytest.mark.parametrize(
    ("link", "wish", "code"),
    [
        ("lnik", {}, "no-such-element"),
        ("otn", {}, "malformed"),
        ("link", {"more_loss_db": -1.0}, "malformed"),
        ("link", {"quieter": -0.1}, "malformed"),
    ],
)
def test_wishes_that_make_no_sense_are_refused(link: str, wish: dict[str, Any], code: str) -> None:
    assert Plant().refusal(link, **wish).code == code


def test_without_an_optical_network_nobody_can_be_asked() -> None:
    problem = Plant("").refusal()
    assert problem.code == "not-supported"
    assert "a section plant brings" in problem.detail
