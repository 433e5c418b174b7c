"""Commands to a running twin: look at it, steer it, strike it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from quoit.cli.commands.root import Json, app


@app.command
def top(
    *, dir: Path = Path("out/quoit"), once: Annotated[bool, Parameter(negative="")] = False, json: Json = False
) -> int:
    """Live view of a running twin's links: QBER, rates, pools, states."""
    from quoit.cli.top import watch

    return watch(dir, once, json)


@app.command
def loops(
    order: Literal["list", "records", "pause", "resume", "approve", "reject", "dry-run", "wet-run"] = "list",
    name: str | None = None,
    /,
    *,
    dir: Path = Path("out/quoit"),
    json: Json = False,
) -> int:
    """Closed loops of a running twin: list them, show what one has done, or steer one. See docs/loops.md.

    `records NAME`: its last steps. `pause NAME`, `resume NAME`; `approve NAME`, `reject NAME`: the action that waits;
    `dry-run NAME`, `wet-run NAME`: whether it only writes down what it would do.
    """
    from quoit.cli.loops import loops_of

    return loops_of(dir, order, name, json)


@app.command
def works(
    order: Literal["list", "plan", "end"] = "list",
    name: str | None = None,
    /,
    *,
    spans: Annotated[str | None, Parameter(help="Names with commas between.")] = None,
    at: Annotated[str | None, Parameter(help="When works begin, in simulated time since the start: 10min.")] = None,
    until: Annotated[str | None, Parameter(help="When they end.")] = None,
    links: Annotated[str | None, Parameter(help="Quantum links whose devices are worked on, commas between.")] = None,
    lead: Annotated[str, Parameter(help="So long before they begin services move elsewhere.")] = "60s",
    force: Annotated[bool, Parameter(help="Announce them even if something there cannot give way.")] = False,
    dir: Path = Path("out/quoit"),
    json: Json = False,
) -> int:
    """Planned works of a running twin: list, `plan NAME --spans A,B --at 10min --until 20min`, `end NAME`.

    All are in one calendar, whoever announced them. What no service of the optical network carries and no loop looks
    after cannot give way: works there need --force. See docs/otn.md and docs/loops.md.
    """
    from quoit.cli.loops import works_of

    return works_of(dir, order, name, (spans, at, until), json, lead, force, links)


@app.command
def observe(*, out: Annotated[Path, Parameter(help="Directory for the files.")], force: bool = False) -> int:
    """Write a Grafana dashboard, Prometheus alert rules and a scrape configuration for a running twin.

    See docs/telemetry.md. Files that are there already stay, unless --force is given.
    """
    from quoit.cli.observe import write_files

    return write_files(out, force)


@app.command
def alarms(*, dir: Path = Path("out/quoit"), json: Json = False) -> int:
    """List what is wrong in a running twin: severity, since when, and which alarm explains it.

    Ends with 1 if an alarm is critical or major.
    """
    from quoit.cli.top import list_alarms

    return list_alarms(dir, json)


@app.command
def strike(kind: str, target: str, amount: float = 0.0, /, *, dir: Path = Path("out/quoit"), json: Json = False) -> int:
    """Do something to a running twin's world: cut|splice SPAN, bend SPAN DB, intercept|tamper LINK FRACTION.

    `light SPAN DBM`, `extinguish SPAN`: classical light of which no inventory knows; `power CHANNEL DBM`: a channel
    sends with another power than it was told to; `weather SPAN DB`: loss of a path through air. Write a negative
    amount after `--`: `quoit strike light SPAN -- -20`.

    `tap SPAN DB`: a coupler leads light away; `split LINK FRACTION`: photon-number splitting; `blind LINK 1`: bright
    light on the detectors; `falsify-sender LINK 1`, `falsify-receiver LINK 1`: the agent of that end tells what is not
    so; `withhold-sender LINK 1`, `withhold-receiver LINK 1`: it tells nothing. Amount 0 ends each.

    `intercept` takes pair links too, `depolarise LINK FRACTION` makes a fault of one, and `commission LINK` brings
    both ends of a link fresh key to authenticate their messages with.
    """
    from quoit.cli.top import strike_at

    return strike_at(dir, kind, target, amount, json)
