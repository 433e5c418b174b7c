"""The orchestrator over RESTCONF: every answer is valid by its module, operations go through, both sides plan works."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any

import pytest

from quoit.connectivity import api
from quoit.interfaces.orchestration.codec import DEPLOY, MODULE, OPERATIONS, decimal, span_notice
from quoit.interfaces.orchestration.provider import OrchestrationProvider
from quoit.interfaces.restconf.access import writers
from quoit.interfaces.restconf.core import Restconf
from quoit.interfaces.restconf.exchange import Request
from quoit.interfaces.restconf.library import ModuleSet
from quoit.interfaces.restconf.schema import Schema
from quoit.orchestration.api import SpanSeen, orchestrator
from quoit.scenario.fate import FATE, Strike
from quoit.sdk import VirtualNetwork, virtual_network

NETWORK = """
quoit: 1
name: square
nodes: {a: {}, b: {}, c: {}, d: {}, e: {joins: token}}
spans:
  - {name: ab, between: [a, b], length: 10 km, duct: tunnel}
  - {name: bd, between: [b, d], length: 10 km}
  - {name: ac, between: [a, c], length: 10 km}
  - {name: cd, between: [c, d], length: 10 km}
  - {name: de, between: [d, e], length: 10 km}
links:
  - {name: ab, between: [a, b], protocol: rated, rate: 20 kbit/s}
  - {name: bd, between: [b, d], protocol: rated, rate: 20 kbit/s}
  - {name: ac, between: [a, c], protocol: rated, rate: 10 kbit/s}
  - {name: cd, between: [c, d], protocol: rated, rate: 10 kbit/s}
  - {name: de, between: [d, e], protocol: rated, rate: 10 kbit/s}
applications: [{sae: alice, kme: kme-a}, {sae: dan, kme: kme-d}]
"""
DATA = {"accept": "application/yang-data+json", "content-type": "application/yang-data+json"}


@pytest.fixture(scope="module")
def schema() -> Schema:
    return Schema(ModuleSet.of([MODULE]))


class Server:
    def __init__(self, network: VirtualNetwork, schema: Schema) -> None:
        self.network = network
        self.provider = OrchestrationProvider(network.gate, orchestrator())
        self.core = Restconf(
            schema,
            [self.provider],
            now=lambda: self.provider.when(network.now_ns),
            access=writers({"otn"}),
        )

    async def ask(self, method: str, path: str, body: Any = None, caller: str = "otn") -> tuple[int, Any]:
        sent = b"" if body is None else json.dumps(body).encode()
        answer = await self.core.handle(Request(method, f"/restconf{path}", "", DATA, sent, caller))
        return answer.status, json.loads(answer.body) if answer.body else None

    async def get(self, path: str) -> Any:
        status, body = await self.ask("GET", f"/data/{MODULE}:{path}")
        assert status == 200, body
        return next(iter(body.values()))

    async def call(self, operation: str, **given: Any) -> tuple[int, Any]:
        status, body = await self.ask("POST", f"/operations/{MODULE}:{operation}", {f"{MODULE}:input": given})
        return status, body if status >= 300 else (body or {}).get(f"{MODULE}:output")


def played(schema: Schema, story: Callable[[Server], Awaitable[None]], text: str = NETWORK) -> None:
    network = virtual_network(text)
    network.run_for(20)
    asyncio.run(_play(Server(network, schema), story))


async def _play(server: Server, story: Callable[[Server], Awaitable[None]]) -> None:
    await story(server)


def test_names_are_those_that_are_known_of_018_and_the_namespace_is_not() -> None:
    text = resources.files("quoit.interfaces.restconf").joinpath("yang", "quoit", f"{MODULE}.yang").read_text("utf-8")
    for name in ("qkd_network", "sdqkd_nodes", "qkdn", "qkdi", "qkd_links", "qkd_phys_links", "phys_link",
                 "phys_link_local_qkdn", "phys_link_remote_qkdn", "qkd_svc_links", "svc_link", "qkd_app"):  # fmt: skip
        assert re.search(rf"(container|list|leaf) {name} ", text), name
    assert len([name for name in OPERATIONS if re.search(rf"rpc {name.partition(':')[2]} ", text)]) == len(OPERATIONS)
    assert "urn:etsi" not in text
    assert "no conformance is claimed" in " ".join(text.split())


@pytest.mark.realises("A5", "E5")
def test_the_view_is_valid_and_has_all_strata(schema: Schema) -> None:
    async def story(server: Server) -> None:
        network = await server.get("qkd_network")
        nodes = {node["qkdn_id"]: node for node in network["sdqkd_nodes"]["qkdn"]}
        assert (nodes["a"]["kind"], nodes["a"]["application"], nodes["a"]["joined"]) == ("endpoint", ["alice"], True)
        assert nodes["e"]["joined"] is False
        links = {link["phys_link_id"]: link for link in network["qkd_links"]["qkd_phys_links"]["phys_link"]}
        assert (links["ab"]["phys_link_local_qkdn"], links["ab"]["phys_link_remote_qkdn"]) == ("a", "b")
        assert (links["ab"]["enable"], links["ab"]["performance"]["skr"], links["ab"]["span"]) == (
            True,
            "20000.0",
            ["ab"],
        )
        assert (links["de"]["commissioned"], links["de"]["enable"]) == (False, False)
        optical = await server.get("optical-topology")
        spans = {span["name"]: span for span in optical["span"]}
        assert (spans["ab"]["shared-risk"], spans["ab"]["loss"], spans["ab"]["state"]) == (["tunnel"], "2.5", "lit")
        assert {channel["kind"] for channel in optical["channel"]} == {"quantum"}
        # what is shown is validated against the module by the server, and by itself here
        status, whole = await server.ask("GET", "/data")
        assert status == 200
        assert {f"{MODULE}:qkd_network", f"{MODULE}:optical-topology"} <= whole["ietf-restconf:data"].keys()

    played(schema, story)


@pytest.mark.realises("A5", "E5", "C4")
def test_an_application_is_registered_linked_and_put_on_a_path(schema: Schema) -> None:
    async def story(server: Server) -> None:
        status, out = await server.call("app-registration", app_id="alice", peer_app_id="dan", bandwidth="1000.0")
        assert (status, out) == (200, {"app_id": "alice", "local_qkdn": "a", "remote_qkdn": "d"})
        _, out = await server.call("create-service-link-id-for-app", app_id="alice")
        link = out["svc_link_id"]
        assert (await server.call("create-service-link-id-for-app", app_id="alice"))[1] == {"svc_link_id": link}
        find = "create-candidate-paths-per-service-link-for-app"
        _, out = await server.call(find, svc_link_id=link, number=8)
        paths = [(path["path_id"], path["qkdn"], path["skr"]) for path in out["candidate_path"]]
        assert paths == [(1, ["a", "b", "d"], "20000.0"), (2, ["a", "c", "d"], "10000.0")], "the wider one first"
        _, out = await server.call(find, svc_link_id=link, exclude_qkdn=["b"])
        assert [path["phys_link"] for path in out["candidate_path"]] == [["ac", "cd"]]
        status, body = await server.call(find, svc_link_id=link, include_qkdn=["e"])
        assert (status, "not up: de" in json.dumps(body)) == (500, True)
        status, out = await server.call(DEPLOY.partition(":")[2], svc_link_id=link, path_id=1)
        assert (status, out["state"], out["qkdn"]) == (200, "deployed", ["a", "c", "d"])
        (shown,) = (await server.get("qkd_network/qkd_links/qkd_svc_links"))["svc_link"]
        assert (shown["svc_link_id"], shown["app_id"], shown["route"][0]["qkdn"]) == (link, "alice", ["a", "c", "d"])
        reserved = (await server.get("qkd_network/qkd_links/qkd_phys_links/phys_link=ac"))[0]["performance"]
        assert (reserved["skr"], reserved["eskr"]) == ("10000.0", "9000.0")
        for operation, given in (
            (DEPLOY.partition(":")[2], {"svc_link_id": link, "path_id": 1}),
            ("app-registration", {"app_id": "alice", "peer_app_id": "dan", "bandwidth": "1.0"}),
        ):
            assert (await server.call(operation, **given))[0] == 409, "it stands"
        assert (await server.call("release-service-link", svc_link_id=link)) == (204, None)
        assert await server.get("qkd_apps") == {}
        assert (await server.call("release-service-link", svc_link_id=link))[0] == 404
        assert (await server.call("app-registration", app_id="alice", peer_app_id="eve", bandwidth="1.0"))[0] == 400

    played(schema, story)


def works(target: str, **more: Any) -> dict[str, Any]:
    row = {"works-id": "w1", "side": "optical", "kind": "span", "target": target, "from": "2026-01-01T01:00:00Z"}
    return {f"{MODULE}:works": [row | {"until": "2026-01-01T02:00:00+00:00", "force": True} | more]}


WORKS = f"/data/{MODULE}:planned-works"


@pytest.mark.realises("E5")
def test_the_optical_side_plans_works_and_hears_what_they_touch(schema: Schema) -> None:
    async def story(server: Server) -> None:
        assert (await server.ask("POST", WORKS, works("ab")))[0] == 201
        (row,) = (await server.get("planned-works"))["works"]
        assert (row["touched-link"], row["state"], row["stuck"]) == (["ab"], "announced", ["ab"])
        status, body = await server.ask("PUT", f"{WORKS}/works=w1", works("zz"))
        assert (status, "no span is called" in json.dumps(body)) == (404, True)
        assert (await server.get("planned-works"))["works"] == [row], "what is refused has changed nothing"
        status, body = await server.ask("PUT", f"{WORKS}/works=w1", works("bd", force=False))
        assert (status, "bd cannot give way" in json.dumps(body)) == (409, True)
        assert (await server.get("planned-works"))["works"] == [row]
        assert (await server.ask("PUT", f"{WORKS}/works=w1", works("bd")))[0] == 204
        assert (await server.get("planned-works"))["works"][0]["touched-link"] == ["bd"]
        assert (await server.ask("DELETE", f"{WORKS}/works=w1"))[0] == 204
        assert await server.get("planned-works") == {}
        assert (await server.ask("POST", WORKS, works("ab"), caller="observer"))[0] == 403
        late = works("ab", until="2026-01-01T00:30:00Z")
        assert (await server.ask("POST", WORKS, late))[0] == 400

    played(schema, story)


@pytest.mark.realises("E5")
def test_works_of_the_quantum_side_and_of_the_plant_are_in_the_same_list(schema: Schema) -> None:
    async def story(server: Server) -> None:
        quantum = works("b", side="quantum", kind="node", lead=10)
        assert (await server.ask("POST", WORKS, quantum))[0] == 201
        (row,) = (await server.network.gate.ask(api.WORKS, api.GetWorks())).rows
        assert (row.side, row.spans, row.links, row.lead_ns) == ("quantum", (), ("ab", "bd"), 10 * 10**9)
        order = api.AnnounceWorks("dig", ("ac", "cd"), 7200 * 10**9, 7300 * 10**9, force=True)
        await server.network.gate.ask(api.WORKS, order)
        shown = {one["works-id"]: one for one in (await server.get("planned-works"))["works"]}
        assert (shown["dig"]["side"], shown["dig"]["target"], shown["dig"]["touched-link"]) == (
            "optical", "ac cd", ["ac", "cd"],
        )  # fmt: skip
        # Once it has been heard of, it is configuration like any other: whoever may plan works may end it.
        await server.provider.take_over(server.core)
        assert (await server.ask("DELETE", f"{WORKS}/works=dig"))[0] == 204
        rows = (await server.network.gate.ask(api.WORKS, api.GetWorks())).rows
        assert {one.works: one.state for one in rows} == {"w1": "announced", "dig": "given-back"}
        await server.network.gate.ask(api.WORKS, api.EndWorks("w1"))
        await server.provider.take_over(server.core)
        assert await server.get("planned-works") == {}

    played(schema, story)


PLANT = """
plant:
  services:
    - {name: guarded, link: ab, max_loss: 12 dB, restoration: {hold_off: 20 ms}}
    - {name: night, from: b, to: d, at: 1h, until: 2h}
links:"""


@pytest.mark.realises("A5", "E5")
def test_the_quantum_side_sees_the_optical_networks_services_and_hears_of_dark_spans(schema: Schema) -> None:
    async def story(server: Server) -> None:
        rows = {row["name"]: row for row in (await server.get("optical-topology"))["service"]}
        assert (rows["guarded"]["channel"], rows["guarded"]["lifecycle"], rows["guarded"]["enabled"]) == (
            "ab", "INSTALLED", True,
        )  # fmt: skip
        assert (rows["night"]["lifecycle"], rows["night"]["start"], rows["night"]["end"]) == (
            "PLANNED", "2026-01-01T01:00:00.000000Z", "2026-01-01T02:00:00.000000Z",
        )  # fmt: skip
        heard: list[SpanSeen] = []
        watch = server.network.twin.kernel.watchers
        watch.append(lambda subject, msg: heard.append(msg) if isinstance(msg, SpanSeen) else None)
        await server.network.gate.ask(FATE, Strike("cut", "ab"))
        await server.network.gate.sleep(2)
        rows = {row["name"]: row for row in (await server.get("optical-topology"))["service"]}
        assert rows["guarded"]["span"] == ["ac", "cd", "bd"]
        await server.network.gate.ask(FATE, Strike("splice", "ab"))
        await server.network.gate.sleep(2)
        assert [(one.span, one.state) for one in heard] == [("ab", "dark"), ("ab", "lit")]
        assert heard[0].links == ("ab",)
        for one in heard:  # valid by the module
            server.core.publish(f"{MODULE}:span-state", span_notice(one))

    played(schema, story, NETWORK.replace("\nlinks:", PLANT))


def test_decimals_are_canonical() -> None:
    shown = {0.0: "0.0", 1.5: "1.5", 1e-9: "0.000000001", 1e12: "1000000000000.0", 1 / 3: "0.333333333"}
    assert {value: decimal(value, 9) for value in shown} == shown
