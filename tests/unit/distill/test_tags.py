"""Message tags: honest messages pass, altered ones do not, and each key bit is spent once and counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.fabric.distill.poly1305 import padded_hash
from quoit.fabric.distill.tags import (
    MAX_SKIPPED,
    Tag,
    TagSupply,
    forgery_bound,
    sign,
    verify,
)
from quoit.model.problem import Problem
from quoit.model.secret import Secret

KEY = bytes(range(256)) * 8


def pair(pads: int = 20) -> tuple[TagSupply, TagSupply]:
    key = Secret(KEY[: 16 * (1 + pads)])
    return TagSupply.from_preshared(key), TagSupply.from_preshared(key)


@given(st.lists(st.binary(max_size=70), max_size=20))
def test_honest_messages_pass_and_both_ends_count_the_same(messages: list[bytes]) -> None:
    sender, receiver = pair()
    for message in messages:
        verify(message, Tag.from_bytes(sign(message, sender).to_bytes()), receiver)
    assert sender.spent_bits == receiver.spent_bits == 128 * (1 + len(messages))
    assert sender.level_bits == receiver.level_bits == 128 * (20 - len(messages))
    assert receiver.messages_left == 20 - len(messages)


@given(message=st.binary(min_size=1, max_size=50), data=st.data())
def test_an_altered_message_is_refused(message: bytes, data: st.DataObject) -> None:
    sender, receiver = pair()
    tag = sign(message, sender)
    at = data.draw(st.integers(0, 8 * len(message) - 1))
    altered = bytearray(message)
    altered[at // 8] ^= 1 << (at % 8)
    with pytest.raises(Problem, match="does not fit"):
        verify(bytes(altered), tag, receiver)


@pytest.mark.parametrize("altered", [b"\0message", b"message\0", b"messag", b"\0" * 16 + b"message", b""])
def test_a_longer_or_shorter_message_is_refused(altered: bytes) -> None:
    sender, receiver = pair()
    tag = sign(b"message", sender)
    with pytest.raises(Problem, match="does not fit"):
        verify(altered, tag, receiver)


def test_an_altered_tag_is_refused_and_burns_its_pad() -> None:
    sender, receiver = pair()
    tag = sign(b"message", sender)
    with pytest.raises(Problem, match="does not fit"):
        verify(b"message", Tag(tag.serial, bytes(16)), receiver)
    with pytest.raises(Problem, match="replay"):
        verify(b"message", tag, receiver)
    assert receiver.spent_bits == sender.spent_bits == 256


def test_a_replay_is_refused_and_costs_nothing() -> None:
    sender, receiver = pair()
    tag = sign(b"message", sender)
    verify(b"message", tag, receiver)
    with pytest.raises(Problem, match="replay"):
        verify(b"message", tag, receiver)
    assert receiver.spent_bits == 256


def test_lost_messages_burn_their_pads_at_the_receiver_too() -> None:
    sender, receiver = pair()
    sign(b"lost", sender)
    sign(b"lost as well", sender)
    verify(b"arrived", sign(b"arrived", sender), receiver)
    assert receiver.spent_bits == sender.spent_bits == 128 * 4


def test_a_forged_serial_number_does_not_burn_the_supply() -> None:
    _, receiver = pair(pads=100)
    with pytest.raises(Problem, match="ahead"):
        verify(b"x", Tag(MAX_SKIPPED + 1, bytes(16)), receiver)
    with pytest.raises(Problem, match="bits of key"):
        verify(b"x", Tag(MAX_SKIPPED, bytes(16)), receiver)
    assert receiver.messages_left == 100


def test_without_key_nothing_is_signed_until_key_is_deposited() -> None:
    sender, receiver = pair(pads=1)
    sign(b"first", sender)
    with pytest.raises(Problem, match="deposit key"):
        sign(b"second", sender)
    for end in (sender, receiver):
        end.deposit(Secret(b"half a p"))
        end.deposit(Secret(b"ad, then"))
    verify(b"second", sign(b"second", sender), receiver)
    assert sender.level_bits == 0


def test_equal_messages_have_unrelated_tags() -> None:
    sender, _ = pair()
    assert sign(b"same", sender).value != sign(b"same", sender).value


def poly1305(point: bytes, pad: bytes, message: bytes) -> bytes:
    """The definition, in integers: RFC 8439 section 2.5.1."""
    r = int.from_bytes(point, "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    value = 0
    for at in range(0, len(message), 16):
        value = (value + int.from_bytes(message[at : at + 16] + b"\x01", "little")) * r % (2**130 - 5)
    return ((value + int.from_bytes(pad, "little")) % 2**128).to_bytes(16, "little")


def test_the_hash_is_that_of_the_standards_example() -> None:
    """RFC 8439 section 2.5.2."""
    point = bytes.fromhex("85d6be7857556d337f4452fe42d506a8")
    pad = bytes.fromhex("0103808afb0db2fd4abff6af4149f51b")
    tag = bytes.fromhex("a8061dc1305136c6c22b8baf0c0127a9")
    assert padded_hash(point, pad, b"Cryptographic Forum Research Group") == tag


@given(point=st.binary(min_size=16, max_size=16), pad=st.binary(min_size=16, max_size=16), message=st.binary())
def test_the_tag_is_the_hash_under_the_pad(point: bytes, pad: bytes, message: bytes) -> None:
    supply = TagSupply(Secret(point), Secret(pad))
    assert sign(message, supply) == Tag(0, poly1305(point, pad, message))


def test_the_pad_alone_hides_a_message_and_a_zero_pad_nothing() -> None:
    """What an eavesdropper sees is uniform: each tag is reached by exactly one pad."""
    point, message = bytes(range(16)), b"message"
    bare = int.from_bytes(padded_hash(point, bytes(16), message), "little")
    for pad in (0, 1, 2**127, 2**128 - 1):
        tag = int.from_bytes(padded_hash(point, pad.to_bytes(16, "little"), message), "little")
        assert (tag - bare) % 2**128 == pad


@pytest.mark.parametrize(("point", "pad"), [(b"short", bytes(16)), (bytes(16), b"short"), (bytes(32), b"")])
def test_point_and_pad_have_one_length(point: bytes, pad: bytes) -> None:
    with pytest.raises(ValueError, match="16 bytes each"):
        padded_hash(point, pad, b"message")


def test_the_bound_on_forgery_counts_blocks_and_tries() -> None:
    assert forgery_bound(0) == forgery_bound(128) == 2.0**-103
    assert forgery_bound(129) == 2.0**-102
    assert forgery_bound(8 * 8192, tries=4) == 4 * 512 * 2.0**-103
    assert forgery_bound(1, tries=2**105) == 1.0


def test_a_supply_shows_levels_only_and_a_tag_has_one_length() -> None:
    supply, _ = pair(2)
    assert repr(supply) == "TagSupply(level_bits=256, spent_bits=128)"
    with pytest.raises(Problem, match="24 bytes"):
        Tag.from_bytes(b"short")
    with pytest.raises(ValueError, match="16 bytes"):
        TagSupply(Secret(b"short"))
