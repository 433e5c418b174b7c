"""QKD modules: the two ends of a link (C1). The receiver detects, both distil, each fills its own agent.

In mode `counts` the receiver judges a block from drawn counts and both ends fetch the block's key bits
from the engine. Named approximation: the receiver's verdict reaches the sender as one message after
distillation's time; the two ends' classical rounds are counted in that time, not played.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from quoit.engine.api import ENGINE, Chunk, CloseLink, DrawKey, DrawnKey, OpenLink
from quoit.fabric import api
from quoit.fabric.api import (
    BlockCredited,
    BlockMade,
    CommissionLink,
    EndReading,
    Falsify,
    LinkAuth,
    LinkReading,
)
from quoit.fabric.guard import EndGuard, GuardPlan
from quoit.fabric.kma import Deposit
from quoit.fabric.links.receiver import EMPTY, BlockVerdict, Distillation, RawBlock, Reading
from quoit.fabric.reporting import Agent, Disclosure
from quoit.fabric.reserve import BLOCK_BITS, AuthReserve
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message

WITHIN = 5_000_000_000
SILENCE = Reading(0, 0, 0, 0)


@message("fabric.ActivateLink")
class ActivateLink(Message):
    """Control: start making key on this link. The sender sends from now on; a receiver, which listens from the start,
    is told only after a `DeactivateLink`."""

    link: str


@message("fabric.DeactivateLink")
class DeactivateLink(Message):
    """Control: make no key on this link. Either end may be told; trust in the link is another matter."""

    link: str


@message("fabric.Distrust")
class Distrust(Message):
    """Control: drop the block under way; go on measuring, and make no key until `Trust`."""

    link: str


@message("fabric.Trust")
class Trust(Message):
    """Control: begin a fresh block and make key again."""

    link: str


@message("fabric.Distil")
class Distil(Message):
    """A module to itself: the block's distillation has had its time. `round` dies with a `Distrust`."""

    link: str
    block: int
    round: int


@message("fabric.BlockAgreed")
class BlockAgreed(Message):
    """Receiver to sender: block and number of secret bits, after distillation."""

    link: str
    block: int
    bits: int


@dataclass(frozen=True)
class LinkEnds:
    """A link as its modules know it. Its blocks are numbered from `first_block` + 1 on."""

    link: str
    sender: str
    receiver: str
    telemetry_ns: int
    first_block: int = 0


class SenderModule(Element):
    """The transmitting end: holds the same block as the receiver says was agreed."""

    stratum, plane = Stratum.FABRIC, Plane.RESOURCE
    realises = ("C1",)

    def __init__(self, ends: LinkEnds) -> None:
        super().__init__(api.module(ends.link, ends.sender), ends.sender)
        self._ends = ends
        self._agent = Agent()

    @handles(ActivateLink)
    async def on_activate(self, ctx: Context, msg: ActivateLink) -> None:
        ctx.tell(ENGINE, OpenLink(msg.link))
        self._agent.paused(ctx, msg.link, self._ends.sender, False)

    @handles(DeactivateLink)
    async def on_deactivate(self, ctx: Context, msg: DeactivateLink) -> None:
        ctx.tell(ENGINE, CloseLink(msg.link))
        self._agent.paused(ctx, msg.link, self._ends.sender, True)

    @handles(BlockAgreed)
    async def on_agreed(self, ctx: Context, msg: BlockAgreed) -> None:
        key: DrawnKey = await ctx.ask(ENGINE, DrawKey(msg.link, msg.block, msg.bits), within=WITHIN)
        self._agent.credit(ctx, BlockCredited(msg.link, msg.block, 8 * len(key.value)))
        ctx.tell(api.kma(self._ends.sender), Deposit(msg.link, msg.block, key.value))

    @handles(EndReading)
    async def on_disclosed(self, ctx: Context, msg: EndReading) -> None:
        self._agent.end_reading(ctx, msg)

    @handles(Falsify)
    async def on_falsify(self, ctx: Context, msg: Falsify) -> None:
        self._agent.obey(ctx, msg)


class ReceiverModule(Element):
    """The detecting end: telemetry, blocks, verdicts."""

    stratum, plane = Stratum.FABRIC, Plane.RESOURCE
    realises = ("C1", "F4")

    def __init__(self, ends: LinkEnds, protocol: Distillation, guard: GuardPlan, gross: bool = True) -> None:
        """`gross`: the protocol's verdict is before the cost of tags; a rate that was given is after it."""
        super().__init__(api.module(ends.link, ends.receiver), ends.receiver)
        self._gross = gross
        self._auth = AuthReserve()
        self._parked = False
        self._tampered = False
        self._ends = ends
        self._agent = Agent()
        self._guard = EndGuard(ends.link, (ends.sender, ends.receiver), guard, self._agent)
        self._disclosure = Disclosure(ends.link)
        self._bright = False
        self._chunks = (0, 0)
        self._protocol = protocol
        self._block = EMPTY
        self._waiting: dict[int, tuple[RawBlock, bool, tuple[int, int]]] = {}
        self._number = ends.first_block + 1
        self._round = 0
        self._trusted = True
        self._active = True
        self._seen = SILENCE
        self._seen_ns = 0

    @property
    def block(self) -> int:
        """Number of the block under way."""
        return self._number

    @handles(Chunk)
    async def on_chunk(self, ctx: Context, msg: Chunk) -> None:
        self._tell_meters(ctx, msg)
        if not (self._trusted and self._active) or self._parked or self._guard.held:
            return
        self._tampered = self._tampered or msg.tampered
        if not self._block.chunks:
            self._chunks = (msg.serial, msg.serial)
        self._chunks = (self._chunks[0], msg.serial)
        self._block = self._block.plus(msg.counts, msg.duration_ns)
        if self._protocol.full(self._block):
            number = self._number
            self._waiting[number] = self._block, self._tampered, self._chunks
            self._tampered = False
            self._number += 1
            self._block = EMPTY
            ctx.tell(self.name, Distil(msg.link, number, self._round), after=self._protocol.post_time_ns)

    def _tell_meters(self, ctx: Context, msg: Chunk) -> None:
        """Sum chunks up to one reading an interval."""
        reading = self._protocol.reading(msg.counts)
        if self._seen_ns:
            reading = self._seen.plus(reading)
        self._seen = reading
        self._bright = self._bright or (msg.bright and self._protocol.watches_current)
        self._seen_ns += msg.duration_ns
        if self._seen_ns >= self._ends.telemetry_ns:
            per_s = 1e9 / self._seen_ns
            tested, errors, sifted, raw, clicks, games = reading
            rates, took = (sifted * per_s, raw * per_s), self._seen_ns
            told = tested, errors, *rates, msg.end_ns, self._number, took, clicks, self._bright, games
            news = LinkReading(msg.link, *told)
            self._seen_ns = 0
            self._bright = False
            self._agent.reading(ctx, news)
            if self._guard.look(ctx, news, self._trusted):
                self._turned(ctx)
            # The sender hears which of its test bits came out wrong, and tells that by itself.
            disclosed = self._disclosure.add(msg.end_ns, tested, errors)
            if disclosed is not None:
                ctx.tell(api.module(msg.link, self._ends.sender), disclosed)

    def _turned(self, ctx: Context) -> None:
        """The receiver holds its link, or lets it go."""
        if self._guard.held or self._trusted:
            self._drop(ctx)
        if not self._guard.held:
            self._guard.let_go(ctx, self._number)

    @handles(Falsify)
    async def on_falsify(self, ctx: Context, msg: Falsify) -> None:
        self._agent.obey(ctx, msg)

    @handles(Distil)
    async def on_distil(self, ctx: Context, msg: Distil) -> None:
        waited = self._waiting.pop(msg.block, None)
        if waited is None or msg.round != self._round:
            return
        block, tampered, chunks = waited
        verdict = self._authenticated(ctx, msg, self._protocol.judge(block), tampered)
        made = BlockMade(
            msg.link,
            msg.block,
            verdict.secret_bits,
            round(verdict.qber, 6),
            verdict.sifted_bits,
            verdict.leak_bits,
            ctx.now,
            block.duration_ns,
            verdict.why,
            verdict.chsh,
        )
        ctx.emit(
            "block.made" if verdict.secret_bits else "block.failed",
            link=msg.link,
            block=msg.block,
            bits=verdict.secret_bits,
            qber=made.qber,
            sifted=verdict.sifted_bits,
            leak=verdict.leak_bits,
            why=verdict.why,
            began=ctx.now - self._protocol.post_time_ns - block.duration_ns,
            chunks=chunks,
            **({} if verdict.chsh is None else {"chsh": round(verdict.chsh, 4)}),
        )
        self._agent.block(ctx, made)
        if verdict.secret_bits:
            ctx.tell(api.module(msg.link, self._ends.sender), BlockAgreed(msg.link, msg.block, verdict.secret_bits))
            key: DrawnKey = await ctx.ask(ENGINE, DrawKey(msg.link, msg.block, verdict.secret_bits), within=WITHIN)
            ctx.tell(api.kma(self._ends.receiver), Deposit(msg.link, msg.block, key.value))

    def _authenticated(self, ctx: Context, msg: Distil, verdict: BlockVerdict, tampered: bool) -> BlockVerdict:
        """The verdict once the block's tags are paid for; no key of a block whose messages were altered."""
        self._auth.spend()
        refilled = 0
        if tampered:
            verdict = replace(verdict, secret_bits=0, why="a classical message was altered: its tag does not fit")
        elif verdict.secret_bits > BLOCK_BITS:
            refilled = BLOCK_BITS
            self._auth.refill()
            if self._gross:
                verdict = replace(verdict, secret_bits=verdict.secret_bits - BLOCK_BITS)
        link, level = msg.link, self._auth.bits
        ctx.emit("auth.spent", link=link, block=msg.block, bits=BLOCK_BITS, refilled=refilled, level=level)
        if self._auth.low and not refilled:
            self._tell_auth(ctx)
        return verdict

    def _tell_auth(self, ctx: Context) -> None:
        if self._auth.ends and not self._parked:
            self._parked = True
            self._drop(ctx)
            ctx.emit("link.parked", link=self._ends.link, blocks_left=self._auth.blocks_left)
        link = self._ends.link
        news = LinkAuth(link, self._auth.blocks_left, self._parked, ctx.now)
        ctx.publish(f"{api.LINK_NEWS}.{link}.auth", news)

    @handles(CommissionLink)
    async def on_commission(self, ctx: Context, msg: CommissionLink) -> None:
        self._auth.commission()
        self._parked = False
        self._drop(ctx)
        ctx.emit("link.commissioned", link=msg.link, level=self._auth.bits)
        self._tell_auth(ctx)

    @handles(ActivateLink)
    async def on_activate(self, ctx: Context, msg: ActivateLink) -> None:
        self._active = True
        self._agent.paused(ctx, msg.link, self._ends.receiver, False)
        self._drop(ctx)

    @handles(DeactivateLink)
    async def on_deactivate(self, ctx: Context, msg: DeactivateLink) -> None:
        self._active = False
        self._agent.paused(ctx, msg.link, self._ends.receiver, True)
        self._drop(ctx)

    @handles(Distrust)
    async def on_distrust(self, ctx: Context, msg: Distrust) -> None:
        self._trusted = False
        if not self._guard.held:  # else there is nothing left to drop
            self._drop(ctx)

    @handles(Trust)
    async def on_trust(self, ctx: Context, msg: Trust) -> None:
        self._trusted = True
        if self._guard.trusted_again(ctx):
            self._drop(ctx)

    def _drop(self, ctx: Context) -> None:
        self._block = EMPTY
        self._tampered = False
        self._waiting.clear()
        self._round += 1
        self._number += 1
