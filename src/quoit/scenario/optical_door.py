"""The optical network behind TAPI: the port `interfaces.tapi.optics.Optics` over a twin's controllers.

It keeps a copy of what the controllers tell, since a server reads it at each request: the topology changes with the
light of spans, services with their news. Services that were not opened here, such as those of the network file and
those that intents ask for, are taken over as configuration: from then on they are as if a client had opened them.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from uuid import NAMESPACE_URL, uuid5

import structlog

from quoit.connectivity import api
from quoit.engine.physics.fibre import delay_s
from quoit.interfaces.identity import Peer
from quoit.interfaces.listener import Listener
from quoit.interfaces.passwords import Passwords
from quoit.interfaces.restconf.access import Rule, Rules
from quoit.interfaces.restconf.core import Restconf
from quoit.interfaces.restconf.errors import RestconfError
from quoit.interfaces.restconf.exchange import Request, Response, refusal
from quoit.interfaces.restconf.library import ModuleSet, YangError
from quoit.interfaces.restconf.schema import Schema
from quoit.interfaces.restconf.server import Handler, serve
from quoit.interfaces.tapi import codec
from quoit.interfaces.tapi.demands import Asked, asked_of
from quoit.interfaces.tapi.objects import Standing, service_object
from quoit.interfaces.tapi.optics import Lifecycle, Link, Network, Node, PathWish, Service, Sip, Wish
from quoit.interfaces.tapi.provider import STREAM, TapiProvider
from quoit.interfaces.tapi.teraflow import TeraFlowTapi
from quoit.model.problem import Problem
from quoit.model.role import Operation, Role, may
from quoit.runtime.live import LiveWorld
from quoit.runtime.wire import Message
from quoit.scenario import schema
from quoit.scenario.light import air_plan

_log = structlog.get_logger("quoit", element="scenario.optical_door")
HOW_TO_GET_THEM = (
    "TAPI's YANG modules are not part of quoit: fetch release v2.4.0 of the TAPI repository of the Open Network Models "
    "and Interfaces project (Apache licence) and give its directory YANG as --tapi-yang"
)
MOST_PATHS = 3
MOST_SERVICES = 500
"""Services that are shown without a client having opened them, at most: configuration has its bound, too."""
ROLES = tuple(role for role in Role if may(role, Operation.READ_OPTICS))
"""Who is let in at the optical network's door."""


class World(Protocol):
    """What answers questions to elements: live, or in virtual time."""

    def ask(self, to: str, msg: Message) -> Awaitable[Any]: ...


class TwinOptics:
    """The port over a twin. `hear` is to get the kernel's news."""

    def __init__(self, network: schema.NetworkFile, world: World) -> None:
        self._file = network
        self._world = world
        self._namespace = uuid5(NAMESPACE_URL, f"urn:quoit:{network.name}")
        self._nodes = {name: self.uuid("node", name) for name in network.nodes}
        self._sips = {self.uuid("sip", name): name for name in network.nodes}
        self._spans = {self.uuid("span", span.id): span.id for span in network.spans}
        self._span_uuids = {name: uuid for uuid, name in self._spans.items()}
        self._network = self._drawn(network)
        self._services: dict[str, Service] = {}
        self._names: dict[str, str] = {}
        self._coming: set[str] = set()
        self._provider: TapiProvider | None = None
        self._core: Restconf | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def uuid(self, kind: str, name: str) -> str:
        """The same for the same thing in every life of a network of this name."""
        return str(uuid5(self._namespace, f"{kind}/{name}"))

    def attach(self, provider: TapiProvider, core: Restconf) -> None:
        """Whom to tell."""
        self._provider, self._core = provider, core

    def _drawn(self, network: schema.NetworkFile) -> Network:
        links = tuple(
            Link(
                self._span_uuids[span.id],
                span.id,
                (self._nodes[span.between[0]], self._nodes[span.between[1]]),
                _costs(network, span),
                delay_s(span.length_km) * 1e6,
                (span.duct or span.id,),
            )
            for span in network.spans
            if span.air is None or span.air.satellite is None
        )
        nodes = tuple(Node(uuid, name) for name, uuid in self._nodes.items())
        sips = tuple(Sip(uuid, f"{name} add/drop", self._nodes[name]) for uuid, name in self._sips.items())
        return Network(self.uuid("topology", "whole"), network.name, nodes, links, sips)

    # -- the port ------------------------------------------------------------------------------------

    def network(self) -> Network:
        return self._network

    def services(self) -> Mapping[str, Service]:
        if not self._coming:
            return self._services
        return {uuid: service for uuid, service in self._services.items() if uuid not in self._coming}

    async def open(self, wish: Wish) -> None:
        asked = asked_of(wish.asked)
        if asked.disjoint:
            raise Problem("not-supported", "a service over two routes; open two with diversity-exclusion")
        self._services[wish.uuid] = Service(Lifecycle.PLANNED, False)
        self._names[wish.uuid] = wish.uuid
        try:
            row = await self._world.ask(api.OTN, self._order(wish, asked))
        except BaseException:
            self._forget(wish.uuid)
            raise
        self._services[wish.uuid] = self._service(row)

    async def close(self, uuid: str) -> None:
        await self._world.ask(api.OTN, api.CloseService(self._names.get(uuid, uuid)))
        self._forget(uuid)

    def _forget(self, uuid: str) -> None:
        self._services.pop(uuid, None)
        self._names.pop(uuid, None)

    async def paths(self, wish: PathWish) -> tuple[tuple[str, ...], ...]:
        asked = asked_of(wish.asked)
        a, b = (self._end(uuid) for uuid in wish.ends)
        kind = api.CLASSICAL if asked.link is None else api.QUANTUM
        companion = None if asked.companion_dbm is None else api.Companion(launch_dbm=asked.companion_dbm)
        question = api.ComputePaths(
            a,
            b,
            kind,
            self._limits(asked),
            asked.width_mhz or self._width(kind),
            asked.launch_dbm if asked.launch_dbm is not None else api.OpenService("", kind, a, b).launch_dbm,
            companion=companion,
            count=1 if asked.disjoint else MOST_PATHS,
            disjoint=asked.disjoint,
            besides=(asked.link,) if asked.link is not None else (),
        )
        found: api.Paths = await self._world.ask(api.OTN, question)
        return tuple(tuple(self._span_uuids[span] for span in row.spans) for row in found.rows)

    # -- inside --------------------------------------------------------------------------------------

    @staticmethod
    def _width(kind: str) -> int:
        return schema.QUANTUM_WIDTH_MHZ if kind == api.QUANTUM else 50_000

    def _end(self, sip: str) -> str:
        if sip not in self._sips:
            raise Problem("no-such-element", f"expected a service interface point of this context, found {sip}")
        return self._sips[sip]

    def _limits(self, asked: Asked) -> api.Limits:
        avoid = [self._named(self._spans, uuid, "link") for uuid in asked.exclude_links]
        names = {uuid: name for name, uuid in self._nodes.items()}
        avoid += [self._named(names, uuid, "node") for uuid in asked.exclude_nodes]
        centres = (asked.centre_mhz,) if asked.centre_mhz is not None else ()
        return api.Limits(
            asked.objective,
            asked.max_loss_db,
            asked.max_latency_ns,
            asked.max_switches,
            asked.max_noise_cps,
            tuple(avoid),
            centres,
        )

    @staticmethod
    def _named(known: Mapping[str, str], uuid: str, what: str) -> str:
        if uuid not in known:
            raise Problem("no-such-element", f"expected a {what} of this topology, found {uuid}")
        return known[uuid]

    def _order(self, wish: Wish, asked: Asked) -> api.OpenService:
        a, b = (self._end(uuid) for uuid in wish.ends)
        kind = api.CLASSICAL if asked.link is None else api.QUANTUM
        given = api.OpenService(wish.uuid, kind, a, b, asked.link or "")
        wait_ns = given.restoration.wait_ns if asked.wait_ns is None else asked.wait_ns
        return api.OpenService(
            wish.uuid,
            kind,
            a,
            b,
            asked.link or "",
            asked.width_mhz or given.width_mhz,
            given.launch_dbm if asked.launch_dbm is None else asked.launch_dbm,
            given.isolation_db,
            self._limits(asked),
            None if asked.companion_dbm is None else api.Companion(launch_dbm=asked.companion_dbm),
            coroute=self._names.get(asked.coroute, asked.coroute) if asked.coroute else "",
            apart_from=self._names.get(asked.apart_from, asked.apart_from) if asked.apart_from else "",
            start_ns=self._instant(wish.start),
            end_ns=self._instant(wish.end),
            restoration=api.Restoration(asked.restore, asked.hold_off_ns, asked.revertive, wait_ns),
        )

    def _instant(self, at: datetime | None) -> int | None:
        return None if at is None else round((at.timestamp() - self._file.epoch_unix_s) * 1e9)

    def _service(self, row: api.ServiceRow) -> Service:
        lifecycle = Lifecycle(row.lifecycle) if row.lifecycle != api.REMOVED else Lifecycle.PENDING_REMOVAL
        return Service(lifecycle, row.enabled, tuple(self._span_uuids[span] for span in row.spans))

    # -- news ----------------------------------------------------------------------------------------

    def hear(self, subject: str, msg: Message) -> None:
        """A watcher of the kernel's news: it may not wait."""
        if isinstance(msg, api.SpanLight):
            self._light(msg.span, msg.loss_db is not None)
        elif isinstance(msg, api.ServiceRow):
            if self._uuid_of(msg.service) in self._services:
                self._told(msg)
            elif self._comes(msg):
                self._begin(self._take_over(msg))

    def _light(self, span: str, up: bool) -> None:
        uuid = self._span_uuids[span]
        links = tuple(replace(link, up=up) if link.uuid == uuid else link for link in self._network.links)
        if links != self._network.links:
            self._network = replace(self._network, links=links)
            if self._core is not None:
                self._core.changed()

    def _told(self, row: api.ServiceRow) -> None:
        uuid = self._uuid_of(row.service)
        now, was = self._service(row), self._services[uuid]
        if now != was:
            self._services[uuid] = now
            if self._provider is not None:
                self._provider.stands(uuid, now)
        if row.lifecycle == api.REMOVED and self._provider is not None:
            self._begin(self._retire(uuid))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _retire(self, uuid: str) -> None:
        """Its schedule is over: out of the configuration. If a client just deletes it, there is nothing left to do."""
        assert self._provider is not None
        try:
            await self._provider.retire(uuid)
        except (RestconfError, Problem) as fault:
            _log.warning("service.not_retired", service=uuid, fault=str(fault))

    # -- services that were opened elsewhere ---------------------------------------------------------

    def _uuid_of(self, service: str) -> str:
        """A service that was opened here is called by its uuid; of others it follows from the name."""
        return service if service in self._names else self.uuid("service", service)

    async def take_over(self) -> None:
        """Show the services that are there already."""
        found: api.Services = await self._world.ask(api.OTN, api.GetServices())
        for row in found.rows:
            if self._uuid_of(row.service) not in self._services and self._comes(row):
                await self._take_over(row)

    def _comes(self, row: api.ServiceRow) -> bool:
        """Whether a service that is not known is to be shown. From now on its news count."""
        if row.lifecycle in (api.PENDING_REMOVAL, api.REMOVED) or self._provider is None:
            return False
        if len(self._services) >= MOST_SERVICES:
            _log.warning("service.not_shown", service=row.service, most=MOST_SERVICES)
            return False
        uuid = self._uuid_of(row.service)
        self._services[uuid], self._names[uuid] = self._service(row), row.service
        self._coming.add(uuid)
        return True

    async def _take_over(self, row: api.ServiceRow) -> None:
        """One service, as whoever opened it would have configured it. It may be gone again before we come to it."""
        assert self._provider is not None
        uuid = self._uuid_of(row.service)
        try:
            wish: api.OpenService = await self._world.ask(api.OTN, api.GetWish(row.service))
            await self._provider.adopt(service_object(self._standing(uuid, wish, row)))
        except (Problem, RestconfError) as fault:
            self._forget(uuid)
            _log.warning("service.not_shown", service=row.service, fault=str(fault))
            return
        finally:
            self._coming.discard(uuid)
        self._provider.created(uuid)
        if self._services[uuid].lifecycle is Lifecycle.PENDING_REMOVAL:  # it has gone meanwhile
            await self._retire(uuid)

    def _standing(self, uuid: str, wish: api.OpenService, row: api.ServiceRow) -> Standing:
        """What there is to show of it."""
        limits, again, companion = wish.limits, wish.restoration, wish.companion
        centres = limits.centres_mhz
        spans, nodes = self._avoided(limits.avoid)
        quantum = wish.kind == api.QUANTUM
        asked = Asked(
            wish.link or None,
            centres[0] if len(centres) == 1 else None,
            row.width_mhz,
            None if quantum else wish.launch_dbm,
            None if companion is None else companion.launch_dbm,
            limits.objective,
            False,
            limits.max_loss_db,
            limits.max_noise_hz,
            limits.max_latency_ns,
            spans,
            nodes,
            self._uuid_of(wish.coroute) if wish.coroute else None,
            self._uuid_of(wish.apart_from) if wish.apart_from else None,
            again.enabled,
            again.revertive,
            again.hold_off_ns,
            again.wait_ns,
            limits.max_switches,
        )
        ends = ((wish.a, self.uuid("sip", wish.a)), (wish.b, self.uuid("sip", wish.b)))
        pinned = tuple(self._span_uuids[span] for span in wish.spans)
        start, end = (self._date(at) for at in (wish.start_ns, wish.end_ns))
        return Standing(uuid, wish.service, ends, asked, self._network.topology, start, end, pinned)

    def _avoided(self, names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Links (of a risk, all that share it) and nodes, by uuid."""
        spans = [s.id for s in self._file.spans if s.id in names or (s.duct is not None and s.duct in names)]
        shown = tuple(self._span_uuids[span] for span in spans)
        return shown, tuple(self._nodes[name] for name in names if name in self._nodes)

    def _date(self, at_ns: int | None) -> datetime | None:
        if at_ns is None:
            return None
        return datetime.fromtimestamp(self._file.epoch_unix_s, UTC) + timedelta(microseconds=at_ns / 1000)

    async def end(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _costs(network: schema.NetworkFile, span: schema.Span) -> dict[str, float]:
    """Costs of a link; a path through air has no length of fibre."""
    if span.air is not None:
        return {"LOSS_DB": air_plan(network, span).best_loss_db}
    return {"LOSS_DB": span.loss_db, "FIBRE_LENGTH_KM": span.length_km}


class DoorRefused(ValueError):
    """The door cannot be opened; the text says why and how to mend it."""


def rules() -> Rules:
    """Who may read is let in; who may configure, writes and invokes."""
    writing = frozenset(role.value for role in ROLES if may(role, Operation.CONFIGURE_OPTICS))
    readers = frozenset(role.value for role in ROLES)
    return Rules([Rule(True, writing), Rule(True, readers, frozenset({"read"})), Rule(False)])


def tapi_server(
    network: schema.NetworkFile,
    world: World,
    watchers: list[Callable[[str, Message], None]],
    modules: ModuleSet | Schema,
    now: Callable[[], datetime],
) -> tuple[Restconf, TwinOptics]:
    """The server of a twin's optical network, without a socket. `now`: the twin's time."""
    optics = TwinOptics(network, world)
    provider = TapiProvider(optics, now)
    core = Restconf(
        modules,
        [provider],
        now=now,
        access=rules(),
        streams={STREAM: "The optical network."},
        initial={codec.CONTEXT: {"uuid": optics.uuid("context", network.name)}},
    )
    provider.attach(core)
    optics.attach(provider, core)
    watchers.append(optics.hear)
    return core, optics


class ByRole:
    """A RESTCONF server for those alone whose role may do what is asked; the rest is said at the edge."""

    def __init__(self, core: Restconf) -> None:
        self._core = core
        self.limits = core.limits

    async def handle(self, request: Request) -> Response:
        reads = request.method in ("GET", "HEAD", "OPTIONS")
        if not may(Role(request.caller), Operation.READ_OPTICS if reads else Operation.CONFIGURE_OPTICS):
            return refusal(RestconfError("access-denied", f"not for the role {request.caller}", status=403))
        return await self._core.handle(request)

    async def close(self) -> None:
        await self._core.close()


class OpticalDoor:
    """The optical network's listener. Modules are read when it is made, so that what lacks is said before anything
    runs.

    Raises `DoorRefused` with what lacks and how to mend it.
    """

    def __init__(self, network: schema.NetworkFile, directory: Path | None) -> None:
        if not network.has_plant:
            raise DoorRefused(f"network {network.name} has no optical controller; add a section 'plant: {{}}' to it")
        if directory is None:
            raise DoorRefused(f"no directory of TAPI's modules is named; {HOW_TO_GET_THEM}")
        try:
            self._modules = ModuleSet.of(codec.MODULES, [directory])
        except (YangError, OSError) as fault:
            raise DoorRefused(f"{fault}; {HOW_TO_GET_THEM}") from fault
        self._network = network
        self._stack = contextlib.AsyncExitStack()
        self._optics: TwinOptics | None = None

    async def open(
        self,
        world: LiveWorld,
        watchers: list[Callable[[str, Message], None]],
        port: int,
        tls: ssl.SSLContext,
        identify: Callable[[bytes], Peer],
        passwords: Passwords | None = None,
    ) -> Listener:
        """Serve on a port of 127.0.0.1 (0: any free one) until `close`. With `passwords`, in TeraFlowSDN's dialect."""

        def now() -> datetime:
            at_ns = world.now_ns() if world.running else world.kernel.now  # before it goes live
            return datetime.fromtimestamp(world.unix_s(at_ns), UTC)

        core, self._optics = tapi_server(self._network, world, watchers, self._modules, now)
        handler: Handler = ByRole(core) if passwords is None else TeraFlowTapi(ByRole(core), core.root)
        return await self._stack.enter_async_context(
            serve(handler, "127.0.0.1", port, tls, identify, passwords=passwords)
        )

    async def show_what_stands(self) -> None:
        """Take services over that were opened before the door was. The world must be live: controllers are asked."""
        if self._optics is not None:
            await self._optics.take_over()

    async def close(self) -> None:
        """Close the listener, and end what it has begun."""
        await self._stack.aclose()
        if self._optics is not None:
            await self._optics.end()
