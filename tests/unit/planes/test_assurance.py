"""Health is the least of what a service stands on; causes are named where they are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quoit.planes.assurance import Assurance, Impact


def madrid() -> Assurance:
    graph = Assurance()
    for name, kind in (("session", "keys"), ("route", "flow"), ("a--b", "link"), ("b--c", "link"), ("duct", "fibre")):
        graph.add(name, kind)
    graph.depends("session", ["route"])
    graph.depends("route", ["a--b", "b--c"])
    graph.depends("a--b", ["duct"])
    return graph


def test_all_well() -> None:
    assert all(standing.health == 100 and not standing.causes for standing in madrid().all())


def test_loss_of_light_explains_the_error_rate_above_it() -> None:
    graph = madrid()
    graph.ail("a--b", "qber", "QBER 0.31", 60, 5)
    assert [cause.name for cause in graph.standing("session").causes] == ["qber"]
    graph.ail("duct", "loss", "9 dB above commissioning", 80, 6)
    session = graph.standing("session")
    assert session.health == 20
    assert [(cause.about, cause.name) for cause in session.causes] == [("duct", "loss")]
    assert [own.name for own in graph.standing("a--b").symptoms] == ["qber"], "it is still shown where it is"


def test_an_illness_that_what_is_below_does_not_explain_stays_a_cause() -> None:
    graph = madrid()
    graph.ail("a--b", "quarantine", "suspected eavesdropping", 100, 5)
    graph.ail("duct", "loss", "0.3 dB above commissioning", 10, 6)
    assert [cause.name for cause in graph.standing("session").causes] == ["quarantine"]


def test_independent_causes_are_all_named_the_worst_first() -> None:
    graph = madrid()
    graph.ail("b--c", "pool", "no key left", 70, 5)
    graph.ail("duct", "cut", "no light", 100, 6)
    assert [cause.name for cause in graph.standing("route").causes] == ["cut", "pool"]


def test_what_is_behind_a_buffer_is_in_danger_before_it_is_ill() -> None:
    graph = madrid()
    graph.add("pool", "pool")
    graph.depends("pool", ["a--b"], Impact.BUFFERED)
    graph.depends("route", ["pool"])
    graph.ail("duct", "cut", "no light", 100, 1)
    assert (graph.standing("pool").health, graph.standing("route").health) == (50, 50)
    assert [cause.about for cause in graph.standing("session").causes] == ["duct"]
    graph.ail("pool", "closed", "no key left", 100, 9)
    pool = graph.standing("pool")
    assert (pool.health, [cause.about for cause in pool.causes]) == (0, ["duct"])
    assert graph.below("pool") == {"a--b", "duct"}


def test_informational_dependencies_weigh_nothing() -> None:
    graph = madrid()
    graph.add("clock", "clock")
    graph.depends("session", ["clock"], Impact.INFORMATIONAL)
    graph.ail("clock", "drift", "2 s off", 100, 0)
    assert graph.standing("session").health == 100
    assert graph.needs("session") == (("clock", Impact.INFORMATIONAL), ("route", Impact.IMPACTING))


def test_symptoms_keep_their_beginning_and_end() -> None:
    graph = madrid()
    graph.ail("duct", "loss", "1 dB", 10, 5)
    graph.ail("duct", "loss", "2 dB", 20, 9)
    (symptom,) = graph.standing("duct").symptoms
    assert (symptom.since_ns, symptom.text, graph.standing("duct").health) == (5, "2 dB", 80)
    graph.heal("duct", "loss")
    assert graph.standing("session").health == 100


def test_a_route_that_moves_leaves_its_old_illness() -> None:
    graph = madrid()
    graph.ail("duct", "cut", "no light", 100, 6)
    graph.depends("route", ["b--c"])
    assert graph.standing("session").health == 100
    graph.remove("b--c")
    assert graph.needs("route") == ()


def test_circles_and_weights_are_refused() -> None:
    graph = madrid()
    with pytest.raises(ValueError, match="duct cannot depend on session"):
        graph.depends("duct", ["session"])
    with pytest.raises(ValueError, match="1 to 100"):
        graph.ail("duct", "loss", "", 0, 0)
    with pytest.raises(KeyError):
        graph.depends("duct", ["nobody"])


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7))),
    st.lists(st.tuples(st.integers(0, 7), st.integers(1, 100))),
)
def test_nothing_is_better_than_what_it_stands_on_and_every_illness_has_a_cause(
    needs: list[tuple[int, int]], ills: list[tuple[int, int]]
) -> None:
    graph = Assurance()
    for number in range(8):
        graph.add(str(number), "x")
    below: dict[str, set[str]] = {str(number): set() for number in range(8)}
    for one, other in needs:
        if one < other:
            below[str(one)].add(str(other))
            graph.depends(str(one), sorted(below[str(one)]))
    for number, weight in ills:
        graph.ail(str(number), f"s{weight}", "", weight, 0)
    for standing in graph.all():
        assert all(standing.health <= graph.standing(other).health for other in below[standing.name])
        assert bool(standing.causes) == (standing.health < 100)
