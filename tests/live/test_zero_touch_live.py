"""Zero-touch, live: `quoit token`, `quoit join`, and keys flow to an application of the new node."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests

pytestmark = pytest.mark.live
EXAMPLE = Path(__file__).parents[2] / "examples" / "zero-touch.yaml"
DOORS = ("--join-port", "0", "--orchestration-port", "0", "--agents", "0")
AGENTS = "policies: {control: sdqkd}\n"
"""The fabric is controlled by agents alone, so the new node is discovered and linked by its own."""
INTENT = "/tmf-api/intentManagement/v5/intent"


def quoit(*arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "quoit.cli.main", *arguments]
    return subprocess.run(command, input=said, capture_output=True, text=True, timeout=60)


def client(doors: dict[str, Any], leaf: dict[str, str]) -> requests.Session:
    found = requests.Session()
    found.trust_env = False
    found.cert, found.verify = (leaf["cert"], leaf["key"]), doors["ca"]
    return found


@pytest.mark.realises("G2", "G3", "E5")
def test_a_token_and_one_command_bring_a_node_into_use(tmp_path: Path, live_twin: Any) -> None:
    run, device = tmp_path / "run", tmp_path / "device"
    network = tmp_path / "zero-touch.yaml"
    network.write_text(EXAMPLE.read_text() + AGENTS)
    with live_twin(network, run, *DOORS) as doors:
        assert set(doors["applications"]) == {"alice-app"}
        assert set(doors["agents"]["nodes"]) == {"alice", "bob"}
        made = quoit("token", "carol", "--dir", str(run))
        assert made.returncode == 0, made.stderr
        token = made.stdout.strip()

        joined = quoit("join", "--dir", str(device), "--json", said=token)
        assert joined.returncode == 0, joined.stderr
        answer = json.loads(joined.stdout)
        assert (answer["node"], answer["links"], answer["applications"]) == ("carol", ["bob--carol"], ["carol-app"])
        thief = quoit("join", "--dir", str(tmp_path / "thief"), said=token)
        assert (thief.returncode, "was used" in thief.stderr) == (1, True)

        agents = json.loads((run / "doors.json").read_text())["agents"]
        controller = client(doors, agents["roles"]["controller"])
        node = controller.get(f"{agents['nodes']['carol']}/restconf/data/etsi-qkd-sdn-node:qkd_node", timeout=20).json()
        (link,) = node["etsi-qkd-sdn-node:qkd_node"]["qkd_links"]["qkd_link"]
        assert link["qkdl_enable"] is True

        # the new node's keys, at both ends, as soon as its link has made some
        end = time.monotonic() + 60
        while (taken := quoit("keys", "alice-app", "carol-app", "--dir", str(run))).returncode:
            assert time.monotonic() < end, taken.stderr
            time.sleep(0.5)
        assert "equal" in taken.stdout

        told = doors["orchestration"]
        operator, observer = (client(doors, told["roles"][role]) for role in ("operator", "observer"))
        view = observer.get(
            f"{told['url']}/restconf/data/quoit-orchestration:qkd_network/sdqkd_nodes", timeout=20
        ).json()
        nodes = view["quoit-orchestration:sdqkd_nodes"]["qkdn"]
        assert [node["joined"] for node in nodes] == [True, True, True]
        wish = {"su": {"endpoints": ["alice-app", "carol-app"], "kind": "key"}, "targets": {"rate_bps": 1000}}
        stated = operator.post(told["url"] + INTENT, json={"name": "a wish", "expression": wish}, timeout=20)
        assert stated.status_code == 201, stated.text
        while (found := observer.get(told["url"] + stated.json()["href"], timeout=20).json())[
            "lifecycleStatus"
        ] != "active":
            assert time.monotonic() < end, found
            time.sleep(0.3)
        assert observer.delete(told["url"] + stated.json()["href"], timeout=20).status_code == 403
        # the token's secret is in no log, journal or answer of the twin
        secret = token.rpartition(".")[2]
        for file in [*run.glob("*.jsonl"), run / "tokens.json", run / "doors.json"]:
            assert secret not in file.read_text(errors="replace"), file
        assert (device / "node.key").stat().st_mode & 0o077 == 0
