"""The books of who is next: order, all or nothing, pre-emption, and that nobody starves."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quoit.model.problem import Problem
from quoit.service.turns import AGE_NS, MOST_WAITING, Claim, Stage, Turns, link_of, node_of

S = 10**9
serial = iter(range(10**9))


def claim(
    unit: str = "", priority: int = 0, at: int = 0, by: str = "alice", links: tuple[str, ...] = (), **memories: int
) -> Claim:
    return Claim(unit or f"u{next(serial)}", f"eme-{by}", by, priority, memories, links, at)


def enter(turns: Turns, *claims: Claim) -> None:
    for one in claims:
        assert turns.enter(one) is None


def names(claims: list[Claim]) -> list[str]:
    return [one.unit_id for one in claims]


def test_a_turn_is_given_if_all_is_there_and_nobody_shares() -> None:
    turns = Turns({"a": 4, "b": 4, "c": 4})
    enter(turns, claim("1", a=2, b=2), claim("2", b=2), claim("3", c=3), claim("4", c=2))
    assert names(turns.next(0)) == ["1", "3"]  # 2 shares b with 1, who is trying; 4 shares c with 3
    turns.took("1", {"a": 2, "b": 2}, ())
    assert names(turns.next(0)) == ["2"]
    turns.took("3", {"c": 3}, ())
    assert names(turns.next(0)) == []  # c has one free, 4 needs two
    turns.over("3")
    assert names(turns.next(0)) == ["4"]


def test_the_higher_priority_goes_first_and_age_counts() -> None:
    turns = Turns({"a": 1})
    enter(turns, claim("low", 0, a=1), claim("high", 3, a=1))
    assert names(turns.waiting(0)) == ["high", "low"]
    enter(turns, claim("late", 3, at=4 * AGE_NS, a=1))
    assert names(turns.waiting(4 * AGE_NS)) == ["high", "low", "late"]  # 7, 4, 3
    assert turns.ahead(turns.waiting(0)[0], 0) == 0


def test_applications_take_turns_within_a_priority() -> None:
    turns = Turns({"a": 1})
    enter(turns, *(claim(f"flood{n}", by="alice", a=1) for n in range(5)), claim("bob0", by="bob", a=1))
    enter(turns, claim("bob1", by="bob", a=1), claim("carol", by="carol", a=1))
    served = []
    while turns.waiting(0):
        (one,) = turns.next(0)
        served.append(one.unit_id)
        turns.took(one.unit_id, one.memories, ())
        turns.over(one.unit_id)
    assert served == ["flood0", "bob0", "carol", "flood1", "bob1", "flood2", "flood3", "flood4"]


def test_nobody_overtakes_one_that_waits_for_the_same_thing() -> None:
    turns = Turns({"a": 4, "b": 4})
    enter(turns, claim("holder", a=3))
    turns.next(0)
    turns.took("holder", {"a": 3}, ())
    enter(turns, claim("large", a=4, b=1), claim("small", a=1), claim("aside", b=1), claim("elsewhere", links=("k",)))
    assert names(turns.next(0)) == ["elsewhere"]  # `large` keeps b for itself, too


def test_who_has_failed_tries_alone_when_something_has_changed() -> None:
    turns = Turns({"a": 4, "b": 4})
    enter(turns, claim("1", a=1, links=("k",)), claim("2", b=1, links=("m",)))
    assert len(turns.next(0)) == 2
    turns.failed("1", {link_of("k"): 1})
    turns.failed("2", {link_of("m"): 1})
    assert turns.next(0) == []
    turns.changed()
    assert names(turns.next(0)) == ["1"]
    assert turns.next(0) == []
    turns.took("1", {"a": 1}, ("x",))
    assert names(turns.next(0)) == ["2"]


def test_lower_ones_give_way_if_that_is_enough_and_not_else() -> None:
    turns = Turns({"a": 4, "b": 2})
    for one in (claim("old", 1, a=2), claim("new", 1, a=2), claim("keeper", 7, b=2)):
        enter(turns, one)
        turns.next(0)
        turns.took(one.unit_id, one.memories, ())
    enter(turns, claim("asks", 5, a=2))
    assert [(v.unit_id, w.unit_id) for v, w in turns.victims(0)] == [("new", "asks")]  # the newest of the lowest
    assert turns.victims(0) == []  # it has been told
    turns.over("new")
    assert names(turns.next(0)) == ["asks"]
    enter(turns, claim("both", 6, a=3, b=1))
    assert turns.victims(0) == []  # keeper stays, so nobody else has to go
    enter(turns, claim("equal", 1, a=1))
    assert turns.victims(0) == []


def test_links_come_free_by_giving_way_too() -> None:
    turns = Turns({"a": 8})
    enter(turns, claim("holds", 0, a=1, links=("k", "m")))
    turns.next(0)
    turns.took("holds", {"a": 1}, ("k", "m"))
    enter(turns, claim("wants", 2, a=1, links=("k",)))
    assert names(turns.next(0)) == ["wants"]
    turns.failed("wants", {link_of("k"): 1})
    assert [(v.unit_id, w.unit_id) for v, w in turns.victims(0)] == [("holds", "wants")]
    turns.over("holds")
    assert names(turns.next(0)) == ["wants"]


def test_a_settled_unit_is_never_sent_away() -> None:
    turns = Turns({"a": 2})
    enter(turns, claim("made", 0, a=2))
    turns.next(0)
    turns.took("made", {"a": 2}, ())
    turns.settled("made", {"a": 2})
    enter(turns, claim("wants", 7, a=1))
    assert turns.victims(0) == []
    turns.freed("made", "a")
    assert names(turns.next(0)) == ["wants"]


def test_the_queue_is_bounded_and_the_last_of_it_has_to_go() -> None:
    turns = Turns({"a": 1})
    enter(turns, *(claim(f"{n}", 2, a=2) for n in range(MOST_WAITING)))
    with pytest.raises(Problem, match="overloaded"):
        turns.enter(claim("equal", 2, a=1))
    out = turns.enter(claim("higher", 3, a=1))
    assert out is not None
    assert out.unit_id == str(MOST_WAITING - 1)
    assert len(turns) == MOST_WAITING
    with pytest.raises(Problem, match="unit-exists"):
        turns.enter(claim("higher", 3, a=1))


# -- laws ------------------------------------------------------------------------------------------------------

NODES, LINKS = ("a", "b", "c"), ("k", "m")
CAPACITY = 5
asked = st.tuples(
    st.integers(0, 7),
    st.dictionaries(st.sampled_from(NODES), st.integers(1, CAPACITY), min_size=1, max_size=3),
    st.lists(st.sampled_from(LINKS), max_size=2, unique=True),
    st.sampled_from(["alice", "bob"]),
)


@pytest.mark.realises("B6", "D1")
@given(
    wants=st.lists(asked, min_size=1, max_size=15),
    fate=st.lists(st.sampled_from(["took", "failed", "over", "settle", "pass", "changed"]), max_size=80),
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_all_are_served_and_no_memory_is_given_twice(
    wants: list[tuple[int, dict[str, int], list[str], str]], fate: list[str]
) -> None:
    """Whatever units do, books never give more than there is, and once the holders end every unit gets its turn."""
    turns = Turns(dict.fromkeys(NODES, CAPACITY))
    waiting = [claim(f"u{n}", p, 0, by, tuple(links), **needs) for n, (p, needs, links, by) in enumerate(wants)]
    served: set[str] = set()
    now = 0
    for step in [*fate, *(["took", "over", "changed"] * 200)]:
        if waiting:
            one = waiting.pop(0)
            one.since_ns = now
            turns.enter(one)
        served |= set(names(turns.next(now)))
        for victim, winner in turns.victims(now):
            assert victim.granted < winner.priority
            turns.over(victim.unit_id)
        _sound(turns)
        _happen(turns, step)
        now += AGE_NS // 3
        if not waiting and not turns.all():
            break
    assert not turns.all()
    assert served == {f"u{n}" for n in range(len(wants))}


def _active(turns: Turns, *stages: Stage) -> list[Claim]:
    return [c for c in turns.all() if c.stage in (stages or (Stage.TRYING, Stage.HOLDING, Stage.SETTLED))]


def _sound(turns: Turns) -> None:
    for node in NODES:
        assert sum(c.memories.get(node, 0) for c in _active(turns)) <= CAPACITY
    trying = _active(turns, Stage.TRYING)
    for i, one in enumerate(trying):
        assert not any(one.resources & other.resources for other in trying[i + 1 :])


def _happen(turns: Turns, step: str) -> None:
    trying, holding, active = _active(turns, Stage.TRYING), _active(turns, Stage.HOLDING), _active(turns)
    match step:
        case "changed":
            turns.changed()
        case "took":
            for one in trying:
                turns.took(one.unit_id, one.memories, one.links)
        case "failed" if trying:
            turns.failed(trying[0].unit_id, {node_of("a"): 1})
        case "over" if active:
            turns.over(active[0].unit_id)
        case "settle" if holding:
            turns.settled(holding[0].unit_id, holding[0].memories)


@pytest.mark.realises("B6")
def test_a_low_unit_is_served_under_a_flood_of_high_ones() -> None:
    """The bound: after 7 `AGE_NS` it waits for those that are before it then, and for no others."""
    turns = Turns({"a": 1})
    enter(turns, claim("low", 0, by="poor", a=1))
    now, after_age = 0, 0
    turn: list[Claim] = []
    for number in range(200):
        enter(
            turns, claim(f"high{number}a", 7, at=now, by="rich", a=1), claim(f"high{number}b", 7, at=now, by="r2", a=1)
        )
        turn = turns.next(now)
        if names(turn) == ["low"]:
            break
        after_age += now >= 7 * AGE_NS
        turns.took(turn[0].unit_id, turn[0].memories, ())
        turns.over(turn[0].unit_id)
        now += S
    assert names(turn) == ["low"]
    assert 7 * AGE_NS <= now <= 7 * AGE_NS + S
    assert after_age <= 1
