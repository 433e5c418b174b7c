"""quoit's own units interface over real mTLS: RFC 9457 refusals, server-sent events, the link to 014."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import jsonschema
import pytest
from fake_kme import URNS, Bench, bench_in, change

LIFECYCLE = "urn:qkd:lifecycle?=size=256&valid-until=1798761600"
PAIR = {"endpoints": [URNS["alice"] + "?=nonce=1", URNS["bob"] + "?=nonce=1"], "lifecycle": LIFECYCLE}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench_in(tmp_path_factory.mktemp("units")) as made:
        yield made


@pytest.fixture
def alice(bench: Bench) -> Iterator[httpx2.Client]:
    with bench.client("alice") as client:
        yield client


def open_unit(client: httpx2.Client) -> dict[str, object]:
    answer = client.post("/api/v1/units", json={**PAIR, "endpoints": [URNS["alice"], URNS["bob"]]})
    assert answer.status_code == 201, answer.text
    unit: dict[str, object] = answer.json()
    assert answer.headers["location"] == f"/api/v1/units/{unit['unit_id']}"
    return unit


def problem(answer: httpx2.Response, status: int, code: str) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    details: dict[str, object] = answer.json()
    assert (details["code"], details["status"]) == (code, status)
    return details


@pytest.mark.realises("B1", "B4")
def test_a_unit_is_opened_found_listed_and_closed_by_both_ends(bench: Bench, alice: httpx2.Client) -> None:
    unit = open_unit(alice)
    assert unit["originator"] == "alice"
    assert unit["created_unix_s"] == 1_750_000_001.0
    with bench.client("bob") as bob:
        assert bob.get(f"/api/v1/units/{unit['unit_id']}").json() == unit
        assert unit in bob.get("/api/v1/units", params={"state": "established"}).json()["units"]
        assert bob.get("/api/v1/units", params={"state": "failed"}).json() == {"units": []}
        assert bob.delete(f"/api/v1/units/{unit['unit_id']}").status_code == 200
    problem(alice.get(f"/api/v1/units/{unit['unit_id']}"), 404, "unknown-unit")


@pytest.mark.realises("C8")
def test_a_014_key_id_leads_to_its_unit(alice: httpx2.Client) -> None:
    unit = open_unit(alice)
    assert alice.get("/api/v1/units", params={"key_id": str(unit["key_id"]).upper()}).json() == {"units": [unit]}
    other = "7d1b9a44-6d62-4ec7-9b0e-0f6f2ea4a001"
    assert alice.get("/api/v1/units", params={"key_id": other}).json() == {"units": []}


def test_a_stranger_cannot_tell_a_foreign_unit_from_none(bench: Bench, alice: httpx2.Client) -> None:
    unit = open_unit(alice)
    with bench.client("carol") as carol:
        foreign = carol.get(f"/api/v1/units/{unit['unit_id']}")
        none = carol.get("/api/v1/units/7d1b9a44-6d62-4ec7-9b0e-0f6f2ea4a001")
        assert foreign.json() == none.json()
        problem(carol.delete(f"/api/v1/units/{unit['unit_id']}"), 404, "unknown-unit")
        assert carol.get("/api/v1/units", params={"key_id": str(unit["key_id"])}).json() == {"units": []}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "malformed"),
        ({**PAIR, "endpoints": [URNS["alice"]]}, "malformed"),
        ({**PAIR, "endpoints": "urn:qkd:a"}, "malformed"),
        ({**PAIR, "endpoints": ["urn:qkd:a", 7]}, "malformed"),
        ({**PAIR, "endpoints": ["urn:qkd:a", "urn:qkd:\u00e9"]}, "malformed"),
        ({**PAIR, "endpoints": ["urn:qkd:a"] * 33}, "malformed"),
        ({**PAIR, "lifecycle": "urn:" + "a" * 2048}, "malformed"),
        ({**PAIR, "size": 256}, "malformed"),
        ({**PAIR, "lifecycle": "not a urn"}, "malformed-urn"),
    ],
)
def test_malformed_units(alice: httpx2.Client, body: object, code: str) -> None:
    details = problem(alice.post("/api/v1/units", json=body), 400, code)
    assert details["blame"] == "caller"
    assert details["mend"]


def test_malformed_requests(alice: httpx2.Client) -> None:
    for query in ("state=odd", "limit=0", "limit=1001", "limit=x", "color=1", "state=failed&state=failed"):
        problem(alice.get(f"/api/v1/units?{query}"), 400, "malformed")
    problem(alice.get("/api/v1/units?key_id=7d1b9a44-6d62-4ec7-9b0e-0f6f2ea4a001&limit=1"), 400, "malformed")
    problem(alice.get("/api/v1/units?key_id=odd"), 400, "bad-key-id")
    problem(alice.get("/api/v1/units/not-a-uuid"), 404, "unknown-unit")
    problem(
        alice.post("/api/v1/units", content=b"{}", headers={"content-type": "text/plain"}), 415, "unsupported-media"
    )
    problem(alice.get("/api/v1/nothing"), 404, "no-such-path")
    problem(alice.get("/api/v1/units/"), 404, "no-such-path")
    problem(alice.post("/openapi.json"), 405, "method-not-allowed")
    answer = alice.put("/api/v1/units", json=PAIR)
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, POST"


def test_answers_fit_the_openapi_document(alice: httpx2.Client) -> None:
    document = alice.get("/openapi.json").json()

    def check(value: object, name: str) -> None:
        jsonschema.validate(value, {**document, "$ref": f"#/components/schemas/{name}"})

    check(open_unit(alice), "Unit")
    check(alice.get("/api/v1/units/x").json(), "Problem")


@pytest.mark.realises("B6")
def test_events_tell_each_application_of_its_own_units_only(bench: Bench, alice: httpx2.Client) -> None:
    with alice.stream("GET", "/api/v1/units/events", headers={"last-event-id": "6:x:failed"}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        assert next(lines).startswith(":")
        assert next(lines) == "retry: 2000"
        assert next(lines) == ""
        assert next(lines) == "event: gap"
        assert json.loads(next(lines).removeprefix("data: "))["since"] == "6:x:failed"
        bench.loop.call_soon_threadsafe(bench.gate.publish, change("u-1", ("bob", "carol")))
        bench.loop.call_soon_threadsafe(bench.gate.publish, change("u-2", ("alice", "carol")))
        assert next(lines) == ""
        assert next(lines) == "id: 7000000000:u-2:established"
        assert next(lines) == "event: unit-changed"
        event = json.loads(next(lines).removeprefix("data: "))
        assert (event["unit_id"], event["was"], event["state"]) == ("u-2", "requested", "established")
        assert event["at_unix_s"] == 1_750_000_007.0


def test_events_keep_the_connection_alive(bench: Bench) -> None:
    from starlette.applications import Starlette

    from quoit.interfaces.units.server import routes

    listener = bench.serve(app=Starlette(routes=routes(bench.gate, "kme-a", keep_alive_s=0.05)))
    with bench.client("alice", listener) as client, client.stream("GET", "/api/v1/units/events") as stream:
        assert ": keep-alive" in (line for line in stream.iter_lines())


def test_health(bench: Bench, alice: httpx2.Client) -> None:
    from quoit.interfaces.northbound import make_app

    assert alice.get("/livez").json() == {"status": "live"}
    assert alice.get("/readyz").json() == {"status": "ready"}
    with bench.client("alice", bench.serve(app=make_app(bench.gate, "kme-a", ready=lambda: False))) as early:
        assert early.get("/livez").status_code == 200
        problem(early.get("/readyz"), 503, "not-ready")
