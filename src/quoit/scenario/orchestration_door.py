"""Orchestration's door: intents and the RESTCONF view on one listener, for roles that may, over mutual TLS."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from quoit.interfaces.http_edge import reply
from quoit.interfaces.listener import Listener, listen
from quoit.interfaces.orchestration.codec import MODULE
from quoit.interfaces.orchestration.provider import OrchestrationProvider
from quoit.interfaces.restconf.access import writers
from quoit.interfaces.restconf.core import Restconf
from quoit.interfaces.restconf.elements import simulated_now
from quoit.interfaces.restconf.library import ModuleSet
from quoit.interfaces.restconf.schema import Schema
from quoit.interfaces.restconf.server import RestconfApp
from quoit.interfaces.tmf921 import server as tmf921
from quoit.model.problem import Problem
from quoit.model.role import Operation, Role, may
from quoit.runtime.gate import Gate
from quoit.scenario.operator import RoleGate, role_identities
from quoit.scenario.orchestration import orchestrator_of
from quoit.scenario.schema import NetworkFile

OPERATIONS = {
    **dict.fromkeys(("GET", "HEAD", "OPTIONS"), Operation.VIEW),
    **dict.fromkeys(("POST", "PUT", "PATCH", "DELETE"), Operation.ORCHESTRATE),
}
ROLES = tuple(role for role in Role if may(role, Operation.VIEW))
Revoked = Callable[[int], bool]
RESTCONF_PATHS = ("/restconf", "/.well-known/host-meta")


def schema() -> Schema:
    """Of the module that is served. Takes about half a second: the modules are read."""
    return Schema(ModuleSet.of([MODULE]))


class OrchestrationApp:
    """The application behind the gate of roles: RESTCONF below /restconf, intents below /tmf-api."""

    def __init__(self, gate: Gate, network: NetworkFile, modules: Schema) -> None:
        self.provider = OrchestrationProvider(gate, orchestrator_of(network))
        may_write = writers({role.value for role in ROLES if may(role, Operation.ORCHESTRATE)})
        self.core = Restconf(modules, [self.provider], now=lambda: simulated_now(gate), access=may_write)
        self._restconf = RestconfApp(self.core)
        self._intents = Starlette(routes=tmf921.routes(gate))
        self._intents.router.redirect_slashes = False
        self._intents.router.default = _nowhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope.get("path", ""))
        below = any(path == start or path.startswith(start + "/") for start in RESTCONF_PATHS)
        await (self._restconf if below else self._intents)(scope, receive, send)

    def gated(self) -> ASGIApp:
        """For those alone whose role may do what is asked."""
        return RoleGate(self, OPERATIONS)


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, tmf921.refusal(Problem("no-such-path", "expected /tmf-api/intentManagement/v5 or /restconf")))


class OrchestrationDoor:
    """The open listener, and the task that carries news to the server's streams."""

    def __init__(self, app: OrchestrationApp, listener: Listener) -> None:
        self.listener = listener
        self._app = app
        self._news = asyncio.get_running_loop().create_task(app.provider.carry(app.core))

    @classmethod
    async def open(cls, app: OrchestrationApp, port: int, tls: ssl.SSLContext, revoked: Revoked) -> OrchestrationDoor:
        """On 127.0.0.1. Raises OSError if the port is taken."""
        identify = role_identities(revoked, ROLES).read
        return cls(app, await listen(app.gated(), "127.0.0.1", port, tls, {}, identify=identify))

    async def close(self) -> None:
        """End streams; the listener is its keeper's to close."""
        self._news.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._news
        await self._app.core.close()
