"""A live twin on this machine: kernel and pacing, stores, certificates, one listener per KME, operator socket.

A run has a directory: pki/ (kept between runs), stores/, events.jsonl (what happened), journal.jsonl (what
entered from outside), operator.sock (mode 0600: whoever can open it operates the twin).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import structlog

from quoit.adapters.crypto.kek_uri import open_kek
from quoit.adapters.crypto.pki import LEAF_LIFE, Authority, Issued, PkiError
from quoit.adapters.exporters.traces import OtlpJsonFile
from quoit.adapters.stores.sealed import SealedStore
from quoit.adapters.stores.sqlite import SqliteStore
from quoit.fabric.api import agent
from quoit.interfaces.etsi014.codec import Compat, Limits
from quoit.interfaces.identity import Identities
from quoit.interfaces.listener import Census, Listener, ListenerLimits, listen
from quoit.interfaces.northbound import Counted, make_app
from quoit.interfaces.repeated import Repeated
from quoit.interfaces.restconf.core import Restconf
from quoit.interfaces.restconf.library import ModuleSet
from quoit.interfaces.restconf.server import RestconfApp
from quoit.model.role import Role
from quoit.runtime.journal import FORMAT, Header, JournalWriter
from quoit.runtime.kernel import Kernel
from quoit.runtime.live import LiveWorld
from quoit.runtime.trace import Digest, Event, Sink, to_line
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.agent_doors import AgentDoor, AgentDoors
from quoit.scenario.assemble import Parts, Twin, assemble
from quoit.scenario.check import loads
from quoit.scenario.operator import ROLES, ManagementDoor, OperatorSocket, role_identities
from quoit.scenario.optical_door import ROLES as TAPI_ROLES
from quoit.scenario.optical_door import OpticalDoor
from quoit.scenario.schema import NetworkFile
from quoit.scenario.spread import Spread
from quoit.scenario.telemetry_data import MODULE, TelemetryProvider, tell_changes
from quoit.service.agreements import monitor
from quoit.service.api import eme
from quoit.service.keystore import StoreFailed

if TYPE_CHECKING:
    from quoit.adapters.buses.nats import NatsBus  # the `nats` extra: imported where a bus is made
    from quoit.scenario.netqasm.doors import ProgramDoors

_log = structlog.get_logger("quoit", element="host")
CERTIFICATE_CHECK_S = 1.0
MANAGEMENT, TAPI = "management", "tapi"
"""Names on the certificates of the operator's door and of the optical network's."""
"""How soon `quoit pki --revoke` beside a running twin ends live connections, at the latest."""


@dataclass(frozen=True)
class Share:
    """One process's part of a twin that runs in several: which part of how many, and the bus between them.
    All must be given the same `root`."""

    process: int
    processes: int
    bus: NatsBus
    root: bytes


@dataclass(frozen=True)
class HostOptions:
    """How a twin is to run. `from_ns`: fast-forward to there, then live. `until_ns`: end there. `resume`: go on from
    where the twin in the directory stopped, whatever stopped it: with its key stores, at its instant or later. `store`:
    URL of a PostgreSQL that holds the key stores instead of files, one schema a KME. `kek`: name of the key-encryption
    key of all stores (`quoit.adapters.crypto.kek_uri`), instead of a file in each. `certificate_life`: of the KMEs' and
    the applications' certificates. `tls13_only`: listeners refuse TLS 1.2, which ETSI GS QKD 014 permits.
    `agents_port`: RESTCONF listeners of SDN agents from that port on, in the order of nodes (0: any); None: none.
    `management_port`: the operator's door over mutual TLS on that port of 127.0.0.1 (0: any); None: only its socket.
    `traces`: file for spans of what comes of requests, as OTLP/JSON.
    `netqasm`: so many memories of each node that has some for programs of hosts, whatever the network file says.
    `tapi_port`: the optical network's (ONF TAPI over RESTCONF), with TAPI's YANG modules from `tapi_yang`."""

    directory: Path
    seed: int | None = None
    speed: float = 1.0
    from_ns: int = 0
    until_ns: int | None = None
    port: int = 8443
    serve: bool = True
    deterministic_keys: bool = False
    share: Share | None = None
    resume: bool = False
    store: str | None = None
    certificate_life: timedelta = LEAF_LIFE
    tls13_only: bool = False
    management_port: int | None = None
    kek: str | None = None
    traces: Path | None = None
    agents_port: int | None = None
    netqasm: int | None = None
    tapi_port: int | None = None
    tapi_yang: Path | None = None


@dataclass
class Door:
    """A KME's listener and the certificate it shows."""

    kme: str
    listener: Listener
    leaf: Issued
    context: Any


@dataclass
class Host:
    """A twin that is being hosted. `start` it inside an event loop, then `stop` it."""

    network_text: str
    options: HostOptions
    file: str = "<text>"
    doors: dict[str, Door] = field(default_factory=dict)
    apps: dict[str, Issued] = field(default_factory=dict)
    roles: dict[Role, Issued] = field(default_factory=dict)
    management: Door | None = None
    tapi: Door | None = None
    agents: AgentDoors | None = None

    def __post_init__(self) -> None:
        self.network = loads(self.network_text, self.file)
        self._optical: OpticalDoor | None = None
        if self.options.tapi_port is not None:  # before anything is made: without its modules there is no door
            self._optical = OpticalDoor(self.network, self.options.tapi_yang)
        self.digest = Digest()
        share = self.options.share
        self._spread = None if share is None else Spread(self.network, share.processes)
        self._renewal: asyncio.Task[None] | None = None
        self._changes: asyncio.Task[None] | None = None
        self._restconf: Restconf | None = None
        self._operator: OperatorSocket | None = None
        self._limits_of_doors = ListenerLimits()
        self._census = Census(self._limits_of_doors.in_all, self._limits_of_doors.per_identity)
        self._programs: ProgramDoors | None = None
        self._faults = Repeated(_log)
        self._prepare_directory()
        self._state = TwinState(self.options.directory / "twin.json")
        if self.options.resume:
            self._state.next_life(self.network.name)
        # Before any store is made: a name that is misspelt must not leave stores under other keys.
        kek = self.options.kek
        self._kek = None if kek is None else open_kek(kek, make=not self.options.resume)
        self._opened: dict[str, SealedStore] = {k.id: self._open_store(k.id) for k in self.network.all_kmes()}
        traces = self.options.traces
        self._traces = None
        if traces is not None:
            self._traces = OtlpJsonFile(traces, self.network.name, self.network.epoch_unix_s)
        self.twin: Twin = assemble(self.network, self._parts())
        self.authority = Authority(self.options.directory / "pki", self.network.name)
        # Unbuffered: what a killed twin had done before it answered is in its log.
        mode = "ab" if self.options.resume else "wb"
        self._events = (self.options.directory / f"events{self._suffix}.jsonl").open(mode, buffering=0)
        self._note_resumption()
        elements = self._elements_here(self.twin.kernel)
        self._here_elements = elements
        self.here = elements & self.twin.kmes.keys()
        self.twin.kernel.sinks += [_only(elements, self.digest), _only(elements, self._write_event)]
        life = self._state.life
        header = Header(FORMAT, version("quoit"), self.twin.kernel.seed, self.network_text, life=life)
        journal = (self.options.directory / f"journal{self._suffix}{f'-{life}' * bool(life)}.jsonl").open("wb")
        self.journal = JournalWriter(journal, header)
        self.world = LiveWorld(
            self.twin.kernel,
            speed=self.options.speed,
            epoch_unix_s=self.network.epoch_unix_s,
            record=self.journal,
        )

    def _elements_here(self, kernel: Kernel) -> frozenset[str]:
        """Names of the elements that are this process's share."""
        share, spread = self.options.share, self._spread
        if share is None or spread is None:
            return frozenset(e.name for e in kernel.elements)
        return frozenset(e.name for e in kernel.elements if spread(e) == share.process)

    @property
    def _suffix(self) -> str:
        share = self.options.share
        return "" if share is None else f".{share.process}"

    def _parts(self) -> Parts:
        share = self.options.share
        if share is None:
            root = None if self.options.deterministic_keys else os.urandom(32)
            start_ns = max((store.latest_ns for store in self._opened.values()), default=0)
            start_ns = max(start_ns, self._state.now_ns) + 1 if self.options.resume else 0
            make_store = self._opened.__getitem__
            life, mark_key = self._state.life, self._state.mark_key
            return Parts(make_store, self.options.seed, root, life, start_ns, mark_key, self._traces)
        return Parts(self._opened.__getitem__, self.options.seed, share.root, trace_sink=self._traces)

    def _prepare_directory(self) -> None:
        directory = self.options.directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = hold_directory(directory, f"twin{self._suffix}.lock")
        if not self.options.resume and self.options.store is None:
            # Keys of an earlier run belong to another simulated past.
            shutil.rmtree(directory / f"stores{self._suffix}", ignore_errors=True)

    def _open_store(self, kme: str) -> SealedStore:
        directory = self.options.directory / f"stores{self._suffix}" / kme
        if self.options.store is None:
            return SqliteStore(directory, self._kek)
        from quoit.adapters.stores.postgres import PostgresStore  # the `postgres` extra

        store = PostgresStore(self.options.store, kme, directory, self._kek)
        if store.has_past and not self.options.resume:
            store.close()
            raise NothingToResume(f"the store of {kme} has a past: go on with --resume, or drop its schema")
        return store

    def _note_state(self) -> None:
        if self.options.share is None:  # a crew cannot be resumed
            self._state.note(self.network.name, self.twin.kernel.now)

    def _note_resumption(self) -> None:
        if self.options.resume:
            self._write_event(Event(self.twin.kernel.now, "twin", 1, "twin.resumed", {"life": self._state.life}))

    def _write_event(self, event: Event) -> None:
        self._events.write(to_line(event))

    # -- coming up -----------------------------------------------------------------------------------

    async def start(self, progress: Callable[[int], None] | None = None) -> None:
        """Fast-forward if asked, open all listeners, go live.

        Of several processes each fast-forwards all elements, which gives all the same, and goes on with its share.
        """
        share = self.options.share
        wall_ns = None
        asyncio.get_running_loop().set_exception_handler(self._on_loop_fault)
        ahead = VirtualWorld(self.twin.kernel)
        ahead.begin()
        if self.options.from_ns:
            ahead.run_until(self.options.from_ns, progress)
        if share is not None and self._spread is not None:
            self.twin.kernel.split(self._spread, share.process, share.bus)
            await share.bus.connect(self.world.receive, self.world.missed, self.world.fail)
            wall_ns = await share.bus.start_together(share.processes)
        for attachment in self.twin.attachments.values():
            if attachment.kme not in self.here:
                continue
            self.apps[attachment.sae] = self.authority.issue_application(
                attachment.sae, attachment.urn, self.options.certificate_life
            )
        if self.options.serve:
            await self._open_doors()
            if share is None or share.process == 0:
                self._operator = OperatorSocket(self.options.directory / "operator.sock", self)
                await self._operator.start()
                await self._open_management(self._operator)
                await self._open_tapi()
            self._write_doors()
        programs = program_memories(self.network, self.options.netqasm)
        if programs:
            import quoit.scenario.netqasm.doors  # noqa: F401  takes a second, in which a live twin would be late
        self.world.begin(stop_at=self.options.until_ns, wall_ns=wall_ns)
        if self.options.serve:
            await self._open_agents()
        if programs and self.options.serve and share is None:
            await self._open_program_doors(programs)
        self._renewal = asyncio.get_running_loop().create_task(self._renew())

    def _write_doors(self) -> None:
        doors = self.options.directory / f"doors{self._suffix}.json"
        doors.write_text(json.dumps(self.doors_told()), encoding="utf-8")

    def _identities(self) -> Identities:
        names = [(a.sae, a.urn) for a in self.twin.attachments.values()]
        return Identities.of(names, is_revoked=self.authority.is_revoked)

    async def _open_program_doors(self, memories: dict[str, int]) -> None:
        """Doors for programs of hosts, where the network file or an option gives them memories."""
        from quoit.scenario.netqasm.doors import Edge, open_program_doors  # the `netqasm` extra

        found = {self.twin.kmes[kme]: door for kme, door in sorted(self.doors.items(), reverse=True)}
        edge = Edge(
            {node: door.listener.address for node, door in found.items()},
            {node: door.context for node, door in found.items()},
            self._identities().read,
            self._limits_of_doors,
            self._census,
        )
        self._programs = await open_program_doors(
            self.world, self.network, memories, self.twin.attachments, edge, self.options.speed
        )
        self._write_doors()

    async def _open_doors(self) -> None:
        identities = self._identities()
        limits, census = self._limits_of_doors, self._census
        life = self.options.certificate_life
        for number, kme in enumerate(sorted(self.twin.kmes)):
            if kme not in self.here:
                continue
            given = next((k.address for k in self.network.all_kmes() if k.id == kme), None)
            own = given or f"127.77.{number // 250}.{number % 250 + 1}"
            leaf = self.authority.issue_kme(kme, sorted({own, "127.0.0.1"}), ["localhost"], life)
            context = self.authority.server_context(leaf, tls13_only=self.options.tls13_only)
            limits_014, compat = self._limits(), self._compat(kme)
            shown = make_app(
                self.world, kme, limits=limits_014, compat=compat, ready=self._ready, eme=self._eme_of(kme)
            )
            app = Counted(shown, self._count)

            async def open_at(address: str, port: int, app: Any = app, context: Any = context) -> Listener:
                return await listen(
                    app, address, port, context, {}, identify=identities.read, limits=limits, census=census
                )

            try:
                listener = await open_at(own, self.options.port)
            except OSError:
                # No loopback address of its own here (macOS), or the port is taken.
                listener = await open_at("127.0.0.1", 0)
            self.doors[kme] = Door(kme, listener, leaf, context)

    def _on_loop_fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A callback failed that nobody waits for. A connection's is cut, and that is all; elsewhere, a step that ran
        out of memory was left half done, and nobody would ever do the rest."""
        fault = context.get("exception")
        steps = traceback.extract_tb(fault.__traceback__) if fault is not None else None
        where = f" at {steps[-1].filename}:{steps[-1].lineno}" if steps else ""
        self._faults.add("loop.fault", f"{context.get('message', '')}: {type(fault).__name__}{where}")
        if isinstance(fault, MemoryError) and "protocol" not in context:
            self.world.fail(fault)

    def _count(self, interface: str, status: str) -> None:
        self.twin.kernel.instruments.count("quoit_http_requests_total", (interface, status))

    async def _open_management(self, operator: OperatorSocket) -> None:
        """The operator's door over mutual TLS, and a certificate for each role."""
        if self.options.management_port is None:
            return
        life = self.options.certificate_life
        leaf = self.authority.issue_kme(MANAGEMENT, ["127.0.0.1"], ["localhost"], life)
        self._issue_roles(ROLES)
        context = self.authority.server_context(leaf, tls13_only=True)
        identify = role_identities(self.authority.is_revoked).read
        monitors = [monitor(domain.name) for domain in self.network.all_domains()]
        core = Restconf(ModuleSet.of([MODULE]), [TelemetryProvider(self.world, monitors)], now=self._instant)
        door = ManagementDoor(operator.app(), RestconfApp(core))
        port = self.options.management_port
        listener = await listen(door, "127.0.0.1", port, context, {}, identify=identify)
        self._restconf = core
        self._changes = asyncio.get_running_loop().create_task(tell_changes(self.world, core))
        self.management = Door(MANAGEMENT, listener, leaf, context)

    def _issue_roles(self, roles: Iterable[Role]) -> None:
        for role in roles:
            if role not in self.roles:
                self.roles[role] = self.authority.issue_role(role, role.value, self.options.certificate_life)

    async def _open_tapi(self) -> None:
        """The optical network's door over mutual TLS, for controllers, operators and observers."""
        if self._optical is None or self.options.tapi_port is None:
            return
        self._issue_roles(TAPI_ROLES)
        leaf = self.authority.issue_kme(TAPI, ["127.0.0.1"], ["localhost"], self.options.certificate_life)
        context = self.authority.server_context(leaf, tls13_only=True)
        identify = role_identities(self.authority.is_revoked, TAPI_ROLES).read
        listener = await self._optical.open(
            self.world, self.twin.kernel.watchers, self.options.tapi_port, context, identify
        )
        self.tapi = Door(TAPI, listener, leaf, context)

    def _instant(self) -> datetime:
        """Simulated time as the scenario dates it, also before the world has begun."""
        at_ns = self.world.now_ns() if self.world.running else self.twin.kernel.now
        return datetime.fromtimestamp(self.network.epoch_unix_s, UTC) + timedelta(microseconds=at_ns // 1000)

    async def _open_agents(self) -> None:
        """RESTCONF listeners of SDN agents, and certificates for who may come in."""
        if self.options.agents_port is None:
            return
        nodes = [node for node in self.network.nodes if agent(node) in self._here_elements]
        self.agents = AgentDoors(self.network.name, self.world, self.authority, self.options.certificate_life)
        dialects = {node: self.network.nodes[node].dialect for node in nodes}
        await self.agents.open(dialects, self.options.agents_port)
        self._write_doors()

    def _all_doors(self) -> list[Door | AgentDoor]:
        agents = self.agents.doors.values() if self.agents is not None else ()
        single = (door for door in (self.management, self.tapi) if door is not None)
        return [*self.doors.values(), *single, *agents]

    def _eme_of(self, kme: str) -> str | None:
        """The element that keeps shared states at a KME's node, if there is one."""
        node = self.twin.kmes[kme]
        return eme(node) if self.network.nodes[node].memories is not None else None

    def _ready(self) -> bool:
        return self.world.running

    def _limits(self) -> Limits:
        p = self.twin.policy
        return Limits(p.key_size, p.min_key_size, p.max_key_size, p.max_per_request, p.max_sae_ids)

    def _compat(self, kme: str) -> Compat:
        """A listener's other readings of the standard: those that an application of its KME asked for."""
        apps = [a for a in self.network.applications if a.kme == kme]
        flags = {flag for app in apps for flag in app.compat}
        selfish = frozenset(app.sae for app in apps if "allow_self_pair" in app.compat)
        return Compat(
            dec_path_self="dec_path_self" in flags,
            unknown_key_404="unknown_key_404" in flags,
            allow_self_pair=selfish,
            quditto2="quditto2" in flags,
            qukaydee="qukaydee" in flags,
        )

    def url(self, kme: str) -> str:
        """Base URL of a KME's listener."""
        listener = self.doors[kme].listener
        return f"https://{listener.address}:{listener.port}"

    def doors_told(self) -> dict[str, Any]:
        """Where each application finds its KME, and the files of its certificate: plain values."""
        apps = {
            a.sae: {"kme": a.kme, "urn": a.urn, "url": self.url(a.kme), **_files(leaf)}
            for sae, leaf in self.apps.items()
            if (a := self.twin.attachments[sae])
        }
        told: dict[str, Any] = {
            "ca": str(self.authority.root_pem.resolve()), "applications": apps, "speed": self.options.speed,
        }  # fmt: skip
        if self._programs is not None:
            told["netqasm"] = self._programs.told()
        for door, roles in ((self.management, ROLES), (self.tapi, TAPI_ROLES)):
            if door is not None:
                files = {role: _files(self.roles[role]) for role in roles}
                told[door.kme] = {"url": f"https://127.0.0.1:{door.listener.port}", "roles": files}
        if self.agents is not None:
            told["agents"] = self.agents.told()
        return told

    # -- upkeep --------------------------------------------------------------------------------------

    async def _renew(self) -> None:
        """Look after certificates: follow revocations, renew at two thirds of their life. Connections go on,
        new ones see the new leaf; those of a revoked certificate are cut."""
        while True:
            self._note_state()
            try:
                self._follow_revocations()
                self._renew_due(datetime.now(UTC))
            except (OSError, ValueError, PkiError) as fault:  # the twin lives on with the certificates it has
                _log.error("certificates.not_renewed", error=str(fault))
            await asyncio.sleep(CERTIFICATE_CHECK_S)

    def _follow_revocations(self) -> None:
        revoked = self.authority.follow()
        if not revoked:
            return
        for door in self._all_doors():
            self.authority.refresh_crl(door.context)
            cut = door.listener.drop(lambda peer: peer.serial in revoked)
            _log.warning("certificate.revoked", kme=door.kme, serials=len(revoked), connections_cut=cut)
        if self._programs is not None:
            self._programs.drop(lambda peer: peer.serial in revoked)

    def _renew_due(self, now: datetime) -> None:
        everything = self.authority.domain_due
        if everything:
            self.authority.renew_domain()
            _log.info("certificates.domain_renewed")
        crl = everything or self.authority.crl_due
        if crl and not everything:
            self.authority.sign_crl()
        for door in self._all_doors():
            if everything or door.leaf.due(now):
                door.leaf = self.authority.renew(door.leaf)
                door.context.load_cert_chain(door.leaf.chain, door.leaf.key)
            if crl:
                self.authority.refresh_crl(door.context)
        for sae, leaf in self.apps.items():
            if everything or leaf.due(now):
                self.apps[sae] = self.authority.renew(leaf)
        if self.agents is not None:
            self.agents.renew_due(now, everything)
        for role, leaf in self.roles.items():
            if everything or leaf.due(now):
                self.roles[role] = self.authority.renew(leaf)

    async def _close_doors(self) -> None:
        """Nobody comes in any more."""
        if self._operator is not None:
            await self._operator.stop()
        if self.agents is not None:
            await self.agents.stop()
        for served in (self._restconf, self._programs, self._optical):
            if served is not None:
                await served.close()
        for door in self._all_doors():
            await door.listener.close()

    async def stop(self) -> None:
        """Close listeners, stop pacing, flush logs."""
        for task in (self._renewal, self._changes):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        await self._close_doors()
        self.world.end()
        if self.options.share is not None:
            await self.options.share.bus.close()
        self._faults.close()
        if self._traces is not None:
            self._traces.finish(self.twin.kernel)
        ends = [self._note_state, lambda: self.journal.close(self.twin.kernel.now), self._events.close]
        for end in (*ends, *(store.close for store in self._opened.values())):
            try:
                end()
            except (OSError, StoreFailed) as fault:  # a full disk: the others are to be closed all the same
                _log.error("stop.incomplete", error=str(fault))
        if self._kek is not None:
            self._kek.close()
        self._lock.close()


def _files(leaf: Issued) -> dict[str, str]:
    """Where a certificate and its key are, for readers in any working directory."""
    return {"cert": str(leaf.chain.resolve()), "key": str(leaf.key.resolve())}


def program_memories(network: NetworkFile, given: int | None) -> dict[str, int]:
    """How many memories each node sets apart for programs of hosts: `given` at all that have memories, or as the file
    says. ValueError for more than a node has, less the one that halves need which are measured at once."""
    found = {}
    for name, node in network.nodes.items():
        if node.memories is not None:
            found[name] = node.memories.programs if given is None else given
            if found[name] >= node.memories.number:
                raise ValueError(
                    f"expected at most {node.memories.number - 1} memories of {name} for programs, found {found[name]}"
                )
    return {name: number for name, number in found.items() if number}


class TwinState:
    """What a twin needs to know to go on after it was stopped, in a file: its life's number, about what instant it
    was, whose twin it is, and the key that marks keys in its event log."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.life = 0
        self.now_ns = 0
        self.mark_key = os.urandom(32)

    def next_life(self, network: str) -> None:
        """Read the state of the twin that stopped. Raises `NothingToResume`."""
        try:
            found = json.loads(self._path.read_bytes())
            name, life, now_ns = found["network"], int(found["life"]), int(found["now_ns"])
            self.mark_key = bytes.fromhex(found["mark_key"])
        except (OSError, ValueError, KeyError, TypeError) as fault:
            raise NothingToResume(f"{self._path}: no twin to go on with ({fault}); start without --resume") from fault
        if name != network:
            raise NothingToResume(f"{self._path} is of network {name}, not {network}; give the twin another --dir")
        self.life, self.now_ns = life + 1, now_ns
        self.note(network, now_ns)

    def note(self, network: str, now_ns: int) -> None:
        """Write down how far it is: whole or not at all."""
        state = {"network": network, "life": self.life, "now_ns": now_ns, "mark_key": self.mark_key.hex()}
        new = self._path.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump(state, out)
        os.replace(new, self._path)


class NothingToResume(ValueError):
    """The directory holds no twin that could go on; the text says why."""


class RunDirectoryBusy(ValueError):
    """Another twin runs in the directory; the text says how to go on."""


def hold_directory(directory: Path, name: str) -> IO[bytes]:
    """Hold the directory for this process: the lock goes with it, however it ends. `RunDirectoryBusy`."""
    lock = (directory / name).open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as fault:
        lock.close()
        raise RunDirectoryBusy(f"a twin runs in {directory} already: end it, or give this one another --dir") from fault
    return lock


def _only(elements: frozenset[str], sink: Sink) -> Sink:
    """Pass on the events of these elements: those of others are in their own process's log."""

    def pass_on(event: Event) -> None:
        if event.by in elements:
            sink(event)

    return pass_on
