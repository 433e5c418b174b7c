"""The checkers find what is planted, and nothing in a clean log."""

from __future__ import annotations

from typing import Any

import pytest

from quoit.testing.checkers import verify


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


def test_a_clean_log_has_no_violation() -> None:
    assert verify(log(FILLED, spent(0, 50), spent(50, 50), LEVEL, MOVED, OPENED, TAKEN)).violations == []


@pytest.mark.parametrize(
    ("promise", "entries"),
    [
        ("K1", [OPENED, TAKEN, TAKEN]),
        ("K2", [OPENED, {**TAKEN, "caller": "stranger"}]),
        ("K2", [TAKEN]),
        ("K3", [OPENED, {**TAKEN, "mark": ["b"]}]),
        ("K5", [OPENED, OPENED]),
        ("K6", [FILLED, spent(0, 50), spent(49, 2)]),
        ("K7", [FILLED, spent(90, 20)]),
        ("K7", [FILLED, FILLED]),
        ("K7", [FILLED, spent(0, 50), {"event": "pool.level", "link": "l", "bits": 60}]),
        ("K8", [FILLED, spent(0, 50), MOVED]),
        ("K8", [FILLED, spent(0, 60), {**MOVED, "nodes": ["a", "b", "c"]}]),
        ("T4", [{**OPENED, "t": 9}, {**TAKEN, "t": 8}]),
        ("K9", [OPENED, {**TAKEN, "t": 100}]),
        ("K13", [OPENED, {"event": "keys.voided", "key_ids": ["k"]}, TAKEN]),
        ("B1", [OPENED, {**TAKEN, "n": 5}]),
    ],
)
def test_a_planted_violation_is_found(promise: str, entries: list[dict[str, Any]]) -> None:
    assert promise in {v.promise for v in verify(log(*entries)).violations}
