"""The detecting module of a link in mode `exact`; see `quoit.fabric.exact_talk`."""

from __future__ import annotations

import numpy as np

from quoit.engine.api import RawChunk
from quoit.fabric import api
from quoit.fabric.api import BlockMade, CommissionLink, Falsify, LinkAuth, LinkReading
from quoit.fabric.distill.cascade import (
    CascadeCorrector,
    frames,
)
from quoit.fabric.distill.estimation import judge_block
from quoit.fabric.distill.sifting import Basis, Sifted, Tally, sift_at_receiver, tally
from quoit.fabric.distill.tags import TAG_BITS
from quoit.fabric.distill.verification import keys_agree
from quoit.fabric.exact_talk import (
    AUTH_BITS,
    WITHIN,
    Announce,
    AskParities,
    Association,
    BeginBlock,
    Bits,
    BringPads,
    Check,
    Conclude,
    Corrected,
    ExactPlan,
    Kept,
    Parities,
    bits_of,
    brought,
    finish,
    pack_indices,
    packed,
    unpacked,
)
from quoit.fabric.guard import EndGuard
from quoit.fabric.kma import Deposit
from quoit.fabric.module import ActivateLink, DeactivateLink, Distrust, Trust
from quoit.fabric.reporting import Agent, Disclosure
from quoit.fabric.reserve import ALARM_BLOCKS, PARK_BLOCKS
from quoit.model.problem import Problem
from quoit.model.secret import Secret
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message


@message("fabric.DistilExactly")
class DistilExactly(Message):
    """A receiver to itself: distil the block that is full. `round` dies with a `Distrust`."""

    block: int
    round: int


class ExactReceiver(Element):
    """The detecting end: it leads the conversation, because it knows which pulses arrived."""

    stratum, plane = Stratum.FABRIC, Plane.RESOURCE
    realises = ("C1", "I1")

    def __init__(self, plan: ExactPlan, outgoing: Secret, incoming: Secret) -> None:
        super().__init__(api.module(plan.ends.link, plan.ends.receiver), plan.ends.receiver)
        self._plan = plan
        self._tags = Association(outgoing, incoming)
        self._sender = api.module(plan.ends.link, plan.ends.sender)
        self._disclosure = Disclosure(plan.ends.link)
        self._agent = Agent()
        self._guard = EndGuard(plan.ends.link, (plan.ends.sender, plan.ends.receiver), plan.guard, self._agent)
        self._parts: dict[int, tuple[Sifted, Tally]] = {}
        self._since_ns = 0
        self._number = plan.ends.first_block + 1
        self._round = 0
        self._trusted = True
        self._active = True
        self._busy = False
        self._parked = False
        self._visits = 0

    @handles(RawChunk)
    async def on_chunk(self, ctx: Context, msg: RawChunk) -> None:
        bases = bits_of(msg.bases)
        indices = np.frombuffer(msg.indices, dtype=np.int64)
        announce = Announce(msg.link, msg.serial, len(indices), pack_indices(indices), packed(bases))
        try:
            kept: Kept = await ctx.ask(self._sender, announce, within=WITHIN)
            mine = sift_at_receiver(
                unpacked(kept.keep, len(bases)).astype(bool),
                bits_of(kept.intensities),
                bases=bases,
                bits=bits_of(msg.bits.reveal()),
            )
            test = tally(
                mine.bits_in(Basis.X), bits_of(kept.test_bits), mine.intensities_in(Basis.X), len(self._plan.mu)
            )
        except (Problem, ValueError) as fault:
            ctx.log.warning("chunk.lost", link=msg.link, serial=msg.serial, why=type(fault).__name__)
            return
        self._tags.note_sifting(msg.serial, announce, kept)
        per_s = 1e9 / msg.duration_ns
        tested, errors = sum(test.counts), sum(test.errors)
        sort = mine.intensities
        clicks = tuple(int(np.count_nonzero(sort == k)) for k in range(len(self._plan.mu)))
        bright = msg.bright and self._plan.watches_current
        rates = len(mine) * per_s, len(bases) * per_s
        reading = LinkReading(
            msg.link, tested, errors, *rates, msg.end_ns, self._number, msg.duration_ns, clicks, bright
        )
        self._agent.reading(ctx, reading)
        if self._guard.look(ctx, reading, self._trusted):
            self._turned(ctx)
        disclosed = self._disclosure.add(msg.end_ns, tested, errors)
        if disclosed is not None:
            ctx.tell(self._sender, disclosed)
        if not (self._trusted and self._active) or self._parked or self._guard.held:
            self._tags.sifting.clear()
            return
        if not self._parts:
            self._since_ns = msg.end_ns - msg.duration_ns
        self._parts[msg.serial] = (mine, test)
        if sum(len(p.bits_in(Basis.Z)) for p, _ in self._parts.values()) >= self._plan.block_bits and not self._busy:
            self._busy = True
            ctx.tell(self.name, DistilExactly(self._number, self._round))

    def _turned(self, ctx: Context) -> None:
        """The receiver holds its link, or lets it go."""
        if self._guard.held or self._trusted:
            self._drop()
        if not self._guard.held:
            self._guard.let_go(ctx, self._number)

    @handles(DistilExactly)
    async def on_distil(self, ctx: Context, msg: DistilExactly) -> None:
        if msg.round != self._round:
            return
        parts, self._parts = self._parts, {}
        self._number += 1
        began = ctx.now
        try:
            made = await self._distil(ctx, msg, parts, began)
        except Problem as problem:
            made = BlockMade(
                self._plan.ends.link, msg.block, 0, 0.5, 0, 0, ctx.now, ctx.now - self._since_ns, problem.code
            )
        finally:
            self._busy = False
        ctx.emit(
            "block.made" if made.secret_bits else "block.failed",
            link=made.link,
            block=made.block,
            bits=made.secret_bits,
            qber=made.qber,
            sifted=made.sifted_bits,
            leak=made.leak_bits,
            why=made.why,
            chunks=(min(parts, default=0), max(parts, default=0)),
        )
        self._agent.block(ctx, made)
        self._look_at_pads(ctx)

    def _look_at_pads(self, ctx: Context) -> None:
        """Raise an alarm while a link can still authenticate, and stop before it would have to speak without tags."""
        left, link = self._tags.blocks_left, self._plan.ends.link
        if left > ALARM_BLOCKS:
            return
        if left <= PARK_BLOCKS and not self._parked:
            self._parked = True
            self._parts.clear()
            self._tags.sifting.clear()
            ctx.emit("link.parked", link=link, blocks_left=left)
        ctx.publish(f"{api.LINK_NEWS}.{link}.auth", LinkAuth(link, left, self._parked, ctx.now))

    @handles(CommissionLink)
    async def on_commission(self, ctx: Context, msg: CommissionLink) -> None:
        """A link that is parked says nothing, so both ends take the new pads at the same place of their order."""
        if not self._parked:
            raise Problem("malformed", f"{msg.link} is not parked: its key lasts for {self._tags.blocks_left} blocks")
        self._visits += 1
        pads = BringPads(msg.link, self._visits)
        own = await brought(ctx, pads)
        await ctx.ask(self._sender, pads, within=WITHIN)
        self._tags.commission(own, sender=False)
        self._parked = False
        ctx.emit("link.commissioned", link=msg.link, level=self._tags.blocks_left * 2 * TAG_BITS)
        ctx.publish(f"{api.LINK_NEWS}.{msg.link}.auth", LinkAuth(msg.link, self._tags.blocks_left, False, ctx.now))

    async def _distil(
        self, ctx: Context, msg: DistilExactly, parts: dict[int, tuple[Sifted, Tally]], began: int
    ) -> BlockMade:
        link = self._plan.ends.link
        took = began - self._since_ns
        mine = Sifted.join([part for part, _ in parts.values()])
        test = _sum([t for _, t in parts.values()])
        raw = mine.bits_in(Basis.Z)
        if test.error_rate > self._plan.security.max_qber:
            self._tags.transcript.clear()
            why = f"QBER {test.error_rate:.4f} above {self._plan.security.max_qber}"
            return BlockMade(link, msg.block, 0, test.error_rate, len(raw), 0, ctx.now, took, why)
        corrected, parity_bits = await self._correct(ctx, msg, parts, raw, test.error_rate)
        key = tally(raw, corrected, mine.intensities_in(Basis.Z), len(self._plan.mu))
        said = Corrected(link, tuple(map(int, key.counts)), tuple(map(int, key.errors)))
        check: Check = await ctx.ask(self._sender, said, within=WITHIN)
        self._tags.note(said, Check(check.hash_seed, check.hash_value, check.amplification_seed, b""))
        self._tags.check(check.tag)
        agreed = keys_agree(corrected, check.hash_seed, self._plan.security.eps_cor, check.hash_value)
        verdict = judge_block(
            key,
            test,
            mu=self._plan.mu,
            p_intensity=self._plan.p_intensity,
            parity_bits=parity_bits,
            auth_bits=AUTH_BITS,
            security=self._plan.security,
        )
        good = agreed and verdict.ok and verdict.ell_bits >= AUTH_BITS + 8 and msg.round == self._round
        ell = verdict.ell_bits // 8 * 8 if good else 0
        self._tags.note(Conclude(link, ell, b""))
        await ctx.ask(self._sender, Conclude(link, ell, self._tags.tag()), within=WITHIN)
        fault: str | None = None
        if not good:
            fault = (verdict.why or "distrusted") if agreed else "keys differ after correction"
        bits = 0
        if good:
            pads, final = finish(corrected, check.amplification_seed, ell)
            self._tags.refill(pads, sender=False)
            bits = 8 * len(final)
            ctx.tell(api.kma(self._plan.ends.receiver), Deposit(link, msg.block, final))
        else:
            self._tags.transcript.clear()
        qber = round(verdict.qber, 6)
        return BlockMade(link, msg.block, bits, qber, len(raw), verdict.leak_bits, ctx.now, took, fault)

    async def _correct(
        self,
        ctx: Context,
        msg: DistilExactly,
        parts: dict[int, tuple[Sifted, Tally]],
        raw: Bits,
        qber: float,
    ) -> tuple[Bits, int]:
        """Cascade over all frames at once: one message a round carries the questions of all of them."""
        link = self._plan.ends.link
        cuts = frames(len(raw))
        correctors = [CascadeCorrector(raw[cut], max(qber, 1e-3), ctx.rng("cascade")) for cut in cuts]
        plans = tuple((c.plan.n_bits, c.plan.seed, tuple(map(int, c.plan.block_sizes))) for c in correctors)
        begin = BeginBlock(link, msg.block, min(parts), max(parts), plans)
        await ctx.ask(self._sender, begin, within=WITHIN)
        self._tags.begin(begin.first, begin.last)
        self._tags.note(begin)
        while not all(c.done for c in correctors):
            ask = AskParities(link, tuple(b"" if c.done else c.next_queries().to_bytes() for c in correctors))
            parities: Parities = await ctx.ask(self._sender, ask, within=WITHIN)
            self._tags.note(ask, parities)
            for corrector, query, answer in zip(correctors, ask.queries, parities.answers, strict=True):
                if query:
                    corrector.receive(bits_of(answer))
        corrected = np.concatenate([c.corrected for c in correctors])
        return corrected, sum(c.leaked_bits for c in correctors)

    @handles(Falsify)
    async def on_falsify(self, ctx: Context, msg: Falsify) -> None:
        self._agent.obey(ctx, msg)

    @handles(Distrust)
    async def on_distrust(self, ctx: Context, msg: Distrust) -> None:
        self._trusted = False
        if not self._guard.held:  # else there is nothing left to drop
            self._drop()

    @handles(Trust)
    async def on_trust(self, ctx: Context, msg: Trust) -> None:
        self._trusted = True
        if self._guard.trusted_again(ctx):
            self._drop()

    @handles(ActivateLink)
    async def on_activate(self, ctx: Context, msg: ActivateLink) -> None:
        self._active = True
        self._agent.paused(ctx, msg.link, self._plan.ends.receiver, False)
        self._drop()

    @handles(DeactivateLink)
    async def on_deactivate(self, ctx: Context, msg: DeactivateLink) -> None:
        self._active = False
        self._agent.paused(ctx, msg.link, self._plan.ends.receiver, True)
        self._drop()

    def _drop(self) -> None:
        self._parts = {}
        self._round += 1
        self._number += 1
        self._busy = False


def _sum(tallies: list[Tally]) -> Tally:
    counts = tuple(sum(column) for column in zip(*(t.counts for t in tallies), strict=True))
    errors = tuple(sum(column) for column in zip(*(t.errors for t in tallies), strict=True))
    return Tally(counts, errors)
