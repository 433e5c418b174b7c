"""`quoit controller`: control a fabric from outside, over the RESTCONF of its nodes' SDN agents."""

from __future__ import annotations

import asyncio
import json as jsonlib
import signal
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quoit.cli import show
from quoit.model.problem import Problem
from quoit.runtime.trace import Event
from quoit.scenario.outside_controller import OutsideController

SHOWN = ("control.", "flow.", "link.", "application.")
"""What events of the controller are told."""


@dataclass(frozen=True)
class ControllerOptions:
    """As on the command line."""

    directory: Path
    agents: tuple[str, ...] = ()
    connect: tuple[str, ...] = ()
    network: str | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    seconds: float | None = None
    json: bool = False


@dataclass
class _Doors:
    """Where agents are, and what to show them."""

    network: str
    urls: dict[str, str] = field(default_factory=dict)
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


def control(options: ControllerOptions) -> int:
    """Take the nodes over; until Ctrl-C, or until another controller does. Exit code 1 if it does."""
    show.logs_to_stderr(options.json)
    doors = _given(options) if options.agents else _of_twin(options)
    pairs = tuple(_pair(text, doors.urls) for text in options.connect)
    try:
        context = _context(doors)
    except (OSError, ssl.SSLError) as fault:
        raise show.UserError(f"the certificates cannot be used: {fault}") from fault
    return asyncio.run(_run(OutsideController(doors.network, doors.urls, context, pairs, _teller(options)), options))


def _given(options: ControllerOptions) -> _Doors:
    if options.ca is None or options.cert is None or options.key is None or options.network is None:
        raise show.UserError("--agent goes with --network, --ca, --cert and --key")
    urls = {}
    for text in options.agents:
        node, equals, url = text.partition("=")
        if not (node and equals and url.startswith("https://")):
            raise show.UserError(f"--agent: expected NODE=https://HOST:PORT, found {text}")
        urls[node] = url
    return _Doors(options.network, urls, options.ca, options.cert, options.key)


def _of_twin(options: ControllerOptions) -> _Doors:
    file = options.directory / "doors.json"
    try:
        told: dict[str, Any] = jsonlib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise show.UserError(
            f"no twin runs in {options.directory}; start one with: quoit up FILE --agents 0"
        ) from fault
    if "agents" not in told:
        raise show.UserError("the twin serves no agents; start it with: quoit up FILE --agents 0")
    leaf = told["agents"]["roles"]["controller"]
    name = options.network or str(told["agents"]["network"])
    return _Doors(name, told["agents"]["nodes"], Path(told["ca"]), Path(leaf["cert"]), Path(leaf["key"]))


def _pair(text: str, nodes: dict[str, str]) -> tuple[str, str]:
    a, colon, b = text.partition(":")
    if not colon or a == b or not {a, b} <= nodes.keys():
        raise show.UserError(f"--connect: expected NODE:NODE, two of {', '.join(nodes)}; found {text}")
    return a, b


def _context(doors: _Doors) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=doors.ca)
    assert doors.cert is not None
    context.load_cert_chain(doors.cert, doors.key)
    return context


def _teller(options: ControllerOptions) -> Any:
    def tell(event: Event) -> None:
        if event.event.startswith(SHOWN):
            if options.json:
                show.json_line({"event": event.event, **event.fields})
            else:
                print(event.event, *(f"{name}={value}" for name, value in event.fields.items()), flush=True)

    return tell


async def _run(controller: OutsideController, options: ControllerOptions) -> int:
    try:
        await controller.start()
    except Problem as problem:
        await controller.stop()
        show.error(f"cannot begin: {problem}")
        return 1
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    ends = [asyncio.create_task(controller.fenced()), asyncio.create_task(stop.wait())]
    await asyncio.wait(ends, timeout=options.seconds, return_when=asyncio.FIRST_COMPLETED)
    fenced = ends[0].done()
    for end in ends:
        end.cancel()
    await asyncio.gather(*ends, return_exceptions=True)
    await controller.stop()
    if fenced:
        show.error("another controller has taken over; what this one configured stays")
    return 1 if fenced else 0
