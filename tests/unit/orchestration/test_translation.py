"""What an intent's expression becomes, and what is refused before any network is asked."""

from __future__ import annotations

import pytest

from quoit.model.lifecycle import Lifecycle
from quoit.model.problem import Problem
from quoit.model.urn import Namespace
from quoit.orchestration.api import ENTANGLED, HYBRID, KEY, Expression, Targets
from quoit.orchestration.figures import Availability, missed, of_session, of_unit
from quoit.orchestration.translation import check, translate
from quoit.service.api import ApplicationRow, OpenSession, OpenUnit, Session

KNOWN = tuple(
    ApplicationRow(sae, f"urn:qkd:city:{sae}", f"kme-{node}", node, "city", True)
    for sae, node in (("alice", "a"), ("bob", "b"), ("carol", "c"))
)
SPACE = Namespace("qkd")
ID = "0b9e6d7a-6f0c-4f43-9d0e-6a2b3b9ad3c5"


def key(**targets: object) -> Expression:
    return Expression(("alice", "bob"), KEY, Targets(**{"rate_bps": 2000.0, **targets}))  # type: ignore[arg-type]


@pytest.mark.realises("G2")
def test_key_becomes_a_session_with_all_that_was_asked() -> None:
    wanted = Expression(
        ("urn:qkd:city:alice", "bob"), KEY, Targets(2000.0, 50_000_000, None, 0.9, 1, ("d",), 2), HYBRID
    )
    order = translate(wanted, 3, KNOWN, SPACE, ID)
    assert order.element == "kme-a"
    assert order.ends == ("a", "b")
    assert order.message == OpenSession(
        "alice", "bob", ID, 2000.0, None, 3, 2, 1, ("d",), 50_000_000, on_shortage="hybrid"
    )
    words = "; ".join(order.said)
    for word in ("2000 bit/s", "at most 1 trusted", "avoid d", "2 routes", "50 ms", "hybrid"):
        assert word in words


@pytest.mark.realises("G2")
def test_entanglement_becomes_a_unit_of_pairs_or_ghz() -> None:
    pair = translate(Expression(("alice", "bob"), ENTANGLED, Targets(fidelity=0.8), states=3), 0, KNOWN, SPACE, ID)
    assert isinstance(pair.message, OpenUnit)
    assert pair.element == "eme-a"
    lifecycle = Lifecycle.parse(pair.message.lifecycle, SPACE)
    assert (lifecycle.size, float(lifecycle.fidelity or 0), lifecycle.more["state"]) == (3, 0.8, "phi+")
    star = translate(Expression(("alice", "bob", "carol"), ENTANGLED, Targets()), 0, KNOWN, SPACE, ID)
    assert isinstance(star.message, OpenUnit)
    assert Lifecycle.parse(star.message.lifecycle, SPACE).more["state"] == "ghz"


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        (key(rate_bps=None), "targets.rate_bps: expected for key"),
        (key(fidelity=0.9), "targets.fidelity: expected none"),
        (Expression(("alice", "bob", "carol"), KEY, Targets(1.0)), "expected 2 for key, found 3"),
        (Expression(("alice", "alice"), KEY, Targets(1.0)), "expected different ones"),
        (Expression(("alice", "bob"), ENTANGLED, Targets(rate_bps=1.0)), "targets.rate_bps: expected for key only"),
        (Expression(("alice", "bob"), ENTANGLED, Targets(disjoint=2)), "targets.disjoint"),
        (Expression(("alice", "bob"), ENTANGLED, Targets(), HYBRID), "no mathematics replaces a state"),
    ],
)
def test_what_no_network_could_be_asked_is_refused(expression: Expression, said: str) -> None:
    with pytest.raises(Problem) as caught:
        check(expression)
    assert caught.value.code == "malformed"
    assert said in caught.value.detail


def test_all_reasons_are_said_at_once() -> None:
    with pytest.raises(Problem) as caught:
        check(key(rate_bps=None, fidelity=0.9))
    assert len(caught.value.fields["reasons"]) == 2


def test_who_is_unknown_and_who_is_there_twice() -> None:
    with pytest.raises(Problem, match="mallory"):
        translate(Expression(("alice", "mallory"), KEY, Targets(1.0)), 0, KNOWN, SPACE, ID)
    with pytest.raises(Problem, match="same application"):
        translate(Expression(("alice", "urn:qkd:city:alice"), KEY, Targets(1.0)), 0, KNOWN, SPACE, ID)


def session(state: str, routes: int, **more: object) -> Session:
    return Session(ID, "alice", "bob", state, 2000.0, 20_000, 0, 2, 1, routes, 1, 0, None, 4096, **more)  # type: ignore[arg-type]


def test_figures_say_what_is_met_and_what_was_not_measured() -> None:
    wanted = key(disjoint=2, most_transit=1, latency_ns=10_000_000)
    whole = {f.name: f for f in of_session(wanted, session("open", 2), 2048, 1_000_000_000)}
    assert {name: f.met for name, f in whole.items()} == {
        "rate_bps": True, "served_bps": None, "disjoint": True, "trust": True, "latency_ms": None,
    }  # fmt: skip
    assert whole["served_bps"].measured == 2048.0
    short = of_session(wanted, session("degraded", 1, latency_ns=20_000_000), 0, 1)
    assert missed(short) == (
        "rate_bps: 0 instead of 2000 bit/s; disjoint: 1 instead of 2 routes; latency_ms: 20 instead of 10 ms"
    )
    gone = {f.name: f.met for f in of_session(wanted, None, 0, 1)}
    assert (gone["rate_bps"], gone["trust"], gone["latency_ms"]) == (False, None, None)
    assert (
        missed(of_unit(Expression(("a", "b"), ENTANGLED, Targets(fidelity=0.9)), None))
        == "states: 0 instead of 1 states"
    )


def test_availability_counts_from_when_it_first_stood() -> None:
    share = Availability()
    share.note(0, False)
    share.note(100, True)
    share.note(175, False)
    share.note(200, True)
    assert share.share == 0.75
    assert share.figure(0.9).met is False
    assert share.figure(None).met is None
    assert Availability().share is None
