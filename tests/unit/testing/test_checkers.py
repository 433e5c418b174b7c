"""The checkers find what is planted, and nothing in a clean log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from quoit.testing.checkers import PROMISES, verify, verify_events


def log(*entries: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"t": i, "by": "x", "n": i + 1, **e} for i, e in enumerate(entries)]


OPENED = {
    "event": "keys.opened", "key_ids": ["k"], "mark": ["a"], "master": "m", "slaves": ["s"], "expires": 100,
}  # fmt: skip
TAKEN = {"event": "keys.taken", "caller": "s", "key_ids": ["k"], "mark": ["a"]}
FILLED = {"event": "pool.filled", "link": "l", "block": 1, "bits": 100}


LEVEL = {"event": "pool.level", "link": "l", "bits": 0}
MOVED = {"event": "key.moved", "stream": "a>b", "bits": 60, "nodes": ["a", "b"], "links": ["l"]}


def spent(offset: int, bits: int) -> dict[str, Any]:
    return {"event": "pool.spent", "link": "l", "block": 1, "offset": offset, "bits": bits, "use": "pad"}


def spent_as(use: str, offset: int, bits: int) -> dict[str, Any]:
    return {**spent(offset, bits), "use": use}


QUARANTINED = {"event": "pool.quarantined", "link": "l", "first_block": 1}
RELEASED = {"event": "pool.released", "link": "l"}
NEXT = {**FILLED, "block": 2}

PLANTED: list[tuple[str, list[dict[str, Any]]]] = [
    ("K1", [OPENED, TAKEN, TAKEN]),
    ("K2", [OPENED, {**TAKEN, "caller": "stranger"}]),
    ("K2", [TAKEN]),
    ("K3", [OPENED, {**TAKEN, "mark": ["b"]}]),
    ("K5", [OPENED, OPENED]),
    ("K6", [FILLED, spent(0, 50), spent(49, 2)]),
    ("K7", [FILLED, spent(90, 20)]),
    ("K7", [spent(0, 20)]),
    ("K7", [FILLED, FILLED]),
    ("K7", [FILLED, spent(0, 50), {**LEVEL, "bits": 60}]),
    ("K7", [FILLED, spent(0, 50), {**LEVEL, "event": "pool.open", "bits": 60}]),
    ("K7", [FILLED, spent(0, 50), {**LEVEL, "event": "pool.closed", "bits": 40}]),
    ("K8", [FILLED, spent(0, 50), MOVED]),
    ("K8", [FILLED, spent(0, 60), MOVED, MOVED]),
    ("K8", [FILLED, spent_as("tag", 0, 60), MOVED]),
    ("K8", [FILLED, spent(0, 60), {**MOVED, "nodes": ["a", "b", "c"]}]),
    ("T4", [{**OPENED, "t": 9}, {**TAKEN, "t": 8}]),
    ("K9", [OPENED, {**TAKEN, "t": 100}]),
    ("K13", [OPENED, {"event": "keys.voided", "key_ids": ["k"]}, TAKEN]),
    ("K13", [{"event": "keys.voided", "key_ids": ["k"]}, OPENED, TAKEN]),
    ("K13", [OPENED, {"event": "keys.lost", "key_ids": ["k"]}, TAKEN]),
    ("K13", [OPENED, {"event": "unit.closed", "unit_id": "k"}, TAKEN]),
    ("K15", [FILLED, QUARANTINED, spent(0, 50)]),
    ("K15", [FILLED, QUARANTINED, RELEASED, spent_as("tag", 0, 50)]),
    ("K15", [FILLED, QUARANTINED, NEXT]),
    ("B1", [OPENED, {**TAKEN, "n": 5}]),
    ("B1", [OPENED, {**TAKEN, "n": 1}]),
]


def test_a_clean_log_has_no_violation() -> None:
    lawful = [FILLED, spent(0, 50), spent(50, 50), LEVEL, MOVED, OPENED, {**TAKEN, "t": 99}]
    assert verify(log(*lawful)).violations == []


def test_a_quarantine_that_is_kept_is_no_violation() -> None:
    kept = [FILLED, QUARANTINED, spent_as("discarded", 0, 100), LEVEL, RELEASED, NEXT, {**spent(0, 50), "block": 2}]
    assert verify(log(*kept)).violations == []


@pytest.mark.parametrize(("promise", "entries"), PLANTED)
def test_a_planted_violation_is_found(promise: str, entries: list[dict[str, Any]]) -> None:
    assert promise in {v.promise for v in verify(log(*entries)).violations}


def test_every_promise_has_a_violation_planted_against_it() -> None:
    assert {promise for promise, _ in PLANTED} | {"log"} == set(PROMISES)
    found = {v.promise for _, entries in PLANTED for v in verify(log(*entries)).violations}
    assert found <= set(PROMISES)


def test_the_ledger_of_a_link_adds_up() -> None:
    ledger = verify(log(FILLED, spent_as("delivered", 0, 20), spent(20, 30), spent_as("tag", 50, 8))).ledger
    assert ledger == {"l": {"made": 100, "left": 42, "delivered": 20, "pad": 30, "tag": 8}}


@pytest.mark.parametrize("line", [b"no entry", b"[]", b"{}", b'{"t": 0, "by": "x", "n": 2, "event": "keys.opened"}'])
def test_a_line_that_is_no_entry_is_named(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    whole = [msgspec.json.encode(entry) for entry in log(OPENED)]
    path.write_bytes(b"\n".join([*whole, line]) + b"\n")
    assert [(v.promise, v.line) for v in verify_events(path).violations] == [("log", 2)]
