"""The durable store: SQLite in WAL mode with synchronous=FULL, one writer, group commit.

A batch runs in one transaction: decide (in memory), write down what changed, commit, audit, answer. If the
commit or the audit fails, memory is ahead of the disk: `StoreFailed`, and the process must end.
Blocks are sealed with AES-256-GCM under a data key of their own, wrapped by the key-encryption key; a
block whose keys are all done with is deleted with its data key.

Limits: issues are kept in memory and on disk when their keys are gone; a consumed key's sealed bits stay on disk
until the rest of its block is consumed. Use from one thread at a time.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import apsw
import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap

from quoit.adapters.crypto.kek import FileKek, Kek
from quoit.adapters.stores.audit import AuditError, AuditLog
from quoit.model.problem import Problem
from quoit.model.secret import Secret
from quoit.service.keystore import AppendOp, FindOp, LevelOp, ListOp, Op, Provenance, StoreFailed
from quoit.service.storebook import Block, Issue, Origin, StoreBook, Stream

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE stream(name TEXT PRIMARY KEY, mine INT, head INT, tail INT) WITHOUT ROWID;
CREATE TABLE origin(stream TEXT, start INT, end INT, provenance BLOB, void INT,
  PRIMARY KEY(stream, start)) WITHOUT ROWID;
CREATE TABLE block(stream TEXT, start INT, wrapped BLOB, sealed BLOB, PRIMARY KEY(stream, start)) WITHOUT ROWID;
CREATE TABLE issue(number INTEGER PRIMARY KEY, fixed BLOB, handed BLOB);
CREATE TABLE value(key_id TEXT PRIMARY KEY, wrapped BLOB, sealed BLOB) WITHOUT ROWID;
"""
_SILENT = (FindOp, ListOp, LevelOp, AppendOp)
TAG_BYTES = 16
_NONCE = bytes(12)
"""Every data key seals one message only, so the nonce need not vary."""


class StoreCorrupt(ValueError):
    """A store on disk that must not be served from. Says what is wrong."""


class SqliteStore:
    """See `KeyStore`. `directory` holds store.db, audit.jsonl and, unless a `kek` is given, kek.bin."""

    def __init__(self, directory: Path, kek: Kek | None = None) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._kek = kek or FileKek(directory / "kek.bin")
        self._book = StoreBook()
        self._failed = False
        self._pack = msgspec.msgpack.Encoder().encode
        path = directory / "store.db"
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        try:
            self._audit = AuditLog(directory / "audit.jsonl")
        except AuditError as fault:
            raise StoreCorrupt(f"the audit log is damaged: {fault}") from fault
        self._db = apsw.Connection(str(path))
        try:
            self._prepare(path)
        except apsw.Error as fault:
            raise StoreCorrupt(f"{path}: SQLite refuses it: {fault}") from fault
        self._load(path)

    def _prepare(self, path: Path) -> None:
        self._db.pragma("journal_mode", "wal")
        self._db.pragma("synchronous", "full")
        self._db.pragma("secure_delete", True)
        if self._db.pragma("quick_check") != "ok":
            raise StoreCorrupt(f"{path}: quick_check found damage; restore a backup")
        found = self._db.pragma("user_version")
        if found not in (0, SCHEMA_VERSION):
            raise StoreCorrupt(f"{path}: expected a store of version {SCHEMA_VERSION}, found {found}; use its quoit")
        if not found:
            with self._db:
                self._db.execute(_SCHEMA)
                self._db.pragma("user_version", SCHEMA_VERSION)

    # -- running -------------------------------------------------------------------------------------

    def execute(self, batch: list[Op]) -> list[Any]:
        if self._failed:
            raise StoreFailed("the store failed before")
        results: list[Any] = []
        for op in batch:
            try:
                results.append(self._book.apply(op))
            except Problem as problem:
                results.append(problem)
        try:
            self._commit()
            records = [_audit(op, r) for op, r in zip(batch, results, strict=True) if not isinstance(op, _SILENT)]
            if records:
                self._audit.write(records)
        except (apsw.Error, OSError) as fault:
            self._failed = True
            raise StoreFailed(f"{type(fault).__name__}: {fault}") from fault
        return results

    def _commit(self) -> None:
        changes = self._book.fetch_changes()
        if not changes:
            return
        db, pack = self._db, self._pack
        with db:
            for stream in changes.streams.values():
                row = (stream.name, stream.mine, stream.head, stream.tail)
                db.execute("INSERT OR REPLACE INTO stream VALUES(?,?,?,?)", row)
            for stream, origin in changes.origins:
                where = (stream.name, origin.start, origin.end)
                db.execute(
                    "INSERT OR REPLACE INTO origin VALUES(?,?,?,?,?)", (*where, pack(origin.provenance), origin.void)
                )
            for stream, block in changes.blocks:
                self._write_block(stream, block)
            for stream, block in changes.erased:
                db.execute("DELETE FROM block WHERE stream=? AND start=?", (stream.name, block.start))
            for number, issue in changes.issues.items():
                fixed, handed = pack(_fixed(issue)), pack((issue.having, bytes(issue.states)))
                db.execute("INSERT INTO issue VALUES(?,?,?)", (number, fixed, handed))
            for number, issue in changes.handed.items():
                if number not in changes.issues:
                    handed = pack((issue.having, bytes(issue.states)))
                    db.execute("UPDATE issue SET handed=? WHERE number=?", (handed, number))
            for key_id, value in changes.values.items():
                self._write_value(key_id, value)

    def _write_block(self, stream: Stream, block: Block) -> None:
        wrapped, sealed = self._seal(bytes(block.data), f"{stream.name}|{block.start}|{block.end}")
        self._db.execute("INSERT INTO block VALUES(?,?,?,?)", (stream.name, block.start, wrapped, sealed))

    def _write_value(self, key_id: str, value: Secret | None) -> None:
        if value is None:
            self._db.execute("DELETE FROM value WHERE key_id=?", (key_id,))
        else:
            row = (key_id, *self._seal(value.reveal(), key_id))
            self._db.execute("INSERT INTO value VALUES(?,?,?)", row)

    def _seal(self, data: bytes, name: str) -> tuple[bytes, bytes]:
        data_key = os.urandom(32)
        return self._kek.wrap(data_key), AESGCM(data_key).encrypt(_NONCE, data, name.encode())

    def _unseal(self, wrapped: bytes, sealed: bytes, name: str) -> bytes:
        try:
            return AESGCM(self._kek.unwrap(wrapped)).decrypt(_NONCE, sealed, name.encode())
        except (InvalidTag, InvalidUnwrap) as fault:
            raise StoreCorrupt(f"{name} does not open: another key-encryption key, or altered on disk") from fault

    # -- coming back ---------------------------------------------------------------------------------

    def _load(self, path: Path) -> None:
        book, db, unpack = self._book, self._db, msgspec.msgpack.decode
        for name, mine, head, tail in db.execute("SELECT name, mine, head, tail FROM stream"):
            book.streams[name] = Stream(name, bool(mine), head, tail)
        for name, start, end, packed, void in db.execute("SELECT * FROM origin ORDER BY stream, start"):
            pieces = unpack(packed, type=tuple[Provenance, ...])
            book.streams[name].add_origin(Origin(start, end, pieces, bool(void)))
        for name, start, wrapped, sealed in db.execute("SELECT * FROM block ORDER BY stream, start"):
            end = start + 8 * (len(sealed) - TAG_BYTES)
            data = self._unseal(wrapped, sealed, f"{name}|{start}|{end}")
            book.streams[name].add_block(Block(start, bytearray(data)))
        for key_id, wrapped, sealed in db.execute("SELECT key_id, wrapped, sealed FROM value"):
            book.values[key_id] = Secret(self._unseal(wrapped, sealed, key_id))
        book.restore(_issue(*row) for row in db.execute("SELECT number, fixed, handed FROM issue"))

    def close(self) -> None:
        self._db.close()
        self._audit.close()


def _fixed(issue: Issue) -> tuple[Any, ...]:
    """What of an issue never changes."""
    return (
        issue.stream, issue.key_ids, issue.offsets, issue.size_bits, issue.parties, issue.created_ns, issue.expires_ns,
    )  # fmt: skip


_FIXED = tuple[str, tuple[str, ...], tuple[int, ...], int, tuple[str, ...], int, int | None]


def _issue(number: int, fixed: bytes, handed: bytes) -> Issue:
    issue = Issue(number, *msgspec.msgpack.decode(fixed, type=_FIXED))
    issue.having, states = msgspec.msgpack.decode(handed, type=tuple[list[int], bytes])
    issue.states = bytearray(states)
    return issue


def _audit(op: Any, result: Any) -> dict[str, Any]:
    who = getattr(op, "caller", None) or getattr(op, "master", None)
    outcome = result.code if isinstance(result, Problem) else "done"
    return {
        "at_ns": op.now_ns,
        "what": type(op).__name__.removesuffix("Op").lower(),
        "who": who,
        "key_ids": list(getattr(op, "key_ids", ())),
        "outcome": outcome,
    }
