"""Rates that sessions reserve: what fits, who gives way, what is offered instead, what a repair does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quoit.fabric.api import ReserveFlows
from quoit.fabric.reservations import GUARD_S, RESERVABLE, Reservations
from quoit.model.problem import Problem

SQUARE = (("ab", "a", "b"), ("bd", "b", "d"), ("ac", "a", "c"), ("cd", "c", "d"), ("ad", "a", "d"))


class Square:
    """Four nodes in a ring and a diagonal; each link makes 1,000 bit/s."""

    def __init__(self) -> None:
        self.able = {link: 1000.0 for link, _, _ in SQUARE}
        self.book = Reservations(SQUARE, self.able.__getitem__)

    def reserve(self, session: str, rate: float = 100.0, **wishes: object) -> list[tuple[str, ...]]:
        held, self.losers = self.book.reserve(ReserveFlows(session, "a", "d", rate, **wishes))
        return [nodes for nodes, _ in held.routes]


def test_the_direct_link_and_then_two_ways_around() -> None:
    square = Square()
    assert square.reserve("one") == [("a", "d")]
    assert square.reserve("three", paths=3) == [("a", "d"), ("a", "b", "d"), ("a", "c", "d")]
    assert square.book.reserved_bps("ad") == 200.0
    assert square.book.guarded_bits("ab") == 100 * GUARD_S


def test_a_full_link_is_gone_around_and_then_the_offer_is_what_is_left() -> None:
    square = Square()
    square.reserve("one", 800.0)
    assert square.reserve("two", 800.0) == [("a", "b", "d")]
    assert square.reserve("three", 800.0) == [("a", "c", "d")]
    with pytest.raises(Problem) as caught:
        square.reserve("four", 800.0)
    assert caught.value.code == "not-admitted"
    assert caught.value.fields["offered_bps"] == pytest.approx(RESERVABLE * 1000 - 800)
    assert square.reserve("four", caught.value.fields["offered_bps"]) == [("a", "d")]


def test_a_higher_priority_takes_from_the_lowest_and_no_more_than_it_needs() -> None:
    square = Square()
    square.reserve("low", 400.0, most_transit=0, priority=1)
    square.reserve("lower", 300.0, most_transit=0, priority=0)
    square.reserve("equal", 100.0, most_transit=0, priority=5)
    square.reserve("high", 350.0, most_transit=0, priority=5)
    assert square.losers == ("lower",)
    with pytest.raises(Problem):
        square.reserve("peer", 900.0, most_transit=0, priority=5)
    assert set(square.book.held) == {"low", "equal", "high"}


def test_trust_is_kept() -> None:
    square = Square()
    square.able["ad"] = 0.0
    assert square.reserve("any", avoid=("b",)) == [("a", "c", "d")]
    with pytest.raises(Problem, match="over at most 0 trusted nodes"):
        square.reserve("direct", most_transit=0)
    with pytest.raises(Problem, match="expected a route that avoids b, c"):
        square.reserve("none", avoid=("b", "c"))
    with pytest.raises(Problem, match="3 routes without common nodes"):
        square.reserve("three", paths=3)


def test_asking_again_replaces_and_a_refusal_leaves_what_was() -> None:
    square = Square()
    square.reserve("one", 900.0)
    assert square.reserve("one", 500.0) == [("a", "d")], "its own rate does not stand in its way"
    with pytest.raises(Problem):
        square.reserve("one", 901.0, paths=3)
    assert square.book.reserved_bps("ad") == 500.0
    assert square.book.release("one") is not None
    assert square.book.release("one") is None
    assert square.book.reserved_bps("ad") == 0.0


def test_a_repair_keeps_the_good_routes_and_says_what_is_missing() -> None:
    square = Square()
    square.reserve("two", paths=2)
    square.able["ad"] = 0.0
    assert [nodes for nodes, _ in square.book.repair("two").routes] == [("a", "b", "d"), ("a", "c", "d")]
    square.able["cd"] = 0.0
    assert [nodes for nodes, _ in square.book.repair("two").routes] == [("a", "b", "d")]
    square.able["ad"] = 1000.0
    assert len(square.book.repair("two").routes) == 2


@pytest.mark.parametrize(("rate", "paths"), [(0.0, 1), (-5.0, 1), (1.0, 0), (1.0, 5)])
def test_requests_that_make_no_sense(rate: float, paths: int) -> None:
    with pytest.raises(Problem, match="expected 1 to 4 paths"):
        Square().reserve("x", rate, paths=paths)


ORDERS = st.lists(
    st.tuples(
        st.sampled_from("pqrst"),
        st.integers(1, 1000),
        st.integers(1, 3),
        st.integers(0, 2),
        st.none() | st.integers(0, 1),
        st.booleans(),
    ),
    max_size=12,
)


@given(ORDERS)
@settings(deadline=None)
def test_no_link_is_ever_promised_twice(orders: list[tuple[str, int, int, int, int | None, bool]]) -> None:
    square = Square()
    for session, rate, paths, priority, transit, release in orders:
        before = {s: one.asked.priority for s, one in square.book.held.items()}
        if release:
            square.book.release(session)
            continue
        refusal = None
        try:
            square.reserve(session, float(rate), paths=paths, priority=priority, most_transit=transit)
        except Problem as problem:
            refusal = problem.code
        if refusal is not None:
            assert refusal in ("not-admitted", "no-route")
            assert {s: one.asked.priority for s, one in square.book.held.items()} == before
            continue
        assert all(before[loser] < priority for loser in square.losers)
        for link in square.able:
            assert square.book.reserved_bps(link) <= RESERVABLE * 1000 + 1e-9
        for one in square.book.held.values():
            inner = [node for nodes, _ in one.routes for node in nodes[1:-1]]
            assert len(inner) == len(set(inner))
            most = one.asked.most_transit
            assert most is None or all(len(nodes) - 2 <= most for nodes, _ in one.routes)
