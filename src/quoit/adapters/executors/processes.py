"""Tasks in processes of this machine, each begun afresh (spawn): no locks, threads or sockets are inherited."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import connection


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Processes:
    """Maker of pools of processes."""

    workers: int

    def open(self, workers: int) -> Executor:
        """A pool of so many; they end with this process, however it ends."""
        spawn = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(workers, mp_context=spawn, initializer=_begin)


def _begin() -> None:
    """Of a worker: Ctrl-C ends it at once and without a traceback, and it outlives nobody who waits for it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    # A pool's workers hold both ends of their queue, so a killed parent would leave them waiting for ever.
    connection.wait([sentinel])
    os._exit(1)
