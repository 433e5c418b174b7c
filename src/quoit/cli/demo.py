"""`quoit demo`: Madrid live, a key at both far ends, an eavesdropper let in and caught.

Every sentence it prints as a claim has been checked just before; the exit status is 0 only if all held.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from quoit.cli import show
from quoit.cli.up import run_loop, tell_how_to_go_on
from quoit.engine.physics.attacks import intercept_resend_qber
from quoit.fabric.api import METERS, GetLinks, LinkRow, Links
from quoit.interfaces.etsi014.client import AsyncKme014, KmeRefusal
from quoit.model.secret import Secret
from quoit.scenario.fate import FATE, Strike
from quoit.scenario.host import Host
from quoit.scenario.host_options import HostOptions
from quoit.scenario.operator import SocketRefused
from quoit.scenario.run_directory import RunDirectoryBusy
from quoit.testing.checkers import verify_events

MASTER, SLAVE = "quiron-app", "concepcion-app"
TAPPED = "quevedo--norte"
FRACTION = 0.3
FIRST_KEY_S = 10.0
PATIENCE_S = 45.0

Ends = tuple[AsyncKme014, AsyncKme014]


@dataclass
class Story:
    """Claims so far."""

    good: bool = True
    rows: list[tuple[bool, str]] = field(default_factory=list)

    def claim(self, true: bool, text: str) -> None:
        """Print a claim with its verdict, and remember it."""
        self.good = self.good and true
        self.rows.append((true, text))
        print(f"  [{'ok' if true else 'FAILED'}] {text}", flush=True)


def play(file: Path, directory: Path, stay: bool | None, json: bool) -> int:
    """Play the demo; 0 if all that it claims was true. With `json` the claims are one JSON object at the end."""
    if json:
        with contextlib.redirect_stdout(sys.stderr):
            story = _play_loudly(file, directory, bool(stay))
        claims = [{"claim": text, "holds": true} for true, text in story.rows]
        show.json_line({"all_held": story.good, "claims": claims})
        return 0 if story.good else 1
    story = _play_loudly(file, directory, sys.stdout.isatty() if stay is None else stay)
    print("All claims held." if story.good else "SOME CLAIMS FAILED.")
    return 0 if story.good else 1


def _play_loudly(file: Path, directory: Path, stay: bool) -> Story:
    show.network(file)
    show.logs_to_stderr()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    story = Story()
    run_loop(lambda: _play(story, file, directory, stay))
    return story


async def _play(story: Story, file: Path, directory: Path, stay: bool) -> int:
    try:
        host = Host(file.read_text(encoding="utf-8"), HostOptions(directory), str(file))
    except RunDirectoryBusy as fault:
        raise show.UserError(str(fault)) from fault
    print(f"Bringing up {host.network.title or host.network.name} live ...", flush=True)
    try:
        await host.start()
    except SocketRefused as fault:
        await host.stop()
        raise show.UserError(str(fault)) from fault
    began = time.monotonic()
    ends = (_client(host, MASTER), _client(host, SLAVE))
    try:
        await _first_key(story, ends, began)
        show.out().print(show.links(await _links(host), "The network"))
        await _eavesdropper(story, host, ends)
        show.out().print(show.links(await _links(host), "The network after the attack"))
        story.claim(
            host.world.faithful, f"the twin kept its own time (worst lateness {host.world.worst_lateness_s:.2f} s)"
        )
        tell_how_to_go_on(host)
        if stay:
            await _until_interrupted()
    finally:
        for client in ends:
            await client.close()
        await host.stop()
    report = verify_events(directory / "events.jsonl")
    story.claim(
        not report.violations,
        f"checkers read {report.events} log entries: each key once to each party, no bit used twice",
    )
    if not stay:
        print(f"The twin has ended. Bring it up again, and these lines work: quoit up {file} --dir {directory}")
    return 0


def _client(host: Host, sae: str) -> AsyncKme014:
    leaf = host.doors.apps[sae]
    url = host.doors.url(host.twin.attachments[sae].kme)
    return AsyncKme014(url, leaf.chain, leaf.key, host.authority.root_pem)


async def _until_interrupted() -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return


async def _links(host: Host) -> tuple[LinkRow, ...]:
    links: Links = await host.world.ask(METERS, GetLinks())
    return links.rows


async def _take(ends: Ends) -> tuple[str, Secret, Secret]:
    """One key at both ends."""
    (key,) = await ends[0].enc_keys(SLAVE)
    (same,) = await ends[1].dec_keys(MASTER, [key.key_id])
    return key.key_id, key.value, same.value


async def _first_key(story: Story, ends: Ends, began: float) -> None:
    print(f"Two applications at far ends take a key by ETSI GS QKD 014 over mutual TLS: {MASTER}, {SLAVE}")
    while True:
        try:
            key_id, one, other = await _take(ends)
            break
        except KmeRefusal as refusal:
            if time.monotonic() - began > FIRST_KEY_S:
                story.claim(False, f"no key within {FIRST_KEY_S:.0f} s: {refusal}")
                return
    took = time.monotonic() - began
    story.claim(took < FIRST_KEY_S, f"first key at both ends {took:.1f} s after the start (key_ID {key_id})")
    story.claim(one == other, f"both ends hold the same {8 * len(one)} bits")
    try:
        await ends[1].dec_keys(MASTER, [key_id])
        story.claim(False, "a second read of the key was answered")
    except KmeRefusal as refusal:
        story.claim(True, f"a second read is refused: {refusal}")


async def _eavesdropper(story: Story, host: Host, ends: Ends) -> None:
    before = next(r for r in await _links(host) if r.link == TAPPED)
    print(f"An eavesdropper measures and resends {FRACTION:.0%} of the pulses of {TAPPED} ...", flush=True)
    await host.world.ask(FATE, Strike("intercept", TAPPED, FRACTION))
    tapped = await _wait_for(host, "quarantined")
    if tapped is None:
        story.claim(False, f"{TAPPED} was not quarantined within {PATIENCE_S:.0f} s")
        return
    await asyncio.sleep(2.5)
    tapped = next(r for r in await _links(host) if r.link == TAPPED)
    expected = intercept_resend_qber(FRACTION, before.qber or 0.0)
    story.claim(
        tapped.qber is not None and abs(tapped.qber - expected) < 0.01,
        f"QBER rose from {before.qber or 0:.2%} to {tapped.qber or 0:.2%}; the formula says {expected:.2%}",
    )
    story.claim(tapped.state == "quarantined", f"{TAPPED} is in quarantine")
    refused = await _no_way_through(ends)
    story.claim(refused is not None, f"there is no other way: keys are refused: {refused}")
    print("The eavesdropper goes away ...", flush=True)
    await host.world.ask(FATE, Strike("intercept", TAPPED, 0.0))
    back = await _wait_for(host, "up")
    story.claim(back is not None, f"{TAPPED} is back in service")
    story.claim(await _key_again(ends), "keys flow again, equal at both ends")


async def _wait_for(host: Host, state: str) -> LinkRow | None:
    """The tapped link's row once it is in this state."""
    for _ in range(int(PATIENCE_S * 5)):
        row = next(r for r in await _links(host) if r.link == TAPPED)
        if row.state == state:
            return row
        await asyncio.sleep(0.2)
    return None


async def _no_way_through(ends: Ends) -> str | None:
    """Take what is left in store, all of it made before the attack; then the refusal's text."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            await ends[0].enc_keys(SLAVE, 128)
        except KmeRefusal as refusal:
            return str(refusal) if refusal.status == 503 else None
    return None


async def _key_again(ends: Ends) -> bool:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            _, one, other = await _take(ends)
            return one == other
        except KmeRefusal:
            await asyncio.sleep(0.2)
    return False
