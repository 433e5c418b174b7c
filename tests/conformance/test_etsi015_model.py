"""The model of ETSI GS QKD 015 V2.1.1 in quoit's wording: the standard's nodes, its instances, its notifications."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from yangson import DataModel
from yangson.enumerations import ContentType
from yangson.exceptions import YangsonException
from yangson.schemanode import GroupNode, ListNode

from quoit.interfaces.restconf.access import writers
from quoit.interfaces.restconf.core import Restconf
from quoit.interfaces.restconf.errors import RestconfError
from quoit.interfaces.restconf.exchange import Request
from quoit.interfaces.restconf.library import ModuleSet
from quoit.interfaces.restconf.providers import Fixed
from quoit.interfaces.restconf.schema import Schema

NODES = Path(__file__).parent / "yang" / "etsi-015-nodes.txt"
IDS = [f"{n}{n}{n}{n}{n}{n}{n}{n}-1111-4111-8111-111111111111" for n in range(1, 6)]
TYPES = "etsi-qkd-node-types:"


@cache
def model() -> DataModel:
    return ModuleSet.of(["etsi-qkd-sdn-node"], base=()).load()


def described(parent: Any, path: str = "", conditional: bool = False) -> Iterator[str]:
    """One line for each node, as in the file."""
    for node in parent.children:
        if type(node) is GroupNode:
            yield from described(node, path, node.when is not None)
            continue
        here, kind = f"{path}/{node.name}", type(node).__name__.replace("Node", "").lower()
        words = [here, kind, "rw" if node.config else "ro"]
        if hasattr(node, "type"):
            words.append(node.type.name.split(":")[-1] if node.type.name else node.type.yang_type())
            if node.type.yang_type() == "decimal64":
                words[-1] += f"/{node.type.fraction_digits}"
        if getattr(node, "default", None) is not None:
            words.append(f"={node.type.canonical_string(node.default)!r}")
        if isinstance(node, ListNode):
            words.append("[" + ",".join(name for name, _ in node.keys) + "]")
        if node.mandatory and kind == "leaf":
            words.append("mandatory")
        if node.when or conditional:
            words.append("conditional")
        yield " ".join(words)
        if hasattr(node, "children"):
            yield from described(node, here)


def test_its_nodes_are_those_of_the_standard() -> None:
    official = [line for line in NODES.read_text().splitlines() if not line.startswith("#")]
    assert sorted(described(model().schema)) == official


def node(**link: Any) -> dict[str, Any]:
    links = {"qkd_links": {"qkd_link": [{"qkdl_id": IDS[1], **link}]}} if link else {}
    return {"etsi-qkd-sdn-node:qkd_node": {"qkdn_id": IDS[0], **links}}


WHOLE: dict[str, Any] = {
    "etsi-qkd-sdn-node:qkd_node": {
        "qkdn_id": IDS[0],
        "qkdn_status": TYPES + "OPERATING",
        "qkdn_capabilities": {"key_relay_mode_enable": True},
        "qkd_interfaces": {
            "qkd_interface": [
                {
                    "qkdi_id": 7,
                    "qkdi_type": TYPES + "DV-QKD-2Ws",
                    "qkdi_att_point": {"device": "switch", "port": 3},
                    "qkdi_capabilities": {
                        "role_support": TYPES + "TRANSCEIVER",
                        "wavelength_range": "1,12-20,40",
                        "max_absorption": "18.5",
                    },
                    "qkdi_status": TYPES + "ENABLED",
                }
            ]
        },
        "qkd_links": {
            "qkd_link": [
                {
                    "qkdl_id": IDS[1],
                    "qkdl_type": TYPES + "PHYS",
                    "qkdl_status": TYPES + "ACTIVE",
                    "phys_channel_att": "7.25",
                    "phys_wavelength": "20",
                    "phys_qkd_role": TYPES + "TRANSMITTER",
                    "qkdl_performance": {"skr": 900, "phys_perf": [{"perf_type": TYPES + "QBER", "value": "0.031"}]},
                },
                {
                    "qkdl_id": IDS[2],
                    "qkdl_type": TYPES + "VIRT",
                    "virt_prev_hop": IDS[3],
                    "virt_next_hop": [IDS[4]],
                    "virt_bandwidth": 256,
                },
            ]
        },
        "qkd_applications": {
            "qkd_app": [
                {
                    "app_id": IDS[4],
                    "app_status": TYPES + "ON",
                    "app_type": TYPES + "CLIENT",
                    "server_app_id": "urn:quoit:app:a",
                    "client_app_id": ["urn:quoit:app:b"],
                    "app_qos": {"min_bandwidth": 128, "ttl": 60},
                    "backing_qkdl_id": [IDS[2]],
                    "app_statistics": {"statistics": [{"end_time": "2026-01-31T12:00:00Z", "consumed_bits": 4096}]},
                }
            ]
        },
    }
}


def test_a_whole_node_with_both_kinds_of_links_is_valid() -> None:
    instance = model().from_raw(WHOLE)
    instance.validate(ctype=ContentType.all)
    assert instance.raw_value() == WHOLE


@pytest.mark.parametrize(
    "wrong",
    [
        node(qkdl_type=TYPES + "PHYS", virt_bandwidth=1),
        node(qkdl_type=TYPES + "VIRT", phys_wavelength="20"),
        node(phys_wavelength="20"),
        node(qkdl_type=TYPES + "VIRT", qkdl_performance={"phys_perf": [{"perf_type": TYPES + "QBER", "value": "0.1"}]}),
        node(qkdl_type="PHYS"),  # of another module than the leaf's: RFC 7951 wants the module's name before it
        node(qkdl_type=TYPES + "PHYS", phys_wavelength="0"),
        {"etsi-qkd-sdn-node:qkd_node": {}},
    ],
)
def test_what_does_not_go_together_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(YangsonException):
        model().from_raw(wrong).validate(ctype=ContentType.all)


def test_a_loss_of_more_than_three_fraction_digits_is_refused_and_not_rounded() -> None:
    schema = Schema(ModuleSet.of(["etsi-qkd-sdn-node"], base=()))
    schema.validated(node(qkdl_type=TYPES + "PHYS", phys_channel_att="1.234"))
    with pytest.raises(RestconfError):
        schema.validated(node(qkdl_type=TYPES + "PHYS", phys_channel_att="1.2345"))


LINK = {"qkdl_id": IDS[1], "qkdl_status": TYPES + "OFF", "message": "m", "severity": TYPES + "MAJOR"}
NOTIFICATIONS: dict[str, dict[str, Any]] = {
    "sdqkdn_application_new": {
        "qkd_application": {
            "app_type": TYPES + "CLIENT",
            "server_app_id": "urn:quoit:app:a",
            "client_app_id": ["urn:quoit:app:b"],
            "local_qkdn_id": IDS[0],
            "app_qos": {"max_bandwidth": 1000},
        }
    },
    "sdqkdn_application_qos_update": {
        "qkd_application": {"app_id": IDS[4], "app_qos": {"jitter": 3}, "app_priority": 2}
    },
    "sdqkdn_application_disconnected": {"qkd_application": {"app_id": IDS[4]}},
    "sdqkdn_interface_new": {"qkd_interface": {"qkdi_id": 7, "qkdi_model": "v/d", "qkdi_type": TYPES + "CV-QKD"}},
    "sdqkdn_interface_down": {"qkd_interface": {"qkdi_id": 7, "reason": "laser"}},
    "sdqkdn_interface_out": {"qkd_interface": {"qkdi_id": 7}},
    "sdqkdn_link_down": {"qkd_link": {"qkdl_id": IDS[1], "reason": "no light"}},
    "sdqkdn_link_perf_update": {
        "qkd_link": {
            "qkdl_id": IDS[1],
            "performance": {"skr": 10, "phys_perf": [{"perf_type": TYPES + "QBER", "value": "0.09"}]},
        }
    },
    "sdqkdn_link_overloaded": {"qkd_link": {"qkdl_id": IDS[1], "performance": {"expected_consumption": 9, "eskr": 4}}},
    "alarm": {"link": LINK, "application": {"app_id": IDS[4], "app_status": TYPES + "ZOMBIE"}},
    "event": {"interface": {"qkdi_id": 7, "qkdi_status": TYPES + "FAILED", "severity": TYPES + "MINOR"}},
}


def test_all_eleven_notifications_and_a_node_go_through_the_server() -> None:
    async def work() -> None:
        state = Fixed({"etsi-qkd-sdn-node:qkd_node": {"qkdn_status": TYPES + "OPERATING"}})
        core = Restconf(
            Schema(ModuleSet.of(["etsi-qkd-sdn-node"])),
            [state],
            now=lambda: datetime(2026, 1, 31, tzinfo=UTC),
            access=writers({"controller"}),
            initial={"etsi-qkd-sdn-node:qkd_node": {"qkdn_id": IDS[0]}},
        )
        for name, content in NOTIFICATIONS.items():
            core.publish(f"etsi-qkd-sdn-node:{name}", content)
        assert [(e.name.partition(":")[2], e.content) for e in core.streams["NETCONF"].log] == list(
            NOTIFICATIONS.items()
        )
        link = {"qkdl_id": IDS[1], "qkdl_type": TYPES + "PHYS", "phys_wavelength": "20", "qkdl_enable": True}
        path = f"/restconf/data/etsi-qkd-sdn-node:qkd_node/qkd_links/qkd_link={IDS[1]}"
        body = json.dumps({"etsi-qkd-sdn-node:qkd_link": [link]}).encode()
        headers = {"content-type": "application/yang-data+json"}
        assert (await core.handle(Request("PUT", path, "", headers, body, "controller"))).status == 201
        whole = await core.handle(Request("GET", "/restconf/data/etsi-qkd-sdn-node:qkd_node", caller="controller"))
        model().from_raw(whole.json()).validate(ctype=ContentType.all)
        assert whole.json()["etsi-qkd-sdn-node:qkd_node"]["qkd_links"]["qkd_link"] == [link]

    asyncio.run(work())
    declared = {line.split()[0][1:] for line in NODES.read_text().splitlines() if " notification " in line}
    assert set(NOTIFICATIONS) == declared


@pytest.mark.skipif(shutil.which("yanglint") is None, reason="yanglint is not installed (Debian: libyang2-tools)")
def test_libyang_reads_the_modules_and_takes_the_instance(tmp_path: Path) -> None:
    modules = ModuleSet.of(["etsi-qkd-sdn-node"], base=())
    for module in modules.modules:
        (tmp_path / f"{module.name}.yang").write_text(module.text)
    instance = tmp_path / "node.json"
    instance.write_text(json.dumps(WHOLE))
    files = [str(tmp_path / f"{name}.yang") for name in ("etsi-qkd-node-types", "etsi-qkd-sdn-node")]
    command = ["yanglint", "-p", str(tmp_path), "-t", "data", "-f", "json", *files, str(instance)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["etsi-qkd-sdn-node:qkd_node"]["qkdn_id"] == IDS[0]
