"""TeraFlowSDN as the only controller of a network: requests that its QKD service handler and driver were seen to send.

Two direct links and a virtual one over a trusted node, in its dialect; then keys flow. Seen with the handler and
`QKDDriver2` of its development branch of March 2026, run by hand against a live twin.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from quoit.interfaces.restconf.exchange import Request, Response
from quoit.interfaces.restconf.teraflow import TeraFlow
from quoit.model.problem import Problem
from quoit.service.api import OpenKeys
from sdqkd_lab import HERE, LINE, SdqkdLab, with_lab

EXTERNAL = LINE.replace("{agents: true}", "{control: external}")
READS = (
    "/qkd_interfaces/",  # __endpoints__
    "/qkd_interfaces/",  # __interfaces__
    "/qkd_links/",  # __network_instances__
    "/qkd_links/",  # __links__
    "/qkd_applications/",  # __apps__
    "/qkdn_capabilities/",  # __capabilities__
    "/",  # __node__
)
KINDS = "etsi-qkd-node-types:"
KEY_ID = "0b9e6d7a-6f0c-4f43-9d0e-6a2b3b9a0001"


def identifier(number: int) -> str:
    return str(UUID(int=number, version=4))


class Driver:
    """What TeraFlowSDN's driver does at one node."""

    def __init__(self, lab: SdqkdLab, node: str) -> None:
        self.lab = lab
        self.node = node
        self.id = ""
        self.ports: dict[str, int] = {}

    async def ask(self, method: str, path: str, body: Any = None) -> Response:
        headers = {"accept": "*/*", "accept-encoding": "gzip, deflate", "user-agent": "python-requests/2.27.1"}
        if body is not None:
            headers["content-type"] = "application/json"
        content = b"" if body is None else json.dumps(body).encode()
        served = TeraFlow(await self.lab.core(self.node))
        answer = await served.handle(Request(method, HERE + path, "", headers, content, "controller"))
        await self.lab.settle()
        return answer

    async def connect(self) -> None:
        """Read all that it reads of a new device, and take in what its service handler needs."""
        first = await self.ask("GET", "")
        assert first.json()["qkd_node"]["qkdn_id"]
        answers = [await self.ask("GET", path) for path in READS]
        assert [answer.status for answer in answers] == [200] * len(READS)
        interfaces = answers[1].json()["qkd_interfaces"]["qkd_interface"]
        self.ports = {one["qkdi_att_point"]["uuid"]: one["qkdi_id"] for one in interfaces}
        assert [link["qkdl_id"] for link in answers[2].json()["qkd_links"]["qkd_link"]] == []
        assert answers[4].json()["qkd_applications"]["qkd_app"] == []
        self.id = answers[6].json()["qkdn_id"]

    async def create(self, link: dict[str, Any]) -> Response:
        return await self.ask("POST", "/qkd_links/", {"qkd_links": {"qkd_link": [link]}})


def direct(number: int, here: Driver, mine: str, there: Driver, its: str) -> dict[str, Any]:
    return {
        "qkdl_id": identifier(number),
        "qkdl_type": KINDS + "PHYS",
        "qkdl_local": {"qkdn_id": here.id, "qkdi_id": here.ports[mine]},
        "qkdl_remote": {"qkdn_id": there.id, "qkdi_id": there.ports[its]},
    }


def virtual(number: int, way: list[Driver], at: int, ends: tuple[int, int]) -> dict[str, Any]:
    """As it is written at the node number `at` of the way: all nodes that follow are its next hops."""
    return {
        "qkdl_id": identifier(number),
        "qkdl_type": KINDS + "VIRT",
        "qkdl_local": {"qkdn_id": way[0].id, "qkdi_id": ends[0]},
        "qkdl_remote": {"qkdn_id": way[-1].id, "qkdi_id": ends[1]},
        "virt_prev_hop": way[at - 1].id if at else None,
        "virt_next_hop": [node.id for node in way[at + 1 :]],
        "virt_bandwidth": 0,
    }


async def drivers(lab: SdqkdLab) -> tuple[Driver, Driver, Driver]:
    a, b, c = (Driver(lab, name) for name in "abc")
    for driver in (a, b, c):
        await driver.connect()
    return a, b, c


async def make_links(a: Driver, b: Driver, c: Driver) -> None:
    """Each end gets an identifier of its own for the same light."""
    for here, link in (
        (a, direct(1, a, "ab:1", b, "ab:2")),
        (b, direct(2, b, "ab:2", a, "ab:1")),
        (b, direct(3, b, "bc:1", c, "bc:2")),
        (c, direct(4, c, "bc:2", b, "bc:1")),
    ):
        made = await here.create(link)
        assert made.status == 201, made.body


@pytest.mark.realises("A3", "C6")
def test_teraflow_alone_makes_the_links_and_the_route_that_keys_take() -> None:
    async def work(lab: SdqkdLab) -> None:
        a, b, c = await drivers(lab)
        await make_links(a, b, c)
        for way, number in (([a, b, c], 5), ([c, b, a], 6)):
            for at in (0, 1):  # at the last node it writes nothing
                made = await way[at].create(virtual(number, way, at, (1, 1)))
                assert made.status == 201, made.body
        lab.pass_s(30)
        opened = lab.world.ask("kme-a", OpenKeys("app-a", "app-c", 1, (KEY_ID,)))
        assert len(opened.keys) == 1
        assert lab.said("key.moved")[-1]["nodes"] == ["a", "b", "c"]
        assert len((await b.ask("GET", "/qkd_links/")).json()["qkd_links"]["qkd_link"]) == 4

    with_lab(work, EXTERNAL)


def test_two_routes_of_the_same_ends_are_refused_while_one_stands() -> None:
    async def work(lab: SdqkdLab) -> None:
        a, b, c = await drivers(lab)
        await make_links(a, b, c)
        assert (await a.create(virtual(5, [a, b, c], 0, (1, 1)))).status == 201
        second = await a.create(virtual(6, [a, b, c], 0, (1, 1)))
        assert second.status == 409
        assert "of the same route" in second.body.decode()

    with_lab(work, EXTERNAL)


def test_a_route_with_a_gap_is_not_used() -> None:
    async def work(lab: SdqkdLab) -> None:
        a, b, c = await drivers(lab)
        await make_links(a, b, c)
        assert (await a.create(virtual(5, [a, b, c], 0, (1, 1)))).status == 201
        lab.pass_s(10)
        with pytest.raises(Problem) as refused:
            lab.world.ask("kme-a", OpenKeys("app-a", "app-c", 1, (KEY_ID,)))
        assert refused.value.code == "no-route"
        assert (await b.create(virtual(5, [a, b, c], 1, (1, 1)))).status == 201
        lab.pass_s(30)
        assert len(lab.world.ask("kme-a", OpenKeys("app-a", "app-c", 1, (KEY_ID,))).keys) == 1

    with_lab(work, EXTERNAL)
