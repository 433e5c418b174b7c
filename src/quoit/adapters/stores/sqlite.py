"""The durable store of one KME: SQLite in WAL mode with synchronous=FULL, one writer, group commit.

SQLite's log still holds the old data key of what was sealed anew, wrapped, until it is cut: at the latest
`SHRED_COMMITS` commits later, and whenever the store is closed. From then on a consumed key is in no file of the store,
whoever has the key-encryption key. What a disk keeps of overwritten sectors is beyond a program's reach.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap

from quoit.adapters.crypto.kek import FileKek, Kek, KekError
from quoit.adapters.stores.sealed import SCHEMA_VERSION, TABLES, SealedStore, Statement, StoreCorrupt
from quoit.service.keystore import StoreFailed

SHRED_COMMITS = 1_000
"""Commits after which SQLite's log is cut; the log of as many is what a consumed key may be found in."""
NEXT_KEK = "kek.next"
"""A key-encryption key on its way to be the store's."""

__all__ = ["NEXT_KEK", "SqliteStore", "StoreCorrupt"]


class SqliteStore(SealedStore):
    """See `SealedStore`; `directory` holds store.db too. `vfs`: the name of SQLite's file layer to use."""

    failures = (apsw.Error, OSError)

    def __init__(self, directory: Path, kek: Kek | None = None, vfs: str | None = None) -> None:
        super().__init__(directory, kek)
        self._own_kek = kek is None
        self._commits = 0
        path = directory / "store.db"
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = apsw.Connection(str(path), vfs=vfs)
        try:
            self._prepare(path)
            self._load(str(path))
        except apsw.Error as fault:
            self._let_go()
            raise StoreCorrupt(f"{path}: SQLite refuses it: {fault}") from fault
        except (StoreCorrupt, KekError):
            self._let_go()  # whoever catches it may open the store again, with another key
            raise

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
                for table in TABLES:
                    self._db.execute(f"CREATE TABLE {table} WITHOUT ROWID")
                self._db.execute("INSERT INTO progress VALUES(1, 0, -1, 0, ?)", (self._kek.wrap(os.urandom(32)),))
                self._db.pragma("user_version", SCHEMA_VERSION)

    def _write(self, statements: list[Statement]) -> None:
        self._commits += 1
        with self._db:
            for sql, parameters in statements:
                self._db.execute(sql, parameters)

    def _rows(self, sql: str) -> Iterator[Sequence[Any]]:
        return iter(self._db.execute(sql))

    def _after_batch(self) -> None:
        if self._commits >= SHRED_COMMITS:
            self._cut_log()

    def _cut_log(self) -> None:
        """Bring SQLite's log into the database and empty it: the data keys of what is gone go with it."""
        self._commits = 0
        self._db.pragma("wal_checkpoint", "truncate")

    def _under_another_key(self, name_of_store: str, wrapped_key: bytes, fault: InvalidUnwrap) -> bytes:
        """A rotation that was stopped between the database's commit and the new key's last name."""
        following = self._directory / NEXT_KEK
        if self._own_kek and following.exists():
            kek = FileKek(following)
            with contextlib.suppress(InvalidUnwrap):
                found = kek.unwrap(wrapped_key)
                os.replace(following, self._directory / "kek.bin")
                self._kek = kek
                return found
        return super()._under_another_key(name_of_store, wrapped_key, fault)

    def rewrap(self, kek: Kek) -> None:
        """See `SealedStore.rewrap`; data keys as they were wrapped before are shredded."""
        super().rewrap(kek)
        self._cut_log()

    def close(self) -> None:
        """Let go of the files. Raises `StoreFailed` if what is consumed could not be shredded before."""
        try:
            if not self._failed:
                self._cut_log()
        except apsw.Error as fault:
            raise StoreFailed(f"{type(fault).__name__}: {fault}") from fault
        finally:
            self._let_go()

    def _let_go(self) -> None:
        with contextlib.suppress(apsw.Error):
            self._db.close()
        self._audit.close()
