"""How the command line shows things: tables on a terminal, plain lines elsewhere, JSON when asked."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO, cast

import msgspec
import structlog
from rich.console import Console
from rich.table import Table

from quoit.connectivity.api import ChannelReading
from quoit.fabric.api import LinkRow
from quoit.model.quantity import format_bits, format_duration
from quoit.orchestration.telemetry_api import AssuranceRow, CorrelatedAlarm, Footprint
from quoit.scenario.check import NetworkFileFaults, load
from quoit.scenario.schema import NetworkFile


class UserError(Exception):
    """Wrong use of the command; the text says what to do instead."""


def out() -> Console:
    """A console on standard output; without a terminal, wide enough that tables are whole."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 110)


def error(text: str) -> None:
    """One line on standard error."""
    print(text, file=sys.stderr)


def json_line(value: Any) -> None:
    """A value as JSON on standard output, at once: whoever reads it through a pipe may be waiting for it."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


class _StandardError:
    """Standard error as it is when a line is written. A log that nobody can read any more stops nothing."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def logs_to_stderr(json: bool = False) -> None:
    """Structured logs on standard error: key=value for people, JSON for machines."""
    # asyncio remarks at each end of a TLS connection that its streams return a value for nothing.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    renderer: Any = structlog.processors.JSONRenderer() if json else structlog.processors.LogfmtRenderer()
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso"), renderer],
        logger_factory=structlog.PrintLoggerFactory(file=cast(TextIO, _StandardError())),
        cache_logger_on_first_use=True,
    )


def network(file: Path) -> NetworkFile:
    """Load a network file or end with all its faults."""
    if not file.exists():
        raise UserError(f"{file}: no such file; examples are in examples/")
    try:
        return load(file)
    except NetworkFileFaults as faults:
        raise UserError(f"{faults}\n{len(faults.faults)} fault(s) in {file}") from faults


def links(rows: Sequence[LinkRow], title: str = "links") -> Table:
    """The table of links. S, the CHSH value of the last block, only where a link tests it."""
    table = Table(title=title, title_justify="left")
    tested = any(r.chsh is not None for r in rows)
    for name in ("link", "state", "QBER", *(("S",) if tested else ()), "sifted", "secret", "pool", "blocks", "failed"):
        table.add_column(name, justify="left" if name in ("link", "state") else "right", no_wrap=True)
    for r in rows:
        table.add_row(
            r.link,
            r.state,
            "-" if r.qber is None else f"{100 * r.qber:.2f} %",
            *(("-" if r.chsh is None else f"{r.chsh:.3f}",) if tested else ()),
            f"{format_bits(r.sifted_bps)}/s",
            f"{format_bits(r.secret_bps)}/s",
            format_bits(r.pool_bits),
            str(r.blocks),
            str(r.failed_blocks),
        )
    return table


def channels(rows: Sequence[ChannelReading]) -> Table:
    """The table of classical channels as monitors see them."""
    table = Table(title="classical channels", title_justify="left")
    for name in ("channel", "span", "at", "THz", "dBm", "planned", "OSNR"):
        table.add_column(name, justify="left" if name in ("channel", "span", "at") else "right", no_wrap=True)
    for r in rows:
        table.add_row(
            r.channel or "(unexpected)",
            r.span,
            r.node,
            f"{r.centre_mhz / 1e6:.4f}",
            "missing" if r.dbm is None else f"{r.dbm:.1f}",
            "-" if r.planned_dbm is None else f"{r.planned_dbm:.1f}",
            "-" if r.osnr_db is None else f"{r.osnr_db:.0f} dB",
        )
    return table


def alarm(standing: CorrelatedAlarm, now_ns: int) -> str:
    """One standing alarm in a line, and what explains it."""
    stood = format_duration(max(0, now_ns - standing.since_ns) // 10**9 * 10**9)
    line = f"{standing.severity} [{standing.stratum}] {standing.about}: {standing.cause}, {standing.text} (for {stood})"
    roots = ", ".join(f"{root.about}: {root.cause}" for root in standing.roots)
    return f"{line} <- {roots}" if roots else line


def alarms(rows: Sequence[CorrelatedAlarm], now_ns: int) -> Table:
    """The table of standing alarms; `because of`: the root causes."""
    table = Table(title="alarms", title_justify="left")
    for name in ("severity", "stratum", "about", "cause", "since", "for", "because of", "text"):
        table.add_column(name, overflow="fold")
    for row in rows:
        roots = ", ".join(f"{root.about}: {root.cause}" for root in row.roots)
        since, stood = (format_duration(t // 10**6 * 10**6) for t in (row.since_ns, max(0, now_ns - row.since_ns)))
        table.add_row(row.severity, row.stratum, row.about, row.cause, since, stood, roots or "-", row.text)
    return table


def ailing(rows: Sequence[AssuranceRow]) -> Table:
    """The table of subservices that are not well."""
    table = Table(title="health", title_justify="left")
    table.add_column("of")
    table.add_column("health", justify="right")
    table.add_column("because of", overflow="fold")
    for row in rows:
        causes = "; ".join(f"{cause.about}: {cause.text or cause.name}" for cause in row.causes)
        table.add_row(row.name, str(row.health), causes)
    return table


def joules(value: float) -> str:
    """An energy with a prefix."""
    for factor, unit in ((1e6, "MJ"), (1e3, "kJ"), (1.0, "J"), (1e-3, "mJ")):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value / 1e-6:.3g} uJ"


def footprint(told: Footprint) -> str:
    """Energy for each bit and each pair, and fibre shared, in a line. What is assumed is said."""
    parts = []
    if told.key_watts or told.key_bits:
        each = "no bit delivered" if told.joules_per_bit is None else f"{joules(told.joules_per_bit)} a bit"
        parts.append(f"keys: {told.key_watts:.0f} W, {each}")
    if told.pair_watts or told.pairs:
        each = "no pair delivered" if told.joules_per_pair is None else f"{joules(told.joules_per_pair)} a pair"
        parts.append(f"pairs: {told.pair_watts:.0f} W, {each}")
    if told.shared_ratio is not None:
        parts.append(f"fibre shared: {100 * told.shared_ratio:.0f} % of {told.quantum_km:.1f} km")
    if told.assumed_ratio is not None:
        parts.append(f"{100 * told.assumed_ratio:.0f} % of the power is assumed, the rest published")
    return "footprint: " + "; ".join(parts)
