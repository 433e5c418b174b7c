"""A live twin whose stores are under a key of a transit engine: it serves, stops when the vault is sealed, and goes on
from what was committed, under that key or the one its stores were wrapped with since.

The engine is tests/transit_server.py, which is neither Vault nor OpenBao.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from transit_server import TransitServer

FILE = Path(__file__).parents[2] / "examples" / "two-nodes.yaml"
QUOIT = [sys.executable, "-m", "quoit.cli.main"]


@contextlib.contextmanager
def twin_under(kek: str, directory: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """A twin that is up."""
    command = [*QUOIT, "up", str(FILE), "--dir", str(directory), "--port", "0", "--json", "--kek", kek, *more]
    twin = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert twin.stdout is not None
        json.loads(twin.stdout.readline())
        yield twin
    finally:
        twin.kill()
        twin.wait(30)


def ask_for_a_key(directory: Path) -> subprocess.CompletedProcess[str]:
    command = [*QUOIT, "keys", "alice-app", "bob-app", "--dir", str(directory), "--json"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def takes_a_key(directory: Path) -> None:
    done = ask_for_a_key(directory)
    assert done.returncode == 0, done.stderr


@pytest.mark.live
@pytest.mark.trial
def test_a_twin_under_a_vault_that_is_sealed_meanwhile(transit: TransitServer, tmp_path: Path) -> None:
    directory, kek = tmp_path / "run", transit.uri("kek")
    with twin_under(kek, directory, "--from", "10s") as twin:
        takes_a_key(directory)
        transit.sealed = True
        assert ask_for_a_key(directory).returncode != 0
        _, errors = twin.communicate(timeout=60)
    assert twin.returncode == 1
    assert "stopped: StoreFailed" in errors
    assert "sealed, or in maintenance" in errors
    transit.sealed = False
    with twin_under(kek, directory, "--resume"):
        takes_a_key(directory)
    new = tmp_path / "new.kek"
    for kme in ("kme-alice", "kme-bob"):
        rotate = [*QUOIT, "store", "rotate", kme, "--dir", str(directory), "--kek", kek, "--to", str(new)]
        subprocess.run(rotate, check=True, capture_output=True, timeout=60)
    asked = len(transit.asked)
    with twin_under(str(new), directory, "--resume") as twin:
        takes_a_key(directory)
        twin.send_signal(signal.SIGINT)
        _, told = twin.communicate(timeout=30)
    assert "stopped:" not in told  # of a slow machine it may say that it fell behind
    assert len(transit.asked) == asked
    assert not list(directory.rglob("kek.*"))
    for file in directory.rglob("*"):
        if file.is_file():
            assert transit.token.encode() not in file.read_bytes(), file
    assert transit.token not in errors
