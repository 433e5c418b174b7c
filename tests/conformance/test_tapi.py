"""ONF TAPI 2.4.0 over RESTCONF: context, topology, services from PLANNED to removal, paths, notifications.

TAPI's modules are not part of quoit: tests that need them run if QUOIT_TAPI_YANG names a directory with release 2.4.0.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from heapq import heappop, heappush
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

import pytest
from yangson import DataModel
from yangson.enumerations import ContentType

from quoit.interfaces.restconf.access import writers
from quoit.interfaces.restconf.core import Restconf
from quoit.interfaces.restconf.errors import RestconfError
from quoit.interfaces.restconf.exchange import Request, Response
from quoit.interfaces.restconf.library import ModuleSet, mend_leafrefs, mend_object_types
from quoit.interfaces.restconf.schema import Schema
from quoit.interfaces.tapi import codec
from quoit.interfaces.tapi.filters import EventFilter, subscriptions_of
from quoit.interfaces.tapi.optics import Lifecycle, Link, Network, Node, PathWish, Service, Sip, Wish
from quoit.interfaces.tapi.provider import COMPUTE, STREAM, TapiProvider
from quoit.model.problem import Problem

YANG = os.environ.get("QUOIT_TAPI_YANG", "")
needs_modules = pytest.mark.skipif(not YANG, reason="QUOIT_TAPI_YANG names no directory with TAPI 2.4.0's modules")
CONTEXT = "/restconf/data/tapi-common:context"
JSON = {"content-type": "application/yang-data+json"}


def uuid(name: str) -> str:
    return str(uuid5(NAMESPACE_DNS, name))


def link(a: str, b: str, loss_db: float, duct: str = "") -> Link:
    costs = {"LOSS_DB": loss_db, "FIBRE_LENGTH_KM": loss_db * 4}
    return Link(uuid(a + b), f"{a}-{b}", (uuid(a), uuid(b)), costs, loss_db * 20, (duct or a + b,))


SQUARE = Network(
    uuid("T0"),
    "T0",
    tuple(Node(uuid(n), n) for n in "abcd"),
    (link("a", "b", 3.0), link("b", "c", 3.0), link("a", "d", 5.0), link("d", "c", 5.0)),
    tuple(Sip(uuid("sip" + n), f"sip-{n}", uuid(n)) for n in "abc"),
)


class Bench:
    """An optical network in memory, for tests: one service a link, light after somebody says `lit`."""

    def __init__(self) -> None:
        self.map = SQUARE
        self.standing: dict[str, Service] = {}

    def network(self) -> Network:
        return self.map

    def services(self) -> Mapping[str, Service]:
        return self.standing

    async def open(self, wish: Wish) -> None:
        used = {used for service in self.standing.values() for used in service.route}
        (route,) = self._routes(wish.ends, used, 1)
        self.standing[wish.uuid] = Service(Lifecycle.PLANNED, False, route)

    async def close(self, uuid: str) -> None:
        self.standing.pop(uuid, None)

    async def paths(self, wish: PathWish) -> tuple[tuple[str, ...], ...]:
        return self._routes(wish.ends, set(), 2)

    def _routes(self, ends: tuple[str, str], used: set[str], most: int) -> tuple[tuple[str, ...], ...]:
        """Least loss first, the next ones without a link of those before."""
        places = {sip.uuid: sip.node for sip in self.map.sips}
        if not set(ends) <= set(places):
            raise Problem("no-such-element", "no such service interface point")
        found: list[tuple[str, ...]] = []
        while len(found) < most and (route := self._route(places[ends[0]], places[ends[1]], used)):
            found.append(route)
            used = used | set(route)
        if not found:
            raise Problem("no-route", "no free fibres from end to end")
        return tuple(found)

    def _route(self, start: str, end: str, used: set[str]) -> tuple[str, ...]:
        heap: list[tuple[float, str, tuple[str, ...]]] = [(0.0, start, ())]
        seen = set()
        while heap:
            loss, node, route = heappop(heap)
            if node == end:
                return route
            if node in seen:
                continue
            seen.add(node)
            for hop in self.map.links:
                if node in hop.ends and hop.up and hop.uuid not in used:
                    other = hop.ends[1] if hop.ends[0] == node else hop.ends[0]
                    heappush(heap, (loss + hop.costs["LOSS_DB"], other, (*route, hop.uuid)))
        return ()


def points(a: str, b: str) -> list[dict[str, Any]]:
    qualifier = "tapi-photonic-media:PHOTONIC_LAYER_QUALIFIER_MC"
    return [
        {
            "local-id": end,
            "layer-protocol-name": "PHOTONIC_MEDIA",
            "layer-protocol-qualifier": qualifier,
            "direction": "BIDIRECTIONAL",
            "role": "SYMMETRIC",
            "service-interface-point": {"service-interface-point-uuid": uuid("sip" + end)},
        }
        for end in (a, b)
    ]


def service(name: str, a: str = "a", b: str = "c", **more: Any) -> dict[str, Any]:
    return {"uuid": uuid(name), "end-point": points(a, b), **more}


# -- without the modules ------------------------------------------------------------------------------------


def test_leafrefs_of_tapi_are_mended_once() -> None:
    text = "leaf x { type leafref { path '/tapi-common:context/x'; } }"
    mended = mend_leafrefs(text)
    assert mended == "leaf x { type leafref { path '/tapi-common:context/x'; require-instance false; } }"
    assert mend_leafrefs(mended) == mended


def test_object_types_get_the_prefix_of_their_module_once() -> None:
    text = """when 'derived-from-or-self(tapi-notification:target-object-type, "OBJECT_TYPE_PROFILE")';"""
    mended = mend_object_types(text)
    assert mended == text.replace("OBJECT", "tapi-common:OBJECT")
    assert mend_object_types(mended) == mended


def test_a_routes_ends_are_found_in_either_direction_of_its_links() -> None:
    ab, bc, ad, dc = (item.uuid for item in SQUARE.links)
    assert codec.route_ends(SQUARE, (ab, bc)) == (uuid("a"), uuid("c"))
    assert codec.route_ends(SQUARE, (dc, ad)) == (uuid("c"), uuid("a"))
    assert codec.route_ends(SQUARE, (ad,)) == (uuid("a"), uuid("d"))


@pytest.mark.parametrize(
    "wrong",
    [
        service("s", "a", "a"),
        {"uuid": uuid("s"), "end-point": [{"local-id": "a"}, {"local-id": "b"}]},
        service(
            "s",
            **{
                "connectivity-constraint": {
                    "schedule": {"start-time": "2026-01-02T00:00:00Z", "end-time": "2026-01-01T00:00:00Z"}
                }
            },
        ),
    ],
)
def test_services_without_two_ends_or_with_times_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(RestconfError):
        codec.wishes_of({codec.CONTEXT: {codec.CONNECTIVITY: {"connectivity-service": [wrong]}}})


# -- with the modules ---------------------------------------------------------------------------------------


@cache
def models() -> tuple[Schema, DataModel]:
    modules = ModuleSet.of(codec.MODULES, [Path(YANG)])
    return Schema(modules), modules.load()


class Site:
    """A TAPI server over a bench; all that it shows is checked against a second model."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.provider = TapiProvider(self.bench, lambda: datetime(2026, 1, 31, tzinfo=UTC))
        schema, self.other = models()
        self.core = Restconf(
            schema,
            [self.provider],
            now=lambda: datetime(2026, 1, 31, tzinfo=UTC),
            access=writers({"cnc"}),
            streams={STREAM: "The optical network."},
            initial={codec.CONTEXT: {"uuid": uuid("context")}},
        )
        self.provider.attach(self.core)

    async def ask(self, method: str, path: str, body: Any = None) -> Response:
        content = b"" if body is None else json.dumps(body).encode()
        headers = JSON if content else {}
        response = await self.core.handle(Request(method, path, "", headers, content, "cnc"))
        whole = await self.core.handle(Request("GET", "/restconf/data", caller="cnc"))
        self.other.from_raw(whole.json()["ietf-restconf:data"]).validate(ctype=ContentType.all)
        return response

    async def shown(self, name: str) -> dict[str, Any]:
        path = f"{CONTEXT}/{codec.CONNECTIVITY}/connectivity-service={uuid(name)}"
        response = await self.ask("GET", path)
        assert response.status == 200, response.body
        found: dict[str, Any] = response.json()["tapi-connectivity:connectivity-service"][0]
        return found

    async def post(self, *services: dict[str, Any]) -> Response:
        body = {codec.CONNECTIVITY: {"connectivity-service": list(services)}}
        return await self.ask("PATCH", CONTEXT, {codec.CONTEXT: body})

    def lit(self, name: str) -> None:
        self.bench.standing[uuid(name)] = replace(
            self.bench.standing[uuid(name)], lifecycle=Lifecycle.INSTALLED, enabled=True
        )
        self.provider.stands(uuid(name), self.bench.standing[uuid(name)])

    def told(self) -> list[tuple[str, str]]:
        events = [event.content for event in self.core.streams[STREAM].log]
        return [(e["event-notification-type"].partition("TYPE_")[2], e["target-object-identifier"]) for e in events]


def at_site(work: Callable[[Site], Awaitable[None]]) -> None:
    async def run() -> None:
        site = Site()
        await work(site)
        await site.core.close()

    asyncio.run(run())


@needs_modules
def test_context_and_topology_are_valid_and_complete() -> None:
    async def work(site: Site) -> None:
        context = (await site.ask("GET", CONTEXT)).json()[codec.CONTEXT]
        assert len(context["service-interface-point"]) == 3
        (topology,) = context[codec.TOPOLOGY]["topology"]
        assert [len(topology[k]) for k in ("node", "link")] == [4, 4]
        assert topology["link"][0]["cost-characteristic"][0] == {"cost-name": "LOSS_DB", "cost-value": "3"}
        site.bench.map = replace(SQUARE, links=(replace(SQUARE.links[0], up=False), *SQUARE.links[1:]))
        cut = f"{CONTEXT}/{codec.TOPOLOGY}/topology={uuid('T0')}/link={uuid('ab')}/operational-state"
        assert (await site.ask("GET", cut)).json() == {"tapi-topology:operational-state": "DISABLED"}

    at_site(work)


@needs_modules
def test_a_service_goes_from_planned_to_installed_to_deleted_and_is_told() -> None:
    async def work(site: Site) -> None:
        where = f"{CONTEXT}/{codec.CONNECTIVITY}"
        body = {codec.CONNECTIVITY: {"connectivity-service": [service("one")]}}
        assert (await site.ask("POST", CONTEXT, body)).status == 201
        planned = await site.shown("one")
        assert (planned["lifecycle-state"], planned["operational-state"]) == ("PLANNED", "DISABLED")
        site.lit("one")
        standing = await site.shown("one")
        assert (standing["lifecycle-state"], standing["operational-state"]) == ("INSTALLED", "ENABLED")
        assert len(standing["connection"]) == 1
        assert (await site.ask("DELETE", f"{where}/connectivity-service={uuid('one')}")).status == 204
        assert not site.bench.standing
        kinds = ("OBJECT_CREATION", "ATTRIBUTE_VALUE_CHANGE", "OBJECT_DELETION")
        assert site.told() == [(kind, uuid("one")) for kind in kinds]

    at_site(work)


@needs_modules
def test_what_the_network_cannot_do_is_refused_and_leaves_nothing() -> None:
    async def work(site: Site) -> None:
        assert (await site.post(service("one"), service("two"))).status == 204
        full = await site.post(service("three"), service("four", "a", "b"))
        assert (full.status, "no-route" in full.body.decode()) == (500, True)
        assert set(site.bench.standing) == {uuid("one"), uuid("two")}
        changed = await site.post({"uuid": uuid("one"), "administrative-state": "LOCKED"})
        assert (changed.status, "not-supported" in changed.body.decode()) == (501, True)
        named = await site.post({"uuid": uuid("one"), "name": [{"value-name": "N", "value": "n"}]})
        assert named.status == 204
        sip = {codec.CONTEXT: {"service-interface-point": [{"uuid": uuid("new")}]}}
        assert (await site.ask("PATCH", CONTEXT, sip)).status == 501

    at_site(work)


@needs_modules
def test_a_service_whose_time_is_over_is_taken_out() -> None:
    async def work(site: Site) -> None:
        schedule = {"start-time": "2026-01-01T00:00:00Z", "end-time": "2026-02-01T00:00:00Z"}
        await site.post(service("one", **{"connectivity-constraint": {"schedule": schedule}}))
        site.bench.standing[uuid("one")] = Service(Lifecycle.PENDING_REMOVAL, True, (uuid("ab"), uuid("bc")))
        assert (await site.shown("one"))["lifecycle-state"] == "PENDING_REMOVAL"
        await site.provider.retire(uuid("one"))
        await site.provider.retire(uuid("one"))
        assert not site.bench.standing
        where = f"{CONTEXT}/{codec.CONNECTIVITY}/connectivity-service={uuid('one')}"
        assert (await site.ask("GET", where)).status == 404

    at_site(work)


@needs_modules
def test_paths_are_computed_for_a_service_of_their_own_and_by_operation() -> None:
    async def work(site: Site) -> None:
        body = {codec.PATHS: {"path-comp-service": [service("way")]}}
        assert (await site.ask("POST", CONTEXT, body)).status == 201
        found = (await site.ask("GET", f"{CONTEXT}/{codec.PATHS}")).json()[codec.PATHS]
        assert len(found["path-comp-service"][0]["path"]) == 2
        losses = [p["routing-constraint"]["cost-characteristic"][0]["cost-value"] for p in found["path"]]
        assert losses == ["6", "10"]
        given = {"tapi-path-computation:input": {"end-point": points("a", "b")}}
        done = await site.ask("POST", f"/restconf/operations/{COMPUTE}", given)
        assert done.status == 200, done.body
        assert len(done.json()["tapi-path-computation:output"]["service"]["path"]) == 2

    at_site(work)


@needs_modules
def test_a_subscription_of_tapi_names_the_stream() -> None:
    async def work(site: Site) -> None:
        body = {codec.NOTIFICATIONS: {"notif-subscription": [{"uuid": uuid("sub")}]}}
        assert (await site.ask("POST", CONTEXT, body)).status == 201
        found = (await site.ask("GET", f"{CONTEXT}/{codec.NOTIFICATIONS}")).json()[codec.NOTIFICATIONS]
        (row,) = found["notif-subscription"]
        assert row["notification-channel"]["stream-address"] == f"/restconf/streams/{STREAM}/json"

    at_site(work)


@needs_modules
@pytest.mark.realises("E4")
def test_a_subscription_with_filters_has_a_stream_with_what_passes_them() -> None:
    async def work(site: Site) -> None:
        kinds = "tapi-notification:NOTIFICATION_TYPE_"
        filters = [
            {"local-id": "gone", "requested-notification-types": [f"{kinds}OBJECT_DELETION"]},
            {"local-id": "that one", "requested-object-identifier": [uuid("s2")]},
        ]
        body = {codec.NOTIFICATIONS: {"notif-subscription": [{"uuid": uuid("sub"), "subscription-filter": filters}]}}
        assert (await site.ask("POST", CONTEXT, body)).status == 201
        found = (await site.ask("GET", f"{CONTEXT}/{codec.NOTIFICATIONS}")).json()[codec.NOTIFICATIONS]
        name = f"{STREAM}-{uuid('sub')}"
        channel = found["notif-subscription"][0]["notification-channel"]
        assert channel["stream-address"] == f"/restconf/streams/{name}/json"
        for one in ("s1", "s2"):
            where = f"{CONTEXT}/{codec.CONNECTIVITY}"
            verb = "POST" if one == "s2" else "PUT"
            rows = {"connectivity-service": [service(one)]}
            body = (
                {f"tapi-connectivity:{k}": v for k, v in rows.items()} if verb == "POST" else {codec.CONNECTIVITY: rows}
            )
            assert (await site.ask(verb, where, body)).status < 300
        assert (await site.ask("DELETE", f"{where}/connectivity-service={uuid('s1')}")).status == 204
        heard = [
            (e.content["event-notification-type"].removeprefix(kinds), e.content["target-object-identifier"])
            for e in site.core.streams[name].log
        ]
        assert heard == [("OBJECT_CREATION", uuid("s2")), ("OBJECT_DELETION", uuid("s1"))]
        assert len(site.core.streams[STREAM].log) >= 3
        silent = [{"uuid": uuid("sub"), "subscription-filter": [{"local-id": "x", "include-content": False}]}]
        where = f"{CONTEXT}/{codec.NOTIFICATIONS}"
        refused = await site.ask("PUT", where, {codec.NOTIFICATIONS: {"notif-subscription": silent}})
        assert refused.status == 501
        assert name in site.core.streams, "what is refused has changed nothing"
        assert (await site.ask("DELETE", where)).status == 204
        assert name not in site.core.streams

    at_site(work)


def test_filters_of_events_want_what_they_name_and_nothing_else_matters() -> None:
    event = {
        "event-notification-type": "tapi-notification:NOTIFICATION_TYPE_OBJECT_CREATION",
        "target-object-type": "tapi-connectivity:CONNECTIVITY_OBJECT_TYPE_CONNECTIVITY_SERVICE",
        "layer-protocol-name": "PHOTONIC_MEDIA",
        "target-object-identifier": "u",
    }
    assert EventFilter().passes(event)
    assert EventFilter(frozenset({"NOTIFICATION_TYPE_OBJECT_CREATION"}), uuids=frozenset({"u", "v"})).passes(event)
    assert not EventFilter(frozenset({"NOTIFICATION_TYPE_OBJECT_DELETION"})).passes(event)
    assert not EventFilter(layers=frozenset({"ODU"})).passes(event)
    with pytest.raises(Problem, match="at most 64"):
        subscriptions_of({"notif-subscription": [{"uuid": str(n)} for n in range(65)]})
