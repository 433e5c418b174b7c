"""`quoit run` and `quoit replay`: virtual time, with a report."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.progress import Progress

from quoit.adapters.exporters.report import Recorder, footprint_figures, write_report
from quoit.adapters.exporters.traces import OtlpJsonFile
from quoit.adapters.stores.memory import MemoryStore
from quoit.cli import show
from quoit.connectivity.api import METERS as LIGHT_METERS
from quoit.connectivity.api import ChannelReadings, GetChannels
from quoit.fabric.api import METERS, GetLinks, Links
from quoit.model.quantity import format_duration, parse_duration_ns
from quoit.orchestration.telemetry_api import FOOTPRINT, Footprint, GetFootprint
from quoit.runtime import journal as journals
from quoit.runtime.trace import Digest, Event, Sink, to_line
from quoit.runtime.tracing import SpanSink
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, Twin, assemble
from quoit.scenario.check import NetworkFileFaults, loads
from quoit.scenario.schema import NetworkFile


def instant(text: str, option: str) -> int:
    """A duration from the command line, ns."""
    try:
        return parse_duration_ns(text)
    except ValueError as fault:
        raise show.UserError(f"{option}: {fault}") from fault


def virtual_twin(network: NetworkFile, seed: int | None, trace_sink: SpanSink | None = None) -> Twin:
    """A twin for virtual time: stores in memory, key material grown from the seed."""
    return assemble(network, Parts(lambda kme: MemoryStore(), seed, trace_sink=trace_sink))


def trace_file(path: Path, network: NetworkFile) -> OtlpJsonFile:
    """Where spans go; UserError if it cannot be written."""
    try:
        return OtlpJsonFile(path, network.name, network.epoch_unix_s)
    except OSError as fault:
        raise show.UserError(f"--traces {path}: cannot be written: {fault.strerror}") from fault


@contextlib.contextmanager
def progress_to(end_ns: int) -> Iterator[Callable[[int], None] | None]:
    """Hears how far virtual time has come, and draws a bar on standard error if that is a terminal."""
    if not sys.stderr.isatty() or end_ns <= 0:
        yield None
        return
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("virtual time", total=end_ns)
        yield lambda now: progress.update(task, completed=now)


def run_file(
    file: Path, until: str, seed: int | None, digest: bool, out: Path | None, json: bool, traces: Path | None = None
) -> int:
    """Run to an end time; print a report, or the digest alone."""
    show.logs_to_stderr()
    end = instant(until, "--until")
    network = show.network(file)
    spans = None if traces is None else trace_file(traces, network)
    twin = virtual_twin(network, seed, spans)
    trace, recorder = Digest(), Recorder()
    twin.kernel.sinks += [trace, recorder]
    log = None
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        log = (out / "events.jsonl").open("wb")
        twin.kernel.sinks.append(_writer(log))
    world = VirtualWorld(twin.kernel)
    began = time.perf_counter()
    world.begin()
    with progress_to(end) as progress:
        world.run_until(end, progress)
    took = time.perf_counter() - began
    links: Links = world.ask(METERS, GetLinks())
    light = ChannelReadings(())
    if network.plant.channels or any(event.light is not None for event in network.events):
        light = world.ask(LIGHT_METERS, GetChannels())
    if spans is not None:
        spans.finish(twin.kernel)
    found = trace.hexdigest()
    summary = recorder.summary(links)
    if log is not None:
        twin.kernel.sinks.clear()  # what is asked from here on takes a moment, and is not part of the run
        log.close()
    if digest:
        print(found)
        return 0
    footprint: Footprint = world.ask(FOOTPRINT, GetFootprint())
    summary |= footprint_figures(footprint)
    if out is not None:
        write_report(out, network.name, recorder, summary)
    if json:
        if light.rows:
            summary["channels"] = [{f: getattr(row, f) for f in row.__struct_fields__} for row in light.rows]
        show.json_line({**summary, "until_ns": end, "digest": found, "wall_s": round(took, 3)})
        return 0
    console = show.out()
    console.print(show.links(links.rows, f"{network.name} after {format_duration(end)}"))
    if light.rows:
        console.print(show.channels(light.rows))
    console.print(show.footprint(footprint))
    console.print(
        f"keys: {summary['keys_opened']} opened, {summary['keys_taken']} taken, {summary['requests_refused']} requests "
        f"refused; blocks: {summary['blocks_made']} made, {summary['blocks_failed']} failed"
    )
    console.print(f"{end / 1e9 / max(took, 1e-9):.0f} times real time; trace {found[:16]}")
    if out is not None:
        console.print(f"report: {out / 'report.md'}, events: {out / 'events.jsonl'}")
    return 0


def _writer(log: IO[bytes]) -> Sink:
    def write(event: Event) -> None:
        log.write(to_line(event))

    return write


def replay_journal(path: Path, until: str | None, digest: bool, json: bool) -> int:
    """Repeat a recorded run; the digest equals the live run's."""
    show.logs_to_stderr()
    try:
        journal = journals.read(path)
        network = loads(journal.header.network, str(path))
    except (OSError, journals.JournalError, NetworkFileFaults) as fault:
        raise show.UserError(str(fault)) from fault
    if journal.header.life:
        raise show.UserError(f"{path}: this twin went on with key stores of an earlier life, which no journal holds")
    end = instant(until, "--until") if until is not None else journal.end_ns
    if end is None:
        raise show.UserError(f"{path}: the recording was cut short; say --until TIME")
    twin = virtual_twin(network, journal.header.seed)
    trace = Digest()
    twin.kernel.sinks.append(trace)
    world = VirtualWorld(twin.kernel)
    world.enter(journal.inputs)
    world.begin()
    with progress_to(end) as progress:
        world.run_until(end, progress)
    if json:
        figures = {"requests": len(journal.inputs), "events": trace.count, "until_ns": end}
        show.json_line({**figures, "digest": trace.hexdigest()})
        return 0
    if not digest:
        print(f"{len(journal.inputs)} requests, {trace.count} events, {format_duration(end)}")
    print(trace.hexdigest())
    return 0
