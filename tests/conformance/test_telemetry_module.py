"""quoit-telemetry over RESTCONF: what a twin says is valid, complete, and comes by subscription (RFC 8641)."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.interfaces.restconf.core import Restconf
from quoit.interfaces.restconf.exchange import Request
from quoit.interfaces.restconf.library import ModuleSet
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.scenario.telemetry_data import MODULE, TelemetryProvider, real
from quoit.service.agreements import monitor

S = 1_000_000_000
NETWORK = """
quoit: 1
name: module
nodes: {a: {}, b: {}}
spans: [{name: fibre, between: [a, b], length: 20 km, attenuation: 0.2 dB/km}]
links: [{name: link, between: [a, b]}]
applications:
  - {sae: alice, kme: kme-a, allow: [bob]}
  - {sae: bob, kme: kme-b, allow: [alice]}
telemetry: {window: 5s}
events: [{at: 20s, until: 40s, cut: fibre}]
"""


class VirtualGate:
    """A gate into virtual time: it goes on only while somebody asks."""

    def __init__(self, world: VirtualWorld) -> None:
        self._world = world

    async def ask(self, to: str, msg: Any, within_s: float = 10.0) -> Any:
        return self._world.ask(to, msg)


@pytest.fixture(scope="module")
def lab() -> tuple[VirtualWorld, Restconf]:
    world = VirtualWorld(assemble(loads(NETWORK), Parts(lambda kme: MemoryStore())).kernel)
    world.begin()
    provider = TelemetryProvider(VirtualGate(world), [monitor("module")])  # type: ignore[arg-type]
    core = Restconf(ModuleSet.of([MODULE]), [provider], now=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    return world, core


def get(core: Restconf, path: str, query: str = "") -> tuple[int, Any]:
    headers = {"accept": "application/yang-data+json"}
    request = Request("GET", f"/restconf/data/{path}", query, headers, b"", "observer")
    response = asyncio.run(core.handle(request))
    return response.status, json.loads(response.body) if response.body else None


def entries(core: Restconf, name: str) -> list[dict[str, Any]]:
    status, body = get(core, f"{MODULE}:telemetry")
    assert status == 200, body
    found: list[dict[str, Any]] = body[f"{MODULE}:telemetry"].get(name, [])
    return found


@pytest.mark.realises("G1")
def test_all_is_shown_and_what_is_shown_is_valid(lab: tuple[VirtualWorld, Restconf]) -> None:
    world, core = lab
    world.run_until(15 * S)
    (link,) = entries(core, "link")
    assert (link["name"], link["state"]) == ("link", "up")
    assert 0 < float(link["qber"]) < 0.1
    assert {row["name"] for row in entries(core, "span")} == {"fibre"}
    meters = {(row["resource"], row["metric"]): row for row in entries(core, "meter")}
    assert meters["link", "quoit_link_qber"]["window"]["number"] == 5
    assert all(row["health"] == 100 for row in entries(core, "subservice"))
    assert entries(core, "alarm") == []
    world.run_until(25 * S)
    alarms = {(row["about"], row["cause"]): row for row in entries(core, "alarm")}
    assert alarms["link", "dark"]["root-cause"] == [
        {"stratum": "connectivity", "about": "fibre", "cause": "loss of signal"}
    ]
    ill = {row["name"]: row["health"] for row in entries(core, "subservice")}
    assert (ill["span:fibre"], ill["stream:kme-a>kme-b"]) == (0, 50)


def test_one_entry_has_a_path_of_its_own_and_nothing_can_be_written(lab: tuple[VirtualWorld, Restconf]) -> None:
    world, core = lab
    world.run_until(26 * S)
    status, body = get(core, f"{MODULE}:telemetry/subservice=stream%3Akme-a%3Ekme-b", "fields=health")
    assert status == 200
    assert body[f"{MODULE}:subservice"][0]["health"] == 50
    headers = {"content-type": "application/yang-data+json"}
    request = Request("DELETE", f"/restconf/data/{MODULE}:telemetry", "", headers, b"", "observer")
    assert asyncio.run(core.handle(request)).status in (403, 405)


@pytest.mark.realises("G1")
def test_a_subscription_pushes_the_alarms(lab: tuple[VirtualWorld, Restconf]) -> None:
    world, core = lab
    world.run_until(27 * S)
    body = {
        "ietf-subscribed-notifications:input": {
            "ietf-yang-push:datastore": "ietf-datastores:operational",
            "ietf-yang-push:datastore-xpath-filter": f"/{MODULE}:telemetry/alarm",
            "ietf-yang-push:periodic": {"period": 100},
        }
    }

    async def first_push() -> str:
        headers = {"content-type": "application/yang-data+json", "accept": "application/yang-data+json"}
        path = "/restconf/operations/ietf-subscribed-notifications:establish-subscription"
        made = await core.handle(Request("POST", path, "", headers, json.dumps(body).encode(), "observer"))
        assert made.status == 200, made.body
        output = json.loads(made.body)["ietf-subscribed-notifications:output"]
        uri = output["ietf-restconf-subscribed-notifications:uri"]
        opened = await core.handle(Request("GET", uri, "", {"accept": "text/event-stream"}, b"", "observer"))
        assert opened.feed is not None
        async for chunk in opened.feed.chunks():
            if b"push-update" in chunk:
                opened.feed.drop()
                return chunk.decode()
        raise AssertionError("nothing was pushed")

    told = asyncio.run(asyncio.wait_for(first_push(), 20))
    assert "loss of signal" in told


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.0"), (1.5, "1.5"), (-0.0, "0.0"), (1e-9, "0.000000001"), (64e6, "64000000.0"), (0.1 + 0.2, "0.3")],
)
def test_numbers_are_canonical(value: float, text: str) -> None:
    assert real(value) == text
    assert real(None) is None
