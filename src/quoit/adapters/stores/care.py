"""Care of stores that no twin has open: backups, putting one back, a new key-encryption key.

A backup holds the store as it was and not its key-encryption key, which is kept apart or nothing is sealed. A store
that is put back hands out none of the keys that waited in the backup: some of them have been handed out since, and
nobody can say which. What a backup is good for is all the rest: identifiers that are taken, bans, the audit log.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import apsw

from quoit.adapters.crypto.kek import FileKek
from quoit.adapters.stores.audit import sync_directory
from quoit.adapters.stores.sqlite import NEXT_KEK, SqliteStore, StoreCorrupt
from quoit.service.keystore import MarksOp, RewoundOp

DATABASE, AUDIT, KEK = "store.db", "audit.jsonl", "kek.bin"


class CareError(ValueError):
    """What was asked cannot be done to this store; the text says why."""


def backup(directory: Path, to: Path) -> None:
    """Copy a store into the new directory `to`. Raises `CareError`, `StoreCorrupt`."""
    _must_be_a_store(directory)
    if to.exists():
        raise CareError(f"{to} exists already; name a new directory")
    SqliteStore(directory).close()  # it is whole, its log is cut, and nobody else has it open
    to.mkdir(mode=0o700, parents=True)
    source, copy = apsw.Connection(str(directory / DATABASE)), apsw.Connection(str(to / DATABASE))
    with copy.backup("main", source, "main") as steps:
        steps.step(-1)
    copy.close()
    source.close()
    shutil.copy2(directory / AUDIT, to / AUDIT)
    for file in (to / DATABASE, to / AUDIT):
        file.chmod(0o600)


def restore(copy: Path, directory: Path, kek: Path | None = None) -> int:
    """Put a backup in the place of a store; returns how many keys that waited in it are void now.

    The store's key-encryption key must be in `directory`; `kek` is the backup's, if the store's has been rotated since.
    The store's audit log stays if it is there: it knows more. Nothing changes unless the backup opens.
    Raises `CareError`, `StoreCorrupt`.
    """
    _must_be_a_store(copy)
    if not (directory / KEK).exists():
        raise CareError(f"{directory / KEK} is missing: without the key-encryption key a backup does not open")
    work = directory / "restoring"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700)
    shutil.copy2(copy / DATABASE, work / DATABASE)
    shutil.copy2((directory if (directory / AUDIT).exists() else copy) / AUDIT, work / AUDIT)
    try:
        store = SqliteStore(work, FileKek(kek or directory / KEK))
    except StoreCorrupt as fault:
        shutil.rmtree(work)
        raise CareError(f"{copy} does not open: {fault}. Was the store's key rotated since? Then give --kek") from fault
    if kek is not None:
        store.rewrap(FileKek(directory / KEK))
    (marks,) = store.execute([MarksOp()])
    (voided,) = store.execute([RewoundOp(marks.point.writes, store.latest_ns)])
    store.close()
    for suffix in ("-wal", "-shm"):
        (directory / f"{DATABASE}{suffix}").unlink(missing_ok=True)
    for name in (AUDIT, DATABASE):
        os.replace(work / name, directory / name)
    shutil.rmtree(work)
    sync_directory(directory)
    return len(voided.key_ids)


def rotate(directory: Path) -> None:
    """Give a store a new key-encryption key. A crash on the way leaves a store that opens. Raises as `backup`."""
    _must_be_a_store(directory)
    store = SqliteStore(directory)
    (directory / NEXT_KEK).unlink(missing_ok=True)
    try:
        store.rewrap(FileKek(directory / NEXT_KEK))
    finally:
        store.close()
    os.replace(directory / NEXT_KEK, directory / KEK)
    sync_directory(directory)


def _must_be_a_store(directory: Path) -> None:
    if not (directory / DATABASE).exists():
        raise CareError(f"{directory} holds no key store ({DATABASE} is missing)")
