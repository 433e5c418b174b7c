"""Kills, fills and breaks a real process at each of its persistence calls, by strace, and looks at what is left."""

from __future__ import annotations

import contextlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from quoit.adapters.stores.audit import AuditError, verify_audit
from quoit.testing.campaign.witness import Witness

CALLS = ("fsync", "fdatasync", "pwrite64", "write", "ftruncate", "rename", "unlink")
"""The system calls by which a store's files change."""
FAULTS = ("kill", "ENOSPC", "EIO")
VICTIM = (sys.executable, "-m", "quoit.testing.campaign.victim")


@dataclass
class Tally:
    """What came of a campaign."""

    points: Counter[str] = field(default_factory=Counter)
    operations: int = 0
    lost: int = 0
    stopped: int = 0
    violations: list[str] = field(default_factory=list)


class Process:
    """A victim in a process of its own."""

    def __init__(self, directory: Path, before: tuple[str, ...] = (), victim: tuple[str, ...] = VICTIM) -> None:
        self._process = subprocess.Popen(
            [*before, *victim, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.ready = self._read() is not None

    def _read(self) -> dict[str, Any] | None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            return None
        answer: dict[str, Any] = msgspec.json.decode(line)
        return answer

    def call(self, command: dict[str, Any]) -> dict[str, Any] | None:
        """See `witness.Call`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode(command) + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return None
        return self._read()

    def end(self) -> int:
        """Let it end by itself, and wait for it."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        assert self._process.stdout is not None
        self._process.stdout.close()
        try:
            return self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            return self._process.wait(20)


def can_trace() -> bool:
    """Whether strace is there and may be used."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0


def count_calls(victim: tuple[str, ...] = VICTIM) -> dict[str, int]:
    """How often a whole life of the victim makes each call on files of its own."""
    with _directory() as directory:
        trace = directory / "trace"
        strace = ("strace", "-f", "-o", str(trace), "-e", f"trace={','.join(CALLS)}")
        process = Process(directory / "stores", strace, victim)
        Witness(random.Random(0)).drive(process.call)
        process.end()
        names = re.findall(r"^\d+\s+(\w+)\(", trace.read_text(), re.MULTILINE)
    return {call: names.count(call) for call in CALLS}


def at_point(call: str, when: int, fault: str, tally: Tally, victim: tuple[str, ...] = VICTIM) -> None:
    """One fault at one call; then the victim comes back, and is judged."""
    what = f"{fault} at {call} {when}"
    inject = "signal=SIGKILL" if fault == "kill" else f"error={fault}"
    with _directory() as directory:
        strace = ("strace", "-f", "-o", "/dev/null", "-e", f"inject={call}:{inject}:when={when}")
        stores = directory / "stores"
        witness = Witness(random.Random(when))
        process = Process(stores, strace, victim)
        if process.ready:
            witness.drive(process.call)
        tally.stopped += process.end() != 0
        process = Process(stores, (), victim)
        if process.ready:
            witness.judge(process.call)
        else:
            witness.violations.append("L2: it does not start again")
        process.end()
        witness.violations += _broken_audits(stores)
    tally.points[fault] += 1
    tally.operations += witness.operations
    tally.lost += witness.lost
    tally.violations += [f"{what}: {violation}" for violation in witness.violations]


def _broken_audits(stores: Path) -> Iterator[str]:
    for log in stores.glob("*/audit.jsonl"):
        try:
            verify_audit(log)
        except AuditError as fault:
            yield f"S2: {fault}"


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="quoit-campaign-") as name:
        yield Path(name)


def campaign(every: int = 1, victim: tuple[str, ...] = VICTIM) -> Tally:
    """Each fault at every `every`-th point of each call."""
    tally = Tally()
    for call, number in count_calls(victim).items():
        for fault in FAULTS:
            if fault != "kill" and call in ("rename", "unlink"):
                continue
            for when in range(1, number + 1, every):
                at_point(call, when, fault, tally, victim)
    return tally
