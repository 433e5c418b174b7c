"""From the service's messages to those on the wire and back: names to numbers, ns to units, fidelities to integers."""

from __future__ import annotations

from collections.abc import Mapping

from quoit.fabric.api import CreatePairs, MadePair, PairsFailed, PairsMade, Reading
from quoit.fabric.linkservice.codec import (
    ErrorCode,
    FrameFault,
    RandomBases,
    TimeUnit,
    WireBasis,
    WireCreate,
    WireErr,
    WireOkKeep,
    WireOkMeasure,
    encode_answer,
    fidelity_bits,
    time_bits,
)

UNIFORM = {"": (0, 0), "XZ": (128, 0), "XYZ": (85, 85), "CHSH": (128, 0)}
"""All alike likely, as near as n / 255 comes."""
_BASES = {
    "Z": WireBasis.Z,
    "X": WireBasis.X,
    "Y": WireBasis.Y,
    "Z+X": WireBasis.ZPLUSX,
    "Z-X": WireBasis.ZMINUSX,
    "turned": WireBasis.Z,
}
"""`turned` was asked for and is no basis of the draft's: Z, as for all that is not drawn."""


def create_of(wire: WireCreate, client: str, names: Mapping[int, str]) -> CreatePairs:
    """The request that a CREATE stands for. FrameFault for a node that nobody has."""
    remote = names.get(wire.remote)
    if remote is None:
        raise FrameFault(f"remote node: expected one of {len(names)} nodes' numbers, found {wire.remote}")
    kind = "R" if wire.prepare else "M" if wire.measure else "K"
    return CreatePairs(
        client,
        remote,
        kind,
        wire.number,
        wire.fidelity / 65535,
        wire.max_time * wire.unit.ns,
        wire.purpose,
        wire.priority,
        wire.atomic,
        wire.consecutive,
        _reading(wire.local_bases, wire.local_chances, wire.local_turns),
        _reading(wire.remote_bases, wire.remote_chances, wire.remote_turns),
    )


def _reading(bases: RandomBases, chances: tuple[int, int], turns: tuple[int, int, int]) -> Reading:
    if bases is RandomBases.NONE:
        return Reading(turns=turns)
    return Reading(bases.name, chances[0], chances[1])


def wire_of(order: CreatePairs, numbers: Mapping[str, int]) -> WireCreate:
    """The CREATE that asks for the same: fidelity rounded up, time down. FrameFault for what it cannot say, such as a
    class other than T."""
    if order.waits != "T":
        raise FrameFault(f"CREATE has no class of request: expected T, found {order.waits}")
    unit, time = (TimeUnit.MICROSECOND, 0) if order.max_time_ns == 0 else time_bits(order.max_time_ns)
    near, far = order.near, order.far
    return WireCreate(
        numbers[order.remote],
        fidelity_bits(order.fidelity, up=True),
        unit,
        time,
        order.purpose,
        order.number,
        order.priority,
        order.kind != "K",
        order.atomic,
        order.consecutive,
        order.kind == "R",
        RandomBases[near.random or "NONE"],
        RandomBases[far.random or "NONE"],
        _chances(near),
        _chances(far),
        (0, 0, 0) if near.random else near.turns,
        (0, 0, 0) if far.random else far.turns,
    )


def _chances(reading: Reading) -> tuple[int, int]:
    if not reading.random or reading.first is None:
        return UNIFORM[reading.random]
    return reading.first, reading.second or 0


def frames_of(news: PairsMade | PairsFailed, node: str, numbers: Mapping[str, int]) -> tuple[bytes, ...]:
    """OK or ERR as `node`'s client gets it; an OK of several pairs is a frame for each. FrameFault for a memory beyond
    15, for which the draft has no number."""
    if isinstance(news, PairsFailed):
        by_sequence = news.low != news.high
        err = WireErr(
            news.create_id, ErrorCode[news.code], numbers[news.origin], by_sequence,
            news.low if by_sequence else 0, news.high if by_sequence else 0,
        )  # fmt: skip
        return (encode_answer(err),)
    return tuple(encode_answer(_ok(news, pair, node, numbers)) for pair in news.pairs)


def _ok(news: PairsMade, pair: MadePair, node: str, numbers: Mapping[str, int]) -> WireOkKeep | WireOkMeasure:
    far, remote = news.origin != node, numbers[news.remote]
    goodness = fidelity_bits(pair.goodness, up=False)
    if pair.slot is not None:
        return WireOkKeep(
            news.create_id, pair.slot, far, pair.sequence, news.purpose, remote, goodness,
            pair.goodness_ns // 1_000_000 % 2**16,
        )  # fmt: skip
    return WireOkMeasure(
        news.create_id, bool(pair.outcome), far, _BASES[pair.basis], pair.sequence, news.purpose, remote, goodness
    )
