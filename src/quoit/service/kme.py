"""The key management entity: the endpoint where applications get keys (C2, C5, B4).

A KME keeps a stream of end-to-end key for every KME that its applications talk to. Opening a key names a
stretch of that stream: committed here, then held durably by the peer, then answered. Taking it at the
peer is one more commit there. Nothing is ever answered before it is committed.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from quoit.fabric import api as fabric
from quoit.fabric.api import Flow, KeyArrived, KeyMoved, LinkQuarantined, LinkReleased, MoveKey, OpenFlow, Stored
from quoit.model.lifecycle import Lifecycle
from quoit.model.problem import Problem
from quoit.model.secret import Secret
from quoit.model.urn import Urn, covers, endpoint_equivalent
from quoit.runtime import seeds
from quoit.runtime.context import Context, Device
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message
from quoit.service.admission import admit
from quoit.service.api import (
    STREAM_NEWS,
    UNIT_NEWS,
    CloseUnit,
    GetStatus,
    GetUnit,
    Key,
    Keys,
    ListUnits,
    OpenKeys,
    OpenUnit,
    Status,
    StreamFilled,
    StreamStarved,
    TakeKeys,
    Unit,
    Units,
    UnitsChanged,
)
from quoit.service.calendar import Calendar
from quoit.service.directory import Attachment, Resolve, Resolved, controller
from quoit.service.keystore import (
    AppendOp,
    CancelOp,
    ExpireOp,
    FindOp,
    Handout,
    ImportOp,
    Level,
    LevelOp,
    ListOp,
    MirrorOp,
    Opened,
    OpenOp,
    Provenance,
    Taken,
    TakeOp,
    Voided,
    VoidOp,
)
from quoit.service.peer import Copy, Mirror, Mirrored, PeerUnit, PeerView, Withdraw
from quoit.service.policy import KeyPolicy
from quoit.service.sessions import TokenBucket
from quoit.service.streams import OutStream, stream_name
from quoit.service.units import state_of, unit_of

WITHIN = 8_000_000_000
POLL_NS = 50_000_000
EXPIRY_NS = 60_000_000_000


@message("service.Refill")
class Refill(Message):
    """A KME to itself: fill the stream to this peer up to its high mark."""

    peer: str


@message("service.Sweep")
class Sweep(Message):
    """A KME to itself: erase what has expired."""


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


class Kme(Element):
    """One key management entity.

    `root` grows keys shared by two applications of this same KME, and marks keys in the event log (a keyed
    digest, so that checkers can tell equal keys from different ones without seeing them).
    """

    stratum, plane = Stratum.SERVICE, Plane.RESOURCE
    realises = ("B4", "B6", "C2", "C3", "C5", "C8")
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
    ) -> None:
        super().__init__(name, node)
        self._domain = domain
        self._apps = {app.attachment.sae: app for app in apps}
        self._store = store
        self.policy = policy
        self._root = root
        self._mark_key = hashlib.sha256(b"quoit mark" + root).digest()
        self._known: dict[str, Attachment] = {}
        self._streams: dict[str, OutStream] = {}
        # Blocks under quarantine by link, and keys that several KMEs hold: when they expire, and who holds them.
        self._suspect: dict[str, tuple[int, int]] = {}
        self._spread: dict[str, tuple[int, tuple[str, ...]]] = {}
        self._prefill = prefill
        self._calendar = calendar
        self._namespace = calendar.namespace

    async def start(self, ctx: Context) -> None:
        for peer, node in self._prefill:
            self._stream(ctx, peer, node)
        ctx.tell(self.name, Sweep(), after=EXPIRY_NS)

    # -- who is who ----------------------------------------------------------------------------------

    def _app(self, caller: str) -> App:
        app = self._apps.get(caller)
        if app is None:
            raise Problem("not-authorised", "this application is not attached to this KME")
        return app

    async def _resolve(self, ctx: Context, app: App, name: str) -> Attachment:
        found = self._known.get(name)
        if found is None:
            answer: Resolved = await ctx.ask(controller(self._domain), Resolve(name), within=WITHIN)
            found = self._known[name] = answer.attachment
        mine = app.attachment
        for one, other in ((mine, found), (found, mine)):
            if one.allow is not None and other.sae not in one.allow:
                raise Problem("unknown-sae", "no application of this name can be reached")
        return found

    def _mark(self, value: Secret) -> str:
        return hashlib.blake2b(value.reveal(), key=self._mark_key, digest_size=8).hexdigest()

    async def _do(self, ctx: Context, op: Any) -> Any:
        return await ctx.effect(self._store, op, self.policy.commit_ns)

    # -- streams -------------------------------------------------------------------------------------

    def _stream(self, ctx: Context, peer: str, node: str) -> OutStream:
        stream = self._streams.get(peer)
        if stream is None:
            stream = self._streams[peer] = OutStream(stream_name(self.name, peer), peer, node)
            self._want(ctx, stream)
        return stream

    def _want(self, ctx: Context, stream: OutStream, least: int = 0) -> None:
        """Have the stream refilled if it is low, or has less than a request that waits for `least` bits."""
        stream.least = least
        if not stream.filling and stream.free_bits < max(self.policy.stream_low, least):
            stream.filling = True
            ctx.tell(self.name, Refill(stream.peer))

    def _level(self, ctx: Context, stream: OutStream, level: Level) -> None:
        stream.free_bits = level.free_bits
        ctx.gauge("quoit_stream_bits", (stream.name,), level.free_bits)

    @handles(Refill)
    async def on_refill(self, ctx: Context, msg: Refill) -> None:
        stream = self._streams[msg.peer]
        chunk = self.policy.chunk
        while (missing := max(self.policy.stream_high, stream.least) - stream.free_bits) > 0:
            wanted = min(chunk, missing)
            wanted = max(wanted, self.policy.max_key_size)
            try:
                await self._move(ctx, stream, wanted // 8 * 8)
                stream.obstacle = None
                if stream.starved:
                    stream.starved = False
                    ctx.publish(f"{STREAM_NEWS}.{self.name}", StreamFilled(stream.name, ctx.now))
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
        flow: Flow = await ctx.ask(fabric.CONTROLLER, OpenFlow(self.place, stream.node), within=WITHIN)
        stream.offered_bps = flow.offered_bps
        stream.route = flow.nodes
        start, stream.next_start = stream.next_start, stream.next_start + bits
        order = MoveKey(stream.name, start, bits, self.place, stream.node, stream.peer)
        moved: KeyMoved = await ctx.ask(fabric.relay(self.place), order, within=WITHIN)
        self._refuse_suspect(moved.pieces)
        ops = AppendOp(stream.name, start, moved.value, _provenance(moved.pieces), True)
        level: Level = await self._do(ctx, ops)
        links = list(dict.fromkeys(piece.link for piece in moved.pieces))
        ctx.emit("key.moved", stream=stream.name, start=start, bits=bits, nodes=list(moved.nodes), links=links)
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
        self._refuse_suspect(msg.pieces)
        await self._do(ctx, AppendOp(msg.stream, msg.start, msg.value, _provenance(msg.pieces), False))
        return Stored(8 * len(msg.value))

    def _refuse_suspect(self, pieces: tuple[fabric.Piece, ...]) -> None:
        """A chunk that was under way when its link was quarantined comes too late to be voided: it is not taken in."""
        for piece in pieces:
            first, last = self._suspect.get(piece.link, (0, -1))
            if first <= piece.block <= last:
                raise Problem("no-key-material", f"block {piece.block} of {piece.link} is quarantined", link=piece.link)

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
        bits = size * msg.number
        if app.bucket is not None and not app.bucket.take(bits, ctx.now):
            raise Problem("rate-exceeded", f"the agreed rate is {app.rate_bps:.0f} bit/s", rate_bps=app.rate_bps)
        try:
            values = await self._establish(ctx, app, peers, msg, size)
        except Problem:
            if app.bucket is not None:
                app.bucket.give_back(bits)
            raise
        ctx.count("quoit_keys_issued_total", (self.name,), msg.number)
        slaves = tuple(p.sae for p in peers)
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
        self._news(ctx, msg.key_ids, (msg.caller, *slaves), ("requested", "routed", "established"))
        return Keys(tuple(Key(k, v) for k, v in zip(msg.key_ids, values, strict=True)))

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
        self._spread |= dict.fromkeys(msg.key_ids, (expires, tuple(by_kme)))
        try:
            values = await self._share(ctx, app, peers, by_kme, msg, size, expires)
            if not all(key_id in self._spread for key_id in msg.key_ids):
                raise Problem("no-key-material", "a link behind these keys was quarantined meanwhile")
        except Problem as problem:
            await self._withdraw(ctx, msg.key_ids, tuple(by_kme))
            ctx.emit("keys.lost", key_ids=list(msg.key_ids), number=msg.number, code=problem.code)
            raise
        return values

    async def _withdraw(self, ctx: Context, key_ids: tuple[str, ...], kmes: tuple[str, ...]) -> None:
        """Void keys here and at all who hold a copy."""
        for key_id in key_ids:
            self._spread.pop(key_id, None)
        for kme in kmes:
            if kme != self.name:
                try:
                    await ctx.ask(kme, Withdraw(key_ids), within=WITHIN)
                except Problem as problem:
                    ctx.log.warning("withdraw.unconfirmed", kme=kme, code=problem.code)
        await self._do(ctx, CancelOp(key_ids, ctx.now))

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
        stream = self._stream(ctx, peer.kme, peer.node)
        op = OpenOp(stream.name, msg.key_ids, size, msg.caller, parties, expires, ctx.now)
        opened = await self._patiently(ctx, app, stream, op)
        mirror = Mirror(stream.name, msg.key_ids, opened.offsets, size, msg.caller, parties, expires)
        try:
            await ctx.ask(peer.kme, mirror, within=WITHIN)
        except Problem as problem:
            await self._do(ctx, CancelOp(msg.key_ids, ctx.now))
            ctx.count("quoit_keys_lost_after_commit_total", (self.name,), msg.number)
            ctx.emit("keys.lost", key_ids=list(msg.key_ids), number=msg.number, code=problem.code)
            raise Problem("peer-unreachable", "the peer KME did not confirm; the keys are void") from problem
        return opened.values

    async def _patiently(self, ctx: Context, app: App, stream: OutStream, op: OpenOp) -> Opened:
        """Open keys; wait a while for the refill if there are not enough."""
        end = ctx.now + self.policy.patience_ns
        bits = op.size_bits * len(op.key_ids)
        while True:
            try:
                opened: Opened = await self._do(ctx, op)
            except Problem as problem:
                if problem.code != "no-key-material":
                    raise
                stream.free_bits = int(problem.fields.get("available_bits", 0))
                self._want(ctx, stream, bits)
            else:
                stream.free_bits = max(0, stream.free_bits - bits)
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
        pads = tuple(f"{k}/pad/{kme}" for k in msg.key_ids)
        op = OpenOp(stream.name, pads, size, self.name, (kme,), expires, ctx.now)
        opened = await self._patiently(ctx, app, stream, op)
        sealed = tuple(_xor(pad, value) for pad, value in zip(opened.values, values, strict=True))
        slaves = tuple(p.sae for p in there)
        copy = Copy(stream.name, pads, opened.offsets, size, msg.key_ids, sealed, msg.caller, slaves, expires)
        await ctx.ask(kme, copy, within=WITHIN)

    @handles(TakeKeys)
    async def on_take_keys(self, ctx: Context, msg: TakeKeys) -> Keys:
        self._app(msg.caller)
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
        self._news(ctx, msg.key_ids, (msg.caller, msg.master), ("delivered",))
        return Keys(tuple(Key(k, v) for k, v in zip(msg.key_ids, taken.values, strict=True)))

    # -- service units -------------------------------------------------------------------------------

    @handles(OpenUnit)
    async def on_open_unit(self, ctx: Context, msg: OpenUnit) -> Unit:
        """Open a unit by its URNs: the key behind it, handed to the originator with the answer. The other
        endpoints take it by its key_ID."""
        app = self._app(msg.originator)
        lifecycle = Lifecycle.parse(msg.lifecycle, self._namespace)
        others = []
        for text in msg.endpoints:
            urn = self._namespace.endpoint(text)
            if not endpoint_equivalent(urn, Urn.parse(app.attachment.urn)):
                others.append((await self._resolve(ctx, app, urn.assigned_name)).sae)
        if len(others) != len(msg.endpoints) - 1:
            raise Problem("malformed", "the originator is one of the endpoints, once")
        if not others:
            raise Problem("malformed", "a unit has at least two endpoints")
        left = None
        if lifecycle.valid_until_unix_s is not None:
            left = self._calendar.ns_of(lifecycle.valid_until_unix_s) - ctx.now
            if left <= 0:
                raise Problem("bad-lifecycle", "valid-until has passed")
        request = OpenKeys(msg.originator, others[0], 1, (msg.unit_id,), lifecycle.size, tuple(others[1:]), left)
        keys = await self.on_open_keys(ctx, request)
        unit = await self._unit(ctx, msg.originator, msg.unit_id)
        return msgspec.structs.replace(unit, content=keys.keys[0].value)

    @handles(GetUnit)
    async def on_get_unit(self, ctx: Context, msg: GetUnit) -> Unit:
        self._app(msg.caller)
        return await self._unit(ctx, msg.caller, msg.unit_id)

    @handles(ListUnits)
    async def on_list_units(self, ctx: Context, msg: ListUnits) -> Units:
        self._app(msg.caller)
        found: tuple[Handout, ...] = await self._do(ctx, ListOp(msg.caller, msg.limit))
        units = [await self._shown(ctx, handout) for handout in found]
        if msg.prefix is not None:
            prefix = Urn.parse(msg.prefix)
            units = [u for u in units if any(covers(prefix, Urn.parse(e)) for e in u.endpoints)]
        return Units(tuple(u for u in units if msg.state is None or u.state == msg.state))

    @handles(CloseUnit)
    async def on_close_unit(self, ctx: Context, msg: CloseUnit) -> Unit:
        """End a unit before its time: no party gets its content any more, at any end."""
        self._app(msg.caller)
        unit = await self._unit(ctx, msg.caller, msg.unit_id)
        for kme in await self._kmes_of(ctx, unit):
            if kme != self.name:
                await ctx.ask(kme, Withdraw((msg.unit_id,)), within=WITHIN)
        await self._do(ctx, CancelOp((msg.unit_id,), ctx.now))
        ctx.emit("unit.closed", unit_id=msg.unit_id, caller=msg.caller)
        self._news(ctx, (msg.unit_id,), (msg.caller,), ("failed",))
        return await self._unit(ctx, msg.caller, msg.unit_id)

    @handles(Withdraw)
    async def on_withdraw(self, ctx: Context, msg: Withdraw) -> Mirrored:
        await self._do(ctx, CancelOp(msg.key_ids, ctx.now))
        return Mirrored(len(msg.key_ids))

    @handles(PeerUnit)
    async def on_peer_unit(self, ctx: Context, msg: PeerUnit) -> PeerView:
        found: Handout | None = await self._do(ctx, FindOp(msg.key_id))
        return PeerView("unknown", ()) if found is None else PeerView(found.state, found.delivered)

    async def _unit(self, ctx: Context, caller: str, unit_id: str) -> Unit:
        found: Handout | None = await self._do(ctx, FindOp(unit_id))
        if found is None:
            raise Problem("unknown-unit")
        if caller not in (found.master, *found.slaves):
            raise Problem("foreign-unit")
        return await self._shown(ctx, found)

    async def _shown(self, ctx: Context, handout: Handout) -> Unit:
        urns = {sae: await self._urn(ctx, sae) for sae in (handout.master, *handout.slaves)}
        route = next((s.route for s in self._streams.values() if s.name == handout.stream), ())
        unit = unit_of(
            handout, state_of(handout), urns.__getitem__, self._namespace, self._calendar.unix_s, self._domain, route
        )
        if handout.state != "done" or handout.master not in self._apps:
            return unit
        # The master's store is done with a key once the master has it: its slaves' KMEs know the rest.
        taken: tuple[str, ...] = ()
        for kme in await self._kmes_of(ctx, unit):
            if kme != self.name:
                view: PeerView = await ctx.ask(kme, PeerUnit(handout.key_id), within=WITHIN)
                taken += view.delivered
                if view.state in ("void", "expired"):
                    handout = msgspec.structs.replace(handout, state=view.state)
        return msgspec.structs.replace(unit, state=str(state_of(handout, taken)))

    async def _attachment(self, ctx: Context, name: str) -> Attachment:
        if name in self._apps:
            return self._apps[name].attachment
        if name not in self._known:
            answer: Resolved = await ctx.ask(controller(self._domain), Resolve(name), within=WITHIN)
            self._known[name] = answer.attachment
        return self._known[name]

    async def _urn(self, ctx: Context, sae: str) -> str:
        return (await self._attachment(ctx, sae)).urn

    async def _kmes_of(self, ctx: Context, unit: Unit) -> list[str]:
        """KMEs of the unit's parties."""
        names = [Urn.parse(e).assigned_name for e in unit.endpoints]
        mine = {Urn.parse(a.attachment.urn).assigned_name: self.name for a in self._apps.values()}
        return sorted({mine.get(n) or (await self._attachment(ctx, n)).kme for n in names})

    # -- peers ---------------------------------------------------------------------------------------

    @handles(Mirror)
    async def on_mirror(self, ctx: Context, msg: Mirror) -> Mirrored:
        await self._do(
            ctx,
            MirrorOp(
                msg.stream, msg.key_ids, msg.offsets, msg.size_bits, msg.master, msg.slaves, msg.expires_ns, ctx.now
            ),
        )
        return Mirrored(len(msg.key_ids))

    @handles(Copy)
    async def on_copy(self, ctx: Context, msg: Copy) -> Mirrored:
        origin = msg.stream.partition(">")[0]
        await self._do(
            ctx,
            MirrorOp(msg.stream, msg.pads, msg.offsets, msg.size_bits, origin, (self.name,), msg.expires_ns, ctx.now),
        )
        pads: Taken = await self._do(ctx, TakeOp(self.name, origin, msg.pads, ctx.now))
        values = tuple(Secret(_xor(pad, Secret(sealed))) for pad, sealed in zip(pads.values, msg.sealed, strict=True))
        await self._do(ctx, ImportOp(msg.key_ids, values, msg.master, msg.slaves, msg.expires_ns, ctx.now))
        return Mirrored(len(msg.key_ids))

    # -- news and upkeep -----------------------------------------------------------------------------

    @handles(LinkQuarantined)
    async def on_quarantined(self, ctx: Context, msg: LinkQuarantined) -> None:
        self._suspect[msg.link] = msg.first_block, msg.last_block
        voided: Voided = await self._do(ctx, VoidOp(msg.link, msg.first_block, msg.last_block, ctx.now))
        await self._withdraw_copies(ctx, voided)
        for stream in self._streams.values():
            self._level(ctx, stream, await self._do(ctx, LevelOp(stream.name)))
            self._want(ctx, stream)
        if voided.stream_bits or voided.key_ids or voided.delivered_key_ids:
            ctx.emit(
                "keys.voided",
                link=msg.link,
                first_block=msg.first_block,
                stream_bits=voided.stream_bits,
                key_ids=list(voided.key_ids),
                number=len(voided.key_ids),
                delivered=len(voided.delivered_key_ids),
            )

    @handles(LinkReleased)
    async def on_released(self, ctx: Context, msg: LinkReleased) -> None:
        self._suspect.pop(msg.link, None)

    async def _withdraw_copies(self, ctx: Context, voided: Voided) -> None:
        """Keys of several KMEs are void at all of them, be it their own bits or a copy's pad that is suspect."""
        key_ids = {k.partition("/pad/")[0] for k in (*voided.key_ids, *voided.delivered_key_ids)}
        by_holders: dict[tuple[str, ...], list[str]] = {}
        for key_id in sorted(key_ids & self._spread.keys()):
            by_holders.setdefault(self._spread.pop(key_id)[1], []).append(key_id)
        for kmes, held in by_holders.items():
            await self._withdraw(ctx, tuple(held), kmes)

    @handles(Sweep)
    async def on_sweep(self, ctx: Context, msg: Sweep) -> None:
        erased: int = await self._do(ctx, ExpireOp(ctx.now))
        if erased:
            ctx.emit("keys.expired", number=erased)
        self._spread = {k: held for k, held in self._spread.items() if held[0] > ctx.now}
        ctx.tell(self.name, Sweep(), after=EXPIRY_NS)

    def _news(self, ctx: Context, key_ids: tuple[str, ...], parties: tuple[str, ...], states: tuple[str, ...]) -> None:
        """Tell observers of the units' way; a way that begins anew begins with the request."""
        was = "requested" if states[0] == "requested" else "established"
        ctx.publish(f"{UNIT_NEWS}.{self.name}", UnitsChanged(self.name, key_ids, parties, (was, *states), ctx.now))


def _provenance(pieces: tuple[fabric.Piece, ...]) -> tuple[Provenance, ...]:
    return tuple(Provenance(p.link, p.block, p.offset, p.bits, p.use) for p in pieces)


def _xor(a: Secret, b: Secret) -> bytes:
    x, y = a.reveal(), b.reveal()
    return (int.from_bytes(x, "little") ^ int.from_bytes(y, "little")).to_bytes(len(x), "little")
