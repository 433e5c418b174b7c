"""What a key store keeps in memory: streams of bits and where they come from, issues of keys; and what of them has
changed.

Keys of one request are one *issue*: they share parties, size and expiry, and a batch of them costs hardly
more than one. Where the bits of a stream come from is kept apart from the bits (`origins`), for it must be
known when the bits are long gone: a quarantine looks back at what was delivered.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from quoit.model.secret import Secret
from quoit.service.keystore import Point, Provenance

OPEN, DONE, VOID, EXPIRED = range(4)
STATES = ("open", "done", "void", "expired")


class Block:
    """Appended bits. `spent` counts those whose keys are done with; a block wholly spent is erased."""

    __slots__ = ("data", "end", "spent", "start")

    def __init__(self, start: int, data: bytearray) -> None:
        self.start = start
        self.end = start + 8 * len(data)
        self.data = data
        self.spent = 0


class Origin:
    """Where the bits from `start` to `end` of a stream come from. `void`: they may not be used any more."""

    __slots__ = ("end", "provenance", "start", "void")

    def __init__(self, start: int, end: int, provenance: tuple[Provenance, ...], void: bool = False) -> None:
        self.start = start
        self.end = end
        self.provenance = provenance
        self.void = void


class Stream:
    """A stream at one end. `head`: first bit never handed out. Blocks and origins are in order of `start`."""

    __slots__ = ("_origin_starts", "_starts", "blocks", "free_bits", "head", "mine", "name", "origins", "tail")

    def __init__(self, name: str, mine: bool, head: int = 0, tail: int = 0) -> None:
        self.name = name
        self.mine = mine
        self.head = head
        self.tail = tail
        self.blocks: list[Block] = []
        self.origins: list[Origin] = []
        self.free_bits = 0
        self._starts: list[int] = []
        self._origin_starts: list[int] = []

    def add_block(self, block: Block) -> None:
        """Add a block behind all others."""
        self.blocks.append(block)
        self._starts.append(block.start)
        self.free_bits += max(0, block.end - max(block.start, self.head))

    def add_origin(self, origin: Origin) -> None:
        """Note where bits come from, behind all others."""
        self.origins.append(origin)
        self._origin_starts.append(origin.start)

    def remove(self, block: Block) -> None:
        """Forget a block; what of it was never handed out is no longer free."""
        at = bisect_right(self._starts, block.start) - 1
        del self.blocks[at], self._starts[at]
        self.free_bits -= max(0, block.end - max(block.start, self.head))

    def over(self, first: int, last: int) -> Iterator[Block]:
        """The blocks that hold bits from `first` up to but not including `last`, in order."""
        at = max(0, bisect_right(self._starts, first) - 1)
        while at < len(self.blocks) and self.blocks[at].start < last:
            if self.blocks[at].end > first:
                yield self.blocks[at]
            at += 1

    def keep(self, first: int, last: int) -> None:
        """These bits belong to a key that somebody may still take."""
        for block in self.over(first, last):
            block.spent -= min(last, block.end) - max(first, block.start)

    def block_at(self, bit: int) -> Block | None:
        """The block that holds this bit, if it is still here."""
        return next(self.over(bit, bit + 1), None)

    @property
    def solid_from(self) -> int:
        """The first bit from which on everything up to the tail is here and was not handed out."""
        first = self.tail
        for block in reversed(self.blocks):
            if block.end != first:
                break
            first = block.start
        return max(first, self.head)

    def advance(self, head: int) -> None:
        """Bits below `head` are handed out, or passed over."""
        for block in self.over(self.head, head):
            self.free_bits -= min(block.end, head) - max(block.start, self.head)
        self.head = head

    def provenance(self, first: int, last: int) -> tuple[Provenance, ...]:
        """Where the bits from `first` up to `last` come from: whole blocks, as they were appended."""
        found: list[Provenance] = []
        at = max(0, bisect_right(self._origin_starts, first) - 1)
        while at < len(self.origins) and self.origins[at].start < last:
            if self.origins[at].end > first:
                found += self.origins[at].provenance
            at += 1
        return tuple(found)


class Issue:
    """Keys of one request. `having[i]`: bit j is set when party j (the master is 0) has key i."""

    __slots__ = (
        "created_ns",
        "expires_ns",
        "having",
        "key_ids",
        "number",
        "offsets",
        "parties",
        "size_bits",
        "states",
        "stream",
    )

    def __init__(
        self,
        number: int,
        stream: str,
        key_ids: tuple[str, ...],
        offsets: tuple[int, ...],
        size_bits: int,
        parties: tuple[str, ...],
        created_ns: int,
        expires_ns: int | None,
    ) -> None:
        self.number = number
        self.stream = stream
        self.key_ids = key_ids
        self.offsets = offsets
        self.size_bits = size_bits
        self.parties = parties
        self.created_ns = created_ns
        self.expires_ns = expires_ns
        self.having = [0] * len(key_ids)
        self.states = bytearray(len(key_ids))

    @property
    def wanted(self) -> int:
        """`having` of a key that all slaves have."""
        return (1 << len(self.parties)) - 2


@dataclass
class Changes:
    """What a durable store has to write down."""

    streams: dict[str, Stream] = field(default_factory=dict)
    origins: list[tuple[Stream, Origin]] = field(default_factory=list)
    blocks: list[tuple[Stream, Block]] = field(default_factory=list)
    erased: list[tuple[Stream, Block]] = field(default_factory=list)
    thinned: dict[tuple[str, int], Block] = field(default_factory=dict)
    issues: dict[int, Issue] = field(default_factory=dict)
    handed: dict[int, Issue] = field(default_factory=dict)
    values: dict[str, tuple[Secret, Issue] | None] = field(default_factory=dict)
    bans: set[str] = field(default_factory=set)
    seen: dict[str, Point] = field(default_factory=dict)
    lives: bool = False
    writes: int = 0

    def __bool__(self) -> bool:
        return bool(self.writes)
