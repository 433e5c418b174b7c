"""Privacy amplification: multiply the verified key by a random Toeplitz matrix over GF(2), by FFT.

The seed s of n + ell - 1 bits is public and fresh for each block; row i, column j of the matrix is s[i - j
+ n - 1]. Toeplitz matrices are a 2-universal family (Krawczyk, EUROCRYPT '95,
doi:10.1007/3-540-49264-X_24), which the leftover hash lemma in the finite-key proofs asks for.

The product is a convolution of 0/1 sequences, computed in floating point and rounded to integers before
the parity is taken. Values reach n, the error of a double-precision FFT of this size is about n log2(n)
2^-53 (1e-8 for n = 1e7); the distance to the nearest integer is checked all the same, because a silently
wrong bit ruins a key at one end only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quoit.model.secret import Secret

Bits = NDArray[np.uint8]

MAX_BLOCK_BITS = 1 << 20
"""Edge of the square sub-matrices that are multiplied by one FFT each; bounds the working memory."""
_MAX_ROUNDING = 0.1


def seed_bits_needed(n_bits: int, ell_bits: int) -> int:
    """Length of the public seed for a key of `n_bits` that becomes `ell_bits`; 0 when nothing is left."""
    return n_bits + ell_bits - 1 if ell_bits else 0


def toeplitz_product(key: Bits, seed: Bits, ell_bits: int, *, block_bits: int = MAX_BLOCK_BITS) -> Bits:
    """The `ell_bits` bits (uint8) of Toeplitz(seed) times key over GF(2).

    `key` holds n bits, `seed` n + ell_bits - 1 (uint8, 0 or 1). The matrix is cut into squares of at most
    `block_bits`, whose transforms along one diagonal are equal: n/b + ell/b forward and ell/b inverse
    transforms of 2b points for b = block_bits. Needs about
    32 n + 64 b bytes.

    ValueError for wrong lengths; ArithmeticError if floating point could not give exact integers.
    """
    n = len(key)
    if ell_bits < 0 or ell_bits > n:
        raise ValueError(f"a key of {n} bits can be shortened to 0..{n} bits, not to {ell_bits}")
    if len(seed) != seed_bits_needed(n, ell_bits):
        raise ValueError(
            f"a Toeplitz matrix of {ell_bits} x {n} takes {seed_bits_needed(n, ell_bits)} seed bits, found {len(seed)}"
        )
    if ell_bits == 0:
        return np.zeros(0, dtype=np.uint8)
    edge = min(block_bits, 1 << max(4, (n - 1).bit_length()))
    columns = [np.fft.rfft(key[at : at + edge], 2 * edge) for at in range(0, n, edge)]
    diagonals = _Diagonals(seed, n, edge, keep=len(columns))
    out = np.empty(ell_bits, dtype=np.uint8)
    for row, at in enumerate(range(0, ell_bits, edge)):
        spectrum = np.zeros(edge + 1, dtype=np.complex128)
        for column, transformed in enumerate(columns):
            spectrum += diagonals.spectrum(row - column) * transformed
        rows = min(edge, ell_bits - at)
        out[at : at + rows] = _parities(np.fft.irfft(spectrum, 2 * edge)[edge - 1 : edge - 1 + rows])
    return out


def amplify(key: Bits, seed: bytes, ell_bits: int) -> Secret:
    """The final key: `ell_bits` rounded down to whole bytes, big-endian bits within a byte.

    `seed` holds at least `seed_bits_needed(len(key), ell_bits)` bits, the unneeded last ones are ignored.
    """
    ell = ell_bits // 8 * 8
    needed = seed_bits_needed(len(key), ell)
    if len(seed) * 8 < needed:
        raise ValueError(f"amplification needs {needed} seed bits, found {len(seed) * 8}")
    seed_bits = np.unpackbits(np.frombuffer(seed, dtype=np.uint8), count=needed)
    return Secret(np.packbits(toeplitz_product(key, seed_bits, ell)).tobytes())


class _Diagonals:
    """Transforms of the seed's parts, one a diagonal of sub-matrices, made when first needed.

    Rows ask for the diagonals row - 0 .. row - (keep - 1), so older ones are dropped.
    """

    def __init__(self, seed: Bits, n_bits: int, edge: int, keep: int) -> None:
        self._seed = seed
        self._n_bits = n_bits
        self._edge = edge
        self._keep = keep
        self._made: dict[int, NDArray[np.complex128]] = {}

    def spectrum(self, diagonal: int) -> NDArray[np.complex128]:
        """For sub-matrices with row - column = `diagonal` (in units of the edge)."""
        if diagonal not in self._made:
            self._made.pop(diagonal - self._keep, None)
            first = diagonal * self._edge - self._edge + self._n_bits
            part = np.zeros(2 * self._edge, dtype=np.float64)
            low, high = max(first, 0), min(first + 2 * self._edge - 1, len(self._seed))
            part[low - first : high - first] = self._seed[low:high]
            self._made[diagonal] = np.fft.rfft(part)
        return self._made[diagonal]


def _parities(values: NDArray[np.float64]) -> Bits:
    whole = np.rint(values)
    if np.abs(values - whole).max(initial=0.0) > _MAX_ROUNDING:
        raise ArithmeticError(
            "the FFT of privacy amplification lost integer precision: use smaller blocks (block_bits)"
        )
    return (whole.astype(np.int64) & 1).astype(np.uint8)
