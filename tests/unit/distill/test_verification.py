"""Verification: equal keys agree, different keys do not, and the length of the hash is what is counted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.fabric.distill.gf128 import multiply
from quoit.fabric.distill.poly1305 import padded_hash
from quoit.fabric.distill.verification import hash_bits, keys_agree, verification_hash

elements = st.integers(0, 2**128 - 1)


@given(a=elements, b=elements, c=elements)
def test_multiplication_is_that_of_a_field(a: int, b: int, c: int) -> None:
    assert multiply(a, b) == multiply(b, a)
    assert multiply(a, b ^ c) == multiply(a, b) ^ multiply(a, c)
    assert multiply(multiply(a, b), c) == multiply(a, multiply(b, c))
    assert multiply(a, 1) == a


def test_the_field_has_the_published_polynomial() -> None:
    assert multiply(1 << 127, 2) == 0x87
    # x^(2^128) = x in a field of 2^128 elements; any reducible choice of polynomial can fail this.
    power = 2
    for _ in range(128):
        power = multiply(power, power)
    assert power == 2


def test_zeros_around_a_message_change_the_hash() -> None:
    def hashed(message: bytes) -> bytes:
        return padded_hash(bytes(range(1, 17)), bytes(16), message)

    assert len({hashed(bytes(n)) for n in range(40)}) == 40
    assert len({hashed(bytes(n) + b"q" + bytes(m)) for n in range(20) for m in range(20)}) == 400


@pytest.mark.parametrize(("eps_cor", "bits"), [(1e-15, 51), (1e-12, 41), (0.5, 2)])
def test_hash_length_is_log2_of_two_over_eps(eps_cor: float, bits: int) -> None:
    assert hash_bits(eps_cor, 10**6) == bits == math.ceil(math.log2(2 / eps_cor))


@pytest.mark.parametrize("eps_cor", [0.0, 1.0, 1e-30])
def test_impossible_failure_probabilities_are_refused(eps_cor: float) -> None:
    with pytest.raises(ValueError, match="eps_cor"):
        hash_bits(eps_cor, 10**6)


def test_one_wrong_bit_anywhere_is_seen() -> None:
    """512 comparisons at eps 1e-9: a false agreement has probability below 1e-6."""
    rng = np.random.default_rng(4)
    key = rng.integers(0, 2, 512, dtype=np.uint8)
    seed = rng.bytes(32)
    announced = verification_hash(key, seed, 1e-9)
    assert len(announced) == 4
    assert keys_agree(key, seed, 1e-9, announced)
    for i in range(512):
        key[i] ^= 1
        assert not keys_agree(key, seed, 1e-9, announced)
        key[i] ^= 1


def test_collisions_are_as_frequent_as_promised() -> None:
    """eps = 1/8 gives 4 bits, so 1/16 of seeds collide: 2000 seeds, 5 sigma around 125 is 71..179."""
    rng = np.random.default_rng(6)
    key = rng.integers(0, 2, 300, dtype=np.uint8)
    other = key.copy()
    other[[3, 200]] ^= 1
    seeds = [rng.bytes(32) for _ in range(2000)]
    hits = sum(keys_agree(other, seed, 1 / 8, verification_hash(key, seed, 1 / 8)) for seed in seeds)
    assert 71 <= hits <= 179


def test_keys_of_different_length_do_not_agree() -> None:
    key, seed = np.zeros(9, np.uint8), bytes(range(32))
    assert not keys_agree(key[:8], seed, 1e-9, verification_hash(key, seed, 1e-9))
