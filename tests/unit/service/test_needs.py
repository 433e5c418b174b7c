"""Which links key is needed of: what is missing without them, and the least of them that brings it back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quoit.service.needs import USABLE, Demand, Source, missing, needed

DIRECT = Source("a", "b", 1000.0)
NEAR, FAR = Source("a", "c", 500.0), Source("c", "b", 400.0)
ALL = {"direct": DIRECT, "near": NEAR, "far": FAR}
ROUND = {"near": NEAR, "far": FAR}


def test_a_stream_takes_one_route_after_the_other() -> None:
    assert missing([Demand("s", "a", "b", 1200.0)], ALL) == {"s": 0}
    assert missing([Demand("s", "a", "b", 1300.0)], ALL) == {"s": 40}  # 0.9 of 1000, and 0.9 of 400


def test_a_session_takes_all_of_its_rate_on_each_route_or_nothing() -> None:
    assert missing([Demand("s", "a", "b", 300.0, paths=2)], ALL) == {"s": 0}
    assert missing([Demand("s", "a", "b", 361.0, paths=2)], ALL) == {"s": 361}  # 0.9 of 400 is 360
    assert missing([Demand("s", "a", "b", 300.0, paths=3)], ALL) == {"s": 300}


def test_who_comes_first_is_served_first() -> None:
    low, high = Demand("low", "a", "b", 300.0, 1, 0), Demand("high", "a", "b", 300.0, 1, 3)
    assert missing([low, high], ROUND) == {"high": 0, "low": 300}


def test_a_link_that_nobody_needs_stays_out() -> None:
    assert needed([Demand("s", "a", "b", 300.0)], ROUND, {"direct": DIRECT}) == ((), {"s": 0})
    assert needed([], ROUND, {"direct": DIRECT}) == ((), {})


def test_a_link_comes_back_for_what_the_others_cannot_give() -> None:
    names, lacking = needed([Demand("s", "a", "b", 500.0)], ROUND, {"direct": DIRECT})
    assert names == ("direct",)
    assert lacking == {"s": 140}
    # Not all that is asked for, but more than without it.
    assert needed([Demand("s", "a", "b", 9000.0)], ROUND, {"direct": DIRECT})[0] == ("direct",)
    # Two routes at once are only there with it.
    assert needed([Demand("s", "a", "b", 100.0, paths=2)], ROUND, {"direct": DIRECT})[0] == ("direct",)


def test_links_that_help_only_together_come_together_and_others_do_not() -> None:
    far_off = {"near": NEAR, "far": FAR, "other": Source("c", "d", 10_000.0)}
    assert needed([Demand("s", "a", "b", 100.0)], {}, far_off)[0] == ("near", "far")
    # The direct link alone does what both would; the one with most rate is kept.
    assert needed([Demand("s", "a", "b", 100.0)], {}, ALL)[0] == ("direct",)


NODES = "abcd"
SOURCES = st.builds(
    lambda ends, bps: Source(*ends, bps),
    st.lists(st.sampled_from(NODES), min_size=2, max_size=2, unique=True),
    st.integers(0, 1000).map(float),
)
NETWORKS = st.dictionaries(st.integers(0, 9).map(str), SOURCES, max_size=7)
DEMANDS = st.lists(
    st.builds(
        lambda n, ends, bps, paths, priority: Demand(f"d{n}", *ends, bps, paths, priority),
        st.integers(0, 99),
        st.lists(st.sampled_from(NODES), min_size=2, max_size=2, unique=True),
        st.integers(1, 800).map(float),
        st.integers(0, 2),
        st.integers(-1, 2),
    ),
    max_size=4,
    unique_by=lambda d: d.name,
)


@given(DEMANDS, NETWORKS, NETWORKS)
def test_what_comes_back_is_enough_and_nothing_of_it_is_too_much(
    demands: list[Demand], up: dict[str, Source], found: dict[str, Source]
) -> None:
    out = {name: source for name, source in found.items() if name not in up}
    names, lacking = needed(demands, up, out)
    assert lacking == missing(demands, up)
    back = {name: out[name] for name in names}
    best = tuple(missing(demands, {**up, **out}).values())
    if best >= tuple(lacking.values()):
        assert names == ()
        return
    assert tuple(missing(demands, {**up, **back}).values()) <= best
    for name in names:
        fewer = {link: source for link, source in back.items() if link != name}
        assert tuple(missing(demands, {**up, **fewer}).values()) > best


@given(DEMANDS, NETWORKS)
def test_nothing_is_missing_that_was_not_asked_for(demands: list[Demand], links: dict[str, Source]) -> None:
    left = missing(demands, links)
    assert all(0 <= left[d.name] <= d.bps for d in demands)
    given_bps = sum(d.bps - left[d.name] for d in demands)
    # A route takes its rate of one link at least, so no more can be given than there is.
    assert given_bps <= USABLE * sum(s.bps for s in links.values()) + len(demands)
