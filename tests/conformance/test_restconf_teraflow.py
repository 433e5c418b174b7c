"""What TeraFlowSDN's QKD driver sends and expects, and that none of it is taken where the switch is off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest

from quoit.interfaces.restconf.access import writers
from quoit.interfaces.restconf.core import Restconf
from quoit.interfaces.restconf.exchange import Request, Response
from quoit.interfaces.restconf.library import ModuleSet
from quoit.interfaces.restconf.providers import Fixed
from quoit.interfaces.restconf.schema import Schema
from quoit.interfaces.restconf.teraflow import TeraFlow

NODE = "11111111-1111-4111-8111-111111111111"
LINK = "22222222-1111-4111-8111-111111111111"
HERE = "/restconf/data/etsi-qkd-sdn-node:qkd_node"
WRAPPED = {
    "qkd_links": {
        "qkd_link": [
            {
                "qkdl_id": LINK,
                "qkdl_type": "etsi-qkd-node-types:VIRT",
                "qkdl_local": {"qkdn_id": NODE, "qkdi_id": None},
                "virt_prev_hop": None,
                "virt_next_hop": [NODE],
                "virt_bandwidth": 0,
            }
        ]
    }
}


@cache
def schema() -> Schema:
    return Schema(ModuleSet.of(["etsi-qkd-sdn-node"]))


def with_agent(work: Callable[[Callable[..., Awaitable[Response]]], Awaitable[None]], *, switch: bool = True) -> None:
    async def run() -> None:
        core = Restconf(
            schema(),
            [Fixed({"etsi-qkd-sdn-node:qkd_node": {"qkdn_status": "etsi-qkd-node-types:NEW"}})],
            now=lambda: datetime(2026, 1, 31, tzinfo=UTC),
            access=writers({"tfs"}),
            initial={
                "etsi-qkd-sdn-node:qkd_node": {"qkdn_id": NODE, "qkd_interfaces": {"qkd_interface": [{"qkdi_id": 1}]}}
            },
        )
        handler = TeraFlow(core) if switch else core

        async def ask(method: str, path: str, body: Any = None, accept: str = "*/*") -> Response:
            headers = {"accept": accept, **({"content-type": "application/json"} if body is not None else {})}
            content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
            return await handler.handle(Request(method, path, "", headers, content, "tfs"))

        await work(ask)
        await core.close()

    asyncio.run(run())


def test_reads_with_a_slash_at_the_end_get_unqualified_names() -> None:
    async def work(ask: Any) -> None:
        node = await ask("GET", HERE)
        assert (node.status, node.header("content-type")) == (200, "application/json")
        assert node.json()["qkd_node"]["qkdn_status"] == "etsi-qkd-node-types:NEW"
        assert (await ask("GET", HERE + "/qkd_interfaces/")).json() == {
            "qkd_interfaces": {"qkd_interface": [{"qkdi_id": 1}]}
        }
        assert (await ask("GET", HERE + "/qkd_links/")).json() == {"qkd_links": {"qkd_link": []}}
        assert (await ask("GET", HERE + "/qkd_applications")).json() == {"qkd_applications": {"qkd_app": []}}
        for nothing in ("/qkd_applications/qkd_app", f"/qkd_links/qkd_link={LINK}/qkdl_performance", "/other/"):
            assert (await ask("GET", HERE + nothing)).status == 404

    with_agent(work)


def test_the_node_read_with_a_slash_has_its_leaves_at_the_top_too() -> None:
    async def work(ask: Any) -> None:
        body = (await ask("GET", HERE + "/")).json()
        assert body["qkdn_id"] == body["qkd_node"]["qkdn_id"] == NODE
        assert list((await ask("GET", HERE)).json()) == ["qkd_node"]

    with_agent(work)


def test_attachment_points_have_the_name_by_which_the_driver_finds_interfaces() -> None:
    async def work(ask: Any) -> None:
        point = {"device": "ab", "port": 2}
        made = {"qkd_interface": [{"qkdi_id": 2, "qkdi_att_point": point}]}
        assert (await ask("POST", HERE + "/qkd_interfaces", made)).status == 201
        _, second = (await ask("GET", HERE + "/qkd_interfaces/")).json()["qkd_interfaces"]["qkd_interface"]
        assert second["qkdi_att_point"] == {**point, "uuid": "ab:2"}
        again = await ask("PUT", HERE + "/qkd_interfaces/qkd_interface=2", {"qkd_interface": [second]})
        assert again.status == 204, again.body  # what was read may be written

    with_agent(work)


def test_of_the_hops_to_the_last_node_the_first_is_the_next_hop() -> None:
    async def work(ask: Any) -> None:
        hops = ["33333333-1111-4111-8111-111111111111", "44444444-1111-4111-8111-111111111111"]
        wrapped = json.loads(json.dumps(WRAPPED))
        wrapped["qkd_links"]["qkd_link"][0]["virt_next_hop"] = hops
        assert (await ask("POST", HERE + "/qkd_links/", wrapped)).status == 201
        (link,) = (await ask("GET", HERE + "/qkd_links/")).json()["qkd_links"]["qkd_link"]
        assert link["virt_next_hop"] == hops[:1]

    with_agent(work)


def test_a_link_is_made_by_a_wrapped_post_with_nulls_once() -> None:
    async def work(ask: Any) -> None:
        assert (await ask("POST", HERE + "/qkd_links/", WRAPPED)).status == 201
        (link,) = (await ask("GET", HERE + "/qkd_links/")).json()["qkd_links"]["qkd_link"]
        assert link["virt_next_hop"] == [NODE]
        assert "virt_prev_hop" not in link
        again = await ask("POST", HERE + "/qkd_links/", WRAPPED)
        assert (again.status, "data-exists" in again.body.decode()) == (409, True)

    with_agent(work)


def test_a_node_is_patched_below_its_modules_name() -> None:
    async def work(ask: Any) -> None:
        patch = {"qkd_node": {"qkdn_version": "2", "qkdn_location_id": None}}
        assert (await ask("PATCH", "/restconf/data/etsi-qkd-sdn-node:", patch)).status == 204
        assert (await ask("GET", HERE + "/qkdn_version")).json() == {"qkdn_version": "2"}
        assert (await ask("PUT", HERE + "/qkdn_version", {"qkdn_version": "3"})).status == 204
        made = await ask("POST", HERE + "/qkd_interfaces", {"qkd_interface": [{"qkdi_id": 2}]})
        assert made.status == 201

    with_agent(work)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        {"qkd_links": {"nothing": []}},
        {"qkd_links": {"qkd_link": [{}]}},
        {"qkd_links": {"qkd_link": 3}},
        {"qkd_links": {"qkd_link": [3]}},
        {"other": 1},
        {
            "qkd_links": {
                "qkd_link": [{"qkdl_id": LINK, "qkdl_type": "etsi-qkd-node-types:VIRT", "phys_wavelength": "1"}]
            }
        },
    ],
)
def test_what_is_wrong_is_refused_and_nothing_is_kept(body: Any) -> None:
    async def work(ask: Any) -> None:
        refused = await ask("POST", HERE + "/qkd_links/", body)
        assert refused.status == 400
        assert "ietf-restconf:errors" in refused.json()
        assert (await ask("GET", HERE + "/qkd_links/")).json() == {"qkd_links": {"qkd_link": []}}

    with_agent(work)


def test_its_general_client_finds_the_root() -> None:
    async def work(ask: Any) -> None:
        found = await ask("GET", "/.well-known/host-meta", accept="application/json")
        assert found.json()["links"] == [{"rel": "restconf", "href": "/restconf"}]
        assert (await ask("GET", HERE + "/qkdn_id", accept="application/json")).json() == {"qkdn_id": NODE}

    with_agent(work)


def test_without_the_switch_none_of_it_is_taken() -> None:
    async def work(ask: Any) -> None:
        assert (await ask("GET", HERE + "/qkd_interfaces/")).status == 400
        assert "etsi-qkd-sdn-node:qkd_interfaces" in (await ask("GET", HERE + "/qkd_interfaces")).json()
        assert (await ask("POST", HERE + "/qkd_links", WRAPPED)).status == 415

    with_agent(work, switch=False)
