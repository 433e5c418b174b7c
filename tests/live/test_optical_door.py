"""The optical network's door of a live twin: ONF TAPI over mutual TLS, by role.

TAPI's modules are not part of quoit: this runs if QUOIT_TAPI_YANG names a directory with release 2.4.0.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
import requests

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        not os.environ.get("QUOIT_TAPI_YANG"), reason="QUOIT_TAPI_YANG names no directory with TAPI 2.4.0's modules"
    ),
]
OTN = Path(__file__).parents[2] / "examples" / "otn.yaml"
SERVICE = "11111111-2222-4333-8444-555555555555"
CONTEXT = "restconf/data/tapi-common:context"
SERVICES = f"{CONTEXT}/tapi-connectivity:connectivity-context"
WHERE = f"{SERVICES}/connectivity-service={SERVICE}"
DATA = {"content-type": "application/yang-data+json"}


def session(doors: dict[str, Any], leaf: dict[str, str]) -> requests.Session:
    found = requests.Session()
    found.trust_env = False
    found.cert, found.verify = (leaf["cert"], leaf["key"]), doors["ca"]
    return found


def wanted(context: dict[str, Any]) -> dict[str, Any]:
    """A service between the two ends of the network."""
    sips = {row["name"][0]["value"]: row["uuid"] for row in context["service-interface-point"]}
    ends = [
        {
            "local-id": node,
            "layer-protocol-name": "PHOTONIC_MEDIA",
            "layer-protocol-qualifier": "tapi-photonic-media:PHOTONIC_LAYER_QUALIFIER_MC",
            "service-interface-point": {"service-interface-point-uuid": sips[f"{node} add/drop"]},
        }
        for node in ("alice", "bob")
    ]
    return {"tapi-connectivity:connectivity-service": [{"uuid": SERVICE, "end-point": ends}]}


def names(shown: dict[str, Any]) -> set[str]:
    """Of the services that a context shows."""
    context = shown["tapi-common:context"].get("tapi-connectivity:connectivity-context", {})
    return {row["name"][0]["value"] for row in context.get("connectivity-service", ()) if "name" in row}


@pytest.mark.realises("E4")
def test_a_controller_configures_light_and_others_do_not(tmp_path: Path, live_twin: Any) -> None:
    with live_twin(OTN, tmp_path / "run", "--tapi-port", "0", "--management-port", "0") as doors:
        tapi = doors["tapi"]
        url, roles = tapi["url"], tapi["roles"]
        controller, observer = (session(doors, roles[role]) for role in ("controller", "observer"))
        application = session(doors, doors["applications"]["alice-app"])

        context = controller.get(f"{url}/{CONTEXT}", timeout=20).json()["tapi-common:context"]
        body = wanted(context)
        assert observer.get(f"{url}/{CONTEXT}", timeout=20).status_code == 200
        end = time.monotonic() + 20
        while {"quantum", "customer"} - names(controller.get(f"{url}/{CONTEXT}", timeout=20).json()):
            assert time.monotonic() < end, "services of the file are shown"
            time.sleep(0.2)
        assert observer.post(f"{url}/{SERVICES}", json=body, headers=DATA, timeout=20).status_code == 403
        assert application.get(f"{url}/{CONTEXT}", timeout=20).status_code == 401

        assert controller.post(f"{url}/{SERVICES}", json=body, headers=DATA, timeout=20).status_code == 201
        end = time.monotonic() + 20
        while True:
            shown = controller.get(f"{url}/{WHERE}", timeout=20).json()
            row = shown["tapi-connectivity:connectivity-service"][0]
            if row["operational-state"] == "ENABLED":
                break
            assert time.monotonic() < end, row
            time.sleep(0.2)
        operator = session(doors, doors["management"]["roles"]["operator"])
        services = operator.get(f"{doors['management']['url']}/services", timeout=20).json()["rows"]
        assert {row["service"] for row in services} >= {"quantum", SERVICE}
        assert controller.delete(f"{url}/{WHERE}", timeout=20).status_code == 204
        assert controller.get(f"{url}/{WHERE}", timeout=20).status_code == 404
