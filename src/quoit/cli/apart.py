"""`quoit bus`, `quoit up --bus` and `quoit up --by`: strata and planes that run apart, each by its own credentials."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from quoit.adapters.crypto.pki import Authority, PkiError
from quoit.cli import show
from quoit.cli.crew import BUS, events_in, together
from quoit.cli.run import instant
from quoit.model.role import Role
from quoit.runtime.trace import digest_of
from quoit.scenario.apart import ApartOptions
from quoit.scenario.part_doors import Ports
from quoit.scenario.parts import BY, Part, PartFault, standard_parts

if TYPE_CHECKING:
    from quoit.adapters.buses.nats import NatsServer  # the `nats` extra: imported where a bus is made

LOOK_S = 0.5
"""How often `quoit bus` looks after its server."""
CREDENTIALS = Path("out/bus/parts")
"""Where `quoit bus` puts them, unless it is told otherwise."""
CREDENTIALS_LIFE = timedelta(days=30)
ROOT = "root.key"
"""The root of all keys of a run: in the credentials of parts with resources, until the twin has begun."""


@dataclass(frozen=True)
class Place:
    """As on the command line: what a part holds, and how it comes to the others."""

    bus: str | None = None
    credentials: Path | None = None
    strata: tuple[str, ...] = ()
    planes: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()
    wait_s: float = 60.0

    @property
    def part(self) -> Part:
        """UserError if it would hold nothing."""
        try:
            return Part.of(self.strata, self.planes, self.without, self.elements)
        except PartFault as fault:
            raise show.UserError(str(fault)) from fault

    @property
    def is_apart(self) -> bool:
        """Whether this is to be a part. UserError for a choice of strata or planes without a bus."""
        if self.bus is None and (self.strata or self.planes or self.without or self.elements or self.credentials):
            raise show.UserError(
                "--stratum, --plane, --element, --without and --credentials are for a part of a twin that runs apart: "
                "start the bus (quoit bus FILE) and give its address with --bus"
            )
        return self.bus is not None


def place_of(
    bus: str | None,
    credentials: Path | None,
    choice: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]],
    wait: str,
) -> Place:
    """From the words of the command line. `choice`: strata, planes, what to leave out of them, and elements."""
    return Place(bus, credentials, *choice, wait_s=instant(wait, "--wait") / 1e9)


def options_of(place: Place) -> ApartOptions:
    """This process's part, with its credentials read."""
    nats = _nats()
    from quoit.adapters.buses.apart import PartBus

    assert place.bus is not None
    part = place.part
    given = place.credentials or CREDENTIALS / part.name
    missing = [name for name in ("part.pem", "part.key", "root.pem") if not (given / name).exists()]
    if missing:
        raise show.UserError(
            f"part {part.name}: no {', '.join(missing)} in {given}; `quoit bus FILE` makes them (for a part that is "
            f"out of the ordinary: quoit bus FILE --part {part.name}), and --credentials says where they are"
        )
    identity = nats.BusIdentity(given / "part.pem", given / "part.key", given / "root.pem")
    root = None
    if part.has_resources:
        try:
            root = (given / ROOT).read_bytes()
        except FileNotFoundError as fault:
            raise show.UserError(
                f"{given / ROOT} is not there: the root of keys is good for one run; start `quoit bus FILE` anew"
            ) from fault
    address = place.bus.partition("://")
    url = f"tls://{address[2] or address[0]}"
    bus = PartBus(url, part.name, identity)

    def started() -> None:
        """Keys of a run are never made twice: nobody reads this root again."""
        (given / ROOT).unlink(missing_ok=True)

    return ApartOptions(part, bus, root, place.wait_s, _say, started)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _nats() -> ModuleType:
    try:
        from quoit.adapters.buses import nats
    except ImportError as fault:
        raise show.UserError(
            f"parts speak over NATS, and {fault.name} is not installed; run: pip install 'quoit[nats]'"
        ) from fault
    return nats


# -- the bus ---------------------------------------------------------------------------------------------


@contextmanager
def _bus(file: Path, directory: Path, port: int, parts: Iterable[Part]) -> Iterator[NatsServer]:
    """A server for the parts of one twin, and credentials for each in `directory`/parts."""
    nats = _nats()
    from quoit.adapters.buses.apart import users_lines

    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    parts = list(parts)
    try:
        authority = Authority(directory / "pki", show.network(file).name)
        leaf = authority.issue_kme(BUS, ["127.0.0.1"], life=CREDENTIALS_LIFE)
    except PkiError as fault:
        raise show.UserError(str(fault)) from fault
    shutil.rmtree(directory / "parts", ignore_errors=True)
    root = secrets.token_bytes(32)
    for part in parts:
        _hand_out(authority, directory / "parts" / part.name, part, root)
    identity = nats.BusIdentity(leaf.chain, leaf.key, authority.root_pem)
    try:
        server = nats.NatsServer.start(directory, identity, port, users_lines(part.name for part in parts))
    except (nats.NatsMissing, RuntimeError) as fault:
        raise show.UserError(str(fault)) from fault
    try:
        yield server
    finally:
        server.stop()
        (directory / "nats.conf").unlink(missing_ok=True)
        for left in directory.glob(f"parts/*/{ROOT}"):
            left.unlink(missing_ok=True)


def _hand_out(authority: Authority, to: Path, part: Part, root: bytes) -> None:
    """A part's own credentials, and nobody else's: a directory that can be given to its container alone."""
    to.mkdir(mode=0o700, parents=True)
    leaf = authority.issue_role(Role.KME, part.name, CREDENTIALS_LIFE)
    shutil.copy2(leaf.chain, to / "part.pem")
    shutil.copy2(authority.root_pem, to / "root.pem")
    secret = {"part.key": leaf.key.read_bytes()} | ({ROOT: root} if part.has_resources else {})
    for name, data in secret.items():
        with os.fdopen(os.open(to / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(data)


def serve_bus(file: Path, directory: Path, port: int, names: Iterable[str], as_json: bool) -> int:
    """Run the bus until Ctrl-C."""
    if not 0 <= port <= 65535:
        raise show.UserError(f"--port: expected 0 (any free one) to 65535, found {port}")
    try:
        extra = [Part.named(name) for name in names]
    except PartFault as fault:
        raise show.UserError(f"--part: {fault}") from fault
    parts = dict.fromkeys([*standard_parts(), *extra])
    with _bus(file, directory, port, parts) as server:
        url = server.url
        if as_json:
            show.json_line({"bus": url, "credentials": str(directory / "parts"), "parts": [p.name for p in parts]})
        else:
            given = directory / "parts"
            print(f"bus at {url}; credentials of each part in {given}\nstart a part, for example:", flush=True)
            for part in BY["stratum"]:
                where = "" if given == CREDENTIALS else f" --credentials {given / part.name}"
                print(f"  quoit up {file} --bus {url} --stratum {part.name}{where}", flush=True)
            print("end: Ctrl-C", flush=True)
        return _until_a_signal(server)


def _until_a_signal(server: NatsServer) -> int:
    """0 after SIGINT or SIGTERM; 1 if the server ends before."""
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    try:
        while signal.sigtimedwait(ends, LOOK_S) is None:
            if server.process.poll() is not None:
                show.error(f"the bus has ended with exit code {server.process.returncode}")
                return 1
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ends)
    return 0


# -- all parts with one command --------------------------------------------------------------------------


def lead_apart(file: Path, directory: Path, ports: Mapping[Part, Ports], arguments: list[str], digest: bool) -> int:
    """Start a bus and a process of this command for each part, with its ports, wait for them, merge their event
    logs."""
    parts = list(ports)
    base = [sys.executable, "-m", "quoit.cli.main", "up", str(file), *arguments]
    codes: list[int] = []
    with _bus(file, directory / "bus", 0, parts) as server:
        given = directory / "bus" / "parts"
        started = [
            subprocess.Popen([*base, *own.arguments, *_choice(part, directory, server.url, given)])
            for part, own in ports.items()
        ]
        try:
            codes = together(started, [part.name for part in parts])
        except KeyboardInterrupt:
            codes = [process.wait() for process in started]  # the terminal's signal reached them too
    logs = [directory / part.name / "events.jsonl" for part in parts]
    events = [event for log in logs if log.exists() for event in events_in(log)]
    with (directory / "events.jsonl").open("wb") as merged:
        for _, line in sorted(events, key=lambda e: e[0].t):
            merged.write(line)
    if digest:
        print(digest_of(event for event, _ in events))
    return max(codes) if min(codes) >= 0 else 1


def _choice(part: Part, directory: Path, url: str, given: Path) -> list[str]:
    chosen = [word for cell in part.cells for word in ("--stratum", cell.stratum, "--plane", cell.plane)]
    return [*chosen, "--bus", url, "--credentials", str(given / part.name), "--dir", str(directory / part.name)]
