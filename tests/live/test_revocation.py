"""A certificate that is revoked beside a running twin: its live connection is cut, and it is not let in again."""

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
TWO_NODES = Path(__file__).parents[2] / "examples" / "two-nodes.yaml"
SOON_S = 5.0


@pytest.mark.realises("G3")
def test_a_revoked_application_is_out_within_seconds_and_others_stay(tmp_path: Path, live_twin: Any) -> None:
    directory = tmp_path / "run"
    with live_twin(TWO_NODES, directory) as doors:
        ways = {}
        for sae, peer in (("alice-app", "bob-app"), ("bob-app", "alice-app")):
            app = doors["applications"][sae]
            session = requests.Session()
            session.trust_env = False  # REQUESTS_CA_BUNDLE would win over `verify`
            session.cert, session.verify = (app["cert"], app["key"]), doors["ca"]
            ways[sae] = session, f"{app['url']}/api/v1/keys/{peer}/status"
            assert session.get(ways[sae][1], timeout=10).status_code == 200
        done = subprocess.run(
            [sys.executable, "-m", "quoit.cli.main", "pki", "alice-app", "--revoke", "--dir", str(directory), "--json"],
            capture_output=True, check=True, text=True, timeout=30,
        )  # fmt: skip
        assert json.loads(done.stdout)["sae"] == "alice-app"
        end = time.monotonic() + SOON_S
        while not _shut_out(*ways["alice-app"]):
            assert time.monotonic() < end, f"still served {SOON_S} s after the revocation"
            time.sleep(0.1)
        session, url = ways["bob-app"]
        assert session.get(url, timeout=10).status_code == 200


def _shut_out(session: requests.Session, url: str) -> bool:
    try:
        return session.get(url, timeout=10).status_code == 401
    except requests.ConnectionError:
        return True
