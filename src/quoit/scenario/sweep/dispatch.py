"""Handing tasks to an executor and taking what comes back, whatever becomes of the workers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from typing import Any, Generic, TypeVar

from quoit.adapters.executors import ExecutorMaker

Task = TypeVar("Task")
AHEAD = 4
"""Tasks handed over for each worker: enough that none waits, few enough that a study's runs are not all in memory."""


class WorkerDied(RuntimeError):
    """The process that worked on a task has ended: killed, crashed or out of memory."""


def dispatch(
    maker: ExecutorMaker, work: Callable[[Task], Any], tasks: Iterable[Task]
) -> Generator[tuple[Task, Any], None, None]:
    """(task, what `work` returned or the exception it ended in), in the order in which they end.

    A worker that dies breaks its pool, and nobody says over which task. So each that was handed over is tried again
    alone: one that breaks a pool of its own has a `WorkerDied`, the others have their results. Close the generator
    to give up; it then waits for tasks under way, not for those that no worker has begun.
    """
    queue = iter(tasks)
    while True:
        batch = _Batch(maker.open(maker.workers), work, queue, AHEAD * maker.workers)
        yield from batch.results()
        if not batch.broken:
            return
        suspects = deque(batch.left())
        while suspects:
            lone = _Batch(maker.open(1), work, _taken(suspects), 1)
            yield from lone.results()
            for task in lone.left():
                yield task, WorkerDied("its worker process died twice, as one does that is out of memory or crashes")


def _taken(tasks: deque[Task]) -> Iterator[Task]:
    while tasks:
        yield tasks.popleft()


class _Batch(Generic[Task]):
    """One executor's share of the tasks, from its opening to its end."""

    def __init__(self, executor: Executor, work: Callable[[Task], Any], tasks: Iterator[Task], window: int) -> None:
        self.broken = False
        self._executor = executor
        self._work = work
        self._tasks = tasks
        self._window = window
        self._flying: dict[Future[Any], Task] = {}
        self._refused: list[Task] = []

    def left(self) -> list[Task]:
        """Tasks handed over that nothing came of."""
        return [*self._flying.values(), *self._refused]

    def results(self) -> Iterator[tuple[Task, Any]]:
        """Until the tasks are done or the executor is broken; it is shut down at the end."""
        try:
            self._fill()
            while self._flying and not self.broken:
                done, _ = wait(self._flying, return_when=FIRST_COMPLETED)
                for future in done:
                    fault = future.exception()
                    if isinstance(fault, BrokenExecutor):
                        self.broken = True
                        continue
                    yield self._flying.pop(future), fault if fault is not None else future.result()
                if not self.broken:
                    self._fill()
        finally:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def _fill(self) -> None:
        while len(self._flying) < self._window:
            task = next(self._tasks, None)
            if task is None:
                return
            try:
                self._flying[self._executor.submit(self._work, task)] = task
            except BrokenExecutor:
                self.broken = True
                self._refused.append(task)
                return
