"""What a virtual run leaves behind: a page, tables (CSV, and Parquet with the `data` extra), plots (with it, too)."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from quoit.adapters.exporters.plots import Quarantine, Series, draw
from quoit.adapters.exporters.tables import write_table
from quoit.fabric.api import Links
from quoit.orchestration.telemetry_api import Footprint
from quoit.runtime.trace import Event


class Recorder:
    """A sink that keeps the figures of a run over time."""

    def __init__(self) -> None:
        self.blocks: list[tuple[float, str, int, int, float, str]] = []
        self.deliveries: list[tuple[float, str, str, int, int]] = []
        self.refusals: list[tuple[float, str, str, int, str]] = []
        self.pools: list[tuple[float, str, int]] = []
        self.incidents: list[tuple[float, str, str]] = []
        self.counts: dict[str, int] = defaultdict(int)

    def __call__(self, event: Event) -> None:
        self.counts[event.event] += 1
        f, s = event.fields, event.t / 1e9
        if event.event in ("block.made", "block.failed"):
            self.blocks.append((s, f["link"], f["block"], f["bits"], f["qber"], f["why"] or ""))
        elif event.event == "pool.level":
            self.pools.append((s, f["link"], f["bits"]))
        elif event.event == "keys.opened":
            self.counts["keys"] += f["number"]
            self.deliveries.append((s, f["master"], f["slaves"][0], f["number"], f["size"]))
        elif event.event == "keys.refused":
            self.refusals.append((s, f["caller"], f["slave"], f["number"], f["code"]))
        elif event.event == "keys.taken":
            self.counts["taken"] += f["number"]
        elif event.event.startswith(("link.", "world.", "flow.", "light.", "alarm.", "keys.voided")):
            self.incidents.append((s, event.event, " ".join(f"{k}={v}" for k, v in f.items() if k != "key_ids")))

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

    # -- over time -----------------------------------------------------------------------------------

    def secret_kbps(self) -> Series:
        """Secret rate of each link between the ends of its blocks."""
        return {
            link: [(t1, bits / (t1 - t0) / 1e3) for (t0, *_), (t1, _, _, bits, *_) in pairwise(rows) if t1 > t0]
            for link, rows in _by_link(self.blocks).items()
        }

    def qber_percent(self) -> Series:
        """Error rate of each link's blocks."""
        return {link: [(row[0], 100 * row[4]) for row in rows] for link, rows in _by_link(self.blocks).items()}

    def pool_mbit(self) -> Series:
        """Level of each link's pool."""
        return {link: [(row[0], row[2] / 1e6) for row in rows] for link, rows in _by_link(self.pools).items()}

    def keys(self) -> Series:
        """Keys opened and keys refused, summed up."""
        return {
            "opened": _summed((row[0], row[3]) for row in self.deliveries),
            "refused": _summed((row[0], row[3]) for row in self.refusals),
        }

    def quarantines(self) -> list[Quarantine]:
        """(begin, end or None, link) of each quarantine."""
        found: list[Quarantine] = []
        since: dict[str, float] = {}
        for t, event, what in self.incidents:
            link = what.split(" ")[0].removeprefix("link=")
            if event == "link.quarantined":
                since[link] = t
            elif event == "link.released" and link in since:
                found.append((since.pop(link), t, link))
        return found + [(t, None, link) for link, t in since.items()]


def _by_link(rows: list[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row[1], []).append(row)
    return dict(sorted(found.items()))


def _summed(steps: Any) -> list[tuple[float, float]]:
    total = 0
    found = []
    for t, number in steps:
        total += number
        found.append((t, float(total)))
    return found


def footprint_figures(told: Footprint) -> dict[str, Any]:
    """Energy and fibre of a run; what came of nothing is left out."""
    figures = {
        "energy_of_keys_j": round(told.key_joules, 3),
        "energy_per_key_bit_j": told.joules_per_bit,
        "energy_of_pairs_j": round(told.pair_joules, 3),
        "energy_per_pair_j": told.joules_per_pair,
        "fibre_with_quantum_channels_km": round(told.quantum_km, 3),
        "fibre_shared_with_classical_traffic_ratio": told.shared_ratio,
        "power_that_is_assumed_ratio": told.assumed_ratio,
    }
    return {name: value for name, value in figures.items() if value is not None}


TABLES = {
    "blocks": ("t_s", "link", "block", "secret_bits", "qber", "why"),
    "deliveries": ("t_s", "master", "slave", "keys", "size_bits"),
    "refusals": ("t_s", "master", "slave", "keys", "code"),
    "pools": ("t_s", "link", "level_bits"),
    "incidents": ("t_s", "event", "what"),
}


def write_report(out: Path, name: str, recorder: Recorder, summary: dict[str, Any]) -> None:
    """Write report.md, a table for each kind of figure, and plots if matplotlib is there."""
    for table, columns in TABLES.items():
        write_table(out / table, columns, getattr(recorder, table))
    plots = draw(
        out,
        name,
        {
            "secret rate, kbit/s": recorder.secret_kbps(),
            "QBER of blocks, %": recorder.qber_percent(),
            "pool level, Mbit": recorder.pool_mbit(),
            "keys, summed up": recorder.keys(),
        },
        recorder.quarantines(),
    )
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
