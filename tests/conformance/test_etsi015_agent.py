"""SDN agents behind RESTCONF: every answer is valid by the model of ETSI GS QKD 015, every edit acts or is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from quoit.fabric import api
from quoit.fabric.api import LinkAuth, MoveKey
from quoit.fabric.sdqkd.tree import FLOW_URN, TYPES
from quoit.interfaces.restconf.exchange import Request
from quoit.interfaces.restconf.teraflow import TeraFlow
from quoit.model.problem import Problem
from quoit.scenario.fate import FATE, Strike
from quoit.service.api import OpenKeys
from sdqkd_lab import HERE, LINE, S, SdqkdLab, with_lab

KEY_ID = "0b9e6d7a-6f0c-4f43-9d0e-6a2b3b9a%04x"


def link_path(lab: SdqkdLab, link: str) -> str:
    return f"/qkd_links/qkd_link={lab.id_of('link', link)}"


def blocks(lab: SdqkdLab, link: str) -> int:
    return sum(1 for fields in lab.said("block.made") if fields["link"] == link)


def strike(lab: SdqkdLab, *words: Any) -> None:
    lab.world.ask(FATE, Strike(*words))


def names(lab: SdqkdLab, node: str) -> list[str]:
    return [name for name, _ in lab.notifications(node)]


def open_keys(lab: SdqkdLab, number: int) -> None:
    lab.world.ask("kme-a", OpenKeys("app-a", "app-c", 1, (KEY_ID % number,)))


@pytest.mark.realises("A3")
def test_a_node_tells_its_modules_links_and_how_they_do() -> None:
    async def work(lab: SdqkdLab) -> None:
        node = await lab.get("b")
        assert node["qkdn_status"] == TYPES + "OPERATING"
        assert [(i["qkdi_id"], i["qkdi_att_point"]["device"]) for i in node["qkd_interfaces"]["qkd_interface"]] == [
            (1, "ab"),
            (2, "bc"),
        ]
        ab = await lab.get("b", link_path(lab, "ab"))
        (link,) = ab
        assert link["qkdl_status"] == TYPES + "ACTIVE"
        assert (link["phys_channel_att"], link["phys_wavelength"]) == ("2.5", "34")
        assert link["qkdl_remote"] == {"qkdn_id": lab.id_of("node", "a"), "qkdi_id": 1}
        performance = link["qkdl_performance"]
        assert 15_000 < performance["skr"] <= 20_000
        assert 0.0 < float(performance["phys_perf"][0]["value"]) < 0.08
        config = await lab.get("b", query="content=config")
        assert "qkdn_status" not in config

    with_lab(work)


@pytest.mark.realises("A3")
@pytest.mark.parametrize("node", ["a", "b"])  # the end that sends, and the one that receives
def test_a_link_that_is_disabled_makes_no_key_until_it_is_enabled(node: str) -> None:
    async def work(lab: SdqkdLab) -> None:
        path, off = link_path(lab, "ab"), {"etsi-qkd-sdn-node:qkd_link": [{"qkdl_id": lab.id_of("link", "ab")}]}
        off["etsi-qkd-sdn-node:qkd_link"][0]["qkdl_enable"] = False  # type: ignore[assignment]
        assert (await lab.ask(node, "PATCH", path, off)).status == 204
        lab.pass_s(3)
        before = blocks(lab, "ab")
        other = blocks(lab, "bc")
        lab.pass_s(30)
        assert blocks(lab, "ab") == before
        assert blocks(lab, "bc") > other
        (link,) = await lab.get(node, path)
        assert link["qkdl_status"] == TYPES + "PASSIVE"  # keys are left
        assert link["qkdl_performance"]["skr"] == 0
        (port,) = [
            i for i in (await lab.get(node))["qkd_interfaces"]["qkd_interface"] if i["qkdi_att_point"]["device"] == "ab"
        ]
        assert port["qkdi_status"] == TYPES + "DISABLED"
        enable = {"etsi-qkd-sdn-node:qkdl_enable": True}
        assert (await lab.ask(node, "PUT", path + "/qkdl_enable", enable)).status == 204
        lab.pass_s(30)
        assert blocks(lab, "ab") > before + 5
        (link,) = await lab.get(node, path)
        assert link["qkdl_status"] == TYPES + "ACTIVE"
        said = [content["link"]["message"] for name, content in lab.notifications(node) if name == "event"]
        assert said == ["disabled by configuration", "enabled by configuration", "the link is ACTIVE"]

    with_lab(work)


def test_a_receiver_that_is_switched_off_stays_so_when_light_comes_back() -> None:
    async def work(lab: SdqkdLab) -> None:
        await lab.core("b")
        strike(lab, "cut", "ab")
        lab.pass_s(5)
        off = {"etsi-qkd-sdn-node:qkdl_enable": False}
        assert (await lab.ask("b", "PUT", link_path(lab, "ab") + "/qkdl_enable", off)).status == 204
        strike(lab, "splice", "ab")
        lab.pass_s(3)
        before = blocks(lab, "ab")
        lab.pass_s(20)
        assert blocks(lab, "ab") == before

    with_lab(work)


def virtual(lab: SdqkdLab, here: str, before: str | None, after: str | None, **more: Any) -> dict[str, Any]:
    """Of the virtual link from a to c, as written at one node."""
    ends = {"a": ("a", "c"), "b": ("a", "c"), "c": ("c", "a")}[here]
    link: dict[str, Any] = {
        "qkdl_id": lab.id_of("virtual", "a c"),
        "qkdl_type": TYPES + "VIRT",
        "qkdl_local": {"qkdn_id": lab.id_of("node", ends[0])},
        "qkdl_remote": {"qkdn_id": lab.id_of("node", ends[1])},
        "virt_bandwidth": 2000,
        **more,
    }
    if before is not None:
        link["virt_prev_hop"] = lab.id_of("node", before)
    if after is not None:
        link["virt_next_hop"] = [lab.id_of("node", after)]
    return link


HOPS = [("c", "b", None), ("b", "a", "c"), ("a", None, "b")]


@pytest.mark.realises("A3", "C5")
def test_a_virtual_link_over_three_nodes_carries_keys_until_it_is_deleted() -> None:
    async def work(lab: SdqkdLab) -> None:
        flow = lab.id_of("virtual", "a c")
        move = MoveKey("s", 0, 256, "a", "c", "kme-c", flow)
        with pytest.raises(Problem, match="no entry"):
            lab.world.ask(api.relay("a"), move)
        for here, before, after in HOPS:
            body = {"etsi-qkd-sdn-node:qkd_link": [virtual(lab, here, before, after)]}
            made = await lab.ask(here, "POST", "/qkd_links", body)
            assert made.status == 201, made.body
        entries = [(e["src"], e["dst"], e["link"]) for e in lab.said("agent.forwarding")]
        assert entries == [("a", "c", "bc"), ("a", "c", "ab")]
        (link,) = await lab.get("b", f"/qkd_links/qkd_link={flow}")
        assert link["qkdl_status"] == TYPES + "ACTIVE"
        (carrier,) = await lab.get("b", link_path(lab, "bc"))
        assert carrier["qkdl_performance"]["expected_consumption"] == 2000
        performance = carrier["qkdl_performance"]
        assert performance["eskr"] == performance["skr"] - 2000
        used = await lab.ask("b", "DELETE", link_path(lab, "bc"))
        assert (used.status, b"no enabled physical link" in used.body) == (409, True)
        for here, _, _ in reversed(HOPS):
            assert (await lab.ask(here, "DELETE", f"/qkd_links/qkd_link={flow}")).status == 204
        with pytest.raises(Problem, match="no entry"):
            lab.world.ask(api.relay("a"), move)

    with_lab(work)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "two next hops": ({"virt_next_hop": ["a", "c"]}, "one next hop"),
    "a stranger as next hop": ({"virt_next_hop": ["x"]}, "no enabled physical link"),
    "no neighbour": ({"virt_next_hop": ["b"]}, "no enabled physical link of b leads to b"),
    "an unknown end": ({"qkdl_remote": "x"}, "expected qkdl_remote/qkdn_id to be a node"),
    "ends where it goes on": ({"qkdl_remote": "b"}, "goes on or comes back"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_virtual_link_that_cannot_be_is_refused_and_nothing_is_written(case: str) -> None:
    async def work(lab: SdqkdLab) -> None:
        change, why = WRONG[case]
        link = virtual(lab, "b", "a", "c")
        if "virt_next_hop" in change:
            link["virt_next_hop"] = [lab.id_of("node", hop) for hop in change["virt_next_hop"]]
        else:
            link["qkdl_remote"] = {"qkdn_id": lab.id_of("node", change["qkdl_remote"])}
        refused = await lab.ask("b", "POST", "/qkd_links", {"etsi-qkd-sdn-node:qkd_link": [link]})
        assert refused.status == 409
        (error,) = refused.json()["ietf-restconf:errors"]["error"]
        assert (error["error-app-tag"], why in error["error-message"]) == ("config-refused", True), error
        assert lab.said("agent.forwarding") == []
        assert len((await lab.get("b", "/qkd_links"))["qkd_link"]) == 2

    with_lab(work)


def test_default_routes_are_the_fabrics_own_controllers_unless_the_file_says_otherwise() -> None:
    async def work(lab: SdqkdLab) -> None:
        app = {"app_id": lab.id_of("app", "x"), "app_type": TYPES + "INTERNAL", "server_app_id": FLOW_URN}
        link = virtual(lab, "a", None, "b", qkdl_applications=[app["app_id"]])
        patch = {
            "etsi-qkd-sdn-node:qkd_node": {"qkd_applications": {"qkd_app": [app]}, "qkd_links": {"qkd_link": [link]}}
        }
        refused = await lab.ask("a", "PATCH", "", patch)
        assert (refused.status, b"control: sdqkd" in refused.body) == (409, True)

    with_lab(work)


PHYSICAL: dict[str, tuple[str, Any, str]] = {
    "another far end": ("qkdl_remote", {"qkdn_id": "c", "qkdi_id": 1}, "goes to interface 1 of node"),
    "another role": ("phys_qkd_role", TYPES + "RECEIVER", "is etsi-qkd-node-types:TRANSMITTER"),
    "another channel": ("phys_wavelength", "12", "fixed to channel 34"),
    "no such module": ("qkdl_local", {"qkdi_id": 7}, "no interface 7"),
    "no module": ("qkdl_local", {}, "expected qkdl_local/qkdi_id"),
    "no type": ("qkdl_type", None, "expected qkdl_type PHYS or VIRT"),
}


@pytest.mark.parametrize("case", PHYSICAL)
def test_a_physical_link_must_be_what_the_light_does(case: str) -> None:
    async def work(lab: SdqkdLab) -> None:
        leaf, value, why = PHYSICAL[case]
        (link,) = await lab.get("a", link_path(lab, "ab"), query="content=config")
        if value is None:
            kept = ("qkdl_id", "qkdl_enable", "qkdl_local", "qkdl_remote")
            link = {name: of for name, of in link.items() if name in kept}
        elif leaf == "qkdl_remote":
            link[leaf] = {**value, "qkdn_id": lab.id_of("node", value["qkdn_id"])}
        else:
            link[leaf] = value
        refused = await lab.ask("a", "PUT", link_path(lab, "ab"), {"etsi-qkd-sdn-node:qkd_link": [link]})
        assert (refused.status, why in refused.body.decode()) == (409, True), refused.body

    with_lab(work)


def test_a_link_deleted_and_made_anew_under_another_identifier_runs_again() -> None:
    async def work(lab: SdqkdLab) -> None:
        (link,) = await lab.get("a", link_path(lab, "ab"), query="content=config")
        assert (await lab.ask("a", "DELETE", link_path(lab, "ab"))).status == 204
        lab.pass_s(3)
        before = blocks(lab, "ab")
        lab.pass_s(5)
        assert blocks(lab, "ab") == before
        link["qkdl_id"] = lab.id_of("link", "another")
        two = [dict(link, qkdl_id=lab.id_of("link", f"{n}")) for n in "xy"]
        patch = {"etsi-qkd-sdn-node:qkd_links": {"qkd_link": two}}
        refused = await lab.ask("a", "PATCH", "/qkd_links", patch)
        assert (refused.status, b"has two links" in refused.body) == (409, True)
        assert (await lab.ask("a", "POST", "/qkd_links", {"etsi-qkd-sdn-node:qkd_link": [link]})).status == 201
        lab.pass_s(10)
        assert blocks(lab, "ab") > before

    with_lab(work)


def test_who_may_read_may_not_write_and_the_node_itself_stays() -> None:
    async def work(lab: SdqkdLab) -> None:
        body = {"etsi-qkd-sdn-node:qkdn_version": "2"}
        for caller in ("observer", "operator"):
            assert (await lab.ask("a", "PUT", "/qkdn_version", body, caller=caller)).status == 403
            assert (await lab.ask("a", "GET", caller=caller)).status == 200
        assert (await lab.ask("a", "PUT", "/qkdn_version", body)).status == 201
        assert (await lab.ask("a", "DELETE")).status == 409
        moved = {"etsi-qkd-sdn-node:qkdn_id": lab.id_of("node", "b")}
        assert (await lab.ask("a", "PUT", "/qkdn_id", moved)).status == 409

    with_lab(work)


# -- notifications -------------------------------------------------------------------------------------------


@pytest.mark.realises("A3", "G1")
def test_notifications_of_links_and_modules() -> None:
    async def work(lab: SdqkdLab) -> None:
        await lab.core("b")
        strike(lab, "cut", "bc")
        lab.pass_s(5)
        await lab.settle()
        told = dict(lab.notifications("b"))
        assert told["sdqkdn_link_down"]["qkd_link"]["qkdl_id"] == lab.id_of("link", "bc")
        assert "no light" in told["sdqkdn_link_down"]["qkd_link"]["reason"]
        assert told["alarm"]["link"]["severity"] == TYPES + "MAJOR"
        assert names(lab, "b").count("sdqkdn_link_down") == 1
        strike(lab, "splice", "bc")
        lab.pass_s(20)
        await lab.settle()
        said = [content["link"]["message"] for name, content in lab.notifications("b") if name == "event"]
        assert said == ["light again", "the link is ACTIVE"]
        lab.world.kernel.ask_from_outside(
            lab.world.kernel.now, api.agent("b"), LinkAuth("ab", 0, True, lab.world.kernel.now), lambda reply: None
        )
        lab.pass_s(1)
        await lab.settle()
        assert dict(lab.notifications("b"))["sdqkdn_interface_down"]["qkd_interface"]["qkdi_id"] == 1
        statuses = {i["qkdi_id"]: i["qkdi_status"] for i in (await lab.get("b"))["qkd_interfaces"]["qkd_interface"]}
        assert statuses == {1: TYPES + "FAILED", 2: TYPES + "ENABLED"}
        assert "sdqkdn_link_perf_update" in names(lab, "b")

    with_lab(work)


def test_a_module_is_taken_out_and_put_in_again() -> None:
    async def work(lab: SdqkdLab) -> None:
        used = await lab.ask("a", "DELETE", "/qkd_interfaces/qkd_interface=1")
        assert (used.status, b"the node has no interface 1" in used.body) == (409, True)
        assert (await lab.ask("a", "DELETE", link_path(lab, "ab"))).status == 204
        assert (await lab.ask("a", "DELETE", "/qkd_interfaces/qkd_interface=1")).status == 204
        strange = {"etsi-qkd-sdn-node:qkd_interface": [{"qkdi_id": 9}]}
        assert (await lab.ask("a", "POST", "/qkd_interfaces", strange)).status == 409
        other = {"etsi-qkd-sdn-node:qkd_interface": [{"qkdi_id": 1, "qkdi_model": "somebody/else"}]}
        assert (await lab.ask("a", "POST", "/qkd_interfaces", other)).status == 409
        back = {"etsi-qkd-sdn-node:qkd_interface": [{"qkdi_id": 1}]}
        assert (await lab.ask("a", "POST", "/qkd_interfaces", back)).status == 201
        assert [n for n in names(lab, "a") if "interface" in n] == ["sdqkdn_interface_out", "sdqkdn_interface_new"]

    with_lab(work)


@pytest.mark.realises("A3", "C6")
def test_an_application_is_told_of_registered_counted_and_gone() -> None:
    async def work(lab: SdqkdLab) -> None:
        await lab.core("a")
        for number in range(3):
            open_keys(lab, number)
        await lab.settle()
        (new,) = [content for name, content in lab.notifications("a") if name == "sdqkdn_application_new"]
        told = new["qkd_application"]
        assert (told["server_app_id"], told["client_app_id"]) == ("urn:qkd:line:app-a", ["urn:qkd:line:app-c"])
        assert told["app_qos"]["min_bandwidth"] == 1000
        app = {
            "app_id": lab.id_of("app", "a c"),
            "app_type": told["app_type"],
            "server_app_id": told["server_app_id"],
            "client_app_id": told["client_app_id"],
            "app_qos": {"min_bandwidth": 30_000, "ttl": 120},
            "local_qkdn_id": told["local_qkdn_id"],
            "backing_qkdl_id": [lab.id_of("link", "ab")],
        }
        path = f"/qkd_applications/qkd_app={app['app_id']}"
        assert (await lab.ask("a", "PUT", path, {"etsi-qkd-sdn-node:qkd_app": [app]})).status == 201
        (seen,) = await lab.get("a", path)
        assert seen["app_status"] == TYPES + "ZOMBIE"  # its other end is not known yet
        (usage,) = seen["app_statistics"]["statistics"]
        assert usage["consumed_bits"] == 3 * 256
        assert usage["start_time"] < usage["end_time"]
        remote = {"etsi-qkd-sdn-node:remote_qkdn_id": lab.id_of("node", "c")}
        assert (await lab.ask("a", "PUT", path + "/remote_qkdn_id", remote)).status == 201
        (seen,) = await lab.get("a", path)
        assert seen["app_status"] == TYPES + "ON"
        lab.pass_s(5)
        await lab.settle()
        overloaded = dict(lab.notifications("a"))["sdqkdn_link_overloaded"]["qkd_link"]
        assert overloaded["performance"]["expected_consumption"] == 30_000
        lab.pass_s(240)
        await lab.settle()
        gone = dict(lab.notifications("a"))["sdqkdn_application_disconnected"]["qkd_application"]
        assert gone == {"app_id": app["app_id"]}
        (seen,) = await lab.get("a", path)
        assert seen["app_status"] == TYPES + "DISCONNECTED"
        open_keys(lab, 9)
        (seen,) = await lab.get("a", path)
        assert seen["app_status"] == TYPES + "ON"
        past = {"etsi-qkd-sdn-node:expiration_time": "2026-01-01T00:00:30Z"}
        assert (await lab.ask("a", "PUT", path + "/expiration_time", past)).status == 201
        (seen,) = await lab.get("a", path)
        assert seen["app_status"] == TYPES + "OUT-OF-TIME"

    with_lab(work, LINE.replace("kme: kme-a}", "kme: kme-a, rate: 1 kbit/s}"))


def test_what_is_configured_by_messages_in_the_twin_is_what_the_server_shows() -> None:
    async def work(lab: SdqkdLab) -> None:
        from msgspec.structs import replace

        await lab.core("a")
        lab.apply("a", replace(lab.node("a"), qkdn_version="7"))
        await lab.settle()
        assert await lab.get("a", "/qkdn_version") == "7"
        assert (await lab.ask("a", "PUT", "/qkdn_version", {"etsi-qkd-sdn-node:qkdn_version": "8"})).status == 204
        assert lab.node("a").qkdn_version == "8"

    with_lab(work)


# -- TeraFlowSDN ---------------------------------------------------------------------------------------------


def test_teraflows_driver_reads_and_makes_a_virtual_link_in_its_own_shape() -> None:
    async def work(lab: SdqkdLab) -> None:
        async def ask(node: str, method: str, path: str, body: Any = None) -> Any:
            headers = {"accept": "*/*", **({"content-type": "application/json"} if body is not None else {})}
            content = b"" if body is None else json.dumps(body).encode()
            served = TeraFlow(await lab.core(node))
            return await served.handle(Request(method, HERE + path, "", headers, content, "controller"))

        found = (await ask("a", "GET", "/qkd_interfaces/")).json()
        point = found["qkd_interfaces"]["qkd_interface"][0]["qkdi_att_point"]
        assert point == {"device": "ab", "port": 1, "uuid": "ab:1"}
        for here, before, after in HOPS:
            link = virtual(lab, here, before, after)
            link = {"virt_prev_hop": None, "virt_next_hop": [], **link}
            link["qkdl_local"]["qkdi_id"] = None
            made = await ask(here, "POST", "/qkd_links/", {"qkd_links": {"qkd_link": [link]}})
            assert made.status == 201, made.body
        assert len(lab.said("agent.forwarding")) == 2
        assert len((await ask("b", "GET", "/qkd_links/")).json()["qkd_links"]["qkd_link"]) == 3

    with_lab(work)


def test_statistics_begin_a_new_period_before_32_bits_are_full() -> None:
    from quoit.fabric.sdqkd.figures import AppFigures

    figures = AppFigures("a", ("b",), 0.0, 0, 0)
    figures.use(2**32 - 1, 1 * S)
    figures.use(1, 2 * S)
    assert figures.periods == [(0, 2 * S, 2**32 - 1)]
    assert figures.bits == 1
