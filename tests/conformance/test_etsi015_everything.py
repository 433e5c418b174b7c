"""Everything that agents return in a story with all eleven notifications, read by another program than the servers use.

The server validates what it sends, and the lab checks each answer with yangson; libyang shares no code with either.
With QUOIT_ETSI015_YANG it reads the modules of that directory instead of ours: the published ones with their three
conditions mended, say.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from quoit.fabric import api
from quoit.fabric.api import KeysAsked, LinkAuth
from quoit.interfaces.restconf.library import ModuleSet
from quoit.runtime.wire import Message
from quoit.scenario.agent_doors import MODULES
from quoit.scenario.fate import FATE, Strike
from sdqkd_lab import LINE, SdqkdLab, with_lab

NODES = Path(__file__).parent / "yang" / "etsi-015-nodes.txt"
TURN = {"epoch": "3", "edit": "1"}


class Library:
    """Files of answers and notifications, by what yanglint calls their kind."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.files: dict[str, list[str]] = {"data": [], "notif": []}
        self.names: set[str] = set()

    def put(self, kind: str, value: Any) -> None:
        file = self.directory / f"{kind}{len(self.files[kind])}.json"
        file.write_text(json.dumps(value))
        self.files[kind].append(str(file))

    async def look(self, lab: SdqkdLab) -> None:
        """What each node is now."""
        for node in lab.network.nodes:
            self.put("data", (await lab.ask(node, "GET")).json())

    def hear(self, lab: SdqkdLab) -> None:
        """What each node has told. None of it was unfit, and so kept back by the server."""
        heard = 0
        for core in lab.cores.values():
            for event in core.streams["NETCONF"].log:
                heard += 1
                self.names.add(event.name.partition(":")[2])
                self.put("notif", {event.name: event.content})
        assert heard == sum(1 for fields in lab.events if fields.event == "agent.notified" and fields.t > 10 * 10**9)


def tell(lab: SdqkdLab, node: str, msg: Message) -> None:
    lab.world.kernel.ask_from_outside(lab.world.kernel.now, api.agent(node), msg, lambda reply: None)
    lab.pass_s(1)


async def story(lab: SdqkdLab, library: Library) -> None:
    """Light that goes and comes, a module without keys for its messages, a module that is taken out, an application."""
    for node in lab.network.nodes:
        await lab.core(node)
    await library.look(lab)
    lab.world.ask(FATE, Strike("cut", "bc"))
    lab.pass_s(5)
    await library.look(lab)
    lab.world.ask(FATE, Strike("splice", "bc"))
    lab.pass_s(20)
    tell(lab, "b", LinkAuth("ab", 0, True, lab.world.kernel.now))
    await library.look(lab)
    tell(lab, "b", LinkAuth("ab", 0, False, lab.world.kernel.now))
    link = f"/qkd_links/qkd_link={lab.id_of('link', 'bc')}"
    assert (await lab.ask("c", "DELETE", link)).status == 204
    assert (await lab.ask("c", "DELETE", "/qkd_interfaces/qkd_interface=1")).status == 204
    await library.look(lab)
    back = {"etsi-qkd-sdn-node:qkd_interface": [{"qkdi_id": 1}]}
    assert (await lab.ask("c", "POST", "/qkd_interfaces", back)).status == 201
    asked = KeysAsked("a", "urn:x:a", ("urn:x:c",), "c", 256, 1_000.0, 1)
    tell(lab, "a", asked)
    app = {
        "app_id": lab.id_of("app", "a c"),
        "app_type": "etsi-qkd-node-types:CLIENT",
        "server_app_id": "urn:x:a",
        "client_app_id": ["urn:x:c"],
        "app_qos": {"min_bandwidth": 30_000, "ttl": 60},
        "backing_qkdl_id": [lab.id_of("link", "ab")],
    }
    body = {"etsi-qkd-sdn-node:qkd_app": [app]}
    assert (await lab.ask("a", "POST", "/qkd_applications", body)).status == 201
    tell(lab, "a", KeysAsked("a", "urn:x:a", ("urn:x:c",), "c", 256, 2_000.0, 2))
    await library.look(lab)
    lab.pass_s(150)
    taken = {"quoit-sdqkd-control:control": TURN}
    assert (await lab.ask("a", "PUT", "/quoit-sdqkd-control:control", taken)).status == 201
    await library.look(lab)
    await lab.settle()
    library.hear(lab)


def told(tmp_path: Path) -> Library:
    library = Library(tmp_path)
    with_lab(lambda lab: story(lab, library), LINE)
    return library


@pytest.mark.realises("A3", "G1")
def test_all_notifications_go_out_and_libyang_takes_all_that_is_returned(tmp_path: Path) -> None:
    library = told(tmp_path)
    assert library.names == {line.split()[0][1:] for line in NODES.read_text().splitlines() if " notification " in line}
    if shutil.which("yanglint") is None:
        pytest.skip(
            "all notifications went out; yanglint is not installed (Debian: libyang2-tools) and read none of it"
        )
    for module in ModuleSet.of(MODULES, base=()).modules:
        (tmp_path / f"{module.name}.yang").write_text(module.text)
    folders = [*filter(None, [os.environ.get("QUOIT_ETSI015_YANG")]), str(tmp_path)]
    search = [word for folder in folders for word in ("-p", folder)]
    names = ("etsi-qkd-node-types", "etsi-qkd-sdn-node", "quoit-sdqkd-control")
    modules = [next(str(f) for folder in folders if (f := Path(folder) / f"{name}.yang").exists()) for name in names]
    for kind, files in library.files.items():
        assert files
        command = ["yanglint", *search, "-t", kind, *modules, *files]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "wrong.json").write_text('{"etsi-qkd-sdn-node:qkd_node": {"qkdn_id": "none"}}')
    command = ["yanglint", *search, "-t", "data", *modules, str(tmp_path / "wrong.json")]
    assert subprocess.run(command, capture_output=True, check=False, timeout=60).returncode != 0
