"""A satellite passes over a station: key in its passes alone, as much as its elevation lets through."""

from __future__ import annotations

from pathlib import Path

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.connectivity import api as connectivity
from quoit.fabric.api import METERS, GetLinks, Links
from quoit.planes.management import Alarms, GetAlarms
from quoit.runtime.trace import Event
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import load, loads

pytestmark = pytest.mark.realises("E1")

S = 10**9
FILE = Path(__file__).parents[2] / "examples" / "satellite.yaml"
PASSES = ((153.2, 446.8), (5880.8, 6119.2))
"""Rise and set above 20 degrees, from the orbit of 500 km."""


class Sky:
    """The example in virtual time."""

    def __init__(self, more: str = "") -> None:
        network = loads(FILE.read_text() + more) if more else load(FILE)
        twin = assemble(network, Parts(lambda kme: MemoryStore()))
        self.events: list[Event] = []
        twin.kernel.sinks.append(self.events.append)
        self.world = VirtualWorld(twin.kernel)
        self.world.begin()

    def run(self, seconds: float) -> None:
        self.world.run_until(round(seconds * S))

    def times(self, event: str) -> list[float]:
        return [e.t / S for e in self.events if e.event == event]

    def alarms(self, upkeep: str) -> set[str]:
        alarms: Alarms = self.world.ask(upkeep, GetAlarms())
        return {alarm.cause for alarm in alarms.alarms}

    def loss_db(self) -> float | None:
        spans: connectivity.Spans = self.world.ask(connectivity.METERS, connectivity.GetSpans())
        return spans.spans[0].loss_db


def test_key_is_made_while_the_satellite_is_up_and_at_no_other_time() -> None:
    sky = Sky()
    sky.run(6_300)
    made = [e for e in sky.events if e.event == "block.made" and e.fields["bits"]]
    assert len(made) >= 3
    # Blocks begin and end with chunks, and distillation takes a second after the last detection.
    for block in made:
        began, ended = block.fields["began"] / S, block.t / S
        assert any(rise - 1 < began and ended < sets + 3 for rise, sets in PASSES), (began, ended)
    lit, lost = sky.times("link.lit"), sky.times("light.lost")
    assert lit == [pytest.approx(rise, abs=0.1) for rise, _ in PASSES]
    assert lost == [pytest.approx(sets, abs=0.1) for _, sets in PASSES]
    # A set that everybody knows of is no fault.
    assert sky.alarms(connectivity.UPKEEP) == set()
    assert [
        e for e in sky.events if e.event == "alarm.raised" and e.fields["cause"] in ("dark", "loss of signal")
    ] == []


def test_loss_falls_as_the_satellite_rises() -> None:
    sky = Sky()
    losses = []
    for at in (160, 200, 250, 300):
        sky.run(at)
        losses.append(sky.loss_db())
    assert all(loss is not None for loss in losses)
    assert losses == sorted(losses, reverse=True)
    assert losses[0] - losses[-1] > 5


def test_weather_in_a_pass_costs_key_and_a_lost_beacon_is_an_alarm() -> None:
    sky = Sky(
        "events:\n  - {at: 200s, weather: {span: downlink, loss: 12 dB}}\n  - {at: 350s, until: 360s, cut: downlink}\n"
    )
    sky.run(199)
    clear = sky.loss_db()
    sky.run(205)
    dimmed = sky.loss_db()
    assert clear is not None
    assert dimmed is not None
    assert dimmed > clear + 9
    links: Links = sky.world.ask(METERS, GetLinks())
    assert links.rows[0].state != "dark"
    sky.run(355)
    assert "loss of signal" in sky.alarms(connectivity.UPKEEP)
    sky.run(365)
    assert sky.alarms(connectivity.UPKEEP) == set()
