"""Pairs on request, as a pure codec: JSON to messages of the link service for applications, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from quoit.interfaces.strict_json import decode_object, shown
from quoit.model.problem import Problem
from quoit.service.api import (
    AskOver,
    AskPairs,
    ClosePairCircuit,
    CreatePairs,
    GivePairsUp,
    OpenPairCircuit,
    PairCircuit,
    PairNews,
    PairTold,
    Reading,
    RequestPairs,
    TakePairs,
    TakePart,
)

SETS = ("XZ", "XYZ", "CHSH")
MOST_MS = 3_600_000
MOST_HZ = 1e9
LONGEST_WAIT_MS = 8_000
T = TypeVar("T")


def parse_pairs(caller: str, body: bytes) -> AskPairs:
    """`{"peer": SAE ID or URN, "kind": "K", "number": 1, ...}`. Problem `malformed`."""
    members = decode_object(body)
    possible = {
        "peer", "kind", "number", "fidelity", "max_time_ms", "purpose", "priority", "atomic", "consecutive", "near",
        "far", "waits",
    }  # fmt: skip
    _known(members, {"peer"}, possible)
    request = CreatePairs(
        "",
        _peer(members),
        _one_of(members, "kind", ("K", "M", "R")),
        _whole(members, "number", 1, 65_535, 1),
        _fidelity(members),
        _whole(members, "max_time_ms", 0, MOST_MS, 0) * 1_000_000,
        _whole(members, "purpose", 0, 65_535, 0),
        _whole(members, "priority", 0, 7, 0),
        _flag(members, "atomic"),
        _flag(members, "consecutive"),
        _reading(members, "near"),
        _reading(members, "far"),
        _one_of(members, "waits", ("T", "C", "B")),
    )
    return AskPairs(caller, request)


def parse_part(caller: str, body: bytes, *, stop: bool) -> TakePart:
    """`{"peer": SAE ID or URN, "purpose": 0}`. Problem `malformed`."""
    members = decode_object(body)
    _known(members, {"peer"}, {"peer", "purpose"})
    return TakePart(caller, _peer(members), _whole(members, "purpose", 0, 65_535, 0), stop)


def parse_circuit(caller: str, body: bytes) -> OpenPairCircuit:
    """`{"peer": SAE ID or URN, "fidelity": 0.9}`. Problem `malformed`."""
    members = decode_object(body)
    _known(members, {"peer", "fidelity"}, {"peer", "fidelity"})
    return OpenPairCircuit(caller, _peer(members), _fidelity(members))


def parse_closing(caller: str, circuit: str) -> ClosePairCircuit:
    """A circuit's name in a path. Problem `no-such-element`."""
    return ClosePairCircuit(caller, _circuit(circuit))


def parse_over(caller: str, circuit: str, body: bytes) -> AskOver:
    """`{"number": 1, "within_ms": 1000, ...}`, or `rate_hz` for the number. Problem `malformed`."""
    members = decode_object(body)
    possible = {"number", "rate_hz", "within_ms", "delivery", "bell", "waits", "purpose", "priority", "near", "far"}
    _known(members, {"within_ms"}, possible)
    rate = members.get("rate_hz", 0.0)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= MOST_HZ:
        raise Problem("malformed", f"rate_hz: expected 0 to {MOST_HZ:g}, found {shown(rate)}")
    request = RequestPairs(
        "",
        _circuit(circuit),
        _whole(members, "within_ms", 1, MOST_MS, 1) * 1_000_000,
        _whole(members, "number", 0, 65_535, 0),
        float(rate),
        _one_of(members, "delivery", ("KEEP", "EARLY", "MEASURE")),
        _one_of(members, "bell", ("phi+", "phi-", "psi+", "psi-")),
        _whole(members, "purpose", 0, 65_535, 0),
        _whole(members, "priority", 0, 7, 0),
        _reading(members, "near"),
        _reading(members, "far"),
        _one_of(members, "waits", ("T", "C", "B")) if "waits" in members else "",
    )
    return AskOver(caller, request)


def circuit_object(circuit: PairCircuit) -> dict[str, Any]:
    """A circuit as it is shown to whom it belongs."""
    found: dict[str, Any] = msgspec.to_builtins(circuit)
    return found


def _circuit(text: str) -> str:
    if not 0 < len(text) <= 128 or not text.isascii():
        raise Problem("no-such-element", "expected a circuit of the caller's")
    return text


def parse_giving_up(caller: str, text: str, circuit: str = "") -> GivePairsUp:
    """The create id of a path, and of a circuit. Problem `no-such-element`."""
    if not text.isascii() or not text.isdigit() or len(text) > 5 or int(text) > 65_535:
        raise Problem("no-such-element", "expected a create id of 0 to 65535")
    return GivePairsUp(caller, int(text), circuit and _circuit(circuit))


def parse_taking_pairs(caller: str, query: Mapping[str, str]) -> TakePairs:
    """`?wait_ms=` up to 8000. Problem `malformed`."""
    wait = query.get("wait_ms", "0")
    if query.keys() - {"wait_ms"} or not wait.isascii() or not wait.isdigit() or int(wait[:6]) > LONGEST_WAIT_MS:
        raise Problem("malformed", f"wait_ms: expected 0 to {LONGEST_WAIT_MS}, found {shown(wait)}")
    return TakePairs(caller, int(wait) * 1_000_000)


def news_object(news: PairNews) -> dict[str, Any]:
    """OKs and ERRs as they are shown to whom they are for."""
    return {"news": [_told(told) for told in news.news]}


def _told(told: PairTold) -> dict[str, Any]:
    common = {
        "create_id": told.create_id, "mine": told.mine, "peer": told.peer, "purpose": told.purpose,
        "circuit": told.circuit or None,
    }  # fmt: skip
    if told.code:
        return {**common, "type": "ERR", "code": told.code, "why": told.why, "low": told.low, "high": told.high}
    pairs = []
    for pair, address in zip(told.pairs, told.addresses, strict=True):
        shown_pair = msgspec.to_builtins(pair)
        del shown_pair["slot"]
        pairs.append({**shown_pair, "address": address or None})
    return {**common, "type": "OK", "kind": told.kind, "done": told.done, "pairs": pairs}


def _known(members: Mapping[str, Any], needed: set[str], possible: set[str], at: str = "") -> None:
    missing, unknown = sorted(needed - members.keys()), sorted(members.keys() - possible)
    if missing:
        raise Problem("malformed", f"expected {at}{missing[0]}")
    if unknown:
        raise Problem("malformed", f"expected {at}{', '.join(sorted(possible))}; found {shown(unknown[0])} as well")


def _peer(members: Mapping[str, Any]) -> str:
    peer = members["peer"]
    if not isinstance(peer, str) or not 0 < len(peer) <= 2048 or not peer.isascii():
        raise Problem("malformed", f"peer: expected an SAE ID or a URN, found {shown(peer)}")
    return peer


def _one_of(members: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> str:
    value = members.get(name, choices[0])
    if value not in choices:
        raise Problem("malformed", f"{name}: expected one of {', '.join(choices)}, found {shown(value)}")
    return str(value)


def _whole(members: Mapping[str, Any], name: str, least: int, most: int, otherwise: T) -> int | T:
    value = members.get(name, otherwise)
    if value is otherwise:
        return value
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Problem("malformed", f"{name}: expected a whole number of {least} to {most}, found {shown(value)}")
    return value


def _flag(members: Mapping[str, Any], name: str) -> bool:
    value = members.get(name, False)
    if not isinstance(value, bool):
        raise Problem("malformed", f"{name}: expected true or false, found {shown(value)}")
    return value


def _fidelity(members: Mapping[str, Any]) -> float:
    value = members.get("fidelity", 0.0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise Problem("malformed", f"fidelity: expected 0 to 1, found {shown(value)}")
    return float(value)


def _reading(members: Mapping[str, Any], name: str) -> Reading:
    given = members.get(name, {})
    if not isinstance(given, dict):
        raise Problem("malformed", f"{name}: expected an object, found {shown(given)}")
    _known(given, set(), {"random", "first", "second", "turns"}, f"{name}.")
    random = "" if "random" not in given else _one_of(given, "random", SETS)
    turns = given.get("turns", [0, 0, 0])
    fits = isinstance(turns, list) and len(turns) == 3
    if not fits or any(isinstance(t, bool) or not isinstance(t, int) or not 0 <= t <= 255 for t in turns):
        raise Problem("malformed", f"{name}.turns: expected three whole numbers of 0 to 255, found {shown(turns)}")
    return Reading(
        random,
        _whole(given, "first", 0, 255, None),
        _whole(given, "second", 0, 255, None),
        (turns[0], turns[1], turns[2]),
    )
