"""Sessions whose links give no key: hybrid keys where they were asked for, labelled everywhere, and nowhere else."""

from __future__ import annotations

import pytest
from test_sessions import Story

from quoit.model.problem import Problem
from quoit.model.secret import Secret
from quoit.service.api import GetUnit, OpenKeys, TakeKeys
from quoit.service.hybrid import OfferKem, Opener, Ratchet, class_of, close_to

OFFER = OfferKem("s", "a>b!s~hybrid", 0, 1024, 0, b"")


def dried_out(**wishes: object) -> Story:
    """Alice's session with Dan after both ways were cut and its own stream was used up."""
    story = Story()
    story.open("alice", "dan", 2_000.0, burst_bits=100_000, **wishes)
    story.pass_time(15)
    for span in ("ab", "ac"):
        story.strike("cut", span)
    for _ in range(100):
        try:
            if story.keys()[0].made_of != "qkd":
                return story
        except Problem:
            return story
    raise AssertionError("the stream never ran dry")


@pytest.mark.realises("C7", "C5")
def test_hybrid_keys_are_the_same_at_both_ends_and_say_what_they_are() -> None:
    story = dried_out(on_shortage="hybrid")
    opened = story.keys(number=4)
    assert {key.made_of for key in opened} == {"hybrid"}
    taken = story.world.ask("kme-d", TakeKeys("dan", "alice", tuple(key.key_id for key in opened)))
    assert [key.value for key in taken.keys] == [key.value for key in opened]
    assert {key.made_of for key in taken.keys} == {"hybrid"}
    for kme, caller in (("kme-a", "alice"), ("kme-d", "dan")):
        assert story.world.ask(kme, GetUnit(caller, opened[0].key_id)).made_of == "hybrid"
    assert "session has not the routes it was promised" in story.alarms()
    assert "hybrid" in {entry["state"] for entry in story.said("session.state")}


def test_key_of_the_links_is_used_again_as_soon_as_there_is_some() -> None:
    story = dried_out(on_shortage="hybrid")
    assert story.keys()[0].made_of == "hybrid"
    story.strike("splice", "ab")
    story.pass_time(20)
    assert story.keys()[0].made_of == "qkd"
    assert story.said("session.state")[-1]["state"] == "open"
    story.verified()


def test_who_did_not_ask_for_it_gets_none() -> None:
    story = dried_out()
    with pytest.raises(Problem) as caught:
        story.keys()
    assert caught.value.code == "no-route"
    assert not any("hybrid" in str(event.fields) for event in story.events)


def test_a_third_party_elsewhere_is_refused_since_nobody_would_see_what_the_key_is_made_of() -> None:
    story = dried_out(on_shortage="hybrid")
    with pytest.raises(Problem, match="for two parties only"):
        story.world.ask("kme-a", OpenKeys("alice", "dan", 1, (story.id(),), 256, ("carol",)), 60_000_000_000)


def test_a_session_that_cannot_be_seeded_is_refused_as_a_whole() -> None:
    story = Story()
    for span in ("bd", "cd"):
        story.strike("cut", span)
    with pytest.raises(Problem):
        story.open("alice", "dan", 2_000.0, on_shortage="hybrid")


@pytest.mark.realises("C7")
def test_another_seed_or_another_shared_secret_gives_another_key() -> None:
    """K14: both inputs count."""
    seed, shared = bytes(range(32)), bytes(range(32, 64))
    key = Ratchet(Secret(seed)).turn(0, Secret(shared), OFFER, b"ciphertext")
    again = Ratchet(Secret(seed)).turn(0, Secret(shared), OFFER, b"ciphertext")
    assert key == again
    for bit in range(0, 256, 37):
        other = bytearray(seed)
        other[bit // 8] ^= 1 << bit % 8
        assert Ratchet(Secret(other)).turn(0, Secret(shared), OFFER, b"ciphertext") != key
        other = bytearray(shared)
        other[bit // 8] ^= 1 << bit % 8
        assert Ratchet(Secret(seed)).turn(0, Secret(other), OFFER, b"ciphertext") != key
    assert Ratchet(Secret(seed)).turn(0, Secret(shared), OFFER, b"another") != key


def test_a_round_whose_answer_was_lost_can_be_offered_again_and_older_ones_cannot() -> None:
    here, there = Ratchet(Secret(bytes(32))), Ratchet(Secret(bytes(32)))
    for number, lost in ((0, True), (0, False), (1, True), (1, True), (1, False), (2, False)):
        opener = Opener(Secret(bytes([number + 7 * lost]) * 64))
        shared, ciphertext = close_to(opener.public_key)
        offer = OfferKem("s", "a>b!s~hybrid", 0, 1024, number, opener.public_key)
        theirs = there.turn(number, shared, offer, ciphertext)
        if not lost:
            assert here.turn(number, opener.open(ciphertext), offer, ciphertext) == theirs
    with pytest.raises(Problem, match="expected round 3"):
        there.turn(1, Secret(bytes(32)), OFFER, b"")


def test_what_is_no_key_and_no_ciphertext() -> None:
    with pytest.raises(Problem, match="expected an ML-KEM-768 public key, found 3 bytes"):
        close_to(b"abc")
    with pytest.raises(Problem, match="expected an ML-KEM-768 ciphertext"):
        Opener(Secret(bytes(64))).open(b"abc")
    opener = Opener(Secret(bytes(64)))
    shared, ciphertext = close_to(opener.public_key)
    altered = bytes([ciphertext[0] ^ 1]) + ciphertext[1:]
    assert opener.open(altered) != shared, "implicit rejection: another secret, and no error to learn from"


def test_the_class_is_in_the_stream_s_name() -> None:
    assert class_of("a>b!s~hybrid#5") == "hybrid"
    assert class_of("a>b!s#5") == class_of("a>b") == "qkd"
