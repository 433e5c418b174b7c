"""Root causes: below, lawful, and there first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quoit.planes.correlation import SLACK_NS, explain
from quoit.planes.management import Alarm

LAWS = {"dark": frozenset({"cut"}), "starved": frozenset({"dark", "cut"}), "x": frozenset({"y"}), "y": frozenset({"x"})}
BELOW = {"session": {"link", "fibre", "session"}, "link": {"link", "fibre"}, "fibre": {"fibre"}, "other": {"other"}}


def alarm(about: str, cause: str, since_ns: int = 0) -> Alarm:
    return Alarm("any", about, cause, "major", "", since_ns)


def roots(*alarms: Alarm) -> dict[tuple[str, str], list[tuple[str, str]]]:
    found = explain(alarms, LAWS, lambda a: a.about, lambda a: frozenset(BELOW[a.about]))
    return {(a.about, a.cause): [(root.about, root.cause) for root in why] for a, why in found.items()}


def test_a_chain_ends_at_its_beginning() -> None:
    cut, dark, starved = alarm("fibre", "cut"), alarm("link", "dark", 1), alarm("session", "starved", 2)
    assert roots(starved, dark, cut) == {
        ("fibre", "cut"): [],
        ("link", "dark"): [("fibre", "cut")],
        ("session", "starved"): [("fibre", "cut")],
    }
    assert roots(starved, dark)["session", "starved"] == [("link", "dark")]


def test_what_is_elsewhere_or_came_later_or_has_no_law_explains_nothing() -> None:
    assert roots(alarm("other", "cut"), alarm("link", "dark"))["link", "dark"] == []
    late = alarm("fibre", "cut", SLACK_NS + 1)
    assert roots(late, alarm("link", "dark"))["link", "dark"] == []
    assert roots(alarm("fibre", "cut", SLACK_NS), alarm("link", "dark"))["link", "dark"] == [("fibre", "cut")]
    assert roots(alarm("fibre", "odd"), alarm("link", "dark"))["link", "dark"] == []


def test_two_that_could_cause_each_other_do_not_chase_each_other() -> None:
    assert roots(alarm("link", "x"), alarm("link", "y")) == {("link", "x"): [], ("link", "y"): []}


ANY = st.builds(alarm, st.sampled_from(sorted(BELOW)), st.sampled_from(["cut", "dark", "starved", "x", "y"]),
                st.integers(0, 3) | st.just(2 * SLACK_NS))  # fmt: skip


@given(st.lists(ANY, max_size=8, unique_by=lambda a: (a.about, a.cause)))
def test_roots_stand_and_are_below_and_nothing_is_its_own_root(alarms: list[Alarm]) -> None:
    found = explain(alarms, LAWS, lambda a: a.about, lambda a: frozenset(BELOW[a.about]))
    assert set(found) == set(alarms)
    for effect, why in found.items():
        assert effect not in why
        assert len(set(why)) == len(why)
        for root in why:
            assert root in found
            assert root.about in BELOW[effect.about]
            assert found[root] == ()
