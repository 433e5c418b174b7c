"""Polynomial hash over GF(2^128): the one family behind message tags and key verification.

Message blocks m_1..m_L of 128 bits are the coefficients of a polynomial without constant term, evaluated
at the secret point H: m_1 H^L + ... + m_L H. Two different messages of at most L blocks collide, or differ
by any given value, for at most L of the 2^128 points.

Why this field: a value *is* a 128-bit tag, so the bound is exactly L 2^-128. Over a prime (2^127 - 1,
2^130 - 5) the values have to be folded into bits and the bound grows by a factor. Speed comes from 16
tables of 256 multiples of H (Shoup's method): about a microsecond a block in plain Python, and a third of
a millisecond to make the tables.
"""

from __future__ import annotations

BLOCK_BYTES = 16
_REDUCTION = (1 << 7) | (1 << 2) | (1 << 1) | 1
"""x^128 = x^7 + x^2 + x + 1, the usual primitive pentanomial; bit i of an integer is the factor of x^i."""
_MASK = (1 << 128) - 1


def multiply(a: int, b: int) -> int:
    """Product in GF(2^128), bit by bit: the plain definition, for single products and for tests."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        b >>= 1
        a <<= 1
        if a >> 128:
            a = (a & _MASK) ^ _REDUCTION
    return product


def block_count(message_bits: int) -> int:
    """Blocks that a message of so many bits takes, its leading 1-bit included: ceil((L + 1) / 128)."""
    return message_bits // 128 + 1


class PolynomialHash:
    """The hash at one point of 16 bytes (little-endian). The point is secret: it never shows in a repr."""

    __slots__ = ("_tables",)

    def __init__(self, point: bytes) -> None:
        if len(point) != BLOCK_BYTES:
            raise ValueError(f"the point of evaluation takes {BLOCK_BYTES} bytes, found {len(point)}")
        self._tables = _multiples(int.from_bytes(point, "little"))

    def __repr__(self) -> str:
        return "PolynomialHash(...)"

    def value(self, message: bytes) -> int:
        """The hash, 0 to 2^128 - 1.

        A 1-bit goes *before* the message, behind zeros: so the first coefficient is never zero and no
        message is another one with blocks of zeros in front.
        """
        padded = bytes(-(len(message) + 1) % BLOCK_BYTES) + b"\x01" + message
        t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15 = self._tables
        value = 0
        for at in range(0, len(padded), BLOCK_BYTES):
            value ^= int.from_bytes(padded[at : at + BLOCK_BYTES], "little")
            # Unrolled on purpose: a loop over the sixteen tables takes twice the time.
            b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15 = value.to_bytes(16, "little")
            value = (
                t0[b0] ^ t1[b1] ^ t2[b2] ^ t3[b3] ^ t4[b4] ^ t5[b5] ^ t6[b6] ^ t7[b7]
                ^ t8[b8] ^ t9[b9] ^ t10[b10] ^ t11[b11] ^ t12[b12] ^ t13[b13] ^ t14[b14] ^ t15[b15]
            )  # fmt: skip
        return value


def _multiples(point: int) -> list[list[int]]:
    """Table k holds, for every byte v, the product of the point with v x^(8k)."""
    power = point
    tables = []
    for _ in range(BLOCK_BYTES):
        table = [0]
        for _ in range(8):
            table += [power ^ entry for entry in table]
            power <<= 1
            if power >> 128:
                power = (power & _MASK) ^ _REDUCTION
        tables.append(table)
    return tables
