"""quoit's own sessions interface: what its OpenAPI document says, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import jsonschema
import pytest

from quoit.interfaces.units.server import openapi
from quoit.sdk import virtual_network

NETWORK = """
quoit: 1
name: pair
nodes: {a: {}, b: {}}
spans:
  - {name: ab, between: [a, b], length: 10 km}
links:
  - {name: ab, between: [a, b], protocol: rated, rate: 20 kbit/s}
applications:
  - {sae: alice, kme: kme-a, priority: 2}
  - {sae: bob, kme: kme-b}
"""
SESSIONS = "/api/v1/sessions"
Client = httpx2.AsyncClient


def played(story: Callable[[Client, Client], Awaitable[None]]) -> None:
    """Alice and Bob at their KMEs, in a network that has run for 20 s."""
    network = virtual_network(NETWORK)
    network.run_for(20)

    async def play() -> None:
        await story(network.application("alice")._client, network.application("bob")._client)

    asyncio.run(play())


def fits(value: Any, schema: str) -> None:
    document = openapi()
    jsonschema.validate(value, {"$ref": f"#/components/schemas/{schema}", "components": document["components"]})


@pytest.mark.realises("C5")
def test_a_session_is_opened_used_by_014_listed_and_closed() -> None:
    async def story(alice: Client, bob: Client) -> None:
        opened = await alice.post(SESSIONS, json={"peer": "bob", "rate_bps": 2000, "burst_bits": 512, "priority": 2})
        assert opened.status_code == 201, opened.text
        session = opened.json()
        fits(session, "Session")
        assert (session["state"], session["routes"], session["trusted_nodes"]) == ("open", 1, 0)
        assert opened.headers["location"] == f"{SESSIONS}/{session['session_id']}"
        await asyncio.sleep(0)
        answers = [await alice.get("/api/v1/keys/bob/enc_keys?number=1&size=256") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 503], "the third is beyond the burst"
        key = answers[0].json()["keys"][0]
        taken = await bob.get(f"/api/v1/keys/alice/dec_keys?key_ID={key['key_ID']}")
        assert taken.json()["keys"][0]["key"] == key["key"]
        listed = (await alice.get(SESSIONS)).json()["sessions"]
        assert [one["served_bits"] for one in listed] == [512]
        assert (await bob.get(SESSIONS)).json() == {"sessions": []}
        closed = await alice.delete(opened.headers["location"])
        assert closed.json()["state"] == "closed"
        gone = await alice.get(opened.headers["location"])
        assert (gone.status_code, gone.json()["code"]) == (404, "unknown-session")

    played(story)


def test_another_s_session_reads_as_if_it_were_not_there() -> None:
    async def story(alice: Client, bob: Client) -> None:
        where = (await alice.post(SESSIONS, json={"peer": "bob", "rate_bps": 1})).headers["location"]
        nobody = await bob.get(f"{SESSIONS}/00000000-0000-4000-8000-000000000000")
        assert (await bob.get(where)).content == nobody.content
        assert (await bob.delete(where)).content == nobody.content
        assert (await alice.get(where)).status_code == 200

    played(story)


def test_a_refusal_says_what_could_be_had() -> None:
    async def story(alice: Client, bob: Client) -> None:
        refused = await alice.post(SESSIONS, json={"peer": "bob", "rate_bps": 90_000})
        assert refused.status_code == 503
        details = refused.json()
        fits(details, "Problem")
        assert details["code"] == "not-admitted"
        assert 15_000 < details["fields"]["offered_bps"] < 20_000
        forbidden = await bob.post(SESSIONS, json={"peer": "alice", "rate_bps": 1, "priority": 1})
        assert (forbidden.status_code, forbidden.json()["code"]) == (401, "not-authorised")
        twice = await alice.post(SESSIONS, json={"peer": "bob", "rate_bps": 1, "paths": 2})
        assert "2 routes without common nodes" in twice.json()["detail"]

    played(story)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "expected the member peer"),
        ({"peer": "bob"}, "expected the member rate_bps"),
        ({"peer": "bob", "rate_bps": 1, "speed": 2}, "found 'speed'"),
        ({"peer": "", "rate_bps": 1}, "peer: expected an SAE ID"),
        ({"peer": ["bob"], "rate_bps": 1}, "peer: expected an SAE ID"),
        ({"peer": "bob", "rate_bps": 0}, "rate_bps: expected a number"),
        ({"peer": "bob", "rate_bps": True}, "rate_bps: expected a number"),
        ({"peer": "bob", "rate_bps": 1, "priority": 8}, "priority: expected a whole number of 0 to 7"),
        ({"peer": "bob", "rate_bps": 1, "paths": 1.5}, "paths: expected a whole number"),
        ({"peer": "bob", "rate_bps": 1, "avoid": "x"}, "avoid: expected a list"),
        ({"peer": "bob", "rate_bps": 1, "avoid": [1]}, "avoid: expected an SAE ID or a URN"),
        ({"peer": "bob", "rate_bps": 1, "max_latency_ms": -1}, "max_latency_ms: expected a number"),
        ({"peer": "bob", "rate_bps": 1, "valid_for_s": 1e12}, "valid_for_s: expected a number"),
        ({"peer": "bob", "rate_bps": 1, "burst_bits": 0}, "burst_bits: expected a whole number"),
    ],
)
def test_malformed_orders(body: dict[str, Any], words: str) -> None:
    async def story(alice: Client, bob: Client) -> None:
        refused = await alice.post(SESSIONS, json=body)
        assert (refused.status_code, refused.json()["code"]) == (400, "malformed")
        assert words in refused.json()["detail"]

    played(story)


def test_methods_and_identifiers_that_are_none() -> None:
    async def story(alice: Client, bob: Client) -> None:
        assert (await alice.put(SESSIONS)).status_code == 405
        assert (await alice.get(f"{SESSIONS}/xyz")).status_code == 404
        assert (await alice.post(SESSIONS, content=b"{")).status_code in (400, 415)

    played(story)
