"""The audit log of a store: hash-chained JSON lines, on disk before an answer leaves."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec

GENESIS = "0" * 64


class AuditError(ValueError):
    """An audit log whose chain is broken: line number and what was expected."""


class AuditLog:
    """Appends records; each names the hash of the line before it."""

    def __init__(self, path: Path) -> None:
        fresh = not path.exists()
        self._out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if fresh:
            sync_directory(path.parent)
        else:
            _cut_torn_line(path)
        self._last = verify_audit(path)[1]
        self._encode = msgspec.json.Encoder().encode

    def write(self, records: list[dict[str, Any]]) -> None:
        """Append all records and flush them to disk. Raises OSError if that fails."""
        lines = bytearray()
        for record in records:
            line = self._encode({**record, "prev": self._last})
            self._last = hashlib.sha256(line).hexdigest()
            lines += line + b"\n"
        view = memoryview(lines)
        while view:
            view = view[os.write(self._out, view) :]
        os.fdatasync(self._out)

    def close(self) -> None:
        os.close(self._out)


def _cut_torn_line(path: Path) -> None:
    """A crash while a record was written leaves part of a line. Its answer never left, so it goes."""
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)


def sync_directory(directory: Path) -> None:
    """Make the names of new files in a directory durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def verify_audit(path: Path) -> tuple[int, str]:
    """Check the chain; returns (records, hash of the last line). Raises `AuditError`."""
    last, count = GENESIS, 0
    with path.open("rb") as lines:
        for count, raw in enumerate(lines, start=1):
            line = raw.rstrip(b"\n")
            try:
                prev = msgspec.json.decode(line)["prev"]
            except (msgspec.DecodeError, KeyError) as fault:
                raise AuditError(f"{path}:{count}: not an audit record") from fault
            if prev != last:
                raise AuditError(f"{path}:{count}: expected prev {last[:12]}, found {str(prev)[:12]}")
            last = hashlib.sha256(line).hexdigest()
    return count, last
