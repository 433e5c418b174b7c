"""Applications by ETSI GS QKD 015: told of by agents, registered by the controller at both nodes, counted, and gone."""

from __future__ import annotations

import json

import pytest
from test_sdqkd_control import SQUARE, Square

from quoit.fabric import api
from quoit.fabric.api import KeysAsked
from quoit.fabric.sdqkd import tree
from quoit.fabric.sdqkd.applications import REMOTE, Applications, Told, changed_of, registered, told_of, wanted_pairs
from quoit.fabric.sdqkd.tree import App, Link, Node, Qos

LOADED = SQUARE.replace("at: 20 s, load", "at: 20 s, until: 40 s, load")
A, D = "urn:qkd:square:app-a", "urn:qkd:square:app-d"


def apps(story: Square, node: str) -> list[App]:
    return [app for app in story.node(node).apps.values() if app.app_type == tree.CLIENT]


@pytest.mark.realises("A3", "C6")
def test_an_application_is_registered_at_both_its_nodes_and_forgotten_when_it_has_left() -> None:
    story = Square(LOADED, until_s=19)
    assert apps(story, "a") == []
    story.pass_s(6)
    (here,), (there,) = apps(story, "a"), apps(story, "d")
    assert (here.server_app_id, here.client_app_id) == (there.server_app_id, there.client_app_id) == (A, (D,))
    assert here.app_id == there.app_id
    assert (here.local_qkdn_id, here.remote_qkdn_id) == (there.remote_qkdn_id, there.local_qkdn_id)
    assert story.node("a").links[here.backing_qkdl_id[0]].qkdl_type == tree.VIRT
    assert apps(story, "b") == []
    seen = story.state("a").apps[here.app_id]
    assert seen.app_status == tree.ON
    assert seen.app_statistics is not None
    told = len([f for f in story.said("agent.notified") if f["name"] == "sdqkdn_application_new"])
    assert told == 1
    story.pass_s(700)
    assert len([f for f in story.said("agent.notified") if f["name"] == "sdqkdn_application_new"]) == told
    assert apps(story, "a") == apps(story, "d") == []
    assert [f["app"] for f in story.said("application.forgotten")] == [here.app_id]
    assert story.way() == ["a", "b", "d"]  # the route stays
    assert story.refused() == []


@pytest.mark.realises("C6")
def test_what_an_application_asks_for_is_changed_at_both_nodes() -> None:
    story = Square(LOADED, until_s=45)
    (before,) = apps(story, "a")
    asked = KeysAsked("a", A, (D,), "d", 256, 7_000.0, 3)
    story.world.kernel.ask_from_outside(story.world.kernel.now, api.agent("a"), asked, lambda reply: None)
    story.pass_s(0.5)
    for node in ("a", "d"):
        (after,) = apps(story, node)
        assert after.app_id == before.app_id
        assert (after.app_qos, after.app_priority) == (Qos(min_bandwidth=7_000), 3)


@pytest.mark.realises("C4", "C6")
def test_a_new_leader_finds_applications_registered_and_does_not_write_them_again() -> None:
    story = Square(SQUARE, until_s=40)
    (first,) = story.leaders()
    registered_before = story.said("application.registered")
    assert len(registered_before) == 1
    story.kill(api.controller_instance(first))
    story.pass_s(30)
    assert story.instance(1 - first).leads
    assert story.said("application.registered") == registered_before
    assert len(apps(story, "a")) == len(apps(story, "d")) == 1


# -- as values -----------------------------------------------------------------------------------------------


def told(server: str, client: str, at: str, remote: str | None = None) -> Told:
    return Told(server, (client,), at, remote=remote)


def test_where_a_client_is_is_known_when_its_agent_says_so_or_when_it_has_asked_itself() -> None:
    known = Applications()
    known.hear(told("x", "y", "node-1"))
    assert known.found() == []
    known.hear(told("p", "q", "node-1", "node-3"))
    assert [(one.server_app_id, there) for one, there in known.found()] == [("p", "node-3")]
    known.hear(told("y", "x", "node-2"))
    assert sorted((one.server_app_id, there) for one, there in known.found()) == [("x", "node-2"), ("y", "node-1")]
    assert known.found() == []


def test_an_application_whose_client_is_next_door_waits_for_nothing() -> None:
    known = Applications()
    known.hear(told("x", "y", "node-1", "node-1"))
    assert known.found() == []


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"qkd_application": {}}', '{"qkd_application": {"server_app_id": "x"}}', "\ud800"],
)
def test_a_notification_that_lacks_what_it_must_have_is_left_alone(content: str) -> None:
    assert told_of(content) is None
    assert changed_of(content) is None


def test_what_was_told_is_read_with_and_without_the_augmentation() -> None:
    standard = {"server_app_id": "x", "client_app_id": ["y", "z"], "local_qkdn_id": "n", "app_type": tree.CLIENT}
    found = told_of(json.dumps({"qkd_application": {**standard, "app_qos": {"min_bandwidth": 5}, "strange": 1}}))
    assert found == Told("x", ("y", "z"), "n", app_qos=Qos(min_bandwidth=5))
    assert told_of(json.dumps({"qkd_application": {**standard, REMOTE: "m"}})) == Told("x", ("y", "z"), "n", remote="m")
    assert told_of(json.dumps({"qkd_application": {**standard, "client_app_id": []}})) is None


def test_a_registered_application_wants_a_route_from_the_end_where_it_asks() -> None:
    def node(name: str, link: Link | None, app: App) -> Node:
        empty = Node(name)
        return empty.with_lists(links={} if link is None else {link.qkdl_id: link}, apps={app.app_id: app})

    one = told("x", "y", "1")
    here, there = registered("n", one, "1", "2", ("v",)), registered("n", one, "2", "1", ("v",))
    starts, ends = (
        Link("v", qkdl_type=tree.VIRT, virt_next_hop=("2",)),
        Link("v", qkdl_type=tree.VIRT, virt_prev_hop="1"),
    )
    assert wanted_pairs({"a": node("1", starts, here), "b": node("2", ends, there)}) == [("a", "b")]
    assert wanted_pairs({"a": node("1", None, here)}) == []  # the other node is not one of these
