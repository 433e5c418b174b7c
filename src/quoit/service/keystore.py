"""The key store of a KME: a port, its operations, and the decisions that every store takes alike.

A store holds *streams* of end-to-end key, one per (master's KME, slave's KME), the same bits at both
ends. A key is a stretch of a stream, named once and handed to each party once. `StoreBook` decides and
keeps the state in memory; a durable store writes down what the book changed and commits it before any
answer leaves. Sizes are bits and whole bytes; times are nanoseconds since the scenario's start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec

from quoit.model.problem import Problem
from quoit.model.secret import Secret


class Provenance(msgspec.Struct, frozen=True):
    """A stretch of link key behind a block: on every hop, pads and tags included."""

    link: str
    block: int
    offset: int
    bits: int
    use: str


class AppendOp(msgspec.Struct, frozen=True):
    """Add bits at `start` of a stream. Idempotent for the same stretch; an overlap is refused. A gap is
    a chunk that never arrived. `mine`: this KME is the stream's master, who alone opens keys from it."""

    stream: str
    start: int
    data: Secret
    provenance: tuple[Provenance, ...]
    mine: bool


class OpenOp(msgspec.Struct, frozen=True):
    """The master opens one key per key_ID, and has received them with the answer."""

    stream: str
    key_ids: tuple[str, ...]
    size_bits: int
    master: str
    slaves: tuple[str, ...]
    expires_ns: int | None
    now_ns: int


class Opened(msgspec.Struct, frozen=True):
    """Where in the stream the keys lie, and what they are."""

    offsets: tuple[int, ...]
    values: tuple[Secret, ...]


class MirrorOp(msgspec.Struct, frozen=True):
    """The slave's KME holds the same keys ready, as the master's KME says."""

    stream: str
    key_ids: tuple[str, ...]
    offsets: tuple[int, ...]
    size_bits: int
    master: str
    slaves: tuple[str, ...]
    expires_ns: int | None
    now_ns: int


class ImportOp(msgspec.Struct, frozen=True):
    """A further slave's KME takes copies of keys (multicast)."""

    key_ids: tuple[str, ...]
    values: tuple[Secret, ...]
    master: str
    slaves: tuple[str, ...]
    expires_ns: int | None
    now_ns: int


class TakeOp(msgspec.Struct, frozen=True):
    """A slave takes keys. All or nothing. `master` None: whoever opened them."""

    caller: str
    master: str | None
    key_ids: tuple[str, ...]
    now_ns: int


class Taken(msgspec.Struct, frozen=True):
    values: tuple[Secret, ...]


class CancelOp(msgspec.Struct, frozen=True):
    """Void keys that were opened but whose peers could not be told, or that are not wanted any more."""

    key_ids: tuple[str, ...]
    now_ns: int


class VoidOp(msgspec.Struct, frozen=True):
    """No bit that stands on these blocks of a link may be delivered any more."""

    link: str
    first_block: int
    last_block: int
    now_ns: int


class Voided(msgspec.Struct, frozen=True):
    """Bits of streams made unusable, keys voided before their slaves had them, keys already delivered."""

    stream_bits: int
    key_ids: tuple[str, ...]
    delivered_key_ids: tuple[str, ...]


class ExpireOp(msgspec.Struct, frozen=True):
    """Erase what has expired. Answered with the number of keys erased."""

    now_ns: int


class FindOp(msgspec.Struct, frozen=True):
    """Answered with the key's `Handout`, or None."""

    key_id: str


class ListOp(msgspec.Struct, frozen=True):
    """Answered with the newest handouts of a party."""

    party: str
    limit: int


class LevelOp(msgspec.Struct, frozen=True):
    """Answered with the stream's `Level`."""

    stream: str


class Level(msgspec.Struct, frozen=True):
    """`tail_bits`: end of what was appended; `free_bits`: what can still be opened."""

    tail_bits: int
    free_bits: int


class Handout(msgspec.Struct, frozen=True):
    """A key as the store knows it. `state`: open, void, expired or done (all parties have it)."""

    key_id: str
    stream: str
    offset: int
    size_bits: int
    master: str
    slaves: tuple[str, ...]
    created_ns: int
    expires_ns: int | None
    delivered: tuple[str, ...]
    state: str
    provenance: tuple[Provenance, ...] = ()


Op = AppendOp | OpenOp | MirrorOp | ImportOp | TakeOp | CancelOp | VoidOp | ExpireOp | FindOp | ListOp | LevelOp


class KeyStore(Protocol):
    """Runs operations; each is all or nothing, and durable when its result is returned (where promised).

    `execute` gives one result per operation, in order; a refused one gives its `Problem`.
    """

    def execute(self, batch: list[Op]) -> list[Any]: ...

    def close(self) -> None: ...


class Block:
    """Appended bits. `spent` counts those whose keys are done with; a block wholly spent is erased."""

    __slots__ = ("data", "provenance", "spent", "start", "void")

    def __init__(self, start: int, data: bytearray, provenance: tuple[Provenance, ...]) -> None:
        self.start = start
        self.data = data
        self.provenance = provenance
        self.spent = 0
        self.void = False

    @property
    def bits(self) -> int:
        return 8 * len(self.data)


class Stream:
    """A stream at one end. `head`: first bit never handed out."""

    __slots__ = ("blocks", "head", "mine", "name", "tail")

    def __init__(self, name: str, mine: bool) -> None:
        self.name = name
        self.mine = mine
        self.head = 0
        self.tail = 0
        self.blocks: list[Block] = []

    def block_at(self, bit: int) -> Block | None:
        """The block that holds this bit, if it is still here."""
        for block in self.blocks:
            if block.start <= bit < block.start + block.bits:
                return block
        return None

    @property
    def free_bits(self) -> int:
        """Bits that can still be opened."""
        return sum(
            block.start + block.bits - max(block.start, self.head)
            for block in self.blocks
            if not block.void and block.start + block.bits > self.head
        )


class StoreBook:
    """All decisions of a key store over state in memory.

    `changed` collects what a durable store has to write: ("stream", Stream), ("block", Stream, Block),
    ("erase", Stream, Block), ("handout", Handout), ("value", key_id, Secret | None).
    """

    def __init__(self) -> None:
        self.streams: dict[str, Stream] = {}
        self.handouts: dict[str, Handout] = {}
        self.values: dict[str, Secret] = {}
        self.changed: list[tuple[Any, ...]] = []
        self._by_party: dict[str, list[str]] = {}
        self._do: dict[type[Any], Callable[[Any], Any]] = {
            AppendOp: self._append,
            OpenOp: self._open,
            MirrorOp: self._mirror,
            ImportOp: self._import,
            TakeOp: self._take,
            CancelOp: self._cancel,
            VoidOp: self._void,
            ExpireOp: self._expire,
            FindOp: lambda op: self.handouts.get(op.key_id),
            ListOp: self._list,
            LevelOp: self._level,
        }

    def apply(self, op: Op) -> Any:
        """Decide and change. Raises `Problem`, and then nothing has changed."""
        return self._do[type(op)](op)

    def restore(self, handouts: Iterable[Handout]) -> None:
        """Take in the handouts of a store that comes back, oldest first whatever their order here."""
        for handout in sorted(handouts, key=lambda h: h.created_ns):
            self.handouts[handout.key_id] = handout
            for party in (handout.master, *handout.slaves):
                self._by_party.setdefault(party, []).append(handout.key_id)
            if handout.state != "open" and handout.stream:
                self._erase(self.streams[handout.stream], handout.offset, handout.size_bits)
        self.changed.clear()

    # -- streams -------------------------------------------------------------------------------------

    def _append(self, op: AppendOp) -> Level:
        stream = self.streams.get(op.stream)
        if stream is None:
            stream = self.streams[op.stream] = Stream(op.stream, op.mine)
        if op.start < stream.tail:
            known = stream.block_at(op.start)
            if op.start + 8 * len(op.data) <= stream.tail and (
                known is None or (known.start == op.start and bytes(known.data) == op.data.reveal())
            ):
                return Level(stream.tail, stream.free_bits)
        if op.start < stream.tail:
            raise Problem("malformed", f"{op.stream} ends at bit {stream.tail}, beyond {op.start}")
        block = Block(op.start, bytearray(op.data.reveal()), op.provenance)
        stream.blocks.append(block)
        stream.tail = op.start + block.bits
        self.changed += [("stream", stream), ("block", stream, block)]
        return Level(stream.tail, stream.free_bits)

    def _level(self, op: LevelOp) -> Level:
        stream = self.streams.get(op.stream)
        return Level(0, 0) if stream is None else Level(stream.tail, stream.free_bits)

    def _bits(self, stream: Stream, offset: int, bits: int) -> Secret:
        out = bytearray()
        while bits:
            block = stream.block_at(offset)
            if block is None or block.void:
                raise Problem("key-not-found", "bits of this key are gone")
            n = min(bits, block.start + block.bits - offset)
            start = (offset - block.start) // 8
            out += block.data[start : start + n // 8]
            offset, bits = offset + n, bits - n
        return Secret(out)

    # -- opening -------------------------------------------------------------------------------------

    def _refuse_known(self, key_ids: tuple[str, ...]) -> None:
        if len(set(key_ids)) != len(key_ids) or any(k in self.handouts for k in key_ids):
            raise Problem("unit-exists", "a key_ID is in use already")

    def _open(self, op: OpenOp) -> Opened:
        self._refuse_known(op.key_ids)
        stream = self.streams.get(op.stream)
        if stream is None or not stream.mine:
            raise Problem("no-key-material", "no key has arrived for this pair yet", available_bits=0)
        offsets: list[int] = []
        head = stream.head
        for _ in op.key_ids:
            offset = self._next_stretch(stream, head, op.size_bits)
            if offset is None:
                free = stream.free_bits
                raise Problem("no-key-material", f"{free} bits are free", available_bits=free)
            offsets.append(offset)
            head = offset + op.size_bits
        stream.head = head
        self.changed.append(("stream", stream))
        values = tuple(self._bits(stream, offset, op.size_bits) for offset in offsets)
        for key_id, offset in zip(op.key_ids, offsets, strict=True):
            self._note(op, key_id, op.stream, offset, op.size_bits, (op.master,))
        return Opened(tuple(offsets), values)

    @staticmethod
    def _next_stretch(stream: Stream, head: int, bits: int) -> int | None:
        """Start of the next `bits` in one piece with no void bit among them."""
        offset, run = head, 0
        for block in stream.blocks:
            end = block.start + block.bits
            if end <= offset:
                continue
            if block.void or block.start > offset + run:
                offset, run = (end, 0) if block.void else (block.start, end - block.start)
            else:
                run = end - offset
            if run >= bits:
                return offset
        return None

    def _mirror(self, op: MirrorOp) -> None:
        self._refuse_known(op.key_ids)
        stream = self.streams.get(op.stream)
        if stream is None or stream.mine:
            raise Problem("no-key-material", "no key has arrived for this pair yet")
        head = stream.head
        for offset in op.offsets:
            if offset < head:
                raise Problem("unit-exists", f"bits from {offset} on were handed out before")
            self._bits(stream, offset, op.size_bits)
            head = offset + op.size_bits
        stream.head = head
        self.changed.append(("stream", stream))
        for key_id, offset in zip(op.key_ids, op.offsets, strict=True):
            self._note(op, key_id, op.stream, offset, op.size_bits, ())

    def _import(self, op: ImportOp) -> None:
        self._refuse_known(op.key_ids)
        for key_id, value in zip(op.key_ids, op.values, strict=True):
            self.values[key_id] = value
            self.changed.append(("value", key_id, value))
            self._note(op, key_id, "", 0, 8 * len(value), ())

    def _note(
        self,
        op: OpenOp | MirrorOp | ImportOp,
        key_id: str,
        stream: str,
        offset: int,
        size_bits: int,
        delivered: tuple[str, ...],
    ) -> None:
        handout = Handout(
            key_id, stream, offset, size_bits, op.master, op.slaves, op.now_ns, op.expires_ns, delivered, "open",
            self._provenance(stream, offset, size_bits),
        )  # fmt: skip
        for party in (op.master, *op.slaves):
            self._by_party.setdefault(party, []).append(key_id)
        self._set(handout)
        if delivered and not self._local_slaves(handout):
            self._finish(handout, "done")

    def _provenance(self, stream: str, offset: int, bits: int) -> tuple[Provenance, ...]:
        if not stream:
            return ()
        found: list[Provenance] = []
        for block in self.streams[stream].blocks:
            if block.start < offset + bits and offset < block.start + block.bits:
                found += block.provenance
        return tuple(found)

    def _set(self, handout: Handout) -> None:
        self.handouts[handout.key_id] = handout
        self.changed.append(("handout", handout))

    def _local_slaves(self, handout: Handout) -> bool:
        """Whether this store still serves slaves: the master's own store of a stream does not."""
        stream = self.streams.get(handout.stream)
        return stream is None or not stream.mine

    # -- taking --------------------------------------------------------------------------------------

    def _take(self, op: TakeOp) -> Taken:
        found: list[Handout] = []
        for key_id in op.key_ids:
            handout = self.handouts.get(key_id)
            gone = (
                handout is None
                or handout.state != "open"
                or (handout.expires_ns is not None and op.now_ns >= handout.expires_ns)
                or op.caller in handout.delivered
                or (op.master is not None and op.master != handout.master)
            )
            if gone or len(set(op.key_ids)) != len(op.key_ids):
                raise Problem("key-not-found")
            assert handout is not None
            found.append(handout)
        if any(op.caller not in handout.slaves for handout in found):
            raise Problem("not-authorised")
        values = tuple(self._value(handout) for handout in found)
        for handout in found:
            delivered = (*handout.delivered, op.caller)
            done = msgspec.structs.replace(handout, delivered=delivered)
            self._set(done)
            if all(slave in delivered for slave in handout.slaves):
                self._finish(done, "done")
        return Taken(values)

    def _value(self, handout: Handout) -> Secret:
        if handout.stream:
            return self._bits(self.streams[handout.stream], handout.offset, handout.size_bits)
        return Secret(self.values[handout.key_id].reveal())

    def _finish(self, handout: Handout, state: str) -> None:
        """Nobody gets this key here any more: note it and erase its bits."""
        self._set(msgspec.structs.replace(handout, state=state))
        if not handout.stream:
            value = self.values.pop(handout.key_id, None)
            if value is not None:
                value.wipe()
                self.changed.append(("value", handout.key_id, None))
            return
        self._erase(self.streams[handout.stream], handout.offset, handout.size_bits)

    def _erase(self, stream: Stream, offset: int, bits: int) -> None:
        for block in list(stream.blocks):
            first, last = max(offset, block.start), min(offset + bits, block.start + block.bits)
            if first >= last:
                continue
            start, end = (first - block.start) // 8, (last - block.start) // 8
            block.data[start:end] = bytes(end - start)
            block.spent += last - first
            if block.spent >= block.bits:
                stream.blocks.remove(block)
                self.changed.append(("erase", stream, block))

    # -- voiding and expiry --------------------------------------------------------------------------

    def _cancel(self, op: CancelOp) -> int:
        known = [self.handouts[k] for k in op.key_ids if k in self.handouts]
        for handout in known:
            if handout.state == "open":
                self._finish(handout, "void")
            elif handout.state == "done":
                self._set(msgspec.structs.replace(handout, state="void"))
        return len(known)

    def _void(self, op: VoidOp) -> Voided:
        def touched(pieces: Iterable[Provenance]) -> bool:
            return any(p.link == op.link and op.first_block <= p.block <= op.last_block for p in pieces)

        voided, delivered = [], []
        for handout in list(self.handouts.values()):
            if not touched(handout.provenance):
                continue
            if handout.delivered:
                delivered.append(handout.key_id)
            if handout.state == "open":
                voided.append(handout.key_id)
                self._finish(handout, "void")
        bits = 0
        for stream in self.streams.values():
            for block in [b for b in stream.blocks if not b.void and touched(b.provenance)]:
                unopened = block.start + block.bits - max(block.start, stream.head)
                bits += max(0, unopened)
                block.void = True
                block.data[:] = bytes(len(block.data))
                stream.blocks.remove(block)
                self.changed.append(("erase", stream, block))
        return Voided(bits, tuple(voided), tuple(delivered))

    def _expire(self, op: ExpireOp) -> int:
        gone = [
            h
            for h in self.handouts.values()
            if h.state == "open" and h.expires_ns is not None and op.now_ns >= h.expires_ns
        ]
        for handout in gone:
            self._finish(handout, "expired")
        return len(gone)

    def _list(self, op: ListOp) -> tuple[Handout, ...]:
        newest = self._by_party.get(op.party, [])[: -op.limit - 1 : -1]
        return tuple(self.handouts[key_id] for key_id in newest)
