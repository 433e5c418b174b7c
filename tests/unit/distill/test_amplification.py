"""Toeplitz by FFT equals the plain matrix product over GF(2), whatever the cut into sub-matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quoit.fabric.distill.amplification import amplify, seed_bits_needed, toeplitz_product


def plain_product(key: np.ndarray, seed: np.ndarray, ell: int) -> np.ndarray:
    n = len(key)
    matrix = seed[np.arange(ell)[:, None] - np.arange(n)[None, :] + n - 1].astype(np.int64)
    return (matrix @ key) % 2


@settings(max_examples=80, deadline=None)
@given(
    data=st.data(),
    n=st.integers(1, 300),
    edge=st.sampled_from([16, 32, 50, 1024]),
    seed=st.integers(0, 2**32),
)
def test_equals_the_matrix_product(data: st.DataObject, n: int, edge: int, seed: int) -> None:
    ell = data.draw(st.integers(1, n))
    rng = np.random.default_rng(seed)
    key = rng.integers(0, 2, n, dtype=np.uint8)
    matrix_seed = rng.integers(0, 2, n + ell - 1, dtype=np.uint8)
    product = toeplitz_product(key, matrix_seed, ell, block_bits=edge)
    assert np.array_equal(product, plain_product(key, matrix_seed, ell))


def test_the_fullest_sums_stay_exact() -> None:
    """All ones: every value of the convolution is n, the largest there can be."""
    n, ell = 1_000_003, 5
    product = toeplitz_product(np.ones(n, np.uint8), np.ones(n + ell - 1, np.uint8), ell, block_bits=1 << 18)
    assert product.tolist() == [n % 2] * ell


def test_some_rows_of_a_long_key_equal_their_definition() -> None:
    n, ell = 400_000, 150_000
    rng = np.random.default_rng(8)
    key = rng.integers(0, 2, n, dtype=np.uint8)
    seed = rng.integers(0, 2, n + ell - 1, dtype=np.uint8)
    product = toeplitz_product(key, seed, ell, block_bits=1 << 16)
    for row in (0, 1, 65_535, 65_536, 131_073, ell - 1):
        assert product[row] == np.bitwise_and(seed[row : row + n][::-1], key).sum() % 2


def test_amplify_packs_whole_bytes_and_hides_them() -> None:
    rng = np.random.default_rng(8)
    key = rng.integers(0, 2, 100, dtype=np.uint8)
    seed = rng.bytes(20)
    final = amplify(key, seed, 43)
    seed_bits = np.unpackbits(np.frombuffer(seed, np.uint8))[: seed_bits_needed(100, 40)]
    assert final.reveal() == np.packbits(plain_product(key, seed_bits, 40).astype(np.uint8)).tobytes()
    assert repr(final) == "Secret(5 bytes)"


def test_nothing_left_is_an_empty_key() -> None:
    assert len(amplify(np.ones(50, np.uint8), b"", 7)) == 0


@pytest.mark.parametrize(("ell", "seed_bits"), [(11, 20), (4, 12), (-1, 8)])
def test_lengths_that_do_not_fit_are_refused(ell: int, seed_bits: int) -> None:
    with pytest.raises(ValueError, match="bits"):
        toeplitz_product(np.zeros(10, np.uint8), np.zeros(seed_bits, np.uint8), ell)
