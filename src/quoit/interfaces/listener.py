"""A TLS listener for one ASGI application: mutual authentication, limits, and the peer's identity.

uvicorn's releases do not tell an application who the client is, so the protocol class is extended by
that one thing. The constructor and `app_state` it relies on are semi-public: the version is pinned, and a
missing identity fails closed.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from quoit.interfaces.identity import Peer, peer_of

HANDSHAKE_S = 5.0
REQUEST_S = 10.0
"""A request must have arrived in full within this time."""
CONNECTIONS_PER_PEER = 100
CONNECTIONS = 1000
CONNECTION_AGE_S = 3600.0
KEEP_ALIVE_S = 75


class Doorkeeper:
    """Counts connections by identity, and asks whether a certificate has been revoked meanwhile."""

    def __init__(self, revoked: Callable[[int], bool] | None = None) -> None:
        self.by_peer: Counter[str] = Counter()
        self._revoked = revoked

    def admits(self, peer: Peer) -> bool:
        """Whether one more connection of this peer is let in."""
        return self.by_peer[peer.name] < CONNECTIONS_PER_PEER and self.by_peer.total() < CONNECTIONS

    def still_good(self, peer: Peer) -> bool:
        """Whether the peer's certificate is neither expired nor revoked."""
        return time.time() < peer.not_after_unix_s and not (self._revoked is not None and self._revoked(peer.serial))


class PeerProtocol(HttpToolsProtocol):
    """HTTP/1.1 that knows its peer: `request.state.peer` is a `Peer`, or None."""

    doorkeeper: Doorkeeper

    def connection_made(self, transport: Any) -> None:
        self._born = time.monotonic()
        self._peer: Peer | None = None
        self._timer: asyncio.TimerHandle | None = None
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        der = tls.getpeercert(binary_form=True) if tls is not None else None
        peer = peer_of(der) if der else None
        if peer is not None and not self.doorkeeper.admits(peer):
            transport.abort()
            return
        if peer is not None:
            self.doorkeeper.by_peer[peer.name] += 1
            self._peer = peer
        self.app_state = {**self.app_state, "peer": peer}
        self._await_request()

    def _await_request(self) -> None:
        self._timer = self.loop.call_later(REQUEST_S, self._too_slow)

    def _too_slow(self) -> None:
        self.transport.abort()

    def _calm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def on_message_begin(self) -> None:
        self._calm()
        self._await_request()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        peer = self._peer
        old = time.monotonic() - self._born > CONNECTION_AGE_S
        if old or (peer is not None and not self.doorkeeper.still_good(peer)):
            self.transport.abort()
            return
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._calm()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        if self._peer is not None:
            self.doorkeeper.by_peer[self._peer.name] -= 1
            self._peer = None
        super().connection_lost(exc)


@dataclass
class Listener:
    """A running listener."""

    url: str
    server: asyncio.Server
    state: ServerState

    async def close(self) -> None:
        """Stop accepting, let answers in flight go out, close."""
        self.server.close()
        for connection in list(self.state.connections):
            connection.shutdown()
        if self.state.tasks:
            await asyncio.wait(self.state.tasks, timeout=2)
        for connection in list(self.state.connections):
            connection.transport.abort()


async def listen(
    app: Any, address: str, port: int, tls: ssl.SSLContext, doorkeeper: Doorkeeper | None = None
) -> Listener:
    """Serve `app` at an address. Port 0: any free port. OSError if the address cannot be used."""
    config = Config(
        app,
        http=PeerProtocol,
        lifespan="off",
        access_log=False,
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_S,
        server_header=False,
        date_header=False,
        ws="none",
        proxy_headers=False,
    )
    config.load()
    state = ServerState()
    keeper = doorkeeper or Doorkeeper()
    kind = type("Protocol", (PeerProtocol,), {"doorkeeper": keeper})
    server = await asyncio.get_running_loop().create_server(
        lambda: kind(config=config, server_state=state, app_state={}),
        address,
        port,
        ssl=tls,
        ssl_handshake_timeout=HANDSHAKE_S,
        backlog=256,
    )
    bound = server.sockets[0].getsockname()[1]
    return Listener(f"https://{address}:{bound}", server, state)
