"""Conducting a study: the runs that are missing, on an executor, each kept as soon as it is finished."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from quoit.adapters.executors import ExecutorMaker
from quoit.scenario.sweep.dispatch import dispatch
from quoit.scenario.sweep.record import Record
from quoit.scenario.sweep.study import Key, Study
from quoit.scenario.sweep.work import Result, failed, perform


def conduct(
    study: Study,
    directory: Path,
    maker: ExecutorMaker,
    *,
    resume: bool = False,
    progress: Callable[[int], None] | None = None,
) -> dict[Key, Result]:
    """Results of all runs. `progress` hears how many there are so far. Raises RecordFault for a directory that cannot
    take the study; whatever else ends it early leaves the finished runs in the directory."""
    record = Record(directory, study, resume)
    try:
        missing = (run for run in study.runs() if run.key not in record.results)
        if progress is not None:
            progress(len(record.results))
        with contextlib.closing(dispatch(maker, perform, missing)) as finished:
            for run, found in finished:
                record.add(found if isinstance(found, Result) else failed(run, found))
                if progress is not None:
                    progress(len(record.results))
        return record.results
    finally:
        record.close()
