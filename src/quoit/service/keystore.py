"""The key store of a KME: a port and its operations.

A store holds *streams* of end-to-end key, one per (master's KME, slave's KME), the same bits at both
ends. A key is a stretch of a stream, named once and handed to each party once. `storebook.StoreBook`
decides and keeps the state in memory; a durable store writes down what the book changed and commits it
before any answer leaves. Sizes are bits and whole bytes; times are nanoseconds since the scenario's start.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from quoit.model.secret import Secret


class Provenance(msgspec.Struct, frozen=True):
    """A stretch of link key behind a block: on every hop, pads and tags included."""

    link: str
    block: int
    offset: int
    bits: int
    use: str


class Point(msgspec.Struct, frozen=True, order=True):
    """A point in a store's existence: in which of its lives, after how many operations that changed it."""

    life: int
    writes: int


class AppendOp(msgspec.Struct, frozen=True):
    """Add bits at `start` of a stream. Idempotent for the same stretch; an overlap is refused, and so is what
    stands on a forbidden block. A gap is a chunk that never arrived. `mine`: this KME is the stream's master,
    who alone opens keys from it."""

    stream: str
    start: int
    data: Secret
    provenance: tuple[Provenance, ...]
    mine: bool


class OpenOp(msgspec.Struct, frozen=True):
    """The master opens one key per key_ID, and has received them with the answer. Refused if fewer than `keep_free`
    bits would be left: others have a claim to them."""

    stream: str
    key_ids: tuple[str, ...]
    size_bits: int
    master: str
    slaves: tuple[str, ...]
    expires_ns: int | None
    now_ns: int
    keep_free: int = 0


class Opened(msgspec.Struct, frozen=True):
    """Where in the stream the keys lie, and what they are; `point` is how far the store has come by it."""

    offsets: tuple[int, ...]
    values: tuple[Secret, ...]
    point: Point


class MirrorOp(msgspec.Struct, frozen=True):
    """The slave's KME holds the same keys ready, as the master's KME says. Answered with the store's `Point`.

    `kme` and `kme_at`: which KME says so, and how far its store had come then."""

    stream: str
    key_ids: tuple[str, ...]
    offsets: tuple[int, ...]
    size_bits: int
    master: str
    slaves: tuple[str, ...]
    expires_ns: int | None
    now_ns: int
    kme: str = ""
    kme_at: Point | None = None


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
    """The keys, the streams that they come from, and how far the store has come by it."""

    values: tuple[Secret, ...]
    streams: tuple[str, ...]
    point: Point


class CancelOp(msgspec.Struct, frozen=True):
    """Void keys that were opened but whose peers could not be told, or that are not wanted any more."""

    key_ids: tuple[str, ...]
    now_ns: int


class VoidOp(msgspec.Struct, frozen=True):
    """No bit that stands on these blocks of a link may be delivered any more, nor taken in."""

    link: str
    first_block: int
    last_block: int
    now_ns: int


class Voided(msgspec.Struct, frozen=True):
    """Bits of streams made unusable, keys voided before their slaves had them, keys already delivered."""

    stream_bits: int
    key_ids: tuple[str, ...]
    delivered_key_ids: tuple[str, ...]


class ReadmitOp(msgspec.Struct, frozen=True):
    """Blocks of a link from `from_block` on are taken in again."""

    link: str
    from_block: int
    now_ns: int


class StreamMark(msgspec.Struct, frozen=True):
    """How far a stream has come: all bits from `first` up to `last` are here, and none was handed out."""

    name: str
    mine: bool
    first: int
    last: int


class BeginOp(msgspec.Struct, frozen=True):
    """The KME starts: the store's next life, named by the instant, later than all before. Answered with `Marks`."""

    now_ns: int


class MarksOp(msgspec.Struct, frozen=True):
    """Answered with `Marks`."""


class Marks(msgspec.Struct, frozen=True):
    """How far the store has come: at `point` now.

    `lives` are the store's lives that it knows of, each with the writes that it began with. What others remember
    of lives up to `settled` is of no matter, for all that there was then is void. `seen` is how far the stores of
    other KMEs had come when last heard of.
    """

    point: Point
    settled: int
    lives: tuple[Point, ...]
    seen: dict[str, Point]
    streams: tuple[StreamMark, ...]

    @property
    def has_past(self) -> bool:
        """Whether there was anything in the store when its present life began."""
        return self.lives[-1].writes > 0

    def older_than(self, seen: Point) -> bool:
        """Whether somebody has seen more of this store than it holds: then it was put back from a copy."""
        if seen.life <= self.settled:
            return False
        ended = next((life.writes for life in self.lives if life.life > seen.life), self.point.writes)
        return seen.writes > ended


class SeenOp(msgspec.Struct, frozen=True):
    """Remember how far the stores of other KMEs have come."""

    seen: dict[str, Point]
    now_ns: int


class SkipOp(msgspec.Struct, frozen=True):
    """Bits of a stream below `to` are not handed out any more: the other end does not have them."""

    stream: str
    to: int
    now_ns: int


class RewoundOp(msgspec.Struct, frozen=True):
    """This store is older than others remember (`writes` at least): what it holds may have been handed out, so
    all of it is void, and what others remember up to now is settled. Answered with `Voided`."""

    writes: int
    now_ns: int


class ExpireOp(msgspec.Struct, frozen=True):
    """Erase what has expired. Answered with the number of keys erased."""

    now_ns: int


class FindOp(msgspec.Struct, frozen=True):
    """Answered with the key's `Handout`, or None."""

    key_id: str


class FindAllOp(msgspec.Struct, frozen=True):
    """Answered with the `Handout` of each of these keys that is known here, in order."""

    key_ids: tuple[str, ...]


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


Op = (
    AppendOp
    | OpenOp
    | MirrorOp
    | ImportOp
    | TakeOp
    | CancelOp
    | VoidOp
    | ReadmitOp
    | BeginOp
    | MarksOp
    | SeenOp
    | SkipOp
    | RewoundOp
    | ExpireOp
    | FindOp
    | FindAllOp
    | ListOp
    | LevelOp
)


class StoreFailed(Exception):
    """The store could not write, commit or audit: what it holds in memory is ahead of the disk, so the process
    must end. A restart reads what is on the disk."""


class KeyStore(Protocol):
    """Runs operations; each is all or nothing, and durable when its result is returned (where promised).

    `execute` gives one result per operation, in order; a refused one gives its `Problem`. Raises `StoreFailed`,
    and then for ever.
    """

    def execute(self, batch: list[Op]) -> list[Any]: ...

    def close(self) -> None: ...
