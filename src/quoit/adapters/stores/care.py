"""Care of stores that no twin has open: backups, putting one back, a new key-encryption key.

A backup holds the store as it was and not its key-encryption key, which is kept apart or nothing is sealed. A store
that is put back hands out none of the keys that waited in the backup: some of them have been handed out since, and
nobody can say which. What a backup is good for is all the rest: identifiers that are taken, bans, the audit log.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import apsw

from quoit.adapters.crypto.kek import EitherKek, FileKek, Kek
from quoit.adapters.stores.audit import sync_directory
from quoit.adapters.stores.sqlite import NEXT_KEK, SqliteStore, StoreCorrupt
from quoit.service.keystore import MarksOp, RewoundOp

DATABASE, AUDIT, KEK = "store.db", "audit.jsonl", "kek.bin"


class CareError(ValueError):
    """What was asked cannot be done to this store; the text says why."""


def backup(directory: Path, to: Path, kek: Kek | None = None) -> None:
    """Copy a store, which `kek` opens (None: its own file), into the new directory `to`.
    Raises `CareError`, `StoreCorrupt`, `KekError`."""
    _must_be_a_store(directory)
    if to.exists():
        raise CareError(f"{to} exists already; name a new directory")
    SqliteStore(directory, kek or _own(directory)).close()  # it is whole, its log is cut, and nobody else has it open
    to.mkdir(mode=0o700, parents=True)
    source, copy = apsw.Connection(str(directory / DATABASE)), apsw.Connection(str(to / DATABASE))
    with copy.backup("main", source, "main") as steps:
        steps.step(-1)
    copy.close()
    source.close()
    shutil.copy2(directory / AUDIT, to / AUDIT)
    for file in (to / DATABASE, to / AUDIT):
        file.chmod(0o600)


def restore(copy: Path, directory: Path, kek: Kek | None = None, to: Kek | None = None) -> int:
    """Put a backup in the place of a store; returns how many keys that waited in it are void now.

    `to` is the store's key-encryption key (None: its own file, which must be in `directory`); `kek` is the backup's, if
    the store's has been rotated since. The store's audit log stays if it is there: it knows more. Nothing changes
    unless the backup opens. Raises `CareError`, `StoreCorrupt`, `KekError`.
    """
    _must_be_a_store(copy)
    to = to or _own(directory)
    work = directory / "restoring"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700)
    shutil.copy2(copy / DATABASE, work / DATABASE)
    shutil.copy2((directory if (directory / AUDIT).exists() else copy) / AUDIT, work / AUDIT)
    try:
        store = SqliteStore(work, kek or to)
    except StoreCorrupt as fault:
        shutil.rmtree(work)
        raise CareError(f"{copy} does not open: {fault}. Was the store's key rotated since? Then give --kek") from fault
    with contextlib.closing(store):
        if kek is not None:
            store.rewrap(to)
        (marks,) = store.execute([MarksOp()])
        (voided,) = store.execute([RewoundOp(marks.point.writes, store.latest_ns)])
    for suffix in ("-wal", "-shm"):
        (directory / f"{DATABASE}{suffix}").unlink(missing_ok=True)
    for name in (AUDIT, DATABASE):
        os.replace(work / name, directory / name)
    shutil.rmtree(work)
    sync_directory(directory)
    return len(voided.key_ids)


def rotate(directory: Path) -> None:
    """Give a store a fresh key-encryption key in its own file. A crash on the way leaves a store that opens.
    Raises as `backup`."""
    _must_be_a_store(directory)
    _own(directory)
    store = SqliteStore(directory)
    (directory / NEXT_KEK).unlink(missing_ok=True)
    with contextlib.closing(store):
        store.rewrap(FileKek(directory / NEXT_KEK))
    os.replace(directory / NEXT_KEK, directory / KEK)
    sync_directory(directory)


def rotate_to(directory: Path, new: Kek, old: Kek | None = None) -> None:
    """Wrap the data keys of a store with `new` instead of `old` (None: its own file).

    A crash on the way leaves a store that one of the two opens; doing it again finishes it. Raises as `backup`, and
    `StoreFailed`.
    """
    _must_be_a_store(directory)
    with contextlib.closing(SqliteStore(directory, EitherKek(old or _own(directory), new))) as store:
        store.rewrap(new)


def rotate_shared(url: str, kme: str, directory: Path, new: Kek, old: Kek | None = None) -> None:
    """`rotate_to` for a store in PostgreSQL. Who has it open is put out: it is opened here, by the next epoch.

    A standby needs `new` before it takes over.
    """
    from quoit.adapters.stores.postgres import PostgresStore  # the `postgres` extra

    with contextlib.closing(PostgresStore(url, kme, directory, EitherKek(old or _own(directory), new))) as store:
        store.rewrap(new)


def _own(directory: Path) -> Kek:
    """The key-encryption key that a store has to itself, as it is found: a new one would open nothing."""
    own, following = directory / KEK, directory / NEXT_KEK
    if not own.exists():
        raise CareError(
            f"{own} is missing: without the key-encryption key nothing opens; if it is elsewhere, give --kek"
        )
    if following.exists():  # a rotation was stopped: either of them is the store's
        return EitherKek(FileKek(following, make=False), FileKek(own, make=False))
    return FileKek(own, make=False)


def _must_be_a_store(directory: Path) -> None:
    if not (directory / DATABASE).exists():
        raise CareError(f"{directory} holds no key store ({DATABASE} is missing)")
