"""Service's control as Connectivity's customer, for a fabric that is oblivious to it (D4).

The fabric says that a link runs, what it makes, that it has become suspect and that it is well again; no more. Light
for it is ordered from here, and other light only where somebody needs it: sessions have been promised rates over so
many routes, keys are asked of streams at some rate, and as long as the links that are well can serve all of that, a
dark or noisy link is left alone. If they cannot, those links come back that it takes, and no others. Nothing is moved
back for its own sake when works are over.

One for the network, as the fabric's controller is. It hears how much key is wanted between which nodes, and no key.

Named approximations: what is asked of a stream is that of the busiest stretch of `SAMPLE_NS` within the last `SAMPLES`;
links that have made no block yet are not counted on.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from quoit.connectivity import api as connectivity
from quoit.connectivity.api import Case, CustomerPlan, LightCustomer, Noise, Path, RequestPath
from quoit.fabric import api as fabric
from quoit.fabric.api import BlockMade, GetLinks, LinkCommissioned, LinkReleased, LinkRow, Links, LinkSuspect
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Stratum, handles
from quoit.runtime.wire import Message, message
from quoit.service.api import (
    COORDINATOR,
    SESSION_NEWS,
    STREAM_NEWS,
    GetKmeState,
    KmeState,
    Session,
    SessionChanged,
    StreamFilled,
    StreamRow,
    StreamStarved,
)
from quoit.service.needs import Demand, Source, needed
from quoit.service.streams import master_of

WITHIN = 2_000_000_000
SAMPLE_NS = 5_000_000_000
SAMPLES = 12
SHORTEST_NS = 500_000_000
"""A rate is not taken of less time than this."""
TRIES = 10
"""How often a link's first path is ordered, if it is refused."""
STARVED_BPS = 1.0
"""A stream that cannot be filled wants at least this, though nothing is asked of it."""


@message("service.Sample")
class Sample(Message):
    """To itself: ask the KMEs what was asked of their streams."""


@dataclass
class _Stream:
    """A stream as its KME told of it: between which nodes, and what was asked of it, bit/s, oldest first."""

    src: str
    dst: str
    asked_bits: int
    at_ns: int
    bps: deque[float] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    session: Session | None = None

    def demand(self, name: str, starved: bool) -> Demand:
        if self.session is not None:
            asked = self.session
            return Demand(name, self.src, self.dst, asked.rate_bps, asked.paths, asked.priority)
        return Demand(name, self.src, self.dst, max(max(self.bps, default=0.0), STARVED_BPS if starved else 0.0))


class ServiceCoordinator(LightCustomer):
    """Orders light for links that somebody needs. There if the network file says `coordination: {by: service}`."""

    stratum = Stratum.SERVICE
    realises = ("A3", "C5", "C6", "D4", "E3")
    goes_home = False

    def __init__(self, place: str, plan: CustomerPlan, kmes: dict[str, str]) -> None:
        """`kmes`: the node of each KME."""
        super().__init__(COORDINATOR, place, plan)
        self.subscribes += (
            f"{fabric.LINK_NEWS}.*.commissioned",
            f"{fabric.LINK_NEWS}.*.block",
            f"{fabric.LINK_NEWS}.*.suspect",
            f"{fabric.LINK_NEWS}.*.released",
            f"{STREAM_NEWS}.*",
            f"{SESSION_NEWS}.*",
        )
        self._kmes = dict(kmes)
        self._ends = {name: (link.a, link.b) for name, link in self.links.items()}
        self._tries: Counter[str] = Counter()
        self._makes: dict[str, float] = {}
        self._suspects: set[str] = set()
        self._streams: dict[str, _Stream] = {}
        self._heard_ns: dict[str, int] = {}  # when each KME told last
        self._starved: set[str] = set()

    async def start(self, ctx: Context) -> None:
        ctx.tell(self.name, Sample())
        await super().start(ctx)
        if ctx.now > 0:  # it has come back, and does not know what it missed
            rows = await self._rows_now(ctx)
            made = [row.secret_bps for row in rows if row.secret_bps]
            typical = sum(made) / len(made) if made else STARVED_BPS
            # Of a link that is dark nobody says what it made before: what the others make, on the average.
            self._makes = {row.link: row.secret_bps or typical for row in rows if row.blocks} | self._makes
            self.note_dark(ctx, [row.link for row in rows if row.state == "dark"])

    # -- what the fabric reports -------------------------------------------------------------------------

    @handles(LinkCommissioned)
    async def on_commissioned(self, ctx: Context, msg: LinkCommissioned) -> None:
        """Light for a link that runs: the path that it is planned on, or one that Connectivity finds."""
        self._ends[msg.link] = (msg.sender, msg.receiver)
        link = self.links.get(msg.link)
        order = RequestPath(msg.link, msg.sender, msg.receiver, () if link is None else link.spans)
        try:
            path: Path = await ctx.ask(connectivity.CONTROLLER, order, within=WITHIN)
        except Problem as problem:
            ctx.emit("link.refused", link=msg.link, code=problem.code, why=problem.detail)
            self._tries[msg.link] += 1
            if self._tries[msg.link] < TRIES:
                ctx.tell(self.name, msg, after=self.plan.cooldown_ns)
            return
        ctx.gauge("quoit_link_loss_db", (msg.link,), path.loss_db)

    @handles(BlockMade)
    async def on_block(self, ctx: Context, msg: BlockMade) -> None:
        if msg.secret_bits:
            made = msg.secret_bits / (msg.took_ns / 1e9)
            self._makes[msg.link] = (self._makes.get(msg.link, made) + made) / 2

    @handles(LinkSuspect)
    async def on_suspect(self, ctx: Context, msg: LinkSuspect) -> None:
        self._suspects.add(msg.link)
        self.note_noise(ctx, msg.link, Noise(msg.qber, msg.expected, msg.at_ns))

    @handles(LinkReleased)
    async def on_released(self, ctx: Context, msg: LinkReleased) -> None:
        self._suspects.discard(msg.link)
        self.note_noise(ctx, msg.link, None)

    async def qber(self, ctx: Context, link: str) -> float | None:
        # If nobody answers, what it was when the link became suspect will do.
        return next((row.qber for row in await self._rows_now(ctx) if row.link == link), None)

    async def _rows_now(self, ctx: Context) -> tuple[LinkRow, ...]:
        try:
            links: Links = await ctx.ask(fabric.METERS, GetLinks(), within=WITHIN)
        except Problem:
            return ()
        return links.rows

    # -- what applications need --------------------------------------------------------------------------

    @handles(Sample)
    async def on_sample(self, ctx: Context, msg: Sample) -> None:
        ctx.tell(self.name, Sample(), after=SAMPLE_NS)
        for state in await ctx.ask_all([(kme, GetKmeState()) for kme in self._kmes], within=WITHIN):
            if isinstance(state, KmeState):
                self._take(ctx.now, state)

    def _take(self, now: int, state: KmeState) -> None:
        sessions = {one.session_id: one for one in state.sessions}
        told = {row.name for row in state.streams}
        for name in [n for n in self._streams if master_of(n) == state.kme and n not in told]:
            del self._streams[name]
            self._starved.discard(name)
        since_ns = self._heard_ns.get(state.kme)
        self._heard_ns[state.kme] = now
        for row in state.streams:
            if row.peer in self._kmes:
                # A stream that was not there the last time has been asked for all of its bits since then.
                began = (row.asked_bits, now) if since_ns is None else (0, since_ns)
                known = self._streams.setdefault(row.name, _Stream(state.node, self._kmes[row.peer], *began))
                self._grow(now, known, row, sessions.get(row.session))

    @staticmethod
    def _grow(now: int, known: _Stream, row: StreamRow, session: Session | None) -> None:
        known.session = session
        if now - known.at_ns >= SHORTEST_NS:
            known.bps.append(max(0, row.asked_bits - known.asked_bits) / ((now - known.at_ns) / 1e9))
            known.asked_bits, known.at_ns = row.asked_bits, now

    @handles(StreamStarved)
    async def on_starved(self, ctx: Context, msg: StreamStarved) -> None:
        self._starved.add(msg.stream)
        await self._hear_of(ctx, master_of(msg.stream))

    @handles(StreamFilled)
    async def on_filled(self, ctx: Context, msg: StreamFilled) -> None:
        self._starved.discard(msg.stream)

    @handles(SessionChanged)
    async def on_session(self, ctx: Context, msg: SessionChanged) -> None:
        await self._hear_of(ctx, msg.kme)

    async def _hear_of(self, ctx: Context, kme: str) -> None:
        """What does this KME need now? A link that was left alone may be needed of it."""
        if kme not in self._kmes or not self.cases:
            return
        try:
            self._take(ctx.now, await ctx.ask(kme, GetKmeState(), within=WITHIN))
        except Problem:
            return  # with the next sample, then
        await self.reconsider(ctx)

    # -- deciding ----------------------------------------------------------------------------------------

    def demands(self) -> list[Demand]:
        """What is wanted now, two nodes each; two KMEs of one node need no network."""
        found = [stream.demand(name, name in self._starved) for name, stream in sorted(self._streams.items())]
        return [demand for demand in found if demand.bps > 0 and demand.src != demand.dst]

    async def choose(self, ctx: Context, cases: list[Case]) -> list[Case]:
        """Those links that it takes to meet demands that are unmet without them."""
        sources = {name: Source(*ends, self._makes[name]) for name, ends in self._ends.items() if name in self._makes}
        out = {case.link: sources[case.link] for case in cases if case.link in sources}
        ill = {name for name in sources if self.is_down(name) or name in self._suspects or name in self.cases}
        up = {name: source for name, source in sources.items() if name not in ill or self.is_moving(name)}
        demands = self.demands()
        names, lacking = needed(demands, up, out)
        for case in cases:
            if case.link not in names:
                met = sum(not bps for bps in lacking.values())
                enough = f"{met} of {len(demands)} demands are met without it; it would help no other"
                self.say(ctx, case, "left", enough if demands else "nobody asks for key")
        by_link = {case.link: case for case in cases}
        return [by_link[name] for name in names]
