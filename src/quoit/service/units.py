"""Service units as a KME shows them: key handouts read as units of N endpoints and a lifecycle (B1-B6).

A key *is* a service unit: its key_ID is the unit's identifier and the nonce of its endpoints' URNs, its
size and expiry are the lifecycle, and the stretches of link key behind it are its QUIs. So nothing is
stored twice, and each can be found from the other.
"""

from __future__ import annotations

from collections.abc import Callable

from quoit.model.lifecycle import Lifecycle
from quoit.model.unit import UnitState
from quoit.model.urn import Namespace
from quoit.service.api import Segment, Unit
from quoit.service.hybrid import class_of
from quoit.service.keystore import Handout

Urns = Callable[[str], str]
"""SAE ID to endpoint URN without instance."""


def state_of(handout: Handout, taken_at_peer: tuple[str, ...] = ()) -> UnitState:
    """The unit's state from what the stores know: who of the slaves has the key, and whether it is void."""
    if handout.state == "expired":
        return UnitState.EXPIRED
    if handout.state == "void":
        return UnitState.FAILED
    having = {*handout.delivered, *taken_at_peer} & set(handout.slaves)
    if having == set(handout.slaves):
        return UnitState.CONSUMED
    return UnitState.DELIVERED if having else UnitState.ESTABLISHED


def unit_of(
    handout: Handout,
    state: UnitState,
    urns: Urns,
    namespace: Namespace,
    unix_s: Callable[[int], float],
    domain: str,
    route: tuple[str, ...],
) -> Unit:
    """The unit that a handout stands for."""
    parties = (handout.master, *handout.slaves)
    until = None if handout.expires_ns is None else int(unix_s(handout.expires_ns))
    segments = tuple(
        Segment(f"{domain}/{p.link}/{p.block}/{p.offset}", p.link, p.block, p.offset, p.bits)
        for p in handout.provenance
        if p.use != "tag"
    )
    return Unit(
        unit_id=handout.key_id,
        endpoints=tuple(f"{urns(sae)}?=nonce={handout.key_id}" for sae in parties),
        lifecycle=Lifecycle(handout.size_bits, until).to_urn(namespace).text,
        originator=handout.master,
        state=str(state),
        size_bits=handout.size_bits,
        created_ns=handout.created_ns,
        expires_ns=handout.expires_ns,
        key_id=handout.key_id,
        route=route,
        segments=segments,
        made_of=class_of(handout.stream),
    )
