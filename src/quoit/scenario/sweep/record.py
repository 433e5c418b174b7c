"""What is kept of a study while it runs: one line for each finished run, from which it can go on after a kill.

A line is appended by one write, by one process, and holds all that is to be known of its run; their order means
nothing. A kill in the middle of a write leaves a last line without its end, which is cut off before going on.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from quoit.scenario.run_directory import RunDirectoryBusy, hold_directory
from quoit.scenario.sweep.study import Key, Study
from quoit.scenario.sweep.work import Result

POINTS = "points.jsonl"
SWEEP = "sweep.json"


class RecordFault(ValueError):
    """The directory cannot take this study; says why and what to do."""


class Record:
    """The record of one study in a directory, which it holds until `close`. Raises RecordFault.

    Without `resume` the directory must hold no runs; with it, runs of the same study, or none. `results`: by run, of
    those that need not be repeated. A run that failed is tried again: its worker may have been short of memory.
    """

    def __init__(self, directory: Path, study: Study, resume: bool) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        try:
            self._lock = hold_directory(directory, "sweep.lock")
        except RunDirectoryBusy as fault:
            raise RecordFault(f"a sweep runs in {directory} already: end it, or give this one another --out") from fault
        self._path = directory / POINTS
        self._figures = study.figures
        self.results: dict[Key, Result] = {}
        try:
            begun = self._path.exists() and self._path.stat().st_size > 0
            if begun and not resume:
                raise RecordFault(f"{self._path} holds runs already: go on with --resume, or give another --out")
            if begun:
                self._same_study(directory / SWEEP, study)
                self._read(study)
            else:
                self._introduce(directory / SWEEP, study)
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except BaseException:
            self._lock.close()
            raise

    def add(self, result: Result) -> None:
        """Keep one more. It is safe from the end of this process when this returns."""
        kept = {name: result.figures.get(name) for name in self._figures} if not result.fault else {}
        line = {"point": result.point, "repeat": result.repeat, "seed": result.seed, "figures": kept}
        if result.fault:
            line["fault"] = result.fault
        data = json.dumps(line, sort_keys=True, allow_nan=False).encode() + b"\n"
        try:
            written = os.write(self._file, data)
        except OSError as fault:
            raise OSError(fault.errno, fault.strerror, str(self._path)) from fault
        if written != len(data):
            raise OSError(
                errno.ENOSPC, "a line was written in part; make room and go on with --resume", str(self._path)
            )
        self.results[result.point, result.repeat] = Result(result.point, result.repeat, result.seed, kept, result.fault)

    def close(self) -> None:
        os.close(self._file)
        self._lock.close()

    # -- going on ------------------------------------------------------------------------------------

    def _introduce(self, path: Path, study: Study) -> None:
        told = {"digest": study.digest(), "name": study.name, "quoit": version("quoit"), "figures": study.figures}
        new = path.with_suffix(".new")
        new.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        os.replace(new, path)

    def _same_study(self, path: Path, study: Study) -> None:
        try:
            told: Any = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as fault:
            raise RecordFault(f"{path} does not say which study {self._path} is of: give another --out") from fault
        if not isinstance(told, dict) or told.get("digest") != study.digest():
            raise RecordFault(
                f"{path.parent} holds runs of another study: the sweep file, its network or quoit has changed since; "
                "give another --out"
            )

    def _read(self, study: Study) -> None:
        whole = 0
        for number, line, end in self._lines():
            result = _result(line)
            if result is None:
                if end < self._path.stat().st_size:
                    raise RecordFault(f"{self._path}:{number}: expected a finished run, found {line[:60]!r}")
                break
            whole = end
            self._take(result, number, study)
        os.truncate(self._path, whole)

    def _lines(self) -> Iterator[tuple[int, bytes, int]]:
        """(number, line, where it ends in the file) of all lines."""
        end = 0
        with self._path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                end += len(line)
                yield number, line, end

    def _take(self, result: Result, number: int, study: Study) -> None:
        known = result.repeat < study.repeats and result.seed == study.seed_of(result.point, result.repeat)
        if not known or (not result.fault and set(result.figures) != set(study.figures)):
            raise RecordFault(f"{self._path}:{number}: no run of this study: give another --out")
        if result.fault:
            return
        key = (result.point, result.repeat)
        if self.results.setdefault(key, result) != result:
            raise RecordFault(f"{self._path}:{number}: run {key} is above with other figures: give another --out")


def _result(line: bytes) -> Result | None:
    """What a line says, or None if it is not whole."""
    if not line.endswith(b"\n"):
        return None
    try:
        told = json.loads(line)
        point, repeat, seed = (told[name] for name in ("point", "repeat", "seed"))
        figures, fault = told["figures"], told.get("fault", "")
    except (ValueError, TypeError, KeyError):
        return None
    whole = all(type(number) is int and number >= 0 for number in (point, repeat, seed))
    return Result(point, repeat, seed, figures, fault) if whole and isinstance(figures, dict) else None
