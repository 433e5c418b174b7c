"""Two domains, two KMEs at one node, and an application that is not to be known abroad (B3, C2)."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.model.problem import Problem
from quoit.runtime.virtual import VirtualWorld
from quoit.runtime.wire import Message
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.service.api import Keys, OpenKeys, OpenUnit, TakeKeys, Unit

NETWORK = """
quoit: 1
name: border
domains:
  - {name: east, prefix: "urn:qkd:east"}
  - {name: west, prefix: "urn:qkd:west"}
nodes: {alice: {domain: east}, border: {domain: east}, bob: {domain: west}}
spans:
  - {between: [alice, border], length: 10 km}
  - {between: [border, bob], length: 10 km}
links:
  - {between: [alice, border], protocol: rated, rate: 100 kbit/s, initial_pool: 1 Mbit}
  - {between: [border, bob], protocol: rated, rate: 100 kbit/s, initial_pool: 1 Mbit}
kmes:
  - {name: kme-one, node: alice}
  - {name: kme-two, node: alice}
  - {node: border}
  - {node: bob}
applications:
  - {sae: one, kme: kme-one}
  - {sae: two, kme: kme-two}
  - {sae: hidden, kme: kme-border, routable: false}
  - {sae: bob, kme: kme-bob}
"""
S = 1_000_000_000


class Border:
    def __init__(self) -> None:
        self.twin = assemble(loads(NETWORK), Parts(lambda kme: MemoryStore()))
        self.said: list[tuple[str, str, Message]] = []
        self.world = VirtualWorld(self.twin.kernel)
        self.world.begin()
        self.world.run_until(5 * S)
        self._numbers = iter(range(100))

    def key(self, master: str, at: str, slave: str, there: str) -> tuple[bytes, bytes]:
        key_id = str(uuid.UUID(int=next(self._numbers), version=4))
        opened: Keys = self.world.ask(at, OpenKeys(master, slave, 1, (key_id,)))
        taken: Keys = self.world.ask(there, TakeKeys(slave, master, (key_id,)))
        return opened.keys[0].value.reveal(), taken.keys[0].value.reveal()


@pytest.fixture
def border() -> Border:
    return Border()


@pytest.mark.realises("B3", "C2")
def test_keys_within_and_across_domains_and_between_kmes_of_one_node(border: Border) -> None:
    for pair in (
        ("one", "kme-one", "bob", "kme-bob"),
        ("bob", "kme-bob", "two", "kme-two"),
        ("one", "kme-one", "two", "kme-two"),
        ("hidden", "kme-border", "one", "kme-one"),
        ("one", "kme-one", "hidden", "kme-border"),
    ):
        mine, same = border.key(*pair)
        assert mine == same
        assert len(mine) == 32


@pytest.mark.realises("B3", "H1")
def test_who_is_not_routable_is_unknown_abroad_by_either_name(border: Border) -> None:
    hidden = border.twin.attachments["hidden"].urn
    for name in ("hidden", "nobody"):
        with pytest.raises(Problem) as refused:
            border.key("bob", "kme-bob", name, "kme-border")
        assert (refused.value.code, refused.value.detail) == (
            "unknown-sae",
            "no application of this name can be reached",
        )
    ask = OpenUnit(
        "bob", (border.twin.attachments["bob"].urn, hidden), "urn:qkd:lifecycle?=size=256", str(uuid.uuid4())
    )
    with pytest.raises(Problem) as refused:
        border.world.ask("kme-bob", ask)
    assert refused.value.code == "unknown-sae"


@pytest.mark.realises("B3")
def test_nothing_of_who_is_not_routable_crosses_the_border(border: Border) -> None:
    crossed: list[Any] = []
    kernel = border.twin.kernel
    west = {e.name for e in kernel.elements if e.name in ("kme-bob", "service.controller:west")}
    for element in kernel.elements:
        if element.name in west:
            _spy(kernel, element.name, crossed)
    for name in ("hidden", border.twin.attachments["hidden"].urn):
        with pytest.raises(Problem):
            border.key("bob", "kme-bob", name, "kme-border")
    asked = {"hidden", border.twin.attachments["hidden"].urn}
    assert crossed
    assert not [m for m in crossed if "kme-border" in repr(m)]
    assert {m for m in crossed if "hidden" in repr(m) and not any(name in repr(m) for name in asked)} == set()


def _spy(kernel: Any, name: str, crossed: list[Any]) -> None:
    table = kernel._tables[kernel.index_of(name)]
    for kind, handler in list(table.items()):

        async def heard(ctx: Any, msg: Any, handler: Any = handler) -> Any:
            crossed.append(msg)
            answer = await handler(ctx, msg)
            crossed.append(answer)
            return answer

        table[kind] = heard


@pytest.mark.realises("B4", "B6")
def test_a_unit_across_the_border_is_found_from_its_key_and_back(border: Border) -> None:
    urns = tuple(border.twin.attachments[sae].urn for sae in ("one", "bob"))
    unit: Unit = border.world.ask("kme-one", OpenUnit("one", urns, "urn:qkd:lifecycle?=size=256", str(uuid.uuid4())))
    taken: Keys = border.world.ask("kme-bob", TakeKeys("bob", "one", (unit.key_id,)))
    assert unit.content == taken.keys[0].value
    assert {segment.link for segment in unit.segments} == {"alice--border", "border--bob"}
