"""Tasks on executors: all come back once, whatever becomes of the workers."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field

from quoit.adapters.executors.processes import Processes, cores
from quoit.scenario.sweep.dispatch import AHEAD, WorkerDied, dispatch


def half(task: int) -> int:
    """A worker dies of 7, and 5 is refused."""
    if task == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    if task == 5:
        raise ValueError("five")
    return task // 2


@dataclass
class Threads:
    """Counts what was opened and shut."""

    workers: int = 2
    opened: list[Executor] = field(default_factory=list)

    def open(self, workers: int) -> Executor:
        self.opened.append(ThreadPoolExecutor(workers))
        return self.opened[-1]


def test_every_task_comes_back_once_with_its_result_or_its_exception() -> None:
    maker = Threads()
    found = dict(dispatch(maker, half, (n for n in range(100) if n != 7)))
    assert isinstance(found.pop(5), ValueError)
    assert found == {n: n // 2 for n in range(100) if n not in (5, 7)}
    assert len(maker.opened) == 1


def test_tasks_are_taken_as_they_are_needed() -> None:
    taken = []

    def tasks() -> Iterator[int]:
        for n in range(10**6):
            taken.append(n)
            yield n

    with contextlib.closing(dispatch(Threads(), half, tasks())) as results:
        for _ in range(3):
            next(results)
    assert len(taken) <= AHEAD * 2 + 6


def test_a_worker_that_dies_costs_its_own_task_only() -> None:
    found = dict(dispatch(Processes(2), half, iter([1, 2, 7, 4, 5, 6])))
    died, refused = found.pop(7), found.pop(5)
    assert isinstance(died, WorkerDied)
    assert isinstance(refused, ValueError)
    assert found == {n: n // 2 for n in (1, 2, 4, 6)}


def test_cores_are_those_that_this_process_may_use() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)


def test_no_tasks_are_no_results() -> None:
    assert list(dispatch(Threads(), half, iter([]))) == []
