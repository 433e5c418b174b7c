"""Commands that care for key stores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from quoit.cli.commands.root import KEK_FORMS, app

store_app = App(name="store", help="Care of a KME's key store while no twin has it open.")
app.command(store_app)
StoreDir = Annotated[Path, Parameter(help="Directory of the run.")]
StoreKek = Annotated[str | None, Parameter(help=f"The store's key-encryption key, if not its own file: {KEK_FORMS}")]


@store_app.command
def backup(kme: str, to: Path, /, *, kek: StoreKek = None, dir: StoreDir = Path("out/quoit")) -> int:
    """Copy a KME's store, without its key-encryption key."""
    from quoit.cli.store import back_up

    return back_up(dir, kme, to, kek)


@store_app.command
def restore(
    kme: str,
    copy: Path,
    /,
    *,
    kek: Annotated[str | None, Parameter(help="The copy's own key, if the store's was rotated since.")] = None,
    to: StoreKek = None,
    dir: StoreDir = Path("out/quoit"),
) -> int:
    """Put a copy back. Keys that waited in it are void: they may have been handed out since."""
    from quoit.cli.store import put_back

    return put_back(dir, kme, copy, kek, to)


@store_app.command
def rotate(
    kme: str,
    /,
    *,
    kek: StoreKek = None,
    to: Annotated[
        str | None, Parameter(help="The new key, of any kind. Without it: a fresh one in the store's own file.")
    ] = None,
    store: Annotated[str | None, Parameter(help="postgresql://... if the store is there.")] = None,
    dir: StoreDir = Path("out/quoit"),
) -> int:
    """Give a KME's store a new key-encryption key. Stopped halfway, do it again.

    With the --kek of a Vault and no --to, data keys are wrapped with that key's latest version.
    """
    from quoit.cli.store import rotate_key

    return rotate_key(dir, kme, kek, to, store)


@store_app.command
def keygen(uri: Annotated[str, Parameter(help="pkcs11:... of a key that is not there yet.")], /) -> int:
    """Have a PKCS#11 token make a key-encryption key that never leaves it."""
    from quoit.cli.store import generate

    return generate(uri)
