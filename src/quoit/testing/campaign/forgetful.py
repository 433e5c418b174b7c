"""A store in memory that loses what a crash would lose, and can be put back to what it was."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from quoit.model.problem import Problem
from quoit.model.secret import Secret
from quoit.service.keystore import ImportOp, Op, StoreFailed
from quoit.service.storebook import StoreBook


class ForgetfulStore:
    """See `KeyStore`. What it did within `commit_ns` before a crash is on disk or is not, as the dice say; what it
    did earlier is: its results were out."""

    def __init__(self, now: Callable[[], int], commit_ns: int, book: Callable[[], StoreBook] = StoreBook) -> None:
        self._now = now
        self._commit_ns = commit_ns
        self._make_book = book
        self._book = book()
        self._done: list[tuple[int, Op]] = []
        self.fails_next = False

    def execute(self, batch: list[Op]) -> list[Any]:
        if self.fails_next:
            self.fails_next = False
            raise StoreFailed("no space left on device")
        results: list[Any] = []
        for op in batch:
            kept = _copied(op)
            before = self._book.writes
            try:
                results.append(self._book.apply(op))
            except Problem as problem:
                results.append(problem)
            self._book.fetch_changes()
            if self._book.writes > before:
                self._done.append((self._now(), kept))
        return results

    @property
    def writes(self) -> int:
        """How far it has come."""
        return self._book.writes

    def remembers(self, kme: str) -> int:
        """How far it knows another KME's store to have come."""
        seen = self._book.seen.get(kme)
        return 0 if seen is None else seen.writes

    def crash(self, dice: random.Random) -> None:
        """Power is cut: the newest operations, whose results are not out, may be gone."""
        sure = sum(1 for at, _ in self._done if at + self._commit_ns <= self._now())
        self._put_back(dice.randint(sure, len(self._done)))

    def done_since(self, writes: int) -> list[Op]:
        """The operations after the first `writes` ones."""
        return [op for _, op in self._done[writes:]]

    @property
    def length(self) -> int:
        """Operations on disk."""
        return len(self._done)

    def rewind(self, length: int) -> int:
        """Somebody puts a copy of the store back that held `length` operations; returns how far it had come."""
        self._put_back(length)
        return self.writes

    def _put_back(self, length: int) -> None:
        del self._done[length:]
        self._book = self._make_book()
        for _, op in self._done:
            self._book.apply(_copied(op))
        self._book.fetch_changes()

    def close(self) -> None:
        """Nothing to close."""


def _copied(op: Op) -> Op:
    """An operation with secrets of its own: a store wipes what it was given."""
    if isinstance(op, ImportOp):
        values = tuple(Secret(value.reveal()) for value in op.values)
        return ImportOp(op.key_ids, values, op.master, op.slaves, op.expires_ns, op.now_ns)
    return op
