"""Elements behind a RESTCONF server: a provider that asks one through the gate, and who carries news to clients."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
import structlog

from quoit.interfaces.restconf.core import Restconf
from quoit.interfaces.restconf.errors import RestconfError
from quoit.interfaces.restconf.providers import ConfigChange, Provider
from quoit.interfaces.restconf.schema import Tree
from quoit.model.problem import Problem
from quoit.planes.configuration import (
    ApplyConfiguration,
    ConfigurationApplied,
    ConfigurationChanged,
    ConfigurationRead,
    Invoke,
    Invoked,
    Notification,
    ReadConfiguration,
    ReadState,
    StateChanged,
    StateRead,
)
from quoit.runtime.gate import Gate, Missed
from quoit.runtime.wire import Message

_log = structlog.get_logger("quoit", element="interfaces.restconf")

A = TypeVar("A", bound=Message)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ElementProvider(Provider):
    """One element that understands the messages of `planes.configuration`."""

    def __init__(
        self, gate: Gate, element: str, roots: Iterable[str], operations: Iterable[str] = (), *, within_s: float = 5.0
    ) -> None:
        self.roots = frozenset(roots)
        self.operations = frozenset(operations)
        self.element = element
        self._gate = gate
        self._within_s = within_s
        self._text = "{}"
        self._tree: Tree = {}

    async def state(self) -> Tree:
        read = await self._ask(ReadState(tuple(sorted(self.roots))), StateRead)
        if read.tree != self._text:
            self._tree, self._text = _object(read.tree, self.element), read.tree
        return self._tree

    async def apply(self, change: ConfigChange) -> None:
        await self._ask(
            ApplyConfiguration(change.caller, self._mine(change.before), self._mine(change.after)), ConfigurationApplied
        )

    async def configuration(self) -> Tree:
        """What the element is configured with now."""
        read = await self._ask(ReadConfiguration(), ConfigurationRead)
        return _object(read.tree, self.element)

    def _mine(self, tree: Tree) -> str:
        return _text({name: value for name, value in tree.items() if name in self.roots})

    async def invoke(self, operation: str, body: Tree, caller: str) -> Tree:
        done = await self._ask(Invoke(caller, operation, _text(body)), Invoked)
        return _object(done.result, self.element)

    async def _ask(self, message: Message, kind: type[A]) -> A:
        answer = await self._gate.ask(self.element, message, self._within_s)
        if not isinstance(answer, kind):
            raise TypeError(f"{self.element} answered with {type(answer).__name__}, expected {kind.__name__}")
        return answer


def _text(tree: Tree) -> str:
    return msgspec.json.encode(tree).decode()


def _object(text: str, element: str) -> Tree:
    tree: Any = msgspec.json.decode(text)
    if not isinstance(tree, dict):
        raise TypeError(f"{element} gave {type(tree).__name__} as a data tree, expected an object")
    return tree


def simulated_now(gate: Gate) -> datetime:
    """The instant that the scenario gives to now: what a server of a twin tells its clients."""
    return _at(gate, gate.now_ns())


def _at(gate: Gate, at_ns: int) -> datetime:
    return _EPOCH + timedelta(seconds=gate.unix_s(at_ns))


async def carry_news(gate: Gate, core: Restconf, elements: Iterable[str]) -> None:
    """Until cancelled: notifications of these elements to the server's streams, and word that state has changed."""
    wanted = frozenset(elements)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_carry_notifications(gate, core, wanted))
        tasks.create_task(_carry_changes(gate, core, wanted))


async def _carry_notifications(gate: Gate, core: Restconf, wanted: frozenset[str]) -> None:
    async for news in gate.watch(Notification):
        if isinstance(news, Missed):
            _log.warning("notifications.missed", count=news.news)
        elif isinstance(news, Notification) and news.element in wanted:
            try:
                content = _object(news.content, news.element)
                core.publish(news.name, content, at=_at(gate, news.at_ns), stream=news.stream)
            except (RestconfError, TypeError, KeyError, msgspec.DecodeError) as fault:
                # One that no client could read is a fault of the element; the others still go out.
                _log.error("notification.unfit", element=news.element, name=news.name, fault=str(fault))


async def _carry_changes(gate: Gate, core: Restconf, wanted: frozenset[str]) -> None:
    async for news in gate.watch(StateChanged):
        if isinstance(news, Missed) or (isinstance(news, StateChanged) and news.element in wanted):
            core.changed()


async def follow_configuration(gate: Gate, core: Restconf, provider: ElementProvider) -> None:
    """Until cancelled: what is configured past the server, by messages inside the twin, is taken over by it."""
    async for news in gate.watch(ConfigurationChanged):
        if isinstance(news, ConfigurationChanged) and news.element != provider.element:
            continue
        try:
            await core.store.adopt(provider.roots, provider.configuration)
        except (RestconfError, Problem) as fault:
            _log.error("configuration.unfit", element=provider.element, fault=str(fault))
