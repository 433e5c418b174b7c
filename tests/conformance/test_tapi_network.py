"""TAPI over a twin's optical network: the port against the controllers, what an object asks for, and with the modules
everything over RESTCONF. Those are not part of quoit; see `test_tapi`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_tapi import CONTEXT, JSON, models, needs_modules
from test_tapi_teraflow import asked as teraflow_service
from yangson.enumerations import ContentType

from quoit.adapters.stores.memory import MemoryStore
from quoit.connectivity import api
from quoit.interfaces.restconf.exchange import Request, Response
from quoit.interfaces.tapi import codec
from quoit.interfaces.tapi.demands import Asked, asked_of
from quoit.interfaces.tapi.objects import MC_SPEC, Standing, service_object
from quoit.interfaces.tapi.optics import Lifecycle, PathWish, Wish
from quoit.interfaces.tapi.provider import COMPUTE, STREAM
from quoit.interfaces.tapi.teraflow import TeraFlowTapi
from quoit.model.problem import Problem
from quoit.model.role import Role
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.scenario.fate import FATE, Strike
from quoit.scenario.optical_door import DoorRefused, OpticalDoor, TwinOptics, tapi_server

S = 10**9
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
NETWORK = """
quoit: 1
name: mesh
nodes: {a: {}, b: {}, c: {}}
spans:
  - {name: ac, between: [a, c], length: 20 km, attenuation: 0.2 dB/km, duct: main}
  - {name: ab, between: [a, b], length: 10 km, attenuation: 0.2 dB/km}
  - {name: bc, between: [b, c], length: 10 km, attenuation: 0.2 dB/km}
plant:
  switches: [{node: b, insertion: 2 dB, switching: 50 ms}]
links:
  - {name: link, between: [a, c], spans: [ac], spectrum: {frequency: 193.4 THz}}
"""


SERVICES = """
plant:
  services:
    - name: q
      link: link
      max_loss: 9 dB
      max_noise: 90000
      avoid: [c]
      companion: {launch: -30 dBm}
      restoration: {hold_off: 20 ms, revertive: true, wait: 30s}
    - {name: late, from: a, to: c, launch: -12.5 dBm, objective: latency, apart_from: q, at: 3s, until: 6s}
"""


class Lab:
    """A twin in virtual time behind the port; with `served`, behind a server whose answers a second model checks."""

    def __init__(self, served: bool = False, more: str = "") -> None:
        network = loads(NETWORK.replace("plant:\n", more.lstrip() or "plant:\n"))
        twin = assemble(network, Parts(lambda kme: MemoryStore()))
        self.world = VirtualWorld(twin.kernel)
        self.world.begin()
        if served:
            schema, self.other = models()
            self.core, self.optics = tapi_server(network, self, twin.kernel.watchers, schema, self.now)
        else:
            self.optics = TwinOptics(network, self)
            twin.kernel.watchers.append(self.optics.hear)

    def now(self) -> datetime:
        return EPOCH + timedelta(microseconds=self.world.kernel.now / 1000)

    async def ask(self, to: str, msg: Any) -> Any:
        return self.world.ask(to, msg)

    async def run(self, seconds: float) -> None:
        self.world.run_until(round(seconds * S))
        await asyncio.sleep(0)
        await self.optics.end()

    def uuid(self, kind: str, name: str) -> str:
        return self.optics.uuid(kind, name)

    def cut(self, span: str) -> None:
        self.world.ask(FATE, Strike("cut", span))

    def service(self, called: str, **more: Any) -> dict[str, Any]:
        points = [
            {
                "local-id": end,
                "layer-protocol-name": "PHOTONIC_MEDIA",
                "layer-protocol-qualifier": "tapi-photonic-media:PHOTONIC_LAYER_QUALIFIER_MC",
                "direction": "BIDIRECTIONAL",
                "service-interface-point": {"service-interface-point-uuid": self.uuid("sip", end)},
            }
            for end in ("a", "c")
        ]
        return {"uuid": self.uuid("test", called), "end-point": points, **more}

    def wish(self, name: str, **more: Any) -> Wish:
        row = self.service(name, **more)
        return Wish(row["uuid"], codec.ends_of(row), None, None, row)

    async def http(self, method: str, path: str, body: Any = None, role: Role = Role.CONTROLLER) -> Response:
        content = b"" if body is None else json.dumps(body).encode()
        response = await self.core.handle(Request(method, path, "", JSON if content else {}, content, role.value))
        whole = await self.core.handle(Request("GET", "/restconf/data", caller=Role.OPERATOR.value))
        self.other.from_raw(whole.json()["ietf-restconf:data"]).validate(ctype=ContentType.all)
        return response

    async def shown(self, name: str) -> Any:
        where = f"{CONTEXT}/{codec.CONNECTIVITY}/connectivity-service={self.uuid('test', name)}"
        return (await self.http("GET", where)).json()["tapi-connectivity:connectivity-service"][0]

    async def standing(self, name: str) -> Any:
        """A service that no client opened; None if it is not shown."""
        where = f"{CONTEXT}/{codec.CONNECTIVITY}/connectivity-service={self.uuid('service', name)}"
        answer = await self.http("GET", where)
        return answer.json()["tapi-connectivity:connectivity-service"][0] if answer.status == 200 else None

    async def post(self, *services: dict[str, Any]) -> Response:
        body = {codec.CONNECTIVITY: {"connectivity-service": list(services)}}
        return await self.http("PATCH", CONTEXT, {codec.CONTEXT: body})


def in_lab(work: Callable[[Lab], Awaitable[None]], served: bool = False, more: str = "") -> None:
    async def run() -> None:
        await work(Lab(served, more))

    asyncio.run(run())


def media_channel(centre_mhz: int, width_mhz: int, dbm: str | None = None) -> list[dict[str, Any]]:
    low, high = ((centre_mhz + side * width_mhz // 2) * 10**6 for side in (-1, 1))
    pac: dict[str, Any] = {
        "local-id": "mc", "spectrum": {"lower-frequency": str(low), "upper-frequency": str(high)}
    }  # fmt: skip
    if dbm is not None:
        pac["power-management-config-pac"] = {"max-input-power": {"total-power": dbm}}
    spec = {"tapi-photonic-media:mcg-connectivity-service-end-point-spec": {"mc-spectrum-config-pac": [pac]}}
    return [{"local-id": "photonic", **spec}]


# -- what an object asks for -------------------------------------------------------------------------------


def test_spectrum_power_limits_diversity_and_recovery_are_read() -> None:
    point = {"local-id": "a", "layer-protocol-constraint": media_channel(193_100_000, 50_000, "-3.5")}
    found = asked_of(
        {
            "name": [{"value-name": "QUANTUM_LINK", "value": "link"}, {"value-name": "COMPANION_DBM", "value": "-20"}],
            "end-point": [point, {**point, "local-id": "c"}],
            "routing-constraint": {
                "route-objective-function": "MIN_WORK_ROUTE_LATENCY",
                "max-allowed-delay": {"value": "250"},
                "cost-characteristic": [
                    {"cost-name": "LOSS_DB", "cost-value": "12.5"},
                    {"cost-name": "NOISE_CPS", "cost-value": "2000"},
                ],
            },
            "topology-constraint": [{"local-id": "t", "exclude-link": [{"topology-uuid": "T", "link-uuid": "L"}]}],
            "connectivity-constraint": {
                "coroute-inclusion": {"connectivity-service-uuid": "one"},
                "diversity-exclusion": [{"connectivity-service-uuid": "two"}],
            },
            "resilience-constraint": {
                "resilience-type": {"protection-type": "DYNAMIC_RESTORATION"},
                "reversion-mode": "REVERTIVE",
                "hold-off-time": "50",
                "wait-to-revert-time": {"value": "5", "unit": "MINUTES"},
            },
        }
    )
    assert found == Asked(
        "link", 193_100_000, 50_000, -3.5, -20.0, "latency", False, 12.5, 2000.0, 250_000, ("L",), (), "one", "two",
        True, True, 50 * 10**6, 300 * S,
    )  # fmt: skip
    assert asked_of({}) == Asked()


@pytest.mark.parametrize(
    ("tree", "code"),
    [
        ({"routing-constraint": {"max-allowed-hops": {"value": "3"}}}, "not-supported"),
        ({"routing-constraint": {"route-objective-function": "LOAD_BALANCE_MAX_UNUSED_CAPACITY"}}, "not-supported"),
        ({"routing-constraint": {"diversity-policy": "SRLG"}}, "not-supported"),
        ({"routing-constraint": {"cost-characteristic": [{"cost-name": "EUR", "cost-value": "1"}]}}, "not-supported"),
        ({"routing-constraint": {"cost-characteristic": [{"cost-name": "LOSS_DB", "cost-value": "x"}]}}, "malformed"),
        ({"routing-constraint": {"cost-characteristic": [{"cost-name": "SWITCHES", "cost-value": "1.5"}]}},
         "malformed"),
        ({"connectivity-constraint": {"connection-inclusion": [{"connection-uuid": "x"}]}}, "not-supported"),
        ({"topology-constraint": [{"local-id": "t", "include-node": []}]}, "not-supported"),
        ({"resilience-constraint": {"resilience-type": {"protection-type": "ONE_PLUS_ONE_PROTECTION"}}},
         "not-supported"),
        ({"resilience-constraint": {"wait-to-revert-time": {"value": "1"}}}, "malformed"),
        ({"end-point": [{"layer-protocol-constraint": media_channel(193_100_000, 50_000)},
                        {"layer-protocol-constraint": media_channel(193_200_000, 50_000)}]}, "malformed"),
        ({"name": [{"value-name": "COMPANION_DBM", "value": "inf"}]}, "malformed"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_and_not_passed_over(tree: dict[str, Any], code: str) -> None:
    with pytest.raises(Problem) as found:
        asked_of(tree)
    assert found.value.code == code


ALL_ASKED = st.builds(
    Asked,
    st.none() | st.just("link"),
    st.none() | st.integers(191_000_000, 196_000_000),
    st.integers(1, 2_000).map(lambda n: n * 50),
    st.none() | st.integers(-4_000, 200).map(lambda n: n / 100),
    st.none() | st.floats(-60, 10),
    st.sampled_from(["loss", "latency"]),
    st.just(False),
    st.none() | st.floats(0, 100),
    st.none() | st.floats(0, 1e9),
    st.none() | st.integers(0, 10**9).map(lambda us: us * 1000),
    st.lists(st.uuids().map(str), max_size=3, unique=True).map(tuple),
    st.lists(st.uuids().map(str), max_size=3, unique=True).map(tuple),
    st.none() | st.uuids().map(str),
    st.none() | st.uuids().map(str),
    restore=st.just(True),
    revertive=st.just(True),
    hold_off_ns=st.integers(0, 10**6).map(lambda ms: ms * 10**6),
    wait_ns=st.integers(1, 10**9).map(lambda us: us * 1000),
    max_switches=st.none() | st.integers(0, 100),
)
START = datetime(2026, 1, 1, 0, 0, 3, tzinfo=UTC)


@given(ALL_ASKED)
def test_an_object_that_is_written_reads_as_what_it_was_written_from(asked: Asked) -> None:
    ends = (("a", str(uuid5(NAMESPACE_DNS, "a"))), ("c", str(uuid5(NAMESPACE_DNS, "c"))))
    tree = service_object(Standing(str(uuid5(NAMESPACE_DNS, "s")), "s", ends, asked, "t", START, None))
    assert asked_of(tree) == asked
    assert codec.ends_of(tree) == (ends[0][1], ends[1][1])
    wish = codec.wishes_of({codec.CONTEXT: {codec.CONNECTIVITY: {"connectivity-service": [tree]}}})[tree["uuid"]]
    assert (wish.start, wish.end) == (START, None)


# -- the port over the controllers -------------------------------------------------------------------------


@pytest.mark.realises("E3", "E4")
def test_services_of_the_port_are_light_on_the_plant_and_follow_it() -> None:
    async def work(lab: Lab) -> None:
        wish = lab.wish("one")
        await lab.optics.open(wish)
        assert lab.optics.services()[wish.uuid].lifecycle is Lifecycle.PLANNED
        await lab.run(1)
        service = lab.optics.services()[wish.uuid]
        assert (service.lifecycle, service.enabled) == (Lifecycle.INSTALLED, True)
        assert service.route == (lab.uuid("span", "ac"),)
        before = lab.optics.network()
        assert lab.optics.network() is before
        lab.cut("ac")
        await lab.run(2)
        assert [link.name for link in lab.optics.network().links if not link.up] == ["ac"]
        assert lab.optics.services()[wish.uuid].route == (lab.uuid("span", "ab"), lab.uuid("span", "bc"))
        await lab.optics.close(wish.uuid)
        await lab.optics.close(wish.uuid)
        assert lab.optics.services() == {}

    in_lab(work)


def test_paths_and_refusals_of_the_port() -> None:
    async def work(lab: Lab) -> None:
        row = lab.service("way")
        routes = await lab.optics.paths(PathWish(codec.ends_of(row), row))
        assert [len(route) for route in routes] == [1, 2]
        without = {"topology-constraint": [{"local-id": "t", "exclude-link": [{"link-uuid": lab.uuid("span", "ac")}]}]}
        assert [len(r) for r in await lab.optics.paths(PathWish(codec.ends_of(row), row | without))] == [2]
        pair = {"routing-constraint": {"route-objective-function": "MIN_SUM_OF_WORK_AND_PROTECTION_ROUTE_COST"}}
        assert [len(r) for r in await lab.optics.paths(PathWish(codec.ends_of(row), row | pair))] == [1, 2]
        straight = {"routing-constraint": {"cost-characteristic": [{"cost-name": "SWITCHES", "cost-value": "0"}]}}
        assert [len(r) for r in await lab.optics.paths(PathWish(codec.ends_of(row), row | straight))] == [1]
        few = {"routing-constraint": {"cost-characteristic": [{"cost-name": "LOSS_DB", "cost-value": "3"}]}}
        with pytest.raises(Problem) as found:
            await lab.optics.open(lab.wish("lossy", **few))
        assert (found.value.code, found.value.fields["reason"]) == ("no-route", "loss")
        assert lab.optics.services() == {}
        for strange in ({"exclude-link": [{"link-uuid": "x"}]}, {"exclude-node": [{"node-uuid": "x"}]}):
            with pytest.raises(Problem) as found:
                await lab.optics.open(lab.wish("s", **{"topology-constraint": [{"local-id": "t", **strange}]}))
            assert found.value.code == "no-such-element"

    in_lab(work)


def test_a_door_without_modules_or_plant_says_what_to_do(tmp_path: Path) -> None:
    network = loads(NETWORK)
    with pytest.raises(DoorRefused, match=r"v2\.4\.0"):
        OpticalDoor(network, None)
    with pytest.raises(DoorRefused, match=r"no modul|none.*v2\.4\.0"):
        OpticalDoor(network, tmp_path)
    plain = "\n".join(line for line in NETWORK.splitlines() if not line.startswith(("plant", "  switches")))
    with pytest.raises(DoorRefused, match="plant"):
        OpticalDoor(loads(plain), tmp_path)


def test_uuids_are_the_same_in_every_life() -> None:
    assert Lab().optics.network() == Lab().optics.network()
    lab = Lab()
    assert lab.uuid("node", "a") == str(uuid5(lab.optics._namespace, "node/a"))


# -- with the modules --------------------------------------------------------------------------------------


@needs_modules
@pytest.mark.realises("A3", "E3", "E4")
def test_a_customers_service_over_restconf_from_planned_to_gone() -> None:
    async def work(lab: Lab) -> None:
        topology = f"{CONTEXT}/{codec.TOPOLOGY}/topology={lab.uuid('topology', 'whole')}"
        shown = (await lab.http("GET", topology)).json()["tapi-topology:topology"][0]
        assert [len(shown[k]) for k in ("node", "link")] == [3, 3]
        row = lab.service("one")
        for point in row["end-point"]:
            point["layer-protocol-constraint"] = media_channel(193_100_000, 50_000, "-10")
        assert (await lab.post(row)).status == 204
        planned = await lab.shown("one")
        assert (planned["lifecycle-state"], planned["operational-state"]) == ("PLANNED", "DISABLED")
        await lab.run(1)
        standing = await lab.shown("one")
        assert (standing["lifecycle-state"], standing["operational-state"]) == ("INSTALLED", "ENABLED")
        rows = {c.channel: c for c in lab.world.ask(api.CONTROLLER, api.GetInventory()).channels}
        assert (rows[row["uuid"]].centre_mhz, rows[row["uuid"]].launch_dbm) == (193_100_000, -10.0)
        lab.cut("ac")
        await lab.run(2)
        assert (await lab.shown("one"))["operational-state"] == "ENABLED"
        link = f"{topology}/link={lab.uuid('span', 'ac')}/operational-state"
        assert (await lab.http("GET", link)).json() == {"tapi-topology:operational-state": "DISABLED"}
        where = f"{CONTEXT}/{codec.CONNECTIVITY}/connectivity-service={row['uuid']}"
        assert (await lab.http("DELETE", where)).status == 204
        events = [e.content for e in lab.core.streams[STREAM].log]
        kinds = [e["event-notification-type"].partition("TYPE_")[2] for e in events]
        assert (kinds[0], kinds[-1]) == ("OBJECT_CREATION", "OBJECT_DELETION")
        states = [
            e["tapi-connectivity:connectivity-service"].get("operational-state")
            for e in events
            if "attribute" in str(e)
        ]
        assert {"ENABLED", "DISABLED"} <= set(states)

    in_lab(work, served=True)


@needs_modules
@pytest.mark.realises("A3", "E4")
def test_services_of_the_file_are_shown_like_those_that_clients_open() -> None:
    async def work(lab: Lab) -> None:
        await lab.optics.take_over()
        await lab.run(1)
        quantum, late = await lab.standing("q"), await lab.standing("late")
        assert {row["value-name"]: row["value"] for row in quantum["name"]} == {
            "SERVICE_NAME": "q", "QUANTUM_LINK": "link", "COMPANION_DBM": "-30.0",
        }  # fmt: skip
        assert (quantum["lifecycle-state"], quantum["operational-state"]) == ("INSTALLED", "ENABLED")
        sips = [p["service-interface-point"]["service-interface-point-uuid"] for p in quantum["end-point"]]
        assert sips == [lab.uuid("sip", "a"), lab.uuid("sip", "c")]
        costs = {r["cost-name"]: float(r["cost-value"]) for r in quantum["routing-constraint"]["cost-characteristic"]}
        assert costs == {"LOSS_DB": 9.0, "NOISE_CPS": 90_000.0}
        again = quantum["resilience-constraint"]
        assert (again["hold-off-time"], again["reversion-mode"]) == ("20", "REVERTIVE")
        assert again["wait-to-revert-time"] == {"value": "30", "unit": "SECONDS"}
        assert len(quantum["connection"]) == 1
        # The schedule, and what it waits for.
        assert (late["lifecycle-state"], late["operational-state"]) == ("PLANNED", "DISABLED")
        constraint = late["connectivity-constraint"]
        assert constraint["schedule"] == {
            "start-time": "2026-01-01T00:00:03.000000Z", "end-time": "2026-01-01T00:00:06.000000Z",
        }  # fmt: skip
        assert [row["connectivity-service-uuid"] for row in constraint["diversity-exclusion"]] == [
            lab.uuid("service", "q")
        ]
        spec = late["end-point"][0]["layer-protocol-constraint"][0][MC_SPEC]["mc-bandwidth-config-pac"][0]
        power = spec["power-management-config-pac"]["max-input-power"]["total-power"]
        assert (spec["spectrum-bandwidth"], power) == ("50000000000", "-12.5")
        await lab.run(4)
        assert (await lab.standing("late"))["operational-state"] == "ENABLED"
        lab.cut("ab")
        await lab.run(5)
        assert (await lab.standing("late"))["operational-state"] == "DISABLED"
        await lab.run(7)
        assert await lab.standing("late") is None, "its time is over"
        events = [(e["event-notification-type"].partition("TYPE_")[2], e["target-object-identifier"])
                  for e in (event.content for event in lab.core.streams[STREAM].log)]  # fmt: skip
        created = next(e.content for e in lab.core.streams[STREAM].log)
        assert created["tapi-connectivity:connectivity-service"]["lifecycle-state"] in ("PLANNED", "INSTALLED")
        of_late = [kind for kind, uuid in events if uuid == lab.uuid("service", "late")]
        assert (of_late[0], of_late[-1]) == ("OBJECT_CREATION", "OBJECT_DELETION")
        assert of_late.count("ATTRIBUTE_VALUE_CHANGE") >= 2
        # A client deletes one, as it might its own.
        where = f"{CONTEXT}/{codec.CONNECTIVITY}/connectivity-service={lab.uuid('service', 'q')}"
        assert (await lab.http("DELETE", where)).status == 204
        assert lab.world.ask(api.OTN, api.GetServices()).rows == ()
        assert "q:companion" not in {c.channel for c in lab.world.ask(api.CONTROLLER, api.GetInventory()).channels}

    in_lab(work, served=True, more=SERVICES)


@needs_modules
@pytest.mark.realises("E4", "E5")
def test_services_that_others_open_while_it_serves_come_and_go_in_the_context() -> None:
    async def work(lab: Lab) -> None:
        await lab.optics.take_over()
        only = api.Limits(centres_mhz=(193_100_000,), avoid=("main",), max_latency_ns=400_000)
        lab.world.ask(api.OTN, api.OpenService("theirs", api.CLASSICAL, "a", "c", limits=only))
        await lab.run(1)
        row = await lab.standing("theirs")
        assert (row["lifecycle-state"], row["operational-state"]) == ("INSTALLED", "ENABLED")
        (limits,) = row["topology-constraint"]
        assert [link["link-uuid"] for link in limits["exclude-link"]] == [lab.uuid("span", "ac")]
        assert row["routing-constraint"]["max-allowed-delay"] == {"value": "400"}
        # Another service may be asked to go with it, by its uuid.
        beside = {"connectivity-constraint": {"coroute-inclusion": {
            "connectivity-service-uuid": lab.uuid("service", "theirs")}}}  # fmt: skip
        assert (await lab.post(lab.service("mine", **beside))).status == 204
        await lab.run(2)
        assert (await lab.shown("mine"))["operational-state"] == "ENABLED"
        assert {row.spans for row in lab.world.ask(api.OTN, api.GetServices()).rows} == {("ab", "bc")}
        lab.world.ask(api.OTN, api.CloseService("theirs"))
        await lab.run(3)
        assert await lab.standing("theirs") is None

    in_lab(work, served=True)


@needs_modules
def test_a_quantum_service_moves_its_links_channel_and_a_schedule_ends_it() -> None:
    async def work(lab: Lab) -> None:
        names = [{"value-name": "QUANTUM_LINK", "value": "link"}]
        detour = [
            {"local-id": "t", "exclude-link": [
                {"topology-uuid": lab.uuid("topology", "whole"), "link-uuid": lab.uuid("span", "ac")}
            ]}
        ]  # fmt: skip
        ends = {"schedule": {"end-time": "2026-01-01T00:00:05Z"}}
        row = lab.service(
            "q", name=names, **{"topology-constraint": detour, "connectivity-constraint": ends}
        )  # fmt: skip
        assert (await lab.post(row)).status == 204
        await lab.run(1)
        rows = {c.channel: c for c in lab.world.ask(api.CONTROLLER, api.GetInventory()).channels}
        assert rows["link"].spans == ("ab", "bc")
        await lab.run(6)
        where = f"{CONTEXT}/{codec.CONNECTIVITY}/connectivity-service={row['uuid']}"
        assert (await lab.http("GET", where)).status == 404

    in_lab(work, served=True)


@needs_modules
def test_refusals_are_told_and_observers_only_read() -> None:
    async def work(lab: Lab) -> None:
        lossy = {"routing-constraint": {"cost-characteristic": [{"cost-name": "LOSS_DB", "cost-value": "3"}]}}
        refused = await lab.post(lab.service("lossy", **lossy))
        assert refused.status >= 400
        assert "no-route" in refused.body.decode()
        body = {"tapi-path-computation:input": {"end-point": lab.service("way")["end-point"]}}
        path = f"/restconf/operations/{COMPUTE}"
        assert (await lab.http("POST", path, body)).status == 200
        assert (await lab.http("GET", CONTEXT, role=Role.OBSERVER)).status == 200
        denied = await lab.http("POST", path, body, role=Role.OBSERVER)
        assert denied.status == 403
        assert (await lab.http("GET", CONTEXT, role=Role.KME)).status in (403, 404)

    in_lab(work, served=True)


@needs_modules
def test_teraflows_transport_driver_opens_and_releases_a_channel() -> None:
    """By the requests that it was seen to send; everything that is shown meanwhile is valid TAPI 2.4.0."""

    async def work(lab: Lab) -> None:
        served = TeraFlowTapi(lab.core)

        async def ask(method: str, path: str, body: Any = None) -> Response:
            content = b"" if body is None else json.dumps(body).encode()
            headers = {"accept": "*/*", **({"content-type": "application/json"} if content else {})}
            return await served.handle(Request(method, path, "", headers, content, Role.CONTROLLER.value))

        context = (await ask("GET", CONTEXT)).json()["tapi-common:context"]
        assert context["tapi-connectivity:connectivity-context"]["connectivity-service"] == []
        sips = [sip["uuid"] for sip in context["service-interface-point"]]
        body = teraflow_service(50, sips=(sips[0], sips[2]))
        assert (await ask("POST", f"{CONTEXT}/{codec.CONNECTIVITY}", body)).status == 201
        await lab.run(1)
        await lab.http("GET", CONTEXT)  # valid
        uuid = body["tapi-connectivity:connectivity-service"][0]["uuid"]
        (row,) = (r for r in lab.world.ask(api.OTN, api.GetServices()).rows if r.service == uuid)
        assert (row.enabled, row.width_mhz) == (True, 50_000)
        (shown,) = (await ask("GET", CONTEXT)).json()["tapi-common:context"][codec.CONNECTIVITY]["connectivity-service"]
        assert shown["direction"] == "UNIDIRECTIONAL"
        where = f"{CONTEXT}/{codec.CONNECTIVITY}/connectivity-service={uuid}"
        assert (await ask("DELETE", where)).status == 204
        await lab.run(2)
        assert uuid not in {r.service for r in lab.world.ask(api.OTN, api.GetServices()).rows}

    in_lab(work, served=True)
