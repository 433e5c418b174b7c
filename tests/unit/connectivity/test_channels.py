"""Channels over the connectivity stratum's door: light, power, spectrum, cross-connects, another path; and refusals."""

from __future__ import annotations

from typing import Any

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.connectivity import api
from quoit.connectivity.inventory import Inventory, Span
from quoit.engine.engine import Engine
from quoit.engine.light import lit_spans, noise_of
from quoit.engine.world import World
from quoit.fabric.api import METERS as LINK_METERS
from quoit.fabric.api import GetLinks
from quoit.model.problem import Problem
from quoit.planes.management import GetAlarms
from quoit.runtime.trace import Event
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads

S = 10**9
# Two ways from a to c: straight, or by b, where a ROADM joins what goes on.
NETWORK = """
quoit: 1
name: ring
nodes: {a: {}, b: {}, c: {}}
spans:
  - {name: ac, between: [a, c], length: 20 km, attenuation: 0.2 dB/km, duct: main}
  - {name: ab, between: [a, b], length: 10 km, attenuation: 0.2 dB/km}
  - {name: bc, between: [b, c], length: 10 km, attenuation: 0.2 dB/km, duct: main}
plant:
  switches:
    - {node: a, insertion: 1 dB, switching: 20 ms}
    - {node: b, insertion: 2 dB, switching: 50 ms}
    - {node: c, kind: optical-switch, insertion: 1 dB, switching: 10 ms}
  channels:
    - {name: dark, from: a, spans: [ac], frequency: 195 THz, lit: false}
links:
  - {name: link, between: [a, c], spans: [ac], spectrum: {frequency: 193.4 THz}}
"""


class Ring:
    """The network in virtual time."""

    def __init__(self, network: str = NETWORK) -> None:
        twin = assemble(loads(network), Parts(lambda kme: MemoryStore()))
        self.events: list[Event] = []
        twin.kernel.sinks.append(self.events.append)
        self.world = VirtualWorld(twin.kernel)
        self.world.begin()

    @property
    def now_ms(self) -> float:
        return self.world.kernel.now / 1e6

    def engine_world(self) -> World:
        """The truth, which only a test may ask for."""
        return next(e for e in self.world.kernel.elements if isinstance(e, Engine))._world

    def run(self, seconds: float) -> None:
        self.world.run_until(round(seconds * S))

    def control(self, msg: Any) -> Any:
        return self.world.ask(api.CONTROLLER, msg)

    def refused(self, msg: Any) -> Problem:
        with pytest.raises(Problem) as found:
            self.control(msg)
        return found.value

    def light(self, name: str = "x", spans: tuple[str, ...] = ("ab", "bc"), mhz: int = 193_100_000) -> Any:
        return self.control(api.LightChannel(name, "a", spans, mhz, 50_000, 0.0))

    def readings(self) -> dict[tuple[str | None, str], float | None]:
        rows = self.world.ask(api.METERS, api.GetChannels()).rows
        return {(row.channel, row.span): row.dbm for row in rows}

    def link(self) -> Any:
        return self.world.ask(LINK_METERS, GetLinks()).rows[0]

    def alarms(self) -> set[tuple[str, str]]:
        return {(a.about, a.cause) for a in self.world.ask(api.UPKEEP, GetAlarms()).alarms}


def test_the_inventory_tells_nodes_ports_spans_channels_and_cross_connects() -> None:
    rows = Ring().control(api.GetInventory())
    nodes = {row.node: row for row in rows.nodes}
    assert nodes["b"].ports == (api.ADD_DROP, "ab", "bc")
    assert (nodes["b"].kind, nodes["c"].kind) == ("roadm", "optical-switch")
    spans = {row.span: row for row in rows.spans}
    assert spans["ac"].risks == spans["bc"].risks == ("main",)
    assert (spans["ac"].length_km, spans["ac"].medium) == (20, "fibre")
    assert {(c.channel, c.kind, c.state, c.launch_dbm) for c in rows.channels} == {
        ("link", "quantum", "lit", None),
        ("dark", "classical", "off", None),
    }
    joined = {(j.node, j.channel, frozenset((j.port, j.other))) for j in rows.cross_connects}
    assert ("a", "link", frozenset((api.ADD_DROP, "ac"))) in joined


def test_a_node_without_a_switch_is_a_patch_panel() -> None:
    rows = Inventory([Span("ab", "a", "b", 1.0)]).node_rows()
    assert [(row.node, row.kind, row.switching_ns) for row in rows] == [
        ("a", "patch-panel", 0),
        ("b", "patch-panel", 0),
    ]


@pytest.mark.realises("E1")
def test_lighting_a_channel_takes_the_slowest_switch_and_loses_what_the_way_loses() -> None:
    ring = Ring()
    ring.run(1)
    before = ring.now_ms
    row = ring.light()
    assert (row.state, row.launch_dbm) == ("lit", 0.0)
    assert 50 <= ring.now_ms - before < 60
    ring.run(2)
    # 2 dB of fibre; then 2 dB of the ROADM and 2 dB of fibre.
    assert ring.readings() == {("x", "ab"): pytest.approx(-2.0), ("x", "bc"): pytest.approx(-6.0)}
    ring.control(api.SetLaunchPower("x", -7.0))
    ring.run(3)
    assert ring.readings()["x", "ab"] == pytest.approx(-9.0)
    assert ring.alarms() == set()


def test_an_extinguished_channel_keeps_its_slot_until_it_is_removed() -> None:
    ring = Ring()
    ring.light()
    assert ring.control(api.ExtinguishChannel("x")).state == "off"
    ring.run(1)
    assert ring.readings() == {}
    assert ring.refused(api.LightChannel("y", "a", ("ab",), 193_125_000, 50_000, 0.0)).code == "spectrum-taken"
    ring.control(api.ExtinguishChannel("x", remove=True))
    assert ring.light("y", ("ab",), 193_125_000).state == "lit"
    assert {j.channel for j in ring.control(api.GetInventory()).cross_connects} == {"link", "dark", "y"}


@pytest.mark.realises("E3")
def test_free_spectrum_keeps_away_from_everything_on_all_spans() -> None:
    ring = Ring()
    ring.light()
    spectrum = ring.control(api.GetSpectrum(("ac", "ab"), 25_000))
    assert {(t.span, t.channel) for t in spectrum.taken} == {("ac", "link"), ("ac", "dark"), ("ab", "x")}
    assert spectrum.free == (
        (191_300_000, 193_050_000),
        (193_150_000, 193_362_500),
        (193_437_500, 194_950_000),
        (195_050_000, 196_100_000),
    )


def test_what_cannot_be_lit_is_refused_with_what_was_expected() -> None:
    ring = Ring()
    light = api.LightChannel
    cases = {
        light("x", "a", ("bc",), 193_100_000, 50_000, 0.0): ("malformed", "expected a span from 'a' next, found 'bc'"),
        light("x", "a", (), 193_100_000, 50_000, 0.0): ("malformed", "one span or more"),
        light("x", "a", ("zz",), 193_100_000, 50_000, 0.0): ("no-such-element", "'zz'"),
        light("x", "a", ("ab", "ab"), 193_100_000, 50_000, 0.0): ("malformed", "each span once"),
        light("x", "a", ("ab",), 193_100_000, 0, 0.0): ("malformed", "wider than 0"),
        light("x", "a", ("ab",), 19_310_000, 50_000, 0.0): ("malformed", "180 to 475 THz"),
        light("x", "a", ("ab",), 193_100_000, 50_000, 31.0): ("malformed", "at most 30 dBm"),
        light("x", "a", ("ab",), 193_100_000, 50_000, float("nan")): ("malformed", "at most 30 dBm"),
        light("x", "a", ("ac",), 193_500_000, 50_000, 0.0): ("spectrum-taken", "guard 100 GHz"),
        light("dark", "a", ("ab",), 195_000_000, 50_000, 0.0): ("channel-exists", "195.0000 THz"),
        light("link", "a", ("ac",), 193_400_000, 25_000, 0.0): ("channel-exists", "193.4000 THz"),
        api.SetLaunchPower("link", 0.0): ("malformed", "quantum channel"),
        api.ExtinguishChannel("zz"): ("no-such-element", "'zz'"),
        api.RetuneChannel("link", ("ab",)): ("malformed", "lead to 'c'"),
        api.RetuneChannel("link", (), 195_000_000): ("spectrum-taken", "dark"),
        api.GetSpectrum(("zz",)): ("no-such-element", "'zz'"),
        api.GetSpectrum(("ab",), -1): ("malformed", "0 MHz or more"),
        api.SetCrossConnect("z", "link", "ac", api.ADD_DROP): ("no-such-element", "'z'"),
        api.SetCrossConnect("a", "link", "bc", api.ADD_DROP): ("malformed", "a port of a"),
        api.SetCrossConnect("a", "link", "ac", ""): ("malformed", "two different ports"),
    }
    for msg, (code, text) in cases.items():
        problem = ring.refused(msg)
        assert (problem.code, text in problem.detail) == (code, True), (msg, problem)
    before = ring.control(api.GetInventory())
    assert {c.channel for c in before.channels} == {"link", "dark"}  # nothing is left of what was refused


def test_a_channel_is_changed_by_one_at_a_time() -> None:
    ring = Ring()
    answers: list[Any] = []
    for _ in range(2):
        ring.world.kernel.outside.tell(
            api.CONTROLLER, api.LightChannel("x", "a", ("ab", "bc"), 193_100_000, 50_000, 0.0)
        )
    ring.run(0.02)
    answers.append(ring.refused(api.SetLaunchPower("x", 1.0)).code)
    ring.run(1)
    answers.append(ring.control(api.SetLaunchPower("x", 1.0)).state)
    assert answers == ["switching", "lit"]


@pytest.mark.realises("E1")
def test_a_link_moves_to_another_path_and_is_dark_meanwhile() -> None:
    ring = Ring()
    ring.run(3)
    assert ring.link().state == "up" or ring.link().sifted_bps > 0
    began = ring.now_ms
    row = ring.control(api.RetuneChannel("link", ("ab", "bc")))
    assert row.spans == ("ab", "bc")
    assert 50 <= ring.now_ms - began < 60
    ring.run(6)
    assert ring.link().sifted_bps > 0
    names = [e.event for e in ring.events if e.event in ("link.dark", "link.lit", "light.moved")]
    assert names == ["link.dark", "light.moved", "link.lit"]
    # The fibre it has left may be cut now; the one it has gone to may not.
    joined = {(j.node, j.channel) for j in ring.control(api.GetInventory()).cross_connects}
    assert ("b", "link") in joined


def test_another_wavelength_is_switched_by_roadms_and_not_by_fibre_switches() -> None:
    ring = Ring()
    ring.light("x", ("ac",), 192_000_000)
    began = ring.now_ms
    ring.control(api.RetuneChannel("x", (), 192_100_000))
    assert 20 <= ring.now_ms - began < 30  # the ROADM at a; the switch at c takes what comes
    ring.run(1)
    assert ring.readings() == {("x", "ac"): pytest.approx(-4.0)}
    unselective = Ring(NETWORK.replace("{node: a, insertion", "{node: a, kind: optical-switch, insertion"))
    unselective.light("x", ("ac",), 192_000_000)
    began = unselective.now_ms
    unselective.control(api.RetuneChannel("x", (), 192_100_000))
    assert unselective.now_ms - began < 5


@pytest.mark.realises("E3")
def test_planned_noise_is_the_true_noise_while_everything_is_as_planned() -> None:
    ring = Ring(NETWORK + "events: [{at: 3s, bend: {span: ac, loss: 2 dB}}]\n")
    channels = {
        "x": ("a", ("ac",), 193_100_000),
        "y": ("c", ("ac", "ab"), 192_900_000),
        "z": ("a", ("ac",), 192_700_000),
    }
    for name, (source, spans, mhz) in channels.items():
        ring.control(api.LightChannel(name, source, spans, mhz, 50_000, -2.0))
    ring.run(1)
    world = ring.engine_world()
    truth = noise_of(world, world.links["link"], lit_spans(world))
    planned = ring.control(api.GetNoise("a", ("ac",), 193_400_000, 25_000))
    assert (planned.raman_hz, planned.leaked_hz, planned.mixed_hz) == pytest.approx(
        (truth.raman_hz, truth.leaked_hz, truth.mixed_hz)
    )
    assert planned.loss_db == pytest.approx(world.loss_db("link"))
    assert planned.raman_hz > 1e6
    # Without one of them, and by the other way, there is less.
    less = ring.control(api.GetNoise("a", ("ac",), 193_400_000, 25_000, besides="x"))
    away = ring.control(api.GetNoise("a", ("ab", "bc"), 193_400_000, 25_000))
    assert away.raman_hz < less.raman_hz < planned.raman_hz
    ring.run(4)
    bent = noise_of(world, world.links["link"], lit_spans(world))
    assert bent.raman_hz < planned.raman_hz  # the plan does not know of the bend


def test_a_blocked_cross_connect_darkens_its_channel() -> None:
    ring = Ring()
    ring.light()
    ring.control(api.SetCrossConnect("b", "x", "", ""))
    ring.run(1)
    assert ring.readings() == {("x", "ab"): pytest.approx(-2.0), ("x", "bc"): None}
    ring.control(api.SetCrossConnect("b", "x", "ab", "bc"))
    ring.run(2)
    assert ring.readings()["x", "bc"] == pytest.approx(-6.0)


def test_a_cut_fibre_shows_on_every_monitor_behind_it() -> None:
    ring = Ring(NETWORK + "events: [{at: 2s, until: 3s, cut: ab}]\n")
    ring.light()
    ring.run(2.5)
    assert ring.readings() == {("x", "ab"): None, ("x", "bc"): None}
    ring.run(3.5)
    assert ring.readings() == {("x", "ab"): pytest.approx(-2.0), ("x", "bc"): pytest.approx(-6.0)}


@pytest.mark.realises("E3", "I2")
def test_light_that_nobody_planned_raises_an_alarm_with_its_frequency() -> None:
    ring = Ring(NETWORK + "events: [{at: 2s, until: 3s, light: {span: bc, launch: -3 dBm, frequency: 194.2 THz}}]\n")
    ring.run(2.5)
    (alarm,) = (a for a in ring.world.ask(api.UPKEEP, GetAlarms()).alarms)
    assert (alarm.about, alarm.cause) == ("bc", "unexpected light")
    assert "194.2000 THz at -5.0 dBm" in alarm.text
    ring.run(3.5)
    assert ring.alarms() == set()


def test_a_transmitter_out_of_tune_raises_an_alarm_until_it_obeys() -> None:
    ring = Ring(NETWORK + "events: [{at: 2s, power: {channel: dark, launch: 4 dBm}}]\n")
    ring.control(api.LightChannel("dark", "a", ("ac",), 195_000_000, 50_000, 0.0))
    ring.run(2.5)
    assert ring.alarms() == {("dark", "too much power")}
    ring.control(api.SetLaunchPower("dark", 0.0))
    ring.run(3)
    assert ring.alarms() == set()


def test_a_pass_is_due_in_its_window_and_in_each_repetition() -> None:
    span = Span("s", "a", "b", 1.0, windows=((-5, 10), (90, 105)), every_ns=100)
    assert [span.due(t) for t in (0, 9, 10, 50, 90, 99, 100, 104, 105, 109, 110)] == [
        True, True, False, False, True, True, True, True, True, True, False,
    ]  # fmt: skip
    assert Span("s", "a", "b", 1.0).due(7)
