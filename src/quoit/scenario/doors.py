"""Doors of a hosted twin: a listener for each KME; those for operators, optical control, intents, agents, devices that
join and programs of hosts, where they are asked for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quoit.adapters.crypto.pki import Authority, Issued
from quoit.fabric.api import agent
from quoit.interfaces.etsi014.codec import Compat, Limits
from quoit.interfaces.identity import Identities
from quoit.interfaces.listener import Census, Listener, ListenerLimits, listen
from quoit.interfaces.northbound import Counted, make_app
from quoit.interfaces.passwords import Passwords
from quoit.interfaces.restconf.core import Restconf
from quoit.interfaces.restconf.library import ModuleSet
from quoit.interfaces.restconf.schema import Schema
from quoit.interfaces.restconf.server import RestconfApp
from quoit.model.role import Role
from quoit.runtime.gate import Gate
from quoit.runtime.live import LiveWorld
from quoit.scenario import orchestration_door
from quoit.scenario.agent_doors import READERS as AGENT_ROLES
from quoit.scenario.agent_doors import AgentDoor, AgentDoors, agent_schema
from quoit.scenario.assemble import Twin
from quoit.scenario.host_options import HostOptions
from quoit.scenario.joining import EnrolmentDesk, JoinDoor
from quoit.scenario.operator import ROLES, ManagementDoor, OperatorSocket, role_identities
from quoit.scenario.optical_door import ROLES as TAPI_ROLES
from quoit.scenario.optical_door import OpticalDoor
from quoit.scenario.part_doors import AGENTS_PORT, JOIN_PORT, MANAGEMENT_PORT, ORCHESTRATION_PORT, TAPI_PORT
from quoit.scenario.parts import KMES
from quoit.scenario.schema import NetworkFile
from quoit.scenario.telemetry_data import MODULE, TelemetryProvider, all_monitors, tell_changes
from quoit.scenario.tokens import TokenBook
from quoit.service.api import eme

if TYPE_CHECKING:
    from quoit.scenario.netqasm.doors import ProgramDoors  # the `netqasm` extra

MANAGEMENT, TAPI, ORCHESTRATION, JOINING = "management", "tapi", "orchestration", "joining"
"""Names on the certificates of doors: the operator's, the optical network's, intents' and the devices' that enrol."""


@dataclass
class Door:
    """A KME's listener and the certificate it shows."""

    kme: str
    listener: Listener
    leaf: Issued
    context: Any


class PortRefused(ValueError):
    """The system lets nobody open a door on the port that was named for it; the text says which, and how to mend it."""


@contextmanager
def _named_by(option: str, port: int) -> Iterator[None]:
    """While a listener is opened on a port that an option names."""
    try:
        yield
    except OSError as fault:
        why = fault.strerror or str(fault)
        raise PortRefused(f"{option} {port}: cannot be opened: {why}; name a free port, or 0 for any") from fault


@dataclass
class Doors:
    """All that a hosted twin is reached by, and the certificates that are shown there.

    `elements`: those that this process holds. `tokens`: of devices that may join. `optical`: what stands behind the
    optical network's door, if there is to be one. `watch`: the gate at which news of all parts of the twin are heard.
    """

    options: HostOptions
    network: NetworkFile
    twin: Twin
    world: LiveWorld
    authority: Authority
    elements: frozenset[str]
    tokens: TokenBook
    optical: OpticalDoor | None
    watch: Gate
    of_kmes: dict[str, Door] = field(default_factory=dict)
    apps: dict[str, Issued] = field(default_factory=dict)
    roles: dict[Role, Issued] = field(default_factory=dict)
    management: Door | None = None
    orchestration: Door | None = None
    join_door: JoinDoor | None = None
    tapi: Door | None = None
    agents: AgentDoors | None = None
    programs: ProgramDoors | None = None

    def __post_init__(self) -> None:
        self.here = self.elements & self.twin.kmes.keys()
        self._changes: asyncio.Task[None] | None = None
        self._restconf: Restconf | None = None
        self._operator: OperatorSocket | None = None
        self._orchestrating: orchestration_door.OrchestrationDoor | None = None
        self._joining: Door | None = None
        self._enrolment: EnrolmentDesk | None = None
        self._passwords: Passwords | None = None
        self._agent_schema: Schema | None = None
        self._limits_of_doors = ListenerLimits()
        self._census = Census(self._limits_of_doors.in_all, self._limits_of_doors.per_identity)

    async def open(self, operator: OperatorSocket | None) -> None:
        """Certificates of applications, and the doors that may be open before the twin is live. `operator`: what
        operates it; None: another process does."""
        self._issue_applications(lambda kme: self.twin.kmes[kme] not in self.network.joining)
        if self.options.serve:
            if self.options.agents_port is not None:
                # Reading modules takes a while, in which a twin that was live already would be late.
                self._agent_schema = agent_schema()
            if self.options.teraflow:
                self._passwords = self._made_passwords()
            await self._open_doors(lambda kme: self.twin.kmes[kme] not in self.network.joining)
            if operator is not None:
                self._operator = operator
                await operator.start()
                await self._open_management(operator)
                await self._open_tapi()
                await self._open_joining()
            self._write_doors()

    def _made_passwords(self) -> Passwords:
        """A password a role, new in each life, in a file for its owner's eyes."""
        tokens = {role.value: secrets.token_urlsafe(32) for role in (*AGENT_ROLES, *TAPI_ROLES)}
        new = self._password_file.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump(tokens, out)
        os.replace(new, self._password_file)
        return Passwords(tokens)

    @property
    def _password_file(self) -> Path:
        return self.options.directory / f"passwords{self.options.suffix}.json"

    def programs_here(self) -> dict[str, int]:
        """Memories for programs of hosts, in the part that holds the nodes' KMEs."""
        apart = self.options.apart
        if apart is not None and KMES not in apart.part.cells:
            return {}
        return program_memories(self.network, self.options.netqasm)

    async def open_live(self, schema: Schema | None, programs: dict[str, int]) -> None:
        """Doors that ask the twin when they open."""
        await self._open_agents()
        if self.optical is not None:
            await self.optical.show_what_stands()
        if schema is not None:
            await self._open_orchestration(schema)
            self._write_doors()
        if programs and self.options.share is None:
            await self._open_program_doors(programs)

    def _issue_applications(self, which: Callable[[str], bool]) -> None:
        for attachment in self.twin.attachments.values():
            if attachment.kme in self.here and which(attachment.kme):
                self.apps[attachment.sae] = self.authority.issue_application(
                    attachment.sae, attachment.urn, self.options.certificate_life
                )

    def _write_doors(self) -> None:
        doors = self.options.directory / f"doors{self.options.suffix}.json"
        doors.write_text(json.dumps(self.told()), encoding="utf-8")

    async def _open_orchestration(self, schema: Schema) -> None:
        """Intents and the view, and certificates for whoever may come."""
        life = self.options.certificate_life
        leaf = self.authority.issue_kme(ORCHESTRATION, ["127.0.0.1"], ["localhost"], life)
        self._issue_roles(orchestration_door.ROLES)
        context = self.authority.server_context(leaf, tls13_only=True)
        app = orchestration_door.OrchestrationApp(self.watch, self.network, schema)
        port, revoked = self.options.orchestration_port or 0, self.authority.is_revoked
        with _named_by(ORCHESTRATION_PORT, port):
            self._orchestrating = await orchestration_door.OrchestrationDoor.open(app, port, context, revoked)
        self.orchestration = Door(ORCHESTRATION, self._orchestrating.listener, leaf, context)

    async def _open_joining(self) -> None:
        """The listener where devices with a token enrol; nodes that had joined before a stop are there again."""
        if not self.network.joining:
            return
        desk = self._enrolment = EnrolmentDesk(
            self.network, self.authority, self.world, self.tokens, self._open_doors_of, self.options.certificate_life
        )
        if self.options.join_port is None:
            return
        leaf = self.authority.issue_kme(JOINING, ["127.0.0.1"], ["localhost"], self.options.certificate_life)
        context = self.authority.enrolment_context(leaf)
        with _named_by(JOIN_PORT, self.options.join_port):
            self.join_door = await JoinDoor.open(desk, self.options.join_port, context)
        self._joining = Door(JOINING, self.join_door.listener, leaf, context)

    async def _open_doors_of(self, node: str) -> dict[str, Any]:
        """The node has joined: its KMEs' listeners, and certificates for its applications."""
        mine = {kme for kme, at in self.twin.kmes.items() if at == node}
        self._issue_applications(lambda kme: kme in mine)
        await self._open_doors(lambda kme: kme in mine and kme not in self.of_kmes)
        if self.agents is not None:
            await self.agents.admit(node)
        self._write_doors()
        told: dict[str, Any] = self.told()["applications"]
        return {sae: told[sae] for sae in told if told[sae]["kme"] in mine}

    def _identities(self) -> Identities:
        names = [(a.sae, a.urn) for a in self.twin.attachments.values()]
        return Identities.of(names, is_revoked=self.authority.is_revoked)

    async def _open_program_doors(self, memories: dict[str, int]) -> None:
        """Doors for programs of hosts, where the network file or an option gives them memories."""
        from quoit.scenario.netqasm.doors import Edge, open_program_doors  # the `netqasm` extra

        found = {self.twin.kmes[kme]: door for kme, door in sorted(self.of_kmes.items(), reverse=True)}
        edge = Edge(
            {node: door.listener.address for node, door in found.items()},
            {node: door.context for node, door in found.items()},
            self._identities().read,
            self._limits_of_doors,
            self._census,
        )
        self.programs = await open_program_doors(
            self.world, self.network, memories, self.twin.attachments, edge, self.options.speed
        )
        self._write_doors()

    async def _open_doors(self, which: Callable[[str], bool]) -> None:
        identities = self._identities()
        limits, census = self._limits_of_doors, self._census
        life = self.options.certificate_life
        for number, kme in enumerate(sorted(self.twin.kmes)):
            if kme not in self.here or not which(kme):
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
            self.of_kmes[kme] = Door(kme, listener, leaf, context)

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
        provider = TelemetryProvider(self.world, all_monitors(self.network))
        core = Restconf(ModuleSet.of([MODULE]), [provider], now=self._instant)
        door = ManagementDoor(operator.app(), RestconfApp(core))
        port = self.options.management_port
        with _named_by(MANAGEMENT_PORT, port):
            listener = await listen(door, "127.0.0.1", port, context, {}, identify=identify)
        self._restconf = core
        self._changes = asyncio.get_running_loop().create_task(tell_changes(self.watch, core))
        self.management = Door(MANAGEMENT, listener, leaf, context)

    def _issue_roles(self, roles: Iterable[Role]) -> None:
        for role in roles:
            if role not in self.roles:
                self.roles[role] = self.authority.issue_role(role, role.value, self.options.certificate_life)

    async def _open_tapi(self) -> None:
        """The optical network's door over mutual TLS, for controllers, operators and observers."""
        if self.optical is None or self.options.tapi_port is None:
            return
        self._issue_roles(TAPI_ROLES)
        leaf = self.authority.issue_kme(TAPI, ["127.0.0.1"], ["localhost"], self.options.certificate_life)
        if self._passwords is None:
            context = self.authority.server_context(leaf, tls13_only=True)
        else:
            context = self.authority.enrolment_context(leaf)
        identify = role_identities(self.authority.is_revoked, TAPI_ROLES).read
        port = self.options.tapi_port
        with _named_by(TAPI_PORT, port):
            listener = await self.optical.open(
                self.world, self.twin.kernel.watchers, port, context, identify, self._passwords
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
        nodes = [node for node in self.network.nodes if agent(node) in self.elements]
        if not nodes:  # another part holds them
            return
        life, schema = self.options.certificate_life, self._agent_schema or agent_schema()
        self.agents = AgentDoors(self.network.name, self.world, self.authority, life, schema)
        dialects = {node: self.network.nodes[node].dialect for node in nodes}
        first = self.options.agents_port
        ports = {node: first + number if first else 0 for number, node in enumerate(self.network.nodes)}
        with _named_by(AGENTS_PORT, first):
            await self.agents.open(dialects, ports, self._passwords, self.network.joining)
        self._write_doors()

    def all(self) -> list[Door | AgentDoor]:
        """Every listener there is."""
        agents = self.agents.doors.values() if self.agents is not None else ()
        others = (self.management, self.tapi, self.orchestration, self._joining)
        return [*self.of_kmes.values(), *(door for door in others if door is not None), *agents]

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
        listener = self.of_kmes[kme].listener
        return f"https://{listener.address}:{listener.port}"

    def told(self) -> dict[str, Any]:
        """Where each application finds its KME, and the files of its certificate: plain values."""
        apps = {
            a.sae: {"kme": a.kme, "urn": a.urn, "url": self.url(a.kme), **_files(leaf)}
            for sae, leaf in self.apps.items()
            if (a := self.twin.attachments[sae])
        }
        told: dict[str, Any] = {
            "ca": str(self.authority.root_pem.resolve()), "applications": apps, "speed": self.options.speed,
        }  # fmt: skip
        if self.programs is not None:
            told["netqasm"] = self.programs.told()
        by_roles = (
            (self.management, ROLES), (self.tapi, TAPI_ROLES), (self.orchestration, orchestration_door.ROLES)
        )  # fmt: skip
        for door, roles in by_roles:
            if door is not None:
                files = {role: _files(self.roles[role]) for role in roles}
                told[door.kme] = {"url": f"https://127.0.0.1:{door.listener.port}", "roles": files}
        if self.join_door is not None:
            told["joining"] = {"url": self.join_door.url}
        if self.agents is not None:
            told["agents"] = self.agents.told()
        if self._passwords is not None:
            told["passwords"] = str(self._password_file.resolve())
        return told

    async def join_again(self) -> None:
        """Nodes that had joined before the twin stopped are there again."""
        if self._enrolment is not None:
            await self._enrolment.join_again()

    async def close(self) -> None:
        """Nobody comes in any more."""
        if self._changes is not None:
            self._changes.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._changes
        if self._operator is not None:
            await self._operator.stop()
        if self._orchestrating is not None:
            await self._orchestrating.close()
        if self.agents is not None:
            await self.agents.stop()
        for served in (self._restconf, self.programs, self.optical):
            if served is not None:
                await served.close()
        for door in self.all():
            await door.listener.close()


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
