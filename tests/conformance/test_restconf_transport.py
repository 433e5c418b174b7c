"""RESTCONF over mutual TLS (RFC 8040 cl. 2): server and client of the product on real sockets of this machine."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from quoit.adapters.crypto.pki import Authority
from quoit.interfaces.identity import Identities
from quoit.interfaces.listener import Listener
from quoit.interfaces.restconf.client import RestconfClient, key
from quoit.interfaces.restconf.datastore import Limits
from quoit.interfaces.restconf.server import serve
from quoit.model.problem import Problem
from restconf_lab import LAB, Lab

SHORT = LAB.removeprefix("/restconf/data/")


class Site:
    """A lab that is served, and what clients of it need."""

    def __init__(self, lab: Lab, listener: Listener, authority: Authority) -> None:
        self.lab = lab
        self.base = f"https://127.0.0.1:{listener.port}"
        self.port = listener.port
        self.authority = authority

    def tls(self, name: str) -> ssl.SSLContext:
        return self.authority.client_context(self.authority.issue_application(name))

    def client(self, name: str = "me", **options: Any) -> RestconfClient:
        return RestconfClient(self.base, self.tls(name), **options)


@asynccontextmanager
async def site_in(directory: Path, limits: Limits | None = None) -> AsyncIterator[Site]:
    authority = Authority(directory)
    lab = Lab(limits=limits)
    await lab.ready()
    tls = authority.server_context(authority.issue_kme("agent", ["127.0.0.1"]))
    identities = Identities.of([("me", None), ("you", None)])
    async with serve(lab.core, "127.0.0.1", 0, tls, identities.read) as listener:
        yield Site(lab, listener, authority)


def at_site(tmp_path: Path, work: Callable[[Site], Awaitable[None]], limits: Limits | None = None) -> None:
    async def run() -> None:
        async with site_in(tmp_path / "pki", limits) as site:
            await work(site)

    asyncio.run(run())


async def refused(work: Awaitable[Any]) -> Problem:
    with pytest.raises(Problem) as caught:
        await work
    return caught.value


def test_2_4_and_3_1_the_client_finds_the_root_and_does_all_methods(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        async with site.client() as client:
            assert await client.root() == "/restconf"
            made = await client.post(SHORT, {"quoit-lab:shelf": [{"row": "a/b ü", "column": 2}]})
            assert (made.status, made.location) == (201, f"{LAB}/shelf={key('a/b ü', 2)}")
            path = f"{SHORT}/shelf={key('a/b ü', 2)}"
            read = await client.get(path)
            assert read.body == {"quoit-lab:shelf": [{"row": "a/b ü", "column": 2}]}
            wider = {"quoit-lab:shelf": [{"row": "a/b ü", "column": 2, "width": 9}]}
            assert (await client.put(path, wider, if_match=read.etag)).status == 204
            late = await refused(client.delete(path, if_match=read.etag))
            assert (late.code, late.fields["status"]) == ("config-changed", 412)
            assert (await client.patch(SHORT, {"quoit-lab:lab": {"title": "new"}})).status == 204
            assert (await client.delete(path)).status == 204
            shown = await client.get(SHORT, content="config", with_defaults="report-all")
            assert (shown.body["quoit-lab:lab"]["title"], shown.body["quoit-lab:lab"]["size"]) == ("new", 10)
            running = await client.get(SHORT + "/title", store="ietf-datastores:running")
            assert running.body == {"quoit-lab:title": "new"}
            assert await client.invoke("quoit-lab:lend", {"row": "A"}) == {"until": "tomorrow"}
            assert await client.invoke("quoit-lab:dust") == {}

    at_site(tmp_path, work)


def test_7_errors_come_to_the_client_as_problems(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        async with site.client() as client:
            missing = await refused(client.get(SHORT + "/shelf=Z,9"))
            assert (missing.code, missing.fields["path"]) == (
                "no-such-data",
                "/quoit-lab:lab/shelf[row='Z'][column='9']",
            )
            wide = {"quoit-lab:lab": {"shelf": [{"row": "A", "column": 1, "width": 201}]}}
            broken = await refused(client.patch(SHORT, wide))
            assert (broken.code, broken.fields["app_tag"]) == ("config-refused", "too-wide")
            assert (await refused(client.patch(SHORT, {"quoit-lab:lab": {"x": 1}}))).code == "malformed"
            assert (await refused(client.invoke("quoit-lab:orphan"))).code == "not-supported"
            assert (await refused(client.put(SHORT + "/uptime", {"quoit-lab:uptime": 1}))).code == "method-not-allowed"
            site.lab.library.refuse = Problem("no-key-material", "empty")
            behind = await refused(client.patch(SHORT, {"quoit-lab:lab": {"title": "z"}}))
            assert (behind.code, behind.fields["app_tag"]) == ("peer-failed", "no-key-material")

    at_site(tmp_path, work)


def test_2_5_the_caller_is_whom_the_certificate_names(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        async with site.client("you") as client:
            assert (await client.get(SHORT + "/title")).body == {"quoit-lab:title": "t"}
            assert (await refused(client.patch(SHORT, {"quoit-lab:lab": {"title": "u"}}))).code == "access-denied"
        async with site.client("stranger") as client:
            assert (await refused(client.get(SHORT))).code == "bad-answer"  # host-meta is not told to strangers, either
        async with site.client("stranger", root="/restconf") as client:
            assert (await refused(client.get(SHORT))).code == "no-identity"
        bare = ssl.create_default_context(cafile=str(tmp_path / "pki" / "root.pem"))
        async with RestconfClient(site.base, bare, root="/restconf") as client:
            assert (await refused(client.get(SHORT))).code == "peer-unreachable"

    at_site(tmp_path, work)


def test_a_server_that_is_not_there_or_does_not_answer(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        async with RestconfClient("https://127.0.0.1:1", site.tls("me"), root="/restconf") as client:
            assert (await refused(client.get(SHORT))).code == "peer-unreachable"
        async with site.client(within_s=0.3) as client:
            await client.root()
            site.lab.library.slow_s = 60.0
            assert (await refused(client.patch(SHORT, {"quoit-lab:lab": {"title": "u"}}))).code == "deadline"

    at_site(tmp_path, work, Limits(provider_s=1.0))


def test_6_events_of_streams_and_subscriptions_over_the_wire(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        async with site.client() as client, asyncio.timeout(30):
            site.lab.core.publish("quoit-lab:lent", {"row": "0"})
            seen = []
            async for event in client.stream("NETCONF", start="2026-01-31T12:00:00Z"):
                seen.append((event.name, event.content["row"], event.id))
                if len(seen) == 3:
                    break
                site.lab.core.publish("quoit-lab:lent", {"row": str(len(seen))})
            assert seen == [("quoit-lab:lent", str(n), str(n + 1)) for n in range(3)]
            number, url = await client.subscribe(
                {
                    "ietf-yang-push:datastore": "ietf-datastores:running",
                    "ietf-yang-push:datastore-xpath-filter": "/quoit-lab:lab/title",
                    "ietf-yang-push:on-change": {},
                }
            )
            pushed = client.events(url)
            first = await anext(pushed)
            assert first.content == {"id": number, "datastore-contents": {"quoit-lab:lab": {"title": "t"}}}
            await client.patch(SHORT, {"quoit-lab:lab": {"title": "u"}})
            edit = (await anext(pushed)).content["datastore-changes"]["yang-patch"]["edit"][0]
            assert (edit["operation"], edit["value"]) == ("replace", {"quoit-lab:title": "u"})
            await pushed.aclose()  # type: ignore[attr-defined]
            assert (await refused(anext(client.stream("nothing")))).code == "no-such-data"
            assert (await refused(anext(client.events("https://127.0.0.1:2/x")))).code == "bad-answer"
            while site.lab.core.subscriptions.all or site.lab.core.streams["NETCONF"].readers:
                await asyncio.sleep(0.01)  # the server has noticed that its readers have gone

    at_site(tmp_path, work)


def test_6_3_a_stream_is_followed_across_broken_connections(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        stream = site.lab.core.streams["NETCONF"]
        async with site.client() as client, asyncio.timeout(30):
            events = client.follow(pause_s=0.01, attempts=3)
            waiting = asyncio.ensure_future(anext(events))
            seen = []
            for round_ in range(3):
                while not stream.readers:
                    await asyncio.sleep(0.005)
                site.lab.core.publish("quoit-lab:lent", {"row": f"seen {round_}"})
                seen.append((await waiting).content["row"])
                stream.close()
                waiting = asyncio.ensure_future(anext(events))
                site.lab.core.publish("quoit-lab:lent", {"row": f"missed {round_}"})
                seen.append((await waiting).content["row"])
                waiting = asyncio.ensure_future(anext(events))
            assert seen == [f"{word} {n}" for n in range(3) for word in ("seen", "missed")]
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            lost = client.follow("nothing")
            assert (await refused(anext(lost))).code == "no-such-data"

    at_site(tmp_path, work)


def test_4_2_and_4_7_lengths_of_answers_without_bodies(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        async def lengths(request: bytes) -> list[bytes]:
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port, ssl=site.tls("me"))
            writer.write(request + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            async with asyncio.timeout(30):
                head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
            writer.close()
            assert body == b""
            lines = head.lower().split(b"\r\n")
            return [line.partition(b": ")[2] for line in lines if line.startswith(b"content-length")]

        title = f"{LAB}/title".encode()
        assert await lengths(b"HEAD " + title) == [str(len('{"quoit-lab:title":"t"}')).encode()]
        assert await lengths(b"DELETE " + title) == []

    at_site(tmp_path, work)


def test_6_a_reader_that_reads_nothing_is_disconnected(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port, ssl=site.tls("me"), limit=1024)
        writer.write(b"GET /restconf/streams/NETCONF/json HTTP/1.1\r\nHost: x\r\n\r\n")
        stream = site.lab.core.streams["NETCONF"]
        async with asyncio.timeout(30):
            await reader.readuntil(b": open")
            while stream.readers:
                site.lab.core.publish("quoit-lab:lent", {"row": "x" * 60_000})
                await asyncio.sleep(0.002)
            # What waited for it in the socket is not kept: the connection breaks before all of it was read.
            with suppress(ConnectionError, ssl.SSLError):
                while await reader.read(65536):
                    pass
        writer.close()

    at_site(tmp_path, work, Limits(reader_events=50, unread_s=0.2, replay_events=10))


def test_7_what_the_listener_refuses_is_an_error_of_restconf_too(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port, ssl=site.tls("me"))
        writer.write(b"PUT /restconf/data HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
        async with asyncio.timeout(30):
            head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 413 ")
        assert b"content-type: application/yang-data+json" in head
        assert json.loads(body)["ietf-restconf:errors"]["error"][0]["error-tag"] == "too-big"
        writer.close()

    at_site(tmp_path, work)
