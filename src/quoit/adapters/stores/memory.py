"""A store without durability, for virtual runs."""

from __future__ import annotations

from typing import Any

from quoit.model.problem import Problem
from quoit.service.keystore import Op
from quoit.service.storebook import StoreBook


class MemoryStore:
    """See `KeyStore`; everything is gone with the process."""

    def __init__(self) -> None:
        self._book = StoreBook()

    def execute(self, batch: list[Op]) -> list[Any]:
        results: list[Any] = []
        for op in batch:
            try:
                results.append(self._book.apply(op))
            except Problem as problem:
                results.append(problem)
        self._book.fetch_changes()
        return results

    def close(self) -> None:
        """Nothing to close."""
