"""`quoit store`: backups, putting one back, a new key-encryption key."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from quoit.adapters.crypto.kek import Kek, KekError
from quoit.adapters.crypto.kek_uri import has_versions, open_kek
from quoit.adapters.stores import care
from quoit.adapters.stores.sqlite import StoreCorrupt
from quoit.cli import show
from quoit.scenario.run_directory import RunDirectoryBusy, hold_directory
from quoit.service.keystore import StoreFailed


@contextlib.contextmanager
def _store_of(directory: Path, kme: str) -> Iterator[Path]:
    """The store's directory, held so that no twin opens it meanwhile."""
    if not directory.is_dir():
        raise show.UserError(f"{directory}: no such directory; a run's directory is given by --dir")
    try:
        with hold_directory(directory, "twin.lock"):
            yield directory / "stores" / kme
    except (RunDirectoryBusy, StoreCorrupt, StoreFailed, care.CareError, KekError) as fault:
        raise show.UserError(str(fault)) from fault


@contextlib.contextmanager
def _kek(name: str | None, make: bool = False) -> Iterator[Kek | None]:
    """The key-encryption key of this name, for as long as it is needed; None for the store's own."""
    if name is None:
        yield None
        return
    with contextlib.closing(open_kek(name, make)) as kek:
        yield kek


def back_up(directory: Path, kme: str, to: Path, kek: str | None) -> int:
    """Copy a store."""
    with _store_of(directory, kme) as store, _kek(kek) as opens:
        care.backup(store, to, opens)
        which = store / care.KEK if kek is None else "the one of --kek"
        print(f"{kme}: copied to {to}. The key-encryption key ({which}) is not in it: keep it elsewhere.")
    return 0


def put_back(directory: Path, kme: str, copy: Path, kek: str | None, to: str | None) -> int:
    """Put a copy back."""
    with _store_of(directory, kme) as store, _kek(kek) as opens, _kek(to) as own:
        voided = care.restore(copy, store, opens, own)
        print(f"{kme}: put back from {copy}. {voided} keys that waited in it are void; `quoit up --resume` goes on.")
    return 0


def rotate_key(directory: Path, kme: str, kek: str | None, to: str | None, url: str | None) -> int:
    """A new key-encryption key."""
    if to is None and kek is not None:
        if not has_versions(kek):
            raise show.UserError(
                "--kek: a key in a file or a token is not renewed where it is; name the new one by --to"
            )
        to = kek
    if url is not None:
        if to is None:
            raise show.UserError("--store: name the new key-encryption key by --to; a standby needs it too")
        if importlib.util.find_spec("asyncpg") is None:
            raise show.UserError("--store: PostgreSQL needs asyncpg; run: pip install 'quoit[postgres]'")
    with _store_of(directory, kme) as store, _kek(kek) as old, _kek(to, make=True) as new:
        if new is None:
            care.rotate(store)
        elif url is None:
            care.rotate_to(store, new, old)
        else:
            care.rotate_shared(url, kme, store, new, old)
        only = "its latest version" if to == kek and to is not None else "the old one opens nothing any more"
        print(f"{kme}: every data key is wrapped with the new key-encryption key; {only}.")
    return 0


def generate(uri: str) -> int:
    """A key-encryption key in a PKCS#11 token."""
    if importlib.util.find_spec("pkcs11") is None:
        raise show.UserError("keys in PKCS#11 tokens need python-pkcs11; run: pip install 'quoit[hsm]'")
    from quoit.adapters.crypto.pkcs11_kek import generate_key
    from quoit.adapters.crypto.pkcs11_uri import Pkcs11Uri

    try:
        name = Pkcs11Uri.parse(uri)
        generate_key(name)
    except KekError as fault:
        raise show.UserError(str(fault)) from fault
    print(f"{name}: made. It never leaves its token: when the token is lost, so is every store under it.")
    return 0
