"""Bytes of a secret are found however they are written, and where they are: laws of the search for secrets."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from quoit.testing.leaks.prints import PrintIndex, PrintKey, pieces_of, telling, windows_of
from quoit.testing.leaks.search import MASK, Search

UNTIMED = settings(deadline=None)
DRAW = random.Random(20_2601)
SECRETS = [DRAW.randbytes(size) for size in (16, 24, 32, 48, 64) for _ in range(200)]
KEY = bytes(range(1, 17))


def searching(*secrets: bytes) -> Search:
    search = Search(KEY)
    search.index.add(search.key.of_secrets([piece for secret in secrets for piece in pieces_of(secret)]))
    return search


SEARCH = searching(*SECRETS)

WRITTEN: dict[str, Callable[[bytes], bytes]] = {
    "raw": bytes,
    "latin-1 in utf-8": lambda b: b.decode("latin-1").encode(),
    "hex": lambda b: b.hex().encode(),
    "capital hex": lambda b: b.hex().upper().encode(),
    "hex with colons": lambda b: b.hex(":").encode(),
    "hex in words": lambda b: b.hex(" ", 4).encode(),
    "base64": base64.b64encode,
    "base64 for urls": base64.urlsafe_b64encode,
    "base64 in lines": lambda b: base64.encodebytes(b * 3),
    "repr": lambda b: repr(b).encode(),
    "repr of a bytearray": lambda b: repr(bytearray(b)).encode(),
    "json": lambda b: json.dumps(b.decode("latin-1")).encode(),
    "list": lambda b: str(list(b)).encode(),
    "array": lambda b: " ".join(f"{octet:3}" for octet in b).encode(),
}


@pytest.mark.parametrize("form", WRITTEN)
@UNTIMED
@given(
    secret=st.sampled_from(SECRETS), before=st.binary(max_size=40), after=st.binary(max_size=40), inside=st.booleans()
)
def test_a_secret_is_found_however_it_is_written(
    form: str, secret: bytes, before: bytes, after: bytes, inside: bool
) -> None:
    """`inside`: what stands around it is written with it, as in a message that is logged whole."""
    write = WRITTEN[form]
    text = write(before + secret + after) if inside else before + b"\n" + write(secret) + b"\n" + after
    assert SEARCH.hits(text)


@UNTIMED
@given(secret=st.sampled_from(SECRETS), start=st.integers(0, 120), before=st.binary(max_size=5))
def test_s1_any_eight_bytes_of_a_key_are_found(secret: bytes, start: int, before: bytes) -> None:
    part = secret[start % (len(secret) - 7) :][:8]
    assume(telling(windows_of(part)).all())  # one window in 2,000 reads as a piece of text, and is nobody's print
    for write in (bytes, bytes.hex, base64.b64encode):
        written = write(before + part + b"\xff")
        assert SEARCH.hits(written.encode() if isinstance(written, str) else written)


@UNTIMED
@given(text=st.binary(max_size=3000) | st.text(max_size=1000).map(str.encode))
def test_nothing_is_found_where_nothing_is(text: bytes) -> None:
    """False alarms: 70,000 prints and 18,000 windows an example are 7e-11 in each, 7e-9 in a run."""
    assert not SEARCH.hits(text)


@UNTIMED
@given(seed=st.integers(0, 2**64))
def test_nothing_is_found_in_random_bytes(seed: int) -> None:
    """As above: 70,000 prints and 65,536 windows, 100 times: 3e-8."""
    data = random.Random(seed).randbytes(1 << 16)
    assert not SEARCH.hits(data)
    assert not SEARCH.hits(data.hex().encode())


@UNTIMED
@given(text=st.binary(max_size=500))
def test_any_text_is_read_without_a_fault(text: bytes) -> None:
    SEARCH.masked(text.decode("utf-8", "surrogateescape"))


@pytest.mark.parametrize("form", ["hex", "base64", "repr", "list", "latin-1 in utf-8"])
@UNTIMED
@given(secret=st.sampled_from(SECRETS))
def test_what_is_struck_out_is_gone_and_the_rest_stays(form: str, secret: bytes) -> None:
    clean, forms = SEARCH.masked(f"before, {WRITTEN[form](secret).decode()}; after")
    assert forms
    assert MASK in clean
    assert clean.startswith("before, ")
    assert clean.endswith("; after")
    assert not SEARCH.hits(clean.encode())


@pytest.mark.parametrize("size", [65, 300, 4096, 100_000])
def test_a_long_block_is_found_whole_from_its_beginning_and_from_its_end(size: int) -> None:
    block = DRAW.randbytes(size)
    search = searching(block)
    assert len(search.index) < 150
    for part in (block, block[:16], block[-16:], block[20 : 20 + (size - 32) // 4 + 20]):
        assert search.hits(b"block " + part.hex().encode())


def test_patterns_are_no_secrets() -> None:
    for pattern in (bytes(32), b"\7" * 32, bytes(range(32)), bytes(range(64, 0, -2)), b"\0\1" * 16, b"abababab" * 3):
        assert not telling(windows_of(pattern)).any()
    assert not len(searching(bytes(1000)).index)


def test_a_random_window_is_hardly_ever_a_pattern() -> None:
    """5e-7 of them are: in 200,000 there are 6 or more with probability 1e-9."""
    windows = windows_of(DRAW.randbytes(200_000))
    assert (~telling(windows, texts=True)).sum() < 6
    assert (~telling(windows)).sum() < 200, "four in ten thousand are all letters"


def test_words_are_kept_of_tokens_and_not_of_keys() -> None:
    words = windows_of(b"a word of a test")
    assert telling(words, texts=True).all()
    assert not telling(words).any()
    assert telling(windows_of(b"\x80 word of \x01 test"))[[0, 8]].all()


def test_an_index_is_bounded_and_says_what_it_forgot() -> None:
    key, index = PrintKey(KEY), PrintIndex(bound=8_000)
    blocks = [key.of(windows_of(DRAW.randbytes(1_007))) for _ in range(20)]
    for block in blocks:
        index.add(block)
        assert index.has(block).all()
    assert len(index) <= 8_000
    assert index.forgotten == 20_000 - len(index)
    assert index.has(blocks[-7]).all()
    assert not index.has(blocks[0]).any()
