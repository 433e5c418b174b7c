"""Who goes first when memories or places on a link are short."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.fabric.claims import AGE_NS, HIGHEST, MEMORY_NS, MOST_CLAIMS, Claims

S = 10**9


def test_what_one_waits_for_is_kept_from_those_below_and_those_behind() -> None:
    claims = Claims()
    claims.wait("high", 3, {"node a": 2}, 0)
    assert claims.kept("low", 2, "node a", 1) == 2
    assert claims.kept("equal, later", 3, "node a", 1) == 2
    assert claims.kept("higher", 4, "node a", 1) == 0
    assert claims.kept("low", 2, "node b", 1) == 0
    assert claims.kept("high", 3, "node a", 1) == 0  # not from itself
    claims.wait("highest", 5, {"node a": 1}, 2)
    assert claims.kept("low", 2, "node a", 3) == 3
    assert claims.kept("high", 3, "node a", 3) == 1


def test_served_or_silent_claims_keep_nothing() -> None:
    claims = Claims()
    claims.wait("served", 1, {"n": 1}, 0)
    claims.over("served")
    claims.wait("silent", 1, {"n": 1}, 0)
    assert claims.kept("x", 0, "n", MEMORY_NS) == 1
    assert claims.kept("x", 0, "n", MEMORY_NS + 1) == 0
    assert len(claims) == 0


def test_waiting_raises_a_priority_and_trying_again_keeps_the_place() -> None:
    claims = Claims()
    for second in range(2 * AGE_NS // S + 1):
        claims.wait("patient", 1, {"n": 1}, second * S)
    now = 2 * AGE_NS
    assert claims.kept("new", 3, "n", now) == 1  # 1 and two ages, and longer here
    assert claims.kept("new", 4, "n", now) == 0


def test_memory_is_bounded() -> None:
    claims = Claims()
    for number in range(MOST_CLAIMS + 10):
        claims.wait(f"c{number}", 0, {"n": 1}, 0)
    assert len(claims) == MOST_CLAIMS


claim = st.tuples(st.integers(0, HIGHEST), st.integers(0, 3 * AGE_NS), st.integers(0, 3))


@pytest.mark.realises("B6")
@given(st.lists(claim, min_size=1, max_size=8), st.integers(0, 5))
def test_one_who_waits_is_first_and_all_are_served_in_the_end(found: list[tuple[int, int, int]], free: int) -> None:
    """However many wait: exactly one is kept nothing from. When it has been served the same holds of the others, and
    none is passed by one of lower priority that came later."""
    claims = Claims()
    now = 3 * AGE_NS
    waiting = {f"c{n}": one for n, one in enumerate(found)}
    for name, (priority, since_ns, needs) in waiting.items():
        claims.wait(name, priority, {"n": needs + 1}, since_ns)
        claims._waiting[name].seen_ns = now
    served: list[str] = []
    while waiting:
        first = [name for name, (p, _, _) in waiting.items() if claims.kept(name, p, "n", now) == 0]
        assert len(first) == 1
        claims.over(first[0])
        priority, since_ns, _ = waiting.pop(first[0])
        served.append(first[0])
        assert not any(p > priority and since < since_ns for p, since, _ in waiting.values())
    assert len(served) == len(found)
