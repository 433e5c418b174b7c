"""Commands that run networks in virtual time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from quoit.cli.commands.root import Json, Seed, app


@app.command
def run(
    file: Path,
    /,
    *,
    until: str = "10min",
    seed: Seed = None,
    digest: Annotated[bool, Parameter(negative="", help="Print only the trace digest, on the last line.")] = False,
    out: Annotated[Path | None, Parameter(help="Write report, tables, plots and event log here.")] = None,
    traces: Annotated[Path | None, Parameter(help="Write traces of requests here (OTLP/JSON, a batch a line).")] = None,
    json: Json = False,
) -> int:
    """Run a network in virtual time, as fast as the machine can, and report what happened."""
    from quoit.cli.run import run_file

    return run_file(file, until, seed, digest, out, json, traces)


@app.command
def sweep(
    file: Path,
    /,
    *,
    out: Annotated[Path, Parameter(help="Directory of the study: its runs, tables and plot.")],
    workers: Annotated[int | None, Parameter(help="Runs at a time; as many as there are cores if not given.")] = None,
    executor: Annotated[
        Literal["processes", "dask"], Parameter(help="processes of this machine, or a Dask cluster (quoit[dask]).")
    ] = "processes",
    scheduler: Annotated[
        str | None, Parameter(help="With dask: address of a scheduler; else a cluster is made on this machine.")
    ] = None,
    resume: Annotated[bool, Parameter(negative="", help="Go on with the study that was begun in --out.")] = False,
    plot: Annotated[
        bool, Parameter(negative="", help="Draw the figures over the first axis, a line for each value of the second.")
    ] = False,
    json: Json = False,
) -> int:
    """Run a parameter study: all points of a sweep file with all their seeds, on all cores. See docs/sweeps.md."""
    from quoit.cli.sweep import sweep_file

    return sweep_file(file, out, workers, executor, scheduler, resume, plot, json)


@app.command
def attack(
    file: Path,
    /,
    *,
    seeds: Annotated[int | None, Parameter(help="How many runs; the file's own number if not given.")] = None,
    json: Json = False,
) -> int:
    """Play an attack in virtual time and score what telemetry made of it. See docs/attacks.md."""
    from quoit.cli.attack import attack_file

    return attack_file(file, seeds, json)


@app.command
def compare(
    file: Path | None = None,
    /,
    *,
    coordination: Annotated[
        bool,
        Parameter(negative="", help="Of a network: coordinated with Connectivity by the Fabric, and by Service."),
    ] = False,
    until: Annotated[
        str | None, Parameter(help="With --coordination: simulated time; 15s after the last event if not given.")
    ] = None,
    chain: Annotated[int | None, Parameter(help="Instead of a file: so many alike hops.")] = None,
    compilers: Annotated[
        str | None, Parameter(help="Names with commas between; all that are installed if not.")
    ] = None,
    pairs: Annotated[int | None, Parameter(help="How many; the file's own if not given.")] = None,
    floor: Annotated[float | None, Parameter(help="Fidelity that no pair may fall below.")] = None,
    seed: Seed = None,
    plot: Annotated[Path | None, Parameter(help="Draw it: a .png, .svg or .pdf file.")] = None,
    json: Json = False,
) -> int:
    """Run one chain of repeaters under several compilers and compare rate, fidelity, latency, memory and messages.

    With --coordination, play a network under both choices of who coordinates its strata, and compare what it takes to
    restore, what is lost, and what is said and moved for it. See docs/coordination.md.
    """
    if coordination:
        from quoit.cli.coordination import compare_coordination

        of_chains = {"chain": chain, "compilers": compilers, "pairs": pairs, "floor": floor, "plot": plot}
        return compare_coordination(file, until, seed, json, [name for name, v in of_chains.items() if v is not None])
    from quoit.cli.compare import compare_file

    return compare_file(file, chain, compilers, pairs, floor, seed, plot, json, until)
