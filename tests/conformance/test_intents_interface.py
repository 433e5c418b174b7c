"""The intent interface: TMF921's resources and errors, quoit's expressions, in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from quoit.interfaces.identity import Peer
from quoit.interfaces.tmf921.codec import BASE, expression_object, parse_expression
from quoit.interfaces.tmf921.server import IntentInterface, routes
from quoit.orchestration.api import ENTANGLED, HYBRID, KEY, NOTIFY, REROUTE, Expression, Targets
from quoit.runtime.wire import Message
from quoit.sdk import VirtualNetwork, virtual_network

NETWORK = """
quoit: 1
name: pair
nodes: {a: {}, b: {}}
spans: [{name: ab, between: [a, b], length: 10 km}]
links: [{name: ab, between: [a, b], protocol: rated, rate: 20 kbit/s}]
applications: [{sae: alice, kme: kme-a, priority: 2}, {sae: bob, kme: kme-b}]
policies: {intent_period: 5s}
"""
INTENT = f"{BASE}/intent"
WISH: dict[str, Any] = {
    "name": "alice and bob",
    "expression": {"su": {"endpoints": ["alice", "bob"], "kind": "key"}, "targets": {"rate_bps": 2000}},
}
Client = httpx2.AsyncClient


class News:
    """The gate of a virtual network, with news for one reader."""

    def __init__(self, network: VirtualNetwork) -> None:
        self._gate = network.gate
        self._kernel = network.twin.kernel

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gate, name)

    async def watch(self, kind: type[Message]) -> AsyncIterator[Message]:
        queue: asyncio.Queue[Message] = asyncio.Queue()

        def heard(subject: str, msg: Message) -> None:
            if type(msg) is kind:
                queue.put_nowait(msg)

        self._kernel.watchers.append(heard)
        while True:
            yield await queue.get()


def played(story: Callable[[Client, VirtualNetwork], Awaitable[None]]) -> None:
    network = virtual_network(NETWORK)
    network.run_for(20)
    app = Starlette(routes=routes(News(network), keep_alive_s=0.2))  # type: ignore[arg-type]
    peer = Peer("operator", "virtual", 0, float("inf"))

    async def known(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {"peer": peer}}, receive, send)

    async def play() -> None:
        async with Client(transport=httpx2.ASGITransport(known), base_url="http://quoit", timeout=None) as client:
            await story(client, network)

    asyncio.run(play())


@pytest.mark.realises("G2")
def test_an_intent_is_stated_watched_revised_and_removed() -> None:
    async def story(client: Client, network: VirtualNetwork) -> None:
        made = await client.post(INTENT, json=WISH | {"priority": "2", "description": "for the bank"})
        assert made.status_code == 201, made.text
        intent = made.json()
        assert (intent["@type"], intent["lifecycleStatus"], intent["version"]) == ("Intent", "acknowledged", "1")
        assert made.headers["location"] == intent["href"] == f"{INTENT}/{intent['id']}"
        await network.gate.sleep(6)
        shown = (await client.get(intent["href"])).json()
        assert shown["lifecycleStatus"] == "active"
        assert shown["statusChangeDate"].startswith("2026-01-01T00:00:20")
        assert any("a-b" in step["text"] for step in shown["x_explanation"])
        reports = await client.get(f"{intent['href']}/intentReport?limit=1")
        assert (reports.headers["x-total-count"], reports.headers["x-result-count"]) == ("1", "1")
        (report,) = reports.json()
        figures = {f["name"]: f for f in report["expression"]["expressionValue"]["figures"]}
        assert (figures["rate_bps"]["measured"], figures["rate_bps"]["met"]) == (2000.0, True)
        assert (await client.get(report["href"])).json() == report
        smaller = {"su": WISH["expression"]["su"], "targets": {"rate_bps": 500, "trust": "no-transit"}}
        revised = await client.patch(intent["href"], json={"expression": smaller})
        assert (revised.status_code, revised.json()["version"]) == (200, "2")
        assert revised.json()["expression"]["expressionValue"]["targets"] == {"rate_bps": 500.0, "trust": "no-transit"}
        await network.gate.sleep(6)
        listed = await client.get(f"{INTENT}?lifecycleStatus=active")
        assert [one["id"] for one in listed.json()] == [intent["id"]]
        body = json.dumps({"lifecycleStatus": "terminated"})
        media = {"content-type": "application/merge-patch+json"}
        ended = await client.patch(intent["href"], content=body, headers=media)
        assert ended.json()["lifecycleStatus"] == "terminated"
        assert (await client.patch(intent["href"], json={"name": "x"})).status_code == 409
        assert (await client.delete(intent["href"])).status_code == 204
        gone = await client.get(intent["href"])
        assert (gone.status_code, gone.json()["@type"], gone.json()["code"]) == (404, "Error", "unknown-intent")

    played(story)


def changed(**members: Any) -> dict[str, Any]:
    return WISH | members


def wish(su: Any = None, **more: Any) -> dict[str, Any]:
    return {"name": "x", "expression": {"su": su or WISH["expression"]["su"], "targets": {"rate_bps": 1}} | more}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "expected the member expression"),
        (changed(colour="red"), "found 'colour'"),
        (changed(name=""), "name: expected 1 to 256"),
        (changed(priority=2), 'priority: expected a string of "0" to "7"'),
        (changed(validFor={"endDateTime": "tomorrow"}), "expected a date-time with zone"),
        (changed(validFor={"endDateTime": "2026-01-01T00:00:01Z"}), "validFor.endDateTime has passed"),
        (wish({"endpoints": ["alice"], "kind": "key"}), "expression.su.endpoints: expected a list of 2"),
        (wish({"endpoints": ["alice", "bob"], "kind": "magic"}), "expression.su.kind: expected one of key, entangled"),
        (wish(targets={}), "targets.rate_bps: expected for key, found none"),
        (wish(targets={"rate_bps": 0}), "expression.targets.rate_bps: expected a number of 1"),
        (wish(targets={"rate_bps": True}), "expression.targets.rate_bps: expected a number of 1"),
        (wish(targets={"rate_bps": 1, "trust": "some"}), "expression.targets.trust: expected any, no-transit or"),
        (wish(targets={"rate_bps": 1, "disjoint": 5}), "targets.disjoint: expected a whole number of 1 to 4"),
        (wish(targets={"rate_bps": 1, "skr": 2}), "found 'skr'"),
        (wish(on_violation="pray"), "expression.on_violation: expected one of reroute, degrade-to-hybrid, notify"),
        (changed(expression={"expressionValue": WISH["expression"]}), "expression: expected the member @type"),
        (changed(expression={"@type": "JsonLdExpression", "expressionValue": {}}), "@type: expected QuoitExpression"),
    ],
)  # fmt: skip
def test_bad_intents_are_refused_with_the_place_and_what_was_expected(body: Any, said: str) -> None:
    async def story(client: Client, network: VirtualNetwork) -> None:
        answer = await client.post(INTENT, json=body)
        assert answer.status_code == 400, answer.text
        error = answer.json()
        assert {"@type", "code", "reason", "message", "status"} <= error.keys()
        assert said in error["message"]
        assert (await client.get(INTENT)).json() == []

    played(story)


def test_what_is_not_done_says_so() -> None:
    async def story(client: Client, network: VirtualNetwork) -> None:
        hub = await client.post(f"{BASE}/hub", json={"callback": "http://127.0.0.1/"})
        assert (hub.status_code, hub.json()["code"]) == (501, "not-supported")
        assert f"{BASE}/events" in hub.json()["message"]
        put = await client.put(INTENT, json=WISH)
        assert (put.status_code, put.headers["allow"]) == (405, "GET, POST")
        assert (await client.post(INTENT, content="a=b", headers={"content-type": "text/plain"})).status_code == 415
        for query in ("limit=0", "limit=x", "colour=red", "limit=1&limit=2", "lifecycleStatus=happy"):
            assert (await client.get(f"{INTENT}?{query}")).status_code == 400, query
        for path in (f"{INTENT}/none", f"{INTENT}/0b9e6d7a-6f0c-4f43-9d0e-6a2b3b9ad3c5/intentReport"):
            assert (await client.get(path)).status_code == 404

    played(story)


def test_events_are_what_a_hub_would_send() -> None:
    async def story(client: Client, network: VirtualNetwork) -> None:
        interface = IntentInterface(News(network), "orchestration.intents", lambda: "", 1.0, 5.0)  # type: ignore[arg-type]
        stream = interface._stream()
        assert b"retry" in await anext(stream)
        made = (await client.post(INTENT, json=WISH)).json()
        kinds = []
        while "IntentReportCreateEvent" not in kinds:
            waiting = asyncio.ensure_future(anext(stream))
            while not waiting.done():
                await network.gate.sleep(1)
            text = (await waiting).decode()
            event = json.loads(text.split("data: ")[1])
            assert f"event: {event['eventType']}\n" in text
            kinds.append(event["eventType"])
            body = event["event"]
            assert made["id"] in (
                body.get("intent", {}).get("id"),
                body.get("intentReport", {}).get("intent", {}).get("id"),
            )
        assert kinds[0] == "IntentCreateEvent"
        assert set(kinds[1:]) == {"IntentStatusChangeEvent", "IntentReportCreateEvent"}
        await stream.aclose()

    played(story)


def test_nobody_is_refused() -> None:
    network = virtual_network(NETWORK)
    app = Starlette(routes=routes(network.gate))

    async def play() -> None:
        async with Client(transport=httpx2.ASGITransport(app), base_url="http://quoit") as client:
            for method, path in (("GET", INTENT), ("POST", INTENT), ("GET", f"{BASE}/events"), ("POST", f"{BASE}/hub")):
                assert (await client.request(method, path)).status_code == 401

    asyncio.run(play())


names = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=12)
rates = st.floats(1, 1e9)


@given(
    st.lists(names, min_size=2, max_size=2, unique=True),
    st.builds(
        Targets,
        rate_bps=rates,
        latency_ns=st.none() | st.integers(1, 10**6).map(lambda ms: ms * 10**6),
        availability=st.none() | st.floats(0, 1),
        most_transit=st.none() | st.integers(0, 9),
        avoid=st.lists(names, max_size=3).map(tuple),
        disjoint=st.integers(1, 4),
    ),
    st.sampled_from([REROUTE, HYBRID, NOTIFY]),
)
def test_an_expression_is_read_back_as_it_was_shown(ends: list[str], targets: Targets, violation: str) -> None:
    one = Expression(tuple(ends), KEY, targets, violation)
    shown = json.loads(json.dumps(expression_object(one)))
    assert parse_expression(shown) == one
    assert parse_expression({"@type": "QuoitExpression", "expressionValue": shown}) == one
    pair = Expression(tuple(ends), ENTANGLED, Targets(fidelity=0.75), REROUTE, 3)
    assert parse_expression(expression_object(pair)) == pair
