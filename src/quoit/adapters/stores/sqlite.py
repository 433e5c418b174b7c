"""The durable store: SQLite in WAL mode with synchronous=FULL, one writer, group commit.

A batch runs in one transaction: decide (in memory), write down what changed, commit, audit, answer. If the
commit or the audit fails, memory is ahead of the disk: `StoreFailed`, and the process must end.
Blocks are sealed with AES-256-GCM under a data key of their own, wrapped by the key-encryption key; a
block that lost bits to a key that is done with is sealed anew, without them, under a fresh data key in the same
commit. SQLite's log still holds the old data key, wrapped, until it is cut: at the latest `SHRED_COMMITS` commits
later, and whenever the store is closed. From then on a consumed key is in no file of the store, whoever has the
key-encryption key. What a disk keeps of overwritten sectors is beyond a program's reach.

Issues carry a keyed checksum over parties, size, expiry and who has what, so an altered row is refused.

Limit: issues are kept, in memory and on disk, when their keys are gone. Use from one thread at a time.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
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
    FindAllOp,
    FindOp,
    LevelOp,
    ListOp,
    MarksOp,
    Op,
    Point,
    Provenance,
    SeenOp,
    StoreFailed,
)
from quoit.service.storebook import Block, Changes, Issue, Origin, StoreBook, Stream

SCHEMA_VERSION = 2
_SCHEMA = """
CREATE TABLE stream(name TEXT PRIMARY KEY, mine INT, head INT, tail INT) WITHOUT ROWID;
CREATE TABLE origin(stream TEXT, start INT, end INT, provenance BLOB, void INT,
  PRIMARY KEY(stream, start)) WITHOUT ROWID;
CREATE TABLE block(stream TEXT, start INT, wrapped BLOB, sealed BLOB, PRIMARY KEY(stream, start)) WITHOUT ROWID;
CREATE TABLE issue(number INTEGER PRIMARY KEY, fixed BLOB, handed BLOB, checksum BLOB);
CREATE TABLE value(key_id TEXT PRIMARY KEY, wrapped BLOB, sealed BLOB) WITHOUT ROWID;
CREATE TABLE ban(link TEXT, first INT, last INT, PRIMARY KEY(link, first)) WITHOUT ROWID;
CREATE TABLE seen(kme TEXT PRIMARY KEY, life INT, writes INT) WITHOUT ROWID;
CREATE TABLE life(life INTEGER PRIMARY KEY, begun INT);
CREATE TABLE progress(one INTEGER PRIMARY KEY CHECK(one = 1), writes INT, settled INT, latest INT, checksum_key BLOB);
"""
SHRED_COMMITS = 1_000
"""Commits after which SQLite's log is cut; the log of as many is what a consumed key may be found in."""
_SILENT = (FindOp, FindAllOp, ListOp, LevelOp, AppendOp, MarksOp, SeenOp)
NEXT_KEK = "kek.next"
"""A key-encryption key on its way to be the store's."""
TAG_BYTES = 16
_NONCE = bytes(12)
"""Every data key seals one message only, so the nonce need not vary."""


class StoreCorrupt(ValueError):
    """A store on disk that must not be served from. Says what is wrong."""


class SqliteStore:
    """See `KeyStore`. `directory` holds store.db, audit.jsonl and, unless a `kek` is given, kek.bin.

    `vfs`: the name of SQLite's file layer to use.

    `latest_ns` is the latest instant that any operation named, in this life or an earlier one.
    """

    def __init__(self, directory: Path, kek: Kek | None = None, vfs: str | None = None) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._kek = kek or FileKek(directory / "kek.bin")
        self._directory = directory
        self._book = StoreBook()
        self._failed = False
        self._commits = 0
        self.latest_ns = 0
        self._pack = msgspec.msgpack.Encoder().encode
        path = directory / "store.db"
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        try:
            self._audit = AuditLog(directory / "audit.jsonl")
        except AuditError as fault:
            raise StoreCorrupt(f"the audit log is damaged: {fault}") from fault
        self._db = apsw.Connection(str(path), vfs=vfs)
        try:
            self._prepare(path)
        except apsw.Error as fault:
            raise StoreCorrupt(f"{path}: SQLite refuses it: {fault}") from fault
        self._load(path)

    def _prepare(self, path: Path) -> None:
        self._db.pragma("locking_mode", "exclusive")  # one owner; another process that opens it is refused
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
                self._db.execute("INSERT INTO progress VALUES(1, 0, -1, 0, ?)", (self._kek.wrap(os.urandom(32)),))
                self._db.pragma("user_version", SCHEMA_VERSION)

    # -- running -------------------------------------------------------------------------------------

    def execute(self, batch: list[Op]) -> list[Any]:
        if self._failed:
            raise StoreFailed("the store failed before")
        results: list[Any] = []
        for op in batch:
            self.latest_ns = max(self.latest_ns, getattr(op, "now_ns", 0))
            try:
                results.append(self._book.apply(op))
            except Problem as problem:
                results.append(problem)
        try:
            self._commit()
            records = [_audit(op, r) for op, r in zip(batch, results, strict=True) if not isinstance(op, _SILENT)]
            if records:
                self._audit.write(records)
            if self._commits >= SHRED_COMMITS:
                self._cut_log()
        except (apsw.Error, OSError) as fault:
            self._failed = True
            raise StoreFailed(f"{type(fault).__name__}: {fault}") from fault
        return results

    def _commit(self) -> None:
        changes = self._book.fetch_changes()
        if not changes:
            return
        self._commits += 1
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
            for (name, start), block in changes.thinned.items():
                thin = (*self._sealed_block(name, block), name, start)
                db.execute("UPDATE block SET wrapped=?, sealed=? WHERE stream=? AND start=?", thin)
            for stream, block in changes.erased:
                db.execute("DELETE FROM block WHERE stream=? AND start=?", (stream.name, block.start))
            for number, issue in changes.issues.items():
                fixed, handed = pack(_fixed(issue)), pack((issue.having, bytes(issue.states)))
                db.execute("INSERT INTO issue VALUES(?,?,?,?)", (number, fixed, handed, self._sum(fixed, handed)))
            for number, issue in changes.handed.items():
                if number not in changes.issues:
                    handed = pack((issue.having, bytes(issue.states)))
                    checksum = self._sum(pack(_fixed(issue)), handed)
                    db.execute("UPDATE issue SET handed=?, checksum=? WHERE number=?", (handed, checksum, number))
            for key_id, value in changes.values.items():
                self._write_value(key_id, value)
            self._commit_marks(changes)

    def _commit_marks(self, changes: Changes) -> None:
        db = self._db
        for link in changes.bans:
            db.execute("DELETE FROM ban WHERE link=?", (link,))
            db.executemany("INSERT INTO ban VALUES(?,?,?)", [(link, *stretch) for stretch in self._book.bans.of(link)])
        for kme, point in changes.seen.items():
            db.execute("INSERT OR REPLACE INTO seen VALUES(?,?,?)", (kme, point.life, point.writes))
        if changes.lives:
            db.execute("DELETE FROM life")
            db.executemany("INSERT INTO life VALUES(?,?)", [(p.life, p.writes) for p in self._book.lives])
        progress = (changes.writes, self._book.settled, self.latest_ns)
        db.execute("UPDATE progress SET writes=?, settled=?, latest=?", progress)

    def _cut_log(self) -> None:
        """Bring SQLite's log into the database and empty it: the data keys of what is gone go with it."""
        self._commits = 0
        self._db.pragma("wal_checkpoint", "truncate")

    def _sum(self, fixed: bytes, handed: bytes) -> bytes:
        return hmac.digest(self._checksum_key, fixed + b"|" + handed, hashlib.sha256)[:16]

    def _write_block(self, stream: Stream, block: Block) -> None:
        row = (stream.name, block.start, *self._sealed_block(stream.name, block))
        self._db.execute("INSERT INTO block VALUES(?,?,?,?)", row)

    def _sealed_block(self, name: str, block: Block) -> tuple[bytes, bytes]:
        return self._seal(bytes(block.data), f"{name}|{block.start}|{block.end}")

    def _write_value(self, key_id: str, value: tuple[Secret, Issue] | None) -> None:
        if value is None:
            self._db.execute("DELETE FROM value WHERE key_id=?", (key_id,))
        else:
            secret, issue = value
            row = (key_id, *self._seal(secret.reveal(), _name_of_value(key_id, issue)))
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
        ((book.writes, book.settled, self.latest_ns, wrapped_key),) = db.execute(
            "SELECT writes, settled, latest, checksum_key FROM progress"
        )
        try:
            self._checksum_key = self._kek.unwrap(wrapped_key)
        except InvalidUnwrap as fault:
            self._checksum_key = self._finish_rotation(path, wrapped_key, fault)
        for name, mine, head, tail in db.execute("SELECT name, mine, head, tail FROM stream"):
            book.streams[name] = Stream(name, bool(mine), head, tail)
        for name, start, end, packed, void in db.execute("SELECT * FROM origin ORDER BY stream, start"):
            pieces = unpack(packed, type=tuple[Provenance, ...])
            book.streams[name].add_origin(Origin(start, end, pieces, bool(void)))
        for name, start, wrapped, sealed in db.execute("SELECT * FROM block ORDER BY stream, start"):
            end = start + 8 * (len(sealed) - TAG_BYTES)
            data = self._unseal(wrapped, sealed, f"{name}|{start}|{end}")
            book.streams[name].add_block(Block(start, bytearray(data)))
        book.restore([self._issue(*row) for row in db.execute("SELECT number, fixed, handed, checksum FROM issue")])
        for key_id, wrapped, sealed in db.execute("SELECT key_id, wrapped, sealed FROM value"):
            name = _name_of_value(key_id, book.issue_of(key_id))
            book.values[key_id] = Secret(self._unseal(wrapped, sealed, name))
        for ban in db.execute("SELECT link, first, last FROM ban"):
            book.bans.ban(*ban)
        book.seen = {kme: Point(*point) for kme, *point in db.execute("SELECT kme, life, writes FROM seen")}
        book.lives = [Point(*row) for row in db.execute("SELECT life, begun FROM life ORDER BY life")]

    def _finish_rotation(self, path: Path, wrapped_key: bytes, fault: InvalidUnwrap) -> bytes:
        """A rotation that was stopped between the database's commit and the new key's last name."""
        following = self._directory / NEXT_KEK
        if following.exists():
            kek = FileKek(following)
            with contextlib.suppress(InvalidUnwrap):
                found = kek.unwrap(wrapped_key)
                os.replace(following, self._directory / "kek.bin")
                self._kek = kek
                return found
        raise StoreCorrupt(f"{path} was sealed under another key-encryption key") from fault

    def rewrap(self, kek: Kek) -> None:
        """Wrap every data key with another key-encryption key, in one transaction. What is sealed stays as it is."""
        old = self._kek
        tables = (("block", "wrapped"), ("value", "wrapped"), ("progress", "checksum_key"))

        def rewrapped(*data: Any) -> Any:
            return kek.wrap(old.unwrap(data[0]))

        self._db.create_scalar_function("rewrapped", rewrapped, 1)
        with self._db:
            for table, column in tables:
                self._db.execute(f"UPDATE {table} SET {column} = rewrapped({column})")
        self._kek = kek
        self._cut_log()

    def _issue(self, number: int, fixed: bytes, handed: bytes, checksum: bytes) -> Issue:
        if not hmac.compare_digest(self._sum(fixed, handed), checksum):
            raise StoreCorrupt(f"issue {number} was altered on disk; restore a backup")
        issue = Issue(number, *msgspec.msgpack.decode(fixed, type=_FIXED))
        issue.having, states = msgspec.msgpack.decode(handed, type=tuple[list[int], bytes])
        issue.states = bytearray(states)
        return issue

    def close(self) -> None:
        """Let go of the files. Raises `StoreFailed` if what is consumed could not be shredded before."""
        try:
            if not self._failed:
                self._cut_log()
        except apsw.Error as fault:
            raise StoreFailed(f"{type(fault).__name__}: {fault}") from fault
        finally:
            with contextlib.suppress(apsw.Error):
                self._db.close()
            self._audit.close()


def _fixed(issue: Issue) -> tuple[Any, ...]:
    """What of an issue never changes."""
    return (
        issue.stream, issue.key_ids, issue.offsets, issue.size_bits, issue.parties, issue.created_ns, issue.expires_ns,
    )  # fmt: skip


_FIXED = tuple[str, tuple[str, ...], tuple[int, ...], int, tuple[str, ...], int, int | None]


def _name_of_value(key_id: str, issue: Issue) -> str:
    """What a sealed value is bound to: whose key it is and until when."""
    return f"{key_id}|{'|'.join(issue.parties)}|{issue.expires_ns}"


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
