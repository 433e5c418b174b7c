"""A live twin is killed, stopped, starved of disk, of file descriptors and of memory; real clients keep what they were
given."""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import requests
from applications import Applications

from quoit.adapters.stores.audit import verify_audit
from quoit.testing.checkers import verify_events

pytestmark = [pytest.mark.live, pytest.mark.trial]
TWO_NODES = Path(__file__).parents[2] / "examples" / "two-nodes.yaml"
KILLS = 4


class Twin(Applications):
    """`quoit up` in a process of its own, and its applications."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.directory = directory
        self.process: subprocess.Popen[str] | None = None

    def up(self, *options: str, limit: tuple[int, int] | None = None) -> None:
        """Start it, with a limit of the system, and wait until it says where its doors are."""
        command = [sys.executable, "-m", "quoit.cli.main", "up", str(TWO_NODES), "--dir", str(self.directory)]
        with (self.directory.parent / "errors.txt").open("a") as errors:
            self.process = subprocess.Popen(
                [*command, "--port", "0", "--json", *options],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                preexec_fn=None if limit is None else lambda: resource.setrlimit(limit[0], (limit[1], limit[1])),
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (self.directory.parent / "errors.txt").read_text()
        self.enter(json.loads(line))

    def end(self, number: int = signal.SIGINT) -> int:
        """Stop the process; its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)

    def serves_or_ends(self) -> bool:
        """Whether it gives keys again within 20 s, or has ended."""
        assert self.process is not None
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if self.opens_within(0.5) or self.process.poll() is not None:
                return True
        return False

    def judge(self) -> None:
        """What holds whatever happened: once each, chains whole, log without a violation."""
        assert set(self.taken.values()) <= {1}
        for log in self.directory.glob("stores/*/audit.jsonl"):
            verify_audit(log)
        assert verify_events(self.directory / "events.jsonl").violations == []


@pytest.fixture
def twin(tmp_path: Path) -> Any:
    made = Twin(tmp_path / "run")
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait(30)


@pytest.mark.realises("B6", "C2")
def test_k4_k11_a_killed_twin_goes_on_with_its_keys_and_gives_none_twice(twin: Twin) -> None:
    twin.up()
    twin.first_key()
    for turn in range(KILLS):
        waiting: list[str] = []
        gone = time.monotonic() + 0.4 + 0.3 * turn
        with contextlib.suppress(requests.ConnectionError, requests.ReadTimeout):
            while True:
                waiting += twin.open()
                if len(waiting) > 4:
                    twin.take(waiting.pop(0))
                if time.monotonic() > gone and twin.process is not None:
                    twin.process.kill()
        assert twin.end(signal.SIGKILL) == -signal.SIGKILL
        twin.up("--resume")
        for key_id in twin.values:
            status = twin.take_patiently(key_id) if key_id not in twin.taken else twin.take(key_id)
            if key_id in twin.unsure or (key_id in twin.taken and status != 200):
                continue
            assert status in (200, 400)
        lost = [k for k in twin.values if k not in twin.taken]
        assert len(lost) <= turn + 1  # one answer at most was on its way when it was killed
        twin.first_key()
    assert twin.end() == 0
    twin.judge()


@pytest.mark.realises("F4")
def test_a_twin_that_was_stopped_for_seconds_goes_on(twin: Twin) -> None:
    twin.up()
    held = twin.first_key()
    assert twin.process is not None
    twin.process.send_signal(signal.SIGSTOP)
    time.sleep(3)
    twin.process.send_signal(signal.SIGCONT)
    assert [twin.take_patiently(k) for k in held] == [200, 200]
    assert [twin.take(k) for k in held] == [400, 400]
    assert twin.end() == 1  # it fell behind its own time, and says so
    twin.judge()


@pytest.mark.realises("C2")
def test_a_store_that_cannot_write_ends_the_twin_and_loses_nothing(twin: Twin) -> None:
    twin.up(limit=(resource.RLIMIT_FSIZE, 400_000))
    held = twin.first_key()
    assert twin.process is not None
    with contextlib.suppress(requests.ConnectionError, requests.ReadTimeout):
        while twin.open():
            pass
    assert twin.process.wait(30) == 1
    errors = (twin.directory.parent / "errors.txt").read_text()
    assert "stopped: StoreFailed" in errors
    twin.up("--resume")
    assert [twin.take_patiently(k) for k in held] == [200, 200]
    twin.first_key()
    assert twin.end() == 0
    twin.judge()


@pytest.mark.realises("G3")
def test_a_twin_without_file_descriptors_serves_again_when_they_are_back(twin: Twin) -> None:
    twin.up(limit=(resource.RLIMIT_NOFILE, 48))
    twin.first_key()
    host, port = twin.urls["alice-app"].removeprefix("https://").split(":")
    idle = [socket.create_connection((host, int(port)), timeout=5) for _ in range(40)]
    time.sleep(0.5)
    for connection in idle:
        connection.close()
    assert twin.serves_or_ends()
    assert twin.end() == 0
    twin.judge()


MIB = 1 << 20


class Greedy:
    """Clients that want all of a twin's memory: batches of keys on connections that stay, and large heads that never
    end on connections that come and go. What was answered is in the twin's `values`."""

    STAYING, PASSING, HELD, PAD = 2, 2, 40, "a" * 7_000

    def __init__(self, twin: Twin) -> None:
        self.twin = twin
        self.answers: Counter[int | str] = Counter()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._batches) for _ in range(self.STAYING)]
        self._threads += [threading.Thread(target=self._heads) for _ in range(self.PASSING)]
        self._connected = threading.Barrier(self.STAYING + 1)

    def begin(self) -> None:
        """They are connected when this returns."""
        for thread in self._threads:
            thread.start()
        self._connected.wait(20)

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _batches(self) -> None:
        alice = self.twin.sessions["alice-app"]
        url = f"{self.twin.urls['alice-app']}/api/v1/keys/bob-app/enc_keys"
        with requests.Session() as session:
            session.trust_env, session.cert, session.verify = False, alice.cert, alice.verify
            session.get(url.replace("enc_keys", "status"), timeout=10)
            self._connected.wait(20)
            while not self._over.is_set():
                try:
                    answer = session.get(url, params={"number": 128}, headers={"x-pad": self.PAD}, timeout=10)
                except (requests.ConnectionError, requests.ReadTimeout) as fault:
                    self.answers[type(fault).__name__] += 1
                    time.sleep(0.05)
                    continue
                self.answers[answer.status_code] += 1
                if answer.status_code == 200:
                    self.twin.values |= {key["key_ID"]: key["key"] for key in answer.json()["keys"]}

    def _heads(self) -> None:
        alice = self.twin.sessions["alice-app"]
        context = ssl.create_default_context(cafile=str(alice.verify))
        assert isinstance(alice.cert, tuple)
        context.load_cert_chain(*alice.cert)
        host, port = self.twin.urls["alice-app"].removeprefix("https://").split(":")
        held: list[socket.socket] = []
        while not self._over.is_set():
            try:
                plain = socket.create_connection((host, int(port)), timeout=5)
                held.append(context.wrap_socket(plain, server_hostname=host))
                held[-1].sendall(f"GET /api/v1/keys/bob-app/enc_keys HTTP/1.1\r\nx-pad: {self.PAD}".encode())
            except OSError as fault:
                self.answers[type(fault).__name__] += 1
                time.sleep(0.02)
            if len(held) > self.HELD:
                held.pop(0).close()
        for connection in held:
            connection.close()


@pytest.mark.realises("C2", "G3")
@pytest.mark.skipif(sys.platform != "linux", reason="a limit on the address space of a running process")
@pytest.mark.parametrize("room_mib", [2, 30])
def test_k4_k11_a_twin_without_memory_refuses_or_ends_and_goes_on_with_its_keys(twin: Twin, room_mib: int) -> None:
    twin.up()
    held = twin.first_key()
    greedy = Greedy(twin)
    greedy.begin()
    assert twin.process is not None
    pid = twin.process.pid
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + room_mib * MIB
    resource.prlimit(pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    with contextlib.suppress(subprocess.TimeoutExpired):
        twin.process.wait(3)
    greedy.end()
    assert sum(n for what, n in greedy.answers.items() if what != 200), "it never ran out of memory"
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert twin.serves_or_ends()
    if twin.process.poll() is None:
        assert twin.end() in (0, 1)
    errors = (twin.directory.parent / "errors.txt").read_text()
    assert twin.process.returncode == 0 or "\nstopped: " in errors or "\nnot faithful: " in errors, errors[-2000:]
    assert len(errors) < 20_000  # not a traceback for each client that it could not serve
    assert '"event": "client.refused"' in errors
    twin.up("--resume")
    rest = [k for k in twin.values if k not in held]
    for key_id in (*held, *rest[:: max(1, len(rest) // 10)]):
        assert twin.take_patiently(key_id) == 200
        assert twin.take(key_id) == 400
    twin.first_key()
    assert twin.end() == 0
    twin.judge()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's /proc")
def test_s1_a_twin_leaves_no_core_and_its_memory_is_not_its_users(twin: Twin) -> None:
    twin.up()
    assert twin.process is not None
    limits = Path(f"/proc/{twin.process.pid}/limits").read_text().splitlines()
    assert next(line.split()[4:6] for line in limits if line.startswith("Max core")) == ["0", "0"]
    assert Path(f"/proc/{twin.process.pid}/environ").stat().st_uid == 0  # as for every process that is not dumpable
    assert twin.end() == 0
