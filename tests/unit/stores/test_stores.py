"""Both key stores keep the port's promises; the durable one keeps them over a kill and on disk."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap
from hypothesis import given, settings
from hypothesis import strategies as st

from quoit.adapters.crypto.kek import FileKek
from quoit.adapters.stores import care
from quoit.adapters.stores.audit import AuditError, verify_audit
from quoit.adapters.stores.memory import MemoryStore
from quoit.adapters.stores.sqlite import SqliteStore, StoreCorrupt
from quoit.model.problem import Problem
from quoit.model.secret import Secret
from quoit.service.keystore import AppendOp, ImportOp, KeyStore, MirrorOp, OpenOp, SkipOp, StoreFailed, TakeOp
from quoit.testing.stores import BITS, DATA, StoreContract, code_of, do, machine_of


@pytest.mark.realises("B6", "C2", "I2")
class TestMemory(StoreContract):
    durable = False

    def make(self, directory: Path) -> KeyStore:
        return MemoryStore()


@pytest.mark.realises("B6", "C2", "I2")
class TestSqlite(StoreContract):
    def make(self, directory: Path) -> KeyStore:
        return SqliteStore(directory)


TestMemoryMachine = machine_of(lambda directory: MemoryStore(), durable=False).TestCase
TestMemoryMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, derandomize=True)
TestSqliteMachine = machine_of(SqliteStore).TestCase
TestSqliteMachine.settings = settings(max_examples=25, stateful_step_count=40, deadline=None, derandomize=True)


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
    assert opened.offsets[0] > max(answered)
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


def test_s5_a_consumed_key_is_in_no_file_of_the_store_even_for_who_has_its_key(tmp_path: Path) -> None:
    data = os.urandom(1024)
    store = SqliteStore(tmp_path)
    do(store, AppendOp("a>b", 0, Secret(data), (), True))
    (value,) = do(store, OpenOp("a>b", ("k",), 256, "m", ("s",), None, 1)).values
    assert _recoverable(tmp_path, 0, value)  # the log holds the block as it was: the scan finds what is there
    store.close()
    assert not _recoverable(tmp_path, 0, value)
    assert _recoverable(tmp_path, 32, Secret(data[32:64]))


def _recoverable(directory: Path, offset: int, value: Secret) -> bool:
    """Whether any stretch of the store's files is a data key under which any other is `value`, sealed at `offset`
    of a block. AES-GCM encrypts by counters from 2 on, so its parts are told without the rest."""
    kek = FileKek(directory / "kek.bin")
    files = [directory / name for name in ("store.db", "store.db-wal")]
    raw = b"".join(file.read_bytes() for file in files if file.exists())
    for at in range(len(raw) - 39):
        with contextlib.suppress(InvalidUnwrap):
            data_key = kek.unwrap(raw[at : at + 40])
            counters = Cipher(algorithms.AES(data_key), modes.CTR(bytes(12) + (2).to_bytes(4, "big")))
            pad = counters.encryptor().update(bytes(offset + len(value)))[offset:]
            if bytes(a ^ b for a, b in zip(value.reveal(), pad, strict=True)) in raw:
                return True
    return False


@pytest.mark.realises("B6", "C2")
@pytest.mark.parametrize("where", ["_book.apply", "_kek.wrap", "_audit.write"])
def test_a_store_that_runs_out_of_memory_does_nothing_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """It may have stopped between any two steps; what is on disk is whole."""
    store = SqliteStore(tmp_path)
    do(store, AppendOp("a>b", 0, Secret(DATA), (), True))
    do(store, OpenOp("a>b", ("k1",), 256, "m", ("s",), None, 1))

    def starved(*_: object) -> None:
        raise MemoryError

    part, name = where.split(".")
    monkeypatch.setattr(getattr(store, part), name, starved)
    for _ in range(2):
        with pytest.raises(StoreFailed):
            store.execute([OpenOp("a>b", ("k2",), 256, "m", ("s",), None, 2)])
        monkeypatch.undo()
    store.close()
    again = SqliteStore(tmp_path)
    do(again, OpenOp("a>b", ("k3",), 256, "m", ("s",), None, 3))
    again.close()
    verify_audit(tmp_path / "audit.jsonl")


def test_an_altered_issue_is_refused(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    do(store, AppendOp("a>b", 0, Secret(bytes(64)), (), False))
    do(store, MirrorOp("a>b", ("k",), (0,), 256, "m", ("s",), None, 1))
    store.close()
    with sqlite3.connect(tmp_path / "store.db") as db:
        fixed = db.execute("SELECT fixed FROM issue").fetchone()[0]
        db.execute("UPDATE issue SET fixed=?", (fixed.replace(b"\xa1s", b"\xa1e"),))
    with pytest.raises(StoreCorrupt, match="altered"):
        SqliteStore(tmp_path)


def test_a_store_under_another_key_is_refused(tmp_path: Path) -> None:
    SqliteStore(tmp_path).close()
    (tmp_path / "kek.bin").unlink()
    with pytest.raises(StoreCorrupt, match="another key"):
        SqliteStore(tmp_path)


def test_a_torn_audit_line_is_cut_off_and_the_chain_goes_on(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    do(store, SkipOp("a>b", 1, 1))
    store.close()
    log = tmp_path / "audit.jsonl"
    whole = log.read_bytes()
    log.write_bytes(whole + b'{"at_ns":1,"wh')
    store = SqliteStore(tmp_path)
    do(store, SkipOp("a>b", 1, 1))
    store.close()
    assert verify_audit(log)[0] == 2


def test_a_backup_that_is_put_back_brings_no_key_back(tmp_path: Path) -> None:
    directory, copy = tmp_path / "store", tmp_path / "copy"
    store = SqliteStore(directory)
    do(store, AppendOp("a>b", 0, Secret(os.urandom(128)), (), False))
    do(store, MirrorOp("a>b", ("k1", "k2"), (0, 256), 256, "m", ("s",), None, 1))
    store.close()
    care.backup(directory, copy)
    store = SqliteStore(directory)
    do(store, TakeOp("s", "m", ("k1",), 2))
    records = verify_audit(directory / "audit.jsonl")[0]
    store.close()
    assert care.restore(copy, directory) == 2
    store = SqliteStore(directory)
    assert [code_of(store, TakeOp("s", "m", (k,), 3)) for k in ("k1", "k2")] == ["key-not-found"] * 2
    assert code_of(store, MirrorOp("a>b", ("k1",), (512,), 256, "m", ("s",), None, 4)) == "unit-exists"
    store.close()
    assert verify_audit(directory / "audit.jsonl")[0] > records
    assert not (copy / "kek.bin").exists()
    with pytest.raises(care.CareError, match="exists already"):
        care.backup(directory, copy)
    with pytest.raises(care.CareError, match="no key store"):
        care.backup(tmp_path / "nothing", tmp_path / "x")


def test_a_rotated_store_opens_under_its_new_key_alone(tmp_path: Path) -> None:
    directory = tmp_path / "store"
    store = SqliteStore(directory)
    do(store, AppendOp("a>b", 0, Secret(os.urandom(64)), (), True))
    do(store, ImportOp(("i",), (Secret(bytes(range(32))),), "m", ("s",), None, 1))
    store.close()
    old = (directory / "kek.bin").read_bytes()
    before = shutil.copytree(directory, tmp_path / "before")
    care.rotate(directory)
    new = (directory / "kek.bin").read_bytes()
    assert new != old
    store = SqliteStore(directory)
    assert do(store, TakeOp("s", "m", ("i",), 2)).values[0].reveal() == bytes(range(32))
    store.close()
    (directory / "kek.bin").write_bytes(old)
    with pytest.raises(StoreCorrupt, match="another key"):
        SqliteStore(directory)
    (directory / "kek.bin").write_bytes(new)
    with pytest.raises(care.CareError, match="--kek"):
        care.restore(before, directory)
    SqliteStore(directory).close()  # it has not been touched
    assert care.restore(before, directory, FileKek(before / "kek.bin")) == 1
    SqliteStore(directory).close()
    (directory / "kek.bin").write_bytes(old)
    # Stopped after the database's commit, before the new key had its name:
    (directory / "kek.next").write_bytes(new)
    (directory / "kek.next").chmod(0o600)
    SqliteStore(directory).close()
    assert (directory / "kek.bin").read_bytes() == new
    # Stopped before that commit: the old key opens, the new one is of no matter.
    shutil.copy2(directory / "kek.bin", before / "kek.next")
    SqliteStore(before).close()
