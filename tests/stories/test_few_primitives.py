"""Every protocol stands on rows of the one table of primitives: what is done to states meanwhile is written down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from quoit.engine.primitives import PRIMITIVES, Primitive
from quoit.sdk import Application, VirtualNetwork
from quoit.service.qnpu import ACTS
from shared_states import network, play

TEXT = """
quoit: 1
name: line
nodes:
  a: {memories: {number: 12, t2: 5 s}}
  b: {memories: {number: 12, t2: 5 s}}
  c: {memories: {number: 12, t2: 5 s}}
spans:
  - {between: [a, b], length: 2 km}
  - {between: [b, c], length: 2 km}
pair_links:
  - {between: [a, b], success: 0.2, fidelity: 0.99}
  - {between: [b, c], success: 0.2, fidelity: 0.99}
applications: [{sae: alice, kme: kme-a}, {sae: bob, kme: kme-b}, {sae: charlie, kme: kme-c}]
"""


class Witness(Mapping[str, Primitive]):
    """The table, and which of its rows were looked up."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    def __getitem__(self, name: str) -> Primitive:
        row = PRIMITIVES[name]
        self.used.add(name)
        return row

    def __iter__(self) -> Iterator[str]:
        return iter(PRIMITIVES)

    def __len__(self) -> int:
        return len(PRIMITIVES)


async def kind_of_unit(net: VirtualNetwork, **asked: str) -> None:
    alice = net.application("alice")
    unit = await alice.request(["bob", "charlie"], fidelity=0.6, **asked)
    await alice.measure(unit.addresses[0])


async def with_tests(net: VirtualNetwork) -> None:
    await net.application("alice").request(["bob"], fidelity=0.6, tests=20)


async def link_service(net: VirtualNetwork, kind: str) -> None:
    alice, bob = net.application("alice"), net.application("bob")
    await bob.receive_pairs("alice", purpose=1)
    await alice.create_pairs("bob", kind=kind, number=2, fidelity=0.8, within_s=5, purpose=1)
    await alice.next_pairs()


async def circuit(net: VirtualNetwork) -> None:
    alice, charlie = net.application("alice"), net.application("charlie")
    await charlie.receive_pairs("alice", purpose=1)
    opened = await alice.open_circuit("charlie", fidelity=0.8)
    await alice.request_pairs(opened, number=1, within_s=5, delivery="KEEP", bell="psi-", purpose=1)
    await alice.next_pairs()


async def teleported(net: VirtualNetwork) -> None:
    alice, bob = net.application("alice"), net.application("bob")
    unit = await alice.request(["bob"], fidelity=0.8)
    (own,) = await alice.allocate()
    await alice.init(own)
    await alice.teleport(own, unit.addresses[0], "bob")
    far = (await bob.next_unit()).addresses[0]
    await bob.receive_teleported(far, "alice")


async def swapped_by_hand(net: VirtualNetwork) -> None:
    bob: Application = net.application("bob")
    halves = [(await bob.request([other], fidelity=0.8)).addresses[0] for other in ("alice", "charlie")]
    await bob.bell_measure(*halves)


CARRIED = {
    "ghz unit": (lambda net: kind_of_unit(net), {"herald", "fuse", "measure"}),
    "graph unit": (lambda net: kind_of_unit(net, graph="ring"), {"herald", "CZ", "measure"}),
    "w unit": (lambda net: kind_of_unit(net, kind="w"), {"herald", "init", "bell-measure"}),
    "tested pairs": (with_tests, {"herald", "measure"}),
    "CREATE and keep": (lambda net: link_service(net, "K"), {"herald"}),
    "CREATE and measure": (lambda net: link_service(net, "M"), {"herald", "measure"}),
    "remote state preparation": (lambda net: link_service(net, "R"), {"herald", "measure"}),
    "virtual circuit": (circuit, {"herald"}),
    "teleportation": (teleported, {"init", "bell-measure"}),
    "swap": (swapped_by_hand, {"bell-measure"}),
}


@pytest.mark.realises("F6")
@pytest.mark.parametrize("name", CARRIED)
def test_a_protocol_stands_on_rows_of_the_table(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's ledger, which alone changes states, looks every operation up in the table; here in one that writes
    down which. What is no row would be a KeyError in the middle of the protocol."""
    protocol, needed = CARRIED[name]
    witness = Witness()
    monkeypatch.setattr("quoit.engine.ledger.PRIMITIVES", witness)
    net = network(TEXT)
    play(protocol(net))
    assert needed <= witness.used, witness.used
    assert len(witness.used) <= 10, witness.used


@pytest.mark.realises("F6")
def test_a_processors_instructions_are_rows() -> None:
    """What programs of hosts (NetQASM) may do to qubits; swap is a gate of the table, and K is made of two rows."""
    rows = {name.lower() for name in PRIMITIVES}
    assert ACTS - rows <= {"k"}, ACTS - rows
