"""A certificate that is revoked beside a running twin: its live connection is cut, and it is not let in again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

pytestmark = pytest.mark.live
TWO_NODES = Path(__file__).parents[2] / "examples" / "two-nodes.yaml"
QUOIT = [sys.executable, "-m", "quoit.cli.main"]
SOON_S = 5.0


@pytest.mark.realises("G3")
def test_a_revoked_application_is_out_within_seconds_and_others_stay(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    twin = subprocess.Popen(
        [*QUOIT, "up", str(TWO_NODES), "--dir", str(directory), "--port", "0", "--from", "5s", "--json"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert twin.stdout is not None
        doors = json.loads(twin.stdout.readline())
        sessions = {}
        for sae, peer in (("alice-app", "bob-app"), ("bob-app", "alice-app")):
            app = doors["applications"][sae]
            sessions[sae] = session = requests.Session()
            session.trust_env = False  # REQUESTS_CA_BUNDLE would win over `verify`
            session.cert, session.verify = (app["cert"], app["key"]), doors["ca"]
            status = session.get(f"{app['url']}/api/v1/keys/{peer}/status", timeout=10)
            assert status.status_code == 200
        done = subprocess.run(
            [*QUOIT, "pki", "alice-app", "--revoke", "--dir", str(directory), "--json"],
            capture_output=True, check=True, text=True, timeout=30,
        )  # fmt: skip
        assert json.loads(done.stdout)["sae"] == "alice-app"
        alice, bob = (doors["applications"][sae]["url"] for sae in ("alice-app", "bob-app"))
        end = time.monotonic() + SOON_S
        while not _shut_out(sessions["alice-app"], f"{alice}/api/v1/keys/bob-app/status"):
            assert time.monotonic() < end, f"still served {SOON_S} s after the revocation"
            time.sleep(0.1)
        assert sessions["bob-app"].get(f"{bob}/api/v1/keys/alice-app/status", timeout=10).status_code == 200
    finally:
        twin.send_signal(signal.SIGINT)
        assert twin.wait(30) == 0


def _shut_out(session: requests.Session, url: str) -> bool:
    try:
        return session.get(url, timeout=10).status_code == 401
    except requests.ConnectionError:
        return True
