"""`quoit sweep`: a parameter study on all cores."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress
from rich.table import Table

from quoit.adapters.executors import ExecutorMaker
from quoit.adapters.executors.dask import Dask, NoCluster, NoDask
from quoit.adapters.executors.processes import Processes, cores
from quoit.adapters.exporters.lines import NoMatplotlib, need_matplotlib
from quoit.cli import show
from quoit.scenario.sweep.check import SweepFileFaults, load
from quoit.scenario.sweep.conduct import conduct
from quoit.scenario.sweep.record import RecordFault
from quoit.scenario.sweep.study import Study
from quoit.scenario.sweep.tables import plot, summary, write_tables

MAX_WORKERS = 1024
SHOWN = 40
"""Points that a terminal is shown; all are in the table."""


def sweep_file(
    file: Path,
    out: Path,
    workers: int | None,
    executor: str,
    scheduler: str | None,
    resume: bool,
    with_plot: bool,
    json: bool,
) -> int:
    """Run what is missing of a study, then write its tables; 1 if a run failed."""
    show.logs_to_stderr()
    study = _study(file)
    maker = _maker(executor, scheduler, cores() if workers is None else workers)
    if with_plot:
        try:
            need_matplotlib()
        except NoMatplotlib as fault:
            raise show.UserError(f"--plot: {fault}") from fault
    try:
        with _progress(study) as progress:
            results = conduct(study, out, maker, resume=resume, progress=progress)
    except (RecordFault, NoCluster) as fault:
        raise show.UserError(str(fault)) from fault
    except KeyboardInterrupt:
        show.error(f"what was finished is in {out}; go on with --resume")
        raise
    files = write_tables(out, study, results)
    if with_plot:
        files += plot(out, study, results)
    faults = [result for _, result in sorted(results.items()) if result.fault]
    figures = {"name": study.name, "points": study.count, "runs": len(results), "failed": len(faults)}
    if json:
        told = [{"point": r.point, "repeat": r.repeat, "seed": r.seed, "fault": r.fault} for r in faults]
        show.json_line({**figures, "faults": told, "files": [str(path) for path in files]})
    else:
        console = show.out()
        console.print(_table(study, *summary(study, results)))
        for result in faults[:SHOWN]:
            show.error(f"point {result.point}, run {result.repeat}, seed {result.seed}: {result.fault}")
        console.print(f"{figures['points']} points, {figures['runs']} runs, {figures['failed']} failed")
        console.print(", ".join(str(path) for path in files), soft_wrap=True)
    return 1 if faults else 0


def _study(file: Path) -> Study:
    if not file.exists():
        raise show.UserError(f"{file}: no such file; examples are examples/sweep-*.yaml")
    try:
        return load(file)
    except SweepFileFaults as faults:
        raise show.UserError(f"{faults}\n{len(faults.faults)} fault(s) in {file}") from faults


def _maker(executor: str, scheduler: str | None, workers: int) -> ExecutorMaker:
    if not 1 <= workers <= MAX_WORKERS:
        raise show.UserError(f"--workers: expected 1 to {MAX_WORKERS}, found {workers}")
    if executor == "processes":
        if scheduler is not None:
            raise show.UserError("--scheduler is of --executor dask")
        return Processes(workers)
    try:
        return Dask(workers, scheduler)
    except NoDask as fault:
        raise show.UserError(f"--executor: {fault}") from fault


@contextlib.contextmanager
def _progress(study: Study) -> Iterator[Callable[[int], None] | None]:
    """Hears how many runs there are, and draws a bar on standard error if that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("runs", total=study.count * study.repeats)
        yield lambda done: progress.update(task, completed=done)


def _table(study: Study, columns: list[str], rows: list[list[Any]]) -> Table:
    """Axes and figures of the first points, with the interval beside the mean."""
    table = Table(title=study.title, title_justify="left")
    shown = [axis.column for axis in study.axes]
    for name in (*shown, *study.figures):
        table.add_column(name, justify="right")
    for row in rows[:SHOWN]:
        cells = dict(zip(columns, row, strict=True))
        told = [str(cells[name]) for name in shown]
        told += [_told(cells[f"{name}_mean"], cells[f"{name}_ci95"]) for name in study.figures]
        table.add_row(*told)
    if len(rows) > SHOWN:
        table.caption = f"the first {SHOWN} of {len(rows)} points"
    return table


def _told(mean: float | None, half: float | None) -> str:
    if mean is None:
        return "-"
    return f"{mean:.4g}" if half is None else f"{mean:.4g} ± {half:.2g}"
