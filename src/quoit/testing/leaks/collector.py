"""Takes secrets as they come and passes on their prints, a few hundred at a time."""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from quoit.testing.leaks.prints import PrintKey, Words, is_text, pieces_of

AT_LEAST_BYTES = 16
"""Shorter values are no keys: PINs and words of tests would be found everywhere."""
PENDING, PENDING_S = 4096, 0.2
SEEN = 1 << 16
KEY_FILE = "key"


class Collector:
    """`take` secrets; their prints go to `sink` when there are enough, when some time has passed, and at `flush`. Names
    of files that are secrets go to `file`.

    Until then the parts of a secret that count are kept as they are, 4,096 parts at most. Any thread may call.
    """

    def __init__(self, key: PrintKey, sink: Callable[[Words], None], file: Callable[[Path], None]) -> None:
        self._key = key
        self._sink = sink
        self._file = file
        self._pending: list[bytes] = []
        self._texts: list[bytes] = []
        self._seen: set[int] = set()
        self._flushed_s = time.monotonic()
        self.taken = 0

    def take(self, secret: bytes | bytearray | Path) -> None:
        """Remember this one, unless it is short or was here before."""
        if isinstance(secret, Path):
            self._file(secret.absolute())
            return
        if len(secret) < AT_LEAST_BYTES:
            return
        parts = pieces_of(secret)
        known = hash(tuple(parts))
        if known in self._seen:
            return
        self.taken += 1
        if len(self._seen) >= SEEN:
            self._seen.clear()
        self._seen.add(known)
        waiting = self._texts if is_text(secret) else self._pending
        waiting += parts
        if len(waiting) >= PENDING or time.monotonic() - self._flushed_s > PENDING_S:
            self.flush()

    def divert(self, file: PrintFile) -> None:
        """From now on pass on by a file, with nothing pending: in a fork, what is pending is its parent's to tell."""
        self._sink, self._file, self._pending, self._texts = file.write, file.note_file, [], []

    def flush(self) -> None:
        """Pass on what is pending."""
        self._flushed_s = time.monotonic()
        if self._pending:
            parts, self._pending = self._pending, []
            self._sink(self._key.of_secrets(parts))
        if self._texts:
            parts, self._texts = self._texts, []
            self._sink(self._key.of_secrets(parts, texts=True))


class PrintFile:
    """Where a process started by tests leaves its prints: a file of its own in the search's directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.key = PrintKey((directory / KEY_FILE).read_bytes())

    def write(self, prints: Words) -> None:
        """Append, in one system call, under this process's number: forks have files of their own."""
        self._append("prints", prints.tobytes())

    def note_command(self, prints: Words) -> None:
        """The prints of what a command line and its new environment may mean."""
        self._append("commands", prints.tobytes())

    def note_file(self, path: Path) -> None:
        """A file that this process read as a secret."""
        self._append("files", os.fsencode(path) + b"\n")

    def _append(self, kind: str, data: bytes) -> None:
        try:
            out = os.open(self.directory / f"{os.getpid()}.{kind}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError:
            return  # the tests have ended, or there are no file descriptors: what runs on is not disturbed
        try:
            os.write(out, data)
        except OSError:
            return
        finally:
            os.close(out)


class PrintFiles:
    """Reads what the processes started by tests have left since the last time."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read: dict[Path, int] = {}

    def news(self, kind: str) -> Words:
        """New prints of this kind, of all processes."""
        return np.frombuffer(b"".join(self._new(kind, 8)), np.uint64)

    def secret_files(self) -> set[Path]:
        """All files that were read as secrets since the last time."""
        return {Path(os.fsdecode(line)) for data in self._new("files", 1) for line in data.splitlines()}

    def _new(self, kind: str, unit: int) -> Iterator[bytes]:
        """What has come to each file, in whole units of so many bytes."""
        for path in sorted(self._directory.glob(f"*.{kind}")):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                data = file.read()
            size = len(data) // unit * unit
            self._read[path] = self._read.get(path, 0) + size
            yield data[:size]


def collect_into(directory: Path) -> tuple[PrintFile, Collector]:
    """A file and its collector, for a process that tests have started."""
    file = PrintFile(directory)
    collector = Collector(file.key, file.write, file.note_file)
    atexit.register(collector.flush)
    return file, collector
