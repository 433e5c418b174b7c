"""The same seed gives the same trace: in one process, in others, live, fast-forwarded, replayed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.model.problem import Problem
from quoit.runtime import journal
from quoit.runtime.trace import Digest
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.scenario.fate import FATE, Strike
from quoit.scenario.host import Host
from quoit.scenario.host_options import HostOptions
from quoit.service.api import GetStatus, Keys, OpenKeys, TakeKeys

EXAMPLES = Path(__file__).parents[2] / "examples"
MADRID, TWO = EXAMPLES / "madrid.yaml", EXAMPLES / "two-nodes.yaml"
S = 1_000_000_000


def quoit(*arguments: str, **environment: str) -> str:
    """The last line that a command of its own process prints."""
    done = subprocess.run(
        [sys.executable, "-m", "quoit.cli.main", *arguments],
        capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def virtual(file: Path, until_ns: int, seed: int) -> str:
    twin = assemble(loads(file.read_text()), Parts(lambda kme: MemoryStore(), seed))
    digest = Digest()
    twin.kernel.sinks.append(digest)
    world = VirtualWorld(twin.kernel)
    world.begin()
    world.run_until(until_ns)
    return digest.hexdigest()


@pytest.mark.realises("F8")
def test_twice_in_a_process_and_in_others_whatever_their_hashes() -> None:
    here = virtual(MADRID, 20 * S, 7)
    assert virtual(MADRID, 20 * S, 7) == here
    command = ("run", str(MADRID), "--until", "20s", "--seed", "7", "--digest")
    assert quoit(*command, PYTHONHASHSEED="1") == here
    assert quoit(*command, PYTHONHASHSEED="2") == here
    assert virtual(MADRID, 20 * S, 8) != here


@pytest.mark.realises("F1", "F4", "F8")
@pytest.mark.live
@pytest.mark.parametrize("start", ["0s", "2s"])
def test_live_as_virtual(tmp_path: Path, start: str) -> None:
    common = ("--until", "3s", "--seed", "7", "--digest")
    live = quoit("up", str(TWO), *common, "--speed", "2", "--from", start, "--dir", str(tmp_path))
    assert live == quoit("run", str(TWO), *common) == virtual(TWO, 3 * S, 7)


async def _recorded(directory: Path) -> str:
    """A live run with requests of every kind, good and bad; its digest."""
    host = Host(TWO.read_text(), HostOptions(directory, seed=7, from_ns=3 * S, until_ns=6 * S, serve=False))
    await host.start()
    world = host.world
    for n in range(4):
        ids = tuple(str(uuid.UUID(int=10 * n + i + 1, version=4)) for i in range(n + 1))
        await world.ask("kme-alice", GetStatus("alice-app", "bob-app"))
        opened: Keys = await world.ask("kme-alice", OpenKeys("alice-app", "bob-app", n + 1, ids))
        taken: Keys = await world.ask("kme-bob", TakeKeys("bob-app", "alice-app", ids))
        assert [k.value for k in opened.keys] == [k.value for k in taken.keys]
        with pytest.raises(Problem):
            await world.ask("kme-bob", TakeKeys("bob-app", "alice-app", ids))
    with pytest.raises(Problem):
        await world.ask("kme-alice", OpenKeys("alice-app", "bob-app", 1, ("x",), 7))
    await world.ask(FATE, Strike("cut", host.network.spans[0].id))
    await world.ended()
    await host.stop()
    return host.digest.hexdigest()


@pytest.mark.realises("F8")
@pytest.mark.live
def test_a_recorded_run_is_repeated_event_for_event(tmp_path: Path) -> None:
    live = asyncio.run(_recorded(tmp_path))
    recording = tmp_path / "journal.jsonl"
    assert len(journal.read(recording).inputs) == 4 * 4 + 2
    assert live != virtual(TWO, 6 * S, 7)  # what entered from outside left its mark
    assert quoit("replay", str(recording), "--digest") == live
