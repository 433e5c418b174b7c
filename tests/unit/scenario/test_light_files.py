"""The optical plant in network files: faults with their places, what drifts, strikes that are refused."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any, cast

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.connectivity.api import CONTROLLER, GetInventory
from quoit.fabric.api import METERS, GetLinks
from quoit.model.problem import Problem
from quoit.runtime.virtual import VirtualWorld
from quoit.runtime.wire import decode, encode, name_of
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import NetworkFileFaults, check, loads
from quoit.scenario.fate import STRIKES, Strike
from quoit.scenario.operator import OperatorSocket
from quoit.scenario.targets import targets_of

BAD = """quoit: 1
name: bad
nodes: {alice: {}, bob: {}, carol: {}, sat: {}}
spans:
  - {name: f1, between: [alice, bob], length: 20 km}
  - {name: f2, between: [bob, carol], length: 20 km}
  - {name: dn, between: [sat, carol], air: {waist: 5 cm, receiver: 1 m, sky: {day: clear-day},
      satellite: {altitude: 500 km, passes: [{at: 10s, elevation: 50 deg}]}}}
plant:
  switches:
    - {node: alise}
    - {node: bob}
    - {node: bob}
  channels:
    - {name: c1, from: alice, spans: [f1, f2], frequency: 193.3 THz}
    - {name: c1, from: alice, spans: [f2], frequency: 192 THz}
    - {name: c3, from: sat, spans: [dn], frequency: 192 THz}
    - {name: c4, from: bob, spans: [f9], wavelength: 1550.1 nm}
links:
  - {between: [alice, carol], spans: [f2, f1], spectrum: {frequency: 193.4 THz}}
  - {name: twice, between: [alice, bob], spans: [f1, f1]}
  - {between: [carol, sat]}
  - {between: [sat, carol], spectrum: {wavelength: 1550 nm}}
  - {name: rated, between: [bob, carol], protocol: rated, spectrum: {wavelength: 1310 nm}}
events:
  - {at: 1s, light: {span: dn}}
  - {at: 1s, weather: {span: f1, loss: 3 dB}}
  - {at: 1s, bend: {span: dn, loss: 3 dB}}
  - {at: 1s, power: {channel: c8, launch: -3 dBm}}
"""
FORMS = {
    "spans: [{between: [a, b]}]": "spans.0: expected a length, found none; add the key 'length'",
    "spans: [{between: [a, b], length: 1 km, air: {waist: 1 cm, receiver: 1 m, satellite: {altitude: 500 km, "
    "passes: [{at: 0s, elevation: 50 deg}]}}}]": "follows from its altitude; leave it out",
    "spans: [{between: [a, b], length: 1 km, loss: 1 dB, air: {waist: 1 cm, receiver: 1 m}}]": "from its optics",
    "spans: [{between: [a, b], length: 1 km, air: {waist: 1 cm, receiver: 1 m, wavelength: 10 um}}]": "631 to 1665 nm",
    "spans: [{between: [a, b], length: 1 km, air: {waist: 1 cm, receiver: 1 m, haze: {rms: 1 dB, time: 1 ms}}}]": "1 s",
    "spans: [{between: [a, b], air: {waist: 1 cm, receiver: 1 m, satellite: {altitude: 5 km, "
    "passes: [{at: 0s, elevation: 50 deg}]}}}]": "100 to 40000 km",
    "spans: [{between: [a, b], air: {waist: 1 cm, receiver: 1 m, satellite: {altitude: 500 km, "
    "passes: [{at: 0s, elevation: 5 deg}]}}}]": "above the lowest elevation of 10 deg",
    "spans: [{between: [a, b], air: {waist: 1 cm, receiver: 1 m, satellite: {altitude: 500 km, every: 1h, "
    "passes: [{at: 2h, elevation: 50 deg}]}}}]": "within the time after which they come again",
    "plant: {channels: [{name: x, from: a, spans: []}]}": "channels.0.spans",
    "plant: {channels: [{name: x, from: a, spans: [s]}]}": "exactly one of frequency, wavelength",
    "plant: {channels: [{name: x, from: a, spans: [s], frequency: 193.1 THz, launch: -3 dB}]}": "(dBm) such as '-3",
    "plant: {channels: [{name: x, from: a, spans: [s], frequency: 193.1 THz, launch: 40 dBm}]}": "equal to 30",
    "plant: {channels: [{name: x, from: a, spans: [s], frequency: 193.1 GHz}]}": "180 to 475 THz",
    "plant: {channels: [{name: x, from: a, spans: [s], frequency: 193.1 THz, width: 0 GHz}]}": "a width above 0",
    "plant: {switches: [{node: a, switching: 1h}]}": "at most 300 s",
    "plant: {switchs: []}": "did you mean 'switches'?",
    "events: [{at: 1s, light: {span: s, frequency: 1 THz}}]": "180 to 475 THz",
}
PLAIN = """quoit: 1
name: plain
nodes: {alice: {}, bob: {}}
spans: [{name: fibre, between: [alice, bob], length: 10 km}]
links: [{name: link, between: [alice, bob]%s}]
"""


def faults_of(text: str, tmp_path: Path) -> list[str]:
    file = tmp_path / "net.yaml"
    file.write_text(text)
    return [f"{f.place.line} {'.'.join(map(str, f.loc))}: {f.text}" for f in check(file)]


@pytest.mark.realises("E1", "E3")
def test_every_fault_of_a_plant_is_told_where_it_is(tmp_path: Path) -> None:
    found = faults_of(BAD, tmp_path)
    expected = [
        ("7 spans.2.air.sky.day", "give an end of the span lat and lon"),
        ("11 plant.switches.0.node", "did you mean 'alice'?"),
        ("13 plant.switches.2.node", "has a switch already"),
        ("15 plant.channels.0", "comes too near alice--carol"),
        ("15 plant.channels.0", "comes too near twice"),
        ("16 plant.channels.1.name", "taken"),
        ("16 plant.channels.1.spans", "expected a span from 'alice' next, found 'f2'"),
        ("17 plant.channels.2.spans.0", "in fibre only"),
        ("18 plant.channels.3.spans.0", "no span is called 'f9'"),
        ("20 links.0.spans", "expected a span from 'alice' next, found 'f2'"),
        ("21 links.1", "comes too near alice--carol"),
        ("21 links.1.spans", "expected each span once"),
        ("22 links.2.between", "sends from 'sat'; name that node first"),
        ("23 links.3.spectrum", "those of the telescopes of 'dn'"),
        ("24 links.4.spectrum", "no optics"),
        ("26 events.0.light.span", "no fibre is called 'dn'"),
        ("27 events.1.weather.span", "no path through air is called 'f1'"),
        ("28 events.2.bend.span", "say weather instead of bend"),
        ("29 events.3.power.channel", "no channel is called 'c8'"),
    ]
    left = list(found)
    for place, text in expected:
        match = next((fault for fault in left if fault.startswith(f"{place}: ") and text in fault), None)
        assert match is not None, (place, text, found)
        left.remove(match)
    assert [fault for fault in left if "comes too near" not in fault] == []


@pytest.mark.parametrize(("body", "told"), FORMS.items())
def test_forms_are_told_by_what_was_expected(body: str, told: str, tmp_path: Path) -> None:
    found = faults_of(f"quoit: 1\nname: n\nnodes: {{a: {{}}, b: {{}}, s: {{}}}}\n{body}\n", tmp_path)
    assert any(told in fault for fault in found), found


def test_a_broken_channel_makes_no_second_fault_where_it_is_named(tmp_path: Path) -> None:
    more = (
        "plant: {channels: [{name: x, from: alice, spans: [fibre], frequency: 195 THz, launch: 99 dBm}]}\n"
        "events: [{at: 1s, power: {channel: x, launch: 0 dBm}}]\n"
    )
    assert len(faults_of(PLAIN % "" + more, tmp_path)) == 1


@pytest.mark.realises("E1")
def test_a_link_drifts_about_its_error_rate_as_it_is_told() -> None:
    """100 samples, each 5 correlation times after the last: rms within 36 % (5 sigma), mean within half of it."""

    def readings(more: str) -> list[float]:
        twin = assemble(loads(PLAIN % more), Parts(lambda kme: MemoryStore()))
        world = VirtualWorld(twin.kernel)
        world.begin()
        found = []
        for n in range(1, 101):
            world.run_until(n * 5 * 10**9)
            found.append(world.ask(METERS, GetLinks()).rows[0].qber)
        return found

    steady = readings("")
    drifting = readings(", drift: {rms: 0.003, time: 1s}")
    assert statistics.pstdev(steady) < 5e-4
    assert statistics.pstdev(drifting) == pytest.approx(0.003, rel=0.36)
    assert statistics.mean(drifting) == pytest.approx(statistics.mean(steady), abs=0.0015)


class _Host:
    network = loads(PLAIN % "" + "plant: {channels: [{name: x, from: alice, spans: [fibre], frequency: 195 THz}]}\n")


@pytest.mark.parametrize(
    ("strike", "told"),
    [
        (Strike("shine", "fibre"), "expected one of cut, splice"),
        (Strike("light", "x", -3.0), "no fibre is called 'x'; known: fibre"),
        (Strike("light", "fibre", 31.0), "-100 to 30 dBm"),
        (Strike("light", "fibre", float("nan")), "-100 to 30 dBm"),
        (Strike("power", "fibre", 0.0), "no channel is called 'fibre'; known: x"),
        (Strike("weather", "fibre", 3.0), "no path through air is called 'fibre'; this network has none"),
        (Strike("bend", "fibre", -1.0), "0 dB or more"),
        (Strike("intercept", "link", 2.0), "fraction"),
    ],
)
def test_strikes_that_cannot_be_are_refused(strike: Strike, told: str) -> None:
    socket = OperatorSocket.__new__(OperatorSocket)
    socket._host = cast(Any, _Host())
    with pytest.raises(Problem) as found:
        socket._check(strike)
    assert told in found.value.detail


def test_every_strike_has_a_target_and_a_label() -> None:
    names = {"span": ["fibre"], "fibre": ["fibre"], "channel": ["x"], "link": ["link"]}
    for kind, target in STRIKES.items():
        what, known = targets_of(_Host().network, kind)
        assert target.endswith(what)
        assert known == names.get(what, [])
    assert Strike("light", "fibre", 0.0).label == "light fibre 0 dBm"
    assert Strike("cut", "fibre").label == "cut fibre"


def test_what_connectivity_says_crosses_a_bus() -> None:
    from quoit.connectivity import api

    channel = api.ChannelRow("x", "classical", "a", ("s",), 193_100_000, 50_000, -3.0, "lit")
    joint = api.CrossConnect("a", "x", "add/drop", "s")
    span = api.SpanPlan("s", "a", "b", 1.0, 0.2, "air", ("duct",), ((1, 2),), 10)
    node = api.NodeRow("a", "roadm", ("add/drop", "s"), 5.0, 10)
    messages: list[Any] = [
        api.InventoryRows((node,), (span,), (channel,), (joint,)),
        api.Spectrum((api.TakenSlot("s", "x", "classical", 1, 2),), ((3, 4),)),
        api.SpanSpectrum("s", (api.SpectralLine("b", 193_100_000, 50_000, -3.0, 40.0),), 7),
        api.ChannelReadings((api.ChannelReading(None, "s", "b", 1, None, None, None),)),
        channel,
        joint,
    ]
    for msg in messages:
        assert decode(name_of(type(msg)), encode(msg)) == msg


MEMORIES = """quoit: 1
name: pairs
nodes:
  alice: {memories: {number: 2, t2: 1s}}
  bob: {memories: {number: 2, t2: 1s}}
spans: [{name: fibre, between: [alice, bob], length: 10 km}]
plant: {channels: [{name: x, from: alice, spans: [fibre], frequency: 195 THz}]}
pair_links: [{between: [alice, bob], %s}]
"""


def test_a_channel_beside_heralded_pairs_is_refused_since_its_noise_is_not_modelled(tmp_path: Path) -> None:
    given, heralded = "success: 0.1, fidelity: 0.9", "scheme: single-click, hardware: nv-delft-2018"
    assert faults_of(MEMORIES % given, tmp_path) == []
    (fault,) = faults_of(MEMORIES % heralded, tmp_path)
    assert "noise of 'x' in heralded pairs is not modelled" in fault


@pytest.mark.parametrize(
    ("spans", "says"),
    [
        ("[{name: s, between: [a, b], length: 1 km, amplified: true}]", "its path has an amplifier on span 's'"),
        ("[{name: s, between: [a, b], length: 1 km, amplified: true}, {name: t, between: [a, b], length: 9 km}]", ""),
    ],
)
def test_quantum_links_go_where_no_amplifier_is(spans: str, says: str) -> None:
    text = f"quoit: 1\nname: n\nnodes: {{a: {{}}, b: {{}}}}\nspans: {spans}\nlinks: [{{between: [a, b]}}]\n"
    if not says:
        twin = assemble(loads(text), Parts(lambda kme: MemoryStore()))
        world = VirtualWorld(twin.kernel)
        world.begin()
        (channel,) = world.ask(CONTROLLER, GetInventory()).channels
        assert channel.spans == ("t",)
        return
    with pytest.raises(NetworkFileFaults, match=says):
        loads(text)
