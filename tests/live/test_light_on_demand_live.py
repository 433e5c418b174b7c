"""Over HTTP, live: an intent is stated, the optical network lights a link for it, keys flow, and all is given back; the
quantum side's works and the plant's stand in one list."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

pytestmark = pytest.mark.live
EXAMPLE = Path(__file__).parents[2] / "examples" / "on-demand.yaml"
INTENT = "/tmf-api/intentManagement/v5/intent"
DATA = "/restconf/data/quoit-orchestration:"
YANG = {"content-type": "application/yang-data+json"}
WISH = {
    "name": "the branch",
    "expression": {"su": {"endpoints": ["alice-app", "carol-app"], "kind": "key"}, "targets": {"rate_bps": 1000}},
}
WORKS = {
    "works-id": "lasers", "side": "quantum", "kind": "node", "target": "bob", "force": True,
    "from": "2026-01-01T02:00:00Z", "until": "2026-01-01T03:00:00Z",
}  # fmt: skip


def client(doors: dict[str, Any], leaf: dict[str, str]) -> requests.Session:
    found = requests.Session()
    found.trust_env = False
    found.cert, found.verify = (leaf["cert"], leaf["key"]), doors["ca"]
    return found


def awaited(look: Callable[[], Any], good: Callable[[Any], bool], within_s: float = 90.0) -> Any:
    end = time.monotonic() + within_s
    while not good(seen := look()):
        assert time.monotonic() < end, seen
        time.sleep(0.5)
    return seen


def quoit(run: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "quoit.cli.main", *arguments, "--dir", str(run)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.realises("E3", "E4", "E5", "G2")
def test_light_for_an_intent_and_one_calendar_of_works(tmp_path: Path, live_twin: Any) -> None:
    run = tmp_path / "run"
    with live_twin(EXAMPLE, run, "--speed", "4", "--orchestration-port", "0", "--management-port", "0") as doors:
        told, management = doors["orchestration"], doors["management"]
        operator = client(doors, told["roles"]["operator"])
        plant = client(doors, management["roles"]["operator"])

        def get(path: str) -> Any:
            return operator.get(f"{told['url']}{path}", timeout=20).json()

        def services() -> dict[str, Any]:
            rows = plant.get(f"{management['url']}/services", timeout=20).json()["rows"]
            return {row["service"]: row for row in rows}

        assert services() == {}
        made = operator.post(f"{told['url']}{INTENT}", json=WISH, timeout=20)
        assert made.status_code == 201, made.text
        href = made.json()["href"]
        intent = awaited(lambda: get(href), lambda seen: seen["lifecycleStatus"] == "active")
        said = " ".join(step["text"] for step in intent["x_explanation"])
        assert "light for link branch: optical service link-branch over n1, n2" in said
        assert "connectivity.otn/link-branch" in intent["x_resources"]
        assert (services()["link-branch"]["lifecycle"], services()["link-branch"]["enabled"]) == ("INSTALLED", True)
        figures = get(f"{href}/intentReport?limit=1")[0]["expression"]["expressionValue"]["figures"]
        assert [f["met"] for f in figures if f["name"] == "light"] == [True]
        taken = quoit(run, "keys", "alice-app", "carol-app")
        assert "equal" in taken.stdout, taken.stderr

        # The quantum side plans works over RESTCONF; the plant's calendar has them, and the other way round.
        works = f"{told['url']}{DATA}planned-works"
        body = {"quoit-orchestration:works": [WORKS]}
        answer = operator.post(works, json=body, headers=YANG, timeout=20)
        assert answer.status_code == 201, answer.text
        assert "devices of trunk, branch from" in quoit(run, "works", "list").stdout
        planned = quoit(run, "works", "plan", "dig", "--spans", "n1", "--at", "2h", "--until", "3h", "--force")
        assert planned.returncode == 0, planned.stderr

        def calendar() -> dict[str, Any]:
            rows = get(f"{DATA}planned-works")["quoit-orchestration:planned-works"].get("works", [])
            return {row["works-id"]: row for row in rows}

        rows = calendar()
        assert rows["lasers"]["touched-link"] == ["branch", "trunk"]
        assert (rows["dig"]["side"], rows["dig"]["touched-link"]) == ("optical", ["branch"])
        # News of them reach the door's configuration: there they are ended.
        gone = awaited(lambda: operator.delete(f"{works}/works=dig", timeout=20).status_code, lambda seen: seen == 204)
        assert gone == 204
        assert set(calendar()) == {"lasers"}
        assert operator.delete(f"{works}/works=lasers", timeout=20).status_code == 204

        assert operator.delete(f"{told['url']}{href}", timeout=60).status_code == 204
        assert awaited(services, lambda seen: not seen) == {}
