"""From what is wanted to what is asked of the Service stratum: the translation of intents (RFC 9315 cl. 5.1.2).

Pure: an expression and the applications that are known give an order, or the reasons why none can be made. Each choice
comes with the words that explain it.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from quoit.model.lifecycle import Lifecycle
from quoit.model.problem import Problem
from quoit.model.urn import Namespace, Urn, endpoint_equivalent
from quoit.orchestration.api import ENTANGLED, HYBRID, KEY, Expression
from quoit.runtime.wire import Message
from quoit.service.api import ApplicationRow, OpenSession, OpenUnit, eme

MOST_ENDPOINTS = 32
FIDELITY_PLACES = 15


class Order(Message):
    """`message` goes to `element`; `ends` are the nodes of the endpoints, and `said` explains the choices."""

    element: str
    message: OpenSession | OpenUnit
    ends: tuple[str, ...]
    said: tuple[str, ...]


def check(expression: Expression) -> None:
    """Problem `malformed` for what no network could be asked, all reasons in one text."""
    wrong = list(_wrong(expression))
    if wrong:
        raise Problem("malformed", "; ".join(wrong), reasons=wrong)


def _wrong(e: Expression) -> Iterable[str]:
    t = e.targets
    most = 2 if e.kind == KEY else MOST_ENDPOINTS
    if not 2 <= len(e.endpoints) <= most:
        yield f"su.endpoints: expected 2{'' if most == 2 else f' to {most}'} for {e.kind}, found {len(e.endpoints)}"
    if len(set(e.endpoints)) < len(e.endpoints):
        yield "su.endpoints: expected different ones"
    if e.kind == KEY:
        if t.rate_bps is None:
            yield "targets.rate_bps: expected for key, found none: without a rate nothing is set aside"
        if t.fidelity is not None:
            yield "targets.fidelity: expected none for key: bits are right or there are none"
        if e.states != 1:
            yield "su.states: expected for entangled only"
        return
    for name, given in (("rate_bps", t.rate_bps), ("latency_ms", t.latency_ns), ("trust", t.most_transit)):
        if given is not None:
            yield f"targets.{name}: expected for key only: no such target can be kept for entangled units"
    if t.avoid:
        yield "targets.trust: expected for key only: swapping nodes see no secret"
    if t.disjoint != 1:
        yield "targets.disjoint: expected for key only"
    if e.on_violation == HYBRID:
        yield f"on_violation: expected reroute or notify for entangled, found {HYBRID}: no mathematics replaces a state"


def find(endpoint: str, known: Iterable[ApplicationRow]) -> ApplicationRow:
    """The application of this SAE ID or URN. Problem `unknown-sae`."""
    by_urn = endpoint[:4].lower() == "urn:"
    for row in known:
        if row.sae == endpoint or (by_urn and endpoint_equivalent(Urn.parse(row.urn), Urn.parse(endpoint))):
            return row
    raise Problem("unknown-sae", f"no application {endpoint!r} is known to any domain's controller", endpoint=endpoint)


def translate(
    expression: Expression, priority: int, known: tuple[ApplicationRow, ...], namespace: Namespace, new_id: str
) -> Order:
    """The order that would fulfil it. Problems `malformed`, `unknown-sae`."""
    check(expression)
    parties = tuple(find(endpoint, known) for endpoint in expression.endpoints)
    if len({party.sae for party in parties}) < len(parties):
        raise Problem("malformed", "su.endpoints: two of them name the same application")
    if expression.kind == ENTANGLED:
        return _unit(expression, parties, namespace, new_id)
    return _session(expression, parties, priority, new_id)


def _session(e: Expression, parties: tuple[ApplicationRow, ...], priority: int, new_id: str) -> Order:
    first, second = parties
    t = e.targets
    shortage = "hybrid" if e.on_violation == HYBRID else "refuse"
    message = OpenSession(
        first.sae,
        second.sae,
        new_id,
        t.rate_bps or 0.0,
        None,
        priority,
        t.disjoint,
        t.most_transit,
        t.avoid,
        t.latency_ns,
        on_shortage=shortage,
    )
    said = [f"a key session of {t.rate_bps:g} bit/s, which {first.sae} at {first.kme} opens keys from"]
    if t.most_transit is not None:
        said.append(
            f"at most {t.most_transit} trusted nodes on a route" if t.most_transit else "no trusted node at all"
        )
    if t.avoid:
        said.append(f"routes avoid {', '.join(t.avoid)}")
    if t.disjoint > 1:
        said.append(f"{t.disjoint} routes without common nodes: each key is the sum of a share on each")
    if t.latency_ns is not None:
        said.append(f"answers are watched: {t.latency_ns / 1e6:g} ms at the 95th percentile")
    if shortage == "hybrid":
        said.append("without links the two KMEs go on with ML-KEM and an older key, labelled hybrid")
    if first.node == second.node:
        said.append("both are at one node: no link is needed")
    return Order(first.kme, message, (first.node, second.node), tuple(said))


def _unit(e: Expression, parties: tuple[ApplicationRow, ...], namespace: Namespace, new_id: str) -> Order:
    fidelity = None if e.targets.fidelity is None else Decimal(f"{e.targets.fidelity:.{FIDELITY_PLACES}f}").normalize()
    state = "phi+" if len(parties) == 2 else "ghz"
    lifecycle = Lifecycle(e.states, None, fidelity, {"state": state})
    message = OpenUnit(parties[0].sae, tuple(p.urn for p in parties), lifecycle.to_urn(namespace).text, new_id)
    said = [f"a unit of {e.states} {state} states, renewed when it has been used"]
    if fidelity is not None:
        said.append(f"each promised with a fidelity of at least {fidelity:f}")
    return Order(eme(parties[0].node), message, tuple(p.node for p in parties), tuple(said))
