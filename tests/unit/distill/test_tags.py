"""Message tags: honest messages pass, altered ones do not, and each key bit is spent once and counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_the_tag_is_the_hash_under_the_pad() -> None:
    """Worked by hand: with H = 1 the hash is the XOR of the blocks, here one of them: 0...0 01 'hello'."""
    supply = TagSupply(Secret(b"\x01" + bytes(15)), Secret(b"\xff" * 16))
    block = bytes(10) + b"\x01hello"
    assert sign(b"hello", supply) == Tag(0, bytes(b ^ 0xFF for b in block))


def test_the_bound_on_forgery_counts_blocks_and_tries() -> None:
    assert forgery_bound(127) == 2.0**-128
    assert forgery_bound(128) == 2.0**-127
    assert forgery_bound(8 * 8192, tries=4) == 4 * 513 * 2.0**-128
    assert forgery_bound(1, tries=2**130) == 1.0


def test_a_supply_shows_levels_only_and_a_tag_has_one_length() -> None:
    supply, _ = pair(2)
    assert repr(supply) == "TagSupply(level_bits=256, spent_bits=128)"
    with pytest.raises(Problem, match="24 bytes"):
        Tag.from_bytes(b"short")
    with pytest.raises(ValueError, match="16 bytes"):
        TagSupply(Secret(b"short"))
