"""`quoit up --processes N`: one twin in several processes over NATS, started and ended together."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from quoit.adapters.crypto.pki import Authority
from quoit.cli import show
from quoit.runtime.trace import Event, digest_of
from quoit.scenario.host_options import Share

BUS = "bus"
"""Name on the certificate of a crew's bus."""
LOOK_S = 0.05
"""How often a crew's leader looks after its parts."""


def lead(file: Path, directory: Path, processes: int, arguments: list[str], digest: bool) -> int:
    """Start a NATS server and N processes of this command, wait for them, merge their event logs."""
    try:
        from quoit.adapters.buses.nats import BusIdentity, NatsMissing, NatsServer
    except ImportError as fault:
        raise show.UserError(
            f"--processes: several processes speak over NATS, and {fault.name} is not installed; "
            "run: pip install 'quoit[nats]'"
        ) from fault
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Root and domain exist before the parts read them: they must not make one each.
    authority = Authority(directory / "pki", show.network(file).name)
    leaf = authority.issue_kme(BUS, ["127.0.0.1"])
    try:
        server = NatsServer.start(directory, BusIdentity(leaf.chain, leaf.key, authority.root_pem))
    except (NatsMissing, RuntimeError) as fault:
        raise show.UserError(str(fault)) from fault
    root = directory / "root.key"
    with os.fdopen(os.open(root, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(secrets.token_bytes(32))
    run = secrets.token_hex(4)
    command = [sys.executable, "-m", "quoit.cli.main", "up", str(file), "--dir", str(directory), *arguments]
    command += ["--processes", str(processes), "--nats", server.url, "--run", run]
    parts = [subprocess.Popen([*command, "--part", str(part)]) for part in range(processes)]
    try:
        codes = together(parts, [str(part) for part in range(processes)])
    except KeyboardInterrupt:
        codes = [part.wait() for part in parts]  # the terminal's signal reached them too
    finally:
        server.stop()
        for leftover in (root, server.token_file, directory / "nats.conf"):
            leftover.unlink(missing_ok=True)
    events = list(_events(directory, processes))
    with (directory / "events.jsonl").open("wb") as merged:
        for _, line in sorted(events, key=lambda e: e[0].t):
            merged.write(line)
    if digest:
        print(digest_of(event for event, _ in events))
    return max(codes) if min(codes) >= 0 else 1


def together(parts: list[subprocess.Popen[bytes]], names: list[str]) -> list[int]:
    """Wait until all have ended; their exit codes. When one ends badly the others are ended, too: each would go on with
    a part of the twin, and ask in vain for the rest."""
    ending = False
    while None in (codes := [part.poll() for part in parts]):
        bad = next((number for number, code in enumerate(codes) if code), None)
        if bad is not None and not ending:
            ending = True
            code = codes[bad] or 0
            how = f"with exit code {code}" if code > 0 else f"by signal {-code}"
            show.error(f"part {names[bad]} of the twin ended {how}: the others end, too")
            for part in parts:
                part.terminate()  # nothing happens to those that have ended
        time.sleep(LOOK_S)
    return [part.wait() for part in parts]


def share(directory: Path, part: int, processes: int, url: str, run: str) -> Share:
    """This process's place in the crew."""
    from quoit.adapters.buses.nats import BusIdentity, NatsBus

    root = (directory / "root.key").read_bytes()
    pki = directory / "pki"
    identity = BusIdentity(pki / "kme" / f"{BUS}.pem", pki / "kme" / f"{BUS}.key", pki / "root.pem")
    return Share(part, processes, NatsBus(url, directory / "nats.token", run, part, identity), root)


def _events(directory: Path, processes: int) -> Iterator[tuple[Event, bytes]]:
    for part in range(processes):
        yield from events_in(directory / f"events.{part}.jsonl")


def events_in(log: Path) -> Iterator[tuple[Event, bytes]]:
    """The events of a log, each with its line."""
    with log.open("rb") as lines:
        for line in lines:
            fields: dict[str, Any] = msgspec.json.decode(line)
            head = {name: fields.pop(name) for name in ("t", "by", "n", "event")}
            yield Event(**head, fields=fields), line
