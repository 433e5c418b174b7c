"""Elements behind somebody's RESTCONF server: changes are one YANG Patch, or single edits where there is none."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from msgspec.structs import replace

from quoit.fabric.sdqkd import tree
from quoit.interfaces.restconf.client import RestconfClient
from quoit.interfaces.restconf.core import Restconf
from quoit.interfaces.restconf.exchange import Request
from quoit.interfaces.restconf.remote import YANG_PATCH, Remote
from quoit.model.problem import Problem
from quoit.planes.remote import Call, RemoteCall
from quoit.scenario.agent_doors import ROOT
from sdqkd_lab import SdqkdLab, schema, with_lab


class Wire(httpx2.AsyncBaseTransport):
    """To a server without a socket. `plain`: one that has neither YANG Patch nor our module, but one of its own."""

    def __init__(self, core: Restconf, plain: bool = False) -> None:
        self._core = core
        self._plain = plain
        self.sent: list[tuple[str, str]] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = urlsplit(str(request.url))
        body = await request.aread()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.sent.append((request.method, url.path))
        reply = await self._core.handle(Request(request.method, url.path, url.query, headers, body, "controller"))
        content = reply.body
        if self._plain and reply.status == 200 and request.method == "GET" and "host-meta" not in url.path:
            content = json.dumps(self._less(json.loads(content))).encode()
        return httpx2.Response(reply.status, headers=list(reply.headers), content=content)

    def _less(self, body: Any) -> Any:
        text = json.dumps(body).replace(YANG_PATCH, "urn:x").replace('"quoit-sdqkd-control"', '"x"')
        found = json.loads(text)
        if ROOT in found:
            found[ROOT]["somebodys-own:colour"] = "red"
        return found


async def remote(lab: SdqkdLab, node: str, *, plain: bool = False) -> tuple[Remote, Wire]:
    wire = Wire(await lab.core(node), plain)
    client = RestconfClient("https://agent", transport=wire)
    return Remote(client, schema(), ROOT), wire


async def read(one: Remote, call: Call = Call.CONFIGURATION) -> tree.Node:
    found = tree.read(await one.answer(RemoteCall("agent:a", 1, call)))
    assert found is not None
    return found


async def apply(one: Remote, before: tree.Node, after: tree.Node) -> None:
    await one.answer(RemoteCall("agent:a", 2, Call.APPLY, tree.write(before), tree.write(after)))


def edited(node: tree.Node, lab: SdqkdLab) -> tree.Node:
    """Another version, one link off, one application more, and a turn."""
    links = node.links
    qkdl_id = lab.id_of("link", "ab")
    links[qkdl_id] = replace(links[qkdl_id], qkdl_enable=False)
    app = tree.App(lab.id_of("app", "x"), app_type=tree.CLIENT, server_app_id="urn:x")
    changed = node.with_lists(links=links, apps={app.app_id: app})
    return replace(changed, qkdn_version="2", control=tree.Turn("3", "1"))


def test_a_change_is_one_patch_and_state_is_read() -> None:
    async def work(lab: SdqkdLab) -> None:
        one, wire = await remote(lab, "a")
        before = await read(one)
        assert before == lab.node("a")
        assert (await read(one, Call.STATE)).qkdn_status == tree.OPERATING
        await apply(one, before, edited(before, lab))
        assert lab.node("a") == edited(before, lab)
        assert [method for method, _ in wire.sent if method not in ("GET",)] == ["PATCH"]
        after = await read(one)
        gone = replace(after.with_lists(apps={}), control=tree.Turn("3", "2"))
        await apply(one, after, gone)
        assert lab.node("a") == gone

    with_lab(work)


def test_whoever_was_faster_wins_and_the_other_hears_it() -> None:
    async def work(lab: SdqkdLab) -> None:
        one, _ = await remote(lab, "a")
        before = await read(one)
        lab.apply("a", replace(before, qkdn_version="theirs"))
        await lab.settle()
        with pytest.raises(Problem) as late:
            await apply(one, before, edited(before, lab))
        assert late.value.code == "config-changed"
        assert lab.node("a") == replace(before, qkdn_version="theirs")
        with pytest.raises(Problem) as other:  # a change of something that was never read
            await apply(one, replace(before, qkdn_version="never"), before)
        assert other.value.code == "config-changed"

    with_lab(work)


def test_what_the_agent_refuses_comes_back_with_its_reason() -> None:
    async def work(lab: SdqkdLab) -> None:
        one, _ = await remote(lab, "a")
        lab.apply("a", replace(lab.node("a"), control=tree.Turn("9", "1")))
        await lab.settle()
        before = await read(one)
        with pytest.raises(Problem) as stale:
            await apply(one, before, edited(before, lab))
        assert stale.value.fields["app_tag"] == "stale-epoch"
        with pytest.raises(Problem) as bad:
            await apply(one, before, replace(before.with_lists(interfaces={}), control=tree.Turn("9", "2")))
        assert (bad.value.fields["app_tag"], "no interface 1" in bad.value.detail) == ("config-refused", True)

    with_lab(work)


def test_a_server_of_the_standard_alone_gets_single_edits_and_none_of_our_module() -> None:
    async def work(lab: SdqkdLab) -> None:
        one, wire = await remote(lab, "a", plain=True)
        before = await read(one)
        assert before == lab.node("a")
        await apply(one, before, edited(before, lab))
        now = lab.node("a")
        assert now == replace(edited(before, lab), control=None)
        assert sorted({method for method, _ in wire.sent}) == ["GET", "PUT"]
        after = await read(one)
        await apply(one, after, after.with_lists(apps={}))
        assert lab.node("a").apps == {}
        assert wire.sent[-1][0] == "DELETE"

    with_lab(work)
