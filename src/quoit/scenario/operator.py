"""The operator's doors: HTTP over a local socket of mode 0600 and, if wanted, over mutual TLS. They show the twin and
strike the world; they cannot read keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from prometheus_client.exposition import generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config, Server

from quoit.adapters.exporters.prometheus import registry_of
from quoit.connectivity import api as connectivity
from quoit.fabric import api as fabric
from quoit.fabric.api import METERS, GetLinks
from quoit.interfaces.identity import Identities, NameKind, caller_of
from quoit.model.problem import Problem
from quoit.model.role import Operation, Role, may
from quoit.planes.management import Alarms, GetAlarms
from quoit.scenario.fate import FATE, STRIKES, Strike
from quoit.service import api as service

if TYPE_CHECKING:
    from quoit.scenario.host import Host


UPKEEPS = (connectivity.UPKEEP, fabric.UPKEEP, service.UPKEEP)


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


OPERATIONS = {"GET": Operation.READ, "HEAD": Operation.READ, "POST": Operation.STRIKE}
"""What a method asks for; no other is known here."""
ROLES = tuple(role for role in Role if may(role, Operation.READ))
"""Who is let in: applications and KMEs are not, nor are roles that have nothing to do here."""


class RoleGate:
    """An ASGI application for those alone whose certificate names a role that may do what is asked."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            role = Role(caller_of(scope))
        except Problem as problem:
            await _json({"message": problem.row.title}, 401)(scope, receive, send)
            return
        operation = OPERATIONS.get(scope["method"])
        if operation is None or not may(role, operation):
            await _json({"message": f"not for the role {role}"}, 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def role_identities(is_revoked: Callable[[int], bool]) -> Identities:
    """Who comes in: certificates by the role that they name."""
    names = {(NameKind.URI, role.urn): role.value for role in ROLES}
    return Identities(names, kinds=(NameKind.URI,), is_revoked=is_revoked)


class OperatorSocket:
    """Serves GET /links, /spans, /channels, /units, /alarms, /doors, /parts, /status, /metrics, /livez, /readyz, and
    POST /strike."""

    def __init__(self, path: Path, host: Host) -> None:
        self._path = path
        self._host = host
        self._server: Server | None = None
        self._task: asyncio.Task[None] | None = None
        self._registry = registry_of(host.twin.kernel)

    def app(self) -> Starlette:
        """What both doors serve."""
        return Starlette(
            routes=[
                Route("/links", self._links),
                Route("/spans", self._spans),
                Route("/channels", self._channels),
                Route("/units", self._units),
                Route("/alarms", self._alarms),
                Route("/doors", self._doors),
                Route("/parts", self._parts),
                Route("/status", self._status),
                Route("/metrics", self._metrics),
                Route("/livez", self._livez),
                Route("/readyz", self._readyz),
                Route("/strike", self._strike, methods=["POST"]),
            ]
        )

    async def start(self) -> None:
        """Open the socket. An earlier one of the same name is replaced."""
        self._path.unlink(missing_ok=True)
        config = Config(self.app(), uds=str(self._path), lifespan="off", log_config=None, access_log=False, ws="none")
        self._server = Server(config)
        self._server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        self._server.capture_signals = _no_signals  # type: ignore[method-assign,assignment]
        self._task = asyncio.get_running_loop().create_task(self._server.serve())
        while not self._server.started:
            await asyncio.sleep(0.01)
        self._path.chmod(0o600)

    async def stop(self) -> None:
        """Close the socket."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task
        self._path.unlink(missing_ok=True)

    async def _links(self, request: Request) -> Response:
        return _json(await self._host.world.ask(METERS, GetLinks()))

    async def _spans(self, request: Request) -> Response:
        return _json(await self._host.world.ask(connectivity.METERS, connectivity.GetSpans()))

    async def _channels(self, request: Request) -> Response:
        return _json(await self._host.world.ask(connectivity.METERS, connectivity.GetChannels()))

    async def _units(self, request: Request) -> Response:
        return _json(await self._host.world.ask(service.METERS, service.GetUnitCounts()))

    async def _alarms(self, request: Request) -> Response:
        """Standing alarms of all strata, the lowest stratum first: what is below is often the cause."""
        answers = [await self._host.world.ask(upkeep, GetAlarms()) for upkeep in UPKEEPS]
        return _json(Alarms(tuple(alarm for answer in answers for alarm in answer.alarms)))

    async def _doors(self, request: Request) -> Response:
        return _json(self._host.doors_told())

    async def _parts(self, request: Request) -> Response:
        """Which part of a twin that runs apart holds what; none for a twin in one piece."""
        company = self._host.company
        return _json([] if company is None else company.rows())

    async def _status(self, request: Request) -> Response:
        world, kernel = self._host.world, self._host.twin.kernel
        return _json(
            {
                "network": self._host.network.name,
                "now_ns": world.now_ns() if world.running else kernel.now,
                "speed": world.speed,
                "faithful": world.faithful,
                "worst_lateness_s": world.worst_lateness_s,
                "events": kernel.handled,
            }
        )

    async def _metrics(self, request: Request) -> Response:
        return Response(generate_latest(self._registry), media_type="text/plain; version=0.0.4")

    async def _livez(self, request: Request) -> Response:
        return _json({"status": "ok"})

    async def _readyz(self, request: Request) -> Response:
        ready, company = self._host.world.running, self._host.company
        gone = [] if company is None else company.gone
        status = ("degraded" if gone else "ready") if ready else "not ready"
        return _json({"status": status, "gone": gone} if gone else {"status": status}, 200 if ready else 503)

    async def _strike(self, request: Request) -> Response:
        try:
            strike = msgspec.json.decode(await request.body(), type=Strike)
            self._check(strike)
            await self._host.world.ask(FATE, strike)
        except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
            return _json({"message": str(fault)}, 400)
        except Problem as problem:
            return _json({"message": problem.detail}, problem.row.status)
        return _json({"done": strike.label})

    def _check(self, strike: Strike) -> None:
        """The target must exist before fate is told: the engine is not asked by outsiders."""
        network = self._host.network
        target = STRIKES.get(strike.kind)
        if target is None:
            raise Problem("malformed", f"expected one of {', '.join(STRIKES)}, found {strike.kind!r}")
        known = {
            "link": [link.id for link in network.links],
            "span": [span.id for span in network.spans if span.air is None or strike.kind in ("cut", "splice")],
            "air": [span.id for span in network.spans if span.air is not None],
            "channel": [channel.name for channel in network.plant.channels],
        }[target]
        if target == "link" and not 0 <= strike.amount <= 1:
            raise Problem("malformed", f"a fraction of 0 to 1 is expected, found {strike.amount}")
        if strike.kind in ("bend", "weather") and not 0 <= strike.amount < inf:
            raise Problem("malformed", f"a loss of 0 dB or more is expected, found {strike.amount}")
        if strike.kind in ("light", "power") and not -100 <= strike.amount <= 30:
            raise Problem("malformed", f"a power of -100 to 30 dBm is expected, found {strike.amount}")
        if strike.target not in known:
            what = {"air": "path through air", "span": "fibre"}.get(target, target)
            listed = f"known: {', '.join(known[:20])}" if known else "this network has none"
            raise Problem("no-such-element", f"no {what} is called {strike.target!r}; {listed}")


class _no_signals:  # noqa: N801 - stands in for a context manager function of uvicorn's
    """The host handles signals, not this socket's server."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exc: object) -> None:
        return None
