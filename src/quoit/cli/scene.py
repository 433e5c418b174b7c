"""`quoit scene`: a WireGuard tunnel lives through an eavesdropper.

The tunnel takes a fresh key every few seconds while pings cross it. Intercept-resend is switched on at the direct link:
alarm, quarantine, keys of suspect blocks void, the tunnel lives on its last key until keys come another way; then the
eavesdropper goes. Ends with 0 if all that it prints as fact was so, else 1.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from quoit.cli import show
from quoit.cli.top import Operator
from quoit.testing.checkers import verify_events
from quoit.testing.namespaces import Cable, Missing, lines, need, pinged

NETWORK = Path("examples/tunnel.yaml")
TAPPED = "office-a--office-b"
FRACTION = 0.4
QUOIT = (sys.executable, "-m", "quoit.cli.main")


@dataclass
class Story:
    """What was claimed, and whether all of it was so."""

    good: bool = True
    rotations: list[float] = field(default_factory=list)
    dry: int = 0

    def claim(self, holds: bool, text: str) -> None:
        """Print a fact, or that it is none."""
        self.good = self.good and holds
        print(("  " if holds else "NOT SO: ") + text, flush=True)


@contextlib.contextmanager
def _twin(directory: Path) -> Iterator[Operator]:
    command = [*QUOIT, "up", str(NETWORK), "--dir", str(directory), "--port", "0", "--from", "20s", "--json"]
    with (directory.parent / "twin.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise RuntimeError(f"the twin did not start: {(directory.parent / 'twin.log').read_text()}")
        yield Operator(directory)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


@contextlib.contextmanager
def _agents(directory: Path, cable: Cable, every_s: float, story: Story) -> Iterator[None]:
    (ia, pa), (ib, pb) = cable.wireguard()
    base = [*QUOIT, "tunnel", "wireguard", "--dir", str(directory), "--agent", "127.0.0.1:7099"]
    b = [*base, "--sae", "encryptor-b", "--peer", "encryptor-a", "--interface", ib, "--public-key", pb]
    a = [*base, "--initiate", "--sae", "encryptor-a", "--peer", "encryptor-b", "--interface", ia, "--public-key", pa]
    responder = subprocess.Popen(b, stdout=subprocess.PIPE, text=True)
    next(lines(responder))
    initiator = subprocess.Popen([*a, "--every", f"{every_s:g}s"], stdout=subprocess.PIPE, text=True)

    def follow() -> None:
        for event in lines(initiator):
            if event["event"] == "rotated":
                story.rotations.append(time.monotonic())
            elif event["event"] == "no fresh key":
                story.dry += 1

    threading.Thread(target=follow, daemon=True).start()
    try:
        yield
    finally:
        for process in (initiator, responder):
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def _link(operator: Operator) -> dict[str, Any]:
    rows: list[dict[str, Any]] = msgspec.json.decode(operator.get("/links"))["rows"]
    return next(row for row in rows if row["link"] == TAPPED)


def _wait(what: Any, within_s: float) -> float | None:
    """Seconds until it is so; None if it did not become so."""
    began = time.monotonic()
    while not what():
        if time.monotonic() - began > within_s:
            return None
        time.sleep(0.1)
    return time.monotonic() - began


def play(directory: Path, every_s: float, calm_s: float) -> bool:
    """Play the scene; whether all was as claimed."""
    story = Story()
    with _twin(directory / "run") as operator, Cable(directory / "cable") as cable:
        with _agents(directory / "run", cable, every_s, story):
            print(f"A WireGuard tunnel takes a fresh key every {every_s:g} s; pings cross it, 20 a second.")
            story.claim(_wait(lambda: len(story.rotations) >= 3, 60) is not None, "three keys have been in use")
            ping = cable.ping(int(20 * (calm_s + 40)))
            time.sleep(calm_s / 2)
            print(f"Intercept-resend on {FRACTION:.0%} of the pulses of {TAPPED} ...", flush=True)
            struck, before = time.monotonic(), len(story.rotations)
            _strike(operator, FRACTION)
            took = _wait(lambda: _link(operator)["state"] == "quarantined", 30)
            qber = _link(operator)["qber"]
            story.claim(took is not None, f"alarm and quarantine after {took or 0:.1f} s; QBER {qber:.2%}")
            took = _wait(lambda: len(story.rotations) >= before + 3, 60)
            story.claim(took is not None, "keys come another way: three rotations since")
            time.sleep(calm_s / 2)
            _strike(operator, 0.0)
            back = _wait(lambda: _link(operator)["state"] == "up", 60)
            story.claim(back is not None, f"the eavesdropper is gone; the link is back after {back or 0:.1f} s")
            ping.send_signal(signal.SIGINT)
            sent, received = pinged(ping)
        gaps = list(pairwise(story.rotations))
        story.claim(received >= 0.9 * sent, f"packets lost: {sent - received} of {sent}")
        longest = max((b - a for a, b in gaps if b > struck), default=0)
        print(f"  rotations: {len(story.rotations)}; times that there was no fresh key: {story.dry}")
        print(f"  longest time on one key since the attack began: {longest:.1f} s")
    log = directory / "run" / "events.jsonl"
    story.claim(compromised_bits(log) == 0, f"compromised bits delivered: {compromised_bits(log)}")
    story.claim(verify_events(log).violations == [], "the log keeps every promise")
    return story.good


def _strike(operator: Operator, fraction: float) -> None:
    operator.post("/strike", {"kind": "intercept", "target": TAPPED, "amount": fraction})


def compromised_bits(log: Path) -> int:
    """By the ground truth of the log: bits used of blocks that were measured while somebody listened."""
    listened: list[tuple[float, float]] = []
    blocks: set[int] = set()
    bits = 0
    for line in log.read_bytes().splitlines():
        event = json.loads(line)
        if event["event"] == "world.edited" and event["what"].startswith("intercept"):
            if event["what"].endswith(TAPPED):
                listened[-1] = (listened[-1][0], event["t"])
            else:
                listened.append((event["t"], float("inf")))
        elif event["event"] == "block.made" and event["link"] == TAPPED:
            begun = event["began"]
            if any(begun < end and event["t"] > start for start, end in listened):
                blocks.add(event["block"])
        elif event["event"] == "pool.spent" and event["link"] == TAPPED and event["use"] in ("delivered", "pad"):
            bits += event["bits"] if event["block"] in blocks else 0
    return bits


def show_scene(every: float, calm: float) -> int:
    """The scene from the command line: `every` and `calm` in seconds."""
    try:
        need("wg", "wireguard-go")
    except Missing as missing:
        raise show.UserError(f"the scene needs what is not here: {missing}; see docs/tunnels.md") from missing
    with tempfile.TemporaryDirectory(prefix="quoit-scene-") as name:
        return 0 if play(Path(name), every, calm) else 1
