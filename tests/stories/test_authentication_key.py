"""Somebody alters a link's classical messages, so that its blocks fail and its authentication key runs out (P10)."""

from __future__ import annotations

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.fabric import api
from quoit.fabric.reserve import ALARM_BLOCKS, PARK_BLOCKS
from quoit.planes.management import Alarms, GetAlarms, Severity
from quoit.runtime.trace import Event
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.scenario.fate import FATE, Strike
from quoit.testing.checkers import verify

S = 1_000_000_000
NETWORK = """
quoit: 1
name: tampered
nodes: {a: {}, b: {}}
spans: [{between: [a, b], length: 10 km}]
links: [{between: [a, b], protocol: rated, rate: 20 kbit/s}]
applications:
  - {sae: one, kme: kme-a, allow: [two]}
  - {sae: two, kme: kme-b, allow: [one]}
events:
  - {at: 10s, until: 200s, attack: {kind: tamper-messages, link: a--b, fraction: 1.0}}
"""


@pytest.mark.realises("I1", "I2", "G2")
def test_p10_a_link_parks_before_its_authentication_key_ends() -> None:
    events: list[Event] = []
    world = VirtualWorld(assemble(loads(NETWORK), Parts(lambda kme: MemoryStore())).kernel)
    world.kernel.sinks.append(events.append)
    world.begin()

    def seen(name: str) -> list[Event]:
        return [e for e in events if e.event == name]

    def alarm() -> Severity | None:
        standing: Alarms = world.ask(api.UPKEEP, GetAlarms())
        return next((a.severity for a in standing.alarms if a.cause == "authentication key runs out"), None)

    world.run_until(10 * S)
    made = len(seen("block.made"))
    assert made > 5
    assert alarm() is None
    world.run_until(62 * S)
    assert alarm() == Severity.MAJOR  # while there is time to do something about it
    assert not seen("link.parked")
    world.run_until(120 * S)
    assert alarm() == Severity.CRITICAL
    (parked,) = seen("link.parked")
    assert parked.fields["blocks_left"] == PARK_BLOCKS
    assert seen("auth.spent")[-1].t <= parked.t  # nothing is said any more
    assert len(seen("block.made")) == made
    assert {e.fields["why"] for e in seen("block.failed")} == {"a classical message was altered: its tag does not fit"}
    assert not seen("link.quarantined")  # nobody listens to the quantum channel
    world.run_until(210 * S)
    assert len(seen("block.made")) == made  # the attacker has gone, and it is still parked
    world.ask(FATE, Strike("commission", "a--b", 0.0))
    world.run_until(230 * S)
    assert alarm() is None
    assert len(seen("block.made")) > made + 10
    assert PARK_BLOCKS < ALARM_BLOCKS
    report = verify([{"t": e.t, "by": e.by, "n": e.n, "event": e.event, **e.fields} for e in events])
    assert report.violations == []
    assert report.ledger["a--b"]["authentication"] >= 256 * 60
