"""Commands about standards that others wrote: YANG modules, programs of the NetQASM SDK."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from quoit.cli.commands.root import Json, app


@app.command
def yang(
    module: Annotated[str | None, Parameter(help="Print this module's text; without it, list all.")] = None,
    /,
    *,
    check: Annotated[Path | None, Parameter(help="Instead: is the JSON instance in this file valid?")] = None,
    config: Annotated[bool, Parameter(negative="", help="With --check: as configuration, without state.")] = False,
    path: Annotated[
        tuple[Path, ...], Parameter(negative="", help="A directory with further modules, looked at first.")
    ] = (),
    json: Json = False,
) -> int:
    """YANG modules of the control interfaces, and validation of JSON instances. See docs/restconf.md."""
    from quoit.cli import yang

    if check is not None:
        return yang.check_file(check, path, config, json)
    return yang.list_all(path, json) if module is None else yang.print_one(module, path)


netqasm_app = App(name="netqasm", help="Programs of the NetQASM SDK, with quoit as their quantum nodes.")
app.command(netqasm_app)


@netqasm_app.command(name="run")
def netqasm_run(
    directory: Annotated[
        Path | None, Parameter(help="Directory of an SDK application, with app_ROLE.py, or a script.")
    ] = None,
    /,
    *,
    example: Annotated[str | None, Parameter(help="An application that the SDK ships, instead.")] = None,
    hardware: Annotated[
        str | None, Parameter(help="Published profile of all nodes and links; default: network.yaml, or ideal.")
    ] = None,
    seed: Annotated[int, Parameter(help="Of all physics, and of the programs' own random numbers.")] = 0,
    rounds: Annotated[int, Parameter(help="Run the programs so often, one round after the other.")] = 1,
    patience: Annotated[float, Parameter(help="Simulated seconds that a wait may take.")] = 3600.0,
    set: Annotated[
        tuple[str, ...], Parameter(negative="", help="ROLE.NAME=VALUE: an argument of a role's main, before ROLE.yaml.")
    ] = (),
    dir: Annotated[
        Path | None, Parameter(help="Run directory of a twin that is up: run against it, live, over its doors.")
    ] = None,
    role: Annotated[
        tuple[str, ...], Parameter(negative="", help="With --dir: run this role here, others elsewhere.")
    ] = (),
    as_: Annotated[
        tuple[str, ...],
        Parameter(name="--as", negative="", help="ROLE=SAE, with --dir: which application a role is."),
    ] = (),
    json: Json = False,
) -> int:
    """Run an application and show what its programs return: in virtual time, or with --dir against a live twin. See
    docs/netqasm.md."""
    from quoit.cli.netqasm import NetqasmOptions, run

    return run(NetqasmOptions(directory, example, hardware, seed, rounds, patience, set, json, dir, role, as_))
