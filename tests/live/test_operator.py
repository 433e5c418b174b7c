"""What an operator sees of a live twin through its socket, and by `quoit top`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.live
TWO_NODES = Path(__file__).parents[2] / "examples" / "two-nodes.yaml"
PATIENCE_S = 10.0


def quoit(*arguments: str) -> str:
    command = [sys.executable, "-m", "quoit.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, check=True, text=True, timeout=30).stdout


@pytest.mark.realises("A2", "G1")
def test_a_cut_fibre_is_seen_in_every_stratum(tmp_path: Path, live_twin: Any) -> None:
    directory = tmp_path / "run"

    def get(what: str) -> Any:
        command = ["curl", "-sf", "--unix-socket", str(directory / "operator.sock"), f"http://twin/{what}"]
        return json.loads(subprocess.run(command, capture_output=True, check=True, timeout=20).stdout)

    def strike_with(body: bytes) -> str:
        command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--data-binary", "@-"]
        command += ["--unix-socket", str(directory / "operator.sock"), "http://twin/strike"]
        return subprocess.run(command, input=body, capture_output=True, check=True, timeout=20).stdout.decode()

    with live_twin(TWO_NODES, directory):
        assert (get("livez"), get("readyz")) == ({"status": "ok"}, {"status": "ready"})
        assert [span["state"] for span in get("spans")["spans"]] == ["lit"]
        assert get("alarms") == {"alarms": []}
        quoit("keys", "alice-app", "bob-app", "--number", "2", "--dir", str(directory))
        assert {(c["kme"], c["state"], c["units"]) for c in get("units")["counts"]} == {
            ("kme-alice", "established", 2),
            ("kme-bob", "delivered", 2),
        }
        assert strike_with(b'{"kind":"\xc4"}') == strike_with(b"{") == "400"
        quoit("strike", "cut", "alice--bob", "--dir", str(directory))
        end = time.monotonic() + PATIENCE_S
        while len(alarms := get("alarms")["alarms"]) < 2:
            assert time.monotonic() < end, alarms
            time.sleep(0.1)
        assert {(a["stratum"], a["cause"]) for a in alarms} >= {("connectivity", "loss of signal"), ("fabric", "dark")}
        seen = quoit("top", "--once", "--dir", str(directory))
        assert "critical [connectivity] alice--bob: loss of signal" in seen
        assert "<- alice--bob: loss of signal" in seen
        assert "J a bit" in seen
        (dark,) = [a for a in get("alarms")["alarms"] if a["cause"] == "dark"]
        root = {"stratum": "connectivity", "about": "alice--bob", "cause": "loss of signal"}
        assert dark["roots"] == [root]
        assert {row["name"]: row["health"] for row in get("assurance?below=50")["rows"]}["span:alice--bob"] == 0
        assert {row["metric"] for row in get("telemetry")["meters"]} >= {"quoit_span_loss_db", "quoit_link_qber"}
        assert get("footprint")["key_bits"] == 512
        listed = [sys.executable, "-m", "quoit.cli.main", "alarms", "--dir", str(directory)]
        told = subprocess.run(listed, capture_output=True, check=False, text=True, timeout=30)
        assert (told.returncode, "loss of signal" in told.stdout) == (1, True)
        events = ["curl", "-sN", "-m", "8", "--unix-socket", str(directory / "operator.sock")]
        events.append("http://twin/events?subject=alarm.connectivity.*")
        with subprocess.Popen(events, stdout=subprocess.PIPE, text=True) as reader:
            assert reader.stdout is not None
            assert reader.stdout.readline() == ": open\n"
            quoit("strike", "splice", "alice--bob", "--dir", str(directory))
            told_lines = [reader.stdout.readline() for _ in range(4)]
            reader.terminate()
        news = json.loads(told_lines[3].removeprefix("data: "))
        assert (news["subject"], news["news"]["cause"]) == ("alarm.connectivity.alice--bob", "loss of signal")
        assert news["news"]["cleared_ns"] is not None
