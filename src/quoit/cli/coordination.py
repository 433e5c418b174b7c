"""`quoit compare FILE --coordination`: one network, coordinated by the Fabric and by Service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from quoit.cli import show
from quoit.model.quantity import format_duration, parse_duration_ns
from quoit.scenario.check import NetworkFileFaults, load
from quoit.scenario.coordination_compare import CHOICES, Account, Outage, compare, end_of
from quoit.scenario.schema import NetworkFile

EXAMPLE = "examples/coordination.yaml is one"
ROWS: tuple[tuple[str, str, str], ...] = (
    ("outages", "outages of links", "d"),
    ("to_other_light_mean_s", "from outage to other light, mean s", ".3f"),
    ("to_restore_mean_s", "time to restore, mean s", ".3f"),
    ("to_restore_longest_s", "time to restore, longest s", ".3f"),
    ("out_at_end", "links out at the end", "d"),
    ("key_made_bits", "key made, bits", ",d"),
    ("key_lost_bits", "key lost, bits", ",d"),
    ("requests_served", "requests served", "d"),
    ("requests_failed", "requests failed", "d"),
    ("messages", "control messages between strata", "d"),
    ("messages_of_coordinator", "  the coordinator's own", "d"),
    ("messages_fabric_connectivity", "  Fabric and Connectivity", "d"),
    ("messages_service_fabric", "  Service and Fabric", "d"),
    ("messages_service_connectivity", "  Service and Connectivity", "d"),
    ("reconfigurations", "optical reconfigurations", "d"),
    ("cross_connects_set", "cross-connects set", "d"),
    ("links_moved", "links moved", "d"),
    ("dark_by_moves_s", "dark by moves alone, s", ".3f"),
    ("no_other_light", "no other light was found", "d"),
    ("left_alone", "left alone: nobody needed it", "d"),
)
"""Figures in the order of the table, what they are called there, and how they are written."""


def compare_coordination(
    file: Path | None, until: str | None, seed: int | None, json: bool, of_chains: Sequence[str] = ()
) -> int:
    """Play the file under both choices and print one table. 0, whichever is better. `of_chains`: options that were
    given and have no meaning here."""
    if of_chains:
        raise show.UserError(f"--{of_chains[0]}: only of a chain; leave it out, or leave out --coordination")
    network = _network(file)
    until_ns = end_of(network) if until is None else _duration(until)
    accounts = list(compare(network, until_ns, seed))
    if json:
        rows = [{"by": a.by, **a.figures(), "out": [_plain(o) for o in a.outages]} for a in accounts]
        show.json_line({"network": network.name, "until_ns": until_ns, "rows": rows})
    else:
        _print(network, until_ns, accounts)
    return 0


def _network(file: Path | None) -> NetworkFile:
    if file is None:
        raise show.UserError(f"--coordination: expected a network file; {EXAMPLE}")
    if not file.exists():
        raise show.UserError(f"{file}: no such file; {EXAMPLE}")
    try:
        network = load(file)
    except NetworkFileFaults as faults:
        raise show.UserError(f"{faults}\n{len(faults.faults)} fault(s) in {file}") from faults
    if network.coordination is None:
        raise show.UserError(
            f"{file}: expected a section coordination, found none; add 'coordination: {{by: fabric}}', "
            f"and both choices are played; {EXAMPLE}"
        )
    return network


def _duration(text: str) -> int:
    try:
        found = parse_duration_ns(text)
    except ValueError as fault:
        raise show.UserError(f"--until: {fault}") from fault
    if found <= 0:
        raise show.UserError(f"--until: expected a time above 0, found {text}")
    return found


def _plain(outage: Outage) -> dict[str, str | int | None]:
    return {
        "link": outage.link,
        "why": outage.why,
        "began_ns": outage.began_ns,
        "moved_ns": outage.moved_ns,
        "ended_ns": outage.ended_ns,
    }


def _print(network: NetworkFile, until_ns: int, accounts: list[Account]) -> None:
    table = Table(title=f"{network.name}: {format_duration(until_ns)} of simulated time", title_justify="left")
    table.add_column("coordinated by", no_wrap=True)
    for name in CHOICES:
        table.add_column(name, justify="right", no_wrap=True)
    figures = [account.figures() for account in accounts]
    for key, label, form in ROWS:
        table.add_row(label, *("-" if (value := row[key]) is None else format(value, form) for row in figures))
    console = show.out()
    console.print(table)
    for account in accounts:
        for outage in account.outages:
            console.print(f"{account.by}: {_told(outage)}")


def _told(outage: Outage) -> str:
    text = f"{outage.link} {'dark' if outage.why == 'dark' else 'noisy'} at {outage.began_ns / 1e9:.3f} s"
    if outage.moved_ns is not None:
        text += f", other light after {(outage.moved_ns - outage.began_ns) / 1e9:.3f} s"
    return text + (", not well at the end" if outage.lasted_s is None else f", well after {outage.lasted_s:.3f} s")
