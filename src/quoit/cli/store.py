"""`quoit store`: backups, putting one back, a new key-encryption key."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from quoit.adapters.crypto.kek import KekFileError
from quoit.adapters.stores import care
from quoit.adapters.stores.sqlite import StoreCorrupt
from quoit.cli import show
from quoit.scenario.host import RunDirectoryBusy, hold_directory


@contextlib.contextmanager
def _store_of(directory: Path, kme: str) -> Iterator[Path]:
    """The store's directory, held so that no twin opens it meanwhile."""
    if not directory.is_dir():
        raise show.UserError(f"{directory}: no such directory; a run's directory is given by --dir")
    try:
        with hold_directory(directory, "twin.lock"):
            yield directory / "stores" / kme
    except (RunDirectoryBusy, StoreCorrupt, care.CareError, KekFileError) as fault:
        raise show.UserError(str(fault)) from fault


def back_up(directory: Path, kme: str, to: Path) -> int:
    """Copy a store."""
    with _store_of(directory, kme) as store:
        care.backup(store, to)
        print(f"{kme}: copied to {to}. The key-encryption key ({store / care.KEK}) is not in it: keep it elsewhere.")
    return 0


def put_back(directory: Path, kme: str, copy: Path, kek: Path | None) -> int:
    """Put a copy back."""
    with _store_of(directory, kme) as store:
        voided = care.restore(copy, store, kek)
        print(f"{kme}: put back from {copy}. {voided} keys that waited in it are void; `quoit up --resume` goes on.")
    return 0


def rotate_key(directory: Path, kme: str) -> int:
    """A new key-encryption key."""
    with _store_of(directory, kme) as store:
        care.rotate(store)
        print(f"{kme}: every data key is wrapped with a new key-encryption key; the old one opens nothing any more.")
    return 0
