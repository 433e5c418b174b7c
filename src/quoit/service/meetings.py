"""Peers compare notes when one has started anew: how far their stores have come, and which bits both have."""

from __future__ import annotations

from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import handles
from quoit.runtime.wire import Message, message
from quoit.service.api import STREAM_NEWS, StoreRewound
from quoit.service.holder import WITHIN
from quoit.service.keystore import LevelOp, Marks, MarksOp, Point, RewoundOp, SeenOp, SkipOp, Voided
from quoit.service.peer import Hello, Holding, Met, Progress, Remembered
from quoit.service.recalls import RecallDesk
from quoit.service.streams import began, master_of, session_of, slave_of, stream_name

POLL_NS = 50_000_000
NOTE_NS = 1_000_000_000
"""How long word of a peer's progress may wait for others before it is written down."""


@message("service.Meet")
class Meet(Message):
    """A KME to itself: find out what this peer remembers."""

    peer: str


@message("service.NoteProgress")
class NoteProgress(Message):
    """A KME to itself: write down how far its peers have come."""


class MeetingDesk(RecallDesk):
    """Meets peers, and remembers how far each has come."""

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
            hello = Hello(self.name, marks.point, newest(marks, peer, self.name))
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
        return Met(self._seen.get(msg.kme), marks.point, newest(marks, msg.kme, self.name))

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


def _holding(marks: Marks, stream: str) -> Holding:
    """What of a stream is here and may still be handed out: nothing, if it is not known."""
    return next((Holding(stream, m.first, m.last) for m in marks.streams if m.name == stream), Holding(stream, 0, 0))


def newest(marks: Marks, master: str, slave: str) -> Holding:
    """What is here of the newest stream from `master` to `slave`."""
    common = [m.name for m in marks.streams if not session_of(m.name)]
    names = [name for name in common if (master_of(name), slave_of(name)) == (master, slave)]
    return _holding(marks, max(names, key=began, default=stream_name(master, slave)))
