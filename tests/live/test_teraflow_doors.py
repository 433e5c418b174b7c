"""A live twin whose agents let TeraFlowSDN's driver in: plain HTTP on loopback, a password in the address."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import requests

pytestmark = pytest.mark.live
PAIR = """
quoit: 1
name: pair
nodes: {a: {dialect: teraflow}, b: {}}
spans: [{name: ab, between: [a, b], length: 10 km}]
links: [{name: ab, between: [a, b], protocol: rated, rate: 20 kbit/s}]
applications:
  - {sae: app-a, kme: kme-a}
  - {sae: app-b, kme: kme-b}
policies: {agents: true}
"""
NODE = "restconf/data/etsi-qkd-sdn-node:qkd_node"


def get(url: str, **options: Any) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=15, **options)


@pytest.mark.realises("A3")
def test_a_password_opens_agents_of_the_dialect_and_nothing_else(tmp_path: Path, live_twin: Any) -> None:
    network = tmp_path / "pair.yaml"
    network.write_text(PAIR)
    with live_twin(network, tmp_path / "run", "--agents", "0", "--teraflow") as doors:
        file = Path(doors["passwords"])
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        passwords = json.loads(file.read_text())
        foreign, ours = (doors["agents"]["nodes"][node] for node in "ab")
        assert (foreign.split(":")[0], ours.split(":")[0]) == ("http", "https")
        host = foreign.removeprefix("http://")
        assert get(f"{foreign}/{NODE}").status_code == 401
        assert get(f"http://controller:{passwords['observer']}@{host}/{NODE}").status_code == 401
        address = f"http://controller:{passwords['controller']}@{host}"
        assert get(f"{address}/{NODE}/").json()["qkdn_location_id"] == "a"
        body = {"qkd_links": {"qkd_link": []}}
        with requests.Session() as session:
            session.trust_env = False
            role = f"http://observer:{passwords['observer']}@{host}"
            assert session.get(f"{role}/{NODE}", timeout=15).status_code == 200
            refused = session.patch(f"{role}/{NODE}", json={"qkd_node": {"qkdn_version": "2"}}, timeout=15)
            assert refused.status_code == 403
            assert session.post(f"{address}/{NODE}/qkd_links/", json=body, timeout=15).status_code in (201, 204)
        with pytest.raises(requests.exceptions.ConnectionError):  # the others want a certificate, as ever
            get(f"{ours}/{NODE}", auth=("controller", passwords["controller"]), verify=doors["ca"])
    assert passwords["controller"] not in (tmp_path / "run" / "events.jsonl").read_text()
