"""A KME's reserve: streams of end-to-end key, kept filled, kept honest, and met again after a restart.

A KME that starts from a store with a past serves nothing of it before it has heard two things: which blocks were
quarantined while it was away, and how far its peers remember its store to have come. A store older than that was
put back from a copy: whatever it holds may have been handed out since, so all of it is void (K12).
"""

from __future__ import annotations

from quoit.fabric import api as fabric
from quoit.fabric.api import STRAY_NEWS, Flow, KeyArrived, KeyMoved, KeyStrayed, MoveKey, OpenFlow, Stored
from quoit.model.problem import Problem
from quoit.model.secret import Secret
from quoit.runtime import seeds
from quoit.runtime.context import Context
from quoit.runtime.element import handles
from quoit.runtime.wire import Message, message
from quoit.service.api import STREAM_NEWS, StreamFilled, StreamStarved
from quoit.service.holder import WITHIN, Refill
from quoit.service.keystore import AppendOp, BeginOp, ExpireOp, Level, Marks, Provenance
from quoit.service.meetings import Meet, MeetingDesk, newest
from quoit.service.shares import Stretch, share_name, share_of
from quoit.service.streams import OutStream, master_of, slave_of

CONTROL_WITHIN = 2_000_000_000
CONTROL_PAUSE_NS = 5_000_000_000
"""A controller that did not answer is not asked again for so long."""
CONTROL_SILENT = ("deadline", "no-controller")
"""What is said of a controller that is away, and not of the network."""
SETTLE_NS = 50_000_000
"""So long a route that control has just changed may need to be one everywhere."""
EXPIRY_NS = 60_000_000_000


@message("service.Sweep")
class Sweep(Message):
    """A KME to itself: erase what has expired."""


class KeyReserve(MeetingDesk):
    """Keeps streams filled: goes on from where the store is, has relays move key, lets expire what nobody took."""

    async def start(self, ctx: Context) -> None:
        marks: Marks = await self._do(ctx, BeginOp(ctx.now))
        self._seen = dict(marks.seen)
        if marks.has_past:
            peers = {_other(self.name, mark.name) for mark in marks.streams} | marks.seen.keys()
            self._unmet = peers - {self.name}
            self._names = {peer: newest(marks, self.name, peer).stream for peer in self._unmet}
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
        if granted:
            if stream.strayed:
                stream.strayed = False
                over = KeyStrayed(self.place, stream.node, (), flow, ctx.now, over=True)
                ctx.publish(f"{STRAY_NEWS}.{self.name}", over)
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


def _provenance(pieces: tuple[fabric.Piece, ...]) -> tuple[Provenance, ...]:
    return tuple(Provenance(p.link, p.block, p.offset, p.bits, p.use) for p in pieces)
