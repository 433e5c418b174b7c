"""T1 and T3 on a live twin: nothing is seen before its time, and a host's wall clock that jumps moves nothing.

The wall clock is stepped by an hour and by two years, to and fro, at every question that anybody in the process
asks of it. Certificates do go by the wall clock, as they must; so this twin has no listeners.
"""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from quoit.model.problem import Problem
from quoit.scenario.host import Host
from quoit.scenario.host_options import HostOptions
from quoit.service.api import Keys, OpenKeys, TakeKeys, UnitsChanged

pytestmark = pytest.mark.live
TWO = (Path(__file__).parents[2] / "examples" / "two-nodes.yaml").read_text()
S, MS = 1_000_000_000, 1_000_000
HOUR_S, YEARS_S = 3600, 2 * 365 * 86_400
JUMPS_S = (HOUR_S, -HOUR_S, YEARS_S, -YEARS_S)
ROUNDS, VALID_NS = 2, 1500 * MS


def jump_at_every_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Step the wall clock at each look at it."""
    steps = itertools.cycle(JUMPS_S)
    real, real_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: real() + next(steps))
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + next(steps) * S)


async def live(directory: Path) -> str:
    """A live run in which keys live for a second and a half, while the wall clock jumps; its digest."""
    host = Host(TWO, HostOptions(directory, seed=7, from_ns=3 * S, until_ns=8 * S, serve=False))
    await host.start()
    world = host.world
    early: list[tuple[int, int]] = []

    async def observe() -> None:
        async for news in world.watch(UnitsChanged):
            early.append((news.at_ns, world.now_ns()))  # noqa: PERF401 - the watch never ends by itself

    observer = asyncio.create_task(observe())
    await asyncio.sleep(0)
    number = itertools.count(1)
    for _ in range(ROUNDS):
        ids = tuple(str(uuid.UUID(int=next(number), version=4)) for _ in range(2))
        host_began, began = time.monotonic_ns(), world.now_ns()
        opened: Keys = await world.ask("kme-alice", OpenKeys("alice-app", "bob-app", 2, ids, valid_for_ns=VALID_NS))
        until_ns = world.now_ns() + VALID_NS
        taken: Keys = await world.ask("kme-bob", TakeKeys("bob-app", "alice-app", ids[:1]))
        assert taken.keys[0].value == opened.keys[0].value  # two years on, it has not expired
        assert 0 < world.now_ns() - began <= time.monotonic_ns() - host_began
        while world.now_ns() < until_ns:
            await asyncio.sleep(0)
        with pytest.raises(Problem) as late:  # two years back, it has
            await world.ask("kme-bob", TakeKeys("bob-app", "alice-app", ids[1:]))
        assert late.value.code == "key-not-found"
    await world.ended()
    observer.cancel()
    await host.stop()
    assert len(early) >= 2 * ROUNDS
    assert all(at_ns <= seen_ns for at_ns, seen_ns in early)  # T1
    return host.digest.hexdigest()


@pytest.mark.realises("F1", "F4", "F8")
def test_t3_jumps_of_the_wall_clock_change_no_time_and_no_expiry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        jump_at_every_look(patch)
        assert abs(time.time() - time.time()) >= HOUR_S
        digest = asyncio.run(live(tmp_path))
    # Its recording, repeated in virtual time under a quiet clock: the same events at the same stamps.
    done = subprocess.run(
        [sys.executable, "-m", "quoit.cli.main", "replay", str(tmp_path / "journal.jsonl"), "--digest"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == digest
