"""Thresholds of the network file: an alarm with a cause, and meters that go on and off with what they measure."""

from __future__ import annotations

import uuid

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.connectivity import api as connectivity
from quoit.fabric import api as fabric
from quoit.orchestration.telemetry_api import ASSURANCE, CorrelatedAlarms, GetCorrelatedAlarms
from quoit.planes.telemetry import GetMeters, Meters
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import NetworkFileFaults, loads
from quoit.service import api as service
from quoit.service.agreements import monitor

S = 1_000_000_000
NETWORK = """
quoit: 1
name: thresholds
nodes: {alice: {}, bob: {}, carol: {}}
spans:
  - {name: fibre, between: [alice, bob], length: 20 km, attenuation: 0.2 dB/km}
  - {name: spare, between: [bob, carol], length: 5 km}
links:
  - {name: link, between: [alice, bob]}
applications:
  - {sae: alice-app, kme: kme-alice, allow: [bob-app]}
  - {sae: bob-app, kme: kme-bob, allow: [alice-app]}
telemetry:
  window: 10s
  thresholds:
    - {metric: quoit_span_loss_db, raise: 5 dB, clear: 4.5 dB, severity: warning, of: [fibre]}
    - {metric: quoit_link_secret_bps, raise: 100 kbit/s, clear: 200 kbit/s}
"""


def world_of(text: str) -> VirtualWorld:
    world = VirtualWorld(assemble(loads(text), Parts(lambda kme: MemoryStore())).kernel)
    world.begin()
    return world


def meters(world: VirtualWorld, of: str) -> dict[tuple[str, str], float | None]:
    told: Meters = world.ask(of, GetMeters())
    return {(row.resource, row.metric): row.value for row in told.meters}


@pytest.mark.realises("G1")
def test_meters_are_on_where_control_uses_something() -> None:
    world = world_of(NETWORK)
    world.run_until(25 * S)
    spans = meters(world, connectivity.METERS)
    assert {name for name, _ in spans} == {"fibre"}, "nobody uses the spare fibre"
    assert spans["fibre", "quoit_span_loss_db"] == pytest.approx(4.0)
    assert {metric for _, metric in meters(world, fabric.METERS)} == {
        "quoit_link_qber", "quoit_link_sifted_bps", "quoit_link_secret_bps", "quoit_pool_bits",
    }  # fmt: skip
    told: Meters = world.ask(fabric.METERS, GetMeters())
    qber = next(row for row in told.meters if row.metric == "quoit_link_qber")
    assert qber.window is not None
    assert (qber.window.begin_ns, qber.window.end_ns, qber.window.number) == (10 * S, 20 * S, 10)
    light = connectivity.LightChannel("customer", "bob", ("spare",), 193_100_000, 50_000, 0.0)
    world.ask(connectivity.CONTROLLER, light)
    world.run_until(26 * S)
    assert {name for name, _ in meters(world, connectivity.METERS)} == {"fibre", "spare"}
    world.ask(connectivity.CONTROLLER, connectivity.ExtinguishChannel("customer"))
    world.run_until(27 * S)
    assert {name for name, _ in meters(world, connectivity.METERS)} == {"fibre"}


@pytest.mark.realises("G1")
def test_a_session_has_a_meter_as_long_as_it_is_open() -> None:
    world = world_of(NETWORK)
    world.run_until(5 * S)
    session = str(uuid.UUID(int=1, version=4))
    world.ask("kme-alice", service.OpenSession("alice-app", "bob-app", session, 10_000.0))
    world.run_until(8 * S)
    world.ask("kme-alice", service.OpenKeys("alice-app", "bob-app", 1, (str(uuid.UUID(int=2, version=4)),)))
    world.run_until(9 * S)
    latency = meters(world, monitor("thresholds"))[session, "quoit_session_latency_seconds"]
    assert latency is not None
    assert 0 < latency < 1
    assert list(world.kernel.instruments.read("quoit_session_latency_seconds")) == [((session,), latency)]
    world.ask("kme-alice", service.CloseSession("alice-app", session))
    world.run_until(10 * S)
    assert meters(world, monitor("thresholds")) == {}
    assert list(world.kernel.instruments.read("quoit_session_latency_seconds")) == []


@pytest.mark.realises("G1", "G2")
def test_crossings_are_alarms_with_their_cause_and_end_at_the_other_level() -> None:
    world = world_of(NETWORK + "events: [{at: 20s, until: 60s, bend: {span: fibre, loss: 20 dB}}]")
    world.run_until(15 * S)
    told: CorrelatedAlarms = world.ask(ASSURANCE, GetCorrelatedAlarms())
    assert told.alarms == ()
    world.run_until(55 * S)
    told = world.ask(ASSURANCE, GetCorrelatedAlarms())
    seen = {(a.about, a.cause): a for a in told.alarms}
    loss = seen["fibre", "quoit_span_loss_db"]
    assert (loss.severity, loss.text, loss.roots) == ("warning", "24 dB; the threshold is 5 dB", ())
    assert {root.about for a in told.alarms if a.about == "link" for root in a.roots} == {"fibre"}
    world.run_until(120 * S)
    told = world.ask(ASSURANCE, GetCorrelatedAlarms())
    assert told.alarms == ()


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("{metric: quoit_link_qbr, raise: 0.05, clear: 0.04}", "did you mean 'quoit_link_qber'?"),
        ("{metric: quoit_link_qber, raise: 0.05, clear: 0.05}", "expected two levels"),
        ("{metric: quoit_link_qber, raise: 5 dB, clear: 0.05}", "expected a number such as 0.05, found '5 dB'"),
        ("{metric: quoit_pool_bits, raise: 5 dB, clear: 1 kbit}", "expected a size such as 100 kbit"),
        ("{metric: quoit_span_loss_db, raise: 5, clear: 4 dB}", "expected a loss such as 9 dB, found 5"),
        ("{metric: quoit_link_qber, raise: .inf, clear: 0.05}", "0 or more"),
        ("{metric: quoit_link_qber, raise: 0.05, clear: 0.04, of: [lnk]}", "no link is called 'lnk'"),
        ("{metric: quoit_link_qber, raise: 0.05, clear: 0.04, on: p99}", "p95"),
        ("{metric: quoit_session_latency_seconds, raise: 20ms, clear: 10ms, of: [s]}", "have no names"),
        ("{metric: quoit_link_qber, raise: 0.05}", "the key 'clear' is missing"),
    ],
)
def test_faults_of_the_section_are_told(line: str, wanted: str) -> None:
    text = NETWORK.replace("  thresholds:\n", f"  thresholds:\n    - {line}\n")
    with pytest.raises(NetworkFileFaults) as found:
        loads(text, "net.yaml")
    (fault,) = found.value.faults
    assert wanted in fault.text
    assert fault.loc[:3] == ("telemetry", "thresholds", 0)
    assert fault.place.line == text[: text.index(line)].count("\n") + 1


def test_a_window_has_a_length() -> None:
    with pytest.raises(NetworkFileFaults, match="window longer than 0s"):
        loads(NETWORK.replace("window: 10s", "window: 0s"))
