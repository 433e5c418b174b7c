"""An application's end of its connection to a node: blocking, for programs that are plain Python."""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netqasm.backend.messages import ReturnMessageType

from quoit.interfaces.netqasm import wire
from quoit.interfaces.netqasm.wire import Frame, Ours


class NodeError(RuntimeError):
    """The node refused, or a subroutine failed there. `code`: NetQASM's number (0 GENERAL, 1 NO_QUBIT, 2 UNSUPP)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason or f"the node answers with error {code}")
        self.code = code


@dataclass(slots=True)
class Commit:
    """What to do with the answers to a message. `give` gets the frames of returned values."""

    give: Callable[[bytes], None] | None = None
    then: Callable[[], None] | None = None


@dataclass(slots=True)
class Site:
    """Where the applications of one run find things; filled in when the nodes are there. `nodes`: names, by node id.
    `allocation`: node of each application. `ports`: of each node's door, on loopback. `within_s`: real time that an
    answer may take. `dial`: how to reach the door of an application's node, for nodes of a running twin; there an
    application's end waits until its node has cleared what it left behind. `names`: what the nodes call an application,
    where that is not its own name."""

    nodes: tuple[str, ...] = ()
    allocation: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    within_s: float = 600.0
    dial: Callable[[str], socket.socket] | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    links: dict[str, HostLink] = field(default_factory=dict)
    """Open connections by application."""

    def link(self, app: str) -> HostLink:
        """The application's connection, opened when first asked for. ValueError for a name that is not in the run."""
        found = self.links.get(app)
        if found is None:
            node = self.node_of(app)
            if self.dial is None:
                found = HostLink(app, _loopback(self.ports[node], self.within_s))
            else:
                found = HostLink(app, self.dial(app), self.names, lingers=True)
            self.links[app] = found
        return found

    def node_of(self, app: str) -> str:
        """Node of an application."""
        node = self.allocation.get(app)
        if node is None:
            raise ValueError(f"expected an application of {', '.join(sorted(self.allocation))}; found {app!r}")
        return node

    def close(self, app: str) -> None:
        """Say goodbye for an application; without a connection one is opened for it."""
        link = self.link(app)
        # Before the goodbye: once the node has it, another round may begin, and want a connection of its own.
        del self.links[app]
        link.close()


class HostLink:
    """One application's connection, over a socket that is connected already. For one thread.

    ConnectionError when the node hangs up; TimeoutError when it does not answer within the socket's timeout. `names`:
    what the nodes call applications. `lingers`: `close` waits until the node has hung up.
    """

    def __init__(
        self, app: str, connected: socket.socket, names: Mapping[str, str] | None = None, *, lingers: bool = False
    ) -> None:
        self._socket = connected
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._names = dict(names or {})
        self._own_names = {theirs: own for own, theirs in self._names.items()}
        self._lingers = lingers
        self._ids = itertools.count(1)
        self._open: dict[int, Commit] = {}
        self._failed: list[NodeError] = []
        self.commit(wire.ours(Ours.HELLO, {"name": self._names.get(app, app)}))

    def commit(self, body: bytes, commit: Commit | None = None, *, waits: bool = True) -> bytes | None:
        """Send a message and, if it `waits`, read until it is answered: the body of a VALUE, None for DONE.

        `NodeError` if it, or one sent before without waiting, is answered by ERR.
        """
        number = next(self._ids)
        self._open[number] = commit or Commit()
        self._socket.sendall(wire.frame(number, body, waits))
        if not waits:
            return None
        value: bytes | None = None
        while number in self._open:
            value = self._handle(self._next())
        if self._failed:
            first, self._failed = self._failed[0], []
            raise first
        return value

    def send(self, to: str, number: int, text: str) -> None:
        """Text for another application."""
        said = {"to": self._names.get(to, to), "socket": number, "text": text}
        self.commit(wire.ours(Ours.SEND, said), waits=False)

    def receive(self, senders: Sequence[str], number: int, within_ns: int | None) -> tuple[str, str] | None:
        """Sender and text; None if none came within the simulated time."""
        named = [self._names.get(sender, sender) for sender in senders]
        came = self._ask(Ours.RECEIVE, {"from": named, "socket": number, "within_ns": within_ns})
        return (self._own_names.get(came["from"], came["from"]), came["text"]) if came else None

    def observe(self, app_id: int, qubit: int, reduced: bool) -> list[list[list[float]]] | None:
        """A density matrix as (real, imaginary); None where nobody can know it."""
        found = self._ask(Ours.OBSERVE, {"app": app_id, "qubit": qubit, "reduced": reduced})["matrix"]
        return None if found is None else list(found)

    def close(self) -> None:
        """Say goodbye and hang up."""
        with self._socket:
            self._socket.sendall(wire.frame(next(self._ids), bytes([Ours.BYE]), waits=False))
            with contextlib.suppress(ConnectionError):
                while self._lingers:
                    self._next()

    def _ask(self, type: Ours, asked: Mapping[str, Any]) -> dict[str, Any]:
        answer = self.commit(wire.ours(type, asked))
        if answer is None:
            raise ConnectionError("expected a value, found DONE")
        return wire.content(answer)

    def _handle(self, found: Frame) -> bytes | None:
        commit = self._open.get(found.id)
        if commit is None:
            raise ConnectionError(f"the node answers message {found.id}, which was never sent")
        if found.type in (ReturnMessageType.RET_REG.value, ReturnMessageType.RET_ARR.value):
            if commit.give is not None:
                commit.give(found.body)
            return None
        del self._open[found.id]
        if found.type == ReturnMessageType.ERR.value:
            self._failed.append(NodeError(*wire.read_error(found.body)))
        elif commit.then is not None:
            commit.then()
        return found.body if found.type == Ours.VALUE else None

    def _next(self) -> Frame:
        number, _, length = wire.header(self._exactly(wire.HEADER.size))
        return Frame(number, True, self._exactly(length))

    def _exactly(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            part = self._socket.recv(size - len(parts))
            if not part:
                raise ConnectionError("the node has hung up")
            parts += part
        return bytes(parts)


def _loopback(port: int, within_s: float) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=within_s)
