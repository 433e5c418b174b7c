"""`quoit simulators`: which there are, making their environments, and how far they agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from importlib.metadata import entry_points
from itertools import combinations
from pathlib import Path
from typing import Any

from rich.table import Table

from quoit.adapters.simulators.environments import RECIPES, CannotInstall, directory_of, install, installed
from quoit.cli import show
from quoit.engine.simulators.port import GROUP, Capabilities, Figure, Result, Simulator, SimulatorFailed
from quoit.engine.simulators.suite import CASES, SIGMAS, Case, Comparison, compared, shortened


def list_all(directory: Path | None, json: bool) -> int:
    """Each simulator, whether it is there, and what it can do. Those that are there are started and asked."""
    environments = directory_of(directory)
    rows = [_listed(name, simulator, environments) for name, simulator in _found(environments, ())]
    if json:
        show.json_line(rows)
        return 0
    table = Table(title=f"simulators (environments in {environments})", title_justify="left")
    for title in ("name", "version", "plays", "clock", "repeats itself", "isolation"):
        table.add_column(title, overflow="fold")
    for row in rows:
        if "missing" in row:
            table.add_row(row["name"], "-", row["missing"])
            continue
        yes = {True: "yes", False: "no"}
        table.add_row(
            row["name"],
            row["version"],
            ", ".join(row["scenarios"]),
            yes[row["clock"]],
            yes[row["deterministic"]],
            row["isolation"],
        )
    show.out().print(table)
    return 0


def install_one(name: str, directory: Path | None, python: str | None) -> int:
    """Make the environment of a simulator anew."""
    if name not in RECIPES:
        raise show.UserError(f"{name}: expected one of {', '.join(RECIPES)}; the others need no environment of quoit's")
    try:
        install(RECIPES[name], directory_of(directory), python, print)
    except CannotInstall as why:
        show.error(str(why))
        return 1
    return 0


def compare(directory: Path | None, only: tuple[str, ...], factor: float, within_s: float, form: str) -> int:
    """Play the suite on every simulator that is there. 1 if two of them disagree or one failed."""
    if not 0 < factor <= 1:
        raise show.UserError(f"--factor: expected a number above 0 and up to 1, found {factor}")
    environments = directory_of(directory)
    with ExitStack() as open_ones:
        found = [(name, open_ones.enter_context(closing(each))) for name, each in _found(environments, only)]
        table = _played(found, shortened(CASES, factor) if factor < 1 else CASES, within_s)
    if form == "json":
        show.json_line(table.data())
    else:
        print(table.markdown() if form == "markdown" else table.text())
    return 0 if table.whole else 1


def _found(environments: Path, only: tuple[str, ...]) -> list[tuple[str, Simulator]]:
    entries = {entry.name: entry for entry in entry_points(group=GROUP)}
    if unknown := sorted(set(only) - set(entries)):
        raise show.UserError(f"expected simulators of {', '.join(sorted(entries))}; found {', '.join(unknown)}")
    names = sorted(only or entries, key=lambda name: (name != "native", name))
    return [(name, entries[name].load()(environments)) for name in names]


def _listed(name: str, simulator: Simulator, environments: Path) -> dict[str, Any]:
    try:
        with closing(simulator):
            c = simulator.capabilities
    except SimulatorFailed as why:
        return {"name": name, "missing": str(why)}
    return {
        "name": name,
        "version": c.version,
        "installed": installed(environments, name),
        "formalisms": c.formalisms,
        "operations": c.operations,
        "scenarios": c.scenarios,
        "clock": c.clock,
        "deterministic": c.deterministic,
        "isolation": c.isolation,
    }


@dataclass(frozen=True, slots=True)
class Played:
    """What each simulator said of each case, or how it failed, and which are not there."""

    cases: tuple[Case, ...]
    there: Mapping[str, Capabilities]
    absent: Mapping[str, str]
    results: Mapping[tuple[str, str], Result]
    failed: Mapping[tuple[str, str], str]

    @property
    def whole(self) -> bool:
        """Nobody failed and all agree."""
        return not self.failed and all(each.agree for case in self.cases for _, _, each in self.pairs(case))

    def pairs(self, case: Case) -> Iterator[tuple[str, str, Comparison]]:
        """Every two simulators' figures of a case, compared."""
        played = [name for name in self.there if (case.name, name) in self.results]
        for one, other in combinations(played, 2):
            for each in compared(case, self.results[case.name, one], self.results[case.name, other]):
                yield one, other, each

    def verdict(self, case: Case, figure: str) -> str:
        """Of a figure of a case: whether all that have it agree."""
        found = [(one, other, each) for one, other, each in self.pairs(case) if each.figure == figure]
        if not found:
            return "not compared"
        apart = [f"{one} and {other} differ by {each.difference:.3g} > {each.bound:.3g}" for one, other, each in found
                 if not each.agree]  # fmt: skip
        return "; ".join(apart) or "agree"

    def cell(self, case: Case, name: str, figure: str) -> str:
        """A figure, or a dash."""
        result = self.results.get((case.name, name))
        if result is None:
            return "failed"
        return cell_of(result.figures[figure]) if figure in result.figures else "-"

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Case, figure, a cell for each simulator, verdict."""
        for case in self.cases:
            for figure in type(case.scenario).figures:
                cells = (self.cell(case, name, figure) for name in self.there)
                yield case.name, figure, *cells, self.verdict(case, figure)

    def reasons(self) -> list[str]:
        """Why figures are missing, each reason once for each simulator."""
        where: dict[tuple[str, str], list[str]] = {}
        for (case, name), result in self.results.items():
            for figure, reason in result.missing.items():
                where.setdefault((name, reason), []).append(f"{case} {figure}")
        return [f"{name}: {reason} ({', '.join(places)})" for (name, reason), places in where.items()]

    def assumptions(self) -> list[str]:
        """What simulators take for granted, each once, with the kinds of scenario it is of."""
        where: dict[tuple[str, str], list[str]] = {}
        for (_, name), result in self.results.items():
            for text in result.assumptions if result.figures else ():
                kinds = where.setdefault((name, text), [])
                kinds += [] if result.kind in kinds else [result.kind]
        return [f"{name}, {' and '.join(kinds)}: {text}" for (name, text), kinds in where.items()]

    def allowances(self) -> list[str]:
        """Differences of model that cases allow for, each once."""
        where: dict[str, list[str]] = {}
        for case in self.cases:
            for figure, allowed in case.allowed.items():
                where.setdefault(f"{100 * allowed.share:g} %: {allowed.why}", []).append(f"{case.name} {figure}")
        return [f"{text} ({', '.join(places)})" for text, places in where.items()]

    def notes(self) -> list[tuple[str, list[str]]]:
        """Lists under the table, by title."""
        absent = [f"{name}: {why}" for name, why in self.absent.items()]
        failed = [f"{name}, {case}: {why}" for (case, name), why in self.failed.items()]
        return [
            ("Allowed beyond statistics", self.allowances()),
            ("Cannot be compared, and why", self.reasons()),
            ("Taken for granted", self.assumptions()),
            ("Failed", failed),
            ("Not there", absent),
        ]

    def markdown(self) -> str:
        """The generated part of docs/simulators.md."""
        head = ("case", "figure", *(f"{name} {c.version}" for name, c in self.there.items()), "verdict")
        lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        lines += ["| " + " | ".join(row) + " |" for row in self.rows()]
        for title, texts in self.notes():
            if texts:
                lines += ["", f"{title}:", "", *(f"- {text}" for text in texts)]
        return "\n".join(lines)

    def text(self) -> str:
        """For a terminal."""
        rows = [("case", "figure", *self.there, "verdict"), *self.rows()]
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]) - 1)]
        lines = ["  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]]) for row in rows]
        for title, texts in self.notes():
            if texts:
                lines += ["", f"{title}:", *(f"  {text}" for text in texts)]
        return "\n".join(lines)

    def data(self) -> dict[str, Any]:
        """For machines."""
        return {
            "sigmas": SIGMAS,
            "versions": {name: c.version for name, c in self.there.items()},
            "absent": dict(self.absent),
            "agree": self.whole,
            "cases": [
                {
                    "case": case.name,
                    "scenario": case.scenario,
                    "results": {name: r for (c, name), r in self.results.items() if c == case.name},
                    "failed": {name: why for (c, name), why in self.failed.items() if c == case.name},
                    "verdicts": {figure: self.verdict(case, figure) for figure in type(case.scenario).figures},
                }
                for case in self.cases
            ],
        }


def cell_of(figure: Figure) -> str:
    """The value with the digits that its error leaves, or six of a computed one."""
    if figure.sigma == 0:
        return f"{figure.value:.6g}"
    return f"{figure.value:.4g} ± {figure.sigma:.2g}"


def _played(found: list[tuple[str, Simulator]], cases: tuple[Case, ...], within_s: float) -> Played:
    there: dict[str, Capabilities] = {}
    absent: dict[str, str] = {}
    results: dict[tuple[str, str], Result] = {}
    failed: dict[tuple[str, str], str] = {}
    for name, simulator in found:
        try:
            there[name] = simulator.capabilities
        except SimulatorFailed as why:
            absent[name] = str(why)
            continue
        for case in cases:
            show.error(f"{name}: {case.name}")
            try:
                results[case.name, name] = simulator.play(case.scenario, within_s)
            except SimulatorFailed as why:
                failed[case.name, name] = str(why)
        simulator.close()
    return Played(cases, there, absent, results, failed)
