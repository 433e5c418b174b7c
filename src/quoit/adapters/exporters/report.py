"""What a virtual run leaves behind: a page, tables (CSV, and Parquet with the `data` extra), plots."""

from __future__ import annotations

import csv
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from quoit.fabric.api import Links
from quoit.runtime.trace import Event


class Recorder:
    """A sink that keeps the figures of a run over time."""

    def __init__(self) -> None:
        self.blocks: list[tuple[float, str, int, int, float, str]] = []
        self.deliveries: list[tuple[float, str, str, int, int]] = []
        self.pools: list[tuple[float, str, int]] = []
        self.incidents: list[tuple[float, str, str]] = []
        self.counts: dict[str, int] = defaultdict(int)
        self._levels: dict[str, int] = defaultdict(int)

    def __call__(self, event: Event) -> None:
        self.counts[event.event] += 1
        f, s = event.fields, event.t / 1e9
        if event.event in ("block.made", "block.failed"):
            self.blocks.append((s, f["link"], f["block"], f["bits"], f["qber"], f["why"] or ""))
        elif event.event == "pool.filled":
            self._level(s, f["link"], f["bits"])
        elif event.event == "pool.spent":
            self._level(s, f["link"], -f["bits"])
        elif event.event == "keys.opened":
            self.counts["keys"] += f["number"]
            self.deliveries.append((s, f["master"], f["slaves"][0], f["number"], f["size"]))
        elif event.event == "keys.taken":
            self.counts["taken"] += f["number"]
        elif event.event.startswith(("link.", "world.", "flow.", "light.", "keys.voided")):
            self.incidents.append((s, event.event, " ".join(f"{k}={v}" for k, v in f.items() if k != "key_ids")))

    def _level(self, s: float, link: str, change: int) -> None:
        self._levels[link] += change
        self.pools.append((s, link, self._levels[link]))

    def summary(self, links: Links) -> dict[str, Any]:
        """Figures of the whole run."""
        return {
            "keys_opened": self.counts["keys"],
            "keys_taken": self.counts["taken"],
            "requests_refused": self.counts["keys.refused"],
            "blocks_made": self.counts["block.made"],
            "blocks_failed": self.counts["block.failed"],
            "links": [{f: getattr(row, f) for f in row.__struct_fields__} for row in links.rows],
        }


TABLES = {
    "blocks": ("t_s", "link", "block", "secret_bits", "qber", "why"),
    "deliveries": ("t_s", "master", "slave", "keys", "size_bits"),
    "pools": ("t_s", "link", "level_bits"),
    "incidents": ("t_s", "event", "what"),
}


def write_report(out: Path, name: str, recorder: Recorder, summary: dict[str, Any]) -> None:
    """Write report.md, a table for each kind of figure, and plots if matplotlib is there."""
    for table, columns in TABLES.items():
        _write_table(out / table, columns, getattr(recorder, table))
    plots = _plot(out, recorder)
    lines = [f"# {name}", "", "| figure | value |", "|---|---|"]
    lines += [f"| {k.replace('_', ' ')} | {v} |" for k, v in summary.items() if k != "links"]
    lines += ["", "| link | state | QBER | secret bit/s | pool bits | blocks |", "|---|---|---|---|---|---|"]
    for row in summary["links"]:
        qber = "-" if row["qber"] is None else f"{row['qber']:.4f}"
        rate = f"{row['secret_bps']:.0f}"
        lines.append(f"| {row['link']} | {row['state']} | {qber} | {rate} | {row['pool_bits']} | {row['blocks']} |")
    lines += ["", *(f"![{p}]({p})" for p in plots), ""]
    lines += ["## What happened", "", *(f"- {t:.3f} s {e} {what}" for t, e, what in recorder.incidents[:500])]
    (out / "report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_table(stem: Path, columns: tuple[str, ...], rows: list[Any]) -> None:
    with stem.with_suffix(".csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(columns)
        writer.writerows(rows)
    try:
        import pyarrow as pa
    except ImportError:  # the `data` extra is not installed: CSV is what there is
        return
    arrays = {c: [row[i] for row in rows] for i, c in enumerate(columns)}
    pa.parquet.write_table(pa.table(arrays), stem.with_suffix(".parquet"))


def _plot(out: Path, recorder: Recorder) -> list[str]:
    try:
        from matplotlib.figure import Figure
    except ImportError:  # the `data` extra is not installed
        return []
    figure = Figure(figsize=(10, 12), layout="constrained")
    rate, qber, pool, keys = figure.subplots(4, 1, sharex=True)
    for link in sorted({row[1] for row in recorder.blocks}):
        mine = [row for row in recorder.blocks if row[1] == link]
        qber.plot([r[0] for r in mine], [100 * r[4] for r in mine], ".-", label=link, lw=0.7, ms=3)
        spans = [(b[0], b[3] / (b[0] - a[0])) for a, b in pairwise(mine) if b[0] > a[0]]
        rate.plot([s for s, _ in spans], [v for _, v in spans], ".-", label=link, lw=0.7, ms=3)
    for link in sorted({row[1] for row in recorder.pools}):
        mine_pool = [row for row in recorder.pools if row[1] == link]
        pool.plot([r[0] for r in mine_pool], [r[2] / 1e6 for r in mine_pool], label=link, lw=0.8)
    total, times, sums = 0, [], []
    for s, _, _, number, _ in recorder.deliveries:
        total += number
        times.append(s)
        sums.append(total)
    keys.step(times, sums, where="post")
    for axes, title in (
        (rate, "secret rate, bit/s"),
        (qber, "QBER of blocks, %"),
        (pool, "pool level, Mbit"),
        (keys, "keys opened"),
    ):
        axes.set_ylabel(title)
        axes.grid(alpha=0.3)
    rate.legend(fontsize=6, ncol=3)
    keys.set_xlabel("simulated time, s")
    for ending in ("png", "svg"):
        figure.savefig(out / f"overview.{ending}")
    return ["overview.png"]
