"""What came of a study, as tables and lines: a row for each run, and the mean of each point's runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from quoit.adapters.exporters.lines import Abscissa, Line, draw_lines
from quoit.adapters.exporters.tables import write_table
from quoit.scenario.sweep.interval import mean_and_half
from quoit.scenario.sweep.study import Key, Study
from quoit.scenario.sweep.work import Result

Results = Mapping[Key, Result]
MAX_LINES = 12
"""Nobody can tell more colours apart."""


def write_tables(directory: Path, study: Study, results: Results) -> list[Path]:
    """Write `table` (all runs by point and repeat) and `summary` (all points); the files that there are then."""
    columns = ["point", "repeat", "seed", *(axis.column for axis in study.axes), *study.figures, "fault"]
    files = write_table(directory / "table", columns, _rows(study, results))
    columns, rows = summary(study, results)
    return files + write_table(directory / "summary", columns, rows)


def _rows(study: Study, results: Results) -> list[list[Any]]:
    cells = [axis.cells() for axis in study.axes]
    rows = []
    for point, place in enumerate(study.places()):
        here = [cell[i] for cell, i in zip(cells, place, strict=True)]
        for repeat in range(study.repeats):
            result = results.get((point, repeat))
            if result is not None:
                figures = [result.figures.get(name) for name in study.figures]
                rows.append([point, repeat, result.seed, *here, *figures, result.fault or None])
    return rows


def summary(study: Study, results: Results) -> tuple[list[str], list[list[Any]]]:
    """Columns and a row for each point: of each figure the mean and half the width of its 95 % interval over seeds."""
    columns = ["point", *(axis.column for axis in study.axes), "runs", "failed"]
    for name in study.figures:
        columns += [f"{name}_mean", f"{name}_ci95"]
    cells = [axis.cells() for axis in study.axes]
    rows = []
    for point, place in enumerate(study.places()):
        found = [results[point, k] for k in range(study.repeats) if (point, k) in results]
        here = [cell[i] for cell, i in zip(cells, place, strict=True)]
        row = [point, *here, len(found), sum(1 for result in found if result.fault)]
        for name in study.figures:
            row += _mean(found, name)
        rows.append(row)
    return columns, rows


def _mean(found: Sequence[Result], figure: str) -> tuple[float | None, float | None]:
    values = [value for result in found if (value := result.figures.get(figure)) is not None]
    return mean_and_half(values) if values else (None, None)


def plot(directory: Path, study: Study, results: Results) -> list[Path]:
    """Write plot.png and plot.svg: the first axis on x, a panel for each figure, and a line for each value of the
    second axis; of more axes, for each combination of values of all but the first, up to `MAX_LINES`. Raises
    NoMatplotlib."""
    first = study.axes[0]
    numbers = first.numbers()
    abscissa = Abscissa(
        first.column,
        first.log and numbers is not None,
        () if numbers is not None else tuple(str(cell) for cell in first.cells()),
    )
    positions = numbers if numbers is not None else tuple(float(i) for i in range(len(first.values)))
    panels = {name: _lines(study, results, name, positions) for name in study.figures}
    return draw_lines(directory / "plot", study.title, abscissa, panels)


def _lines(study: Study, results: Results, figure: str, positions: Sequence[float]) -> list[Line]:
    cells = [axis.cells() for axis in study.axes]
    points: dict[str, list[tuple[float, float, float | None]]] = {}
    for point, place in enumerate(study.places()):
        label = ""
        if study.combine == "product":
            others = list(zip(study.axes, cells, place, strict=True))[1:]
            label = ", ".join(f"{axis.column} {cell[i]}" for axis, cell, i in others)
        line = points.setdefault(label, [])
        mean, half = _mean([results[point, k] for k in range(study.repeats) if (point, k) in results], figure)
        if mean is not None:
            line.append((positions[place[0]], mean, half))
    return [Line(label, sorted(line, key=lambda at: at[0])) for label, line in points.items()][:MAX_LINES]
