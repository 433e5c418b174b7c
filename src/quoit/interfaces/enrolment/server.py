"""The enrolment interface over ASGI. The certificate is asked for with a token, all else with the certificate.

A listener for it lets clients in that have no certificate yet; they get the root's certificate, which is public, and
one certificate of their own if their token is good. Attempts are limited for all clients together.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from quoit.interfaces.enrolment.codec import (
    BASE,
    interfaces_object,
    joined_object,
    parse_certificate_request,
    parse_interfaces,
)
from quoit.interfaces.http_edge import Answer, check_json_content, headers_of, read_body, reply
from quoit.interfaces.identity import caller_of
from quoit.interfaces.resource import Resource
from quoit.model.problem import Problem
from quoit.orchestration.api import Interface, NodeJoined

_log = structlog.get_logger("quoit", element="interfaces.enrolment")
ATTEMPTS, EACH_S = 10, 6.0
"""Certificates that may be asked for at once, and how soon there may be one more."""


class Desk(Protocol):
    """What stands behind: it knows tokens, signs, and has nodes join."""

    def root_pem(self) -> bytes: ...

    def certificate(self, secret: str, csr: str) -> bytes:
        """The chain in PEM, for a token's secret and a request that it fits. The token is used up. Problems
        `bad-token`, `malformed`."""
        ...

    def equipment(self, node: str) -> tuple[Interface, ...]:
        """What quantum interfaces the device at this node has: the twin holds the device's hardware."""
        ...

    async def register(self, node: str, interfaces: tuple[Interface, ...]) -> tuple[NodeJoined, dict[str, Any]]:
        """Have the node join; also where its KMEs are now. Problems `not-joining`, `malformed`."""
        ...


class Attempts:
    """So many at once, and one more each `each_s` of the host's time. Problem `too-many-attempts`."""

    def __init__(
        self, number: int = ATTEMPTS, each_s: float = EACH_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = number
        self._each_s = each_s
        self._clock = clock
        self._left = float(number)
        self._at_s = clock()

    def take(self) -> None:
        now_s = self._clock()
        self._left = min(self._most, self._left + (now_s - self._at_s) / self._each_s)
        self._at_s = now_s
        if self._left < 1:
            wait_s = (1 - self._left) * self._each_s
            raise Problem("too-many-attempts", f"try again in {wait_s:.0f} s")
        self._left -= 1


def _refusal(problem: Problem) -> Answer:
    value = {"code": problem.code, "title": problem.row.title, "detail": problem.detail, "mend": problem.row.mend}
    return Answer(problem.row.status, msgspec.json.encode(value))


class EnrolmentInterface:
    """Requests of devices."""

    def __init__(self, desk: Desk, attempts: Attempts) -> None:
        self._desk = desk
        self._attempts = attempts

    async def root(self, request: Request) -> Answer:
        """GET /root: the network's root certificate. Whoever asks compares it with the digest in its token."""
        return Answer(200, self._desk.root_pem(), (("content-type", "application/x-pem-file"),))

    async def certificate(self, request: Request) -> Answer:
        """POST /certificate with `Authorization: Bearer SECRET`: 201 with the chain."""
        self._attempts.take()
        headers = headers_of(request.scope)
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secret:
            raise Problem("bad-token", "expected the header Authorization: Bearer SECRET")
        body = await read_body(request.receive)
        check_json_content(headers, body)
        chain = self._desk.certificate(secret.strip(), parse_certificate_request(body))
        return Answer(201, msgspec.json.encode({"certificate": chain.decode("ascii")}))

    async def equipment(self, request: Request) -> Answer:
        """GET /equipment: what the device has."""
        node = caller_of(request.scope)
        return Answer(200, msgspec.json.encode(interfaces_object(self._desk.equipment(node))))

    async def register(self, request: Request) -> Answer:
        """POST /interfaces: the node joins; 200 with what came of it. May be repeated."""
        node = caller_of(request.scope)
        body = await read_body(request.receive)
        check_json_content(headers_of(request.scope), body)
        joined, doors = await self._desk.register(node, parse_interfaces(body))
        return Answer(200, msgspec.json.encode(joined_object(joined, doors)))


def make_enrolment(desk: Desk, attempts: Attempts | None = None) -> Starlette:
    """The application of an enrolment listener."""
    interface = EnrolmentInterface(desk, attempts or Attempts())
    rows = (
        ("/root", "GET", interface.root),
        ("/certificate", "POST", interface.certificate),
        ("/equipment", "GET", interface.equipment),
        ("/interfaces", "POST", interface.register),
    )
    app = Starlette(
        routes=[Route(BASE + path, Resource({method: handler}, _refusal)) for path, method, handler in rows]
    )
    app.router.redirect_slashes = False
    app.router.default = _nowhere
    return app


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, _refusal(Problem("no-such-path")))
