"""A KME's desk for sessions that may degrade to hybrid keys when their links give none (C5, C7)."""

from __future__ import annotations

from typing import Any

from quoit.model.problem import Problem
from quoit.model.secret import Secret
from quoit.runtime import seeds
from quoit.runtime.context import Context
from quoit.runtime.element import handles
from quoit.service.api import OpenKeys, OpenSession, Session
from quoit.service.directory import Attachment
from quoit.service.holder import WITHIN, App
from quoit.service.hybrid import (
    CHUNK_BITS,
    HYBRID,
    MARK,
    QKD,
    SEED_BITS,
    Encapsulated,
    OfferKem,
    Opener,
    Ratchet,
    SeedHybrid,
    class_of,
    close_to,
)
from quoit.service.keystore import (
    AppendOp,
    FindAllOp,
    Handout,
    Level,
    MirrorOp,
    Opened,
    OpenOp,
    Point,
    SkipOp,
    Taken,
    TakeOp,
)
from quoit.service.peer import Mirrored
from quoit.service.sessiondesk import KeySession, SessionDesk
from quoit.service.streams import OutStream, master_of, stream_name


class HybridDesk(SessionDesk):
    """Seeds sessions that ask for it, makes hybrid key when their own stream is short, and labels it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ratchets: dict[str, Ratchet] = {}
        self._hybrids: dict[str, OutStream] = {}

    @handles(OpenSession)
    async def on_open_session(self, ctx: Context, msg: OpenSession) -> Session:
        shown = await super().on_open_session(ctx, msg)
        session = self._sessions[msg.session_id]
        if msg.on_shortage != HYBRID or session.stream is None:
            return shown
        try:
            await self._seed(ctx, msg, session.peer)
        except Problem:
            await self._end(ctx, session, "it could not be seeded for hybrid keys")
            raise
        name = stream_name(self.name, session.peer.kme, ctx.now, msg.session_id + MARK)
        high = max(self.policy.max_key_size, CHUNK_BITS)
        hybrid = OutStream(name, session.peer.kme, session.peer.node, high // 2, high, msg.session_id + MARK)
        self._streams[hybrid.key] = self._hybrids[msg.session_id] = hybrid
        return shown

    async def _seed(self, ctx: Context, msg: OpenSession, peer: Attachment) -> None:
        """One key of the common stream, at both ends, for the session alone."""
        stream = self._stream(ctx, peer.kme, peer.node)
        await self._heard(ctx, peer.kme)
        key_id, expires = f"{msg.session_id}/seed", ctx.now + self.policy.validity_ns
        op = OpenOp(stream.name, (key_id,), SEED_BITS, self.name, (peer.kme,), expires, ctx.now)
        opened: Opened = await self._patiently(ctx, self._app(msg.caller), stream, op)
        order = SeedHybrid(msg.session_id, stream.name, key_id, opened.offsets[0], expires, opened.point)
        await ctx.ask(peer.kme, order, within=WITHIN)
        self._ratchets[msg.session_id] = Ratchet(opened.values[0])

    @handles(SeedHybrid)
    async def on_seed(self, ctx: Context, msg: SeedHybrid) -> Mirrored:
        kme = master_of(msg.stream)
        await self._heard(ctx, kme)
        ids, parties = (msg.key_id,), (self.name,)
        mirror = MirrorOp(
            msg.stream, ids, (msg.offset,), SEED_BITS, kme, parties, msg.expires_ns, ctx.now, kme, msg.point
        )
        point: Point = await self._do(ctx, mirror)
        taken: Taken = await self._do(ctx, TakeOp(self.name, kme, ids, ctx.now))
        self._ratchets[msg.session_id] = Ratchet(taken.values[0])
        return Mirrored(1, point)

    # -- making key ----------------------------------------------------------------------------------

    async def _move(self, ctx: Context, stream: OutStream, bits: int) -> None:
        if class_of(stream.name) != HYBRID:
            await super()._move(ctx, stream, bits)
            return
        session_id = stream.session.removesuffix(MARK)
        ratchet = self._ratchets.get(session_id)
        if ratchet is None:
            raise Problem("no-key-material", "the hybrid session has no seed any more")
        bits, name, start = min(bits, CHUNK_BITS), stream.name, stream.next_start
        stream.next_start += bits
        opener = Opener(Secret(seeds.keystream(self._root, "kem", name, start, nbytes=64)))
        offer = OfferKem(session_id, name, start, bits, ratchet.number, opener.public_key)
        answer: Encapsulated = await ctx.ask(stream.peer, offer, within=WITHIN)
        value = ratchet.turn(offer.number, opener.open(answer.ciphertext), offer, answer.ciphertext)
        level: Level = await self._do(ctx, AppendOp(name, start, value, (), True))
        ctx.count("quoit_hybrid_bits_total", (self.name,), bits)
        self._level(ctx, stream, level)

    @handles(OfferKem)
    async def on_offer(self, ctx: Context, msg: OfferKem) -> Encapsulated:
        ratchet = self._ratchets.get(msg.session_id)
        if ratchet is None:
            raise Problem("no-key-material", "this KME has no seed of the hybrid session")
        shared, ciphertext = close_to(msg.public_key)
        value = ratchet.turn(msg.number, shared, msg, ciphertext)
        await self._do(ctx, AppendOp(msg.stream, msg.start, value, (), False))
        return Encapsulated(ciphertext)

    async def _open_shared(
        self,
        ctx: Context,
        app: App,
        peer: Attachment,
        msg: OpenKeys,
        parties: tuple[str, ...],
        size: int,
        expires: int,
    ) -> tuple[Secret, ...]:
        if msg.additional and class_of(self._source(ctx, app, peer).name) == HYBRID:
            # A copy at a third KME would come under a link's pad, and look as if links had made it.
            raise Problem("no-key-material", "the links give no key, and hybrid keys are for two parties only")
        return await super()._open_shared(ctx, app, peer, msg, parties, size, expires)

    # -- using it ------------------------------------------------------------------------------------

    def _source(self, ctx: Context, app: App, peer: Attachment) -> OutStream:
        """The session's own stream; hybrid key only while that one lacks its routes and has run dry."""
        session = self._session_of(app.attachment.sae, peer.sae)
        hybrid = None if session is None else self._hybrids.get(session.asked.session_id)
        if session is None or session.stream is None or hybrid is None:
            return super()._source(ctx, app, peer)
        dry = session.stream.free_bits < self.policy.max_key_size
        wanted = "hybrid" if dry and len(session.stream.flows) < session.asked.paths else "open"
        if wanted == "hybrid":
            self._want(ctx, hybrid)
        if wanted == "hybrid" and session.state != "hybrid":
            self._tell(ctx, session, "hybrid", "the links give no key: keys are made of an older one and ML-KEM-768")
        return hybrid if wanted == "hybrid" else session.stream

    async def _made_of(self, ctx: Context, key_ids: tuple[str, ...]) -> tuple[str, ...]:
        if not self._ratchets:
            return await super()._made_of(ctx, key_ids)
        known: tuple[Handout, ...] = await self._do(ctx, FindAllOp(key_ids))
        kinds = {handout.key_id: class_of(handout.stream) for handout in known}
        return tuple(kinds.get(key_id, QKD) for key_id in key_ids)

    async def _end(self, ctx: Context, session: KeySession, why: str) -> None:
        hybrid = self._hybrids.pop(session.asked.session_id, None)
        self._ratchets.pop(session.asked.session_id, None)
        if hybrid is not None:
            self._streams.pop(hybrid.key, None)
            await self._do(ctx, SkipOp(hybrid.name, hybrid.next_start, ctx.now))
        await super()._end(ctx, session, why)
