"""The decisions that every key store takes alike, over state in memory.

Limit: issues and origins stay in memory for the store's life, about 200 bytes a key.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush
from typing import Any

from quoit.model.bans import Bans
from quoit.model.problem import Problem
from quoit.model.secret import Secret
from quoit.service.keystore import (
    AppendOp,
    BeginOp,
    CancelOp,
    ExpireOp,
    FindAllOp,
    FindOp,
    Handout,
    ImportOp,
    Level,
    LevelOp,
    ListOp,
    Marks,
    MarksOp,
    MirrorOp,
    Op,
    Opened,
    OpenOp,
    Point,
    ReadmitOp,
    RewoundOp,
    SeenOp,
    SkipOp,
    StreamMark,
    Taken,
    TakeOp,
    Voided,
    VoidOp,
)
from quoit.service.storerows import DONE, EXPIRED, OPEN, STATES, VOID, Block, Changes, Issue, Origin, Stream


class StoreBook:
    """All decisions of a key store. `changes` says what came of them since it was last fetched."""

    def __init__(self) -> None:
        self.streams: dict[str, Stream] = {}
        self.values: dict[str, Secret] = {}
        self.bans = Bans()
        self.seen: dict[str, Point] = {}
        self.lives: list[Point] = []
        self.settled = -1
        self.writes = 0
        self.changes = Changes()
        self._keys: dict[str, tuple[Issue, int]] = {}
        self._by_party: dict[str, list[Issue]] = {}
        self._of_stream: dict[str, list[Issue]] = {}
        self._expiries: list[tuple[int, int, Issue]] = []
        self._number = 0
        self._do: dict[type[Any], Callable[[Any], Any]] = {
            AppendOp: self._append,
            OpenOp: self._open,
            MirrorOp: self._mirror,
            ImportOp: self._import,
            TakeOp: self._take,
            CancelOp: self._cancel,
            VoidOp: self._void,
            ReadmitOp: self._readmit,
            BeginOp: self._begin,
            MarksOp: self._marks,
            SeenOp: self._see,
            SkipOp: self._skip,
            RewoundOp: self._rewound,
            ExpireOp: self._expire,
            FindOp: self._find,
            FindAllOp: self._find_all,
            ListOp: self._list,
            LevelOp: self._level,
        }

    def apply(self, op: Op) -> Any:
        """Decide and change. Raises `Problem`, and then nothing has changed."""
        return self._do[type(op)](op)

    def fetch_changes(self) -> Changes:
        """What has changed since the last call."""
        found, self.changes = self.changes, Changes()
        return found

    def restore(self, issues: Iterable[Issue]) -> None:
        """Take in the issues of a store that comes back, after its streams, blocks and values."""
        for issue in sorted(issues, key=lambda i: i.number):
            self._number = max(self._number, issue.number)
            self._index(issue)
        for stream in self.streams.values():
            for block in stream.blocks:
                block.spent = max(0, min(block.end, stream.head) - block.start)
            for issue in self._of_stream.get(stream.name, ()):
                for i, state in enumerate(issue.states):
                    if state == OPEN:
                        stream.keep(issue.offsets[i], issue.offsets[i] + issue.size_bits)

    def issue_of(self, key_id: str) -> Issue:
        """The issue that a key belongs to. Raises KeyError."""
        return self._keys[key_id][0]

    # -- streams -------------------------------------------------------------------------------------

    def _append(self, op: AppendOp) -> Level:
        stream = self.streams.get(op.stream)
        if stream is None:
            stream = self.streams[op.stream] = Stream(op.stream, op.mine)
        end = op.start + 8 * len(op.data)
        for piece in op.provenance:
            if self.bans.covers(piece.link, piece.block):
                raise Problem("no-key-material", f"block {piece.block} of {piece.link} is quarantined", link=piece.link)
        if op.start < stream.tail:
            known = stream.block_at(op.start)
            # What is used up is gone: a slave takes a repetition for granted, a master never sends one.
            gone = known is None and not op.mine
            same = gone or (known is not None and known.start == op.start and bytes(known.data) == op.data.reveal())
            if end <= stream.tail and same:
                return Level(stream.tail, stream.free_bits)
            raise Problem("malformed", f"{op.stream} ends at bit {stream.tail}, beyond {op.start}")
        block, origin = Block(op.start, bytearray(op.data.reveal())), Origin(op.start, end, op.provenance)
        stream.add_block(block)
        stream.add_origin(origin)
        stream.tail = end
        self._wrote()
        self.changes.streams[stream.name] = stream
        self.changes.blocks.append((stream, block))
        self.changes.origins.append((stream, origin))
        return Level(stream.tail, stream.free_bits)

    def _level(self, op: LevelOp) -> Level:
        stream = self.streams.get(op.stream)
        return Level(0, 0) if stream is None else Level(stream.tail, stream.free_bits)

    @staticmethod
    def _bits(stream: Stream, offset: int, bits: int) -> Secret:
        out = bytearray()
        end = offset + bits
        for block in stream.over(offset, end):
            first = max(offset, block.start)
            if first != offset + 8 * len(out):
                break
            out += block.data[(first - block.start) // 8 : (min(end, block.end) - block.start) // 8]
        if 8 * len(out) != bits:
            raise Problem("key-not-found", "bits of this key are gone")
        return Secret(out)

    # -- opening -------------------------------------------------------------------------------------

    def _refuse_known(self, key_ids: tuple[str, ...]) -> None:
        if len(set(key_ids)) != len(key_ids) or any(k in self._keys for k in key_ids):
            raise Problem("unit-exists", "a key_ID is in use already")

    def _open(self, op: OpenOp) -> Opened:
        self._refuse_known(op.key_ids)
        stream = self.streams.get(op.stream)
        if stream is None or not stream.mine:
            raise Problem("no-key-material", "no key has arrived for this pair yet", available_bits=0)
        free = max(0, stream.free_bits - op.keep_free)
        wanted = op.size_bits * len(op.key_ids)
        offsets = self._next_stretches(stream, op.size_bits, len(op.key_ids)) if wanted <= free else []
        if len(offsets) < len(op.key_ids):
            raise Problem("no-key-material", f"{free} bits are free", available_bits=free)
        values = tuple(self._bits(stream, offset, op.size_bits) for offset in offsets)
        self._wrote()
        stream.advance(offsets[-1] + op.size_bits)
        self.changes.streams[stream.name] = stream
        # The master has its keys with the answer, and its store serves nobody else.
        self._issue(op, op.stream, tuple(offsets), op.size_bits, having=1, state=DONE)
        self._erase(stream, offsets, op.size_bits)
        return Opened(tuple(offsets), values, self.point)

    @staticmethod
    def _next_stretches(stream: Stream, bits: int, number: int) -> list[int]:
        """Starts of the next `number` stretches of `bits` with no gap within; fewer if there are not as many."""
        found: list[int] = []
        offset = end = stream.head
        for block in stream.over(stream.head, stream.tail):
            if block.start > end:
                offset = block.start  # bits are missing before this block: a key does not span the gap
            end = block.end
            while end - offset >= bits:
                found.append(offset)
                if len(found) == number:
                    return found
                offset += bits
        return found

    def _mirror(self, op: MirrorOp) -> Point:
        self._refuse_known(op.key_ids)
        stream = self.streams.get(op.stream)
        if stream is None or stream.mine:
            raise Problem("no-key-material", "no key has arrived for this pair yet")
        head = stream.head
        for offset in op.offsets:
            if offset < head:
                raise Problem("unit-exists", f"bits from {offset} on were handed out before")
            head = offset + op.size_bits
            if sum(min(b.end, head) - max(b.start, offset) for b in stream.over(offset, head)) != op.size_bits:
                raise Problem("key-not-found", "bits of this key are gone")
        self._wrote()
        stream.advance(head)
        self.changes.streams[stream.name] = stream
        self._issue(op, op.stream, op.offsets, op.size_bits)
        if op.kme_at is not None:
            self._remember(op.kme, op.kme_at)
        return self.point

    def _import(self, op: ImportOp) -> None:
        self._refuse_known(op.key_ids)
        self._wrote()
        issue = self._issue(op, "", (0,) * len(op.key_ids), 8 * len(op.values[0]))
        for key_id, value in zip(op.key_ids, op.values, strict=True):
            self.values[key_id] = value
            self.changes.values[key_id] = value, issue

    def _issue(
        self,
        op: OpenOp | MirrorOp | ImportOp,
        stream: str,
        offsets: tuple[int, ...],
        size_bits: int,
        having: int = 0,
        state: int = OPEN,
    ) -> Issue:
        self._number += 1
        parties = (op.master, *op.slaves)
        issue = Issue(self._number, stream, op.key_ids, offsets, size_bits, parties, op.now_ns, op.expires_ns)
        if having:
            issue.having = [having] * len(op.key_ids)
        if state:
            issue.states = bytearray([state]) * len(op.key_ids)
        self._index(issue)
        self.changes.issues[issue.number] = issue
        return issue

    def _index(self, issue: Issue) -> None:
        for i, key_id in enumerate(issue.key_ids):
            self._keys[key_id] = issue, i
        for party in dict.fromkeys(issue.parties):
            self._by_party.setdefault(party, []).append(issue)
        if issue.stream:
            self._of_stream.setdefault(issue.stream, []).append(issue)
        if issue.expires_ns is not None and OPEN in issue.states:
            heappush(self._expiries, (issue.expires_ns, issue.number, issue))

    # -- taking --------------------------------------------------------------------------------------

    def _take(self, op: TakeOp) -> Taken:
        if len(set(op.key_ids)) != len(op.key_ids):
            raise Problem("key-not-found")
        found = [self._takeable(op, key_id) for key_id in op.key_ids]
        if any(op.caller not in issue.parties[1:] for issue, _ in found):
            raise Problem("not-authorised")
        values = tuple(self._value(issue, i) for issue, i in found)
        self._wrote()
        for issue, i in found:
            issue.having[i] |= 1 << issue.parties.index(op.caller, 1)
            self.changes.handed[issue.number] = issue
            if issue.having[i] & issue.wanted == issue.wanted:
                self._finish(issue, [i], DONE)
        streams = dict.fromkeys(issue.stream for issue, _ in found if issue.stream)
        return Taken(values, tuple(streams), self.point)

    def _takeable(self, op: TakeOp, key_id: str) -> tuple[Issue, int]:
        known = self._keys.get(key_id)
        if known is None:
            raise Problem("key-not-found")
        issue, i = known
        if (
            issue.states[i] != OPEN
            or (issue.expires_ns is not None and op.now_ns >= issue.expires_ns)
            or (op.master is not None and op.master != issue.parties[0])
            or (op.caller in issue.parties[1:] and issue.having[i] >> issue.parties.index(op.caller, 1) & 1)
        ):
            raise Problem("key-not-found")
        return known

    def _value(self, issue: Issue, i: int) -> Secret:
        if issue.stream:
            return self._bits(self.streams[issue.stream], issue.offsets[i], issue.size_bits)
        return Secret(self.values[issue.key_ids[i]].reveal())

    def _finish(self, issue: Issue, which: list[int], state: int) -> None:
        """Nobody gets these keys here any more: note it and erase their bits."""
        for i in which:
            issue.states[i] = state
        self.changes.handed[issue.number] = issue
        if issue.stream:
            self._erase(self.streams[issue.stream], [issue.offsets[i] for i in which], issue.size_bits)
            return
        for i in which:
            value = self.values.pop(issue.key_ids[i], None)
            if value is not None:
                value.wipe()
                self.changes.values[issue.key_ids[i]] = None

    def _erase(self, stream: Stream, offsets: list[int], size_bits: int) -> None:
        for first, last in _joined(offsets, size_bits):
            for block in list(stream.over(first, last)):
                start, end = max(first, block.start), min(last, block.end)
                at, to = (start - block.start) // 8, (end - block.start) // 8
                block.data[at:to] = bytes(to - at)
                block.spent += end - start
                if block.spent >= block.end - block.start:
                    stream.remove(block)
                    self.changes.erased.append((stream, block))
                else:
                    self.changes.thinned[stream.name, block.start] = block

    # -- voiding and expiry --------------------------------------------------------------------------

    def _cancel(self, op: CancelOp) -> int:
        known = [self._keys[k] for k in op.key_ids if k in self._keys]
        if known:
            self._wrote()
        for issue, i in known:
            if issue.states[i] == OPEN:
                self._finish(issue, [i], VOID)
            elif issue.states[i] == DONE:
                issue.states[i] = VOID
                self.changes.handed[issue.number] = issue
        return len(known)

    def _void(self, op: VoidOp) -> Voided:
        self._wrote()
        self.bans.ban(op.link, op.first_block, op.last_block)
        self.changes.bans.add(op.link)
        bits = 0
        voided: list[str] = []
        delivered: list[str] = []
        for stream in self.streams.values():
            suspect = [o for o in stream.origins if _touched(o, op)]
            if not suspect:
                continue
            self._void_keys(stream, suspect, voided, delivered)
            for origin in suspect:
                if not origin.void:
                    origin.void = True
                    self.changes.origins.append((stream, origin))
                for block in list(stream.over(origin.start, origin.end)):
                    bits += max(0, block.end - max(block.start, stream.head))
                    block.data[:] = bytes(len(block.data))
                    stream.remove(block)
                    self.changes.erased.append((stream, block))
        return Voided(bits, tuple(voided), tuple(delivered))

    def _void_keys(self, stream: Stream, suspect: list[Origin], voided: list[str], delivered: list[str]) -> None:
        starts = [o.start for o in suspect]
        for issue in self._of_stream.get(stream.name, ()):
            hit = []
            for i, offset in enumerate(issue.offsets):
                at = bisect_right(starts, offset + issue.size_bits - 1) - 1
                if at >= 0 and suspect[at].end > offset:
                    hit.append(i)
            delivered += [issue.key_ids[i] for i in hit if issue.having[i]]
            still_open = [i for i in hit if issue.states[i] == OPEN]
            if still_open:
                voided += [issue.key_ids[i] for i in still_open]
                self._finish(issue, still_open, VOID)

    def _readmit(self, op: ReadmitOp) -> None:
        self._wrote()
        self.bans.readmit(op.link, op.from_block)
        self.changes.bans.add(op.link)

    # -- how far it has come -------------------------------------------------------------------------

    def _wrote(self) -> None:
        self.writes += 1
        self.changes.writes = self.writes

    def _marks(self, op: MarksOp) -> Marks:
        streams = tuple(StreamMark(s.name, s.mine, s.solid_from, s.tail) for s in self.streams.values())
        return Marks(self.point, self.settled, tuple(self.lives), dict(self.seen), streams)

    @property
    def point(self) -> Point:
        """How far the store has come."""
        return Point(self.lives[-1].life if self.lives else 0, self.writes)

    def _begin(self, op: BeginOp) -> Marks:
        begun = self.writes
        self._wrote()
        self.lives.append(Point(op.now_ns, begun))
        self.changes.lives = True
        return self._marks(MarksOp())

    def _see(self, op: SeenOp) -> None:
        news = [kme for kme, point in op.seen.items() if self.seen.get(kme) != point]
        if news:
            self._wrote()
            for kme in news:
                self._remember(kme, op.seen[kme])

    def _remember(self, kme: str, point: Point) -> None:
        """What is told of an earlier life is old news."""
        known = self.seen.get(kme)
        if known is None or point > known:
            self.seen[kme] = self.changes.seen[kme] = point

    def _skip(self, op: SkipOp) -> None:
        stream = self.streams.get(op.stream)
        if stream is None or op.to <= stream.head:
            return
        self._wrote()
        unused = stream.head
        stream.advance(op.to)
        self.changes.streams[stream.name] = stream
        self._erase(stream, [unused], op.to - unused)

    def _rewound(self, op: RewoundOp) -> Voided:
        self.writes = max(self.writes, op.writes)
        self._wrote()
        life = self.point.life
        self.settled = life - 1
        self.lives = [Point(life, self.writes)]
        self.changes.lives = True
        voided: list[str] = []
        for issue in self._issues_in_order():
            still_open = [i for i, state in enumerate(issue.states) if state == OPEN]
            if still_open:
                voided += [issue.key_ids[i] for i in still_open]
                self._finish(issue, still_open, VOID)
        bits = 0
        for stream in self.streams.values():
            bits += stream.free_bits
            for block in list(stream.blocks):
                block.data[:] = bytes(len(block.data))
                stream.remove(block)
                self.changes.erased.append((stream, block))
            stream.advance(max(stream.head, stream.tail))
            self.changes.streams[stream.name] = stream
        return Voided(bits, tuple(voided), ())

    def _issues_in_order(self) -> list[Issue]:
        return sorted({issue.number: issue for issue, _ in self._keys.values()}.values(), key=lambda i: i.number)

    def _expire(self, op: ExpireOp) -> int:
        gone = 0
        while self._expiries and self._expiries[0][0] <= op.now_ns:
            issue = heappop(self._expiries)[2]
            late = [i for i, state in enumerate(issue.states) if state == OPEN]
            if late:
                if not gone:
                    self._wrote()
                self._finish(issue, late, EXPIRED)
                gone += len(late)
        return gone

    # -- showing -------------------------------------------------------------------------------------

    def _find(self, op: FindOp) -> Handout | None:
        known = self._keys.get(op.key_id)
        return None if known is None else self._shown(*known)

    def _find_all(self, op: FindAllOp) -> tuple[Handout, ...]:
        return tuple(self._shown(*self._keys[key_id]) for key_id in op.key_ids if key_id in self._keys)

    def _list(self, op: ListOp) -> tuple[Handout, ...]:
        found: list[Handout] = []
        for issue in reversed(self._by_party.get(op.party, [])):
            for i in reversed(range(len(issue.key_ids))):
                if len(found) == op.limit:
                    return tuple(found)
                found.append(self._shown(issue, i))
        return tuple(found)

    def _shown(self, issue: Issue, i: int) -> Handout:
        offset, having = issue.offsets[i], issue.having[i]
        stream = self.streams.get(issue.stream)
        return Handout(
            issue.key_ids[i],
            issue.stream,
            offset,
            issue.size_bits,
            issue.parties[0],
            issue.parties[1:],
            issue.created_ns,
            issue.expires_ns,
            tuple(party for j, party in enumerate(issue.parties) if having >> j & 1),
            STATES[issue.states[i]],
            () if stream is None else stream.provenance(offset, offset + issue.size_bits),
        )


def _touched(origin: Origin, op: VoidOp) -> bool:
    return any(p.link == op.link and op.first_block <= p.block <= op.last_block for p in origin.provenance)


def _joined(offsets: list[int], size_bits: int) -> Iterator[tuple[int, int]]:
    """Stretches of `size_bits` at ascending `offsets` as (first, last) of runs without a gap."""
    if not offsets:
        return
    first = last = offsets[0]
    for offset in offsets:
        if offset != last:
            yield first, last
            first = offset
        last = offset + size_bits
    yield first, last
