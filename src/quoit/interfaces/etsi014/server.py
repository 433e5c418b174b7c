"""ETSI GS QKD 014 V1.1.1 over ASGI: a thin server around the codec and a gate into the twin."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from importlib import resources
from typing import Any, NoReturn

import msgspec
import structlog
import yaml
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match, NoMatchFound, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from quoit.interfaces.etsi014 import quditto2
from quoit.interfaces.etsi014.codec import (
    DEFAULT_LIMITS,
    STRICT,
    Codec,
    Compat,
    Limits,
    check_method,
    render_keys,
    render_status,
    route,
)
from quoit.interfaces.etsi014.problems import render
from quoit.interfaces.http_edge import Answer, Fixed, check_json_content, headers_of, raw_path_of, read_body, reply
from quoit.interfaces.identity import caller_of
from quoit.model.problem import Problem
from quoit.runtime.gate import Gate
from quoit.service.api import Keys, Status

VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""The two variant bits of a UUID set to 10, the two below kept."""

_log = structlog.get_logger("quoit", element="interfaces.etsi014")


def new_key_ids(number: int) -> tuple[str, ...]:
    """Random version-4 UUIDs (RFC 9562 cl. 5.4) in lower case. One call for all: `uuid.uuid4` makes an object
    and a system call for each."""
    drawn = os.urandom(16 * number).hex()
    return tuple(
        f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{VARIANT[h[16]]}{h[17:20]}-{h[20:]}"
        for h in (drawn[i : i + 32] for i in range(0, 32 * number, 32))
    )


class KeyDelivery:
    """The three methods of table 2, for one KME. An ASGI application.

    The path is taken as sent (`raw_path`): frameworks decode `%2F` before they route. `kme` is the element
    that the gate is asked for. Order of refusals: no identity, path, method, body, content, then the element.
    """

    def __init__(self, gate: Gate, kme: str, codec: Codec, within_s: float = 10.0) -> None:
        self._gate = gate
        self._kme = kme
        self._codec = codec
        self._within_s = within_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(scope, receive)
        except ClientDisconnect:
            return
        except Problem as problem:
            answer = self._refusal(problem)
        except Exception as fault:  # noqa: BLE001 - border of the request: the caller must get its Error object
            _log.error("request.fault", kme=self._kme, fault=type(fault).__name__, exc_info=fault)
            answer = self._refusal(Problem("internal"))
        await reply(send, answer)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        caller = caller_of(scope)
        call = route(raw_path_of(scope))
        method = scope["method"]
        check_method(call.function, method, self._codec.compat)
        body = await read_body(receive) if method == "POST" else b""
        check_json_content(headers_of(scope), body)
        message = self._codec.parse(caller, call, method, scope["query_string"], body)
        return self._render(await self._gate.ask(self._kme, message, self._within_s))

    def _render(self, answer: object) -> Answer:
        if isinstance(answer, Status):
            return Answer(200, render_status(answer))
        if isinstance(answer, Keys):
            return quditto2.render_keys(answer) if self._codec.compat.quditto2 else Answer(200, render_keys(answer))
        raise TypeError(f"{self._kme} answered with {type(answer).__name__}, expected Status or Keys")

    def _refusal(self, problem: Problem) -> Answer:
        # Without identity even Quditto's clients are told by the status: it has no such answer.
        if self._codec.compat.quditto2 and problem.code != "no-identity":
            return quditto2.render_problem(problem)
        return render(problem, unknown_key_404=self._codec.compat.unknown_key_404)


@cache
def _document() -> dict[str, Any]:
    """As it is written. Read once: a node that joins a live twin opens its KME's door, and reading takes a while."""
    text = resources.files("quoit.interfaces.etsi014").joinpath("openapi.yaml").read_text("utf-8")
    document: dict[str, Any] = yaml.safe_load(text)
    return document


def openapi(limits: Limits = DEFAULT_LIMITS) -> dict[str, Any]:
    """The interface's OpenAPI document, as it is served by a KME of these limits."""
    document = deepcopy(_document())
    bounds = {
        "number": {"maximum": limits.max_key_per_request},
        "size": {"minimum": limits.min_key_size_bits, "maximum": limits.max_key_size_bits},
        "additional_slave_SAE_IDs": {"maxItems": limits.max_sae_id_count},
        "key_IDs": {"maxItems": limits.max_key_per_request},
    }
    for name, schema in _schemas(document):
        schema.update(bounds.get(name, {}))
    return document


def _schemas(node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """All schemas of parameters and of properties in requests, by name."""
    if isinstance(node, list):
        for entry in node:
            yield from _schemas(entry)
    elif isinstance(node, dict):
        if "in" in node and isinstance(node.get("schema"), dict):
            yield node["name"], node["schema"]
        if isinstance(node.get("properties"), dict):
            yield from node["properties"].items()
        for entry in node.values():
            yield from _schemas(entry)


def routes(
    gate: Gate,
    kme: str,
    *,
    limits: Limits = DEFAULT_LIMITS,
    compat: Compat = STRICT,
    new_ids: Callable[[int], tuple[str, ...]] = new_key_ids,
    within_s: float = 10.0,
) -> list[BaseRoute]:
    """The routes of 014 for the KME element `kme`, to be mounted at the root."""
    delivery = KeyDelivery(gate, kme, Codec(new_ids, limits, compat), within_s)
    document = Answer(200, msgspec.json.encode(openapi(limits)))

    return [Route("/api/v1/keys/openapi.json", Fixed(document), methods=["GET"]), RawPrefix(b"/api/v1/keys", delivery)]


class RawPrefix(BaseRoute):
    """Everything whose raw path begins with `prefix`: Starlette's own routes match the decoded path, where an
    SAE ID may hold a slash or a line break."""

    def __init__(self, prefix: bytes, app: ASGIApp) -> None:
        self._prefix = prefix
        self._app = app

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        mine = scope["type"] == "http" and raw_path_of(scope).startswith(self._prefix)
        return (Match.FULL, {}) if mine else (Match.NONE, {})

    def url_path_for(self, name: str, /, **path_params: Any) -> NoReturn:
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def make_app(gate: Gate, kme: str, **options: Any) -> Starlette:
    """014 alone; `options` as `routes` takes them. `interfaces.northbound.make_app` adds the rest."""
    app = Starlette(routes=routes(gate, kme, **options))
    app.router.redirect_slashes = False
    return app
