"""A controller in another event loop than the twin's process, over RESTCONF: it makes all links, and routes where
applications ask for keys or where it is told to; it is replaced, and is not missed."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from quoit.fabric.sdqkd import tree
from quoit.interfaces.restconf.client import RestconfClient, key
from quoit.model.problem import Problem
from quoit.runtime.trace import Event
from quoit.scenario.agent_doors import ROOT
from quoit.scenario.outside_controller import OutsideController

pytestmark = [pytest.mark.live, pytest.mark.trial]
LINE = """
quoit: 1
name: line
nodes: {a: {}, b: {}, c: {}}
spans:
  - {name: ab, between: [a, b], length: 10 km}
  - {name: bc, between: [b, c], length: 10 km}
links:
  - {name: ab, between: [a, b], protocol: rated, rate: 20 kbit/s}
  - {name: bc, between: [b, c], protocol: rated, rate: 20 kbit/s}
applications:
  - {sae: app-a, kme: kme-a}
  - {sae: app-c, kme: kme-c}
policies: {control: external}
"""
PAIRS = (("a", "c"), ("c", "a"))


def tls(doors: dict[str, Any], role: str) -> ssl.SSLContext:
    leaf = doors["agents"]["roles"][role]
    context = ssl.create_default_context(cafile=doors["ca"])
    context.load_cert_chain(leaf["cert"], leaf["key"])
    return context


def one_key(doors: dict[str, Any]) -> int:
    door = doors["applications"]["app-a"]
    with requests.Session() as session:
        session.trust_env = False
        session.cert, session.verify = (door["cert"], door["key"]), doors["ca"]
        return session.get(f"{door['url']}/api/v1/keys/app-c/enc_keys", timeout=15).status_code


async def until(is_so: Callable[[], bool], within_s: float = 40.0) -> None:
    end = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < end
        await asyncio.sleep(0.1)


@pytest.mark.realises("A3", "C4", "C5")
def test_a_controller_outside_makes_the_network_is_replaced_and_not_missed(tmp_path: Path, live_twin: Any) -> None:
    network = tmp_path / "line.yaml"
    network.write_text(LINE)

    async def work(doors: dict[str, Any]) -> None:
        agents = doors["agents"]["nodes"]
        assert await asyncio.to_thread(one_key, doors) == 503  # nobody controls anything yet
        told: list[Event] = []
        first = OutsideController("line", agents, tls(doors, "controller"), (), told.append)
        await first.start()
        await until(lambda: any(e.event == "control.ready" for e in told))
        assert [e.fields["epoch"] for e in told if e.event == "control.ready"] == [1]
        while await asyncio.to_thread(one_key, doors) != 200:
            await asyncio.sleep(0.5)
        async with RestconfClient(agents["b"], tls(doors, "controller")) as client:
            links = (await client.get(f"{ROOT}/qkd_links")).body["etsi-qkd-sdn-node:qkd_links"]["qkd_link"]
            kinds = sorted(link["qkdl_type"].removeprefix(tree.TYPES) for link in links)
            assert kinds == ["PHYS", "PHYS", "VIRT"]  # from where an application asked, and not back
            (app,) = [e.fields for e in told if e.event == "application.registered"]
            assert app["nodes"] == ["a", "c"]
            virtual = next(link["qkdl_id"] for link in links if link["qkdl_type"] == tree.VIRT)
            with pytest.raises(Problem) as stale:  # an edit without a turn, on a node that has been taken
                await client.delete(f"{ROOT}/qkd_links/qkd_link={key(virtual)}")
            assert stale.value.fields["app_tag"] == "stale-epoch"

        second = OutsideController("line", agents, tls(doors, "controller"), PAIRS)
        await second.start()
        await asyncio.wait_for(first.fenced(), 40)
        await until(lambda: second.connected == set(PAIRS))
        await first.stop()
        await second.stop()
        statuses = [await asyncio.to_thread(one_key, doors) for _ in range(20)]
        assert statuses == [200] * 20  # without any controller

        observer = OutsideController("line", agents, tls(doors, "observer"))
        await observer.start()
        await asyncio.sleep(1)
        await observer.stop()
        async with RestconfClient(agents["b"], tls(doors, "observer")) as client:
            control = (await client.get(f"{ROOT}/{tree.CONTROL}")).body[tree.CONTROL]
            assert control["epoch"] == "2"  # who may only read has taken nothing

    with live_twin(network, tmp_path / "run", "--agents", "0") as doors:
        asyncio.run(work(doors))
