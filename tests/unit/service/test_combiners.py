"""Combined keys: known answers, and a change of any input changes the key (K14).

The known answers were computed once from the text of the standards with `hmac` and `hashlib` alone, and their HKDF
parts with `openssl kdf`; the functions under test go through another library.
"""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quoit.model.secret import Secret
from quoit.service.combiners import HASHES, Round, cas_kdf, cat_kdf, one_step, two_step

PSK, K1, K2 = bytes(range(32)), b"\x11" * 32, b"\x22" * 32
BYTES = st.binary(min_size=1, max_size=40)


def cat(psk: bytes, k1: bytes, k2: bytes, a: bytes, b: bytes, context: bytes, label: bytes, hash_name: str) -> str:
    secrets = [Secret(psk), Secret(k1), Secret(k2)]
    return cat_kdf(secrets, a, b, context, label, 32, hash_name).reveal().hex()


@pytest.mark.parametrize(
    ("hash_name", "expected"),
    [
        ("sha256", "a8d110f61f9b55dd5af8eff533288a2487a342a4a8ea7a4f5593487276d54c6d"),
        ("sha384", "3bf4525ef2456c79433246d8282dc5eab5fc1ee02504818d01e2f2fa36f8f2e5"),
        ("sha3_256", "740df635e4a73d076ca3d22d56cbe80aa60181a6ac55850be32146e16b69b3ac"),
    ],
)
def test_cat_kdf_gives_the_known_keys(hash_name: str, expected: str) -> None:
    assert cat(PSK, K1, K2, b"A-message", b"B-message", b"qndt", b"CatKDF_TEST", hash_name) == expected


def test_cas_kdf_gives_the_known_keys() -> None:
    rounds = [
        Round(Secret(secret), f"MA{i}".encode(), f"MB{i}".encode(), f"ctx{i}".encode(), f"lab{i}".encode())
        for i, secret in enumerate((K1, K2), start=1)
    ]
    first, second = cas_kdf(Secret(PSK), rounds, 32, 32)
    assert first.reveal().hex() == "9e23566c8d8ee8761d099da24117ac6f0d7b2eacb59006ea5aab9aa2fb61982a"
    assert second.reveal().hex() == "606ff75836e30f2adb4b4f10b1d27c0c0e2adc36947a43366a7c6787cb8831f4"


def test_sp_800_56c_gives_the_known_keys() -> None:
    one = one_step(Secret(K1), Secret(K2), b"qndt", 32)
    assert one.reveal().hex() == "fcde1386dde413202afeeb19a884684f66e3fcface3e3641dca7dc64b2dda9d1"
    two = two_step(Secret(K1), Secret(K2), b"qndt", 32)
    assert two.reveal().hex() == "69fd91cbf34cbde3bb472640765cd4f7a83340c4282e7fa3fff7563b598572d8"


@given(BYTES, BYTES, BYTES, BYTES, BYTES, BYTES, BYTES, st.sampled_from(HASHES))
@settings(deadline=None)
def test_cat_kdf_is_what_the_standard_writes(
    psk: bytes, k1: bytes, k2: bytes, a: bytes, b: bytes, context: bytes, label: bytes, hash_name: str
) -> None:
    framed = b"".join(len(part).to_bytes(4, "big") + part for part in (context, a, b))
    info = hashlib.new(hash_name, framed).digest()
    extracted = hmac.digest(label, psk + k1 + k2, hash_name)
    expanded = hmac.digest(extracted, info + b"\x01", hash_name)
    assert cat(psk, k1, k2, a, b, context, label, hash_name) == expanded[:32].hex()


@given(st.integers(0, 6), st.integers(0, 8 * 8 - 1), st.sampled_from(HASHES))
@settings(deadline=None)
def test_one_bit_of_any_input_changes_the_key(which: int, bit: int, hash_name: str) -> None:
    inputs = [bytes(range(n, n + 8)) for n in range(7)]
    changed = list(inputs)
    number = int.from_bytes(inputs[which], "big") ^ 1 << bit
    changed[which] = number.to_bytes(8, "big")
    assert cat(*inputs, hash_name) != cat(*changed, hash_name)


def test_bytes_cannot_move_from_one_input_to_the_next() -> None:
    """Lengths are part of what is hashed; the secrets' own lengths are fixed by who makes them."""
    assert cat(PSK, K1, K2, b"ab", b"c", b"x", b"l", "sha256") != cat(PSK, K1, K2, b"a", b"bc", b"x", b"l", "sha256")


def test_what_cannot_be_combined() -> None:
    with pytest.raises(ValueError, match="empty one"):
        cat_kdf([Secret(PSK), Secret(b"")], b"", b"", b"", b"", 32)
    with pytest.raises(ValueError, match="found none"):
        cat_kdf([], b"", b"", b"", b"", 32)
    with pytest.raises(ValueError, match="at least one round"):
        cas_kdf(None, [], 32, 32)
    with pytest.raises(ValueError, match="expected one of sha256"):
        one_step(Secret(K1), Secret(K2), b"", 32, "md5")
