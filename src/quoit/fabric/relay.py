"""Trusted-node key forwarding by a table that control writes (C1, C5; draft 4.1: part of forwarding).

On the first link the key *is* link key: its stretch is named to the neighbour. On every further link it
travels under a one-time pad of link key. Each message carries a Wegman-Carter tag of 128 bits whose pad
is link key too, so every bit has its coordinate and every hop costs `bits + 128`.
"""

from __future__ import annotations

import hmac

import msgspec

from quoit.fabric import api
from quoit.fabric.api import KeyArrived, KeyMoved, MoveKey, Piece, Stored
from quoit.fabric.distill.poly1305 import padded_hash
from quoit.fabric.kma import Allocate, Allocated, ReadKey, ReadValue
from quoit.model.problem import Problem
from quoit.model.secret import Secret, bitwise_sum
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, encode, message

TAG_BITS = 128
WITHIN = 5_000_000_000
"""How long an end waits for the whole chain behind a hop, ns."""


@message("fabric.SetForwarding")
class SetForwarding(Message):
    """Control writes one entry: keys from `src` to `dst`, of the reserved `flow` or (empty) of none, leave by `link`
    (None: forget the route). Entries of an epoch below the newest seen for the route are refused, so two
    controllers never interleave."""

    src: str
    dst: str
    link: str | None
    epoch: int
    flow: str = ""


@message("fabric.ForwardingSet")
class ForwardingSet(Message):
    epoch: int


class Order(Message):
    """What the tag of a hop protects, apart from the bits: who sends what where."""

    stream: str
    start: int
    bits: int
    src: str
    dst: str
    to: str
    hop: str
    pieces: tuple[Piece, ...]
    nodes: tuple[str, ...]
    flow: str = ""


@message("fabric.RelayHop")
class RelayHop(Message):
    """One hop: `key` names the stretch that is the key (first hop) or its pad (`sealed` holds the sum)."""

    order: Order
    key: tuple[Piece, ...]
    sealed: bytes
    tag_pad: tuple[Piece, ...]
    tag: bytes


@message("fabric.HopDone")
class HopDone(Message):
    """The far end holds the bits; `pieces` and `nodes` are those of the whole way."""

    pieces: tuple[Piece, ...]
    nodes: tuple[str, ...]


class Relay(Element):
    """Forwards keys at one node. `neighbours` maps each link to the node at its other end; `hash_keys`
    holds the commissioned 16-byte authentication key of each link."""

    stratum, plane = Stratum.FABRIC, Plane.RESOURCE
    realises = ("C1", "C5")

    def __init__(self, node: str, neighbours: dict[str, str], hash_keys: dict[str, Secret]) -> None:
        super().__init__(api.relay(node), node)
        self._node = node
        self._neighbours = neighbours
        self._hash_keys = hash_keys
        self._table: dict[tuple[str, str, str], str] = {}
        self._epochs: dict[tuple[str, str, str], int] = {}

    @handles(SetForwarding)
    async def on_set(self, ctx: Context, msg: SetForwarding) -> ForwardingSet:
        route = (msg.src, msg.dst, msg.flow)
        if msg.epoch < self._epochs.get(route, 0):
            raise Problem("malformed", f"epoch {msg.epoch} is older than {self._epochs[route]}")
        self._epochs[route] = msg.epoch
        if msg.link is None:
            self._table.pop(route, None)
        else:
            self._table[route] = msg.link
        return ForwardingSet(msg.epoch)

    @handles(MoveKey)
    async def on_move(self, ctx: Context, msg: MoveKey) -> KeyMoved:
        here = self._node
        order = Order(msg.stream, msg.start, msg.bits, msg.src, msg.dst, msg.to, here, (), (here,), msg.flow)
        link = self._next_link(order)
        wanted = Allocate(link, msg.bits, "delivered", TAG_BITS, msg.stream, msg.flow)
        taken: Allocated = await ctx.ask(api.kma(here), wanted, within=WITHIN)
        key = await self._read(ctx, taken.pieces)
        done = await self._send(ctx, order, link, taken, b"")
        return KeyMoved(key, done.pieces, done.nodes)

    @handles(RelayHop)
    async def on_hop(self, ctx: Context, msg: RelayHop) -> HopDone:
        order = msg.order
        if self._node in order.nodes:
            raise Problem("no-route", f"the route from {order.src} to {order.dst} comes back to {self._node}")
        link = msg.key[0].link
        if self._neighbours.get(link) != order.hop:
            raise Problem("tag-mismatch", f"{order.hop} is not at the other end of {link}", link=link)
        await self._check(ctx, msg, link)
        pad = await self._read(ctx, msg.key)
        value = Secret(bitwise_sum(pad.reveal(), msg.sealed)) if msg.sealed else pad
        pieces = order.pieces + msg.key + msg.tag_pad
        nodes = (*order.nodes, self._node)
        if order.dst == self._node:
            arrived = KeyArrived(order.stream, order.start, value, pieces, order.src)
            stored: Stored = await ctx.ask(order.to, arrived, within=WITHIN)
            if stored.bits != order.bits:
                raise Problem("internal", f"{order.to} stored {stored.bits} of {order.bits} bits")
            return HopDone(pieces, nodes)
        onward = msgspec.structs.replace(order, hop=self._node, pieces=pieces, nodes=nodes)
        next_link = self._next_link(onward)
        wanted = Allocate(next_link, order.bits, "pad", TAG_BITS, order.stream, order.flow)
        taken: Allocated = await ctx.ask(api.kma(self._node), wanted, within=WITHIN)
        next_pad = await self._read(ctx, taken.pieces)
        return await self._send(ctx, onward, next_link, taken, bitwise_sum(next_pad.reveal(), value.reveal()))

    def _next_link(self, order: Order) -> str:
        link = self._table.get((order.src, order.dst, order.flow))
        if link is None:
            flow = f" of flow {order.flow}" if order.flow else ""
            raise Problem("no-route", f"{self._node} has no entry for {order.src} to {order.dst}{flow}")
        return link

    async def _read(self, ctx: Context, pieces: tuple[Piece, ...]) -> Secret:
        answer: ReadValue = await ctx.ask(api.kma(self._node), ReadKey(pieces), within=WITHIN)
        return answer.value

    async def _send(self, ctx: Context, order: Order, link: str, taken: Allocated, sealed: bytes) -> HopDone:
        pad = await self._read(ctx, taken.tag)
        tag = self._tag(link, order, taken.pieces, sealed, pad)
        hop = RelayHop(order, taken.pieces, sealed, taken.tag, tag)
        ctx.count("quoit_relay_bits_total", (link,), order.bits)
        done: HopDone = await ctx.ask(api.relay(self._neighbours[link]), hop, within=WITHIN)
        return done

    async def _check(self, ctx: Context, msg: RelayHop, link: str) -> None:
        pad = await self._read(ctx, msg.tag_pad)
        if not hmac.compare_digest(self._tag(link, msg.order, msg.key, msg.sealed, pad), msg.tag):
            ctx.emit("relay.forged", link=link, stream=msg.order.stream)
            raise Problem("tag-mismatch", f"the tag of a key relayed over {link} does not fit", link=link)

    def _tag(self, link: str, order: Order, key: tuple[Piece, ...], sealed: bytes, pad: Secret) -> bytes:
        protected = encode(RelayHop(order, key, sealed, (), b""))
        return padded_hash(self._hash_keys[link].reveal(), pad.reveal(), protected)
