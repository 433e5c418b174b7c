"""Files that hold secrets by design: the only ones, and only while their mode keeps others out."""

from __future__ import annotations

from collections.abc import Container
from fnmatch import fnmatch
from pathlib import Path

EXEMPT = (
    ("*.key", "private keys of certificates, key-encryption keys, and the root that the processes of a twin share"),
    ("kek.bin", "the key-encryption key of stores in files, where none was named, and copies of it"),
    ("kek.next", "the one that a rotation goes to"),
    ("psk.txt", "the pre-shared keys of a tunnel, where stunnel reads them"),
    ("kek.*.new", "a key-encryption key that a kill kept from its name"),
)
"""(name of the file, what it is)."""
READ_AS_SECRET = "a file that the product reads as a secret: a key-encryption key, a PIN or a token, under any name"


def why_exempt(path: Path, read_as_secret: Container[Path] = ()) -> str | None:
    """What this file is for, if it is for secrets and for its owner's eyes alone."""
    reasons = [reason for pattern, reason in EXEMPT if fnmatch(path.name, pattern)]
    reasons += [READ_AS_SECRET] if path.absolute() in read_as_secret else []
    try:
        return reasons[0] if reasons and path.stat().st_mode & 0o077 == 0 else None
    except OSError:
        return None
