"""Commands of those who come to a twin from outside: applications, devices, a controller."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from quoit.cli.commands.root import Json, app


@app.command
def token(
    node: str,
    /,
    *,
    valid_for: Annotated[str, Parameter(help="How long it is good: 10min, 1h; at most 7 days.")] = "1h",
    dir: Path = Path("out/quoit"),
    json: Json = False,
) -> int:
    """Make a one-time token with which the device at NODE joins the running twin. See docs/orchestration.md."""
    from quoit.cli.join import make_token

    return make_token(dir, node, valid_for, json)


@app.command
def join(
    *,
    token: Annotated[
        str | None, Parameter(help="As `quoit token` printed it; read from standard input if not given.")
    ] = None,
    dir: Annotated[Path, Parameter(help="Where the device keeps its key and certificate.")] = Path("out/device"),
    json: Json = False,
) -> int:
    """At a device: enrol with a one-time token, register, and be linked. There is no other step."""
    from quoit.cli.join import join as join_network

    return join_network(token, dir, json)


@app.command
def keys(
    sae: str,
    peer: str,
    /,
    *,
    number: int = 1,
    size: int | None = None,
    dir: Path = Path("out/quoit"),
    json: Json = False,
) -> int:
    """Take keys as application SAE shared with PEER, and the same keys at PEER's end; compare them."""
    from quoit.cli.keys import take

    return take(dir, sae, peer, number, size, json)


@app.command
def pki(
    sae: str,
    /,
    *,
    urn: str | None = None,
    dir: Path = Path("out/quoit"),
    hours: float = 24,
    revoke: Annotated[bool, Parameter(negative="", help="Revoke the application's certificate instead.")] = False,
    json: Json = False,
) -> int:
    """Issue a client certificate for an application from the run's own PKI, or revoke it."""
    from quoit.cli.keys import issue
    from quoit.cli.keys import revoke as revoke_it

    if revoke:
        return revoke_it(dir, sae, json)
    return issue(dir, sae, urn, hours, json)


@app.command
def controller(
    *,
    dir: Annotated[Path, Parameter(help="A running twin's, for its agents and a certificate.")] = Path("out/quoit"),
    connect: Annotated[
        tuple[str, ...],
        Parameter(help="NODE:NODE, a route for keys to keep before an application asks; as often as wanted."),
    ] = (),
    agent: Annotated[tuple[str, ...], Parameter(help="NODE=URL of an agent, instead of a twin's.")] = (),
    network: Annotated[str | None, Parameter(help="Name from which identifiers follow.")] = None,
    ca: Path | None = None,
    cert: Path | None = None,
    key: Path | None = None,
    seconds: Annotated[float | None, Parameter(help="End after so long.")] = None,
    json: Json = False,
) -> int:
    """Control a fabric from outside, by ETSI GS QKD 015 over RESTCONF. Ctrl-C ends it, and keys flow on."""
    from quoit.cli.controller import ControllerOptions, control

    return control(ControllerOptions(dir, agent, connect, network, ca, cert, key, seconds, json))
