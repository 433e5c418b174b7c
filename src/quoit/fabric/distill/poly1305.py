"""The universal hash behind message tags and key verification: Poly1305's polynomial, without its cipher.

A message of L bytes is cut into ceil(L/16) coefficients, each with a 1-bit above its last byte, and the
polynomial without constant term is evaluated at the secret point r modulo 2^130 - 5; the tag is that value
plus the pad, modulo 2^128. For two different messages of at most L bytes and any difference, at most
8 ceil(L/16) of the 2^106 points give that difference (Bernstein, "The Poly1305-AES message-authentication
code", FSE 2005, doi:10.1007/11502760_3, theorem 3.3; arithmetic as in RFC 8439 section 2.5). The theorem
counts points and assumes nothing of an adversary's computing power. A cipher enters Poly1305-AES and
ChaCha20-Poly1305 only to make pads; here the pads are link key, so nothing but the theorem is left.

Why this family: the library computes it at gigabytes a second, and a block of a gigahertz link has tens of
megabytes to protect. A polynomial over GF(2^128) has the better bound, ceil(L/16) 2^-128, and takes a
microsecond for 16 bytes in Python; GHASH of a library cannot be had at a point of one's own, only at one
that a cipher made, and its bound would then be computational.
"""

from __future__ import annotations

import math

from cryptography.hazmat.primitives.poly1305 import Poly1305

POINT_BYTES = 16
PAD_BYTES = 16
HASH_BITS = 128


def difference_bound(message_bits: int) -> float:
    """Share of the points at which two messages of at most so many bits differ by a given value."""
    return math.ldexp(8.0 * max(1, math.ceil(message_bits / 128)), -106)


def padded_hash(point: bytes, pad: bytes, message: bytes | bytearray) -> bytes:
    """Hash at `point` plus `pad`, both of 16 bytes, as 16 bytes little-endian.

    22 of the point's 128 bits are cleared before use (its set has 2^106 members). ValueError for another length.
    """
    if len(point) != POINT_BYTES or len(pad) != PAD_BYTES:
        raise ValueError(f"point and pad take 16 bytes each, found {len(point)} and {len(pad)}")
    return Poly1305.generate_tag(point + pad, message)
