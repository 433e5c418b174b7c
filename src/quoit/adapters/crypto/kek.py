"""Key-encryption keys: what a store's data keys are wrapped with. A port, and its file form."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap


class Kek(Protocol):
    """Wraps and unwraps 32-byte data keys (RFC 3394)."""

    def wrap(self, data_key: bytes) -> bytes: ...

    def unwrap(self, wrapped: bytes) -> bytes: ...


class KekFileError(ValueError):
    """A key file that cannot be used as it is."""


class FileKek:
    """A key-encryption key in a file of mode 0600, made on first use."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            # Under its name only when whole and on disk: a crash on the way leaves no half key.
            new = path.with_suffix(".new")
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(fd, "wb") as out:
                out.write(os.urandom(32))
                out.flush()
                os.fsync(out.fileno())
            os.rename(new, path)
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise KekFileError(f"{path}: expected mode 0600, found {mode:04o}; run: chmod 600 {path}")
        self._key = path.read_bytes()
        if len(self._key) != 32:
            raise KekFileError(f"{path}: expected 32 bytes, found {len(self._key)}")

    def wrap(self, data_key: bytes) -> bytes:
        return aes_key_wrap(self._key, data_key)

    def unwrap(self, wrapped: bytes) -> bytes:
        return aes_key_unwrap(self._key, wrapped)
