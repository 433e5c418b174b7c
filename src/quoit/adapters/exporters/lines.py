"""Figures of a study as lines with their intervals, by matplotlib (the `data` extra)."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

WIDE = 100
"""Means that differ by such a factor are drawn on a logarithmic scale."""


@dataclass(frozen=True)
class Line:
    """Points of one line: x, mean, and half the width of its interval, None where there is none."""

    label: str
    points: Sequence[tuple[float, float, float | None]]


@dataclass(frozen=True)
class Abscissa:
    """The axis that all panels share. `names`: what to write at 0, 1, 2, ..., if values are no numbers."""

    label: str
    log: bool = False
    names: Sequence[str] = ()


class NoMatplotlib(ImportError):
    """The `data` extra is not installed; the text says how to install it."""


def need_matplotlib() -> None:
    """Raises NoMatplotlib, so that nobody hears of it after a long study."""
    if importlib.util.find_spec("matplotlib") is None:
        raise NoMatplotlib("a plot needs matplotlib: install quoit[data]")


def draw_lines(stem: Path, title: str, abscissa: Abscissa, panels: Mapping[str, Sequence[Line]]) -> list[Path]:
    """One figure with a panel for each name, as STEM.png and STEM.svg. Raises NoMatplotlib."""
    need_matplotlib()
    from matplotlib.figure import Figure

    page = Figure(figsize=(9, 1 + 3.2 * len(panels)), layout="constrained")
    page.suptitle(title)
    all_axes = page.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, lines) in zip(all_axes, panels.items(), strict=True):
        for line in lines:
            if not line.points:
                continue
            x, mean, half = zip(*line.points, strict=True)
            bars = [0.0 if h is None else h for h in half] if any(half) else None
            axes.errorbar(x, mean, yerr=bars, marker=".", lw=1, ms=4, capsize=2, label=line.label)
        means = [mean for line in lines for _, mean, _ in line.points]
        if means and 0 < WIDE * min(means) < max(means):
            axes.set_yscale("log")
        axes.set_ylabel(name)
        axes.grid(alpha=0.3)
        if any(line.label and line.points for line in lines):
            axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    last = all_axes[-1]
    last.set_xlabel(abscissa.label)
    if abscissa.log:
        last.set_xscale("log")
    if abscissa.names:
        last.set_xticks(range(len(abscissa.names)), labels=list(abscissa.names))
    files = [stem.with_suffix(ending) for ending in (".png", ".svg")]
    for file in files:
        page.savefig(file, dpi=110)
    return files
