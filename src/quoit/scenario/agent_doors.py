"""RESTCONF listeners of a live twin's SDN agents: one a node, over mutual TLS, for roles that the table lets in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from quoit.adapters.crypto.pki import Authority, Issued
from quoit.fabric import api
from quoit.interfaces.identity import Identities, NameKind
from quoit.interfaces.listener import Listener, ListenerLimits, listen
from quoit.interfaces.passwords import Passwords
from quoit.interfaces.restconf.access import Access, Rule, Rules
from quoit.interfaces.restconf.core import Restconf
from quoit.interfaces.restconf.elements import ElementProvider, carry_news, follow_configuration, simulated_now
from quoit.interfaces.restconf.library import ModuleSet
from quoit.interfaces.restconf.schema import Schema
from quoit.interfaces.restconf.server import Handler, RestconfApp, render_refusal
from quoit.interfaces.restconf.teraflow import TeraFlow
from quoit.model.role import Operation, Role, may
from quoit.runtime.gate import Gate

ROOT = "etsi-qkd-sdn-node:qkd_node"
MODULES = ("etsi-qkd-sdn-node", "quoit-sdqkd-control")
READERS = tuple(role for role in Role if may(role, Operation.READ_NODE))
EDITORS = frozenset(role.value for role in Role if may(role, Operation.EDIT_NODE))


def agent_identities(is_revoked: Callable[[int], bool]) -> Identities:
    """Who comes in: certificates by the role that they name."""
    names = {(NameKind.URI, role.urn): role.value for role in READERS}
    return Identities(names, kinds=(NameKind.URI,), is_revoked=is_revoked)


def agent_schema() -> Schema:
    """Of the modules that agents serve; agents of one process may share it."""
    return Schema(ModuleSet.of(MODULES))


def agent_access() -> Access:
    """Editors do all; the others who come in read, and watch."""
    return Rules([Rule(True, EDITORS), Rule(True, None, frozenset({"read", "exec"}))])


async def agent_core(gate: Gate, node: str, schema: Schema | None = None) -> tuple[Restconf, ElementProvider]:
    """The RESTCONF server of one node's agent, with the configuration that it has now. Sockets are the caller's."""
    provider = ElementProvider(gate, api.agent(node), [ROOT])
    core = Restconf(
        schema or agent_schema(),
        [provider],
        now=lambda: simulated_now(gate),
        access=agent_access(),
    )
    await core.store.adopt(provider.roots, provider.configuration)
    return core, provider


@dataclass
class AgentDoor:
    """One listener, and the server behind it in the listener's dialect. `kme`: whose certificate it shows; `context`
    None: none, it is plain HTTP."""

    kme: str
    listener: Listener
    leaf: Issued
    context: Any
    handler: Handler

    @property
    def url(self) -> str:
        return f"http{'s' if self.context is not None else ''}://127.0.0.1:{self.listener.port}"


class AgentDoors:
    """All agents' listeners of one process, and a certificate for each role that may come in."""

    def __init__(self, network: str, gate: Gate, authority: Authority, life: timedelta, schema: Schema) -> None:
        self.doors: dict[str, AgentDoor] = {}
        self.roles: dict[Role, Issued] = {}
        self._network = network
        self._gate = gate
        self._authority = authority
        self._life = life
        self._schema = schema
        self._tasks: list[asyncio.Task[None]] = []
        self._places: dict[str, tuple[str, int]] = {}
        self._passwords: Passwords | None = None

    async def open(
        self,
        dialects: Mapping[str, str],
        ports: Mapping[str, int],
        passwords: Passwords | None = None,
        later: frozenset[str] = frozenset(),
    ) -> None:
        """One listener for each of these nodes, on its port (0: any free one); for those that come `later`, when they
        are admitted. Raises OSError if one is taken. With `passwords`, those of TeraFlowSDN's
        dialect are plain HTTP: its driver speaks no TLS."""
        self._passwords = passwords
        self.roles = {role: self._authority.issue_role(role, role.value, self._life) for role in READERS}
        self._places = {node: (dialect, ports[node]) for node, dialect in dialects.items()}
        for node in dialects:
            if node not in later:
                await self.admit(node)

    async def admit(self, node: str) -> None:
        """Open a node's listener, if it has none yet and is to have one."""
        if node in self.doors or node not in self._places:
            return
        dialect, port = self._places[node]
        core, provider = await agent_core(self._gate, node, self._schema)
        self._tasks.append(asyncio.create_task(carry_news(self._gate, core, [api.agent(node)])))
        self._tasks.append(asyncio.create_task(follow_configuration(self._gate, core, provider)))
        foreign = dialect == "teraflow"
        handler: Handler = TeraFlow(core) if foreign else core
        let_in = self._passwords if foreign else None
        name = api.agent(node)
        leaf = self._authority.issue_kme(name, ["127.0.0.1"], ["localhost"], self._life)
        context = None if let_in else self._authority.server_context(leaf, tls13_only=not foreign)
        listener = await listen(
            RestconfApp(handler, let_in),
            "127.0.0.1",
            port,
            context,
            {},
            identify=agent_identities(self._authority.is_revoked).read,
            limits=ListenerLimits(body_bytes=core.limits.body_bytes),
            render=render_refusal,
            anonymous=let_in is not None,
        )
        self.doors[node] = AgentDoor(name, listener, leaf, context, handler)

    def told(self) -> dict[str, Any]:
        """Where agents are, and files of certificates: plain values."""
        roles = {
            role: {"cert": str(leaf.chain.resolve()), "key": str(leaf.key.resolve())}
            for role, leaf in self.roles.items()
        }
        return {
            "network": self._network,
            "nodes": {node: door.url for node, door in self.doors.items()},
            "roles": roles,
        }

    def renew_due(self, now: datetime, everything: bool) -> None:
        """Renew the roles' certificates that are due; the listeners' are renewed with all others of the twin."""
        for role, leaf in self.roles.items():
            if everything or leaf.due(now):
                self.roles[role] = self._authority.renew(leaf)

    async def stop(self) -> None:
        """End streams and what carries news; listeners are closed by who opened the twin's others."""
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)
        for door in self.doors.values():
            await door.handler.close()
