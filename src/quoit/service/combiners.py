"""Keys out of several secrets: whoever lacks one of them learns nothing of the key (C7).

ETSI TS 103 744 (CatKDF, CasKDF) and NIST SP 800-56C rev. 2 (one step and two steps on a shared secret that a second
one is joined to; SP 800-227 clause 4.6 lets a key from a quantum link be the second). All functions are pure and take
every name that the key must be bound to in their context: key_IDs, parties, algorithms. Joining keys by XOR binds
nothing and is not offered here.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from quoit.model.secret import Secret

_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
    "sha3_256": hashes.SHA3_256,
}
HASHES = tuple(_HASHES)


@dataclass(frozen=True)
class Round:
    """One round of CasKDF: a secret, what initiator and responder said of it, and what its key is bound to."""

    secret: Secret
    initiator: bytes
    responder: bytes
    context: bytes
    label: bytes


def cat_kdf(
    secrets: Sequence[Secret],
    initiator: bytes,
    responder: bytes,
    context: bytes,
    label: bytes,
    length: int,
    hash_name: str = "sha256",
) -> Secret:
    """TS 103 744, CatKDF: `secrets` in the order psk, classical, post-quantum; a quantum link's key fits as psk.

    `initiator`, `responder`: all that each said (public keys, ciphertexts, key_IDs). `length` in bytes.
    ValueError for no or an empty secret, an unknown hash, or a length that HKDF cannot give.
    """
    joined = b"".join(_whole(secret) for secret in secrets)
    if not joined:
        raise ValueError("expected at least one secret; found none")
    info = _framed(hash_name, context, initiator, responder)
    return Secret(HKDF(_hash(hash_name), length, salt=label, info=info).derive(joined))


def cas_kdf(
    psk: Secret | None, rounds: Sequence[Round], chain: int, length: int, hash_name: str = "sha256"
) -> tuple[Secret, ...]:
    """TS 103 744, CasKDF: one key of `length` bytes a round, each depending on all secrets up to it, and on `psk`.
    `chain`: bytes handed from round to round. Errors as `cat_kdf`."""
    if not rounds:
        raise ValueError("expected at least one round; found none")
    before, keys = b"" if psk is None else _whole(psk), []
    for one in rounds:
        framed = _framed(hash_name, _whole(one.secret), one.initiator, one.responder)
        mixed = hmac.digest(before, framed, hash_name)
        drawn = HKDF(_hash(hash_name), chain + length, salt=one.label, info=one.context).derive(mixed)
        before = drawn[:chain]
        keys.append(Secret(drawn[chain:]))
    return tuple(keys)


def one_step(approved: Secret, other: Secret, context: bytes, length: int, hash_name: str = "sha256") -> Secret:
    """SP 800-56C rev. 2 clause 4 with the hash alone: Z from an approved scheme, then the other secret."""
    joined = _whole(approved) + _whole(other)
    return Secret(ConcatKDFHash(_hash(hash_name), length, otherinfo=context).derive(joined))


def two_step(approved: Secret, other: Secret, context: bytes, length: int, hash_name: str = "sha256") -> Secret:
    """SP 800-56C rev. 2 clause 5: HMAC extracts under a salt of zeros, HKDF expands."""
    joined = _whole(approved) + _whole(other)
    return Secret(HKDF(_hash(hash_name), length, salt=None, info=context).derive(joined))


def _whole(secret: Secret) -> bytes:
    if not len(secret):
        raise ValueError("expected a secret with bytes in it; found an empty one")
    return secret.reveal()


def _hash(name: str) -> hashes.HashAlgorithm:
    if name not in _HASHES:
        raise ValueError(f"expected one of {', '.join(HASHES)}; found {name!r}")
    return _HASHES[name]()


def _framed(hash_name: str, *parts: bytes) -> bytes:
    """TS 103 744's f: the hash of all parts, each after its length, so that no two lists look alike."""
    _hash(hash_name)
    return hashlib.new(hash_name, b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()
