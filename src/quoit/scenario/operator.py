"""The operator's doors: HTTP over a local socket of mode 0600 and, if wanted, over mutual TLS. They show the twin and
strike the world; they cannot read keys.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Mapping
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
from quoit.fabric.api import METERS, GetLinks
from quoit.interfaces.identity import Identities, NameKind, caller_of
from quoit.interfaces.restconf.server import send_feed
from quoit.model.problem import Problem
from quoit.model.role import Operation, Role, may
from quoit.orchestration.telemetry_api import ASSURANCE, FOOTPRINT, GetAssurance, GetCorrelatedAlarms, GetFootprint
from quoit.planes.loop import ClosedLoop, GetLoop, LoopOrder, LoopStandings, SteerLoop, loop_element
from quoit.planes.telemetry import GetMeters, Meters
from quoit.runtime.wire import Message
from quoit.scenario.fate import FATE, STRIKES, Strike
from quoit.scenario.news import UNREAD_S, NewsDesk
from quoit.scenario.targets import targets_of, without_light
from quoit.scenario.telemetry_data import all_monitors
from quoit.service import api as service

if TYPE_CHECKING:
    from quoit.scenario.host import Host


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


OPERATIONS = {"GET": Operation.READ, "HEAD": Operation.READ, "POST": Operation.STRIKE}
"""What a method asks for; no other is known here."""
ROLES = tuple(role for role in Role if may(role, Operation.READ))
"""Who is let in: applications and KMEs are not, nor are roles that have nothing to do here."""


class TokenWish(msgspec.Struct, forbid_unknown_fields=True):
    """For which node, and for how long."""

    node: str
    valid_for_s: float = 3600.0


class RoleGate:
    """An ASGI application for those alone whose certificate names a role that may do what is asked."""

    def __init__(self, app: ASGIApp, operations: Mapping[str, Operation] = OPERATIONS) -> None:
        self._app = app
        self._operations = operations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            role = Role(caller_of(scope))
        except Problem as problem:
            await _json({"message": problem.row.title}, 401)(scope, receive, send)
            return
        operation = self._operations.get(scope["method"])
        if operation is None or not may(role, operation):
            await _json({"message": f"not for the role {role}"}, 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)


class ManagementDoor:
    """The door over TLS: what the socket serves, for roles, and RESTCONF for those who may read. Its data are state
    alone, so nobody writes; subscriptions are established by POST and are reading all the same."""

    def __init__(self, operator: ASGIApp, restconf: ASGIApp) -> None:
        self._operator = RoleGate(operator)
        self._restconf = restconf

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not str(scope.get("path", "")).startswith(("/restconf", "/.well-known/")):
            await self._operator(scope, receive, send)
            return
        try:
            role = Role(caller_of(scope))
        except Problem as problem:
            await _json({"message": problem.row.title}, 401)(scope, receive, send)
            return
        if may(role, Operation.READ):
            await self._restconf(scope, receive, send)
        else:
            await _json({"message": f"not for the role {role}"}, 403)(scope, receive, send)


def role_identities(is_revoked: Callable[[int], bool], roles: Iterable[Role] = ROLES) -> Identities:
    """Who comes in: certificates by the role that they name."""
    names = {(NameKind.URI, role.urn): role.value for role in roles}
    return Identities(names, kinds=(NameKind.URI,), is_revoked=is_revoked)


class SocketRefused(ValueError):
    """The system lets nobody open the operator's socket where it should be; the text says why and how to mend it."""


class OperatorSocket:
    """Serves GET /links, /spans, /channels, /services, /works, /units, /alarms, /loops, /assurance, /telemetry,
    /footprint, /events, /doors, /parts, /status, /metrics, /livez, /readyz, and POST /strike, /loops, /works,
    /tokens."""

    def __init__(self, path: Path, host: Host) -> None:
        self._path = path
        self._host = host
        self._server: Server | None = None
        self._task: asyncio.Task[None] | None = None
        self._registry = registry_of(host.twin.kernel)
        self._news = NewsDesk(host.news)

    def app(self) -> Starlette:
        """What both doors serve."""
        return Starlette(
            routes=[
                Route("/links", self._links),
                Route("/spans", self._spans),
                Route("/channels", self._channels),
                Route("/services", self._services),
                Route("/works", self._works),
                Route("/works", self._announce, methods=["POST"]),
                Route("/units", self._units),
                Route("/alarms", self._alarms),
                Route("/loops", self._loops),
                Route("/loops", self._steer, methods=["POST"]),
                Route("/assurance", self._assurance),
                Route("/telemetry", self._telemetry),
                Route("/footprint", self._footprint),
                Route("/events", _Events(self._news), methods=["GET"]),
                Route("/doors", self._doors),
                Route("/parts", self._parts),
                Route("/status", self._status),
                Route("/metrics", self._metrics),
                Route("/livez", self._livez),
                Route("/readyz", self._readyz),
                Route("/strike", self._strike, methods=["POST"]),
                Route("/tokens", self._tokens, methods=["POST"]),
            ]
        )

    async def start(self) -> None:
        """Open the socket. An earlier one of the same name is replaced. `SocketRefused` if it cannot be there."""
        self._path.unlink(missing_ok=True)
        _try_to_bind(self._path)
        config = Config(self.app(), uds=str(self._path), lifespan="off", log_config=None, access_log=False, ws="none")
        self._server = Server(config)
        self._server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        self._server.capture_signals = _no_signals  # type: ignore[method-assign,assignment]
        self._task = asyncio.get_running_loop().create_task(self._server.serve())
        while not self._server.started:
            if self._task.done():
                await self._task
                raise SocketRefused(f"{self._path}: its server has ended before it had begun")
            await asyncio.sleep(0.01)
        self._path.chmod(0o600)

    async def stop(self) -> None:
        """Close the socket."""
        self._news.close()
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

    async def _services(self, request: Request) -> Response:
        return await self._optical(connectivity.OTN, connectivity.GetServices())

    async def _works(self, request: Request) -> Response:
        return await self._optical(connectivity.WORKS, connectivity.GetWorks())

    async def _announce(self, request: Request) -> Response:
        """Works are announced, or ended if they name neither spans nor links."""
        try:
            asked = msgspec.json.decode(await request.body(), type=connectivity.AnnounceWorks)
        except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
            return _json({"message": str(fault)}, 400)
        order = asked if asked.spans or asked.links else connectivity.EndWorks(asked.works)
        return await self._optical(connectivity.WORKS, order)

    async def _optical(self, to: str, msg: Message) -> Response:
        try:
            return _json(await self._host.world.ask(to, msg))
        except Problem as problem:
            return _json({"message": problem.detail, **problem.fields}, problem.row.status)

    async def _units(self, request: Request) -> Response:
        return _json(await self._host.world.ask(service.METERS, service.GetUnitCounts()))

    async def _alarms(self, request: Request) -> Response:
        """Standing alarms of all strata with their root causes; roots first."""
        return _json(await self._host.world.ask(ASSURANCE, GetCorrelatedAlarms()))

    async def _assurance(self, request: Request) -> Response:
        """Health of all subservices; with `?below=N` of those that have less."""
        below = request.query_params.get("below", "101")
        if not (below.isascii() and below.isdecimal() and len(below) <= 3):
            return _json({"message": f"below: a health of 0 to 101 is expected, found {below!r}"}, 400)
        return _json(await self._host.world.ask(ASSURANCE, GetAssurance(int(below))))

    async def _telemetry(self, request: Request) -> Response:
        """Meters that are on, with their windows, of all strata."""
        of = [connectivity.METERS, METERS, *all_monitors(self._host.network)]
        answers: list[Meters] = [await self._host.world.ask(name, GetMeters()) for name in of]
        return _json(Meters(tuple(row for answer in answers for row in answer.meters)))

    async def _footprint(self, request: Request) -> Response:
        return _json(await self._host.world.ask(FOOTPRINT, GetFootprint()))

    def _loop_elements(self) -> list[str]:
        return [e.name for e in self._host.twin.kernel.elements if isinstance(e, ClosedLoop)]

    async def _loops(self, request: Request) -> Response:
        """All closed loops, by name, with their last records."""
        return _json(LoopStandings(tuple([await self._host.world.ask(e, GetLoop()) for e in self._loop_elements()])))

    async def _steer(self, request: Request) -> Response:
        try:
            order = msgspec.json.decode(await request.body(), type=LoopOrder)
            self._check_loop(order.loop)
            return _json(await self._host.world.ask(loop_element(order.loop), SteerLoop(order.order)))
        except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
            return _json({"message": str(fault)}, 400)
        except Problem as problem:
            return _json({"message": problem.detail}, problem.row.status)

    def _check_loop(self, name: str) -> None:
        known = [element.removeprefix("loop.") for element in self._loop_elements()]
        if name not in known:
            listed = f"known: {', '.join(known[:20])}" if known else "this network has none; see docs/loops.md"
            raise Problem("no-such-element", f"no loop is called {name!r}; {listed}")

    async def _doors(self, request: Request) -> Response:
        return _json(self._host.doors.told())

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

    async def _tokens(self, request: Request) -> Response:
        """A one-time token for a node that is to join: this answer is the only place where it can be read."""
        try:
            wish = msgspec.json.decode(await request.body(), type=TokenWish)
            if self._host.doors.join_door is None:
                raise Problem("not-joining", "nobody can enrol here: start the twin with --join-port")
            token = self._host.doors.join_door.token(wish.node, wish.valid_for_s)
        except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
            return _json({"message": str(fault)}, 400)
        except Problem as problem:
            return _json({"message": problem.detail}, problem.row.status)
        return _json({"node": token.node, "url": token.url, "token": token.text(), "valid_for_s": wish.valid_for_s})

    def _check(self, strike: Strike) -> None:
        """The target must exist before fate is told: the engine is not asked by outsiders."""
        network = self._host.network
        if strike.kind not in STRIKES:
            raise Problem("malformed", f"expected one of {', '.join(STRIKES)}, found {strike.kind!r}")
        what, known = targets_of(network, strike.kind)
        if what.endswith("link") and not 0 <= strike.amount <= 1:
            raise Problem("malformed", f"a fraction of 0 to 1 is expected, found {strike.amount}")
        if strike.kind in ("bend", "weather", "tap") and not 0 <= strike.amount < inf:
            raise Problem("malformed", f"a loss of 0 dB or more is expected, found {strike.amount}")
        if strike.kind in ("light", "power") and not -100 <= strike.amount <= 30:
            raise Problem("malformed", f"a power of -100 to 30 dBm is expected, found {strike.amount}")
        why = without_light(network, strike.kind, strike.target)
        if why is not None:
            raise Problem("malformed", why)
        if strike.target not in known:
            listed = f"known: {', '.join(known[:20])}" if known else "this network has none"
            raise Problem("no-such-element", f"no {what} is called {strike.target!r}; {listed}")


class _Events:
    """GET /events?subject=...: news as server-sent events until the reader goes."""

    def __init__(self, desk: NewsDesk) -> None:
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        if request.method == "HEAD":
            await Response(media_type="text/event-stream")(scope, receive, send)
            return
        try:
            feed = self._desk.open(request.query_params.getlist("subject"))
        except Problem as problem:
            await _json({"message": problem.detail}, problem.row.status)(scope, receive, send)
            return
        cut = scope.get("state", {}).get("cut")
        await send_feed(feed, 200, [(b"content-type", b"text/event-stream")], UNREAD_S, receive, send, cut)


def _try_to_bind(path: Path) -> None:
    """The server says nothing of a socket that it could not open."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.bind(str(path))
    except OSError as fault:
        raise SocketRefused(
            f"{path} ({len(str(path).encode())} bytes) cannot be opened: {fault}; the path of a local socket has at "
            "most 107 bytes (macOS: 103), so give the twin a shorter --dir, where sockets may be made"
        ) from fault
    path.unlink()


class _no_signals:  # noqa: N801 - stands in for a context manager function of uvicorn's
    """The host handles signals, not this socket's server."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exc: object) -> None:
        return None
