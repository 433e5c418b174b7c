"""Modules of mode `exact`: both ends hold their own raw bits, and real distillation makes them equal.

Sifting, parameter estimation, Cascade, verification and privacy amplification are messages between the
two modules, each as long on its way as light is. Everything said about a block is authenticated at its
end, by one Wegman-Carter tag in each direction over the whole transcript (delayed authentication); no key
is deposited before both tags fit. The tags' pads come from the block before, the first from the key that
the link was commissioned with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quoit.engine.api import ENGINE, CloseLink, DrawKey, DrawnKey, OpenLink, RawChunk
from quoit.fabric import api
from quoit.fabric.api import BlockCredited, BlockMade, CommissionLink, EndReading, Falsify, LinkAuth, LinkReading
from quoit.fabric.distill.amplification import amplify, seed_bits_needed
from quoit.fabric.distill.cascade import (
    CascadeCorrector,
    CascadePlan,
    CascadeReference,
    ParityQueries,
    frames,
)
from quoit.fabric.distill.estimation import Security, judge_block
from quoit.fabric.distill.sifting import Basis, Sifted, Tally, sift_at_receiver, sift_at_sender, tally
from quoit.fabric.distill.tags import TAG_BITS, Tag, TagSupply, sign, verify
from quoit.fabric.distill.verification import keys_agree, verification_hash
from quoit.fabric.guard import EndGuard, GuardPlan
from quoit.fabric.kma import Deposit
from quoit.fabric.module import ActivateLink, DeactivateLink, Distrust, LinkEnds, Trust
from quoit.fabric.reporting import Agent, Disclosure
from quoit.fabric.reserve import ALARM_BLOCKS, COMMISSIONED_BLOCKS, PARK_BLOCKS
from quoit.model.problem import Problem
from quoit.model.secret import Secret
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, encode, message

WITHIN = 10_000_000_000
Bits = NDArray[np.uint8]
AUTH_BITS = 2 * TAG_BITS


@message("fabric.Announce")
class Announce(Message):
    """Receiver: these `clicks` pulses clicked (`pack_indices`), measured in these bases (one bit each).
    Answered by `Kept`."""

    link: str
    serial: int
    clicks: int
    indices: bytes
    bases: bytes


@message("fabric.Kept")
class Kept(Message):
    """Sender: which of them had the same basis (one bit each), the intensities of those (one byte each),
    and the test basis' bits in clear (one byte each)."""

    keep: bytes
    intensities: bytes
    test_bits: bytes


@message("fabric.BeginBlock")
class BeginBlock(Message):
    """Receiver: the chunks from `first` to `last` are block `block`; correct it with these Cascade plans."""

    link: str
    block: int
    first: int
    last: int
    plans: tuple[tuple[int, int, tuple[int, ...]], ...]


@message("fabric.AskParities")
class AskParities(Message):
    """Receiver: parities of these intervals, one list of questions a frame. Answered by `Parities`."""

    link: str
    queries: tuple[bytes, ...]


@message("fabric.Parities")
class Parities(Message):
    answers: tuple[bytes, ...]


@message("fabric.Corrected")
class Corrected(Message):
    """Receiver: correction is over; these were the key basis' counts and errors. Answered by `Check`."""

    link: str
    counts: tuple[int, ...]
    errors: tuple[int, ...]


@message("fabric.Check")
class Check(Message):
    """Sender: hash of its key under a fresh seed, the seed of privacy amplification, and its tag."""

    hash_seed: bytes
    hash_value: bytes
    amplification_seed: bytes
    tag: bytes


@message("fabric.Conclude")
class Conclude(Message):
    """Receiver: the keys agree, your tag fits, and privacy amplification makes `ell_bits` (0: the block is
    discarded); my tag. Answered by `Concluded`."""

    link: str
    ell_bits: int
    tag: bytes


@message("fabric.Concluded")
class Concluded(Message):
    secret_bits: int


@dataclass(frozen=True)
class ExactPlan:
    """What both ends know of an exact link."""

    ends: LinkEnds
    mu: tuple[float, ...]
    p_intensity: tuple[float, ...]
    block_bits: int
    security: Security
    guard: GuardPlan
    watches_current: bool = True


def _bytes(values: NDArray[Any]) -> bytes:
    return values.astype(np.uint8).tobytes()


def _bits(data: bytes) -> Bits:
    return np.frombuffer(data, dtype=np.uint8)


def pack_indices(indices: NDArray[np.int64]) -> bytes:
    """Ascending pulse numbers as the first one and the gaps, in the fewest whole bytes a gap."""
    if not len(indices):
        return b""
    gaps = np.diff(indices)
    width = next(w for w in (1, 2, 4, 8) if not len(gaps) or gaps.max() < 1 << (8 * w - 1))
    return bytes([width]) + int(indices[0]).to_bytes(8, "little") + gaps.astype(f"<u{width}").tobytes()


def unpack_indices(data: bytes, clicks: int) -> NDArray[np.int64]:
    """Inverse of `pack_indices`. ValueError if the bytes do not hold so many."""
    if not clicks:
        return np.empty(0, dtype=np.int64)
    if len(data) < 9 or data[0] not in (1, 2, 4, 8):
        raise ValueError("expected packed pulse numbers")
    gaps = np.frombuffer(data, dtype=f"<u{data[0]}", offset=9)
    if len(gaps) != clicks - 1:
        raise ValueError(f"expected {clicks} pulse numbers, found {len(gaps) + 1}")
    first = int.from_bytes(data[1:9], "little")
    return np.concatenate([[first], first + np.cumsum(gaps, dtype=np.int64)]).astype(np.int64)


def _packed(values: NDArray[Any]) -> bytes:
    return np.packbits(values.astype(np.uint8)).tobytes()


def _unpacked(data: bytes, count: int) -> Bits:
    return np.unpackbits(np.frombuffer(data, dtype=np.uint8), count=count)


class _Association:
    """Tags of one end: a supply for what it says, one for what it hears, and the block's transcript.

    What was said in sifting is kept by chunk, and put in front when a block of these chunks begins: chunks go on to
    arrive while a block is distilled, and each end hears of them at another place of the block's conversation.
    """

    def __init__(self, outgoing: Secret, incoming: Secret) -> None:
        self.out = TagSupply.from_preshared(outgoing)
        self.into = TagSupply.from_preshared(incoming)
        self.transcript = bytearray()
        self.sifting: dict[int, bytes] = {}

    def note_sifting(self, serial: int, *messages: Message) -> None:
        self.sifting[serial] = b"".join(map(encode, messages))

    def begin(self, first: int, last: int) -> None:
        """A block of these chunks: its transcript begins with theirs. Older ones are nobody's any more."""
        self.transcript = bytearray(b"".join(self.sifting[s] for s in sorted(self.sifting) if first <= s <= last))
        self.sifting = {serial: said for serial, said in self.sifting.items() if serial > last}

    def note(self, *messages: Message) -> None:
        for one in messages:
            self.transcript += encode(one)

    def tag(self) -> bytes:
        return sign(self.transcript, self.out).to_bytes()

    def check(self, tag: bytes) -> None:
        verify(self.transcript, Tag.from_bytes(tag), self.into)

    @property
    def blocks_left(self) -> int:
        """Blocks that the pads last for if none gives any back."""
        return min(self.out.messages_left, self.into.messages_left)

    def commission(self, key: Secret, sender: bool) -> None:
        """Fresh pads from outside; the same key comes to both ends."""
        data = key.reveal()
        half = len(data) // 2
        mine, theirs = (data[:half], data[half:]) if sender else (data[half:], data[:half])
        self.out.deposit(Secret(mine))
        self.into.deposit(Secret(theirs))
        self.transcript.clear()

    def refill(self, key: Secret, sender: bool) -> None:
        """The block's first `AUTH_BITS` become pads: the first half for what the sender says."""
        self.commission(key, sender)


def _finish(raw: Bits, seed: bytes, ell_bits: int) -> tuple[Secret, Secret]:
    """(pads for the next block's tags, key for the pool): privacy amplification, in whole bytes."""
    final = amplify(raw, seed, ell_bits).reveal()
    return Secret(final[: AUTH_BITS // 8]), Secret(final[AUTH_BITS // 8 :])


@message("fabric.BringPads")
class BringPads(Message):
    """An operator has brought both ends of a link fresh key for their messages, for the `visit`-th time."""

    link: str
    visit: int


@message("fabric.PadsHere")
class PadsHere(Message):
    """The sender has taken them."""


async def brought(ctx: Context, msg: BringPads) -> Secret:
    """The key that was brought: what the engine gives both ends alike under a number that no block has."""
    bits = 2 * COMMISSIONED_BLOCKS * TAG_BITS
    drawn: DrawnKey = await ctx.ask(ENGINE, DrawKey(msg.link, -msg.visit, bits), within=WITHIN)
    return drawn.value


class ExactSender(Element):
    """The transmitting end: knows what it sent, answers questions about it."""

    stratum, plane = Stratum.FABRIC, Plane.RESOURCE
    realises = ("C1", "I1")

    def __init__(self, plan: ExactPlan, outgoing: Secret, incoming: Secret) -> None:
        super().__init__(api.module(plan.ends.link, plan.ends.sender), plan.ends.sender)
        self._plan = plan
        self._tags = _Association(outgoing, incoming)
        self._agent = Agent()
        self._sent: dict[int, RawChunk] = {}
        self._sifted: dict[int, Sifted] = {}
        self._block = 0
        self._key = _bits(b"")
        self._references: list[CascadeReference] = []
        self._seed = b""

    @handles(ActivateLink)
    async def on_activate(self, ctx: Context, msg: ActivateLink) -> None:
        ctx.tell(ENGINE, OpenLink(msg.link))
        self._agent.paused(ctx, msg.link, self._plan.ends.sender, False)

    @handles(DeactivateLink)
    async def on_deactivate(self, ctx: Context, msg: DeactivateLink) -> None:
        ctx.tell(ENGINE, CloseLink(msg.link))
        self._agent.paused(ctx, msg.link, self._plan.ends.sender, True)

    @handles(EndReading)
    async def on_disclosed(self, ctx: Context, msg: EndReading) -> None:
        self._agent.end_reading(ctx, msg)

    @handles(Falsify)
    async def on_falsify(self, ctx: Context, msg: Falsify) -> None:
        self._agent.obey(ctx, msg)

    @handles(BringPads)
    async def on_pads(self, ctx: Context, msg: BringPads) -> PadsHere:
        self._tags.commission(await brought(ctx, msg), sender=True)
        return PadsHere()

    @handles(RawChunk)
    async def on_chunk(self, ctx: Context, msg: RawChunk) -> None:
        self._sent[msg.serial] = msg
        for old in [s for s in self._sent if s < msg.serial - 64]:
            del self._sent[old]  # the receiver never asked: it dropped the chunk

    @handles(Announce)
    async def on_announce(self, ctx: Context, msg: Announce) -> Kept:
        sent = self._sent.pop(msg.serial, None)
        if sent is None:
            raise Problem("no-key-material", f"chunk {msg.serial} of {msg.link} is not here", link=msg.link)
        try:
            keep, mine = sift_at_sender(
                unpack_indices(msg.indices, msg.clicks),
                _unpacked(msg.bases, msg.clicks),
                indices=np.frombuffer(sent.indices, dtype=np.int64),
                bases=_bits(sent.bases),
                intensities=_bits(sent.intensities),
                bits=_bits(sent.bits.reveal()),
            )
        except ValueError as fault:
            raise Problem("malformed", str(fault)) from fault
        answer = Kept(_packed(keep), _bytes(mine.intensities), _bytes(mine.bits_in(Basis.X)))
        self._sifted[msg.serial] = mine
        self._tags.note_sifting(msg.serial, msg, answer)
        return answer

    @handles(BeginBlock)
    async def on_begin(self, ctx: Context, msg: BeginBlock) -> Parities:
        parts = [self._sifted.pop(s) for s in range(msg.first, msg.last + 1) if s in self._sifted]
        for old in [s for s in self._sifted if s < msg.first]:
            del self._sifted[old]
        if not parts:
            raise Problem("no-key-material", f"no chunk of block {msg.block} is here", link=msg.link)
        self._block = msg.block
        self._key = Sifted.join(parts).bits_in(Basis.Z)
        plans = [CascadePlan(n, seed, sizes) for n, seed, sizes in msg.plans]
        self._references = [
            CascadeReference(self._key[part], plan) for part, plan in zip(frames(len(self._key)), plans, strict=True)
        ]
        self._tags.begin(msg.first, msg.last)
        self._tags.note(msg)
        return Parities(())

    @handles(AskParities)
    async def on_parities(self, ctx: Context, msg: AskParities) -> Parities:
        answers = tuple(
            _bytes(reference.answer(ParityQueries.from_bytes(q))) if q else b""
            for reference, q in zip(self._references, msg.queries, strict=True)
        )
        answer = Parities(answers)
        self._tags.note(msg, answer)
        return answer

    @handles(Corrected)
    async def on_corrected(self, ctx: Context, msg: Corrected) -> Check:
        rng = ctx.rng("public seeds")
        hash_seed = rng.bytes(32)
        value = verification_hash(self._key, hash_seed, self._plan.security.eps_cor)
        seed = rng.bytes(seed_bits_needed(len(self._key), len(self._key)) // 8 + 1)
        self._tags.note(msg, Check(hash_seed, value, seed, b""))
        self._seed = seed
        return Check(hash_seed, value, seed, self._tags.tag())

    @handles(Conclude)
    async def on_conclude(self, ctx: Context, msg: Conclude) -> Concluded:
        """The receiver's numbers are authentic if its tag fits; then its length of key is ours."""
        self._tags.note(Conclude(msg.link, msg.ell_bits, b""))
        self._tags.check(msg.tag)
        if not msg.ell_bits:
            self._tags.transcript.clear()
            return Concluded(0)
        pads, key = _finish(self._key, self._seed, msg.ell_bits)
        self._tags.refill(pads, sender=True)
        bits = 8 * len(key)
        self._agent.credit(ctx, BlockCredited(msg.link, self._block, bits))
        ctx.tell(api.kma(self._plan.ends.sender), Deposit(msg.link, self._block, key))
        return Concluded(bits)


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
        self._tags = _Association(outgoing, incoming)
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
        bases = _bits(msg.bases)
        indices = np.frombuffer(msg.indices, dtype=np.int64)
        announce = Announce(msg.link, msg.serial, len(indices), pack_indices(indices), _packed(bases))
        try:
            kept: Kept = await ctx.ask(self._sender, announce, within=WITHIN)
            mine = sift_at_receiver(
                _unpacked(kept.keep, len(bases)).astype(bool),
                _bits(kept.intensities),
                bases=bases,
                bits=_bits(msg.bits.reveal()),
            )
            test = tally(mine.bits_in(Basis.X), _bits(kept.test_bits), mine.intensities_in(Basis.X), len(self._plan.mu))
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
            pads, final = _finish(corrected, check.amplification_seed, ell)
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
                    corrector.receive(_bits(answer))
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
