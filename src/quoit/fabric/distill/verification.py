"""Are the two corrected keys equal? A short universal hash tells, and its bits count as leaked.

The sender draws the 32-byte seed *after* error correction ended and publishes it with the hash; seed and
hash go over the authenticated channel. The hash is Poly1305's polynomial at the seed's first half,
multiplied in GF(2^128) by the seed's second half and cut to t = ceil(log2(2 / eps_cor)) bits. Keys that
differ pass with probability at most d + 2^-t, d being the polynomial's `difference_bound`; as
2^-t <= eps_cor/2 this stays below eps_cor while d <= eps_cor/2, which `hash_bits` checks.
"""

from __future__ import annotations

import hmac
import math

import numpy as np
from numpy.typing import NDArray

from quoit.fabric.distill.gf128 import multiply
from quoit.fabric.distill.poly1305 import PAD_BYTES, difference_bound, padded_hash

SEED_BYTES = 32
_LENGTH_BYTES = 8
_NO_PAD = bytes(PAD_BYTES)


def hash_bits(eps_cor: float, n_bits: int) -> int:
    """Length of the hash, ceil(log2(2 / eps_cor)): the bits that verification of `n_bits` leaks.

    ValueError when the field is too small for this failure probability at this length.
    """
    if not 0.0 < eps_cor < 1.0:
        raise ValueError(f"eps_cor: expected a probability between 0 and 1, found {eps_cor}")
    floor = 2.0 * difference_bound(n_bits + 8 * _LENGTH_BYTES)
    if eps_cor < floor:
        raise ValueError(
            f"eps_cor = {eps_cor:g} is out of the hash's reach for {n_bits} bits: ask for {floor:.1g} or more"
        )
    return math.ceil(math.log2(2.0 / eps_cor))


def verification_hash(key_bits: NDArray[np.uint8], seed: bytes, eps_cor: float) -> bytes:
    """Hash of a corrected key (uint8 bits): `hash_bits` bits in whole bytes, the last filled with zeros."""
    if len(seed) != SEED_BYTES:
        raise ValueError(f"the seed of verification takes {SEED_BYTES} bytes, found {len(seed)}")
    length = hash_bits(eps_cor, len(key_bits))
    message = len(key_bits).to_bytes(_LENGTH_BYTES, "little") + np.packbits(key_bits).tobytes()
    hashed = int.from_bytes(padded_hash(seed[:16], _NO_PAD, message), "little")
    value = multiply(hashed, int.from_bytes(seed[16:], "little"))
    return (value & ((1 << length) - 1)).to_bytes((length + 7) // 8, "little")


def keys_agree(key_bits: NDArray[np.uint8], seed: bytes, eps_cor: float, announced: bytes) -> bool:
    """Does this end's key give the announced hash? False means: discard the block, at both ends."""
    return hmac.compare_digest(verification_hash(key_bits, seed, eps_cor), announced)
