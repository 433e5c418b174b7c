"""A simulator in a process of its own, spoken to by JSON lines.

The worker leads a session, so that it and whatever it starts are ended together: when the simulator is closed, when it
crashes, falls silent, is too slow or garbles the protocol, and when our process ends in whatever way, because a worker
kills its group when its standard input closes. After a failure the next use starts a fresh one.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from quoit.adapters.simulators import wire
from quoit.engine.simulators.port import Capabilities, Result, Scenario, SimulatorFailed

GREETING_S = 120.0
"""Imports of some simulators take seconds on a quiet machine."""
SILENCE_S = 20.0
"""A worker that plays beats each second; one that is silent for so long hangs."""
FAREWELL_S = 2.0
"""For the last words of a worker that was killed."""
LOOK_S = 0.1
"""So often a wait looks whether the worker is alive."""
TAIL_LINES = 8
"""Of standard error, in messages."""


class _Running:
    """One life of a worker: its process, the lines that come, the end of what it wrote to standard error."""

    def __init__(self, command: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.lines: queue.Queue[bytes] = queue.Queue(maxsize=64)
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.number = 0
        out, err = self.process.stdout, self.process.stderr
        assert out is not None
        assert err is not None
        self._readers = [
            (threading.Thread(target=_read_lines, args=(out, self.lines), daemon=True), out),
            (threading.Thread(target=_read_tail, args=(err, self.tail), daemon=True), err),
        ]
        for reader, _ in self._readers:
            reader.start()

    def send(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def end(self) -> None:
        """Kill the group: also what a worker that is gone has left behind."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        deadline = time.monotonic() + FAREWELL_S
        for reader, pipe in self._readers:
            while reader.is_alive() and time.monotonic() < deadline:
                with contextlib.suppress(queue.Empty):  # it may wait for room
                    self.lines.get_nowait()
                reader.join(0.02)
            # Who has left the group may hold the other end, and closing a pipe that is being read would wait for him.
            if not reader.is_alive():
                pipe.close()


def _read_lines(source: IO[bytes], lines: queue.Queue[bytes]) -> None:
    with contextlib.suppress(ValueError, OSError):
        while line := source.readline(wire.MAX_LINE):
            lines.put(line)


def _read_tail(source: IO[bytes], tail: deque[str]) -> None:
    with contextlib.suppress(ValueError, OSError):
        while line := source.readline(wire.MAX_LINE):
            tail.append(line.decode(errors="replace").rstrip()[:200])


class WorkerSimulator:
    """`Simulator` behind a worker. `command` gives the command line that starts it, or raises SimulatorFailed."""

    def __init__(
        self,
        name: str,
        command: Callable[[], Sequence[str]],
        *,
        greeting_s: float = GREETING_S,
        silence_s: float = SILENCE_S,
    ) -> None:
        self.name = name
        self._command = command
        self._greeting_s = greeting_s
        self._silence_s = silence_s
        self._running: _Running | None = None
        self._capabilities: Capabilities | None = None
        self._end: weakref.finalize[..., WorkerSimulator] | None = None
        self._one_at_a_time = threading.RLock()

    @property
    def capabilities(self) -> Capabilities:
        """See `Simulator.capabilities`; the first time it starts the worker."""
        with self._one_at_a_time:
            if self._capabilities is None:
                self._started()
            assert self._capabilities is not None
            return self._capabilities

    def play(self, scenario: Scenario, within_s: float) -> Result:
        """See `Simulator.play`. The deadline begins when the worker has greeted, however long its imports take."""
        with self._one_at_a_time:
            running = self._started()
            doing = f"playing {scenario.kind}"
            try:
                running.number += 1
                running.send(wire.request(running.number, scenario, within_s))
                answer = self._answer(running, doing, within_s)
                if answer.error is not None:
                    raise self._failed(doing, f"it said: {answer.error}")
                assert self._capabilities is not None
                return wire.result(answer, self._capabilities, scenario)
            except wire.Garbled as fault:
                raise self._ended(doing, str(fault)) from fault
            except BrokenPipeError as fault:
                raise self._ended(doing, "it crashed") from fault
            except KeyboardInterrupt:
                self.close()
                raise

    def close(self) -> None:
        """See `Simulator.close`."""
        with self._one_at_a_time:
            self._running = None
            if self._end is not None:
                self._end()

    @property
    def pid(self) -> int | None:
        """Of the worker, which is its group's too; None while there is none."""
        return None if self._running is None else self._running.process.pid

    def _started(self) -> _Running:
        """The worker, greeted."""
        if self._running is not None and self._running.process.poll() is not None:
            self.close()
        if self._running is not None:
            return self._running
        command = self._command()
        try:
            running = _Running(command)
        except OSError as fault:
            raise SimulatorFailed(f"{self.name}: cannot start {command[0]}: {fault.strerror}") from fault
        self._running, self._end = running, weakref.finalize(self, running.end)
        doing, late = "starting", f"it did not greet within {self._greeting_s:g} s"
        try:
            capabilities = wire.greeting(self._next(running, doing, time.monotonic() + self._greeting_s, late))
        except wire.Garbled as fault:
            raise self._ended(doing, str(fault)) from fault
        except KeyboardInterrupt:
            self.close()
            raise
        self._capabilities = capabilities
        return running

    def _answer(self, running: _Running, doing: str, within_s: float) -> wire.Message:
        """The answer to the last request, past its beats."""
        deadline, late = time.monotonic() + within_s, f"no answer within {within_s:g} s"
        while True:
            found = self._next(running, doing, deadline, late, self._silence_s)
            if found.id == running.number:
                return found
            if found.beat != running.number:
                raise wire.Garbled(f"expected a beat of request {running.number} or its answer, found another line")
            if time.monotonic() >= deadline:
                raise self._ended(doing, late)

    def _next(
        self, running: _Running, doing: str, deadline: float, late: str, silence_s: float | None = None
    ) -> wire.Message:
        """The next line, by the deadline (`late` says what it means to miss it) and before the silence is too long."""
        began = time.monotonic()
        while True:
            with contextlib.suppress(queue.Empty):
                return wire.message(running.lines.get(timeout=min(LOOK_S, max(0.0, deadline - time.monotonic()))))
            now = time.monotonic()
            # Its children may hold its standard output open, so the end of that tells nothing.
            if running.process.poll() is not None and running.lines.empty():
                raise self._ended(doing, f"it crashed ({_end_of(running.process.returncode)})")
            if now >= deadline:
                raise self._ended(doing, late)
            if silence_s is not None and now - began >= silence_s:
                raise self._ended(doing, f"it fell silent for {silence_s:g} s")

    def _ended(self, doing: str, what: str) -> SimulatorFailed:
        """End the worker, then say why."""
        running = self._running
        self.close()
        return self._failed(doing, what, running)

    def _failed(self, doing: str, what: str, running: _Running | None = None) -> SimulatorFailed:
        running = running or self._running
        tail = "" if running is None or not running.tail else "; standard error ends:\n  " + "\n  ".join(running.tail)
        return SimulatorFailed(f"{self.name}, {doing}: {what}{tail}")


def _end_of(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def worker_command(python: Path, player: Path) -> list[str]:
    """The command line of a player in an interpreter: its own environment and nothing of ours."""
    worker = Path(__file__).parent / "workers" / "worker.py"
    return [str(python), "-E", "-s", str(worker), str(player)]
