"""Key-encryption keys: what a store's data keys are wrapped with. A port, its file form, and two keys as one.

Other forms: `quoit.adapters.crypto.pkcs11_kek` (in a hardware token), `quoit.adapters.crypto.vault_kek` (in a Vault or
OpenBao). `quoit.adapters.crypto.kek_uri` opens any of them by its name.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

DATA_KEY_BYTES = 32
SECRET_FILE_BYTES = 65_536
"""A file of a key, PIN or token that is bigger is another file."""


class KekError(Exception):
    """A key-encryption key that cannot be had or used. Says what to do; names no key, PIN or token."""


class KekFileError(KekError):
    """A file of a key, PIN or token that cannot be used as it is."""


class Kek(Protocol):
    """Wraps and unwraps data keys of 32 bytes, so that what was altered does not open. Any thread may use it.

    `wrap` raises ValueError unless it is given 32 bytes. `unwrap` raises `InvalidUnwrap` (of cryptography) for what
    this key did not wrap, or what was altered since. Both raise `KekError` when the key cannot be used now: that says
    nothing about what was to be unwrapped, and the next call may succeed. `close` lets go of connections; whoever made
    the object calls it, once.
    """

    def wrap(self, data_key: bytes) -> bytes: ...

    def unwrap(self, wrapped: bytes) -> bytes: ...

    def close(self) -> None: ...


def must_be_a_data_key(data_key: bytes) -> None:
    """Raises ValueError, without the key, unless it has 32 bytes."""
    if len(data_key) != DATA_KEY_BYTES:
        raise ValueError(f"expected a data key of {DATA_KEY_BYTES} bytes, found {len(data_key)}")


def read_secret_file(path: Path) -> bytes:
    """A small file that nobody but its owner may read. Raises `KekFileError`."""
    try:
        with path.open("rb") as file:
            # Of the file that is open, not of the name: another may be under it by now.
            mode = os.fstat(file.fileno()).st_mode & 0o777
            if mode & 0o077:
                raise KekFileError(f"{path}: expected mode 0600, found {mode:04o}; run: chmod 600 {path}")
            content = file.read(SECRET_FILE_BYTES + 1)
    except OSError as fault:
        raise KekFileError(f"{path}: {fault.strerror}") from fault
    if len(content) > SECRET_FILE_BYTES:
        raise KekFileError(f"{path}: expected at most {SECRET_FILE_BYTES} bytes")
    return content


class FileKek:
    """A key-encryption key in a file of mode 0600 (AES-256, RFC 3394); `make` it if there is none.
    Raises `KekFileError`."""

    def __init__(self, path: Path, make: bool = True) -> None:
        if make and not path.exists():
            try:
                _make_key_file(path)
            except OSError as fault:
                raise KekFileError(f"{fault.filename}: {fault.strerror}") from fault
        self._key = read_secret_file(path)
        if len(self._key) != 32:
            raise KekFileError(f"{path}: expected 32 bytes, found {len(self._key)}")

    def wrap(self, data_key: bytes) -> bytes:
        must_be_a_data_key(data_key)
        return aes_key_wrap(self._key, data_key)

    def unwrap(self, wrapped: bytes) -> bytes:
        if len(wrapped) != DATA_KEY_BYTES + 8:
            raise InvalidUnwrap(f"expected {DATA_KEY_BYTES + 8} bytes, found {len(wrapped)}")
        return aes_key_unwrap(self._key, wrapped)

    def close(self) -> None:
        """Nothing is held open."""


def _make_key_file(path: Path) -> None:
    """Under its name only when whole and on disk, and only once: a crash on the way leaves no half key, and of several
    processes that make it at once one has made it."""
    new = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(new, os.O_RDWR | os.O_CREAT, 0o600), "wb") as out:
        fcntl.flock(out, fcntl.LOCK_EX)  # for as long as it takes to write 32 bytes
        if path.exists():  # another process was first; what is under the other name now is an empty file, or nothing
            new.unlink(missing_ok=True)
            return
        out.truncate()  # a crash may have left something
        os.fchmod(out.fileno(), 0o600)
        out.write(os.urandom(32))
        out.flush()
        os.fsync(out.fileno())
        os.rename(new, path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)  # what is sealed under it may be on disk sooner than its name
    finally:
        os.close(directory)


class EitherKek:
    """Two keys, for a store on its way from `old` to `new`: either opens what it wrapped, the new one wraps."""

    def __init__(self, old: Kek, new: Kek) -> None:
        self._old = old
        self._new = new

    def wrap(self, data_key: bytes) -> bytes:
        return self._new.wrap(data_key)

    def unwrap(self, wrapped: bytes) -> bytes:
        try:
            return self._old.unwrap(wrapped)
        except InvalidUnwrap:
            return self._new.unwrap(wrapped)

    def close(self) -> None:
        """Nothing: each key is its maker's."""
