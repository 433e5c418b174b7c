"""A twin in two processes, one of which reaches the bus over a bad line: whatever the network does, no promise about
keys breaks, and a run that is not what it should be says so.

A crew speaks over TCP, which loses nothing while it stands. What is late is therefore handled late, and the run is
said to be not faithful; what is cut was lost, and the crew ends.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from applications import Applications
from bad_line import FROM, TO, BadLine

from quoit.adapters.buses.nats import find_server
from quoit.adapters.stores.audit import verify_audit
from quoit.cli import crew
from quoit.testing.checkers import verify_events

pytestmark = [pytest.mark.live, pytest.mark.trial]
NETWORK = """
quoit: 1
name: two
seed: 7
policies: {control_latency: 100ms}
nodes: {alice: {}, bob: {}}
spans: [{between: [alice, bob], length: 10 km}]
links: [{between: [alice, bob], profile: bb84-gigahertz}]
applications:
  - {sae: alice-app, kme: kme-alice, allow: [bob-app]}
  - {sae: bob-app, kme: kme-bob, allow: [alice-app]}
"""
ON_THE_LINE = 1
"""The process whose line to the bus is bad: bob's. The engine is in process 0."""
TRIES = 3
FAULT_S = 3.0


class Crew(Applications):
    """`quoit up --processes 2` as the command line leads it, with a `BadLine` between one process and the bus."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.directory = directory
        self.parts: list[subprocess.Popen[str]] = []
        self.line: BadLine | None = None
        self.code: int | None = None
        self.helpers: list[subprocess.Popen[bytes]] = []
        self._errors = directory.parent / f"{directory.name}.errors"
        monkeypatch.setattr(crew, "subprocess", SimpleNamespace(Popen=self._start_part))
        file = directory.parent / "two.yaml"
        file.write_text(NETWORK)
        given = ["--port", "0", "--json"]
        self._leader = threading.Thread(target=self._lead, args=(file, given))
        self._leader.start()
        while len(self.parts) < 2 and self._leader.is_alive():
            time.sleep(0.05)
        for part in self.parts:
            assert part.stdout is not None
            self.enter(json.loads(part.stdout.readline()))

    def _lead(self, file: Path, given: list[str]) -> None:
        self.code = crew.lead(file, self.directory, 2, given, False)

    def _start_part(self, command: list[str]) -> subprocess.Popen[str]:
        if command[-2:] == ["--part", str(ON_THE_LINE)]:
            at = command.index("--nats") + 1
            self.line = BadLine(int(command[at].rpartition(":")[2]))
            command[at] = f"nats://127.0.0.1:{self.line.port}"
        with self._errors.open("a") as errors:
            part = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        self.parts.append(part)
        return part

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    @property
    def bus(self) -> int:
        """The process of the NATS server."""
        found = subprocess.run(
            ["pgrep", "-f", f"nats-server.*{self.directory}/"], capture_output=True, text=True, check=True
        )
        return int(found.stdout.split()[0])

    def end(self) -> int:
        """As Ctrl-C ends it; its exit code."""
        for part in self.parts:
            with contextlib.suppress(ProcessLookupError):
                part.send_signal(signal.SIGINT)
        return self.ended()

    def ended(self) -> int:
        """Its exit code, when it has ended by itself."""
        self._leader.join(40)
        assert self.code is not None, "it does not end"
        return self.code

    def kill(self) -> None:
        for part in (*self.parts, *self.helpers):
            part.kill()
            part.wait(20)
        self._leader.join(20)
        if self.line is not None:
            self.line.cut()

    def trade(self, seconds: float) -> None:
        """Open and take keys for so long. What was answered is there for the other end, or its KME is busy."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for key_id in self.open():
                assert self.take_patiently(key_id) == 200
                assert self.take(key_id) == 400

    def judge(self) -> None:
        """What holds whatever happened."""
        assert set(self.taken.values()) <= {1}
        assert not set(self.refused) - {503, 504, 500}, self.refused
        for log in self.directory.glob("stores.*/*/audit.jsonl"):
            verify_audit(log)
        assert verify_events(self.directory / "events.jsonl").violations == []


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Crew]]:
    made: list[Crew] = []
    number = itertools.count()

    def begin() -> Crew:
        made.append(Crew(tmp_path / f"run{next(number)}", monkeypatch))
        return made[-1]

    yield begin
    for each in made:
        each.kill()


@pytest.mark.realises("B1", "F8", "G3")
def test_a_crew_on_a_good_line_is_faithful(start: Callable[[], Crew]) -> None:
    """What the faults below are compared with. A machine too busy for it has the test try again."""
    for _ in range(TRIES):
        made = start()
        made.first_key()
        made.trade(1)
        code = made.end()
        made.judge()
        if code == 0:
            break
    assert code == 0, made.errors
    assert "not_faithful" not in made.errors
    assert len(made.taken) > 4


@contextlib.contextmanager
def delayed(made: Crew) -> Iterator[None]:
    assert made.line is not None
    made.line.delay_s = 0.2
    yield
    made.line.delay_s = 0.0


def stalled(*ways: str) -> Any:
    @contextlib.contextmanager
    def stand_still(made: Crew) -> Iterator[None]:
        assert made.line is not None
        made.line.stall(*ways)
        yield
        made.line.flow()

    return stand_still


def stopped(which: Callable[[Crew], int]) -> Any:
    @contextlib.contextmanager
    def stop(made: Crew) -> Iterator[None]:
        os.kill(which(made), signal.SIGSTOP)
        yield
        os.kill(which(made), signal.SIGCONT)

    return stop


LATE = {
    "delayed by 0.2 s": delayed,
    "stalled both ways": stalled(TO, FROM),
    "stalled to the bus": stalled(TO),
    "stalled from the bus": stalled(FROM),
    "the part stopped": stopped(lambda made: made.parts[ON_THE_LINE].pid),
    "the bus stopped": stopped(lambda made: made.bus),
}


@pytest.mark.realises("B1", "C2", "F8")
@pytest.mark.parametrize("fault", LATE)
def test_k1_k3_what_the_network_holds_up_makes_a_run_not_faithful_and_breaks_no_promise(
    start: Callable[[], Crew], fault: str
) -> None:
    made = start()
    held = made.first_key()
    with ThreadPoolExecutor(1) as other:
        with LATE[fault](made):
            trading = other.submit(made.trade, FAULT_S)
            time.sleep(FAULT_S)
        trading.result(60)
    assert [made.take_patiently(k) for k in held] == [200, 200]
    made.first_key()  # it goes on, late as it is
    made.trade(1)
    assert made.end() == 1
    assert "run.not_faithful" in made.errors
    made.judge()
    for part in range(2):
        stamps = [json.loads(line)["t"] for line in (made.directory / f"events.{part}.jsonl").open()]
        assert stamps == sorted(stamps)  # T1: what comes late is handled late, and time goes on


def cut(made: Crew) -> None:
    assert made.line is not None
    made.line.cut()


def part_killed(made: Crew) -> None:
    made.parts[ON_THE_LINE].kill()


def bus_restarted(made: Crew) -> None:
    """It is back at once, at the same address: but what was said meanwhile is lost, so nobody may join it again."""
    config = made.directory / "nats.conf"
    (told,) = made.directory.glob("*.ports")
    port = json.loads(told.read_bytes())["nats"][0].rpartition(":")[2]
    again = made.directory / "again.conf"  # the crew may have taken its own away before the new server has read it
    again.write_text(config.read_text().replace('"127.0.0.1:-1"', f'"127.0.0.1:{port}"'))
    os.kill(made.bus, signal.SIGKILL)
    made.helpers.append(subprocess.Popen([find_server(), "-c", str(again)], stderr=subprocess.DEVNULL))


ENDS = {
    "the line cut": (cut, "BusGone"),
    "a part killed": (part_killed, "part 1 of the twin ended by signal 9"),
    "the bus killed and restarted": (bus_restarted, "BusGone"),
}


@pytest.mark.realises("C2", "F8")
@pytest.mark.parametrize("fault", ENDS)
def test_k1_k3_a_crew_that_lost_a_part_or_the_bus_ends_and_says_so(
    start: Callable[[], Crew], fault: str, capfd: pytest.CaptureFixture[str]
) -> None:
    made = start()
    made.first_key()
    strike, said = ENDS[fault]
    with ThreadPoolExecutor(1) as other:
        trading = other.submit(made.trade, 60)
        time.sleep(1)
        strike(made)
        assert made.ended() == 1
        with pytest.raises((requests.ConnectionError, requests.ReadTimeout)):
            trading.result(60)
    assert all(part.poll() is not None for part in made.parts)
    assert all(helper.poll() is None for helper in made.helpers)
    assert said in made.errors + capfd.readouterr().err
    made.judge()
