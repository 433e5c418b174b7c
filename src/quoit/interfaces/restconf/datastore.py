"""The configuration and the state of a server: one writer at a time, validated as a whole, committed or not at all."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import structlog

from quoit.interfaces.restconf.errors import RestconfError, of_problem
from quoit.interfaces.restconf.paths import format_instance
from quoit.interfaces.restconf.providers import ConfigChange, Provider, concerned
from quoit.interfaces.restconf.render import View
from quoit.interfaces.restconf.schema import Schema, Tree, qualified
from quoit.interfaces.restconf.tree import MISSING, Edit, count_nodes, differences, merged, nodes_in
from quoit.model.problem import Problem

_log = structlog.get_logger("quoit", element="interfaces.restconf")


@dataclass(frozen=True)
class Limits:
    """Bounds of one server. Sizes in bytes of JSON, deadlines in seconds of the host's time."""

    body_bytes: int = 1024 * 1024
    json_depth: int = 64
    nodes: int = 20_000
    waiting_writers: int = 64
    provider_s: float = 10.0
    replay_events: int = 1_000
    readers: int = 64
    reader_events: int = 256
    subscriptions: int = 64
    subscriptions_each: int = 16
    min_period_cs: int = 10
    keepalive_s: float = 15.0
    unread_s: float = 60.0


DEFAULT_LIMITS = Limits()
Listener = Callable[[], None]


class Datastore:
    """`running`, and with the providers' state `operational`. `now` gives the instant that clients are told.

    `access` is asked about each difference that a commit makes, so what a request does not change needs no permission.
    """

    def __init__(
        self,
        schema: Schema,
        providers: Iterable[Provider] = (),
        *,
        now: Callable[[], datetime],
        initial: Tree | None = None,
        closed: frozenset[str] = frozenset(),
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.schema = schema
        self.providers = tuple(providers)
        self.running: Tree = schema.validated(initial) if initial else {}
        self.modified = now()
        self._closed = closed
        self._now = now
        self._limits = limits
        self._writer = asyncio.Lock()
        self._waiting = 0
        self._listeners: list[Listener] = []
        self._operational: tuple[list[Tree], Tree] | None = None

    # -- reading ---------------------------------------------------------------------------------------

    async def operational(self) -> Tree:
        """Configuration and state. Raises RestconfError if a provider fails, or gives what the schema does not know."""
        parts: list[Tree] = [self.running, *[await self._guarded(p.state()) for p in self.providers]]
        known = self._operational
        if known is not None and len(known[0]) == len(parts) and all(map(_same, known[0], parts)):
            return known[1]
        whole: Tree = parts[0]
        try:
            for state in parts[1:]:
                if state:
                    whole = merged(self.schema, self.schema.root, whole, self.schema.canonical(state))
        except RestconfError as fault:
            _log.error("state.unfit", fault=str(fault), path=fault.path)
            raise RestconfError(
                "operation-failed", "the state of what is served does not fit its model", status=500
            ) from None
        self._operational = (parts, whole)
        return whole

    def tag_of(self, node: Any, value: Any) -> str:
        """The entity-tag of a resource: changes when configuration in it does, and not with state."""
        seen = View(self.schema, content="config").of(node, value)
        plain = b"" if seen is MISSING else msgspec.json.encode(seen, order="sorted")
        return f'"{hashlib.sha256(plain).hexdigest()[:24]}"'

    # -- writing ---------------------------------------------------------------------------------------

    async def commit(
        self, caller: str, change: Callable[[Tree], Tree], may: Callable[[str, Any], bool]
    ) -> tuple[Edit, ...]:
        """Make `change` of the running configuration, validate, have providers apply it, and let it stand.

        Raises RestconfError; then the configuration is as it was. `change` sees what the writers before it left.
        """
        if self._waiting >= self._limits.waiting_writers:
            raise RestconfError("resource-denied", f"{self._waiting} writers wait already; try again")
        self._waiting += 1
        try:
            # A client that goes away must not leave a change half applied.
            return await asyncio.shield(asyncio.ensure_future(self._commit(caller, change, may)))
        finally:
            self._waiting -= 1

    async def _commit(
        self, caller: str, change: Callable[[Tree], Tree], may: Callable[[str, Any], bool]
    ) -> tuple[Edit, ...]:
        async with self._writer:
            before = self.running
            wanted = change(before)
            if count_nodes(wanted) > self._limits.nodes:
                raise RestconfError("too-big", f"the datastore holds {self._limits.nodes} nodes at most", status=413)
            after = self.schema.validated(wanted)
            edits = tuple(differences(self.schema, before, after))
            if not edits:
                return ()
            self._check(edits, may)
            await self._apply(ConfigChange(caller, before, after, edits))
            self.running = after
            self.modified = self._now()
        self.changed()
        return edits

    async def adopt(self, roots: frozenset[str], read: Callable[[], Awaitable[Tree]]) -> bool:
        """What stands behind was configured past this server: take over what `read` gives for these top-level nodes.
        Whether anything differs. Raises RestconfError if it is not valid; then all is as it was."""
        async with self._writer:
            others = {name: value for name, value in self.running.items() if name not in roots}
            after = self.schema.validated({**others, **await self._guarded(read())})
            if not any(differences(self.schema, self.running, after)):
                return False
            self.running = after
            self.modified = self._now()
        self.changed()
        return True

    def _check(self, edits: tuple[Edit, ...], may: Callable[[str, Any], bool]) -> None:
        for edit in edits:
            path = format_instance(edit.path)
            if qualified(edit.path[0].node) in self._closed:
                raise RestconfError(
                    "operation-not-supported", "this is kept by the server and not configured", status=501, path=path
                )
            verb = {"create": "create", "delete": "delete", "replace": "update"}[edit.operation]
            value = edit.old if edit.new is MISSING else edit.new
            if not all(may(verb, node) for node in nodes_in(self.schema, edit.path[-1].node, value)):
                raise RestconfError("access-denied", f"you may not {verb} this", kind="protocol", path=path)

    async def _apply(self, change: ConfigChange) -> None:
        done: list[tuple[Provider, ConfigChange]] = []
        for provider in self.providers:
            edits = concerned(provider, change.edits)
            if not edits:
                continue
            part = ConfigChange(change.caller, change.before, change.after, edits)
            try:
                await self._guarded(provider.apply(part))
            except RestconfError as refused:
                await self._roll_back(done, refused)
                raise
            done.append((provider, part))

    async def _roll_back(self, done: list[tuple[Provider, ConfigChange]], refused: RestconfError) -> None:
        for provider, part in reversed(done):
            try:
                await self._guarded(provider.apply(part.undone()))
            except RestconfError as fault:
                _log.error("rollback.failed", provider=type(provider).__name__, fault=str(fault))
                raise RestconfError(
                    "rollback-failed",
                    f"{refused.message}; and the change back failed: {fault.message}",
                    path=refused.path,
                ) from fault

    async def _guarded(self, work: Any) -> Any:
        """What a provider does, within its deadline, and its faults as RestconfError."""
        try:
            return await asyncio.wait_for(work, self._limits.provider_s)
        except RestconfError:
            raise
        except Problem as problem:
            raise of_problem(problem) from problem
        except TimeoutError:
            raise RestconfError("operation-failed", "what is served did not answer in time", status=500) from None
        except Exception as fault:
            _log.error("provider.failed", fault=type(fault).__name__, exc_info=True)
            raise RestconfError("operation-failed", "what is served failed", status=500) from fault

    async def invoke(self, provider: Provider, operation: str, body: Tree, caller: str) -> Tree:
        """Have a provider do an operation, within its deadline."""
        result: Tree = await self._guarded(provider.invoke(operation, body, caller))
        return result

    # -- news ------------------------------------------------------------------------------------------

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Have `listener` called when configuration or state may have changed; call the result to end it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def changed(self) -> None:
        """Providers (and the server itself) call this when state has changed."""
        for listener in tuple(self._listeners):
            listener()


def _same(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return a is b
