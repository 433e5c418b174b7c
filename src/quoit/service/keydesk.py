"""A KME's desk for keys: ETSI GS QKD 014's status, enc_keys and dec_keys, and what they ask of peers (C2, C5, B4).

Opening a key names a stretch of a stream: committed here, then held durably by the peer, then answered. Taking it
at the peer is one more commit there. Nothing is ever answered before it is committed.
"""

from __future__ import annotations

import hashlib

from quoit.fabric.api import APPLICATION_NEWS, KeysAsked
from quoit.model.problem import Problem
from quoit.model.secret import Secret, bitwise_sum
from quoit.runtime import seeds
from quoit.runtime.context import Context
from quoit.runtime.element import handles
from quoit.service.admission import admit
from quoit.service.api import (
    UNIT_NEWS,
    GetStatus,
    Key,
    Keys,
    OpenKeys,
    Status,
    TakeKeys,
    UnitsChanged,
)
from quoit.service.directory import Attachment, need_leave
from quoit.service.holder import WITHIN, App
from quoit.service.hybrid import QKD
from quoit.service.keystore import (
    CancelOp,
    FindAllOp,
    Handout,
    ImportOp,
    LevelOp,
    MirrorOp,
    Opened,
    OpenOp,
    Point,
    Taken,
    TakeOp,
)
from quoit.service.meetings import POLL_NS
from quoit.service.peer import Copy, Mirror, Mirrored, Progress
from quoit.service.reserve import KeyReserve
from quoit.service.sessions import TokenBucket
from quoit.service.streams import OutStream, master_of


class KeyDesk(KeyReserve):
    """Opens keys for masters, hands them to slaves."""

    async def _resolve(self, ctx: Context, app: App, name: str) -> Attachment:
        found = await self._attachment(ctx, name)
        need_leave(app.attachment, found)
        return found

    def _mark(self, value: Secret) -> str:
        return hashlib.blake2b(value.reveal(), key=self._mark_key, digest_size=8).hexdigest()

    async def _made_of(self, ctx: Context, key_ids: tuple[str, ...]) -> tuple[str, ...]:
        """What each of these keys is made of; only a KME that has hybrid streams needs to look."""
        return (QKD,) * len(key_ids)

    # -- ETSI GS QKD 014: status, enc_keys, dec_keys -------------------------------------------------

    @handles(GetStatus)
    async def on_status(self, ctx: Context, msg: GetStatus) -> Status:
        app = self._app(msg.caller)
        peer = await self._resolve(ctx, app, msg.slave)
        size = app.key_size or self.policy.key_size
        most = self.policy.stream_high // size
        if peer.kme == self.name:
            count, refill = most, 0.0
        else:
            stream = self._stream(ctx, peer.kme, peer.node)
            self._level(ctx, stream, await self._do(ctx, LevelOp(stream.name)))
            count, refill = min(most, stream.free_bits // size), stream.offered_bps
        return Status(
            self.name,
            peer.kme,
            msg.caller,
            msg.slave,
            size,
            count,
            most,
            self.policy.max_per_request,
            self.policy.max_key_size,
            self.policy.min_key_size,
            self.policy.max_sae_ids,
            refill,
        )

    @handles(OpenKeys)
    async def on_open_keys(self, ctx: Context, msg: OpenKeys) -> Keys:
        app = self._app(msg.caller)
        try:
            return await self._open(ctx, app, msg)
        except Problem as problem:
            ctx.count("quoit_keys_refused_total", (self.name, problem.code))
            ctx.emit("keys.refused", caller=msg.caller, slave=msg.slave, number=msg.number, code=problem.code)
            raise

    async def _open(self, ctx: Context, app: App, msg: OpenKeys) -> Keys:
        size = self._checked_size(app, msg)
        peers = [await self._resolve(ctx, app, name) for name in (msg.slave, *msg.additional)]
        parties = [app.attachment.sae, *(p.sae for p in peers)]
        if len(set(parties)) != len(parties) and not (app.diagnostic and set(parties) == {app.attachment.sae}):
            raise Problem("self-pair")
        bits, bucket = size * msg.number, self._bucket(app, peers[0])
        if bucket is not None and not bucket.take(bits, ctx.now):
            detail = f"the agreed rate is {bucket.rate_bps:.0f} bit/s"
            raise Problem("rate-exceeded", detail, rate_bps=bucket.rate_bps)
        try:
            values = await self._establish(ctx, app, peers, msg, size)
        except Problem:
            if bucket is not None:
                bucket.give_back(bits)
            self._tell_asked(ctx, app, peers, 0)
            raise
        self._tell_asked(ctx, app, peers, bits)
        ctx.count("quoit_keys_issued_total", (self.name,), msg.number)
        slaves = tuple(p.sae for p in peers)
        made_of = await self._made_of(ctx, msg.key_ids)
        ctx.emit(
            "keys.opened",
            key_ids=list(msg.key_ids),
            number=msg.number,
            size=size,
            master=msg.caller,
            slaves=list(slaves),
            expires=self._expiry(ctx, msg),
            mark=[self._mark(v) for v in values],
        )
        self._news(ctx, msg.key_ids, (msg.caller, *slaves), ("requested", "routed", "established"), size)
        return Keys(tuple(map(Key, msg.key_ids, values, made_of)))

    def _tell_asked(self, ctx: Context, app: App, peers: list[Attachment], bits: int) -> None:
        """The fabric's agents keep account of who asks for keys; the fabric has nothing to do with keys next door."""
        if peers[0].node == self.place:
            return
        clients = tuple(peer.urn for peer in peers)
        rate = app.rate_bps or 0.0
        news = KeysAsked(self.place, app.attachment.urn, clients, peers[0].node, bits, rate, 0)
        ctx.publish(f"{APPLICATION_NEWS}.{self.place}", news)

    def _bucket(self, app: App, peer: Attachment) -> TokenBucket | None:
        """What bounds the keys of this application with this peer."""
        return app.bucket

    def _source(self, ctx: Context, app: App, peer: Attachment) -> OutStream:
        """The stream that keys with this peer are opened from."""
        return self._stream(ctx, peer.kme, peer.node)

    def _checked_size(self, app: App, msg: OpenKeys) -> int:
        size = msg.size_bits if msg.size_bits is not None else app.key_size or self.policy.key_size
        if size % 8:
            raise Problem("size-not-multiple-of-8")
        if not self.policy.min_key_size <= size <= self.policy.max_key_size:
            raise Problem("bad-size", f"{self.policy.min_key_size} to {self.policy.max_key_size} bits, found {size}")
        if not 1 <= msg.number <= self.policy.max_per_request:
            raise Problem("bad-number", f"1 to {self.policy.max_per_request}, found {msg.number}")
        return size

    def _expiry(self, ctx: Context, msg: OpenKeys) -> int:
        return ctx.now + (msg.valid_for_ns if msg.valid_for_ns is not None else self.policy.validity_ns)

    async def _establish(
        self, ctx: Context, app: App, peers: list[Attachment], msg: OpenKeys, size: int
    ) -> tuple[Secret, ...]:
        expires = self._expiry(ctx, msg)
        by_kme: dict[str, list[Attachment]] = {}
        for peer in peers:
            by_kme.setdefault(peer.kme, []).append(peer)
        if len(by_kme) == 1:
            return await self._share(ctx, app, peers, by_kme, msg, size, expires)
        try:
            values = await self._share(ctx, app, peers, by_kme, msg, size, expires)
            held: tuple[Handout, ...] = await self._do(ctx, FindAllOp(msg.key_ids))
            if any(found.state == "void" for found in held):
                raise Problem("no-key-material", "a link behind these keys was quarantined meanwhile")
        except Problem as problem:
            await self._recall(ctx, dict.fromkeys((self.name, *by_kme), msg.key_ids))
            ctx.emit("keys.lost", key_ids=list(msg.key_ids), number=msg.number, code=problem.code)
            raise
        return values

    async def _share(
        self,
        ctx: Context,
        app: App,
        peers: list[Attachment],
        by_kme: dict[str, list[Attachment]],
        msg: OpenKeys,
        size: int,
        expires: int,
    ) -> tuple[Secret, ...]:
        parties = tuple(p.sae for p in peers)
        first = peers[0].kme
        if first == self.name:
            values = self._local(msg.key_ids, size)
        else:
            values = await self._open_shared(ctx, app, peers[0], msg, parties, size, expires)
        for kme, there in by_kme.items():
            if kme == self.name:
                copies = tuple(Secret(v.reveal()) for v in values)
                local = tuple(p.sae for p in there)
                await self._do(
                    ctx, ImportOp(self._local_ids(first, msg.key_ids), copies, msg.caller, local, expires, ctx.now)
                )
            elif kme != first:
                await self._copy(ctx, app, there, msg, values, size, expires)
        return values

    def _local(self, key_ids: tuple[str, ...], size: int) -> tuple[Secret, ...]:
        """Keys between two applications of this KME need no network: they grow from its own root."""
        return tuple(Secret(seeds.keystream(self._root, "local", self.name, k, nbytes=size // 8)) for k in key_ids)

    def _local_ids(self, first: str, key_ids: tuple[str, ...]) -> tuple[str, ...]:
        if first != self.name:
            raise Problem("bad-additional", "name the slaves at your own KME first")
        return key_ids

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
        """Open from the stream to the peer's KME, and have the peer hold the same keys ready."""
        stream = self._source(ctx, app, peer)
        stream.asked_bits += size * msg.number
        await self._heard(ctx, peer.kme)
        claimed = 0 if stream.session else self._claimed_bits(app)
        op = OpenOp(stream.name, msg.key_ids, size, msg.caller, parties, expires, ctx.now, claimed)
        opened = await self._patiently(ctx, app, stream, op)
        mirror = Mirror(stream.name, msg.key_ids, opened.offsets, size, msg.caller, parties, expires, opened.point)
        try:
            mirrored: Mirrored = await ctx.ask(peer.kme, mirror, within=WITHIN)
        except Problem as problem:
            await self._do(ctx, CancelOp(msg.key_ids, ctx.now))
            self._recall_later(ctx, peer.kme, msg.key_ids)
            self._compare_again(ctx, peer.kme)
            ctx.count("quoit_keys_lost_after_commit_total", (self.name,), msg.number)
            ctx.emit("keys.lost", key_ids=list(msg.key_ids), number=msg.number, code=problem.code)
            raise Problem("peer-unreachable", "the peer KME did not confirm; the keys are void") from problem
        self._hear(ctx, peer.kme, mirrored.point)
        return opened.values

    def _claimed_bits(self, app: App) -> int:
        """Bits of a stream that an application without an agreed rate leaves to those that have one (C3)."""
        if app.bucket is not None:
            return 0
        claims = sum(other.bucket.burst_bits for other in self._apps.values() if other.bucket is not None)
        return min(int(claims), self.policy.stream_high // 2)

    async def _patiently(self, ctx: Context, app: App, stream: OutStream, op: OpenOp) -> Opened:
        """Open keys; wait a while for the refill if there are not enough."""
        end = ctx.now + self.policy.patience_ns
        bits = op.size_bits * len(op.key_ids) + op.keep_free
        while True:
            try:
                opened: Opened = await self._do(ctx, op)
            except Problem as problem:
                if problem.code != "no-key-material":
                    raise
                stream.free_bits = int(problem.fields.get("available_bits", 0)) + op.keep_free
                self._want(ctx, stream, bits)
            else:
                stream.free_bits = max(0, stream.free_bits - bits + op.keep_free)
                self._want(ctx, stream)
                return opened
            if ctx.now >= end:
                if stream.obstacle is None:
                    admit(app.rate_bps, stream.offered_bps)
                raise stream.why_empty()
            await ctx.sleep(POLL_NS)

    async def _copy(
        self,
        ctx: Context,
        app: App,
        there: list[Attachment],
        msg: OpenKeys,
        values: tuple[Secret, ...],
        size: int,
        expires: int,
    ) -> None:
        """Multicast to slaves at a further KME: each key travels under a pad from our stream to it."""
        kme, node = there[0].kme, there[0].node
        stream = self._stream(ctx, kme, node)
        await self._heard(ctx, kme)
        pads = tuple(f"{k}/pad/{kme}" for k in msg.key_ids)
        op = OpenOp(stream.name, pads, size, self.name, (kme,), expires, ctx.now, self._claimed_bits(app))
        opened = await self._patiently(ctx, app, stream, op)
        sealed = tuple(
            bitwise_sum(pad.reveal(), value.reveal()) for pad, value in zip(opened.values, values, strict=True)
        )
        slaves = tuple(p.sae for p in there)
        copy = Copy(stream.name, pads, opened.offsets, size, msg.key_ids, sealed, msg.caller, slaves, expires)
        await ctx.ask(kme, copy, within=WITHIN)

    async def _compared(self, ctx: Context, msg: TakeKeys) -> None:
        """Keys of a peer that has not been met since a restart are not handed out yet."""
        if not (self._unmet or self._deaf):
            return
        known: tuple[Handout, ...] = await self._do(ctx, FindAllOp(msg.key_ids))
        for master in dict.fromkeys(found.master for found in known):
            await self._heard(ctx, (await self._attachment(ctx, master)).kme)

    @handles(TakeKeys)
    async def on_take_keys(self, ctx: Context, msg: TakeKeys) -> Keys:
        self._app(msg.caller)
        await self._compared(ctx, msg)
        made_of = await self._made_of(ctx, msg.key_ids)
        op = TakeOp(msg.caller, None if msg.any_master else msg.master, msg.key_ids, ctx.now)
        try:
            taken: Taken = await self._do(ctx, op)
        except Problem as problem:
            ctx.count("quoit_keys_refused_total", (self.name, problem.code))
            ctx.emit("keys.not_taken", caller=msg.caller, number=len(msg.key_ids), code=problem.code)
            raise
        ctx.count("quoit_keys_delivered_total", (self.name, "slave"), len(msg.key_ids))
        ctx.emit(
            "keys.taken",
            caller=msg.caller,
            key_ids=list(msg.key_ids),
            number=len(msg.key_ids),
            mark=[self._mark(v) for v in taken.values],
        )
        for kme in {master_of(stream) for stream in taken.streams}:
            ctx.tell(kme, Progress(self.name, taken.point))
        self._news(ctx, msg.key_ids, (msg.caller, msg.master), ("delivered",))
        return Keys(tuple(map(Key, msg.key_ids, taken.values, made_of)))

    # -- peers ---------------------------------------------------------------------------------------

    @handles(Mirror)
    async def on_mirror(self, ctx: Context, msg: Mirror) -> Mirrored:
        kme = master_of(msg.stream)
        await self._heard(ctx, kme)
        op = MirrorOp(
            msg.stream,
            msg.key_ids,
            msg.offsets,
            msg.size_bits,
            msg.master,
            msg.slaves,
            msg.expires_ns,
            ctx.now,
            kme,
            msg.point,
        )
        point: Point = await self._do(ctx, op)
        self._hear(ctx, kme, msg.point)
        return Mirrored(len(msg.key_ids), point)

    @handles(Copy)
    async def on_copy(self, ctx: Context, msg: Copy) -> Mirrored:
        origin = master_of(msg.stream)
        await self._heard(ctx, origin)
        await self._do(
            ctx,
            MirrorOp(msg.stream, msg.pads, msg.offsets, msg.size_bits, origin, (self.name,), msg.expires_ns, ctx.now),
        )
        pads: Taken = await self._do(ctx, TakeOp(self.name, origin, msg.pads, ctx.now))
        values = tuple(
            Secret(bitwise_sum(pad.reveal(), sealed)) for pad, sealed in zip(pads.values, msg.sealed, strict=True)
        )
        await self._do(ctx, ImportOp(msg.key_ids, values, msg.master, msg.slaves, msg.expires_ns, ctx.now))
        return Mirrored(len(msg.key_ids), pads.point)

    def _news(
        self, ctx: Context, key_ids: tuple[str, ...], parties: tuple[str, ...], states: tuple[str, ...], bits: int = 0
    ) -> None:
        """Tell observers of the units' way; a way that begins anew begins with the request."""
        was = "requested" if states[0] == "requested" else "established"
        news = UnitsChanged(self.name, key_ids, parties, (was, *states), ctx.now, bits=bits)
        ctx.publish(f"{UNIT_NEWS}.{self.name}", news)
