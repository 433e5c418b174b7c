"""The directory of a run: held by one process, and what a twin needs to go on after it was stopped."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import IO


class NothingToResume(ValueError):
    """The directory holds no twin that could go on; the text says why."""


class RunDirectoryBusy(ValueError):
    """Another twin runs in the directory; the text says how to go on."""


def hold_directory(directory: Path, name: str) -> IO[bytes]:
    """Hold the directory for this process: the lock goes with it, however it ends. `RunDirectoryBusy`."""
    lock = (directory / name).open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as fault:
        lock.close()
        raise RunDirectoryBusy(f"a twin runs in {directory} already: end it, or give this one another --dir") from fault
    return lock


class TwinState:
    """What a twin needs to know to go on after it was stopped, in a file: its life's number, about what instant it
    was, whose twin it is, and the key that marks keys in its event log."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.life = 0
        self.now_ns = 0
        self.mark_key = os.urandom(32)

    def next_life(self, network: str) -> None:
        """Read the state of the twin that stopped. Raises `NothingToResume`."""
        try:
            found = json.loads(self._path.read_bytes())
            name, life, now_ns = found["network"], int(found["life"]), int(found["now_ns"])
            self.mark_key = bytes.fromhex(found["mark_key"])
        except (OSError, ValueError, KeyError, TypeError) as fault:
            raise NothingToResume(f"{self._path}: no twin to go on with ({fault}); start without --resume") from fault
        if name != network:
            raise NothingToResume(f"{self._path} is of network {name}, not {network}; give the twin another --dir")
        self.life, self.now_ns = life + 1, now_ns
        self.note(network, now_ns)

    def note(self, network: str, now_ns: int) -> None:
        """Write down how far it is: whole or not at all."""
        state = {"network": network, "life": self.life, "now_ns": now_ns, "mark_key": self.mark_key.hex()}
        new = self._path.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump(state, out)
        os.replace(new, self._path)
