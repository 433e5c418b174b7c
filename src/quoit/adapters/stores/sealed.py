"""What durable stores share: decide in memory, seal, say what is to be written; take it all in again at the start.

A batch runs in one transaction: decide (in memory), write down what changed, commit, audit, answer. If the commit or
the audit fails, or memory runs out on the way, memory is ahead of the disk: `StoreFailed`, and the process must end.
Blocks are sealed with AES-256-GCM under a data key of their own, wrapped by the key-encryption key; a block that lost
bits to a key that is done with is sealed anew, without them, under a fresh data key in the same commit. Issues carry a
keyed checksum over parties, size, expiry and who has what, so an altered row is refused.

Statements are SQL that SQLite and PostgreSQL both understand, with `?` for parameters.

Limit: issues are kept, in memory and on disk, when their keys are gone. Use from one thread at a time.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap

from quoit.adapters.crypto.kek import FileKek, Kek, KekError
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
from quoit.service.storebook import StoreBook
from quoit.service.storerows import Block, Changes, Issue, Origin, Stream

SCHEMA_VERSION = 2
TABLES = (
    "stream(name TEXT PRIMARY KEY, mine INT, head BIGINT, tail BIGINT)",
    'origin(stream TEXT, start BIGINT, "end" BIGINT, provenance BLOB, void INT, PRIMARY KEY(stream, start))',
    "block(stream TEXT, start BIGINT, wrapped BLOB, sealed BLOB, PRIMARY KEY(stream, start))",
    "issue(number BIGINT PRIMARY KEY, fixed BLOB, handed BLOB, checksum BLOB)",
    "value(key_id TEXT PRIMARY KEY, wrapped BLOB, sealed BLOB)",
    "ban(link TEXT, first BIGINT, last BIGINT, PRIMARY KEY(link, first))",
    "seen(kme TEXT PRIMARY KEY, life BIGINT, writes BIGINT)",
    "life(life BIGINT PRIMARY KEY, begun BIGINT)",
    "progress(one INT PRIMARY KEY CHECK(one = 1), writes BIGINT, settled BIGINT, latest BIGINT, checksum_key BLOB)",
)
"""The tables, as SQLite spells their types."""
_WRAPPED = (
    ("block", "wrapped", ("stream", "start")),
    ("value", "wrapped", ("key_id",)),
    ("progress", "checksum_key", ("one",)),
)
"""Where data keys are: table, column, primary key."""
_SILENT = (FindOp, FindAllOp, ListOp, LevelOp, AppendOp, MarksOp, SeenOp)
TAG_BYTES = 16
_NONCE = bytes(12)
"""Every data key seals one message only, so the nonce need not vary."""

_UPSERT_STREAM = (
    "INSERT INTO stream VALUES(?,?,?,?) ON CONFLICT(name) DO UPDATE SET head=excluded.head, tail=excluded.tail"
)
_UPSERT_SEEN = (
    "INSERT INTO seen VALUES(?,?,?) ON CONFLICT(kme) DO UPDATE SET life=excluded.life, writes=excluded.writes"
)

Statement = tuple[str, Sequence[Any]]


class StoreCorrupt(ValueError):
    """A store on disk that must not be served from. Says what is wrong."""


class SealedStore(ABC):
    """See `KeyStore`. `directory` holds audit.jsonl and, unless a `kek` is given, kek.bin.

    `latest_ns` is the latest instant that any operation named, in this life or an earlier one.
    """

    failures: tuple[type[Exception], ...] = (OSError,)
    """What a subclass's database raises when it cannot do its work."""

    def __init__(self, directory: Path, kek: Kek | None) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._kek = kek or FileKek(directory / "kek.bin")
        self._book = StoreBook()
        self._failed = False
        self.latest_ns = 0
        self._pack = msgspec.msgpack.Encoder().encode
        try:
            self._audit = AuditLog(directory / "audit.jsonl")
        except AuditError as fault:
            raise StoreCorrupt(f"the audit log is damaged: {fault}") from fault

    @property
    def has_past(self) -> bool:
        """Whether anything was ever written to it."""
        return self._book.writes > 0

    @abstractmethod
    def close(self) -> None:
        """Let go of the database and the audit log."""

    @abstractmethod
    def _write(self, statements: list[Statement]) -> None:
        """Run these in one transaction, and return when it is durable. Raises one of `failures`."""

    @abstractmethod
    def _rows(self, sql: str) -> Iterator[Sequence[Any]]:
        """What a SELECT finds."""

    def _after_batch(self) -> None:  # noqa: B027 - most databases need nothing
        """Upkeep of the database's own."""

    # -- running -------------------------------------------------------------------------------------

    def execute(self, batch: list[Op]) -> list[Any]:
        if self._failed:
            raise StoreFailed("the store failed before")
        results: list[Any] = []
        stops: tuple[type[Exception], ...] = (*self.failures, KekError, MemoryError)
        try:
            for op in batch:
                self.latest_ns = max(self.latest_ns, getattr(op, "now_ns", 0))
                try:
                    results.append(self._book.apply(op))
                except Problem as problem:
                    results.append(problem)
            self._commit()
            records = [_audit(op, r) for op, r in zip(batch, results, strict=True) if not isinstance(op, _SILENT)]
            if records:
                self._audit.write(records)
            self._after_batch()
        except stops as fault:
            self._failed = True
            raise StoreFailed(f"{type(fault).__name__}: {fault}") from fault
        return results

    def _commit(self) -> None:
        changes = self._book.fetch_changes()
        if changes:
            self._write([*self._of_streams(changes), *self._of_issues(changes), *self._of_marks(changes)])

    def _of_streams(self, changes: Changes) -> Iterator[Statement]:
        pack = self._pack
        for stream in changes.streams.values():
            yield _UPSERT_STREAM, (stream.name, int(stream.mine), stream.head, stream.tail)
        for stream, origin in changes.origins:
            yield (
                "INSERT INTO origin VALUES(?,?,?,?,?) ON CONFLICT(stream, start) DO UPDATE SET void=excluded.void",
                (stream.name, origin.start, origin.end, pack(origin.provenance), int(origin.void)),
            )
        for stream, block in changes.blocks:
            row = (stream.name, block.start, *self._sealed_block(stream.name, block))
            yield "INSERT INTO block VALUES(?,?,?,?)", row
        for (name, start), block in changes.thinned.items():
            thin = (*self._sealed_block(name, block), name, start)
            yield "UPDATE block SET wrapped=?, sealed=? WHERE stream=? AND start=?", thin
        for stream, block in changes.erased:
            yield "DELETE FROM block WHERE stream=? AND start=?", (stream.name, block.start)

    def _of_issues(self, changes: Changes) -> Iterator[Statement]:
        pack = self._pack
        for number, issue in changes.issues.items():
            fixed, handed = pack(_fixed(issue)), pack((issue.having, bytes(issue.states)))
            yield "INSERT INTO issue VALUES(?,?,?,?)", (number, fixed, handed, self._sum(fixed, handed))
        for number, issue in changes.handed.items():
            if number not in changes.issues:
                handed = pack((issue.having, bytes(issue.states)))
                checksum = self._sum(pack(_fixed(issue)), handed)
                yield "UPDATE issue SET handed=?, checksum=? WHERE number=?", (handed, checksum, number)
        for key_id, value in changes.values.items():
            if value is None:
                yield "DELETE FROM value WHERE key_id=?", (key_id,)
            else:
                secret, issue = value
                sealed = self._seal(secret.reveal(), _name_of_value(key_id, issue))
                yield "INSERT INTO value VALUES(?,?,?)", (key_id, *sealed)

    def _of_marks(self, changes: Changes) -> Iterator[Statement]:
        for link in changes.bans:
            yield "DELETE FROM ban WHERE link=?", (link,)
            for stretch in self._book.bans.of(link):
                yield "INSERT INTO ban VALUES(?,?,?)", (link, *stretch)
        for kme, point in changes.seen.items():
            yield _UPSERT_SEEN, (kme, point.life, point.writes)
        if changes.lives:
            yield "DELETE FROM life", ()
            for life in self._book.lives:
                yield "INSERT INTO life VALUES(?,?)", (life.life, life.writes)
        progress = (changes.writes, self._book.settled, self.latest_ns)
        yield "UPDATE progress SET writes=?, settled=?, latest=?", progress

    def _sum(self, fixed: bytes, handed: bytes) -> bytes:
        return hmac.digest(self._checksum_key, fixed + b"|" + handed, hashlib.sha256)[:16]

    def _sealed_block(self, name: str, block: Block) -> tuple[bytes, bytes]:
        return self._seal(bytes(block.data), f"{name}|{block.start}|{block.end}")

    def _seal(self, data: bytes, name: str) -> tuple[bytes, bytes]:
        data_key = os.urandom(32)
        return self._kek.wrap(data_key), AESGCM(data_key).encrypt(_NONCE, data, name.encode())

    def _unseal(self, wrapped: bytes, sealed: bytes, name: str) -> bytes:
        try:
            return AESGCM(self._kek.unwrap(wrapped)).decrypt(_NONCE, sealed, name.encode())
        except (InvalidTag, InvalidUnwrap) as fault:
            raise StoreCorrupt(
                f"{name} does not open: another key-encryption key, or altered on disk{_why(fault)}"
            ) from fault

    def rewrap(self, kek: Kek) -> None:
        """Wrap every data key with another key-encryption key, in one transaction. What is sealed stays as it is.

        Stopped anywhere, all of them open under the one or all under the other. Raises `StoreCorrupt`, `KekError` and
        `StoreFailed`: then nothing has changed.
        """
        statements: list[Statement] = []
        for table, column, names in _WRAPPED:
            same_row = " AND ".join(f"{name}=?" for name in names)
            for wrapped, *row in self._rows(f"SELECT {', '.join((column, *names))} FROM {table}"):
                try:
                    anew = kek.wrap(self._kek.unwrap(wrapped))
                except InvalidUnwrap as fault:
                    raise StoreCorrupt(f"{table} {row} does not open: another key, or altered on disk") from fault
                statements.append((f"UPDATE {table} SET {column}=? WHERE {same_row}", (anew, *row)))
        try:
            self._write(statements)
        except self.failures as fault:
            raise StoreFailed(f"{type(fault).__name__}: {fault}") from fault
        self._kek = kek

    # -- coming back ---------------------------------------------------------------------------------

    def _load(self, name_of_store: str) -> None:
        book, unpack = self._book, msgspec.msgpack.decode
        ((book.writes, book.settled, self.latest_ns, wrapped_key),) = self._rows(
            "SELECT writes, settled, latest, checksum_key FROM progress"
        )
        try:
            self._checksum_key = self._kek.unwrap(wrapped_key)
        except InvalidUnwrap as fault:
            self._checksum_key = self._under_another_key(name_of_store, wrapped_key, fault)
        for name, mine, head, tail in self._rows("SELECT name, mine, head, tail FROM stream"):
            book.streams[name] = Stream(name, bool(mine), head, tail)
        for name, start, end, packed, void in self._rows("SELECT * FROM origin ORDER BY stream, start"):
            pieces = unpack(packed, type=tuple[Provenance, ...])
            book.streams[name].add_origin(Origin(start, end, pieces, bool(void)))
        for name, start, wrapped, sealed in self._rows("SELECT * FROM block ORDER BY stream, start"):
            end = start + 8 * (len(sealed) - TAG_BYTES)
            data = self._unseal(wrapped, sealed, f"{name}|{start}|{end}")
            book.streams[name].add_block(Block(start, bytearray(data)))
        book.restore([self._issue(*row) for row in self._rows("SELECT number, fixed, handed, checksum FROM issue")])
        for key_id, wrapped, sealed in self._rows("SELECT key_id, wrapped, sealed FROM value"):
            name = _name_of_value(key_id, book.issue_of(key_id))
            book.values[key_id] = Secret(self._unseal(wrapped, sealed, name))
        for ban in self._rows("SELECT link, first, last FROM ban"):
            book.bans.ban(*ban)
        book.seen = {kme: Point(*point) for kme, *point in self._rows("SELECT kme, life, writes FROM seen")}
        book.lives = [Point(*row) for row in self._rows("SELECT life, begun FROM life ORDER BY life")]

    def _under_another_key(self, name_of_store: str, wrapped_key: bytes, fault: InvalidUnwrap) -> bytes:
        """The checksum key, if there is another key-encryption key that opens it. Raises `StoreCorrupt`."""
        raise StoreCorrupt(
            f"{name_of_store} was sealed under another key-encryption key{_why(fault)}; "
            "if that is not its own file, give --kek"
        ) from fault

    def _issue(self, number: int, fixed: bytes, handed: bytes, checksum: bytes) -> Issue:
        if not hmac.compare_digest(self._sum(fixed, handed), checksum):
            raise StoreCorrupt(f"issue {number} was altered on disk; restore a backup")
        issue = Issue(number, *msgspec.msgpack.decode(fixed, type=_FIXED))
        issue.having, states = msgspec.msgpack.decode(handed, type=tuple[list[int], bytes])
        issue.states = bytearray(states)
        return issue


def _why(fault: Exception) -> str:
    """What the key-encryption key says to it, if anything: a version that it does not open any more, for instance."""
    return f" ({fault})" if str(fault) else ""


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
