"""Looks into texts and files for what an index knows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from quoit.testing.leaks.prints import PrintIndex, PrintKey, Words, runs, telling
from quoit.testing.leaks.readings import readings_of

CHUNK_BYTES = 1 << 22
OVERLAP_BYTES = 1 << 10
"""Of a file's chunks: more than any way of writing a window takes."""
MASK = "█"


class Hit(NamedTuple):
    """Where bytes of a secret stand, and how they are written. Never the bytes."""

    form: str
    start: int
    stop: int


class Search:
    """Secrets that are known, and the look for them."""

    def __init__(self, key: bytes, index: PrintIndex | None = None) -> None:
        self.key = PrintKey(key)
        self.index = index or PrintIndex()

    def hits(self, text: bytes) -> list[Hit]:
        """All stretches of the text that hold 8 bytes or more of a known secret."""
        found: list[Hit] = []
        if len(self.index):
            for form, windows, starts, stops in readings_of(text):
                here = np.flatnonzero(self.index.has(self.key.of(windows)))
                if len(here):
                    found += (Hit(form, *run) for run in runs(starts[here].tolist(), stops[here].tolist()))
        return found

    def masked(self, text: str) -> tuple[str, list[str]]:
        """The text with every find struck out, and the forms in which there were any."""
        data = encoded(text)
        found = self.hits(data)
        if not found:
            return text, []
        cut = bytearray(data)
        for start, stop in reversed(runs([hit.start for hit in found], [hit.stop for hit in found])):
            cut[start:stop] = MASK.encode() * 3
        return cut.decode("utf-8", "replace"), sorted({hit.form for hit in found})

    def forms_in_file(self, path: Path) -> list[str]:
        """In which forms a file holds bytes of secrets. A file that is gone or cannot be read holds none."""
        forms: set[str] = set()
        for chunk in _chunks(path):
            forms |= {hit.form for hit in self.hits(chunk)}
        return sorted(forms)


def encoded(text: str) -> bytes:
    """A text as bytes; what was no UTF-8 when it was read is what it was, and half a character is no error."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def prints_of(key: PrintKey, text: bytes) -> Words:
    """The prints of all that a short text may mean, for somebody else's index."""
    windows = np.concatenate([reading.windows for reading in readings_of(text)])
    return np.unique(key.of(windows[telling(windows)]))


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            tail = b""
            while chunk := file.read(CHUNK_BYTES):
                yield tail + chunk
                tail = chunk[-OVERLAP_BYTES:]
    except OSError:
        return
