"""A KME's reserve: streams of end-to-end key, kept filled, kept honest, and met again after a restart.

A KME that starts from a store with a past serves nothing of it before it has heard two things: which blocks were
quarantined while it was away, and how far its peers remember its store to have come. A store older than that was
put back from a copy: whatever it holds may have been handed out since, so all of it is void (K12).
"""

from __future__ import annotations

import hashlib
from typing import Any

from quoit.fabric import api as fabric
from quoit.fabric.api import (
    STRAY_NEWS,
    Flow,
    GetIncidents,
    Incident,
    Incidents,
    KeyArrived,
    KeyMoved,
    KeyStrayed,
    LinkQuarantined,
    LinkReleased,
    MoveKey,
    OpenFlow,
    Stored,
)
from quoit.model.problem import Problem
from quoit.model.secret import Secret
from quoit.runtime import seeds
from quoit.runtime.context import Context, Device
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message
from quoit.service.api import STREAM_NEWS, StoreRewound, StreamFilled, StreamStarved
from quoit.service.calendar import Calendar
from quoit.service.directory import Attachment, Resolve, Resolved, controller
from quoit.service.keystore import (
    AppendOp,
    BeginOp,
    CancelOp,
    ExpireOp,
    FindAllOp,
    Handout,
    Level,
    LevelOp,
    Marks,
    MarksOp,
    Point,
    Provenance,
    ReadmitOp,
    RewoundOp,
    SeenOp,
    SkipOp,
    Voided,
    VoidOp,
)
from quoit.service.peer import Hello, Holding, Met, Mirrored, Progress, Remembered, Withdraw
from quoit.service.policy import KeyPolicy
from quoit.service.sessions import TokenBucket
from quoit.service.shares import Shares, Stretch, share_name, share_of
from quoit.service.streams import (
    OutStream,
    began,
    master_of,
    session_of,
    slave_of,
    stream_name,
)

WITHIN = 8_000_000_000
CONTROL_WITHIN = 2_000_000_000
CONTROL_PAUSE_NS = 5_000_000_000
"""A controller that did not answer is not asked again for so long."""
CONTROL_SILENT = ("deadline", "no-controller")
"""What is said of a controller that is away, and not of the network."""
POLL_NS = 50_000_000
SETTLE_NS = 50_000_000
EXPIRY_NS = 60_000_000_000
NOTE_NS = 1_000_000_000
"""How long word of a peer's progress may wait for others before it is written down."""


@message("service.Refill")
class Refill(Message):
    """A KME to itself: fill this stream up to its high mark."""

    key: str


@message("service.Sweep")
class Sweep(Message):
    """A KME to itself: erase what has expired."""


@message("service.Meet")
class Meet(Message):
    """A KME to itself: find out what this peer remembers."""

    peer: str


@message("service.Recall")
class Recall(Message):
    """A KME to itself: tell this peer which keys are void, however long it takes to reach it."""

    kme: str


@message("service.NoteProgress")
class NoteProgress(Message):
    """A KME to itself: write down how far its peers have come."""


class App:
    """An attached application and its session. `diagnostic`: it may share a key with itself."""

    __slots__ = ("attachment", "bucket", "diagnostic", "key_size", "rate_bps")

    def __init__(
        self,
        attachment: Attachment,
        rate_bps: float | None = None,
        burst_bits: float | None = None,
        key_size: int | None = None,
        diagnostic: bool = False,
    ) -> None:
        self.attachment = attachment
        self.diagnostic = diagnostic
        self.rate_bps = rate_bps
        self.key_size = key_size
        self.bucket = None if rate_bps is None else TokenBucket(rate_bps, burst_bits or rate_bps * 10)


class KeyReserve(Element):
    """What a KME keeps: its applications, its store, its streams.

    `root` grows keys shared by two applications of this same KME, and marks keys in the event log (a keyed
    digest, so that checkers can tell equal keys from different ones without seeing them), unless it is given a
    `mark_key` for that.
    """

    stratum, plane = Stratum.SERVICE, Plane.RESOURCE
    subscribes = (f"{fabric.LINK_NEWS}.*.quarantined", f"{fabric.LINK_NEWS}.*.released")

    def __init__(
        self,
        name: str,
        node: str,
        domain: str,
        apps: tuple[App, ...],
        store: Device,
        policy: KeyPolicy,
        root: bytes,
        calendar: Calendar,
        prefill: tuple[tuple[str, str], ...] = (),
        mark_key: bytes | None = None,
    ) -> None:
        super().__init__(name, node)
        self._domain = domain
        self._apps = {app.attachment.sae: app for app in apps}
        self._store = store
        self.policy = policy
        self._root = root
        self._mark_key = mark_key or hashlib.sha256(b"quoit mark" + root).digest()
        self._known: dict[str, Attachment] = {}
        self._streams: dict[str, OutStream] = {}
        self._without_control_until = 0
        self._prefill = prefill
        self._calendar = calendar
        self._namespace = calendar.namespace
        # Peers met since the start, with where their copies of our streams end; how far their stores have come.
        self._met: dict[str, int] = {}
        self._names: dict[str, str] = {}
        self._meeting: set[str] = set()
        self._seen: dict[str, Point] = {}
        self._noting = False
        # Keys that peers still have to void, by peer.
        self._recalls: dict[str, list[str]] = {}
        # What the store's past still waits for: word of incidents, and of these peers.
        self._deaf = True
        self._shares = Shares()
        self._incidents: tuple[Incident, ...] = ()
        self._unmet: set[str] = set()

    async def start(self, ctx: Context) -> None:
        marks: Marks = await self._do(ctx, BeginOp(ctx.now))
        self._seen = dict(marks.seen)
        if marks.has_past:
            peers = {_other(self.name, mark.name) for mark in marks.streams} | marks.seen.keys()
            self._unmet = peers - {self.name}
            self._names = {peer: _newest(marks, self.name, peer).stream for peer in self._unmet}
            for peer in sorted(self._unmet):
                ctx.tell(self.name, Meet(peer))
            await self._end_sessions(ctx, marks)
            while self._deaf:
                try:
                    await self._hear_of_incidents(ctx)
                    self._deaf = False
                except Problem as problem:
                    ctx.log.warning("incidents.unknown", code=problem.code)
                    await ctx.sleep(self.policy.retry_ns)
        self._deaf = False
        for peer, node in self._prefill:
            self._stream(ctx, peer, node)
        ctx.tell(self.name, Sweep(), after=EXPIRY_NS)

    async def _do(self, ctx: Context, op: Any) -> Any:
        return await ctx.effect(self._store, op, self.policy.commit_ns)

    # -- who is who ----------------------------------------------------------------------------------

    def _app(self, caller: str) -> App:
        app = self._apps.get(caller)
        if app is None:
            raise Problem("not-authorised", "this application is not attached to this KME")
        return app

    async def _attachment(self, ctx: Context, name: str) -> Attachment:
        if name in self._apps:
            return self._apps[name].attachment
        if name not in self._known:
            answer: Resolved = await ctx.ask(controller(self._domain), Resolve(name), within=WITHIN)
            self._known[name] = answer.attachment
        return self._known[name]

    async def _kmes_of(self, ctx: Context, handout: Handout) -> list[str]:
        """The other KMEs that serve parties of a key."""
        found = {(await self._attachment(ctx, sae)).kme for sae in (handout.master, *handout.slaves)}
        return sorted(found - {self.name})

    # -- meeting peers -------------------------------------------------------------------------------

    async def _heard(self, ctx: Context, kme: str) -> None:
        """What is shared with a peer stays shut until it has told what it remembers of us. `not-ready`."""
        end = ctx.now + self.policy.patience_ns
        while (self._deaf or kme in self._unmet) and ctx.now < end:
            await ctx.sleep(POLL_NS)
        if self._deaf or kme in self._unmet:
            raise Problem("not-ready", f"{self.name} has not yet compared notes with {kme} after its restart")

    @handles(Meet)
    async def on_meet(self, ctx: Context, msg: Meet) -> None:
        await self._meet(ctx, msg.peer)

    def _compare_again(self, ctx: Context, peer: str) -> None:
        """A peer did not take what we thought it could: perhaps it lacks bits that we have."""
        if self._met.pop(peer, None) is not None:
            ctx.tell(self.name, Meet(peer))

    async def _meet(self, ctx: Context, peer: str) -> None:
        """Compare notes with a peer, as often as it takes to reach it."""
        while peer in self._meeting:
            await ctx.sleep(POLL_NS)
        if peer in self._met:
            return
        self._meeting.add(peer)
        while peer not in self._met:
            marks: Marks = await self._do(ctx, MarksOp())
            hello = Hello(self.name, marks.point, _newest(marks, peer, self.name))
            try:
                met: Met = await ctx.ask(peer, hello, within=WITHIN)
            except Problem:
                await ctx.sleep(self.policy.retry_ns)
                continue
            if met.seen is not None and marks.older_than(met.seen):
                await self._rewound(ctx, peer, met.seen)
                continue
            ctx.tell(peer, Progress(self.name, marks.point, compared=True))
            self._hear(ctx, peer, met.point)
            self._met[peer] = await self._reconcile(ctx, marks, peer, met.holding)
            if peer in self._streams:
                self._streams[peer].begin_at(self._met[peer])
        self._meeting.discard(peer)
        self._unmet.discard(peer)

    async def _reconcile(self, ctx: Context, marks: Marks, peer: str, there: Holding) -> int:
        """Bits of our stream to a peer that it does not have are of no use. Returns where both ends' bits end."""
        here = _holding(marks, self._out_name(peer))
        if there.stream != here.stream:
            there = Holding(here.stream, 0, 0)
        to = there.first if here.last <= there.last else here.last
        if to:
            await self._do(ctx, SkipOp(here.stream, to, ctx.now))
        return max(here.last, there.last)

    def _out_name(self, peer: str) -> str:
        """Name of the stream from which keys for a peer's applications are opened now."""
        return self._names.setdefault(peer, stream_name(self.name, peer))

    async def _rewound(self, ctx: Context, peer: str, seen: Point) -> None:
        """A peer remembers more of this store than it does itself: nothing in it can be trusted to be unused."""
        others = self._met.keys() - {peer}
        self._met.clear()
        self._unmet |= others
        for name in {peer, *self._names, *(stream.peer for stream in self._streams.values())}:
            self._names[name] = stream_name(self.name, name, ctx.now)
        voided: Voided = await self._do(ctx, RewoundOp(seen.writes, ctx.now))
        ctx.emit("store.rewound", peer=peer, key_ids=list(voided.key_ids), stream_bits=voided.stream_bits)
        ctx.publish(f"{STREAM_NEWS}.{self.name}", StoreRewound(self.name, peer, len(voided.key_ids), ctx.now))
        for stream in list(self._streams.values()):
            self._begin_anew(ctx, stream)
        for other in sorted(others):
            ctx.tell(self.name, Meet(other))

    @handles(Hello)
    async def on_hello(self, ctx: Context, msg: Hello) -> Met:
        """A peer has started. What it lacks of our stream to it, nobody is given any more."""
        marks: Marks = await self._do(ctx, MarksOp())
        tail = await self._reconcile(ctx, marks, msg.kme, msg.holding)
        await self._end_sessions(ctx, marks, msg.kme)
        stream = self._streams.get(msg.kme)
        if stream is not None:
            stream.begin_at(tail)
            self._level(ctx, stream, await self._do(ctx, LevelOp(stream.name)))
            self._want(ctx, stream)
        return Met(self._seen.get(msg.kme), marks.point, _newest(marks, msg.kme, self.name))

    async def _end_sessions(self, ctx: Context, marks: Marks, peer: str | None = None) -> None:
        """One end of a session has started anew, and sessions are in memory: of their streams from before nothing is
        used any more. Streams of sessions that go on begin anew. `peer` None: all."""
        for mark in marks.streams:
            if session_of(mark.name) and peer in (None, master_of(mark.name), slave_of(mark.name)):
                await self._do(ctx, SkipOp(mark.name, mark.last, ctx.now))
        for stream in list(self._streams.values()):
            if stream.session and stream.peer == peer:
                self._begin_anew(ctx, stream)
                self._want(ctx, stream)

    def _begin_anew(self, ctx: Context, stream: OutStream) -> None:
        if stream.session:
            stream.begin_anew(stream_name(self.name, stream.peer, ctx.now, stream.session))
        else:
            stream.begin_anew(self._names[stream.peer])

    def _hear(self, ctx: Context, kme: str, point: Point | None, compared: bool = False) -> None:
        """A peer's store has come as far as this. What we remember of an earlier life, it has to hear first."""
        seen = self._seen.get(kme)
        if point is None or (seen is not None and point <= seen):
            return
        if seen is not None and point.life > seen.life and not compared:
            ctx.tell(kme, Remembered(self.name, seen))
        else:
            self._seen[kme] = point
            if not self._noting:
                self._noting = True
                ctx.tell(self.name, NoteProgress(), after=NOTE_NS)

    @handles(Progress)
    async def on_progress(self, ctx: Context, msg: Progress) -> None:
        self._hear(ctx, msg.kme, msg.point, msg.compared)

    @handles(Remembered)
    async def on_remembered(self, ctx: Context, msg: Remembered) -> None:
        marks: Marks = await self._do(ctx, MarksOp())
        if marks.older_than(msg.seen):
            self._met.pop(msg.kme, None)
            await self._rewound(ctx, msg.kme, msg.seen)
            ctx.tell(self.name, Meet(msg.kme))
        else:
            ctx.tell(msg.kme, Progress(self.name, marks.point, compared=True))

    @handles(NoteProgress)
    async def on_note(self, ctx: Context, msg: NoteProgress) -> None:
        self._noting = False
        await self._do(ctx, SeenOp(dict(self._seen), ctx.now))

    # -- streams -------------------------------------------------------------------------------------

    def _stream(self, ctx: Context, peer: str, node: str) -> OutStream:
        stream = self._streams.get(peer)
        if stream is None:
            low, high = self.policy.stream_low, self.policy.stream_high
            stream = self._streams[peer] = OutStream(self._out_name(peer), peer, node, low, high)
            self._want(ctx, stream)
        return stream

    def _want(self, ctx: Context, stream: OutStream, least: int = 0) -> None:
        """Have the stream refilled if it is low, or has less than a request that waits for `least` bits."""
        stream.least = least
        if not stream.filling and stream.free_bits < max(stream.low, least):
            stream.filling = True
            ctx.tell(self.name, Refill(stream.key))

    def _level(self, ctx: Context, stream: OutStream, level: Level) -> None:
        stream.free_bits = level.free_bits
        ctx.gauge("quoit_stream_bits", (stream.name,), level.free_bits)

    @handles(Refill)
    async def on_refill(self, ctx: Context, msg: Refill) -> None:
        stream = self._streams[msg.key]
        await self._meet(ctx, stream.peer)
        if not stream.session:
            stream.begin_at(self._met.get(stream.peer, 0))
        chunk = self.policy.chunk
        while msg.key in self._streams and (missing := max(stream.high, stream.least) - stream.free_bits) > 0:
            wanted = min(chunk, missing)
            wanted = max(wanted, self.policy.max_key_size)
            try:
                await self._move(ctx, stream, wanted // 8 * 8)
                stream.obstacle = None
                self._say_filled(ctx, stream)
                chunk = self.policy.chunk
            except Problem as problem:
                stream.obstacle = problem
                left = int(problem.fields.get("available_bits", 0)) - 256
                if problem.code == "no-key-material" and self.policy.max_key_size <= left < chunk:
                    chunk = left
                else:
                    self._say_starved(ctx, stream, problem)
                    await ctx.sleep(self.policy.retry_ns)
                    chunk = self.policy.chunk
        stream.filling = False

    def _say_filled(self, ctx: Context, stream: OutStream) -> None:
        if stream.starved:
            stream.starved = False
            ctx.publish(f"{STREAM_NEWS}.{self.name}", StreamFilled(stream.name, ctx.now))

    def _say_starved(self, ctx: Context, stream: OutStream, problem: Problem) -> None:
        if not stream.starved:
            stream.starved = True
            news = StreamStarved(stream.name, problem.detail or problem.row.title, stream.free_bits, ctx.now)
            ctx.publish(f"{STREAM_NEWS}.{self.name}", news)

    async def _move(self, ctx: Context, stream: OutStream, bits: int) -> None:
        """Bring one chunk of key to both ends of a stream."""
        if stream.node == self.place:
            await self._share_next_door(ctx, stream, bits)
            return
        if stream.session:
            await self._move_shares(ctx, stream, bits)
            return
        await self._ask_route(ctx, stream)
        name, start = stream.name, stream.next_start
        stream.next_start += bits
        moved = await self._carry(ctx, MoveKey(name, start, bits, self.place, stream.node, stream.peer))
        if not stream.may_go(moved.nodes, ctx.now):
            await ctx.sleep(SETTLE_NS)  # its way may have been changed while it went
            await self._ask_route(ctx, stream)
        self._check_way(ctx, stream, moved, stream.may_go(moved.nodes, ctx.now))
        await self._take_in(ctx, stream, name, start, Stretch(moved.value, moved.pieces))

    async def _ask_route(self, ctx: Context, stream: OutStream) -> None:
        """Have control keep a route. While no controller answers, a route that was known is used as the relays have
        it: control that is down keeps no key from where it can go (invariant C2)."""
        if stream.route and ctx.now < self._without_control_until:
            return
        try:
            flow: Flow = await ctx.ask(fabric.CONTROLLER, OpenFlow(self.place, stream.node), within=CONTROL_WITHIN)
        except Problem as problem:
            if problem.code not in CONTROL_SILENT or not stream.route:
                raise
            self._without_control_until = ctx.now + CONTROL_PAUSE_NS
            ctx.emit("control.silent", stream=stream.name, code=problem.code)
            return
        stream.offered_bps = flow.offered_bps
        stream.grant(flow.nodes, ctx.now)

    def _check_way(self, ctx: Context, stream: OutStream, moved: KeyMoved, granted: bool, flow: str = "") -> None:
        """The tags of all hops protect the list of nodes that a key came by. One that went another way than control has
        granted is not used: a stranger may write into relays, and have its bits read where he likes."""
        if granted and stream.strayed:
            stream.strayed = False
            ctx.publish(f"{STRAY_NEWS}.{self.name}", KeyStrayed(self.place, stream.node, (), flow, ctx.now, over=True))
        if granted:
            return
        stream.strayed = True
        nodes, wanted = list(moved.nodes), list(stream.route)
        ctx.emit("key.strayed", stream=stream.name, bits=8 * len(moved.value), nodes=nodes, granted=wanted)
        ctx.publish(f"{STRAY_NEWS}.{self.name}", KeyStrayed(self.place, stream.node, moved.nodes, flow, ctx.now))
        moved.value.wipe()
        raise Problem("no-route", f"the key went over {', '.join(nodes)}; control has granted {', '.join(wanted)}")

    async def _move_shares(self, ctx: Context, stream: OutStream, bits: int) -> None:
        """Bring one stretch of a session's key to both ends: the sum of as many random shares as it has routes, each
        over its own. Who lacks one of them knows nothing of the sum."""
        flows = stream.flows
        if len(flows) < stream.paths:
            await self._routes_again(ctx, stream)
            raise Problem("no-route", f"the session has {len(flows)} of its {stream.paths} routes now")
        stream.route = tuple(dict.fromkeys(node for flow in flows for node in flow.nodes))
        stream.offered_bps = min(flow.offered_bps for flow in flows)
        name, start = stream.name, stream.next_start
        stream.next_start += bits
        whole: Stretch | None = None
        for number, flow in enumerate(flows):
            share = share_name(name, number, len(flows))
            order = MoveKey(share, start, bits, self.place, stream.node, stream.peer, flow.name)
            moved = await self._carry(ctx, order)
            self._check_way(ctx, stream, moved, moved.nodes == flow.nodes, flow.name)
            share_here = Stretch(moved.value, moved.pieces)
            whole = share_here if whole is None else whole.plus(*share_here)
        if whole is not None:
            await self._take_in(ctx, stream, name, start, whole)

    async def _routes_again(self, ctx: Context, stream: OutStream) -> None:
        """Ask for a session's routes; see `sessiondesk`."""

    async def _carry(self, ctx: Context, order: MoveKey) -> KeyMoved:
        moved: KeyMoved = await ctx.ask(fabric.relay(self.place), order, within=WITHIN)
        links = list(dict.fromkeys(piece.link for piece in moved.pieces))
        moved_over = {"nodes": list(moved.nodes), "links": links}
        ctx.emit("key.moved", stream=order.stream, start=order.start, bits=order.bits, **moved_over)
        return moved

    async def _take_in(self, ctx: Context, stream: OutStream, name: str, start: int, stretch: Stretch) -> None:
        if stream.name != name:
            raise Problem("no-key-material", "the stream was begun anew meanwhile")
        level: Level = await self._do(ctx, AppendOp(name, start, stretch.value, _provenance(stretch.pieces), True))
        self._level(ctx, stream, level)

    async def _share_next_door(self, ctx: Context, stream: OutStream, bits: int) -> None:
        """Two KMEs of one node need no network: what they share never leaves the trusted node."""
        start, stream.next_start = stream.next_start, stream.next_start + bits
        value = seeds.keystream(self._root, "next door", stream.name, start, nbytes=bits // 8)
        await ctx.ask(stream.peer, KeyArrived(stream.name, start, Secret(value), (), self.name), within=WITHIN)
        level: Level = await self._do(ctx, AppendOp(stream.name, start, Secret(value), (), True))
        stream.route = (self.place,)
        self._level(ctx, stream, level)

    @handles(KeyArrived)
    async def on_arrived(self, ctx: Context, msg: KeyArrived) -> Stored:
        await self._heard(ctx, master_of(msg.stream))
        bits = 8 * len(msg.value)
        whole = self._shares.join(msg)
        if whole is not None:
            stream = share_of(msg.stream)[0]
            await self._do(ctx, AppendOp(stream, msg.start, whole.value, _provenance(whole.pieces), False))
        return Stored(bits)

    # -- quarantine and expiry -----------------------------------------------------------------------

    async def _hear_of_incidents(self, ctx: Context) -> None:
        """Void what stands on blocks that were quarantined while nobody was here to hear of it, and take in again
        what was released. Raises the `Problem` if nobody answers."""
        told: Incidents = await ctx.ask(fabric.UPKEEP, GetIncidents(), within=WITHIN)
        for incident in told.incidents:
            if incident not in self._incidents:
                await self._quarantine(ctx, incident.link, incident.first_block, incident.last_block, again=True)
                await self._do(ctx, ReadmitOp(incident.link, incident.last_block + 1, ctx.now))
        self._incidents = told.incidents

    @handles(LinkQuarantined)
    async def on_quarantined(self, ctx: Context, msg: LinkQuarantined) -> None:
        await self._quarantine(ctx, msg.link, msg.first_block, msg.last_block)

    async def _quarantine(
        self, ctx: Context, link: str, first_block: int, last_block: int, again: bool = False
    ) -> None:
        """Void what stands on these blocks. `again`: it may have been done and told before."""
        voided: Voided = await self._do(ctx, VoidOp(link, first_block, last_block, ctx.now))
        for stream in list(self._streams.values()):
            self._level(ctx, stream, await self._do(ctx, LevelOp(stream.name)))
            self._want(ctx, stream)
        if voided.stream_bits or voided.key_ids or (voided.delivered_key_ids and not again):
            ctx.emit(
                "keys.voided",
                link=link,
                first_block=first_block,
                stream_bits=voided.stream_bits,
                key_ids=list(voided.key_ids),
                number=len(voided.key_ids),
                delivered=len(voided.delivered_key_ids),
            )
        await self._recall_copies(ctx, voided)

    @handles(LinkReleased)
    async def on_released(self, ctx: Context, msg: LinkReleased) -> None:
        await self._do(ctx, ReadmitOp(msg.link, msg.from_block, ctx.now))

    async def _recall_copies(self, ctx: Context, voided: Voided) -> None:
        """Keys of several KMEs are void at all of them, be it their own bits or a copy's pad that is suspect."""
        by_kme: dict[str, list[str]] = {}
        hit = sorted({k.partition("/pad/")[0] for k in (*voided.key_ids, *voided.delivered_key_ids)})
        known: tuple[Handout, ...] = await self._do(ctx, FindAllOp(tuple(hit))) if hit else ()
        for found in known:
            if found.master not in self._apps:
                continue  # its master's KME sees to it
            kmes = await self._kmes_of(ctx, found)
            if len(kmes) > 1 or self._apps.keys() & set(found.slaves):
                for kme in (*kmes, self.name):
                    by_kme.setdefault(kme, []).append(found.key_id)
        await self._recall(ctx, {kme: tuple(key_ids) for kme, key_ids in by_kme.items()})

    async def _recall(self, ctx: Context, by_kme: dict[str, tuple[str, ...]]) -> None:
        """Have keys void here, and at each KME that can be reached; the others hear of it when they can."""
        if self.name in by_kme:
            await self._do(ctx, CancelOp(by_kme.pop(self.name), ctx.now))
        for kme, key_ids in sorted(by_kme.items()):
            waiting = self._recalls.setdefault(kme, [])
            waiting += key_ids
            if len(waiting) == len(key_ids):  # else it cannot be reached just now, and will be told
                await self._tell_recalls(ctx, kme)

    def _recall_later(self, ctx: Context, kme: str, key_ids: tuple[str, ...], after: int = 0) -> None:
        """Have keys void at a peer without waiting for it."""
        waiting = self._recalls.setdefault(kme, [])
        if not waiting:
            ctx.tell(self.name, Recall(kme), after=after)
        waiting += key_ids

    async def _tell_recalls(self, ctx: Context, kme: str) -> None:
        key_ids = tuple(self._recalls.pop(kme, ()))
        if not key_ids:
            return
        try:
            await ctx.ask(kme, Withdraw(key_ids), within=WITHIN)
        except Problem as problem:
            ctx.log.warning("withdraw.unconfirmed", kme=kme, code=problem.code)
            self._recall_later(ctx, kme, key_ids, self.policy.retry_ns)

    @handles(Recall)
    async def on_recall(self, ctx: Context, msg: Recall) -> None:
        await self._tell_recalls(ctx, msg.kme)

    @handles(Withdraw)
    async def on_withdraw(self, ctx: Context, msg: Withdraw) -> Mirrored:
        """Void keys that are void elsewhere. The master's KME knows of all copies, and passes it on."""
        await self._do(ctx, CancelOp(msg.key_ids, ctx.now))
        ctx.emit("keys.withdrawn", key_ids=list(msg.key_ids))
        known: tuple[Handout, ...] = await self._do(ctx, FindAllOp(msg.key_ids))
        by_kme: dict[str, list[str]] = {}
        for found in known:
            kmes = await self._kmes_of(ctx, found) if found.master in self._apps else []
            if len(kmes) > 1:
                for kme in kmes:
                    by_kme.setdefault(kme, []).append(found.key_id)
        for kme, key_ids in sorted(by_kme.items()):
            self._recall_later(ctx, kme, tuple(key_ids))
        return Mirrored(len(msg.key_ids), None)

    @handles(Sweep)
    async def on_sweep(self, ctx: Context, msg: Sweep) -> None:
        erased: int = await self._do(ctx, ExpireOp(ctx.now))
        if erased:
            ctx.emit("keys.expired", number=erased)
        ctx.tell(self.name, Sweep(), after=EXPIRY_NS)
        try:
            await self._hear_of_incidents(ctx)  # in case the news of one was lost
        except Problem as problem:
            ctx.log.warning("incidents.unknown", code=problem.code)


def _other(kme: str, stream: str) -> str:
    """The KME at the other end of a stream."""
    master = master_of(stream)
    return slave_of(stream) if master == kme else master


def _holding(marks: Marks, stream: str) -> Holding:
    """What of a stream is here and may still be handed out: nothing, if it is not known."""
    return next((Holding(stream, m.first, m.last) for m in marks.streams if m.name == stream), Holding(stream, 0, 0))


def _newest(marks: Marks, master: str, slave: str) -> Holding:
    """What is here of the newest stream from `master` to `slave`."""
    common = [m.name for m in marks.streams if not session_of(m.name)]
    names = [name for name in common if (master_of(name), slave_of(name)) == (master, slave)]
    return _holding(marks, max(names, key=began, default=stream_name(master, slave)))


def _provenance(pieces: tuple[fabric.Piece, ...]) -> tuple[Provenance, ...]:
    return tuple(Provenance(p.link, p.block, p.offset, p.bits, p.use) for p in pieces)
