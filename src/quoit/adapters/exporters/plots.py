"""Plots of a run over time, by matplotlib (the `data` extra): one page for the eye, one file for each figure.

Up to `FEW` links have a line and a name each. Of more, each is a thin grey line; the middle one and the tenth and
ninetieth of a hundred are drawn over them, since nobody can tell a hundred colours apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

Series = dict[str, list[tuple[float, float]]]
"""Points (simulated time in s, value) by name."""
Quarantine = tuple[float, float | None, str]
FEW = 12
NAMES = {"secret": "rates", "QBER": "qber", "pool": "pools", "keys,": "keys"}


def draw(out: Path, name: str, figures: Mapping[str, Series], quarantines: list[Quarantine]) -> list[str]:
    """Write overview and single figures as PNG and SVG; returns the PNGs' names, none without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:  # the `data` extra is not installed
        return []
    shown = {label: series for label, series in figures.items() if any(series.values())}
    if not shown:
        return []
    page = Figure(figsize=(11, 3.1 * len(shown)), layout="constrained")
    page.suptitle(f"{name}: simulated time")
    all_axes = np.atleast_1d(page.subplots(len(shown), 1, sharex=True))
    for axes, (label, series) in zip(all_axes, shown.items(), strict=True):
        _panel(axes, label, series, quarantines)
    all_axes[-1].set_xlabel("simulated time, s")
    files = [_save(page, out, "overview")]
    for label, series in shown.items():
        single = Figure(figsize=(9, 4.5), layout="constrained")
        axes = single.subplots()
        _panel(axes, label, series, quarantines)
        axes.set_title(name)
        axes.set_xlabel("simulated time, s")
        files.append(_save(single, out, NAMES.get(label.split(" ")[0], label.split(" ")[0])))
    return files


def _save(figure: Any, out: Path, stem: str) -> str:
    for ending in ("png", "svg"):
        figure.savefig(out / f"{stem}.{ending}", dpi=110)
    return f"{stem}.png"


def _broken(points: list[tuple[float, float]]) -> Any:
    """Times and values with a gap where nothing was measured for much longer than is usual."""
    t, values = np.array(points).T
    steps = np.diff(t)
    if len(steps) < 3:
        return t, values
    gaps = np.flatnonzero(steps > 8 * np.median(steps)) + 1
    return np.insert(t, gaps, t[gaps - 1]), np.insert(values, gaps, np.nan)


def _panel(axes: Any, label: str, series: Series, quarantines: list[Quarantine]) -> None:
    broken = label.startswith(("secret", "QBER"))
    lines = {name: points for name, points in series.items() if points}
    if len(lines) <= FEW:
        for name, points in lines.items():
            t, values = _broken(points) if broken else np.array(points).T
            axes.plot(t, values, marker="." if len(points) < 200 else "", lw=1, ms=3, label=name)
    else:
        _many(axes, lines)
    for number, (begin, end, link) in enumerate(quarantines[:20]):
        until = end if end is not None else axes.get_xlim()[1]
        axes.axvspan(begin, until, color="tab:red", alpha=0.12, lw=0, label=None if number else f"quarantine of {link}")
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _many(axes: Any, lines: Series) -> None:
    times = np.unique([t for points in lines.values() for t, _ in points])
    grid = times if len(times) <= 400 else np.linspace(times[0], times[-1], 400)
    held = np.full((len(lines), len(grid)), np.nan)
    for row, points in enumerate(lines.values()):
        t, values = np.array(points).T
        axes.step(t, values, where="post", color="0.8", lw=0.4)
        at = np.searchsorted(t, grid, side="right") - 1
        held[row, at >= 0] = values[at[at >= 0]]
    known = ~np.all(np.isnan(held), axis=0)
    for percent, style in ((90, ":"), (50, "-"), (10, ":")):
        axes.step(
            grid[known],
            np.nanpercentile(held[:, known], percent, axis=0),
            style,
            where="post",
            color="tab:blue",
            lw=1.4 if percent == 50 else 1.0,
            label=f"{percent} % of {len(lines)} lie below",
        )
