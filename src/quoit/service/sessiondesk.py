"""A KME's desk for sessions: keys of an agreed rate, priority and trust for a pair of applications (C5; draft 4.2).

While a session is open, every key that its owner opens with its peer comes from the session's own stream, whichever
interface asks for it: ETSI GS QKD 014 needs no word for it. The KME's forwarding table says over which of the fabric's
reserved routes the stream is moved; control writes it, also while the session lives. Sessions are in memory: they end
with their KME, keys that were opened from them do not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from quoit.fabric.api import Flow
from quoit.model.problem import Problem
from quoit.planes.telemetry import percentile
from quoit.runtime.context import Context
from quoit.runtime.element import handles
from quoit.service.admission import admit
from quoit.service.agreements import (
    AdmitSession,
    CheckAccess,
    EndSession,
    Granted,
    RouteSession,
    SessionRoutes,
    SessionServed,
    UnrouteSession,
    WatchSession,
    access,
    admission,
    monitor_of,
    router,
)
from quoit.service.api import (
    SESSION_NEWS,
    CloseSession,
    GetKmeState,
    GetSession,
    Keys,
    KmeState,
    ListSessions,
    OpenKeys,
    OpenSession,
    Session,
    SessionChanged,
    Sessions,
    StreamRow,
)
from quoit.service.directory import Attachment
from quoit.service.holder import App
from quoit.service.instances import Instances
from quoit.service.keydesk import KeyDesk
from quoit.service.keystore import SkipOp
from quoit.service.router import ROUTING_NS
from quoit.service.sessions import TokenBucket
from quoit.service.streams import OutStream, stream_key, stream_name

BURST_S = 10.0
ACCESS_NS = 500_000_000
"""How long looking up a contract may take."""
MOST_SESSIONS = 16
"""Open sessions of one application."""
LATENCIES = 200


@dataclass
class KeySession:
    """A session as its KME keeps it. `stream` None: both applications are at this KME, and no network is needed."""

    asked: OpenSession
    peer: Attachment
    bucket: TokenBucket
    opened_ns: int
    ends_ns: int | None
    stream: OutStream | None
    state: str = "open"
    why: str | None = None
    served_bits: int = 0
    took_ns: list[int] = field(default_factory=list)

    def shown(self) -> Session:
        """As its owner may see it."""
        asked, flows = self.asked, () if self.stream is None else self.stream.flows
        took = sorted(self.took_ns)
        slowest = percentile(took, 0.95) if took else None
        return Session(
            asked.session_id,
            asked.caller,
            asked.peer,
            self.state,
            asked.rate_bps,
            int(self.bucket.burst_bits),
            asked.priority,
            asked.paths,
            asked.most_transit,
            len(flows),
            max((len(flow.nodes) - 2 for flow in flows), default=0),
            self.opened_ns,
            self.ends_ns,
            self.served_bits,
            slowest,
            None if slowest is None else slowest - percentile(took, 0.05),
            self.why,
        )


class SessionDesk(KeyDesk):
    """Opens, keeps and ends sessions."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sessions: dict[str, KeySession] = {}
        self._opening: set[str] = set()
        numbers, domain = range(self.policy.control_instances), self._domain
        admitting_ns = ROUTING_NS * len(numbers) + ACCESS_NS
        self._accesses = Instances(tuple(access(domain, n) for n in numbers), ACCESS_NS)
        self._admissions = Instances(tuple(admission(domain, n) for n in numbers), admitting_ns)
        self._routers = Instances(tuple(router(domain, n) for n in numbers), ROUTING_NS)

    def _monitor_of(self, session_id: str) -> str:
        return monitor_of(self._domain, session_id, self.policy.control_instances)

    # -- what applications ask -----------------------------------------------------------------------

    @handles(OpenSession)
    async def on_open_session(self, ctx: Context, msg: OpenSession) -> Session:
        app = self._app(msg.caller)
        peer = await self._resolve(ctx, app, msg.peer)
        self._check(msg, peer)
        self._opening.add(msg.session_id)
        try:
            check = CheckAccess(msg.caller, peer, msg.priority)
            granted: Granted = await self._accesses.ask(ctx, msg.session_id, check)
            flows = await self._admitted(ctx, msg, peer, granted)
        finally:
            self._opening.discard(msg.session_id)
        burst = msg.burst_bits if msg.burst_bits is not None else max(msg.rate_bps * BURST_S, self.policy.max_key_size)
        ends_ns = None if msg.valid_for_ns is None else ctx.now + msg.valid_for_ns
        stream = None if peer.kme == self.name else self._own_stream(ctx, msg, peer, flows)
        session = KeySession(msg, peer, TokenBucket(msg.rate_bps, burst), ctx.now, ends_ns, stream)
        self._sessions[msg.session_id] = session
        if ends_ns is not None:
            ctx.tell(self.name, EndSession(msg.session_id), after=ends_ns - ctx.now)
        ctx.tell(self._monitor_of(msg.session_id), WatchSession(msg.session_id, msg))
        ctx.emit("session.opened", session=msg.session_id, caller=msg.caller, peer=peer.sae, rate_bps=msg.rate_bps)
        self._tell(ctx, session, "open", "opened")
        return session.shown()

    @handles(GetSession)
    async def on_get_session(self, ctx: Context, msg: GetSession) -> Session:
        return self._mine(msg.caller, msg.session_id).shown()

    @handles(ListSessions)
    async def on_list_sessions(self, ctx: Context, msg: ListSessions) -> Sessions:
        self._app(msg.caller)
        return Sessions(tuple(one.shown() for one in self._sessions.values() if one.asked.caller == msg.caller))

    @handles(CloseSession)
    async def on_close_session(self, ctx: Context, msg: CloseSession) -> Session:
        session = self._mine(msg.caller, msg.session_id)
        await self._end(ctx, session, "closed by its owner")
        return session.shown()

    @handles(GetKmeState)
    async def on_get_state(self, ctx: Context, msg: GetKmeState) -> KmeState:
        """Nothing of it is a secret: management may see it, and no application asks for it."""
        streams = tuple(
            StreamRow(s.name, s.peer, s.session, tuple(flow.nodes for flow in s.flows), s.asked_bits)
            for s in self._streams.values()
        )
        sessions = tuple(one.shown() for one in self._sessions.values())
        return KmeState(self.name, self.place, self._domain, sessions, streams)

    @handles(EndSession)
    async def on_end_session(self, ctx: Context, msg: EndSession) -> None:
        session = self._sessions.get(msg.session_id)
        if session is not None:
            await self._end(ctx, session, "its time is up")

    @handles(OpenKeys)
    async def on_open_keys(self, ctx: Context, msg: OpenKeys) -> Keys:
        began = ctx.now
        keys = await super().on_open_keys(ctx, msg)
        session = self._session_of(msg.caller, (await self._attachment(ctx, msg.slave)).sae)
        if session is not None:
            bits = sum(8 * len(key.value) for key in keys.keys)
            session.served_bits += bits
            session.took_ns = [*session.took_ns[1 - LATENCIES :], ctx.now - began]
            served = SessionServed(session.asked.session_id, bits, ctx.now - began)
            ctx.tell(self._monitor_of(served.session_id), served)
        return keys

    # -- where keys come from ------------------------------------------------------------------------

    def _session_of(self, caller: str, peer: str) -> KeySession | None:
        pair = (caller, peer)
        return next((one for one in self._sessions.values() if (one.asked.caller, one.peer.sae) == pair), None)

    def _bucket(self, app: App, peer: Attachment) -> TokenBucket | None:
        session = self._session_of(app.attachment.sae, peer.sae)
        return super()._bucket(app, peer) if session is None else session.bucket

    def _source(self, ctx: Context, app: App, peer: Attachment) -> OutStream:
        session = self._session_of(app.attachment.sae, peer.sae)
        if session is None or session.stream is None:
            return super()._source(ctx, app, peer)
        return session.stream

    # -- opening and ending --------------------------------------------------------------------------

    def _check(self, msg: OpenSession, peer: Attachment) -> None:
        """What needs no network to refuse: `malformed`, `unit-exists`, `session-exists`, `not-admitted`."""
        mine = [one for one in self._sessions.values() if one.asked.caller == msg.caller]
        if not msg.rate_bps > 0 or (msg.burst_bits is not None and msg.burst_bits < self.policy.min_key_size):
            least = self.policy.min_key_size
            detail = f"expected a rate above 0 and a burst of at least {least} bits; found {msg.rate_bps} bit/s"
            raise Problem("malformed", f"{detail}, {msg.burst_bits} bits")
        if msg.session_id in self._sessions or msg.session_id in self._opening:
            raise Problem("unit-exists", "draw a new session identifier")
        if any(one.peer.sae == peer.sae for one in mine):
            raise Problem("session-exists", f"a session with {peer.sae} is open already; close it first")
        if len(mine) >= MOST_SESSIONS:
            raise Problem("not-admitted", f"expected at most {MOST_SESSIONS} open sessions of one application")

    async def _admitted(self, ctx: Context, msg: OpenSession, peer: Attachment, granted: Granted) -> tuple[Flow, ...]:
        held = sum(one.asked.rate_bps for one in self._sessions.values() if one.asked.caller == msg.caller)
        if peer.node == self.place:
            if granted.agreed_bps is not None:
                admit(msg.rate_bps, max(0.0, granted.agreed_bps - held))
            return ()
        order = AdmitSession(msg, self.name, self.place, peer.node, granted.agreed_bps, held)
        routes: SessionRoutes = await self._admissions.ask(ctx, msg.session_id, order)
        return routes.flows

    def _own_stream(self, ctx: Context, msg: OpenSession, peer: Attachment, flows: tuple[Flow, ...]) -> OutStream:
        """The session's stream: it keeps what its bucket can hold, within what any stream may."""
        name = stream_name(self.name, peer.kme, ctx.now, msg.session_id)
        most = max(self.policy.max_key_size, min(self.policy.stream_high, int(msg.rate_bps * BURST_S)))
        high = most // 8 * 8
        stream = OutStream(name, peer.kme, peer.node, high // 2, high, msg.session_id, msg.paths, flows)
        self._streams[stream.key] = stream
        self._want(ctx, stream)
        return stream

    def _mine(self, caller: str, session_id: str) -> KeySession:
        """Problem `unknown-session`, also for another's."""
        self._app(caller)
        found = self._sessions.get(session_id)
        if found is None or found.asked.caller != caller:
            raise Problem("unknown-session")
        return found

    async def _end(self, ctx: Context, session: KeySession, why: str) -> None:
        session_id = session.asked.session_id
        if self._sessions.pop(session_id, None) is None:
            return
        ctx.tell(self._monitor_of(session_id), WatchSession(session_id, None))
        if session.stream is not None:
            self._streams.pop(stream_key(session.peer.kme, session_id), None)
            self._say_filled(ctx, session.stream)
            await self._do(ctx, SkipOp(session.stream.name, session.stream.next_start, ctx.now))
            if session.peer.node != self.place:
                await self._routers.ask(ctx, session_id, UnrouteSession(session_id))
        ctx.emit("session.closed", session=session_id, why=why, served_bits=session.served_bits)
        self._tell(ctx, session, "closed", why)

    # -- the forwarding table ------------------------------------------------------------------------

    @handles(SessionRoutes)
    async def on_routes(self, ctx: Context, msg: SessionRoutes) -> None:
        """Control writes the session's entries anew."""
        session = self._sessions.get(msg.session_id)
        if session is None or session.stream is None:
            return
        session.stream.flows = msg.flows
        self._want(ctx, session.stream)
        short = len(msg.flows) < session.asked.paths
        if not short and session.state != "open":
            self._tell(ctx, session, "open", msg.why)
        elif short and msg.preempted:
            self._tell(ctx, session, "pre-empted", msg.why)
        elif short and session.state == "open":
            self._tell(ctx, session, "degraded", msg.why)

    async def _routes_again(self, ctx: Context, stream: OutStream) -> None:
        """A session that lacks routes asks for them: whoever looked after it may have gone, or rate become free."""
        session = self._sessions.get(stream.session)
        if session is None:
            return
        order = RouteSession(session.asked, self.name, self.place, session.peer.node)
        try:
            routes: SessionRoutes = await self._routers.ask(ctx, stream.session, order)
        except Problem as problem:
            session.why = problem.detail
            return
        await self.on_routes(ctx, SessionRoutes(stream.session, routes.flows, "routes found again"))

    def _tell(self, ctx: Context, session: KeySession, state: str, why: str) -> None:
        session.state, session.why = state, why
        session_id = session.asked.session_id
        ctx.emit("session.state", session=session_id, state=state, why=why)
        ctx.publish(f"{SESSION_NEWS}.{self.name}", SessionChanged(self.name, session_id, state, why, ctx.now))
