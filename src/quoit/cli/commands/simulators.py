"""Commands about simulators behind one port."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from quoit.cli.commands.root import Json, app

simulators_app = App(name="simulators", help="Simulators behind one port, and how far they agree: docs/simulators.md.")
app.command(simulators_app)
SimulatorsDir = Annotated[
    Path | None,
    Parameter(help="Directory of environments; else $QUOIT_SIMULATORS, else ~/.local/share/quoit/simulators."),
]


@simulators_app.command(name="list")
def list_simulators(*, dir: SimulatorsDir = None, json: Json = False) -> int:
    """Which simulators there are, and what each can do."""
    from quoit.cli.simulators import list_all

    return list_all(dir, json)


@simulators_app.command(name="install")
def install_simulator(
    name: str,
    /,
    *,
    dir: SimulatorsDir = None,
    python: Annotated[str | None, Parameter(help="Interpreter to use, instead of the best one found.")] = None,
) -> int:
    """Make the environment of a simulator, apart from quoit's own: sequence or qunetsim."""
    from quoit.cli.simulators import install_one

    return install_one(name, dir, python)


@simulators_app.command(name="compare")
def compare_simulators(
    *only: Annotated[str, Parameter(help="Simulators; without any, all that are there.")],
    dir: SimulatorsDir = None,
    factor: Annotated[float, Parameter(help="Share of the suite's simulated time and repetitions.")] = 1.0,
    within: Annotated[float, Parameter(help="Seconds that a scenario may take.")] = 600.0,
    markdown: Annotated[bool, Parameter(negative="", help="Print the table of docs/simulators.md.")] = False,
    json: Json = False,
) -> int:
    """Play every scenario on every simulator that can, and compare fidelities, rates and error rates."""
    from quoit.cli.simulators import compare

    return compare(dir, only, factor, within, "json" if json else "markdown" if markdown else "text")
