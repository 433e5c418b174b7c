"""Snapshots of a network: whole or refused, looked up by name, compared with what was."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.model.network import Application, Changes, Kme, Link, Network, Node, Span, diff
from quoit.model.problem import Problem


@pytest.fixture
def chain() -> Network:
    """a - b - c, with two fibres between a and b; one link a-b, one from c to b, one from a to c through b."""
    return Network(
        nodes=(Node("a", "north", (40.4, -3.7)), Node("b", "north"), Node("c", "south")),
        spans=(Span("ab1", "a", "b", 10.0, 2.5), Span("ab2", "b", "a", 12.0, 3.0), Span("bc", "b", "c", 20.0, 5.0)),
        links=(
            Link("a--b", "a", "b", "bb84-decoy"),
            Link("c--b", "c", "b", "rated", rate_bps=1e3),
            Link("a--c", "a", "c", "bb84-decoy", spans=("ab2", "bc")),
        ),
        kmes=(Kme("kme-a", "a"), Kme("kme-c", "c", "127.0.0.1:8443")),
        applications=(
            Application("alice", "urn:qkd:north:alice", "kme-a"),
            Application("carol", "urn:qkd:south:carol", "kme-c"),
        ),
    )


def test_lookups(chain: Network) -> None:
    assert chain.node("a").position == (40.4, -3.7)
    assert chain.span("bc").loss_db == 5.0
    assert chain.link("c--b").rate_bps == 1e3
    assert chain.kme("kme-c").address == "127.0.0.1:8443"
    assert chain.application("alice").urn == "urn:qkd:north:alice"
    assert chain.domains == ("north", "south")


def test_neighbours_do_not_depend_on_direction(chain: Network) -> None:
    assert chain.neighbours("a") == ("b", "c")
    assert chain.neighbours("b") == ("a", "c")
    assert chain.fibre_neighbours("a") == ("b",)
    assert [link.name for link in chain.links_between("b", "c")] == ["c--b"]
    assert chain.links_between("c", "b") == chain.links_between("b", "c")
    assert [span.name for span in chain.spans_at("b")] == ["ab1", "ab2", "bc"]


def test_attachments(chain: Network) -> None:
    assert [kme.name for kme in chain.kmes_at("c")] == ["kme-c"]
    assert chain.kmes_at("b") == ()
    assert [app.sae_id for app in chain.applications_of("kme-a")] == ["alice"]


def test_a_lonely_node_has_no_neighbours() -> None:
    assert Network((Node("a", "d"),)).neighbours("a") == ()


def test_missing_parts(chain: Network) -> None:
    lookups = (chain.node, chain.span, chain.link, chain.kme, chain.neighbours, chain.kmes_at, chain.applications_of)
    for lookup in lookups:
        with pytest.raises(Problem, match=r"no-such-element.*'x'"):
            lookup("x")
    with pytest.raises(Problem, match=r"unknown-sae.*'x'"):
        chain.application("x")


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        Network(
            nodes=(Node("a", "d"), Node("a", "d")),
            spans=(Span("s", "a", "x", 1.0, 1.0),),
            links=(Link("l", "a", "a", "rated", spans=("t",)),),
            kmes=(Kme("k", "y"),),
            applications=(Application("alice", "urn:qkd:alice", "z"),),
        )
    faults = str(caught.value).split("; ")
    assert len(faults) == 6
    for part in ("node 'a'", "found 'x'", "found 'a' twice", "found 't'", "found 'y'", "found 'z'"):
        assert any(part in fault for fault in faults), part


@pytest.mark.parametrize(
    ("spans", "words"),
    [
        (("bc",), "expected a span from 'a' next, found 'bc'"),
        (("ab1",), "lead to 'c', found them to end at 'b'"),
        (("ab1", "ab2"), "found them to end at 'a'"),
        (("bc", "ab1"), "expected a span from 'a'"),
    ],
)
def test_paths_lead_from_end_to_end(chain: Network, spans: tuple[str, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(chain, links=(Link("a--c", "a", "c", "rated", spans=spans),))


def test_snapshots_do_not_change(chain: Network) -> None:
    with pytest.raises(FrozenInstanceError):
        chain.nodes = ()  # type: ignore[misc]
    with pytest.raises(TypeError):
        chain.parts["node", "z"] = Node("z", "d")  # type: ignore[index]


def test_diff_names_what_changed(chain: Network) -> None:
    spans = (replace(chain.span("ab1"), loss_db=9.0, length_km=11.0), *chain.spans[1:])
    now = replace(
        chain,
        spans=spans,
        links=chain.links[1:],
        applications=(*chain.applications, Application("d", "urn:qkd:d", "kme-a")),
    )
    assert diff(chain, now) == Changes(
        added=(("application", "d"),),
        removed=(("link", "a--b"),),
        changed=(("span", "ab1", ("length_km", "loss_db")),),
    )


def test_names_of_different_kinds_do_not_mix() -> None:
    was = Network((Node("a", "d"), Node("b", "d")), spans=(Span("x", "a", "b", 1.0, 1.0),))
    now = Network((Node("a", "d"), Node("b", "d")), links=(Link("x", "a", "b", "rated"),))
    assert diff(was, now) == Changes((("link", "x"),), (("span", "x"),), ())


def test_no_difference_is_false(chain: Network) -> None:
    assert not diff(chain, chain)
    assert diff(chain, replace(chain, applications=()))


@st.composite
def networks(draw: st.DrawFn) -> Network:
    names = draw(st.lists(st.sampled_from("abcd"), min_size=2, unique=True))
    nodes = tuple(Node(name, draw(st.sampled_from(["d", "e"]))) for name in names)
    pairs = [(x, y) for x in names for y in names if x < y]
    spans = tuple(Span(x + y, x, y, 1.0, draw(st.sampled_from([1.0, 2.0]))) for x, y in pairs if draw(st.booleans()))
    return Network(nodes, spans, tuple(Link(s.name, s.b, s.a, "rated") for s in spans if draw(st.booleans())))


@given(networks(), networks())
def test_diff_is_enough_to_get_from_one_to_the_other(old: Network, new: Network) -> None:
    changes = diff(old, new)
    parts = {key: part for key, part in old.parts.items() if key not in changes.removed}
    touched = [*changes.added, *((kind, name) for kind, name, _ in changes.changed)]
    assert {**parts, **{key: new.parts[key] for key in touched}} == dict(new.parts)
    back = diff(new, old)
    assert set(back.added) == set(changes.removed)
    assert set(back.removed) == set(changes.added)
    assert set(back.changed) == set(changes.changed)


@given(networks())
def test_neighbourhood_is_mutual(network: Network) -> None:
    for node in network.nodes:
        for other in network.neighbours(node.name):
            assert node.name in network.neighbours(other)
            assert network.links_between(node.name, other)
