"""Randomness by name: one stream per (seed, owner, purpose), independent of order and of process.

Physics draws from these streams. Key material does not: it grows from a `root` that is random in live
runs and derived from the seed only in virtual ones, so that a published seed never gives away a key.
"""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, owner: str, purpose: str) -> np.random.Generator:
    """A Philox stream keyed by the three names; same names, same numbers, on any machine."""
    digest = hashlib.sha256(f"{seed}\x1f{owner}\x1f{purpose}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


def synthetic_root(seed: int) -> bytes:
    """32 bytes from which a virtual run grows its key material. Whoever knows the seed knows the keys."""
    return hashlib.sha256(b"quoit synthetic key root\x1f" + str(seed).encode()).digest()


def keystream(root: bytes, *path: str | int, nbytes: int) -> bytes:
    """`nbytes` of key material for one coordinate (SHAKE-256 of root and path)."""
    name = "\x1f".join(str(part) for part in path).encode()
    return hashlib.shake_256(root + b"\x1f" + name).digest(nbytes)
