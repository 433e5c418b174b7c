"""The transmitting module of a link in mode `exact`; see `quoit.fabric.exact_talk`."""

from __future__ import annotations

import numpy as np

from quoit.engine.api import ENGINE, CloseLink, OpenLink, RawChunk
from quoit.fabric import api
from quoit.fabric.api import BlockCredited, EndReading, Falsify
from quoit.fabric.distill.amplification import seed_bits_needed
from quoit.fabric.distill.cascade import (
    CascadePlan,
    CascadeReference,
    ParityQueries,
    frames,
)
from quoit.fabric.distill.sifting import Basis, Sifted, sift_at_sender
from quoit.fabric.distill.verification import verification_hash
from quoit.fabric.exact_talk import (
    Announce,
    AskParities,
    Association,
    BeginBlock,
    BringPads,
    Check,
    Conclude,
    Concluded,
    Corrected,
    ExactPlan,
    Kept,
    PadsHere,
    Parities,
    bits_of,
    brought,
    bytes_of,
    finish,
    packed,
    unpack_indices,
    unpacked,
)
from quoit.fabric.kma import Deposit
from quoit.fabric.module import ActivateLink, DeactivateLink
from quoit.fabric.reporting import Agent
from quoit.model.problem import Problem
from quoit.model.secret import Secret
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles


class ExactSender(Element):
    """The transmitting end: knows what it sent, answers questions about it."""

    stratum, plane = Stratum.FABRIC, Plane.RESOURCE
    realises = ("C1", "I1")

    def __init__(self, plan: ExactPlan, outgoing: Secret, incoming: Secret) -> None:
        super().__init__(api.module(plan.ends.link, plan.ends.sender), plan.ends.sender)
        self._plan = plan
        self._tags = Association(outgoing, incoming)
        self._agent = Agent()
        self._sent: dict[int, RawChunk] = {}
        self._sifted: dict[int, Sifted] = {}
        self._block = 0
        self._key = bits_of(b"")
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
                unpacked(msg.bases, msg.clicks),
                indices=np.frombuffer(sent.indices, dtype=np.int64),
                bases=bits_of(sent.bases),
                intensities=bits_of(sent.intensities),
                bits=bits_of(sent.bits.reveal()),
            )
        except ValueError as fault:
            raise Problem("malformed", str(fault)) from fault
        answer = Kept(packed(keep), bytes_of(mine.intensities), bytes_of(mine.bits_in(Basis.X)))
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
            bytes_of(reference.answer(ParityQueries.from_bytes(q))) if q else b""
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
        pads, key = finish(self._key, self._seed, msg.ell_bits)
        self._tags.refill(pads, sender=True)
        bits = 8 * len(key)
        self._agent.credit(ctx, BlockCredited(msg.link, self._block, bits))
        ctx.tell(api.kma(self._plan.ends.sender), Deposit(msg.link, self._block, key))
        return Concluded(bits)
