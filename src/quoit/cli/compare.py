"""`quoit compare`: the same chain under several compilers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.table import Table

from quoit.adapters.exporters.comparison_plot import draw_comparison
from quoit.cli import show
from quoit.fabric.programs.demand import Compiler, Demand, Refused
from quoit.model.quantity import format_duration
from quoit.scenario.chain import ChainFile, demand_of, load, uniform
from quoit.scenario.check import NetworkFileFaults, did_you_mean
from quoit.scenario.comparison import Row, compare, installed

MOST_HOPS = 128


def compare_file(
    file: Path | None,
    hops: int | None,
    compilers: str | None,
    pairs: int | None,
    floor: float | None,
    seed: int | None,
    plot: Path | None,
    json: bool,
    until: str | None = None,
) -> int:
    """Table, JSON and plot; 0 if every compiler took the demand on and kept its word, else 1."""
    if until is not None:
        raise show.UserError("--until: only of a network, with --coordination; a chain ends with its pairs")
    chain, demand = _chain(file, hops, floor)
    demand = _changed(demand, pairs, floor)
    chosen = _chosen(compilers)
    rows = compare(demand, chosen, chain.seed if seed is None else seed, chain.idle_ns, chain.limit_ns)
    if plot is not None:
        _plot(plot, chain, demand, rows)
    if json:
        show.json_line({"chain": chain.name, "floor": demand.floor, "pairs": demand.pairs, "rows": _plain(rows)})
    else:
        _print(chain, demand, rows)
    return 1 if any(row.refused is not None or row.broke_promise for row in rows) else 0


def _chain(file: Path | None, hops: int | None, floor: float | None) -> tuple[ChainFile, Demand]:
    if (file is None) == (hops is None):
        raise show.UserError("expected a chain file, or --chain HOPS without one; examples/chain-compare.yaml is one")
    if floor is not None and not 0.25 < floor <= 1:
        raise show.UserError(f"--floor: expected above 0.25 and up to 1, found {floor:g}")
    if file is None or hops is not None:
        if hops is None or not 1 <= hops <= MOST_HOPS:
            raise show.UserError(f"--chain: expected 1 to {MOST_HOPS} hops, found {hops}")
        chain = uniform(hops, floor)
    else:
        if not file.exists():
            raise show.UserError(f"{file}: no such file; examples/chain-compare.yaml is one")
        try:
            chain = load(file)
        except NetworkFileFaults as faults:
            hint = "; a network file is compared with --coordination" if _is_network(file) else ""
            raise show.UserError(f"{faults}\n{len(faults.faults)} fault(s) in {file}{hint}") from faults
    try:
        return chain, demand_of(chain)
    except Refused as refusal:
        raise show.UserError(f"{chain.name}: {refusal}") from refusal


def _is_network(file: Path) -> bool:
    return any(line.startswith("quoit:") for line in file.read_text(encoding="utf-8", errors="replace").splitlines())


def _changed(demand: Demand, pairs: int | None, floor: float | None) -> Demand:
    if pairs is not None and pairs < 1:
        raise show.UserError(f"--pairs: expected 1 or more, found {pairs}")
    return replace(
        demand, pairs=demand.pairs if pairs is None else pairs, floor=demand.floor if floor is None else floor
    )


def _chosen(names: str | None) -> dict[str, Compiler]:
    known = installed()
    if not known:
        raise show.UserError("no compiler is installed: quoit's own come with it, so install quoit anew")
    chosen: dict[str, Compiler] = {}
    for name in known if names is None else (part.strip() for part in names.split(",")):
        if name not in known:
            raise show.UserError(f"--compilers: no compiler is called {name!r}; {did_you_mean(name, known)}")
        try:
            chosen[name] = known[name].load()()
        except (ImportError, AttributeError, TypeError) as fault:
            where = known[name].value
            raise show.UserError(f"compiler {name} ({where}) cannot be loaded, leave it out: {fault}") from fault
    return chosen


def _plain(rows: list[Row]) -> list[dict[str, Any]]:
    found = []
    for row in rows:
        flat: dict[str, Any] = {"compiler": row.compiler, "broke_promise": row.broke_promise}
        if row.refused is not None:
            flat |= {"refused": row.refused, "could_have": row.could_have}
        if row.promise is not None and row.figures is not None:
            p, f = row.promise, row.figures
            flat |= {"cutoff_ns": row.cutoff_ns, "purification_rounds": row.rounds}
            flat |= {"promised_least": p.least, "promised_mean": p.mean, "promised_messages": p.messages}
            flat |= {name: getattr(f, name) for name in f.__slots__ if name not in ("fidelities", "latencies_s")}
        found.append(flat)
    return found


def _print(chain: ChainFile, demand: Demand, rows: list[Row]) -> None:
    title = f"{chain.name}: {len(demand.links)} hops, {demand.pairs} pairs, floor {demand.floor:g}"
    table = Table(title=title, title_justify="left")
    heads = ("compiler", "rate /s", "F mean", "F 5 %", "F least", "p50", "p99", "mem s", "alone", "msgs", "expired")
    for name in heads:
        table.add_column(name, justify="left" if name == "compiler" else "right", no_wrap=True)
    for row in rows:
        if row.figures is not None:
            table.add_row(row.compiler, *_cells(row))
    console = show.out()
    if table.row_count:
        console.print(table)
        console.print(
            "F: of pairs asked for all at once. p50, p99: from asking for one pair to its delivery. mem s: seconds of "
            "memory per pair, all at once and alone. msgs: messages per pair. expired: qubits that a cut-off took."
        )
    for row in rows:
        if row.promise is not None and row.figures is not None:
            console.print(_promised(row, demand))
        if row.refused is not None:
            console.print(f"{row.compiler} refuses: {row.refused}")


def _promised(row: Row, demand: Demand) -> str:
    assert row.promise is not None
    assert row.figures is not None
    text = f"{row.compiler}: no pair below {row.promise.least:.4f}"
    if row.broke_promise:
        text = f"{row.compiler} BROKE ITS PROMISE of no pair below {row.promise.least:.4f}"
    if row.promise.mean is not None:
        text += f", mean {row.promise.mean:.4f}"
    text += f"; cut-off {'none' if row.cutoff_ns is None else format_duration(_rounded(row.cutoff_ns))}"
    if row.rounds:
        text += "; purifies " + ", ".join(f"{n} x over {span} hop(s)" for span, n in sorted(row.rounds.items()))
    if row.figures.delivered < (demand.pairs or 0):
        text += f"; delivered only {row.figures.delivered} of {demand.pairs} within the limit"
    return text


def _rounded(ns: int) -> int:
    """Four digits, for the eye."""
    unit: int = 10 ** max(0, len(str(ns)) - 4)
    return ns // unit * unit


def _cells(row: Row) -> list[str]:
    f = row.figures
    assert f is not None
    values = [
        (f.rate_hz, ".4g"), (f.fidelity, ".4f"), (f.fidelity_p5, ".4f"), (f.fidelity_least, ".4f"),
        (f.latency_p50_s, ".4g"), (f.latency_p99_s, ".4g"), (f.memory_s, ".4g"), (f.memory_alone_s, ".4g"),
        (f.messages, ".1f"),
    ]  # fmt: skip
    return ["-" if value is None else format(value, form) for value, form in values] + [str(f.expired)]


def _plot(file: Path, chain: ChainFile, demand: Demand, rows: list[Row]) -> None:
    ran = {row.compiler: row.figures for row in rows if row.figures is not None and row.figures.delivered}
    if file.suffix not in (".png", ".svg", ".pdf"):
        raise show.UserError(f"--plot: expected a file ending in .png, .svg or .pdf, found {file.name}")
    drawn = draw_comparison(
        file,
        f"{chain.name}: {len(demand.links)} hops, {demand.pairs} pairs",
        demand.floor,
        {name: f.fidelities for name, f in ran.items()},
        {name: f.latencies_s for name, f in ran.items()},
        {name: f.rate_hz or 0.0 for name, f in ran.items()},
    )
    if not drawn:
        raise show.UserError("--plot needs matplotlib: pip install 'quoit[data]'")
