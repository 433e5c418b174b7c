"""Fingerprints of secrets: what is kept of them, so that a search need not keep the secrets themselves.

A *window* is 8 consecutive bytes, as one number; its print is that number under a key of the search. Two windows have
one print if and only if they are alike, so a find is never an accident of hashing. The key is 16 random bytes that
stay with the search: prints without it say nothing, and whoever reads the process's memory has the secrets anyway.

How rarely a search is wrong: a window of random key is alike a given window of the searched text with 2^-64. With m
prints and n searched windows the false alarms expected are at most n m / 2^64: 0.002 for 2^22 prints in 10^10 windows,
which is about a gigabyte of files in all readings.

Windows that constants and patterns might have (fewer than 5 different bytes, or fewer than 4 different steps from byte
to byte) are never kept: zeros, repeated bytes, bits as one byte each, counters. A random window is one of them with
probability 5e-7.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

WINDOW_BYTES = 8
KEY_BYTES = 16
WHOLE_BYTES = 64
"""Secrets up to this size are kept by all their windows: any 8 bytes of them are found."""
EDGE_BYTES, STRETCHES = 16, 4
"""Of longer ones (blocks of link key, of which many megabytes pass) are kept the first and the last 16 bytes and 4
windows in between, so a block that leaks whole or from its beginning is found. What is taken from a block to be used is
a secret of its own."""

Words = NDArray[np.uint64]


def pieces_of(secret: bytes | bytearray) -> list[bytes]:
    """The parts of a secret whose windows are kept."""
    size = len(secret)
    if size <= WHOLE_BYTES:
        return [bytes(secret)]
    step = max(1, (size - 2 * EDGE_BYTES) // STRETCHES)
    middle = range(EDGE_BYTES, size - EDGE_BYTES - WINDOW_BYTES, step)
    return [
        bytes(secret[:EDGE_BYTES]),
        bytes(secret[-EDGE_BYTES:]),
        *(bytes(secret[i : i + WINDOW_BYTES]) for i in middle),
    ]


def windows_of(data: bytes) -> Words:
    """All windows of `data`, little-endian: entry i is of bytes i to i + 7."""
    number = max(0, len(data) - WINDOW_BYTES + 1)
    return np.ndarray((number,), "<u8", data, 0, (1,)) if number else np.empty(0, np.uint64)


def windows_of_pieces(pieces: Sequence[bytes]) -> Words:
    """The windows of all pieces, none of which crosses from one to the next."""
    joined = windows_of(b"".join(pieces))
    sizes = np.array([len(piece) for piece in pieces], np.int64)
    ends = np.repeat(np.cumsum(sizes), sizes)[: len(joined)]
    return joined[np.arange(len(joined)) + WINDOW_BYTES <= ends]


def is_text(secret: bytes | bytearray) -> bool:
    """Is every byte one that text is made of?"""
    return all(9 <= byte <= 13 or 32 <= byte < 127 for byte in secret)


def telling(windows: Words, texts: bool = False) -> NDArray[np.bool_]:
    """Which windows could not be a constant or a pattern, nor, but for `texts`, a piece of text."""
    octets = np.ascontiguousarray(windows).view(np.uint8).reshape(-1, WINDOW_BYTES)
    steps = np.diff(octets, axis=1)
    found: NDArray[np.bool_] = (_different(octets) >= 5) & (_different(steps) >= 4)
    if not texts:
        letters = ((octets >= 32) & (octets < 127)) | ((octets >= 9) & (octets <= 13))
        found &= ~letters.all(axis=1)
    return found


def _different(rows: NDArray[np.uint8]) -> NDArray[np.int64]:
    found: NDArray[np.int64] = 1 + np.count_nonzero(np.diff(np.sort(rows, axis=1), axis=1), axis=1)
    return found


class PrintKey:
    """Makes prints of windows."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"expected {KEY_BYTES} bytes, found {len(key)}")
        self._mask = np.uint64(int.from_bytes(key[:8], "little"))
        self._factor = np.uint64(int.from_bytes(key[8:], "little") | 1)  # odd: different windows, different prints

    def of(self, windows: Words) -> Words:
        """The prints of these windows, in their order."""
        return (windows ^ self._mask) * self._factor

    def of_secrets(self, pieces: Sequence[bytes], texts: bool = False) -> Words:
        """The prints of the telling windows of these pieces, each once. `texts`: they are PINs and tokens."""
        windows = windows_of_pieces(pieces)
        return np.unique(self.of(windows[telling(windows, texts)]))


class PrintIndex:
    """A set of prints of bounded size: when it is full, the oldest eighth is forgotten, and `forgotten` counts them."""

    GENERATIONS = 8

    def __init__(self, bound: int = 1 << 22) -> None:
        self._share = bound // self.GENERATIONS
        self._generations: list[Words] = [np.empty(0, np.uint64)]
        self._bits = 0
        self._table: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._fresh: list[Words] = []
        self.forgotten = 0
        self._grow()

    def __len__(self) -> int:
        self._settle()
        return sum(map(len, self._generations))

    def add(self, prints: Words) -> None:
        """Take these in, with any order and repetition. They are put in order when somebody asks, or are many."""
        self._fresh.append(prints)
        if sum(map(len, self._fresh)) > self._share:
            self._settle()

    def _settle(self) -> None:
        if self._fresh:
            new, self._fresh = np.unique(np.concatenate(self._fresh)), []
            new = new[~self.has(new)]
            for part in np.array_split(new, -(-len(new) // self._share) or 1):
                self._add(part)

    def _size(self) -> int:
        return sum(map(len, self._generations))

    def _add(self, new: Words) -> None:
        if len(self._generations[-1]) + len(new) > self._share:
            self._generations.append(np.empty(0, np.uint64))
        self._generations[-1] = np.sort(np.concatenate((self._generations[-1], new)))
        if len(self._generations) > self.GENERATIONS:
            self.forgotten += len(self._generations.pop(0))
            self._bits -= 1  # so that the table is made anew
        if self._size() << 4 > 1 << self._bits:
            self._grow()
        else:
            self._mark(new)

    def _grow(self) -> None:
        self._bits = max(self._bits, 18)
        while self._size() << 5 > 1 << self._bits:
            self._bits += 1
        self._table = np.zeros(1 << self._bits, np.uint8)
        for generation in self._generations:
            self._mark(generation)

    def _mark(self, prints: Words) -> None:
        self._table[prints >> np.uint64(64 - self._bits)] = 1

    def has(self, prints: Words) -> NDArray[np.bool_]:
        """Which of these are in the set."""
        self._settle()
        found = np.zeros(len(prints), np.bool_)
        likely = np.flatnonzero(self._table[prints >> np.uint64(64 - self._bits)])
        wanted = prints[likely]
        for generation in self._generations:
            if len(generation):
                at = np.minimum(np.searchsorted(generation, wanted), len(generation) - 1)
                found[likely[generation[at] == wanted]] = True
        return found


def runs(starts: Sequence[int], stops: Sequence[int]) -> list[tuple[int, int]]:
    """Overlapping and touching spans as one each, in order."""
    found: list[tuple[int, int]] = []
    for start, stop in sorted(zip(starts, stops, strict=True)):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(stop, found[-1][1]))
        else:
            found.append((start, stop))
    assert all(a[1] < b[0] for a, b in pairwise(found))
    return found
