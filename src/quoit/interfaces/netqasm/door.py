"""A node's door for hosts over mutual TLS, for a running twin: who comes is read from the certificate alone.

The rules are those of the other edges (`interfaces.identity`, `interfaces.listener`): a certificate that names an
application attached to this node; bounds on connections, those in their handshake included; none is kept beyond its
certificate's end or an hour; revocation cuts it. Only what goes through it differs: frames of `wire`, not HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Collection

import structlog

from quoit.interfaces.identity import Peer
from quoit.interfaces.listener import Census, ListenerLimits, has_headroom
from quoit.interfaces.netqasm.processor import Code, Fault
from quoit.interfaces.netqasm.server import NodeServer
from quoit.interfaces.repeated import Repeated

_log = structlog.get_logger("quoit", element="interfaces.netqasm")
CLEAR_S = 30.0
"""How long a connection's end waits until what its host left behind is cleared."""


class TlsDoor:
    """An open door; made by `open_door`. `address`, `port`: where it listens."""

    def __init__(
        self,
        server: NodeServer,
        listening: socket.socket,
        tls: ssl.SSLContext,
        identify: Callable[[bytes], Peer],
        attached: Collection[str],
        limits: ListenerLimits,
        census: Census,
    ) -> None:
        self.address, self.port = listening.getsockname()[:2]
        self._server, self._socket, self._tls = server, listening, tls
        self._identify, self._attached = identify, frozenset(attached)
        self._limits, self._census = limits, census
        self._failures = Repeated(_log, address=self.address)
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._handshakes: set[asyncio.Task[None]] = set()
        self._peers: dict[asyncio.StreamWriter, Peer] = {}
        self._accepting = asyncio.get_running_loop().create_task(self._accept())

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(self._socket)
            except OSError as fault:  # out of file descriptors, or the client has gone already
                self._failures.add("accept.failed", fault.strerror or type(fault).__name__)
                await asyncio.sleep(0.05)
                continue
            if not has_headroom() or not self._census.enter():
                self._failures.add("client.refused", "no room")
                client.close()
                continue
            task = loop.create_task(self._handshake(client))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _handshake(self, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        try:
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol,
                client,
                ssl=self._tls,
                ssl_handshake_timeout=self._limits.handshake_s,
                ssl_shutdown_timeout=self._limits.linger_s,
            )
        except OSError as fault:
            self._failures.add("handshake.failed", getattr(fault, "reason", None) or type(fault).__name__)
            client.close()
            self._census.leave()
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        task = loop.create_task(self._serve(reader, writer))
        self._connections[task] = writer
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._connections.pop(task, None)
        self._census.leave()
        if not task.cancelled() and task.exception() is not None:
            self._failures.add("connection.failed", type(task.exception()).__name__)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        der = writer.get_extra_info("ssl_object").getpeercert(True)
        peer = self._identify(der)
        crowded = not self._census.identify(peer.fingerprint)
        self._peers[writer] = peer
        age_s = max(0.0, min(self._limits.age_s, peer.not_after_unix_s - time.time()))
        retirement = asyncio.get_running_loop().call_later(age_s, writer.transport.abort)
        try:
            await self._server.serve(reader, writer, lambda name: self._admit(peer, crowded, name), CLEAR_S)
        finally:
            retirement.cancel()
            del self._peers[writer]
            self._census.forget(peer.fingerprint)

    def _admit(self, peer: Peer, crowded: bool, name: str) -> None:
        if peer.sae is None:
            raise Fault(Code.REJECTED, f"no identity: {peer.refused}")
        if crowded:
            raise Fault(Code.REJECTED, f"at most {self._limits.per_identity} connections a certificate")
        if peer.sae not in self._attached:
            raise Fault(Code.REJECTED, f"application {peer.sae} is not attached to this node")
        if name != peer.sae:
            raise Fault(Code.REJECTED, f"expected the application of the certificate, {peer.sae}; found {name[:64]!r}")

    def drop(self, which: Callable[[Peer], bool]) -> int:
        """Close the connections of peers that `which` picks (a revoked certificate), and say how many."""
        picked = [writer for writer, peer in self._peers.items() if which(peer)]
        for writer in picked:
            writer.transport.abort()
        return len(picked)

    async def close(self) -> None:
        """Stop accepting, and hang up."""
        self._accepting.cancel()
        await asyncio.gather(self._accepting, return_exceptions=True)
        self._socket.close()
        for writer in list(self._connections.values()):
            writer.transport.abort()
        work = [*self._connections, *self._handshakes]
        if work:
            await asyncio.wait(work, timeout=self._limits.linger_s)
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        self._failures.close()


async def open_door(
    server: NodeServer,
    address: str,
    port: int,
    tls: ssl.SSLContext,
    *,
    identify: Callable[[bytes], Peer],
    attached: Collection[str],
    limits: ListenerLimits,
    census: Census,
) -> TlsDoor:
    """Open a node's door at `address`:`port` (0: any free one) for the applications in `attached`.

    Raises OSError if the address cannot be bound, ValueError if `tls` does not require a client certificate.
    """
    if tls.verify_mode is not ssl.CERT_REQUIRED:
        raise ValueError("the door's TLS context must require a client certificate (verify_mode CERT_REQUIRED)")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.create_server((address, port), family=family, backlog=128)
    listening.setblocking(False)
    with contextlib.ExitStack() as stack:
        stack.callback(listening.close)
        door = TlsDoor(server, listening, tls, identify, attached, limits, census)
        stack.pop_all()
    return door
