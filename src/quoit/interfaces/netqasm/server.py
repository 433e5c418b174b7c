"""What a node does for its hosts: frames of `wire` in and out, the executor behind.

Messages of one host are handled one after the other; what it receives from other hosts does not wait for them. The
protocol has no authentication, as QNodeOS has none between a host and its node. So either its door is open on loopback
alone, for the programs of one process (`start`), or a door that knows who comes hands connections over (`serve`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from netqasm.backend import messages as sdk

from quoit.interfaces.netqasm import wire
from quoit.interfaces.netqasm.executor import Executor
from quoit.interfaces.netqasm.parser import from_binary
from quoit.interfaces.netqasm.processor import Code, Fault
from quoit.interfaces.netqasm.wire import Frame, Ours

_log = structlog.get_logger("quoit", element="interfaces.netqasm")


class Pace(Protocol):
    """Who runs what a node does for its hosts, and when."""

    def spawn(self, job: Coroutine[Any, Any, None]) -> None:
        """Run what a host has asked for, when its words have reached the node."""
        ...

    def asked(self, host: str, waits: bool) -> None:
        """A host has asked; if it `waits`, it does nothing until it is answered."""
        ...

    def answered(self, host: str) -> None:
        """A host that waited goes on."""
        ...

    def left(self, host: str, clear: Coroutine[Any, Any, None]) -> None:
        """A host has ended; run `clear`, and it is gone when that is over."""
        ...

    def settle(self) -> None:
        """All that a host has said so far has been noted."""
        ...


class RealPace:
    """In real time, on the running event loop."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def asked(self, host: str, waits: bool) -> None:
        pass

    def answered(self, host: str) -> None:
        pass

    def left(self, host: str, clear: Coroutine[Any, Any, None]) -> None:
        self.spawn(clear)

    def settle(self) -> None:
        pass


class Exchange(Protocol):
    """How text gets from one application to another."""

    async def send(self, sender: str, receiver: str, socket: int, text: str) -> None: ...

    def forget(self, host: str) -> None:
        """A host has ended."""
        ...

    async def receive(
        self, receiver: str, senders: Sequence[str], socket: int, within_ns: int | None
    ) -> tuple[str, str] | None:
        """The oldest text that has come from one of the senders, and which; None if there is none within the time:
        at once for 0, after the exchange's own patience for None."""
        ...


Oracle = Callable[[int, bool], list[list[tuple[float, float]]] | None]
"""Density matrix, as (real, imaginary), of the qubit in a memory; not reduced: with all that it is entangled with."""


@dataclass(slots=True)
class _Host:
    name: str
    writer: asyncio.StreamWriter
    waiting: deque[Frame] = field(default_factory=deque)
    busy: bool = False
    apps: set[int] = field(default_factory=set)
    gone: bool = False
    under_way: int = 0
    """Frames that are being answered or wait for that."""
    cleared: asyncio.Event = field(default_factory=asyncio.Event)


MOST_FRAMES = 10_000
"""Of one host that have not been answered."""
MOST_UNREAD_BYTES = 4 * wire.LONGEST
"""Answers that a host has not read."""
LONGEST_HELLO = 4096
HELLO_S = 10.0
"""How long a host may take to say who it is, of real time."""


class NodeServer:
    """Serves the hosts of one node. `exchange`, `oracle`: None if there is none, and what needs it is refused."""

    def __init__(
        self,
        executor: Executor,
        pace: Pace,
        exchange: Exchange | None = None,
        oracle: Oracle | None = None,
        leave: Callable[[str, int], None] | None = None,
    ) -> None:
        """`leave` raises `Fault` if a host may not share pairs with anybody at the node of that id."""
        self._leave_to = leave
        self._executor, self._pace, self._exchange, self._oracle = executor, pace, exchange, oracle
        self._server: asyncio.Server | None = None
        self._hosts: dict[str, _Host] = {}
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, port: int = 0) -> int:
        """Listen on loopback; returns the port."""
        self._server = await asyncio.start_server(self.serve, "127.0.0.1", port)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening, and hang up."""
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.close()

    async def serve(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        admit: Callable[[str], None] | None = None,
        clear_s: float = 0.0,
    ) -> None:
        """Serve one connection to its end. `admit` raises `Fault` for a name that may not come in over it. For
        `clear_s` at most, the end waits until all that the host left behind is cleared."""
        self._writers.add(writer)
        host: _Host | None = None
        try:
            host = await self._greet(reader, writer, admit)
            while not host.gone:
                self._take(host, await _next_frame(reader))
        except (asyncio.IncompleteReadError, OSError, ValueError, TimeoutError):
            pass  # the host is gone, or speaks something else: hang up
        finally:
            if host is not None:
                self._leave(host)
                if clear_s:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(host.cleared.wait(), clear_s)
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _greet(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, admit: Callable[[str], None] | None
    ) -> _Host:
        first = await asyncio.wait_for(_next_frame(reader, LONGEST_HELLO), HELLO_S)
        try:
            if first.type != Ours.HELLO:
                raise Fault(Code.GENERAL, "expected HELLO first")
            name = str(wire.content(first.body).get("name"))
            if admit is not None:
                admit(name)
            await self._make_way(name)
        except Fault as fault:
            writer.write(wire.frame(first.id, wire.error(fault)))
            raise ValueError(fault.text) from fault
        host = self._hosts[name] = _Host(name, writer)
        writer.write(wire.frame(first.id, wire.done(first.id)))
        return host

    async def _make_way(self, name: str) -> None:
        """Wait until what an earlier connection of this name left behind is cleared."""
        before = self._hosts.get(name)
        if before is not None and before.gone:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(before.cleared.wait(), HELLO_S)
        if name in self._hosts:
            raise Fault(Code.REJECTED, f"{name} is connected already")

    def _leave(self, host: _Host) -> None:
        """End what the host left behind."""
        host.gone = True
        self._pace.left(host.name, self._clear(host))
        self._pace.settle()

    async def _clear(self, host: _Host) -> None:
        try:
            host.waiting.clear()
            for app in sorted(host.apps):
                await self._executor.stop_app((host.name, app))
            host.apps.clear()
            if self._exchange is not None:
                self._exchange.forget(host.name)
        finally:
            self._hosts.pop(host.name, None)
            host.cleared.set()

    def _take(self, host: _Host, found: Frame) -> None:
        if found.type == Ours.BYE:
            host.gone = True
            return
        if host.under_way >= MOST_FRAMES:
            raise ValueError(f"{MOST_FRAMES} messages of {host.name} have not been answered")
        host.under_way += 1
        self._pace.asked(host.name, found.waits)
        if found.type in (Ours.SEND, Ours.RECEIVE):
            self._pace.spawn(self._answer(host, found, self._talk))
        else:
            host.waiting.append(found)
            if not host.busy:
                host.busy = True
                self._pace.spawn(self._work(host))
        self._pace.settle()

    async def _work(self, host: _Host) -> None:
        while host.waiting:
            await self._answer(host, host.waiting.popleft(), self._do)
        host.busy = False

    async def _answer(self, host: _Host, found: Frame, act: Callable[[_Host, Frame], Awaitable[bytes]]) -> None:
        try:
            answer = await act(host, found)
        except Fault as fault:
            answer = wire.error(fault)
        except Exception as fault:  # noqa: BLE001  border of a message: whatever is in it, the next one is served
            if not isinstance(fault, ValueError | LookupError | TypeError):
                _log.warning("message.failed", host=host.name, kind=type(fault).__name__)
            answer = wire.error(Fault(Code.GENERAL, f"the message cannot be read: {type(fault).__name__} {fault}"))
        host.under_way -= 1
        self._write(host, found.id, answer)
        if found.waits and not host.gone:
            self._pace.answered(host.name)

    def _write(self, host: _Host, id: int, body: bytes) -> None:
        if host.writer.is_closing():
            return
        if host.writer.transport.get_write_buffer_size() > MOST_UNREAD_BYTES:
            host.writer.transport.abort()  # it asks, and does not read what it is answered
            return
        host.writer.write(wire.frame(id, body))

    async def _talk(self, host: _Host, found: Frame) -> bytes:
        said = wire.content(found.body)
        if self._exchange is None:
            raise Fault(Code.UNSUPP, "this node carries no text between applications")
        if found.type == Ours.SEND:
            await self._exchange.send(host.name, said["to"], said["socket"], said["text"])
            return wire.done(found.id)
        came = await self._exchange.receive(host.name, said["from"], said["socket"], said["within_ns"])
        return wire.ours(Ours.VALUE, {} if came is None else {"from": came[0], "text": came[1]})

    async def _do(self, host: _Host, found: Frame) -> bytes:
        """Handle a message of QNodeOS."""
        if found.type == Ours.OBSERVE:
            return self._observe(host, wire.content(found.body))
        if found.type == sdk.MessageType.SUBROUTINE.value:
            await self._subroutine(host, found)
            return wire.done(found.id)
        message = sdk.deserialize_host_msg(found.body)
        if isinstance(message, sdk.InitNewAppMessage):
            self._executor.init_app((host.name, message.app_id), message.max_qubits)
            host.apps.add(message.app_id)
        elif isinstance(message, sdk.OpenEPRSocketMessage):
            if self._leave_to is not None:
                self._leave_to(host.name, message.remote_node_id)
            self._executor.open_socket(
                (host.name, message.app_id),
                message.epr_socket_id,
                message.remote_node_id,
                message.remote_epr_socket_id,
                message.min_fidelity,
            )
        elif isinstance(message, sdk.StopAppMessage):
            host.apps.discard(message.app_id)
            await self._executor.stop_app((host.name, message.app_id))
        # SIGNAL stop: other hosts may still use the node, so there is nothing to do.
        return wire.done(found.id)

    async def _subroutine(self, host: _Host, found: Frame) -> None:
        subroutine = from_binary(sdk.SubroutineMessage.deserialize_from(found.body).subroutine)
        await self._executor.run(
            (host.name, subroutine.app_id),
            subroutine,
            lambda value: self._write(host, found.id, wire.returned(value)),
        )

    def _observe(self, host: _Host, said: dict[str, Any]) -> bytes:
        if self._oracle is None:
            return wire.ours(Ours.VALUE, {"matrix": None})
        physical = self._executor.physical((host.name, int(said["app"])), int(said["qubit"]))
        return wire.ours(Ours.VALUE, {"matrix": self._oracle(physical, bool(said["reduced"]))})


async def _next_frame(reader: asyncio.StreamReader, longest: int = wire.LONGEST) -> Frame:
    number, waits, length = wire.header(await reader.readexactly(wire.HEADER.size), longest)
    return Frame(number, waits, await reader.readexactly(length))
