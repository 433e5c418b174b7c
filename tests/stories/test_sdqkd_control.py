"""The fabric controlled by ETSI GS QKD 015 alone: links made, routes moved, controllers killed, fenced and replaced."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from quoit.fabric import api
from quoit.fabric.agent import SdnAgent
from quoit.fabric.api import MoveKey, OpenFlow, ReleaseFlows, ReserveFlows
from quoit.fabric.controller import FabricController
from quoit.fabric.sdqkd import tree
from quoit.fabric.sdqkd.routes import Identifiers
from quoit.fabric.sdqkd.tree import Turn
from quoit.fabric.sdqkd_controller import SdqkdController
from quoit.fabric.southbound import LinkEntry
from quoit.runtime.context import Context
from quoit.scenario.fate import FATE, Strike
from sdqkd_lab import S, SdqkdLab

SQUARE = """
quoit: 1
name: square
nodes: {a: {}, b: {}, c: {}, d: {}}
spans:
  - {name: ab, between: [a, b], length: 10 km}
  - {name: bd, between: [b, d], length: 10 km}
  - {name: ac, between: [a, c], length: 10 km}
  - {name: cd, between: [c, d], length: 10 km}
links:
  - {name: ab, between: [a, b], protocol: rated, rate: 20 kbit/s}
  - {name: bd, between: [b, d], protocol: rated, rate: 20 kbit/s}
  - {name: ac, between: [a, c], protocol: rated, rate: 20 kbit/s}
  - {name: cd, between: [c, d], protocol: rated, rate: 20 kbit/s}
applications:
  - {sae: app-a, kme: kme-a, allow: [app-d]}
  - {sae: app-d, kme: kme-d, allow: [app-a]}
policies: {control: sdqkd, fabric_controllers: 2, stream_low: 16 kbit, stream_high: 32 kbit}
events:
  - {at: 20 s, load: {from: app-a, to: app-d, rate: 2 kbit/s}}
"""
ENTRIES = tuple(LinkEntry(link, link[0], link[1], (link,)) for link in ("ab", "bd", "ac", "cd"))


class Square(SdqkdLab):
    def __init__(self, text: str = SQUARE, until_s: float = 15.0) -> None:
        super().__init__(text, until_s)

    def instance(self, number: int) -> SdqkdController:
        name = api.controller_instance(number)
        (found,) = [e for e in self.twin.kernel.elements if e.name == name]
        assert isinstance(found, SdqkdController)
        return found

    def leaders(self) -> list[int]:
        return [number for number in (0, 1) if self.instance(number).leads]

    def kill(self, name: str) -> None:
        self.twin.kernel.crash(name)

    def again(self, number: int, kind: type[SdqkdController] = SdqkdController) -> SdqkdController:
        new = kind("a", self.network.name, tuple(self.network.nodes), ENTRIES, number)
        self.twin.kernel.revive(new)
        return new

    def way(self, src: str = "a", dst: str = "d", name: str = "") -> list[str]:
        """Nodes that have the flow's virtual link now."""
        qkdl_id = Identifiers(self.network.name).flow(src, dst, name)
        return [node for node in self.network.nodes if qkdl_id in self.node(node).links]

    def strike(self, *words: Any) -> None:
        self.world.ask(FATE, Strike(*words))

    def refused(self) -> list[dict[str, Any]]:
        return self.said("keys.refused") + self.said("keys.lost")


@pytest.mark.realises("A3", "C4", "C5")
def test_links_are_made_and_keys_flow_where_nothing_was_configured() -> None:
    story = Square()
    (first,) = story.leaders()
    assert {fields["runs"] for fields in story.said("agent.link")} == {True}
    assert len(story.said("agent.link")) == 8  # both ends of four links
    assert story.node("b").control is not None
    assert story.node("b").control.key[0] == 1  # type: ignore[union-attr]
    story.pass_s(60)
    assert story.way() == ["a", "b", "d"]
    assert len(story.said("keys.taken")) > 200
    assert story.refused() == []
    assert story.leaders() == [first]
    performance = story.state("a").links[tree.id_of("square", "link", "ab")].qkdl_performance
    assert performance is not None
    assert performance.skr is not None
    assert performance.skr > 15_000


@pytest.mark.realises("C5")
def test_a_cut_moves_the_route_when_the_pool_is_used_up_and_no_key_fails() -> None:
    story = Square(until_s=12)
    assert story.way() == ["a", "b", "d"]
    qkdl_id = tree.id_of("square", "link", "bd")
    story.strike("cut", "bd")
    story.pass_s(5)
    assert story.state("b").links[qkdl_id].qkdl_status == tree.PASSIVE  # its keys are used up first
    story.pass_s(180)
    assert story.state("b").links[qkdl_id].qkdl_status == tree.PENDING
    assert story.way() == ["a", "c", "d"]
    assert story.refused() == []


@pytest.mark.realises("C4", "C5")
def test_a_killed_leader_is_replaced_and_its_routes_are_kept_while_keys_go_on() -> None:
    story = Square(until_s=40)
    (first,) = story.leaders()
    before = len(story.said("keys.taken"))
    story.kill(api.controller_instance(first))
    story.pass_s(2)  # nobody leads: keys go on
    middle = len(story.said("keys.taken"))
    assert middle > before
    story.pass_s(30)
    other = 1 - first
    assert story.instance(other).leads
    epochs = [fields["epoch"] for fields in story.said("control.leads")]
    assert epochs == [1, 2]
    assert story.way() == ["a", "b", "d"]
    forwarded = [e for e in story.events if e.event == "agent.forwarding" and e.t > 41 * S]
    assert forwarded == []  # what stood was found, and written by nobody again
    assert len(story.said("keys.taken")) > middle + 100
    assert story.refused() == []
    story.again(first)
    story.pass_s(10)
    assert story.leaders() == [other]  # who comes back follows


@pytest.mark.realises("C4", "C5", "F7")
@pytest.mark.parametrize("text", [SQUARE, SQUARE.replace("control: sdqkd, fabric_controllers: 2", "control: direct")])
def test_with_no_control_at_all_keys_flow_on_from_the_tables(text: str) -> None:
    story = Square(text, until_s=40)
    gone = [e.name for e in story.twin.kernel.elements if e.name.startswith(api.CONTROLLER)]
    for name in gone:
        story.kill(name)
    before = len(story.said("keys.taken"))
    moved = len(story.said("key.moved"))
    story.pass_s(300)
    assert len(story.said("keys.taken")) > before + 2_000  # far more than the streams held
    assert len(story.said("key.moved")) > moved + 5
    assert story.said("control.silent")
    assert story.refused() == []


def test_a_direct_controller_that_comes_back_writes_above_its_earlier_epochs() -> None:
    story = Square(SQUARE.replace("control: sdqkd, fabric_controllers: 2", "control: direct"), until_s=40)
    story.kill(api.CONTROLLER)
    story.pass_s(5)
    story.twin.kernel.revive(FabricController("a", ENTRIES))
    story.pass_s(10)
    flow = story.world.ask(api.CONTROLLER, OpenFlow("a", "d"))
    assert flow.epoch > 40 * S
    story.world.ask(api.relay("a"), MoveKey("s", 0, 256, "a", "d", "kme-d"))
    assert story.refused() == []


class Sleeper(SdqkdController):
    """An old leader that wakes up after its pause in the middle of an order: it does not look at its lease first."""

    async def start(self, ctx: Context) -> None:
        self._agents.epoch = 1
        self._agents._numbers = {}  # what it knew of links is not what this is about
        self._ready = True
        await self._reconcile(ctx)


@pytest.mark.realises("C4")
def test_what_a_paused_old_leader_writes_is_refused_by_its_epoch_and_forwarding_goes_on() -> None:
    story = Square(until_s=40)
    (first,) = story.leaders()
    story.kill(api.controller_instance(first))
    story.pass_s(10)
    assert story.instance(1 - first).leads
    configured = [story.node(name) for name in story.network.nodes]
    writes = len(story.said("agent.forwarding"))
    woken = story.again(first, Sleeper)
    story.pass_s(5)
    assert not woken.leads
    fenced = story.said("control.fenced")
    assert fenced
    assert {fields["epoch"] for fields in fenced} == {1}
    assert [story.node(name) for name in story.network.nodes] == configured
    assert len(story.said("agent.forwarding")) == writes
    story.pass_s(30)
    assert story.refused() == []


@pytest.mark.realises("C4")
def test_an_agent_says_why_it_refuses_a_stale_edit() -> None:
    story = Square(until_s=20)
    now = story.node("b")
    assert now.control is not None
    epoch, edit = now.control.key
    changed = replace(now, qkdn_version="2")
    for turn, why in (
        (now.control, "needs an epoch and number above its"),
        (Turn("0", "99"), "comes after edit"),
        (Turn(str(epoch), str(edit - 1)), "comes after edit"),
        (None, "let go by an edit of its own"),
    ):
        refusal = story.refusal("b", replace(changed, control=turn))
        assert (refusal.code, why in refusal.detail) == ("stale-epoch", True), refusal.detail
    assert story.refusal("b", replace(changed, control=Turn("9", "1")), before=changed).code == "config-changed"
    story.apply("b", replace(changed, control=Turn("9", "1")))
    assert story.node("b").qkdn_version == "2"
    story.apply("b", replace(story.node("b"), control=None))  # let go
    story.apply("b", replace(story.node("b"), qkdn_version="3"))


@pytest.mark.realises("C4")
def test_what_was_changed_behind_its_back_is_made_right_within_a_period() -> None:
    story = Square(until_s=40)
    (first,) = story.leaders()
    now = story.node("b")
    assert now.control is not None
    epoch, edit = now.control.key
    gone = now.with_lists(links={i: link for i, link in now.links.items() if link.qkdl_type != tree.VIRT})
    story.apply("b", replace(gone, control=Turn(str(epoch), str(edit + 1))))
    assert story.way() == ["a", "d"]
    story.pass_s(7)
    assert story.way() == ["a", "b", "d"]
    assert story.said("control.reconciled")[-1] == {"node": "b"}
    assert story.leaders() == [first]
    assert story.refused() == []


@pytest.mark.realises("C5", "C6")
def test_sessions_keep_their_routes_and_guards_over_a_change_of_leaders() -> None:
    story = Square(until_s=40)
    asked = ReserveFlows("split", "a", "d", 3_000.0, paths=2)
    flows = story.world.ask(api.CONTROLLER, asked).flows
    assert sorted(flow.nodes for flow in flows) == [("a", "b", "d"), ("a", "c", "d")]
    story.pass_s(1)
    guards = {(fields["link"], fields["bits"]) for fields in story.said("pool.guarded")}
    assert guards == {(link, 30_000) for link in ("ab", "bd", "ac", "cd")}
    (first,) = story.leaders()
    story.kill(api.controller_instance(first))
    story.pass_s(15)
    for number, flow in enumerate(flows):
        story.world.ask(api.relay("a"), MoveKey(f"s{number}", 0, 256, "a", "d", "kme-d", flow.name))
    story.strike("cut", "ab")
    story.pass_s(20)
    assert story.said("session.moved")[-1]["flows"] == [["a", "c", "d"]]
    story.world.ask(api.CONTROLLER, ReleaseFlows("split"))
    story.pass_s(6)
    assert story.way(name="split/0") == []
    assert story.way(name="split/1") == []


@pytest.mark.realises("C4", "C5")
def test_an_agent_that_dies_is_missed_and_set_up_anew_when_it_is_back() -> None:
    story = Square(until_s=40)
    agent = next(e for e in story.twin.kernel.elements if e.name == api.agent("b"))
    assert isinstance(agent, SdnAgent)
    story.kill(api.agent("b"))
    story.pass_s(10)
    assert story.said("control.node_away")[-1] == {"node": "b"}
    made = [fields for fields in story.said("block.made") if fields["link"] == "ab"]
    story.twin.kernel.revive(SdnAgent(agent.hardware, with_links=False))
    story.pass_s(15)
    assert story.way() == ["a", "b", "d"]
    assert len(story.node("b").links) == 4
    assert story.node("b").control is not None
    story.pass_s(10)
    assert len([fields for fields in story.said("block.made") if fields["link"] == "ab"]) > len(made)
    assert story.refused() == []
