"""Multiplication in GF(2^128): the step that cuts the hash of key verification to any length."""

from __future__ import annotations

_REDUCTION = (1 << 7) | (1 << 2) | (1 << 1) | 1
"""x^128 = x^7 + x^2 + x + 1, the usual primitive pentanomial; bit i of an integer is the factor of x^i."""
_MASK = (1 << 128) - 1


def multiply(a: int, b: int) -> int:
    """Product in GF(2^128), bit by bit: the plain definition, for single products."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        b >>= 1
        a <<= 1
        if a >> 128:
            a = (a & _MASK) ^ _REDUCTION
    return product
