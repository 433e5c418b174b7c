"""Both key stores keep the same promises; the durable one keeps them over a kill."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quoit.adapters.stores.audit import AuditError, verify_audit
from quoit.adapters.stores.memory import MemoryStore
from quoit.adapters.stores.sqlite import SqliteStore, StoreCorrupt
from quoit.model.problem import Problem
from quoit.model.secret import Secret
from quoit.service.keystore import (
    AppendOp,
    KeyStore,
    LevelOp,
    MirrorOp,
    OpenOp,
    Provenance,
    TakeOp,
    VoidOp,
)

BITS = 4096
DATA = bytes(range(256)) * 2


@pytest.fixture(params=["memory", "sqlite"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[KeyStore, KeyStore]]:
    """The master's and the slave's store, with one block of the same stream."""
    stores: list[KeyStore] = [
        MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / side) for side in ("a", "b")
    ]
    for store, mine in zip(stores, (True, False), strict=True):
        do(store, AppendOp("a>b", 0, Secret(DATA), (Provenance("l", 3, 0, BITS, "delivered"),), mine))
    yield stores[0], stores[1]
    for store in stores:
        store.close()


def do(store: KeyStore, op: object) -> object:
    (result,) = store.execute([op])  # type: ignore[list-item]
    if isinstance(result, Problem):
        raise result
    return result


def open_at_both(pair: tuple[KeyStore, KeyStore], *key_ids: str, expires: int | None = None) -> list[Secret]:
    opened = do(pair[0], OpenOp("a>b", key_ids, 256, "m", ("s",), expires, 1))
    do(pair[1], MirrorOp("a>b", key_ids, opened.offsets, 256, "m", ("s",), expires, 1))  # type: ignore[attr-defined]
    return list(opened.values)  # type: ignore[attr-defined]


def code_of(store: KeyStore, op: object) -> str:
    with pytest.raises(Problem) as found:
        do(store, op)
    return found.value.code


@pytest.mark.realises("B6", "C2")
def test_k1_k3_each_party_once_and_the_same_bytes(pair: tuple[KeyStore, KeyStore]) -> None:
    values = open_at_both(pair, "k1", "k2")
    taken = do(pair[1], TakeOp("s", "m", ("k1", "k2"), 2))
    assert list(taken.values) == values  # type: ignore[attr-defined]
    assert code_of(pair[1], TakeOp("s", "m", ("k1",), 3)) == "key-not-found"


def test_k2_nobody_else(pair: tuple[KeyStore, KeyStore]) -> None:
    open_at_both(pair, "k1")
    assert code_of(pair[1], TakeOp("stranger", "m", ("k1",), 2)) == "not-authorised"
    assert code_of(pair[1], TakeOp("s", "other", ("k1",), 2)) == "key-not-found"


def test_k9_expiry_at_equality(pair: tuple[KeyStore, KeyStore]) -> None:
    open_at_both(pair, "k1", expires=10)
    assert code_of(pair[1], TakeOp("s", "m", ("k1",), 10)) == "key-not-found"
    do(pair[1], TakeOp("s", "m", ("k1",), 9))


def test_k10_all_or_nothing(pair: tuple[KeyStore, KeyStore]) -> None:
    open_at_both(pair, "k1")
    assert code_of(pair[1], TakeOp("s", "m", ("k1", "unknown"), 2)) == "key-not-found"
    do(pair[1], TakeOp("s", "m", ("k1",), 2))
    too_many = tuple(f"n{i}" for i in range(BITS // 256))
    assert code_of(pair[0], OpenOp("a>b", too_many, 256, "m", ("s",), None, 1)) == "no-key-material"
    assert do(pair[0], LevelOp("a>b")).free_bits == BITS - 256  # type: ignore[attr-defined]


def test_k5_k6_no_id_and_no_bit_twice(pair: tuple[KeyStore, KeyStore]) -> None:
    open_at_both(pair, "k1")
    assert code_of(pair[0], OpenOp("a>b", ("k1",), 256, "m", ("s",), None, 1)) == "unit-exists"
    assert code_of(pair[1], MirrorOp("a>b", ("k2",), (0,), 256, "m", ("s",), None, 1)) == "unit-exists"


@pytest.mark.realises("I2")
def test_k13_k15_voided_bits_are_never_delivered(pair: tuple[KeyStore, KeyStore]) -> None:
    open_at_both(pair, "k1")
    for store in pair:
        do(store, VoidOp("l", 2, 9, 2))
    assert code_of(pair[1], TakeOp("s", "m", ("k1",), 3)) == "key-not-found"
    assert code_of(pair[0], OpenOp("a>b", ("k2",), 256, "m", ("s",), None, 1)) == "no-key-material"


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.sampled_from([64, 128, 256, 1024]), max_size=30))
def test_k6_offsets_never_overlap(sizes: list[int]) -> None:
    store = MemoryStore()
    do(store, AppendOp("a>b", 0, Secret(DATA), (), True))
    spans: list[tuple[int, int]] = []
    for i, size in enumerate(sizes):
        (result,) = store.execute([OpenOp("a>b", (f"k{i}",), size, "m", ("s",), None, 1)])
        if isinstance(result, Problem):
            assert sum(end - start for start, end in spans) + size > BITS
            continue
        spans.append((result.offsets[0], result.offsets[0] + size))
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


KILLED = """
import sys, os, signal
from pathlib import Path
from quoit.adapters.stores.sqlite import SqliteStore
from quoit.model.secret import Secret
from quoit.service.keystore import AppendOp, OpenOp
store = SqliteStore(Path(sys.argv[1]))
store.execute([AppendOp("a>b", 0, Secret(bytes(65536)), (), True)])
for i in range(10**6):
    (opened,) = store.execute([OpenOp("a>b", (f"k{i}",), 256, "m", ("s",), None, 1)])
    print(opened.offsets[0], flush=True)
"""


@pytest.mark.realises("C2")
def test_k4_nothing_answered_comes_back_after_a_kill(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    answered = [int(next(child.stdout)) for _ in range(40)]
    child.kill()
    answered += [int(line) for line in child.stdout.read().splitlines() if line.isdigit()]
    child.wait()
    store = SqliteStore(tmp_path)
    opened = do(store, OpenOp("a>b", ("after",), 256, "m", ("s",), None, 1))
    assert opened.offsets[0] > max(answered)  # type: ignore[attr-defined]
    store.close()
    assert verify_audit(tmp_path / "audit.jsonl")[0] >= len(answered)


def test_a_damaged_store_is_refused(tmp_path: Path) -> None:
    SqliteStore(tmp_path).close()
    log = tmp_path / "audit.jsonl"
    log.write_bytes(b'{"prev":"x"}\n')
    with pytest.raises(StoreCorrupt):
        SqliteStore(tmp_path)
    with pytest.raises(AuditError):
        verify_audit(log)


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    SqliteStore(tmp_path).close()
    for name in ("store.db", "kek.bin", "audit.jsonl"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0
