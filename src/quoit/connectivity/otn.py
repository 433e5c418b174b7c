"""The optical network's controller towards its customers: connectivity services over their life (E3, E4, A3).

It is the coordinator of RFC 8453 (MDSC) over the controllers of the optical domains; the quantum network's controller
is one of its customers (CNC), whoever lights classical channels another. A service is a wish that is kept: it gets a
path and a wavelength, its operational state follows the light, a lost path is replaced within the service's limits and
after its hold-off time, and its schedule begins and ends it.

Named approximation: restoration does not move other services out of the way.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import structs

from quoit.connectivity.api import (
    CHANNEL_NEWS,
    CLASSICAL,
    CONTROLLER,
    GONE,
    INSTALLED,
    OTN,
    PENDING_REMOVAL,
    PLANNED,
    QUANTUM,
    REMOVED,
    SERVICE_NEWS,
    SPAN_NEWS,
    ChannelRow,
    CloseService,
    CloseSpans,
    ComputePaths,
    DomainPreference,
    DomainPreferences,
    ExtinguishChannel,
    GetPreferences,
    GetServices,
    GetWish,
    LightChannel,
    MoveService,
    OpenService,
    PathRow,
    Paths,
    PreferDomain,
    RetuneChannel,
    ServiceRow,
    Services,
    SpanLight,
    SpansClosed,
)
from quoit.connectivity.hierarchy import Hierarchy
from quoit.connectivity.inventory import Inventory, is_unlit
from quoit.connectivity.routing import Computation
from quoit.connectivity.services import (
    Begin,
    Expire,
    Restore,
    Revert,
    Service,
    check_wish,
    companion_of,
    question_of,
)
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message

ORDER_WITHIN = 600_000_000_000
"""For an order: no switch takes longer."""
POLL_NS = 10_000_000
DECIDE_NS = 1_000_000
"""What a decision takes; by then all controllers have heard the news that it is about."""
TRIES = 4
"""How often a path is computed anew because somebody else was faster."""
MOST_SERVICES = 10_000


class OtnController(Element):
    """Keeps connectivity services."""

    stratum, plane = Stratum.CONNECTIVITY, Plane.CONTROL
    realises = ("A3", "E1", "E3", "E4")
    subscribes = (f"{SPAN_NEWS}.*", f"{CHANNEL_NEWS}.*")

    def __init__(
        self,
        place: str,
        inventory: Inventory,
        domains: Mapping[str, str],
        computation: Computation,
        wishes: tuple[OpenService, ...] = (),
    ) -> None:
        """`domains`: the optical domain of each node. `wishes`: services to open at the start."""
        super().__init__(OTN, place)
        self._inventory = inventory
        self._hierarchy = Hierarchy(inventory, domains, computation)
        self._wishes = wishes
        self._services: dict[str, Service] = {}
        self._closed: dict[str, tuple[str, ...]] = {}
        self._dark: frozenset[str] = frozenset()
        self._air = {span.name for span in inventory.spans.values() if span.medium == "air"}
        self._whole_since: dict[str, int] = {}
        self._count = 0

    async def start(self, ctx: Context) -> None:
        for wish in self._wishes:
            try:
                await self._take(ctx, wish, plan=False)  # each is planned when it begins
            except Problem as problem:
                ctx.emit("service.refused", service=wish.service, code=problem.code, why=problem.detail)
                continue
            if (wish.start_ns or 0) > ctx.now:
                await self._reserve(ctx, self._services[wish.service])

    async def _reserve(self, ctx: Context, service: Service) -> None:
        """A service of the file that begins later: what it will have is kept for it, if there is anything now."""
        try:
            service.plan(await self._route(ctx, service))
        except Problem as problem:
            ctx.emit("service.unreserved", service=service.name, code=problem.code, why=problem.detail)

    # -- questions -----------------------------------------------------------------------------------

    @handles(ComputePaths)
    async def on_compute(self, ctx: Context, msg: ComputePaths) -> Paths:
        return Paths(await self._paths(ctx, msg))

    async def _paths(self, ctx: Context, question: ComputePaths, level: int | None = None) -> tuple[PathRow, ...]:
        closed = {span for spans in self._closed.values() for span in spans} | self._dark
        if question.kind == CLASSICAL or question.companion is not None:
            closed |= self._air  # classical channels are modelled in fibre only
        limits = question.limits
        limits = structs.replace(limits, avoid=tuple(dict.fromkeys((*limits.avoid, *sorted(closed)))))
        protect = question.protect or self._protected()
        question = structs.replace(question, limits=limits, protect=protect if question.kind == CLASSICAL else ())
        return await self._hierarchy.paths(ctx, question, self._dark, level)

    @handles(PreferDomain)
    async def on_prefer(self, ctx: Context, msg: PreferDomain) -> DomainPreference:
        row = self._hierarchy.prefer(msg.domain, msg.preference, msg.excess)
        ctx.gauge("quoit_domain_preference", (row.domain,), float(row.preference))
        ctx.emit("domain.preferred", domain=row.domain, preference=row.preference)
        return row

    @handles(GetPreferences)
    async def on_preferences(self, ctx: Context, msg: GetPreferences) -> DomainPreferences:
        return DomainPreferences(self._hierarchy.preferences)

    def _protected(self) -> tuple[tuple[str, float], ...]:
        found = ((s.wish.link, s.limits.max_noise_hz) for s in self._services.values() if s.wish.kind == QUANTUM)
        return tuple((link, most) for link, most in found if most is not None)

    @handles(GetServices)
    async def on_get(self, ctx: Context, msg: GetServices) -> Services:
        return Services(tuple(service.row(self._dark) for service in self._services.values()))

    @handles(GetWish)
    async def on_get_wish(self, ctx: Context, msg: GetWish) -> OpenService:
        return self._known(msg.service).wish

    # -- life ----------------------------------------------------------------------------------------

    @handles(OpenService)
    async def on_open(self, ctx: Context, msg: OpenService) -> ServiceRow:
        return await self._take(ctx, msg)

    async def _take(self, ctx: Context, wish: OpenService, plan: bool = True) -> ServiceRow:
        known = self._services.get(wish.service)
        if known is not None:
            if known.wish != wish:
                raise Problem("channel-exists", f"there is a service {wish.service} that was asked for otherwise")
            return known.row(self._dark)
        if len(self._services) >= MOST_SERVICES:
            raise Problem("overloaded", f"expected at most {MOST_SERVICES} services")
        check_wish(wish, self._inventory, self._services, ctx.now)
        self._count += 1
        service = self._services[wish.service] = Service(wish, self._count, self._inventory)
        start_ns = max(wish.start_ns or 0, ctx.now)
        try:
            if plan:
                service.plan(await self._route(ctx, service))
        except Problem:  # the name is free again
            del self._services[wish.service]
            raise
        ctx.emit("service.planned", service=wish.service, a=wish.a, b=wish.b, spans=list(service.spans))
        self._tell(ctx, service)
        ctx.tell(self.name, Begin(wish.service, service.count), after=start_ns - ctx.now)
        if wish.end_ns is not None:
            ctx.tell(self.name, Expire(wish.service, service.count), after=wish.end_ns - ctx.now)
        return service.row(self._dark)

    def _known(self, name: str) -> Service:
        service = self._services.get(name)
        if service is None:
            raise Problem("no-such-element", f"expected a service, found {name!r}", service=name)
        return service

    def _same(self, name: str, count: int) -> Service | None:
        """The service that a message to oneself is about, if it is still that one."""
        service = self._services.get(name)
        return service if service is not None and service.count == count else None

    @handles(Begin)
    async def on_begin(self, ctx: Context, msg: Begin) -> None:
        service = self._same(msg.service, msg.count)
        if service is not None and service.lifecycle == PLANNED and not service.busy:
            await self._move(ctx, service, "service.installed")

    @handles(Expire)
    async def on_expire(self, ctx: Context, msg: Expire) -> None:
        if self._same(msg.service, msg.count) is not None:
            await self.on_close(ctx, CloseService(msg.service))

    @handles(CloseService)
    async def on_close(self, ctx: Context, msg: CloseService) -> ServiceRow | None:
        service = self._services.get(msg.service)
        if service is None or service.lifecycle == PENDING_REMOVAL:
            return None if service is None else service.row(self._dark)
        service.lifecycle = PENDING_REMOVAL
        self._tell(ctx, service)
        while service.busy:
            await ctx.sleep(POLL_NS)
        for channel in service.own_channels:
            if channel in self._inventory.channels:
                await self._insist(ctx, service.name, ExtinguishChannel(channel, remove=True))
        del self._services[msg.service]
        service.lifecycle = REMOVED
        ctx.emit("service.removed", service=msg.service)
        self._tell(ctx, service)
        self._reconsider(ctx)
        return service.row(self._dark)

    # -- moving --------------------------------------------------------------------------------------

    @handles(MoveService)
    async def on_move(self, ctx: Context, msg: MoveService) -> ServiceRow:
        service = self._known(msg.service)
        if service.busy or service.lifecycle == PENDING_REMOVAL:
            raise Problem("switching", f"{msg.service} is being moved or removed", service=msg.service)
        kept = service.limits
        service.tighten(msg.avoid, msg.max_noise_hz)
        if msg.dry:
            try:
                await self._route(ctx, service, msg.retune)
            finally:
                service.limits = kept
            return service.row(self._dark)
        if service.lifecycle == PLANNED and (service.wish.start_ns or 0) > ctx.now:
            try:  # not lit before its time
                service.plan(await self._route(ctx, service, msg.retune))
            except Problem:
                service.limits = kept
                raise
            self._tell(ctx, service)
            return service.row(self._dark)
        problem = await self._move(ctx, service, "service.moved", msg.retune)
        if problem is not None:
            service.limits = kept
            raise problem
        return service.row(self._dark)

    async def _move(self, ctx: Context, service: Service, event: str, retune: bool = False) -> Problem | None:
        """Find a path and light it; what stood in the way otherwise, which the service's note says, too."""
        service.busy, since_ns, was = True, ctx.now, service.spans
        problem: Problem | None = None
        try:
            for _ in range(TRIES):
                try:
                    path = await self._route(ctx, service, retune)
                    await self._light(ctx, service, path)
                except Problem as refused:
                    problem = refused
                    if refused.code not in ("spectrum-taken", "switching"):
                        break
                    await ctx.sleep(POLL_NS)
                    continue
                problem = None
                break
        finally:
            service.busy = False
        if problem is None:
            service.stand(path)
            if service.lifecycle == PLANNED:
                service.lifecycle = INSTALLED
            ctx.emit(
                event, service=service.name, spans=list(path.spans), centre_mhz=path.centre_mhz,
                took_ms=(ctx.now - since_ns) / 1e6,
            )  # fmt: skip
        else:
            service.note = problem.detail
            ctx.emit("service.stuck", service=service.name, code=problem.code, why=problem.detail)
        self._tell(ctx, service)
        if problem is None and was != service.spans:
            self._followers(ctx, service)
        return problem

    def _followers(self, ctx: Context, service: Service) -> None:
        """Services that go with this one follow it, and those that could not begin without it may now."""
        for other in self._services.values():
            if other.wish.coroute == service.name and other.lifecycle == INSTALLED:
                ctx.tell(self.name, Restore(other.name, other.count))
            elif service.name in (other.wish.coroute, other.wish.apart_from) and other.wants_path(self._dark):
                ctx.tell(self.name, Begin(other.name, other.count))

    async def _route(self, ctx: Context, service: Service, retune: bool = False) -> PathRow:
        """A path for a service: on its present wavelength if that will do, unless that is to be left."""
        for name in filter(None, (service.wish.coroute, service.wish.apart_from)):
            while name in self._services and self._services[name].busy:
                await ctx.sleep(POLL_NS)
            if name in self._services and not self._services[name].spans:
                raise Problem("no-route", f"expected service {name} to have a path first", reason="other-service")
        last: Problem | None = None
        for level in self._hierarchy.levels(service.wish.a, service.wish.b):  # before the present wavelength
            for question in question_of(service, self._inventory, self._services, retune, ctx.now):
                try:
                    return (await self._paths(ctx, question, level))[0]
                except Problem as problem:
                    if problem.code != "no-route":
                        raise
                    last = problem
        assert last is not None
        raise last

    async def _light(self, ctx: Context, service: Service, path: PathRow) -> None:
        wish = service.wish
        width, launch_dbm = wish.width_mhz, wish.launch_dbm
        await self._set(ctx, service.channel, wish.kind, wish.a, path.spans, path.centre_mhz, width, launch_dbm)
        if wish.companion is not None and path.companion_mhz is not None:
            width, launch_dbm = wish.companion.width_mhz, wish.companion.launch_dbm
            name = companion_of(service.name)
            await self._set(ctx, name, CLASSICAL, wish.a, path.spans, path.companion_mhz, width, launch_dbm)

    async def _set(
        self, ctx: Context, channel: str, kind: str, source: str, spans: tuple[str, ...], centre_mhz: int,
        width_mhz: int, launch_dbm: float,
    ) -> None:  # fmt: skip
        """Have a channel be there: lit, moved, or left as it is."""
        known = self._inventory.channels.get(channel)
        if known is None and kind == CLASSICAL:
            order: Message = LightChannel(channel, source, spans, centre_mhz, width_mhz, launch_dbm)
        elif known is None or is_unlit(known) or (known.spans, known.centre_mhz) != (spans, centre_mhz):
            order = RetuneChannel(channel, spans, centre_mhz)
        else:
            return
        row: ChannelRow = await ctx.ask(CONTROLLER, order, within=ORDER_WITHIN)
        self._inventory.note(row)

    async def _insist(self, ctx: Context, service: str, order: Message) -> None:
        """An order that must come about, however long switches take before it."""
        while True:
            try:
                row: ChannelRow = await ctx.ask(CONTROLLER, order, within=ORDER_WITHIN)
            except Problem as problem:
                if problem.code == "switching":
                    await ctx.sleep(POLL_NS)
                    continue
                if problem.code != "no-such-element":  # gone already
                    ctx.emit("service.stuck", service=service, code=problem.code, why=problem.detail)
                return
            self._inventory.note(row)
            return

    # -- light ---------------------------------------------------------------------------------------

    @handles(SpanLight)
    async def on_light(self, ctx: Context, msg: SpanLight) -> None:
        span = self._inventory.spans[msg.span]
        was_dark, is_dark = msg.span in self._dark, msg.loss_db is None
        if span.windows or was_dark == is_dark:
            return
        self._dark = self._dark | {msg.span} if is_dark else self._dark - {msg.span}
        if not is_dark:
            self._whole_since[msg.span] = ctx.now
        for service in list(self._services.values()):
            if msg.span in service.spans and not service.busy:
                ctx.emit("service.down" if is_dark else "service.up", service=service.name, span=msg.span)
                self._tell(ctx, service)
                if is_dark and service.lifecycle == INSTALLED and service.wish.restoration.enabled:
                    hold_off_ns = service.wish.restoration.hold_off_ns
                    ctx.tell(self.name, Restore(service.name, service.count), after=DECIDE_NS + hold_off_ns)
            if not is_dark and msg.span in service.home:
                self._wait_to_revert(ctx, service)
        if not is_dark:
            self._reconsider(ctx)

    def _wait_to_revert(self, ctx: Context, service: Service) -> None:
        restoration = service.wish.restoration
        if restoration.revertive and service.lifecycle == INSTALLED and service.spans != service.home:
            ctx.tell(self.name, Revert(service.name, service.count, ctx.now), after=restoration.wait_ns)

    def _reconsider(self, ctx: Context) -> None:
        """Something has become free: whoever has waited for a path tries again."""
        for service in self._services.values():
            if service.wants_path(self._dark):
                kind = Begin if service.lifecycle == PLANNED else Restore
                ctx.tell(self.name, kind(service.name, service.count), after=DECIDE_NS)

    @handles(Restore)
    async def on_restore(self, ctx: Context, msg: Restore) -> None:
        service = self._same(msg.service, msg.count)
        if service is None or service.busy or service.lifecycle != INSTALLED:
            return
        leader = self._services.get(service.wish.coroute)
        strays = leader is not None and leader.spans != service.spans
        if strays or not self._dark.isdisjoint(service.spans):
            await self._move(ctx, service, "service.restored")

    @handles(Revert)
    async def on_revert(self, ctx: Context, msg: Revert) -> None:
        service = self._same(msg.service, msg.count)
        if service is None or service.busy or service.spans == service.home or service.lifecycle != INSTALLED:
            return
        closed = {span for spans in self._closed.values() for span in spans}
        whole = all(self._whole_since.get(span, 0) <= msg.since_ns for span in service.home)
        if whole and not (self._dark | closed) & set(service.home):
            service.reverting = True
            await self._move(ctx, service, "service.reverted")
            service.reverting = False

    @handles(ChannelRow)
    async def on_channel(self, ctx: Context, msg: ChannelRow) -> None:
        """Somebody else may have moved a channel: the service is where its channel is."""
        self._inventory.note(msg)
        for service in self._services.values():
            if service.channel != msg.channel or service.busy or not service.spans or msg.state == GONE:
                continue
            if (service.spans, service.centre_mhz) != (msg.spans, msg.centre_mhz) and not is_unlit(msg):
                service.follow(msg, self._inventory)
                self._tell(ctx, service)

    # -- spans that are closed -----------------------------------------------------------------------

    @handles(CloseSpans)
    async def on_close_spans(self, ctx: Context, msg: CloseSpans) -> SpansClosed:
        if msg.spans:
            self._closed[msg.why] = msg.spans
        elif self._closed.pop(msg.why, None) is not None:
            for service in self._services.values():
                self._wait_to_revert(ctx, service)
            self._reconsider(ctx)
        return SpansClosed(msg.why, msg.spans)

    def _tell(self, ctx: Context, service: Service) -> None:
        row = service.row(self._dark)
        ctx.gauge("quoit_service_enabled", (service.name, service.wish.kind), float(row.enabled))
        ctx.publish(f"{SERVICE_NEWS}.{service.name}", row)
