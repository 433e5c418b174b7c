"""One story, three worlds: virtual, live in one process, live in three processes over NATS."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

FILE = Path(__file__).parent / "three.yaml"
UNTIL = "6s"
SPEEDS = ("1", "0.5", "0.25")
"""A run that the machine was too busy for says that it was not faithful, and promises nothing: it is run again, with
twice the time for every simulated second, so that what is on its way has twice as long to come."""


def quoit(*arguments: str) -> str:
    """The last line of what a command prints that promises to be faithful."""
    command = [sys.executable, "-m", "quoit.cli.main", *arguments]
    for speed in SPEEDS:
        paced = ["--speed", speed] if arguments[0] == "up" else []
        done = subprocess.run([*command, *paced], capture_output=True, text=True, timeout=180, check=False)
        if "run.not_faithful" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def transcript(log: Path) -> list[tuple[int, str, str]]:
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    return sorted((e["t"], e["by"], e["event"]) for e in entries)


@pytest.mark.realises("F1", "F3", "F8", "G3")
@pytest.mark.live
def test_the_same_transcript_with_the_same_time_stamps(tmp_path: Path) -> None:
    one, three = tmp_path / "one", tmp_path / "three"
    virtual = quoit("run", str(FILE), "--until", UNTIL, "--digest")
    live = quoit("up", str(FILE), "--until", UNTIL, "--digest", "--dir", str(one))
    spread = quoit("up", str(FILE), "--until", UNTIL, "--digest", "--dir", str(three), "--processes", "3")
    assert transcript(one / "events.jsonl") == transcript(three / "events.jsonl")
    assert virtual == live == spread


@pytest.mark.realises("F1", "F8")
@pytest.mark.live
def test_a_crew_that_began_with_a_fast_forward_goes_on_as_one_process_would(tmp_path: Path) -> None:
    arguments = (str(FILE), "--from", "3s", "--until", UNTIL, "--digest", "--dir")
    assert quoit("up", *arguments, str(tmp_path), "--processes", "3") == quoit(
        "run", str(FILE), "--until", UNTIL, "--digest"
    )


@pytest.mark.live
def test_nothing_secret_is_left_in_the_directory_of_a_crew(tmp_path: Path) -> None:
    quoit("up", str(FILE), "--until", "1s", "--digest", "--dir", str(tmp_path), "--processes", "2")
    left = {path.name for path in tmp_path.iterdir()}
    assert not left & {"root.key", "nats.token", "nats.conf"}


@pytest.mark.live
@pytest.mark.trial
def test_f8_a_bus_that_dies_ends_the_crew_and_says_so(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    command = [sys.executable, "-m", "quoit.cli.main", "up", str(FILE), "--dir", str(directory), "--port", "0"]
    crew = subprocess.Popen(
        [*command, "--processes", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        end = time.monotonic() + 40
        while not (directory / "operator.sock").exists():
            assert time.monotonic() < end
            time.sleep(0.1)
        time.sleep(1)
        found = subprocess.run(["pgrep", "-f", f"nats-server.*{directory}"], capture_output=True, text=True, check=True)
        for pid in found.stdout.split():
            os.kill(int(pid), signal.SIGKILL)
        _, errors = crew.communicate(timeout=40)
        assert crew.returncode == 1
        assert "BusGone" in errors
        assert "Traceback" not in errors
    finally:
        if crew.poll() is None:
            crew.kill()


@pytest.mark.live
@pytest.mark.trial
def test_ctrl_c_at_a_terminal_ends_a_crew_as_it_should(tmp_path: Path) -> None:
    """The signal reaches every process of the terminal at once, but not the bus, which the parts still need."""
    command = [sys.executable, "-m", "quoit.cli.main", "up", str(FILE), "--dir", str(tmp_path), "--port", "0"]
    crew = subprocess.Popen(
        [*command, "--processes", "2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 40
        while not (tmp_path / "operator.sock").exists():
            assert time.monotonic() < end
            time.sleep(0.1)
        time.sleep(1)
        os.killpg(crew.pid, signal.SIGINT)
        _, errors = crew.communicate(timeout=40)
        assert "BusGone" not in errors
        assert "Traceback" not in errors
        assert crew.returncode == int("not faithful" in errors)
        assert not (tmp_path / "nats.token").exists()
    finally:
        if crew.poll() is None:
            crew.kill()
