"""Runs one player of scenarios behind JSON lines: `python worker.py PLAYER.py`. Standard library only.

It runs in the simulator's own interpreter, where quoit is not installed. A player is a Python file with

    def capabilities() -> dict: ...   # simulator, version, formalisms, operations, scenarios, deterministic, clock
    def play(scenario: dict) -> dict: ...   # figures, missing, assumptions

The lines, each one JSON object in UTF-8:

    worker  {"quoit-simulator": 1, "capabilities": {...}}      once, when the player is imported
    quoit   {"id": 7, "scenario": {...}, "within_s": 60.0}     one at a time
    worker  {"beat": 7}                                        each second while it plays
    worker  {"id": 7, "result": {...}}                         or {"id": 7, "error": "text"}

The end of standard input ends the worker and all that it started: it leads a process group, and kills it. What the
player prints goes to standard error, for standard output belongs to the protocol.
"""

from __future__ import annotations

import json
import os
import queue
import runpy
import signal
import sys
import threading
import traceback
from typing import Any, BinaryIO

PROTOCOL = 1
BEAT_S = 1.0


class Lines:
    """The way out: whole lines, from any thread."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._lock = threading.Lock()

    def send(self, **message: Any) -> None:
        """One line. ValueError for what JSON cannot say, such as NaN."""
        line = json.dumps(message, allow_nan=False).encode() + b"\n"
        with self._lock:
            self._out.write(line)
            self._out.flush()


def own_standard_output() -> BinaryIO:
    """Keep standard output for the protocol; whatever prints from now on, C code too, prints to standard error."""
    kept = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return os.fdopen(kept, "wb")


def end_group() -> None:
    """Nothing that was started here may outlive its user."""
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def read_requests(source: BinaryIO, requests: queue.Queue[dict[str, Any]]) -> None:
    """Until the other side closes; then everything ends, whatever it is doing."""
    try:
        for line in source:
            requests.put(json.loads(line))
    finally:
        end_group()


def played(play: Any, scenario: dict[str, Any]) -> dict[str, Any]:
    """The answer's content: a result, or what went wrong."""
    try:
        result = play(scenario)
        json.dumps(result, allow_nan=False)
        return {"result": result}
    except Exception as fault:  # noqa: BLE001  the border of the player: its faults are told, not died of
        traceback.print_exc()
        return {"error": f"{type(fault).__name__}: {fault}"}


def answer(lines: Lines, play: Any, request: dict[str, Any]) -> None:
    """Play one scenario, with a beat each second."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(BEAT_S):
            lines.send(beat=request["id"])

    beating = threading.Thread(target=beat, daemon=True)
    beating.start()
    content = played(play, request["scenario"])
    done.set()
    beating.join()
    lines.send(id=request["id"], **content)


def main(player: str) -> None:
    """Serve until standard input ends."""
    lines = Lines(own_standard_output())
    source = os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), sys.stdin.fileno())
    requests: queue.Queue[dict[str, Any]] = queue.Queue(maxsize=16)
    threading.Thread(target=read_requests, args=(source, requests), daemon=True).start()
    found = runpy.run_path(player)
    lines.send(**{"quoit-simulator": PROTOCOL, "capabilities": found["capabilities"]()})
    while True:
        answer(lines, found["play"], requests.get())


if __name__ == "__main__":
    main(sys.argv[1])
