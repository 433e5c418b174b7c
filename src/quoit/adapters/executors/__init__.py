"""Executors: who carries out many independent tasks. The port is `concurrent.futures.Executor`; a maker opens one.

Tasks and what they return are pickled, so they are plain values and functions of modules.
"""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Protocol


class ExecutorMaker(Protocol):
    """Opens executors, a fresh one after a worker has died."""

    @property
    def workers(self) -> int:
        """How many tasks run at a time."""

    def open(self, workers: int) -> Executor:
        """An executor of so many workers. Whoever opens it shuts it down."""
