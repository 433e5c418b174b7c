"""`quoit tunnel`: an agent beside one end of a WireGuard, strongSwan or TLS tunnel."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from quoit.adapters.hardening import harden
from quoit.cli import show
from quoit.cli.run import instant
from quoit.cli.top import Operator
from quoit.interfaces.etsi014.client import AsyncKme014
from quoit.tunnels.agent import Initiator, Responder, Tunnel
from quoit.tunnels.line import Line


@dataclass(frozen=True)
class End:
    """Which end of the tunnel this is, as on the command line."""

    sae: str
    peer: str
    agent: str
    initiate: bool
    every: str
    rotations: int | None
    directory: Path
    kme: str | None
    cert: Path | None
    key: Path | None
    ca: Path | None
    plain: bool = False


def rotate(end: End, tunnel: Tunnel) -> int:
    """Run the agent until Ctrl-C, or until it has rotated so often; 1 if it never rotated."""
    host, _, port = end.agent.rpartition(":")
    if not host or not port.isdigit():
        raise show.UserError(f"--agent: expected HOST:PORT, found {end.agent!r}")
    every_s = instant(end.every, "--every") / 1e9
    harden()
    url, cert, key, ca = _door(end)
    return asyncio.run(_rotate(end, tunnel, (host, int(port)), every_s, (url, cert, key, ca)))


def _door(end: End) -> tuple[str, str, str, str]:
    """The KME and the certificate: as given, or those of a twin that runs on this machine."""
    if end.kme is not None:
        if end.cert is None or end.key is None or end.ca is None:
            raise show.UserError("--kme needs --cert, --key and --ca: the application's certificate and the KME's root")
        return end.kme, str(end.cert), str(end.key), str(end.ca)
    doors: dict[str, Any] = msgspec.json.decode(Operator(end.directory).get("/doors"))
    app = doors["applications"].get(end.sae)
    if app is None:
        raise show.UserError(f"no application {end.sae!r}; there are {', '.join(doors['applications'])}")
    return app["url"], app["cert"], app["key"], doors["ca"]


async def _rotate(
    end: End, tunnel: Tunnel, agent: tuple[str, int], every_s: float, door: tuple[str, str, str, str]
) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    _, cert, key, ca = door
    line = None if end.plain else Line(Path(cert), Path(key), Path(ca))
    async with AsyncKme014(*door) as kme:
        role: Initiator | Responder
        if end.initiate:
            role = Initiator(kme, end.peer, tunnel, every_s, show.json_line, line)
            work = asyncio.ensure_future(role.run(*agent, end.rotations))
        else:
            role = Responder(kme, end.peer, tunnel, every_s, show.json_line, line)
            work = asyncio.ensure_future(
                role.run(*agent, lambda port: show.json_line({"event": "ready", "port": port}))
            )
        stopped = asyncio.ensure_future(stop.wait())
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for task in (work, stopped):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    show.json_line({"event": "ended", **msgspec.structs.asdict(role.report)})
    return 0 if role.report.rotations else 1


def vici_settings(file: Path) -> dict[str, Any]:
    """A connection's settings for VICI, from a JSON file."""
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as fault:
        raise show.UserError(f"{file}: not JSON: {fault}") from fault
    return found
