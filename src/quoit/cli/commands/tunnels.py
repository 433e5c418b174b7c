"""Commands that give keys to a tunnel's end."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from quoit.cli.commands.root import app

tunnel_app = App(name="tunnel", help="Give keys to a tunnel's end, a fresh one every few seconds. See docs/tunnels.md.")
app.command(tunnel_app)


@Parameter(name="*")
@dataclass(frozen=True)
class TunnelEnd:
    """Which end this is, and where its keys come from."""

    sae: Annotated[str, Parameter(help="This end's application.")]
    peer: Annotated[str, Parameter(help="The other end's application.")]
    agent: Annotated[str, Parameter(help="HOST:PORT of the responder's agent: here it listens, or is called.")]
    initiate: Annotated[bool, Parameter(negative="", help="This end leads: it opens keys and says when.")] = False
    every: Annotated[str, Parameter(help="A fresh key so often.")] = "10s"
    rotations: Annotated[int | None, Parameter(help="End after so many (the leading end).")] = None
    dir: Annotated[Path, Parameter(help="Directory of a twin on this machine, for its doors.")] = Path("out/quoit")
    kme: Annotated[str | None, Parameter(help="Base URL of any KME instead; with --cert, --key, --ca.")] = None
    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    plain: Annotated[
        bool, Parameter(negative="", help="Agents talk without TLS: for certificates that are for clients only.")
    ] = False


def _rotate(end: TunnelEnd, tunnel: Any) -> int:
    from quoit.cli.tunnel import End, rotate

    return rotate(End(*(getattr(end, f.name) for f in fields(end))), tunnel)


@tunnel_app.command
def wireguard(
    *,
    end: TunnelEnd,
    interface: Annotated[str, Parameter(help="The WireGuard interface.")],
    public_key: Annotated[str, Parameter(help="The other end's public key, as `wg` prints it.")],
) -> int:
    """Rotate the pre-shared key of a WireGuard peer."""
    from quoit.tunnels.wireguard import WireGuard

    return _rotate(end, WireGuard(interface, public_key))


@tunnel_app.command
def strongswan(
    *,
    end: TunnelEnd,
    connection: Annotated[Path, Parameter(help="JSON file: the connection's settings as VICI takes them.")],
    name: Annotated[str, Parameter(help="The connection's name.")] = "quoit",
    child: Annotated[str, Parameter(help="The child that is initiated.")] = "net",
    vici: Annotated[str, Parameter(help="Socket of charon.")] = "/run/charon.vici",
) -> int:
    """Rotate the post-quantum pre-shared key (RFC 8784) of a strongSwan connection."""
    from quoit.cli.tunnel import vici_settings
    from quoit.tunnels.strongswan import StrongSwan

    return _rotate(end, StrongSwan(vici, name, vici_settings(connection), child, end.initiate))


@tunnel_app.command
def tls(
    *,
    end: TunnelEnd,
    secrets: Annotated[Path, Parameter(help="stunnel's PSKsecrets file; the agent writes it.")],
    pid_file: Annotated[Path, Parameter(help="stunnel's pid file.")],
) -> int:
    """Rotate the pre-shared keys of a stunnel (TLS 1.3)."""
    from quoit.tunnels.tls import Stunnel

    return _rotate(end, Stunnel(secrets, pid_file, not end.initiate))
