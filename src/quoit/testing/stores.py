"""The conformance suite of the key store port: whoever writes a store proves it by these tests.

    class TestMine(StoreContract):
        def make(self, directory: Path) -> KeyStore:
            return MyStore(directory)

    TestMineMachine = machine_of(MyStore).TestCase

`make` opens a store in `directory`, or opens it again. Stores that keep nothing set `durable` to False. Needs
pytest and hypothesis.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

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
    KeyStore,
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
    Provenance,
    ReadmitOp,
    RewoundOp,
    SeenOp,
    SkipOp,
    TakeOp,
    Voided,
    VoidOp,
)

STREAM = "a>b"
BITS = 4096
DATA = bytes(range(256)) * 2
SIZE = 256


def do(store: KeyStore, op: Op) -> Any:
    """The result of one operation; raises its `Problem`."""
    (result,) = store.execute([op])
    if isinstance(result, Problem):
        raise result
    return result


def code_of(store: KeyStore, op: Op) -> str:
    """The code of the Problem that an operation must end with."""
    with pytest.raises(Problem) as found:
        do(store, op)
    return found.value.code


class StoreContract:
    """What every store does. Subclass it and write `make`."""

    durable: ClassVar[bool] = True

    def make(self, directory: Path) -> KeyStore:
        raise NotImplementedError

    def open_pair(self, directory: Path) -> tuple[KeyStore, KeyStore]:
        """The master's and the slave's store, with one block of the same stream."""
        master, slave = self.make(directory / "a"), self.make(directory / "b")
        for store, mine in ((master, True), (slave, False)):
            pieces = (Provenance("l", 3, 0, BITS, "delivered"),)
            do(store, AppendOp(STREAM, 0, Secret(DATA), pieces, mine))
        return master, slave

    @pytest.fixture
    def pair(self, tmp_path: Path) -> Iterator[tuple[KeyStore, KeyStore]]:
        """See `open_pair`; closed after the test."""
        stores = self.open_pair(tmp_path)
        yield stores
        for store in stores:
            store.close()

    def both(self, pair: tuple[KeyStore, KeyStore], *key_ids: str, expires: int | None = None) -> list[Secret]:
        """Open keys at the master's and mirror them at the slave's."""
        opened: Opened = do(pair[0], OpenOp(STREAM, key_ids, SIZE, "m", ("s",), expires, 1))
        do(pair[1], MirrorOp(STREAM, key_ids, opened.offsets, SIZE, "m", ("s",), expires, 1))
        return list(opened.values)

    def test_k1_k3_each_party_once_and_the_same_bytes(self, pair: tuple[KeyStore, KeyStore]) -> None:
        values = self.both(pair, "k1", "k2")
        taken = do(pair[1], TakeOp("s", "m", ("k1", "k2"), 2))
        assert list(taken.values) == values
        assert code_of(pair[1], TakeOp("s", "m", ("k1",), 3)) == "key-not-found"

    def test_k1_every_slave_once(self, pair: tuple[KeyStore, KeyStore]) -> None:
        opened: Opened = do(pair[0], OpenOp(STREAM, ("k",), SIZE, "m", ("s", "t"), None, 1))
        do(pair[1], MirrorOp(STREAM, ("k",), opened.offsets, SIZE, "m", ("s", "t"), None, 1))
        for slave in ("s", "t"):
            assert do(pair[1], TakeOp(slave, "m", ("k",), 2)).values == opened.values
            assert code_of(pair[1], TakeOp(slave, "m", ("k",), 2)) == "key-not-found"
        found: Handout = do(pair[1], FindOp("k"))
        assert do(pair[1], FindAllOp(("nobody", "k"))) == (found,)
        assert (found.state, found.delivered) == ("done", ("s", "t"))

    def test_k2_nobody_else(self, pair: tuple[KeyStore, KeyStore]) -> None:
        self.both(pair, "k1")
        assert code_of(pair[1], TakeOp("stranger", "m", ("k1",), 2)) == "not-authorised"
        assert code_of(pair[1], TakeOp("s", "other", ("k1",), 2)) == "key-not-found"
        assert code_of(pair[1], TakeOp("m", "m", ("k1",), 2)) == "not-authorised"

    def test_k5_k6_no_id_and_no_bit_twice(self, pair: tuple[KeyStore, KeyStore]) -> None:
        self.both(pair, "k1")
        assert code_of(pair[0], OpenOp(STREAM, ("k1",), SIZE, "m", ("s",), None, 1)) == "unit-exists"
        assert code_of(pair[0], OpenOp(STREAM, ("k3", "k3"), SIZE, "m", ("s",), None, 1)) == "unit-exists"
        assert code_of(pair[1], MirrorOp(STREAM, ("k2",), (0,), SIZE, "m", ("s",), None, 1)) == "unit-exists"

    def test_k9_expiry_at_equality(self, pair: tuple[KeyStore, KeyStore]) -> None:
        self.both(pair, "k1", "k2", expires=10)
        assert code_of(pair[1], TakeOp("s", "m", ("k1",), 10)) == "key-not-found"
        do(pair[1], TakeOp("s", "m", ("k1",), 9))
        assert do(pair[1], ExpireOp(10)) == 1
        assert code_of(pair[1], TakeOp("s", "m", ("k2",), 9)) == "key-not-found"

    def test_k10_all_or_nothing(self, pair: tuple[KeyStore, KeyStore]) -> None:
        self.both(pair, "k1")
        assert code_of(pair[1], TakeOp("s", "m", ("k1", "unknown"), 2)) == "key-not-found"
        do(pair[1], TakeOp("s", "m", ("k1",), 2))
        too_many = tuple(f"n{i}" for i in range(BITS // SIZE))
        assert code_of(pair[0], OpenOp(STREAM, too_many, SIZE, "m", ("s",), None, 1)) == "no-key-material"
        level: Level = do(pair[0], LevelOp(STREAM))
        assert level.free_bits == BITS - SIZE

    def test_k6_every_opening_has_bits_of_its_own(self, pair: tuple[KeyStore, KeyStore]) -> None:
        spans = []
        for n, size in enumerate((64, 1024, 256)):
            opened: Opened = do(pair[0], OpenOp(STREAM, (f"k{n}", f"l{n}"), size, "m", ("s",), None, 1))
            spans += [(offset, offset + size) for offset in opened.offsets]
            assert [v.reveal() for v in opened.values] == [DATA[o // 8 : (o + size) // 8] for o in opened.offsets]
        assert all(one[1] <= other[0] for one, other in itertools.pairwise(sorted(spans)))

    def test_k6_only_the_end_that_owns_a_stream_opens_from_it(self, pair: tuple[KeyStore, KeyStore]) -> None:
        assert code_of(pair[1], OpenOp(STREAM, ("k",), SIZE, "m", ("s",), None, 1)) == "no-key-material"
        assert code_of(pair[0], MirrorOp(STREAM, ("k",), (0,), SIZE, "m", ("s",), None, 1)) == "no-key-material"
        assert code_of(pair[0], OpenOp("c>d", ("k",), SIZE, "m", ("s",), None, 1)) == "no-key-material"
        assert do(pair[0], LevelOp("c>d")) == Level(0, 0)

    def test_k6_what_was_never_appended_is_not_mirrored(self, pair: tuple[KeyStore, KeyStore]) -> None:
        beyond = MirrorOp(STREAM, ("k1", "k2"), (BITS - SIZE, BITS), SIZE, "m", ("s",), None, 1)
        assert code_of(pair[1], beyond) == "key-not-found"
        assert do(pair[1], FindOp("k1")) is None

    def test_k13_k15_voided_bits_are_never_delivered(self, pair: tuple[KeyStore, KeyStore]) -> None:
        self.both(pair, "k1", "k2")
        do(pair[1], TakeOp("s", "m", ("k1",), 2))
        at_slave: Voided = do(pair[1], VoidOp("l", 2, 9, 2))
        assert (at_slave.key_ids, at_slave.delivered_key_ids) == (("k2",), ("k1",))
        do(pair[0], VoidOp("l", 2, 9, 2))
        assert code_of(pair[1], TakeOp("s", "m", ("k2",), 3)) == "key-not-found"
        assert code_of(pair[0], OpenOp(STREAM, ("k3",), SIZE, "m", ("s",), None, 1)) == "no-key-material"

    def test_a_quarantine_of_other_blocks_touches_nothing(self, pair: tuple[KeyStore, KeyStore]) -> None:
        values = self.both(pair, "k1")
        assert do(pair[1], VoidOp("l", 4, 9, 2)) == Voided(0, (), ())
        assert list(do(pair[1], TakeOp("s", "m", ("k1",), 3)).values) == values

    def test_k13_a_cancelled_key_is_gone(self, pair: tuple[KeyStore, KeyStore]) -> None:
        self.both(pair, "k1")
        assert do(pair[1], CancelOp(("k1", "unknown"), 2)) == 1
        assert code_of(pair[1], TakeOp("s", "m", ("k1",), 3)) == "key-not-found"
        assert do(pair[1], FindOp("k1")).state == "void"

    def test_k1_k3_imported_keys_are_handed_out_once(self, pair: tuple[KeyStore, KeyStore]) -> None:
        value = Secret(b"\x07" * 32)
        do(pair[1], ImportOp(("i",), (Secret(value.reveal()),), "m", ("s",), None, 1))
        assert do(pair[1], TakeOp("s", "m", ("i",), 2)).values == (value,)
        assert code_of(pair[1], TakeOp("s", "m", ("i",), 2)) == "key-not-found"

    def test_an_append_is_idempotent_and_never_overlaps(self, pair: tuple[KeyStore, KeyStore]) -> None:
        again = AppendOp(STREAM, 0, Secret(DATA), (), True)
        assert do(pair[0], again) == Level(BITS, BITS)
        assert code_of(pair[0], AppendOp(STREAM, 8, Secret(DATA), (), True)) == "malformed"
        do(pair[0], AppendOp(STREAM, BITS + 800, Secret(DATA), (), True))
        keys = tuple(f"g{i}" for i in range(2 * BITS // SIZE))
        opened: Opened = do(pair[0], OpenOp(STREAM, keys, SIZE, "m", ("s",), None, 1))
        assert not [o for o in opened.offsets if o < BITS + 800 < o + SIZE or BITS <= o < BITS + 800]

    def test_newest_first(self, pair: tuple[KeyStore, KeyStore]) -> None:
        self.both(pair, "k1", "k2")
        self.both(pair, "k3")
        assert [h.key_id for h in do(pair[1], ListOp("s", 2))] == ["k3", "k2"]

    def test_an_operation_that_is_refused_does_not_spoil_its_batch(self, pair: tuple[KeyStore, KeyStore]) -> None:
        ids = ("k1",), ("k1",), ("k2",)
        opened = pair[0].execute([OpenOp(STREAM, key_ids, SIZE, "m", ("s",), None, 1) for key_ids in ids])
        assert [type(result) for result in opened] == [Opened, Problem, Opened]
        assert (opened[0].offsets, opened[2].offsets) == ((0,), (SIZE,))
        assert [v.reveal() for result in (opened[0], opened[2]) for v in result.values] == [DATA[:32], DATA[32:64]]

    def test_what_was_answered_is_there_after_a_restart(self, tmp_path: Path) -> None:
        if not self.durable:
            pytest.skip("this store promises to keep nothing")
        store = self.make(tmp_path)
        pieces = (Provenance("l", 3, 0, BITS, "delivered"),)
        do(store, AppendOp(STREAM, 0, Secret(DATA), pieces, False))
        do(store, MirrorOp(STREAM, ("k1", "k2", "k3"), (0, SIZE, 3 * SIZE), SIZE, "m", ("s",), 50, 1))
        first = do(store, TakeOp("s", "m", ("k1",), 2)).values
        store.close()
        store = self.make(tmp_path)
        assert code_of(store, TakeOp("s", "m", ("k1",), 3)) == "key-not-found"
        second = do(store, TakeOp("s", "m", ("k3",), 3)).values
        assert (first[0].reveal(), second[0].reveal()) == (DATA[:32], DATA[96:128])
        assert do(store, VoidOp("l", 3, 3, 4)).key_ids == ("k2",)
        store.close()
        store = self.make(tmp_path)
        assert [h.state for h in do(store, ListOp("s", 9))] == ["done", "void", "done"]
        store.close()

    def test_k15_a_ban_outlives_a_restart(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        do(store, VoidOp("l", 3, 9, 1))
        store = self.again(store, tmp_path)
        for block, refused in ((2, False), (3, True), (9, True), (10, False)):
            pieces = (Provenance("l", block, 0, 64, "delivered"),)
            op = AppendOp(STREAM, block * 64, Secret(bytes(8)), pieces, True)
            assert not refused or code_of(store, op) == "no-key-material"
            assert refused or do(store, op).tail_bits == block * 64 + 64
        do(store, ReadmitOp("l", 7, 1))
        store = self.again(store, tmp_path)
        both = (Provenance("l", 7, 0, 64, "delivered"), Provenance("l", 6, 0, 64, "tag"))
        assert code_of(store, AppendOp(STREAM, 4096, Secret(bytes(8)), both, True)) == "no-key-material"
        assert do(store, AppendOp(STREAM, 4096, Secret(bytes(8)), both[:1], True)).tail_bits == 4160
        store.close()

    def test_k12_how_far_it_and_others_have_come_outlives_a_restart(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        assert not do(store, BeginOp(10)).has_past
        do(store, SeenOp({"kme-x": Point(1, 7), "kme-y": Point(1, 1)}, 1))
        do(store, SeenOp({"kme-x": Point(1, 5), "kme-y": Point(2, 0)}, 1))
        before: Marks = do(store, MarksOp())
        assert before.seen == {"kme-x": Point(1, 7), "kme-y": Point(2, 0)}
        store = self.again(store, tmp_path)
        assert do(store, MarksOp()) == before or not self.durable
        marks: Marks = do(store, BeginOp(20))
        assert marks.has_past
        assert not marks.older_than(before.point)
        assert marks.older_than(Point(10, before.point.writes + 1))
        do(store, RewoundOp(before.point.writes + 1, 30))
        store = self.again(store, tmp_path)
        assert not do(store, MarksOp()).older_than(Point(10, before.point.writes + 1))
        store.close()

    def again(self, store: KeyStore, directory: Path) -> KeyStore:
        """The store after a restart, if it keeps anything."""
        if not self.durable:
            return store
        store.close()
        return self.make(directory)


@dataclass
class Copy:
    """What the machine's model knows of a key: where its bits lie, and who may still take it."""

    stream: str
    offset: int
    expires: int
    slaves: tuple[str, ...]
    taken: set[str] = field(default_factory=set)


BLOCK = 2 * SIZE
SIDES = {STREAM: True, "c>d": False}
"""The machine's streams: one that its store opens keys from, one that it mirrors keys of."""


class StoreMachine(RuleBasedStateMachine):
    """One store and a plain model of it, by rules in any order; `machine_of` makes it for a store."""

    make: ClassVar[Callable[[Path], KeyStore]]
    durable: ClassVar[bool]

    @initialize()
    def begin(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="quoit-store-"))
        self.store = type(self).make(self.directory)
        self.names = (f"k{n}" for n in itertools.count())
        self.bits = dict.fromkeys(SIDES, b"")
        self.head = dict.fromkeys(SIDES, 0)
        self.now = 0
        self.open: dict[str, Copy] = {}
        self.gone: dict[str, Copy] = {}
        self.void: set[int] = set()
        self.banned: set[int] = set()
        self.writes = 0

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.directory)

    def _block(self, stream: str, offset: int) -> int:
        """The link's block behind a bit: even ones are of the stream to open from, odd ones of the other."""
        return 2 * (offset // BLOCK) + (stream == "c>d")

    def _value(self, stream: str, offset: int) -> bytes:
        return self.bits[stream][offset // 8 : (offset + SIZE) // 8]

    @rule(stream=st.sampled_from(sorted(SIDES)), fill=st.binary(min_size=BLOCK // 8, max_size=BLOCK // 8))
    def append(self, stream: str, fill: bytes) -> None:
        start = 8 * len(self.bits[stream])
        block = self._block(stream, start)
        pieces = (Provenance("l", block, 0, BLOCK, "delivered"),)
        if block in self.banned:
            op = AppendOp(stream, start, Secret(fill), pieces, SIDES[stream])
            assert code_of(self.store, op) == "no-key-material"
            do(self.store, ReadmitOp("l", block, self.now))
            self.banned = {b for b in self.banned if b < block}
        for _ in range(2):  # the second time changes nothing
            level: Level = do(self.store, AppendOp(stream, start, Secret(fill), pieces, SIDES[stream]))
            assert level.tail_bits == start + BLOCK
        self.bits[stream] += fill

    @rule(number=st.integers(1, 3))
    def open_keys(self, number: int) -> None:
        keys = tuple(next(self.names) for _ in range(number))
        op = OpenOp(STREAM, keys, SIZE, "m", ("s",), self.now + 1, self.now)
        stretches = range(self.head[STREAM], 8 * len(self.bits[STREAM]), SIZE)
        free = [o for o in stretches if self._block(STREAM, o) not in self.void]
        if len(free) < number:
            assert code_of(self.store, op) == "no-key-material"
            return
        opened: Opened = do(self.store, op)
        assert code_of(self.store, op) == "unit-exists"
        assert list(opened.offsets) == free[:number]
        assert [v.reveal() for v in opened.values] == [self._value(STREAM, o) for o in opened.offsets]
        self.head[STREAM] = opened.offsets[-1] + SIZE
        self.gone |= {k: Copy(STREAM, o, 0, ("s",), {"m"}) for k, o in zip(keys, opened.offsets, strict=True)}

    @precondition(lambda self: 8 * len(self.bits["c>d"]) - self.head["c>d"] >= SIZE)
    @rule(
        number=st.integers(1, 3),
        skip=st.integers(0, 1),
        valid=st.integers(1, 3),
        slaves=st.sampled_from([("s",), ("s", "t")]),
    )
    def mirror(self, number: int, skip: int, valid: int, slaves: tuple[str, ...]) -> None:
        stream, until = "c>d", self.now + valid
        offsets = tuple(self.head[stream] + SIZE * (skip + i) for i in range(number))
        keys = tuple(next(self.names) for _ in offsets)
        op = MirrorOp(stream, keys, offsets, SIZE, "m", slaves, until, self.now)
        missing = offsets[-1] + SIZE > 8 * len(self.bits[stream])
        if missing or self.void & {self._block(stream, o) for o in offsets}:
            assert code_of(self.store, op) == "key-not-found"
            return
        do(self.store, op)
        again = MirrorOp(stream, tuple(next(self.names) for _ in keys), offsets, SIZE, "m", ("s",), None, self.now)
        for twice in (op, again):  # neither the identifiers nor the bits
            assert code_of(self.store, twice) == "unit-exists"
        self.head[stream] = offsets[-1] + SIZE
        self.open |= {k: Copy(stream, o, until, slaves) for k, o in zip(keys, offsets, strict=True)}

    @precondition(lambda self: self.open)
    @rule(data=st.data(), caller=st.sampled_from(["s", "t", "eve"]))
    def take(self, data: st.DataObject, caller: str) -> None:
        keys = tuple(data.draw(st.lists(st.sampled_from(sorted(self.open)), min_size=1, max_size=3, unique=True)))
        op = TakeOp(caller, "m", keys, self.now)
        copies = [self.open[k] for k in keys]
        if any(self.now >= c.expires or caller in c.taken for c in copies):
            assert code_of(self.store, op) == "key-not-found"
            return
        if any(caller not in c.slaves for c in copies):
            assert code_of(self.store, op) == "not-authorised"
            return
        values = do(self.store, op).values
        assert [v.reveal() for v in values] == [self._value(c.stream, c.offset) for c in copies]
        for key, copy in zip(keys, copies, strict=True):
            copy.taken.add(caller)
            if copy.taken == set(copy.slaves):
                self.gone[key] = self.open.pop(key)

    @precondition(lambda self: self.gone)
    @rule(data=st.data())
    def take_again(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.gone)))
        assert code_of(self.store, TakeOp("s", "m", (key,), self.now)) == "key-not-found"
        mixed = (*list(self.open)[:1], key)
        assert code_of(self.store, TakeOp("s", "m", mixed, self.now)) == "key-not-found"

    @rule(by=st.integers(1, 2))
    def time_passes(self, by: int) -> None:
        self.now += by

    @rule()
    def expire(self) -> None:
        late = {k for k, copy in self.open.items() if self.now >= copy.expires}
        assert do(self.store, ExpireOp(self.now)) == len(late)
        self._close(late)

    @precondition(lambda self: any(self.bits.values()))
    @rule(data=st.data(), stream=st.sampled_from(sorted(SIDES)))
    def quarantine(self, data: st.DataObject, stream: str) -> None:
        last = max(0, 8 * len(self.bits[stream]) - BLOCK) // BLOCK
        block = self._block(stream, BLOCK * data.draw(st.integers(0, last)))
        hit = {k for k, c in self.open.items() if self._block(c.stream, c.offset) == block}
        out = {k for k, c in (self.open | self.gone).items() if c.taken and self._block(c.stream, c.offset) == block}
        voided: Voided = do(self.store, VoidOp("l", block, block, self.now))
        assert set(voided.key_ids) == hit
        assert set(voided.delivered_key_ids) == out
        self.banned.add(block)
        if self.bits[stream]:
            self.void.add(block)
        self._close(hit)

    @rule(keys=st.integers(0, 3))
    def skip(self, keys: int) -> None:
        to = min(8 * len(self.bits[STREAM]), self.head[STREAM] + keys * SIZE)
        do(self.store, SkipOp(STREAM, to, self.now))
        self.head[STREAM] = max(self.head[STREAM], to)

    @precondition(lambda self: len(self.gone) > 8)  # seldom: what it voids, no other rule can go on with
    @rule(ahead=st.integers(0, 2))
    def learn_of_being_old(self, ahead: int) -> None:
        marks: Marks = do(self.store, MarksOp())
        voided: Voided = do(self.store, RewoundOp(marks.point.writes + ahead, self.now))
        assert set(voided.key_ids) == self.open.keys()
        assert do(self.store, MarksOp()).point.writes > marks.point.writes + ahead
        self._close(set(self.open))
        self.head = {stream: 8 * len(bits) for stream, bits in self.bits.items()}

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.open)))
        assert do(self.store, CancelOp((key,), self.now)) == 1
        self._close({key})

    @precondition(lambda self: self.durable)
    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = type(self).make(self.directory)

    def _close(self, keys: set[str]) -> None:
        self.gone |= {key: self.open.pop(key) for key in keys}

    @invariant()
    def its_count_of_writes_never_falls(self) -> None:
        if hasattr(self, "store"):
            marks: Marks = do(self.store, MarksOp())
            assert marks.point.writes >= self.writes
            self.writes = marks.point.writes

    @invariant()
    def every_key_is_as_the_model_says(self) -> None:
        if not hasattr(self, "store"):
            return
        shown: dict[str, Handout] = {h.key_id: h for h in do(self.store, ListOp("m", 10_000))}
        assert shown.keys() == self.open.keys() | self.gone.keys()
        assert {k for k, h in shown.items() if h.state == "open"} == self.open.keys()
        for key, copy in (self.open | self.gone).items():
            assert set(shown[key].delivered) == copy.taken


def machine_of(make: Callable[[Path], KeyStore], durable: bool = True) -> type[StoreMachine]:
    """A hypothesis machine over one store: K1, K2, K3, K5, K6, K9, K10, K13, K15, and K4 where the store is
    `durable` (it is closed and opened again at any time)."""
    return type("Machine", (StoreMachine,), {"make": staticmethod(make), "durable": durable})
