"""The link service on a wire: what goes in comes out, the draft's places of bits, and refusal of all else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.fabric.api import CreatePairs, MadePair, PairsFailed, PairsMade, Reading
from quoit.fabric.linkservice.codec import (
    CREATE_OCTETS,
    Answer,
    ErrorCode,
    FrameFault,
    RandomBases,
    TimeUnit,
    WireAck,
    WireBasis,
    WireCreate,
    WireErr,
    WireOkKeep,
    WireOkMeasure,
    decode_answer,
    decode_create,
    encode_answer,
    encode_create,
    fidelity_bits,
    time_bits,
)
from quoit.fabric.linkservice.wire import create_of, frames_of, wire_of

u3, u4, u8, u14, u16, u32 = (st.integers(0, 2**n - 1) for n in (3, 4, 8, 14, 16, 32))
chances = st.tuples(u8, u8).filter(lambda pair: sum(pair) <= 255)
turns = st.tuples(u8, u8, u8)
creates = st.builds(
    WireCreate, u32, u16, st.sampled_from(TimeUnit), u14, u16, st.integers(1, 2**16 - 1), u3, st.just(True),
    st.booleans(), st.booleans(), st.booleans(), st.sampled_from(RandomBases), st.sampled_from(RandomBases), chances,
    chances, turns, turns,
) | st.builds(WireCreate, u32, u16, number=st.integers(1, 9), atomic=st.booleans())  # fmt: skip
answers: st.SearchStrategy[Answer] = (
    st.builds(WireAck, u16)
    | st.builds(WireOkKeep, u16, u4, st.booleans(), u16, u16, u32, u16, u16)
    | st.builds(WireOkMeasure, u16, st.booleans(), st.booleans(), st.sampled_from(WireBasis), u16, u16, u32, u16)
    | st.builds(WireErr, u16, st.sampled_from(ErrorCode), u32)
    | st.builds(WireErr, u16, st.just(ErrorCode.EXPIRE), u32, st.just(True), u16, u16)
)
NUMBERS = {"a": 7, "b": 4_000_000_000}


@given(creates)
def test_a_create_comes_back(create: WireCreate) -> None:
    assert decode_create(encode_create(create)) == create


@given(answers)
def test_an_answer_comes_back(answer: Answer) -> None:
    assert decode_answer(encode_answer(answer)) == answer


@given(st.binary(max_size=40))
def test_any_octets_are_read_exactly_or_refused(frame: bytes) -> None:
    for decode, encode in ((decode_create, encode_create), (decode_answer, encode_answer)):
        try:
            found = decode(frame)
        except FrameFault:
            continue
        assert encode(found) == frame  # type: ignore[operator]


@given(st.binary(min_size=CREATE_OCTETS, max_size=CREATE_OCTETS))
def test_octets_of_the_right_length_are_read_exactly_or_refused(frame: bytes) -> None:
    try:
        found = decode_create(frame)
    except FrameFault:
        return
    assert encode_create(found) == frame


def test_bits_are_where_the_draft_puts_them() -> None:
    """draft-dahlberg-ll-quantum-03 sec. 4: most significant first."""
    create = WireCreate(
        1, 0x8000, TimeUnit.SECOND, 5, 0x1234, 3, 6, True, False, True, False, RandomBases.XZ, RandomBases.CHSH,
        (128, 0), (255, 0), (1, 2, 3), (4, 5, 6),
    )  # fmt: skip
    assert encode_create(create).hex(" ", 4) == "00000001 80008005 12340003 d5c08000 ff000102 03040506"
    assert encode_answer(WireAck(0x00FF)).hex(" ", 4) == "100ff000"
    assert encode_answer(WireOkKeep(1, 9, True, 2, 3, 4, 5, 6)).hex(" ", 4) == "20001980 00020003 00000004 00050006"
    measured = WireOkMeasure(1, True, False, WireBasis.ZMINUSX, 2, 3, 4, 5)
    assert encode_answer(measured).hex(" ", 4) == "30001a00 00020003 00000004 00050000"
    assert decode_answer(bytes.fromhex("40001580" + "0001" + "0004" + "00000007")) == WireErr(
        1, ErrorCode.EXPIRE, 7, True, 1, 4
    )


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"number": 0}, "number"),
        ({"number": 2**16}, "16 bits"),
        ({"priority": 8}, "3 bits"),
        ({"max_time": 2**14}, "14 bits"),
        ({"remote": -1}, "32 bits"),
        ({"prepare": True}, "TPE"),
        ({"local_bases": RandomBases.XYZ, "local_chances": (200, 100)}, "local probabilities"),
    ],
)
def test_values_that_no_create_holds(change: dict[str, object], found: str) -> None:
    with pytest.raises(FrameFault, match=found):
        encode_create(WireCreate(**{"remote": 1, **change}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("frame", "found"),
    [
        (b"", "no octet"),
        (b"\x00" * 4, "type of 1 to 4"),
        (b"\x50" + b"\x00" * 3, "type of 1 to 4"),
        (b"\x10\x00\x10", "4 octets"),
        (bytes.fromhex("1000f001"), "12 unused bits"),
        (bytes.fromhex("40001000" + "00" * 8), "code of 1 to 8, found 0"),
        (bytes.fromhex("40001900" + "00" * 8), "code of 1 to 8, found 9"),
        (bytes.fromhex("40001180" + "00" * 8), "EXPIRE alone"),
        (bytes.fromhex("40001500" + "00010002" + "00" * 4), "no range"),
        (bytes.fromhex("30001280" + "00" * 12), "basis of 0 to 4, found 5"),
    ],
)
def test_octets_that_are_no_answer(frame: bytes, found: str) -> None:
    with pytest.raises(FrameFault, match=found):
        decode_answer(frame)


def test_octets_that_are_no_create() -> None:
    good = encode_create(WireCreate(1))
    with pytest.raises(FrameFault, match="24 octets"):
        decode_create(good + b"\0")
    with pytest.raises(FrameFault, match="time unit"):
        decode_create(good[:6] + b"\xc0" + good[7:])
    with pytest.raises(FrameFault, match="5 unused bits"):
        decode_create(good[:13] + b"\x01" + good[14:])
    with pytest.raises(FrameFault, match="number of 1"):
        decode_create(good[:10] + b"\0\0" + good[12:])


@given(st.floats(0, 1))
def test_fidelities_are_rounded_to_the_safe_side(fidelity: float) -> None:
    assert fidelity_bits(fidelity, up=False) / 65535 <= fidelity + 1e-12
    assert fidelity_bits(fidelity, up=True) / 65535 >= fidelity - 1e-12


@given(st.integers(1_000, 10**13))
def test_times_are_never_longer_than_asked(ns: int) -> None:
    unit, number = time_bits(ns)
    assert 0 < number < 2**14
    assert number * unit.ns <= ns


readings = st.builds(
    lambda bases, pair, turn: Reading(bases, *pair) if bases else Reading(turns=turn),
    st.sampled_from(["", "XZ", "XYZ", "CHSH"]), chances, turns,
)  # fmt: skip
orders = st.builds(
    lambda kind, number, whole, ms, purpose, priority, atomic, consecutive, near, far: CreatePairs(
        "c", "b", kind, number, whole / 65535, ms * 1_000_000, purpose, priority, atomic, consecutive, near, far
    ),
    st.sampled_from("KMR"), st.integers(1, 65535), u16, st.integers(0, 16), u16, u3, st.booleans(), st.booleans(),
    readings, readings,
)  # fmt: skip


@given(orders)
def test_a_request_survives_the_wire(order: CreatePairs) -> None:
    frame = encode_create(wire_of(order, NUMBERS))
    assert create_of(decode_create(frame), "c", {number: name for name, number in NUMBERS.items()}) == order


def test_news_become_frames() -> None:
    pair = MadePair(65535, 0.9, 70_000_123_456_789, 1, 2, 3, slot=5)
    told = PairsMade("a", 3, "b", 9, "K", (pair, MadePair(1, 0.8, 2, 1, 2, 3, outcome=1, basis="Z-X")), True)
    keep, measure = (decode_answer(frame) for frame in frames_of(told, "b", NUMBERS))
    assert keep == WireOkKeep(3, 5, True, 65535, 9, NUMBERS["b"], int(0.9 * 65535), 70_000_123 % 2**16)
    assert measure == WireOkMeasure(3, True, True, WireBasis.ZMINUSX, 1, 9, NUMBERS["b"], int(0.8 * 65535))
    (err,) = frames_of(PairsFailed("a", 3, "b", 9, "EXPIRE", "", 4, 6), "a", NUMBERS)
    assert decode_answer(err) == WireErr(3, ErrorCode.EXPIRE, 7, True, 4, 6)
    with pytest.raises(FrameFault, match="4 bits"):
        frames_of(PairsMade("a", 3, "b", 9, "K", (MadePair(1, 0.9, 0, 0, 0, 0, slot=16),), True), "a", NUMBERS)
    with pytest.raises(FrameFault, match="nodes' numbers"):
        create_of(WireCreate(99), "c", {7: "a"})
    with pytest.raises(FrameFault, match="class"):
        wire_of(CreatePairs("c", "b", "M", waits="B"), NUMBERS)
