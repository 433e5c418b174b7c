"""`quoit up`: a live twin until Ctrl-C, or until an instant."""

from __future__ import annotations

import asyncio
import importlib.util
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from quoit.adapters.crypto.kek import KekError
from quoit.adapters.hardening import harden
from quoit.adapters.stores.sqlite import StoreCorrupt
from quoit.cli import show
from quoit.cli.apart import Place, lead_apart, options_of
from quoit.cli.crew import lead, share
from quoit.cli.run import instant, progress_to
from quoit.model.quantity import format_duration
from quoit.scenario.doors import PortRefused, program_memories
from quoit.scenario.host import Host
from quoit.scenario.host_options import HostOptions
from quoit.scenario.muster import PartRefused
from quoit.scenario.operator import SocketRefused
from quoit.scenario.optical_door import DoorRefused
from quoit.scenario.part_doors import Ports, demand, share_out
from quoit.scenario.parts import BY, PartFault
from quoit.scenario.run_directory import NothingToResume, RunDirectoryBusy
from quoit.scenario.schema import NetworkFile

DIRECTORY = Path("out/quoit")
"""Of a run, if no other is given; a part that is started by itself has one of its own in it."""
SHORTEST_LIFE = timedelta(seconds=10)
"""Of a certificate: it is renewed after two thirds of its life, and looked at once a second."""


@dataclass(frozen=True)
class UpOptions:
    """As on the command line."""

    directory: Path
    start: str
    until: str | None
    speed: float
    seed: int | None
    port: int
    digest: bool
    processes: int = 1
    json: bool = False
    part: int | None = None
    nats: str = ""
    run: str = ""
    resume: bool = False
    store: str | None = None
    tls13_only: bool = False
    certificate_life: str = "24h"
    management_port: int | None = None
    kek: str | None = None
    orchestration_port: int | None = None
    join_port: int | None = None
    by: str = "place"
    place: Place = field(default_factory=Place)
    traces: Path | None = None
    agents_port: int | None = None
    netqasm: int | None = None
    tapi_port: int | None = None
    tapi_yang: Path | None = None
    teraflow: bool = False


def run_loop(main: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Run a coroutine to its end, on uvloop's sockets if it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def bring_up(file: Path, options: UpOptions) -> int:
    """Host the network."""
    show.logs_to_stderr(options.json)
    harden()
    network = show.network(file)
    _check(options, network)
    if _is_apart(options):
        if not options.place.is_apart:
            return _lead_apart(file, options, network)
        options = _at_its_place(options)
    if options.processes > 1 and options.part is None:
        arguments = [*_arguments(options), *_ports(options).arguments]
        return lead(file, options.directory, options.processes, arguments, options.digest)
    until = None if options.until is None else instant(options.until, "--until")
    place = None
    if options.part is not None:
        place = share(options.directory, options.part, options.processes, options.nats, options.run)
    host_options = HostOptions(
        options.directory,
        options.seed,
        options.speed,
        instant(options.start, "--from"),
        until,
        options.port,
        serve=not options.digest,
        share=place,
        resume=options.resume,
        store=options.store,
        certificate_life=_life(options.certificate_life),
        tls13_only=options.tls13_only,
        management_port=options.management_port,
        kek=options.kek,
        orchestration_port=options.orchestration_port,
        join_port=options.join_port,
        apart=options_of(options.place) if options.place.is_apart else None,
        traces=_traces(options),
        agents_port=options.agents_port,
        netqasm=options.netqasm,
        tapi_port=options.tapi_port,
        tapi_yang=options.tapi_yang,
        teraflow=options.teraflow,
    )
    return run_loop(lambda: _host(file, host_options, options.digest, options.json))


def _lead_apart(file: Path, options: UpOptions, network: NetworkFile) -> int:
    """Start all parts. UserError for what no part could do, once and not from every part."""
    _demand_latency(network)
    try:
        ports = share_out(BY[options.by], _ports(options))
    except PartFault as fault:
        raise show.UserError(str(fault)) from fault
    return lead_apart(file, options.directory, ports, _arguments(options), options.digest)


def _at_its_place(options: UpOptions) -> UpOptions:
    """Of a part that is started by itself. UserError if it is to open a door that it cannot."""
    part = options.place.part
    try:
        demand(part, _ports(options))
    except PartFault as fault:
        raise show.UserError(str(fault)) from fault
    return replace(options, directory=DIRECTORY / part.name) if options.directory == DIRECTORY else options


def _check_numbers(options: UpOptions) -> None:
    if options.speed <= 0:
        raise show.UserError(f"--speed: expected above 0, found {options.speed}")


def _check_ports(options: UpOptions, somebody_joins: bool) -> None:
    """Doors beside the applications' are for a twin in one process, but for management's."""
    alone = {
        "--tapi-port": options.tapi_port,
        "--orchestration-port": options.orchestration_port,
        "--join-port": options.join_port,
    }
    ports = {"--port": options.port, "--management-port": options.management_port, **alone}
    for name, port in ports.items():
        if not 0 <= (port or 0) <= 65535:
            raise show.UserError(f"{name}: expected 0 (any free one) to 65535, found {port}")
    for name, port in alone.items():
        if port is not None and options.processes > 1:
            raise show.UserError(f"{name}: this door is for a twin in one process")
    if options.join_port is not None and not somebody_joins:
        raise show.UserError("--join-port: no node of this network has `joins: token`, so nobody could enrol")


def _traces(options: UpOptions) -> Path | None:
    """Where this process writes traces; each of a crew, or of a twin's parts, has a file of its own."""
    path = options.traces
    if path is not None and options.part is not None:
        path = path.with_name(f"{path.name}.{options.part}")
    if path is not None and options.place.is_apart:
        path = path.with_name(f"{path.name}.{options.place.part.name}")
    if path is not None:
        try:
            path.open("wb").close()
        except OSError as fault:
            raise show.UserError(f"--traces {path}: cannot be written: {fault.strerror}") from fault
    return path


def _check_teraflow(options: UpOptions, network: NetworkFile) -> None:
    foreign = any(node.dialect == "teraflow" for node in network.nodes.values())
    if options.teraflow and options.tapi_port is None and (options.agents_port is None or not foreign):
        raise show.UserError(
            "--teraflow lets TeraFlowSDN's drivers in at agents of nodes with `dialect: teraflow` (--agents PORT) "
            "and at the optical network (--tapi-port PORT); here is neither"
        )


def _check_agents(options: UpOptions, network: NetworkFile) -> None:
    port = options.agents_port
    if port is None:
        return
    if not network.policies.has_agents:
        raise show.UserError("--agents: this network's nodes have none; add to its file: policies: {agents: true}")
    most = 65535 - len(network.nodes) + 1
    if port and not 1 <= port <= most:
        raise show.UserError(f"--agents: expected 0 (any free ports) to {most}, one port a node; found {port}")


def _check_programs(network: NetworkFile, options: UpOptions) -> None:
    """Doors for programs of hosts need the SDK, memories, and a twin in one process."""
    try:
        memories = program_memories(network, options.netqasm)
    except ValueError as fault:
        raise show.UserError(f"--netqasm: {fault}") from fault
    if options.netqasm is not None and not memories:
        raise show.UserError("--netqasm: expected 1 or more, and a network whose nodes have memories")
    if memories and options.processes > 1:
        raise show.UserError("doors for programs (memories with `programs`, --netqasm) are for a twin in one process")
    if memories and importlib.util.find_spec("netqasm") is None:
        raise show.UserError("doors for programs need the SDK; run: pip install 'quoit[netqasm]'")


def _check(options: UpOptions, network: NetworkFile) -> None:
    """UserError for what cannot be, or not at once."""
    _check_numbers(options)
    _check_ports(options, bool(network.joining))
    _check_agents(options, network)
    _check_teraflow(options, network)
    if options.digest and options.until is None:
        raise show.UserError("--digest needs --until: a digest is of a whole run")
    if options.resume and (options.processes > 1 or options.start != "0s" or options.digest):
        raise show.UserError("--resume goes on where a twin stopped: not with --processes, --from or --digest")
    if options.store is not None:
        if options.processes > 1:
            raise show.UserError("--store: key stores in PostgreSQL are for a twin in one process")
        if importlib.util.find_spec("asyncpg") is None:
            raise show.UserError("--store: PostgreSQL needs asyncpg; run: pip install 'quoit[postgres]'")
    _check_programs(network, options)
    nodes = len(network.nodes)
    if not 1 <= options.processes <= nodes:
        raise show.UserError(f"--processes: expected 1 to {nodes}, for this network has {nodes} nodes")


def _demand_latency(network: NetworkFile) -> None:
    """UserError, once and not from every part, if nodes would be torn apart whose elements speak without delay."""
    if not network.policies.local_latency_ns:
        raise show.UserError(
            "--by: this file lets elements of one node speak without delay; give it a delay that is longer than the "
            "bus takes: policies: {local_latency: 50ms, control_latency: 50ms}"
        )


def _is_apart(options: UpOptions) -> bool:
    """Whether strata and planes run apart. UserError for what cannot be so."""
    if not options.place.is_apart and options.by == "place":
        return False
    if options.processes > 1:
        raise show.UserError("--processes splits a twin by place: not with --bus, nor with --by stratum, plane or cell")
    if options.place.is_apart and options.by != "place":
        raise show.UserError("--by starts all parts and a bus of their own: not with --bus")
    if options.resume or options.store is not None:
        raise show.UserError("--resume and --store are for a twin in one process")
    return True


def _life(text: str) -> timedelta:
    life = timedelta(microseconds=instant(text, "--certificate-life") // 1000)
    if life < SHORTEST_LIFE:
        raise show.UserError(f"--certificate-life: expected at least {SHORTEST_LIFE.seconds}s, found {text}")
    return life


def _ports(options: UpOptions) -> Ports:
    return Ports(
        options.management_port, options.tapi_port, options.agents_port, options.orchestration_port, options.join_port
    )


def _arguments(options: UpOptions) -> list[str]:
    """The options that every process is started with, of several that one command starts."""
    given = ["--from", options.start, "--speed", str(options.speed), "--port", str(options.port)]
    given += ["--certificate-life", options.certificate_life, "--tls", "modern" if options.tls13_only else "standard"]
    if options.until is not None:
        given += ["--until", options.until]
    if options.seed is not None:
        given += ["--seed", str(options.seed)]
    if options.kek is not None:
        given += ["--kek", options.kek]
    if options.netqasm is not None:
        given += ["--netqasm", str(options.netqasm)]
    if options.tapi_yang is not None:
        given += ["--tapi-yang", str(options.tapi_yang)]
    if options.teraflow:
        given += ["--teraflow"]
    if options.traces is not None:
        given += ["--traces", str(options.traces)]
    return [*given, *(["--digest"] if options.digest else []), *(["--json"] if options.json else [])]


async def _host(file: Path, options: HostOptions, digest: bool, json: bool) -> int:
    try:
        host = Host(file.read_text(encoding="utf-8"), options, str(file))
    except DoorRefused as fault:
        raise show.UserError(f"--tapi-port: {fault}") from fault
    except (RunDirectoryBusy, NothingToResume, StoreCorrupt, KekError, PartFault) as fault:
        raise show.UserError(str(fault)) from fault
    try:
        with progress_to(options.from_ns) as progress:
            await host.start(progress)
    except (PartRefused, PartFault, PortRefused, SocketRefused) as fault:
        await host.stop()
        raise show.UserError(str(fault)) from fault
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if json and not digest:
        show.json_line({"network": host.network.name, "directory": str(options.directory), **host.doors.told()})
    elif not digest:
        tell_how_to_go_on(host)
    ended = asyncio.ensure_future(host.world.ended())
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    ended.cancel()
    (outcome,) = await asyncio.gather(ended, return_exceptions=True)
    if isinstance(outcome, Exception):  # said first: what made it stop may stand in the way of stopping well
        show.error(f"stopped: {type(outcome).__name__}: {str(outcome) or 'the system gives no more'}")
    await host.stop()
    if isinstance(outcome, Exception):
        return 1
    if digest:
        if options.share is None and options.apart is None:
            print(host.digest.hexdigest())
        return 0 if host.world.faithful else 1
    if not host.world.faithful:
        show.error(f"not faithful: {host.world.why_not_faithful} (at worst {host.world.worst_lateness_s:.2f} s late)")
        return 1
    return 0


def tell_how_to_go_on(host: Host) -> None:
    """Addresses, certificates, and a curl line that works."""
    console = show.out()
    console.print(f"{host.network.name} is live, from {format_duration(host.options.from_ns)} on.")
    if host.company is not None:
        for row in host.company.rows():
            mark = "  <- here" if row["here"] else ""
            console.print(f"  part {row['part']:<32} {row['elements']:>4} elements{mark}", highlight=False)
    for kme in sorted(host.doors.of_kmes):
        apps = [a.sae for a in host.twin.attachments.values() if a.kme == kme]
        if apps:
            console.print(f"  {kme:<18} {host.doors.url(kme):<28} applications: {', '.join(apps)}")
    for node, door in host.doors.agents.doors.items() if host.doors.agents is not None else ():
        console.print(f"  agent of {node:<9} {door.url}")
    console.print(
        f"certificates: {host.authority.directory}   metrics and operation: {host.options.directory}/operator.sock"
    )
    if host.doors.management is not None:
        console.print(f"operators and observers: https://127.0.0.1:{host.doors.management.listener.port}")
    if host.doors.orchestration is not None:
        console.print(f"intents and the view of all strata: https://127.0.0.1:{host.doors.orchestration.listener.port}")
    if host.doors.join_door is not None:
        waiting = ", ".join(sorted(host.network.joining - host.joined)) or "all have joined"
        console.print(f"let a node in ({waiting}): quoit token NODE --dir {host.options.directory}")
    if "netqasm" in host.doors.told():
        console.print(f"run a program of NetQASM: quoit netqasm run DIRECTORY --dir {host.options.directory}")
    if "passwords" in host.doors.told():
        console.print(
            f"[bold]careful[/]: passwords of {host.doors.told()['passwords']} open what certificates do; agents of "
            "the dialect teraflow take them over plain HTTP, from this machine alone (docs/teraflow.md)"
        )
    if host.doors.tapi is not None:
        console.print(f"optical network (TAPI): https://127.0.0.1:{host.doors.tapi.listener.port}/restconf")
    line = curl_line(host)
    if line:
        console.print(f"take a key:\n{line}", soft_wrap=True)
    console.print(f"watch: quoit top --dir {host.options.directory}    end: Ctrl-C")


def curl_line(host: Host) -> str:
    """A command that takes a key from the first application that may share one; "" if there is none."""
    if not host.network.links:  # entangled states alone
        return ""
    for app in host.twin.attachments.values():
        if app.sae not in host.doors.apps:
            continue
        for other in host.twin.attachments.values():
            if other.kme != app.kme and other.sae in host.doors.apps and (app.allow is None or other.sae in app.allow):
                leaf = host.doors.apps[app.sae]
                return (
                    f"curl --cacert {host.authority.root_pem} --cert {leaf.chain} --key {leaf.key} "
                    f"{host.doors.url(app.kme)}/api/v1/keys/{other.sae}/enc_keys"
                )
    return ""
