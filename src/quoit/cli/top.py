"""`quoit top` and `quoit strike`: a running twin through its operator socket."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from quoit.cli import show
from quoit.connectivity.api import ChannelReadings
from quoit.fabric.api import Links
from quoit.model.quantity import format_duration
from quoit.orchestration.telemetry_api import AssuranceTable, CorrelatedAlarms, Footprint

SERVICES = ("session", "stream")
"""Kinds of subservices that `quoit top` tells the health of; what they stand on is among the causes."""
MOST_ILL = 12


class Operator:
    """A client of the operator socket in a run's directory."""

    def __init__(self, directory: Path) -> None:
        socket = directory / "operator.sock"
        if not socket.exists():
            raise show.UserError(
                f"no twin runs in {directory} ({socket} is missing); start one with: quoit up FILE --dir {directory}"
            )
        self._http = httpx2.Client(
            transport=httpx2.HTTPTransport(uds=str(socket)), base_url="http://operator", trust_env=False
        )

    def get(self, path: str) -> bytes:
        """The body of a GET."""
        try:
            return self._http.get(path).raise_for_status().content
        except httpx2.HTTPError as fault:
            raise show.UserError(f"the twin does not answer: {fault}") from fault

    def post(self, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        """Status and JSON of a POST."""
        answer = self._http.post(path, content=msgspec.json.encode(body))
        return answer.status_code, answer.json()


def watch(directory: Path, once: bool, json: bool) -> int:
    """Show the links of a running twin, once or until Ctrl-C."""
    operator = Operator(directory)
    if json:
        sys.stdout.write(operator.get("/links").decode() + "\n")
        return 0
    if once or not sys.stdout.isatty():
        show.out().print(_view(operator))
        return 0
    try:
        with Live(_view(operator), refresh_per_second=2, screen=True) as live:
            while True:
                time.sleep(0.5)
                live.update(_view(operator))
    except KeyboardInterrupt:
        return 0


def _view(operator: Operator) -> Group:
    links = msgspec.json.decode(operator.get("/links"), type=Links)
    alarms = msgspec.json.decode(operator.get("/alarms"), type=CorrelatedAlarms)
    status = msgspec.json.decode(operator.get("/status"))
    faithful = "faithful" if status["faithful"] else "NOT FAITHFUL"
    line = f"{status['network']}  t = {format_duration(status['now_ns'])}  {faithful}  {status['events']} events"
    told = [Text(show.alarm(alarm, status["now_ns"]), style="red") for alarm in alarms.alarms]
    light = msgspec.json.decode(operator.get("/channels"), type=ChannelReadings)
    tables: list[Table | Text] = [show.links(links.rows), *([show.channels(light.rows)] if light.rows else [])]
    ill = msgspec.json.decode(operator.get("/assurance?below=100"), type=AssuranceTable).rows
    services = [row for row in ill if row.kind in SERVICES]
    tables += [show.ailing(services[:MOST_ILL])] if services else []
    footprint = msgspec.json.decode(operator.get("/footprint"), type=Footprint)
    tables += [Text(show.footprint(footprint))]
    return Group(Text(line), *tables, *(told or [Text("no alarms")]))


def list_alarms(directory: Path, json: bool) -> int:
    """Print the standing alarms of a running twin; 1 if one is critical or major."""
    operator = Operator(directory)
    body = operator.get("/alarms")
    rows = msgspec.json.decode(body, type=CorrelatedAlarms).alarms
    if json:
        sys.stdout.write(body.decode() + "\n")
    elif rows:
        now_ns = msgspec.json.decode(operator.get("/status"))["now_ns"]
        show.out().print(show.alarms(rows, now_ns))
    else:
        print("no alarms")
    return 1 if any(row.severity in ("critical", "major") for row in rows) else 0


def strike_at(directory: Path, kind: str, target: str, amount: float, json: bool) -> int:
    """Edit the world of a running twin."""
    status, answer = Operator(directory).post("/strike", {"kind": kind, "target": target, "amount": amount})
    if status != 200:
        raise show.UserError(str(answer.get("message")))
    if json:
        show.json_line(answer)
    else:
        print(answer["done"])
    return 0
