"""Tasks on a Dask cluster (the `dask` extra): one made on this machine, or one that a scheduler's address names.

A cluster made here has worker processes of one thread each, on loopback and under TLS with certificates of its own:
what is pickled runs on whoever accepts it. How a cluster elsewhere is guarded is its owner's business.
"""

from __future__ import annotations

import importlib.util
import logging
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any


class NoDask(ImportError):
    """The `dask` extra is not installed; the text says how to install it."""


class NoCluster(RuntimeError):
    """No cluster could be made or reached; says which and why."""


@dataclass(frozen=True)
class Dask:
    """Maker of executors on Dask. `scheduler`: address such as tcp://host:8786; None for a cluster made here.

    Raises NoDask, and when it is opened NoCluster, so of a scheduler that does not answer within `patience_s`.
    """

    workers: int
    scheduler: str | None = None
    patience_s: float = 30.0

    def __post_init__(self) -> None:
        if importlib.util.find_spec("distributed") is None:
            raise NoDask("dask is not installed: install quoit[dask]")

    def open(self, workers: int) -> Executor:
        """An executor; of a cluster elsewhere, with as many workers as it has."""
        import distributed

        dask: Any = distributed  # its types are partial
        cluster = None
        try:
            if self.scheduler is None:
                cluster = dask.LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=None,
                    security=True,
                    silence_logs=logging.ERROR,
                )
            client = dask.Client(self.scheduler if cluster is None else cluster, timeout=self.patience_s)
        except (OSError, RuntimeError, ValueError) as fault:
            if cluster is not None:
                cluster.close()
            where = "on this machine" if self.scheduler is None else f"at {self.scheduler}"
            raise NoCluster(f"no Dask cluster {where}: {fault}") from fault
        return _OnDask(client, cluster)


class _OnDask(Executor):
    """Dask's own executor, which closes with it what was opened for it."""

    def __init__(self, client: Any, cluster: Any) -> None:
        self._client = client
        self._cluster = cluster
        # Dask itself gives a task up when workers keep dying of it, with an exception of its own.
        self._inner = client.get_executor(retries=0, pure=False)

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        found: Future[Any] = self._inner.submit(fn, *args, **kwargs)
        return found

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._inner.shutdown(wait=wait and not cancel_futures)
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()
