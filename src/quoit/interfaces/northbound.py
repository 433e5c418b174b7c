"""All that a KME shows to its applications on one listener: ETSI GS QKD 014, service units, and its health."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from quoit.interfaces.etsi014 import server as etsi014
from quoit.interfaces.etsi014.codec import DEFAULT_LIMITS, STRICT, Compat, Limits
from quoit.interfaces.http_edge import Answer, reply
from quoit.interfaces.sessions import server as sessions
from quoit.interfaces.units import server as units
from quoit.interfaces.units.codec import render_problem
from quoit.model.problem import Problem
from quoit.runtime.gate import Gate


def make_app(
    gate: Gate,
    kme: str,
    *,
    limits: Limits = DEFAULT_LIMITS,
    compat: Compat = STRICT,
    ready: Callable[[], bool] = lambda: True,
    within_s: float = 10.0,
    eme: str | None = None,
) -> Starlette:
    """014 under /api/v1/keys, key sessions under /api/v1/sessions, units under /api/v1/units, /openapi.json, /livez and
    /readyz; with `eme` also /api/v1/memories, /api/v1/pairs, /api/v1/circuits and /api/v1/messages.

    `kme` and `eme` are the elements asked through `gate`. Serve it with `listener.listen`, which tells who asks.
    """
    app = Starlette(
        routes=[
            *etsi014.routes(gate, kme, limits=limits, compat=compat, within_s=within_s),
            *sessions.routes(gate, kme, within_s=within_s),
            *units.routes(gate, kme, within_s=within_s, eme=eme),
        ]
    )
    app.router.redirect_slashes = False
    app.router.default = _nowhere
    health = Health(ready)
    app.add_route("/livez", units.Resource({"GET": health.live}))  # type: ignore[arg-type]
    app.add_route("/readyz", units.Resource({"GET": health.ready}))  # type: ignore[arg-type]
    return app


Count = Callable[[str, str], None]
"""Called with (interface, HTTP status) for each answer."""
_INTERFACES = (
    ("/api/v1/keys", "etsi014"),
    ("/api/v1/sessions", "sessions"),
    ("/api/v1/units", "units"),
    ("/api/v1/memories", "memories"),
    ("/api/v1/pairs", "pairs"),
    ("/api/v1/circuits", "circuits"),
    ("/api/v1/messages", "messages"),
)


class Counted:
    """An ASGI application whose answers are counted by interface and status."""

    def __init__(self, app: ASGIApp, count: Count) -> None:
        self._app = app
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope.get("path", ""))
        interface = next((name for prefix, name in _INTERFACES if path.startswith(prefix)), "other")

        async def counted(event: Any) -> None:
            if event["type"] == "http.response.start":
                self._count(interface, str(event["status"]))
            await send(event)

        await self._app(scope, receive, counted)


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, render_problem(Problem("no-such-path")))


class Health:
    """Whether the process lives, and whether the twin behind it answers. Tells nothing else."""

    def __init__(self, ready: Callable[[], bool]) -> None:
        self._ready = ready

    async def live(self, request: Request) -> Answer:
        return _state("live")

    async def ready(self, request: Request) -> Answer:
        if not self._ready():
            raise Problem("not-ready")
        return _state("ready")


def _state(word: str, **more: Any) -> Answer:
    return Answer(200, msgspec.json.encode({"status": word, **more}))
