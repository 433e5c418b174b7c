"""Who may do what: roles by certificate, and nothing for whoever has none."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import requests

from quoit.testing.leaks.watch import Watch

pytestmark = pytest.mark.live
TWO_NODES = Path(__file__).parents[2] / "examples" / "two-nodes.yaml"
STRIKE = {"kind": "bend", "target": "alice--bob", "amount": 0.5}


def session(doors: dict[str, Any], leaf: dict[str, str]) -> requests.Session:
    found = requests.Session()
    found.trust_env = False  # REQUESTS_CA_BUNDLE would win over `verify`
    found.cert, found.verify = (leaf["cert"], leaf["key"]), doors["ca"]
    return found


@pytest.mark.realises("G3")
def test_roles_are_by_certificate_and_deny_by_default(tmp_path: Path, live_twin: Any, leaks: Watch) -> None:
    with live_twin(TWO_NODES, tmp_path / "run", "--management-port", "0") as doors:
        url = doors["management"]["url"]
        observer, operator = (session(doors, doors["management"]["roles"][role]) for role in ("observer", "operator"))
        alice = doors["applications"]["alice-app"]
        application = session(doors, alice)
        keys = f"{alice['url']}/api/v1/keys/bob-app/enc_keys"

        assert "quoit_" in observer.get(f"{url}/metrics", timeout=10).text
        assert observer.post(f"{url}/strike", json=STRIKE, timeout=10).status_code == 403
        assert operator.post(f"{url}/strike", json=STRIKE, timeout=10).json() == {"done": "bend alice--bob 0.5"}
        # an application is no observer, and neither operator nor observer gets a key
        assert application.get(f"{url}/links", timeout=10).status_code == 401
        assert application.get(keys, timeout=10).status_code == 200
        for somebody in (observer, operator):
            assert somebody.get(keys, timeout=10).status_code == 401
        end, known = time.monotonic() + 20, application.get(keys, timeout=10).json()["keys"][0]["key"]
        while not leaks.look(known)[1]:  # what the twin delivers is known to the search
            assert time.monotonic() < end
            time.sleep(0.2)
        for path in ("links", "spans", "units", "alarms", "status", "metrics"):
            text = operator.get(f"{url}/{path}", timeout=10).text
            assert application.get(keys, timeout=10).json()["keys"][0]["key"] not in text
            assert not leaks.look(text)[1], path
        nobody = requests.Session()
        nobody.trust_env, nobody.verify = False, doors["ca"]
        with pytest.raises(requests.exceptions.ConnectionError):
            nobody.get(f"{url}/status", timeout=10)
