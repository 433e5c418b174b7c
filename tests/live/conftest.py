"""A twin of one's own: `quoit up` in a process, as a user starts it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

LiveTwin = Callable[..., AbstractContextManager[dict[str, Any]]]


@contextlib.contextmanager
def _live_twin(file: Path, directory: Path, *options: str) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "quoit.cli.main", "up", str(file), "--dir", str(directory), "--port", "0"]
    # A pipe's usual buffering: what a program waits for must be flushed by the twin.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    errors = directory.with_name(f"{directory.name}.errors")
    with errors.open("wb") as written:
        twin = subprocess.Popen(
            [*command, "--from", "10s", "--json", *options], stdout=subprocess.PIPE, stderr=written, env=buffered
        )
    try:
        assert twin.stdout is not None
        told = twin.stdout.readline()
        assert told, errors.read_text()
        doors: dict[str, Any] = json.loads(told)
        yield doors
    finally:
        twin.send_signal(signal.SIGINT)
        # A machine that was too busy makes a run that says it was not faithful, and nothing else may be wrong with it.
        late = twin.wait(30) == 1 and "run.not_faithful" in errors.read_text()
        assert late or twin.returncode == 0, errors.read_text()


@pytest.fixture(scope="session")
def live_twin() -> LiveTwin:
    """`with live_twin(file, directory, *options) as doors`: what `quoit up --json` tells. It must end well."""
    return _live_twin
