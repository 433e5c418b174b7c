"""Pairs on request over real sockets: the example against a twin in a process of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from quoit.sdk import Application

pytestmark = pytest.mark.live
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.realises("B5", "D1", "F1")
def test_neighbours_keep_measure_and_prepare_pairs_live(tmp_path: Path, live_twin: Any) -> None:
    directory = tmp_path / "run"

    async def circuit() -> None:
        async with Application.of(directory, "alice") as alice, Application.of(directory, "bob") as bob:
            await bob.receive_pairs("alice", 50)
            opened = await alice.open_circuit("bob", 0.9)
            await alice.request_pairs(opened, number=2, within_s=5, delivery="MEASURE", purpose=50)
            for _ in range(2):
                own, other = await alice.next_pairs(), await bob.next_pairs()
                assert own.pairs[0].sequence == other.pairs[0].sequence
                assert own.circuit == other.circuit == opened.circuit
            await alice.close_circuit(opened)

    with live_twin(EXAMPLES / "boston.yaml", directory):
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / "link_service.py"), str(directory)],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        asyncio.run(circuit())
    assert done.returncode == 0, done.stderr
    for line in ("pair ", "CHSH over 400 pairs", "remote state preparation", "UNSUPP", "REJECTED"):
        assert line in done.stdout
