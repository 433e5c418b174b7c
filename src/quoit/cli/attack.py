"""`quoit attack`: plays an attack file in virtual time and scores what was noticed."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from quoit.cli import show
from quoit.model.quantity import format_duration
from quoit.scenario.attacks.check import AttackFileFaults, Play, load
from quoit.scenario.attacks.score import Run, Score, score, scored

SHOWN = 10
"""Faults that a terminal is shown."""


def attack_file(file: Path, seeds: int | None, json: bool) -> int:
    """0 if everything was found in time and nothing else; 1 if not."""
    show.logs_to_stderr()
    play = _play(file)
    if seeds is not None and seeds < 1:
        raise show.UserError(f"--seeds: expected 1 or more, found {seeds}")
    result = scored(play, _runs(play, seeds))
    if json:
        show.json_line(result.as_dict())
    else:
        _tell(result)
    return 0 if result.good else 1


def _play(file: Path) -> Play:
    try:
        return load(file)
    except (OSError, UnicodeDecodeError) as fault:
        raise show.UserError(f"{file}: {fault}; examples are in examples/attacks/") from fault
    except AttackFileFaults as faults:
        raise show.UserError(f"{faults}\n{len(faults.faults)} fault(s) in {file}") from faults


def _runs(play: Play, seeds: int | None) -> list[Run]:
    total = play.file.seeds if seeds is None else seeds
    if not sys.stderr.isatty():
        return list(score(play, seeds))
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(play.file.name, total=total)
        runs = []
        for run in score(play, seeds):
            runs.append(run)
            progress.advance(task)
        return runs


def _tell(result: Score) -> None:
    console, runs = show.out(), result.runs
    table = Table(title=result.title, title_justify="left")
    for name in ("expected detection", "found", "least", "median", "greatest"):
        table.add_column(name, justify="left" if name == "expected detection" else "right", no_wrap=True)
    for what, times, *delays in result.delays():
        shown = [f"{d:.3f} s" if times else "-" for d in delays]
        table.add_row(what, f"{times} of {len(runs)}", *shown)
    if result.expected:
        console.print(table)
    else:
        console.print(f"{result.title}: nothing is expected to be found")
    clean = sum(run.clean for run in runs)
    console.print(f"clean twins: {clean} false alarm(s) in {format_duration(round(result.clean_s * 1e9))}")
    console.print(
        f"truth: {sum(run.bits.learned for run in runs)} sifted bits are known to the eavesdropper, of "
        f"{sum(run.bits.secret for run in runs)} key bits {sum(run.bits.insecure for run in runs)} are not secret, "
        f"{sum(run.bits.delivered for run in runs)} of these were handed out"
    )
    console.print(f"{sum(run.bits.touched for run in runs)} bits of touched blocks were handed out before detection")
    faults = [f"seed {run.seed}: {fault}" for run in runs for fault in run.faults]
    for fault in faults[:SHOWN]:
        console.print(fault, markup=False)
    if len(faults) > SHOWN:
        console.print(f"and {len(faults) - SHOWN} faults more; --json lists them all")
    console.print("good" if result.good else "NOT GOOD")
