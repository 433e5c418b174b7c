"""The same network in virtual time: programs run as fast as the machine can, and the same every time.

Requests go through the same HTTP application as in a live twin, without sockets. Simulated time stands still while a
program computes, and goes on when all of its tasks wait for the network.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

import httpx2
from starlette.types import ASGIApp, Receive, Scope, Send

from quoit.adapters.stores.memory import MemoryStore
from quoit.interfaces.identity import Peer
from quoit.interfaces.northbound import make_app
from quoit.model.problem import Problem
from quoit.runtime.kernel import Kernel
from quoit.runtime.virtual import VirtualWorld
from quoit.runtime.wire import Message
from quoit.scenario.assemble import Parts, Twin, assemble
from quoit.scenario.check import load, loads
from quoit.sdk.application import Application
from quoit.service.api import eme

QUIET_TURNS = 40
"""Turns of the event loop in which a program's tasks get to their next request: an HTTP call takes about ten."""


class VirtualGate:
    """A `Gate` into a twin in virtual time, for programs of several tasks."""

    def __init__(self, kernel: Kernel, epoch_unix_s: float) -> None:
        self._kernel = kernel
        self._epoch_unix_s = epoch_unix_s
        self._waiting = 0
        self._answered = False
        self._alarms: list[tuple[int, int, asyncio.Future[Any], Any]] = []
        self._pump: asyncio.Task[None] | None = None

    async def ask(self, to: str, msg: Message, within_s: float = 10.0) -> Message:
        kernel = self._kernel
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def answered(value: Any) -> None:
            if not answer.done():
                answer.set_result(value)
            self._answered = True
            kernel.hold(kernel.now)  # the program's turn

        kernel.ask_from_outside(kernel.now, to, msg, answered)
        value = await self._until(answer, round(within_s * 1e9), Problem("deadline", f"{to} did not answer"))
        if isinstance(value, Problem):
            kernel.abandon(answered)
            raise value
        found: Message = value
        return found

    async def sleep(self, seconds: float) -> None:
        """Wait so long in simulated time."""
        await self._until(asyncio.get_running_loop().create_future(), round(seconds * 1e9), None)

    async def _until(self, answer: asyncio.Future[Any], within_ns: int, otherwise: Any) -> Any:
        """Wait for the future; it becomes `otherwise` when the time is over."""
        heappush(self._alarms, (self._kernel.now + within_ns, id(answer), answer, otherwise))
        self._waiting += 1
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._let_time_pass())
        try:
            return await answer
        finally:
            self._waiting -= 1

    async def _let_time_pass(self) -> None:
        """While somebody waits: let all tasks come to rest, then go on to the next answer or alarm."""
        kernel = self._kernel
        while True:
            for _ in range(QUIET_TURNS):
                await asyncio.sleep(0)
            if not self._waiting:
                return
            while self._alarms and self._alarms[0][2].done():
                heappop(self._alarms)
            due = self._alarms[0][0]
            self._answered = False
            kernel.run(due)
            if not self._answered:
                kernel.now = max(kernel.now, due)
                _, _, answer, otherwise = heappop(self._alarms)
                answer.set_result(otherwise)

    def now_ns(self) -> int:
        return self._kernel.now

    def unix_s(self, at_ns: int) -> float:
        return self._epoch_unix_s + at_ns / 1e9

    async def watch(self, kind: type[Message]) -> AsyncIterator[Message]:
        """See `Gate.watch`. Nothing is lost: time waits for whoever takes the news."""
        queue: asyncio.Queue[Message] = asyncio.Queue()

        def heard(subject: str, msg: Message) -> None:
            if isinstance(msg, kind):
                queue.put_nowait(msg)
                self._answered = True
                self._kernel.hold(self._kernel.now)  # the watcher's turn

        self._kernel.watchers.append(heard)
        try:
            while True:
                yield await queue.get()
        finally:
            self._kernel.watchers.remove(heard)


class _AsPeer:
    """The application that a listener would serve, for one client whose certificate has been verified."""

    def __init__(self, app: ASGIApp, peer: Peer) -> None:
        self._app = app
        self._peer = peer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "state": {"peer": self._peer}}, receive, send)


class VirtualNetwork:
    """A network whose time only passes when programs wait for it."""

    def __init__(self, twin: Twin) -> None:
        self.twin = twin
        self.world = VirtualWorld(twin.kernel)
        self.world.begin()
        self.gate = VirtualGate(twin.kernel, twin.network.epoch_unix_s)

    @property
    def now_ns(self) -> int:
        """Simulated time."""
        return self.twin.kernel.now

    def run_for(self, seconds: float) -> None:
        """Let time pass, with nobody doing anything."""
        self.world.run_until(self.now_ns + round(seconds * 1e9))

    def application(self, sae: str) -> Application:
        """An application of the network. Raises KeyError for an unknown SAE ID."""
        own = self.twin.attachments[sae]
        node = self.twin.network.nodes[own.node]
        app = make_app(self.gate, own.kme, eme=eme(own.node) if node.memories is not None else None)
        peer = Peer(sae, "virtual", 0, float("inf"))
        client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(_AsPeer(app, peer)), base_url="http://kme", timeout=None
        )
        urns = {name: attachment.urn for name, attachment in self.twin.attachments.items()}

        return Application(client, sae, urns, self.gate.sleep)


def virtual_network(network: Path | str, seed: int | None = None) -> VirtualNetwork:
    """A network file, or its text, in virtual time. Raises NetworkFileFaults."""
    text = isinstance(network, str) and "\n" in network
    file = loads(str(network)) if text else load(Path(network))
    return VirtualNetwork(assemble(file, Parts(lambda kme: MemoryStore(), seed)))
