"""Kinds of states, test rounds and a drifting device over real sockets."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from quoit.sdk import Application, Refusal, Unit

pytestmark = pytest.mark.live
BOSTON = Path(__file__).parents[2] / "examples" / "boston.yaml"


def quoit(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "quoit.cli.main", *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.realises("B5", "F5", "F8", "I2")
def test_ends_find_out_a_link_that_drifts(tmp_path: Path, live_twin: Any) -> None:
    directory = tmp_path / "run"

    async def decided(app: Application, **asked: Any) -> Unit:
        unit = await app.request(["bob"], **asked)
        while unit.state in ("requested", "routed"):
            await app.sleep(0.1)
            unit = await app.unit(unit.unit_id)
        return unit

    async def story() -> None:
        async with Application.of(directory, "alice") as alice:
            w = await alice.request(["bob", "charlie"], kind="w", fidelity=0.6, measure="Z")
            assert (w.kind, len(w.outcomes)) == ("w", 1)
            sound = await decided(alice, fidelity=0.6, tests=60)
            assert sound.tested >= 60
            assert sound.estimate is not None
            assert sound.estimate > 0.85  # of 0.97: two in a million
            quoit("strike", "depolarise", "harvard--mit", "0.5", "--dir", str(directory))
            with pytest.raises(Refusal, match="promise-contradicted"):
                await decided(alice, fidelity=0.6, tests=60)
            assert "tests contradict the promised fidelity" in " ".join(
                quoit("top", "--once", "--dir", str(directory)).split()
            )

    with live_twin(BOSTON, directory):
        asyncio.run(story())
