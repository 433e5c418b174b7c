"""What TeraFlowSDN's transport API driver sends and expects, and that a strict client meets TAPI 2.4.0 all the same."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from quoit.interfaces.restconf.datastore import DEFAULT_LIMITS
from quoit.interfaces.restconf.exchange import Request, Response, answer
from quoit.interfaces.tapi.demands import asked_of
from quoit.interfaces.tapi.teraflow import TeraFlowTapi

CONTEXT = "/restconf/data/tapi-common:context"
SERVICES = f"{CONTEXT}/tapi-connectivity:connectivity-context"
UUID = "58016c1f-8afc-4e4a-8e9a-9447665a43e8"
SIPS = ("a5f6594c-dee7-5b4f-83ca-98c5c04de5f7", "94345fc8-0033-59ab-b5ae-e7552fe5d120")


def asked(value: Any = 50, unit: Any = "GHz", sips: tuple[str, str] = SIPS, **constraint: Any) -> dict[str, Any]:
    """The body of the driver's POST, as it was seen."""
    points = [
        {
            "service-interface-point": {"service-interface-point-uuid": sip},
            "layer-protocol-name": "PHOTONIC_MEDIA",
            "layer-protocol-qualifier": "tapi-photonic-media:PHOTONIC_LAYER_QUALIFIER_NMC",
            "local-id": sip,
        }
        for sip in sips
    ]
    wanted = {
        "requested-capacity": {"total-size": {"value": value, "unit": unit}},
        "connectivity-direction": "UNIDIRECTIONAL",
        **constraint,
    }
    service = {"uuid": UUID, "connectivity-constraint": wanted, "end-point": points}
    return {"tapi-connectivity:connectivity-service": [service]}


class Behind:
    """A server that remembers what it was asked."""

    limits = DEFAULT_LIMITS

    def __init__(self, response: Response) -> None:
        self.response = response
        self.requests: list[Request] = []

    async def handle(self, request: Request) -> Response:
        self.requests.append(request)
        return self.response

    async def close(self) -> None:
        pass


def ask(method: str, path: str, body: Any, response: Response, kind: str = "application/json") -> Any:
    """The answer, and the request that came through (None if none did)."""
    behind = Behind(response)
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = Request(method, path, "", {"content-type": kind} if content else {}, content, "controller")
    found = asyncio.run(TeraFlowTapi(behind).handle(request))
    return found, behind.requests[0] if behind.requests else None


def service_of(request: Request) -> dict[str, Any]:
    (service,) = json.loads(request.body)["tapi-connectivity:connectivity-service"]
    return dict(service)


def test_a_service_of_2_1_comes_through_as_one_of_2_4() -> None:
    response, request = ask("POST", SERVICES, asked(), Response(201))
    assert (response.status, request.headers["content-type"]) == (201, "application/yang-data+json")
    service = service_of(request)
    assert service["direction"] == "UNIDIRECTIONAL"
    assert "connectivity-constraint" not in service
    assert {point["layer-protocol-qualifier"] for point in service["end-point"]} == {
        "tapi-photonic-media:PHOTONIC_LAYER_QUALIFIER_MC"
    }
    assert asked_of(service).width_mhz == 50_000


def test_what_else_the_constraint_asks_for_stays() -> None:
    schedule = {"start-time": "2026-01-01T00:00:00Z"}
    _, request = ask("POST", SERVICES, asked(37.5, schedule=schedule), Response(201))
    service = service_of(request)
    assert service["connectivity-constraint"] == {"schedule": schedule}
    assert asked_of(service).width_mhz == 37_500


@pytest.mark.parametrize(("value", "unit"), [(50, "GBPS"), (50, None), (0, "GHz"), ("x", "GHz"), (1e-10, "GHz")])
def test_a_capacity_that_is_no_width_is_refused(value: Any, unit: Any) -> None:
    response, request = ask("POST", SERVICES, asked(value, unit), Response(201))
    assert (response.status, request) == (400, None)
    assert "requested-capacity" in response.body.decode()


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"a": NaN}'])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    response, request = ask("POST", SERVICES, body, Response(201))
    assert (response.status, request) == (400, None)


@pytest.mark.parametrize(
    "body",
    [
        {"tapi-connectivity:connectivity-service": [3]},
        {"tapi-connectivity:connectivity-service": [{"end-point": 3, "connectivity-constraint": {}}]},
        {"tapi-connectivity:connectivity-service": {}},
        {"tapi-common:name": []},
    ],
)
def test_other_bodies_are_left_to_the_server(body: Any) -> None:
    _, request = ask("POST", SERVICES, body, Response(400))
    assert json.loads(request.body) == body


def test_the_context_has_a_list_of_services_though_there_are_none() -> None:
    response, _ = ask("GET", CONTEXT, None, answer(200, {"tapi-common:context": {"uuid": UUID}}, ("etag", '"1"')))
    shown = response.json()["tapi-common:context"]
    assert shown["tapi-connectivity:connectivity-context"] == {"connectivity-service": []}
    assert (response.header("etag"), response.header("content-type")) == ('"1"', "application/yang-data+json")


def test_who_accepts_plain_json_alone_gets_what_there_is() -> None:
    behind = Behind(answer(200, {"tapi-common:name": []}))
    for path, wanted in ((f"{CONTEXT}/name", "*/*"), ("/.well-known/host-meta", "application/json")):
        request = Request("GET", path, "", {"accept": "application/json"}, b"", "controller")
        assert asyncio.run(TeraFlowTapi(behind).handle(request)).status == 200
        assert behind.requests[-1].headers["accept"] == wanted


def test_a_request_of_rfc_8040_comes_through_as_it_is() -> None:
    body = asked()
    _, request = ask("POST", SERVICES, body, Response(400), "application/yang-data+json")
    assert json.loads(request.body) == body
    response, _ = ask("GET", SERVICES, None, answer(200, {"tapi-connectivity:connectivity-context": {}}))
    assert response.json() == {"tapi-connectivity:connectivity-context": {}}
