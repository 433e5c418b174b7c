"""Plot of compilers side by side, by matplotlib (the `data` extra): fidelity and latency as shares of pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def draw_comparison(
    file: Path,
    title: str,
    floor: float,
    fidelities: Mapping[str, Sequence[float]],
    latencies_s: Mapping[str, Sequence[float]],
    rates_hz: Mapping[str, float],
) -> bool:
    """Write one figure in the format of the file's ending; False without matplotlib. ValueError for another ending
    than matplotlib knows."""
    try:
        from matplotlib.figure import Figure
    except ImportError:  # the `data` extra is not installed
        return False
    page = Figure(figsize=(12, 4), layout="constrained")
    page.suptitle(title)
    left, middle, right = page.subplots(1, 3)
    for name, values in fidelities.items():
        _shares(left, name, values)
    left.axvline(floor, color="0.4", ls=":", label="floor")
    left.set_xlabel("fidelity, all asked for at once")
    left.set_ylabel("share of pairs at or below")
    for name, values in latencies_s.items():
        _shares(middle, name, values)
    middle.set_xlabel("from ask to delivery, s")
    middle.set_xscale("log")
    names = list(rates_hz)
    right.bar(range(len(names)), [rates_hz[name] for name in names], color=[f"C{i}" for i in range(len(names))])
    right.set_xticks(range(len(names)), names)
    right.set_ylabel("pairs per second")
    for axes in (left, middle, right):
        axes.grid(alpha=0.3)
    left.legend(fontsize=8, frameon=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    page.savefig(file, dpi=110)
    return True


def _shares(axes: Any, name: str, values: Sequence[float]) -> None:
    held = np.sort(np.asarray(values, float))
    axes.step(held, np.arange(1, len(held) + 1) / len(held), where="post", lw=1.4, label=name)
