"""A durable store in PostgreSQL, for a KME that has a standby: whoever opens it last owns it.

Opening takes the next *epoch*, in the row that each commit locks and compares with its own: from that instant on no
commit of an earlier owner succeeds, whatever it still believes (fencing; a lease would trust its clock). What the new
owner then reads is all that was ever committed. Commits are synchronous; consumption of a key and the comparison of
the epoch are one transaction.

Limit: PostgreSQL keeps rows that were changed until it is vacuumed, and its log for as long as it is told to. Until
then the data key of a consumed key is still there, wrapped: who has the key-encryption key as well could open it.

Needs the `postgres` extra. The audit log and the key-encryption key stay in files, one directory a process; a standby
has the same key-encryption key.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from quoit.adapters.crypto.kek import Kek, KekError
from quoit.adapters.stores.sealed import SCHEMA_VERSION, TABLES, SealedStore, Statement, StoreCorrupt

WITHIN_S = 30.0


class FencedOut(Exception):
    """Another process has opened this store since; this one must end."""


class PostgresStore(SealedStore):
    """See `SealedStore`. `url`: postgresql://..., without a password (use PGPASSFILE, or a socket); `kme`: whose."""

    failures = (asyncpg.PostgresError, asyncpg.InterfaceError, FencedOut, OSError)

    def __init__(self, url: str, kme: str, directory: Path, kek: Kek | None = None) -> None:
        super().__init__(directory, kek)
        self._schema = _schema_of(kme)
        checksum_key = self._kek.wrap(os.urandom(32))  # for a new store; not while others wait for the lock below
        # A loop of its own in a thread of its own: this store is called from threads where another loop may run.
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"postgres {kme}", daemon=True)
        self._thread.start()
        try:
            self._db: asyncpg.Connection = self._wait(asyncpg.connect(url, timeout=WITHIN_S))
            self._epoch: int = self._wait(self._take_over(checksum_key))
        except self.failures as fault:
            self._end_loop()
            raise StoreCorrupt(f"PostgreSQL refuses the store of {kme}: {fault}") from fault
        try:
            self._load(f"the store of {kme}")
        except (StoreCorrupt, KekError):
            self.close()
            raise

    def _wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _take_over(self, checksum_key: bytes) -> int:
        db = self._db
        await db.execute("SET synchronous_commit TO on")
        async with db.transaction():
            await db.execute("SELECT pg_advisory_xact_lock(hashtext($1))", self._schema)
            await db.execute(f'CREATE SCHEMA IF NOT EXISTS "{self._schema}"')
            await db.execute(f'SET search_path TO "{self._schema}"')
            for table in TABLES:
                await db.execute(f"CREATE TABLE IF NOT EXISTS {table.replace('BLOB', 'BYTEA')}")
            await db.execute("CREATE TABLE IF NOT EXISTS owner(one INT PRIMARY KEY, epoch BIGINT, version INT)")
            await db.execute("INSERT INTO progress VALUES(1, 0, -1, 0, $1) ON CONFLICT DO NOTHING", checksum_key)
            await db.execute("INSERT INTO owner VALUES(1, 0, $1) ON CONFLICT DO NOTHING", SCHEMA_VERSION)
            taken = await db.fetchrow("UPDATE owner SET epoch = epoch + 1 RETURNING epoch, version")
            if taken["version"] != SCHEMA_VERSION:
                raise OSError(f"expected a store of version {SCHEMA_VERSION}, found {taken['version']}; use its quoit")
            return int(taken["epoch"])

    def _write(self, statements: list[Statement]) -> None:
        self._wait(self._write_all(statements))

    async def _write_all(self, statements: list[Statement]) -> None:
        async with self._db.transaction():
            owner = await self._db.execute("UPDATE owner SET epoch = epoch WHERE epoch = $1", self._epoch)
            if owner != "UPDATE 1":
                raise FencedOut("another process has opened this store since")
            for sql, parameters in statements:
                await self._db.execute(_numbered(sql), *parameters)

    def _rows(self, sql: str) -> Iterator[Sequence[Any]]:
        return iter([tuple(row) for row in self._wait(self._db.fetch(sql))])

    def close(self) -> None:
        """Let go of the database. Whoever opens the store next takes the next epoch."""
        self._wait(self._db.close(timeout=WITHIN_S))
        self._end_loop()
        self._audit.close()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WITHIN_S)
        self._loop.close()


def _schema_of(kme: str) -> str:
    """A name of at most 63 bytes, which is all that PostgreSQL looks at."""
    name = kme.replace('"', '""')
    return name if len(name.encode()) <= 63 else f"kme-{hashlib.sha256(name.encode()).hexdigest()[:40]}"


def _numbered(sql: str) -> str:
    """PostgreSQL numbers its parameters."""
    first, *others = sql.split("?")
    return first + "".join(f"${n}{part}" for n, part in enumerate(others, start=1))
