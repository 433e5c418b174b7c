"""The durable store: SQLite in WAL mode with synchronous=FULL, one writer, group commit.

A batch runs in one transaction: decide (in memory), write down what changed, commit, audit, answer. If the
commit fails, memory is ahead of the disk, so the store refuses everything from then on: restart it.
Blocks are sealed with AES-256-GCM under a data key of their own, wrapped by the key-encryption key; a
block whose keys are all done with is deleted with its data key.

Limits: handouts are kept in memory and on disk as tombstones; a consumed key's sealed bits stay on disk
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
from quoit.service.keystore import (
    AppendOp,
    Block,
    FindOp,
    Handout,
    LevelOp,
    ListOp,
    Op,
    Provenance,
    StoreBook,
    Stream,
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS stream(name TEXT PRIMARY KEY, mine INT, head INT, tail INT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS block(stream TEXT, start INT, wrapped BLOB, sealed BLOB, provenance BLOB,
  PRIMARY KEY(stream, start)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS handout(key_id TEXT PRIMARY KEY, record BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS value(key_id TEXT PRIMARY KEY, wrapped BLOB, sealed BLOB) WITHOUT ROWID;
"""
_SILENT = (FindOp, ListOp, LevelOp, AppendOp)
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
        self._broken: Problem | None = None
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
        self._db.execute(_SCHEMA)

    # -- running -------------------------------------------------------------------------------------

    def execute(self, batch: list[Op]) -> list[Any]:
        if self._broken is not None:
            return [self._broken] * len(batch)
        results: list[Any] = []
        for op in batch:
            try:
                results.append(self._book.apply(op))
            except Problem as problem:
                results.append(problem)
        try:
            self._commit()
        except apsw.Error as fault:
            self._broken = Problem("store-failed", type(fault).__name__)
            return [self._broken] * len(batch)
        try:
            records = [_audit(op, r) for op, r in zip(batch, results, strict=True) if not isinstance(op, _SILENT)]
            if records:
                self._audit.write(records)
        except OSError as fault:
            self._broken = Problem("audit-failed", type(fault).__name__)
            return [self._broken] * len(batch)
        return results

    def _commit(self) -> None:
        changed, self._book.changed = self._book.changed, []
        if not changed:
            return
        streams: dict[str, Stream] = {}
        handouts: dict[str, Handout] = {}
        db = self._db
        with db:
            for change in changed:
                kind = change[0]
                if kind == "stream":
                    streams[change[1].name] = change[1]
                elif kind == "handout":
                    handouts[change[1].key_id] = change[1]
                elif kind == "block":
                    self._write_block(change[1], change[2])
                elif kind == "erase":
                    db.execute("DELETE FROM block WHERE stream=? AND start=?", (change[1].name, change[2].start))
                else:
                    self._write_value(change[1], change[2])
            rows = [(s.name, s.mine, s.head, s.tail) for s in streams.values()]
            db.executemany("INSERT OR REPLACE INTO stream VALUES(?,?,?,?)", rows)
            kept = [(h.key_id, self._pack(h)) for h in handouts.values()]
            db.executemany("INSERT OR REPLACE INTO handout VALUES(?,?)", kept)

    def _write_block(self, stream: Stream, block: Block) -> None:
        wrapped, sealed = self._seal(bytes(block.data), f"{stream.name}|{block.start}|{block.bits}")
        row = (stream.name, block.start, wrapped, sealed, self._pack(block.provenance))
        self._db.execute("INSERT INTO block VALUES(?,?,?,?,?)", row)

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
        book = self._book
        for name, mine, head, tail in self._db.execute("SELECT name, mine, head, tail FROM stream"):
            stream = book.streams[name] = Stream(name, bool(mine))
            stream.head, stream.tail = head, tail
        query = "SELECT stream, start, wrapped, sealed, provenance FROM block ORDER BY stream, start"
        for name, start, wrapped, sealed, provenance in self._db.execute(query):
            bits = 8 * (len(sealed) - 16)
            data = self._unseal(wrapped, sealed, f"{name}|{start}|{bits}")
            pieces = msgspec.msgpack.decode(provenance, type=tuple[Provenance, ...])
            book.streams[name].blocks.append(Block(start, bytearray(data), pieces))
        for key_id, wrapped, sealed in self._db.execute("SELECT key_id, wrapped, sealed FROM value"):
            book.values[key_id] = Secret(self._unseal(wrapped, sealed, key_id))
        records = self._db.execute("SELECT record FROM handout")
        book.restore(msgspec.msgpack.decode(record, type=Handout) for (record,) in records)

    def close(self) -> None:
        self._db.close()
        self._audit.close()


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
