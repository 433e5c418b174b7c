"""Randomness by name: one stream per (seed, owner, purpose), independent of order and of process.

Physics draws from these streams. Key material does not: it grows from a `root` that is random in live
runs and derived from the seed only in virtual ones, so that a published seed never gives away a key.
"""

from __future__ import annotations

import hashlib

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR


def generator(seed: int, owner: str, purpose: str) -> np.random.Generator:
    """A Philox stream keyed by the three names; same names, same numbers, on any machine."""
    digest = hashlib.sha256(f"{seed}\x1f{owner}\x1f{purpose}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


def of_life(seed: int, life: int) -> int:
    """The seed of a later life of a twin: nothing that was drawn before is drawn again."""
    if not life:
        return seed
    return int.from_bytes(hashlib.sha256(f"quoit life\x1f{seed}\x1f{life}".encode()).digest()[:8], "big")


def synthetic_root(seed: int) -> bytes:
    """32 bytes from which a virtual run grows its key material. Whoever knows the seed knows the keys."""
    return hashlib.sha256(b"quoit synthetic key root\x1f" + str(seed).encode()).digest()


def keystream(root: bytes, *path: str | int, nbytes: int) -> bytes:
    """`nbytes` of key material for one coordinate: AES-256-CTR from zero under SHA-256 of root and path.

    Each path has a key of its own, so no two streams share a block. (SHAKE-256 would need no second
    primitive; with AES in hardware this takes a tenth of its time, which is most of a large network's.)
    """
    name = "\x1f".join(str(part) for part in path).encode()
    key = hashlib.sha256(root + b"\x1f" + name).digest()
    return Cipher(AES256(key), CTR(bytes(16))).encryptor().update(bytes(nbytes))
