"""A listener for mutual TLS with limits that hold by default, one per KME, many in a process.

uvicorn speaks HTTP; its protocol class is subclassed here (it is semi-public, hence the upper bound on its
version) to read the client's certificate once a connection and to cut what is slow or large. Sockets are
accepted here and not by `create_server`, so that connections in their TLS handshake are counted as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import msgspec
import structlog
from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from quoit.interfaces.identity import Peer
from quoit.interfaces.repeated import Repeated
from quoit.model.problem import Problem

_log = structlog.get_logger("quoit", element="interfaces.listener")

_REASONS = {400: b"Bad Request", 408: b"Request Timeout", 413: b"Content Too Large", 503: b"Service Unavailable"}


@dataclass(frozen=True)
class ListenerLimits:
    """Deadlines in seconds of the host's time, sizes in bytes, numbers of connections.

    `header_s` runs from a request's first byte (and from the handshake's end for the first one), `body_s` from
    its last header. `linger_s` is how long a refused sender may go on before its socket is closed.
    """

    handshake_s: float = 5.0
    header_s: float = 5.0
    header_bytes: int = 8 * 1024
    body_s: float = 10.0
    body_bytes: int = 64 * 1024
    per_identity: int = 100
    in_all: int = 1_000
    idle_s: float = 60.0
    age_s: float = 3_600.0
    grace_s: float = 5.0
    linger_s: float = 1.0


HEADROOM_BYTES = 16 * 1024 * 1024
"""Memory that the system must be ready to give before a new client is let in: what dozens of handshakes at once take.
CPython's ssl module ends the process by a segmentation fault where OpenSSL finds no memory for a new connection."""


def has_headroom() -> bool:
    """Whether the system would give `HEADROOM_BYTES` more. They are mapped and not touched: this costs microseconds."""
    try:
        mmap.mmap(-1, HEADROOM_BYTES).close()
    except (OSError, MemoryError):
        return False
    return True


class Census:
    """Open connections, unauthenticated ones included. Listeners that share one share its bounds."""

    def __init__(self, in_all: int, per_identity: int) -> None:
        self.in_all = in_all
        self.per_identity = per_identity
        self.open = 0
        self.by_identity: Counter[str] = Counter()

    def enter(self) -> bool:
        """Count a new connection; False if there is no room for it."""
        if self.open >= self.in_all:
            return False
        self.open += 1
        return True

    def leave(self) -> None:
        self.open -= 1

    def identify(self, fingerprint: str) -> bool:
        """Count a connection for its certificate; False if that has too many. Undo with `forget` either way."""
        self.by_identity[fingerprint] += 1
        return self.by_identity[fingerprint] <= self.per_identity

    def forget(self, fingerprint: str) -> None:
        self.by_identity[fingerprint] -= 1
        if not self.by_identity[fingerprint]:
            del self.by_identity[fingerprint]


class _Refused(Exception):
    """Leaves a callback of the HTTP parser, which then stops."""


class _Connection(HttpToolsProtocol):
    """One client's connection: who it is, and deadlines for its head, its body and its age."""

    def __init__(self, listener: Listener, config: Config, server: ServerState, state: Mapping[str, Any]) -> None:
        super().__init__(config, server, dict(state))
        self.listener = listener
        self.limits = listener.limits
        self.peer: Peer | None = None
        self.made = False
        self._crowded = False
        self._refusal: Problem | None = None
        self._leaving = False
        self._discarded = 0
        self._phase = "idle"
        self._head_bytes = 0
        self._body_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._retirement: asyncio.TimerHandle | None = None

    # -- life ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.made = True
        self.peer = self._read_peer(transport)
        age_s = self.limits.age_s
        if self.peer is not None:
            # A fresh dictionary: the base class copies it into each request's scope.
            self.app_state = {**self.app_state, "peer": self.peer, "cut": transport.abort}
            self._crowded = not self.listener.census.identify(self.peer.fingerprint)
            if self.peer.sae is not None:
                age_s = min(age_s, max(0.0, self.peer.not_after_unix_s - time.time()))
        self._retirement = self.loop.call_later(age_s, self._retire)
        self._arm(self.limits.header_s)

    def _read_peer(self, transport: asyncio.Transport) -> Peer | None:
        tls = transport.get_extra_info("ssl_object")
        der = tls.getpeercert(True) if tls is not None else None
        return self.listener.identify(der) if der else None

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        if self._retirement is not None:
            self._retirement.cancel()
        if self.peer is not None:
            self.listener.census.forget(self.peer.fingerprint)
        self.listener.census.leave()
        super().connection_lost(exc)

    def _retire(self) -> None:
        """Let the request in work finish, then close: certificates are looked at again at least this often."""
        self.shutdown()
        self._retirement = self.loop.call_later(self.limits.grace_s, self.transport.close)

    # -- deadlines -----------------------------------------------------------------------------------

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, self._too_slow)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        if self._phase == "idle":
            self.transport.close()  # it has asked nothing, so there is nothing to answer
        else:
            self._refuse(Problem("slow-request", f"its {self._phase} did not arrive in time"))

    # -- what arrives --------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._leaving:
            self._discarded += len(data)
            if self._discarded > 16 * self.limits.body_bytes:
                self.transport.abort()
            return
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._arm(self.limits.header_s)
        super().data_received(data)
        if self._phase == "head" and not self._leaving:
            self._head_bytes += len(data)
            if self._head_bytes > self.limits.header_bytes:
                self._refuse(self._large_head())

    def _large_head(self) -> Problem:
        return Problem("malformed", f"its head is larger than {self.limits.header_bytes} bytes")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._phase = "head"
        self._head_bytes = self._body_bytes = 0
        if self._deadline is None:
            self._arm(self.limits.header_s)

    def on_headers_complete(self) -> None:
        self._check_head()
        self._phase = "body"
        self._arm(self.limits.body_s)
        super().on_headers_complete()

    def _check_head(self) -> None:
        if self._crowded:
            self._raise(Problem("overloaded", f"at most {self.limits.per_identity} connections a certificate"))
        if len(self.url) + sum(len(n) + len(v) + 4 for n, v in self.headers) > self.limits.header_bytes:
            self._raise(self._large_head())
        version = self.parser.get_http_version()
        if version not in ("1.0", "1.1"):
            self._raise(Problem("malformed", f"expected HTTP/1.1, found HTTP/{version}"))
        hosts = [value for name, value in self.headers if name == b"host"]
        if len(hosts) != 1 and version == "1.1":
            self._raise(Problem("malformed", f"expected one Host header, found {len(hosts)}"))
        for name, value in self.headers:
            if name == b"content-length" and (not value.isdigit() or int(value[:20]) > self.limits.body_bytes):
                self._raise(self._large_body())

    def _large_body(self) -> Problem:
        return Problem("body-too-large", f"at most {self.limits.body_bytes} bytes")

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self.limits.body_bytes:
            self._raise(self._large_body())
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._phase = "idle"
        self._disarm()
        super().on_message_complete()

    # -- refusals before the application ---------------------------------------------------------------

    def _raise(self, problem: Problem) -> None:
        self._refusal = problem
        raise _Refused  # the parser wraps it, and the base class calls send_400_response

    def send_400_response(self, msg: str) -> None:
        self._refuse(self._refusal or Problem("malformed", "this is not HTTP/1.1"))

    def _refuse(self, problem: Problem) -> None:
        """Answer for the application and leave. In a body's phase the running cycle is this request's own."""
        if self._leaving or self.transport.is_closing():
            return
        self._disarm()
        cycle = self.cycle
        busy = cycle is not None and not cycle.response_complete
        started = self._phase == "body" and cycle is not None and cycle.response_started
        self._leaving = True
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
        if started or (busy and self._phase != "body"):
            self.transport.close()  # something of another answer is or will be on the wire: say nothing into it
            return
        self.transport.write(_refusal_bytes(problem, self.listener.render))
        # Closing at once with data of the sender unread would reset the connection and lose the answer.
        self._deadline = self.loop.call_later(self.limits.linger_s, self.transport.close)


Render = Callable[[Problem], tuple[int, bytes, bytes]]
"""How an interface says a refusal: status, content type, body."""


def render_message(problem: Problem) -> tuple[int, bytes, bytes]:
    """The refusal as ETSI GS QKD 014 says errors."""
    text = f"{problem.row.title}: {problem.detail}" if problem.detail else problem.row.title
    return problem.row.status, b"application/json", msgspec.json.encode({"message": text})


def _refusal_bytes(problem: Problem, render: Render) -> bytes:
    status, kind, body = render(problem)
    head = (
        b"HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-length: %d\r\n"
        b"cache-control: no-store\r\nconnection: close\r\n\r\n"
    )
    return head % (status, _REASONS.get(status, b"Refused"), kind, len(body)) + body


def _reason_of(fault: OSError) -> str:
    if isinstance(fault, ssl.SSLCertVerificationError):
        return fault.verify_message
    return getattr(fault, "reason", None) or type(fault).__name__


class Listener:
    """An open listener; made by `listen`. `address` and `port` are where it listens, `handshakes_failed` counts
    by reason (asyncio closes without a TLS alert, so the client itself is not told)."""

    def __init__(
        self,
        app: ASGIApp,
        server_socket: socket.socket,
        tls: ssl.SSLContext | None,
        state: Mapping[str, Any],
        identify: Callable[[bytes], Peer],
        limits: ListenerLimits,
        census: Census,
        render: Render = render_message,
    ) -> None:
        self.limits = limits
        self.render = render
        self.census = census
        self.identify = identify
        self.address, self.port = server_socket.getsockname()[:2]
        self._socket = server_socket
        self._tls = tls
        self._state = state
        # No proxy headers: who asks is what the certificate says. No lifespan, no WebSocket, no own logging.
        self._config = Config(
            app,
            http=HttpToolsProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            proxy_headers=False,
            server_header=False,
            date_header=False,
            access_log=False,
            log_config=None,
            log_level="critical",
            timeout_keep_alive=int(limits.idle_s),
        )
        self._config.load()
        self._server = ServerState()
        self.handshakes_failed: Counter[str] = Counter()
        self._failures = Repeated(_log, address=self.address)
        self._handshakes: set[asyncio.Task[None]] = set()
        self._accepting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to accept, in the running event loop."""
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
            try:
                self._welcome(loop, client)
            except Exception as fault:  # noqa: BLE001 - whatever a client does, the next one is accepted
                self._failures.add("accept.failed", repr(fault))
                client.close()

    def _welcome(self, loop: asyncio.AbstractEventLoop, client: socket.socket) -> None:
        """Count a new client in and begin its handshake, if there is room and memory for it."""
        if not has_headroom():
            self._failures.add("client.refused", "out of memory")
            client.close()
            return
        if not self.census.enter():
            client.close()
            return
        # asyncio sets this only on sockets whose protocol number it chose itself; without it, an answer's second
        # segment waits 40 ms for the client's delayed acknowledgement of the first.
        with contextlib.suppress(OSError):  # the client has gone already, as its handshake will find
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = loop.create_task(self._handshake(client))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def _handshake(self, client: socket.socket) -> None:
        connection = _Connection(self, self._config, self._server, self._state)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                client,
                ssl=self._tls,
                ssl_handshake_timeout=self.limits.handshake_s if self._tls is not None else None,
                ssl_shutdown_timeout=self.limits.linger_s if self._tls is not None else None,
            )
        except OSError as fault:  # TLS faults and expired handshakes are OSErrors, too
            reason = _reason_of(fault)
            self.handshakes_failed[reason] += 1
            self._failures.add("handshake.failed", reason)
        except Exception as fault:  # noqa: BLE001 - border of a connection: it has nobody else who would say so
            self._failures.add("handshake.failed", type(fault).__name__)
            client.close()
        finally:
            if not connection.made:
                self.census.leave()

    def drop(self, which: Callable[[Peer], bool]) -> int:
        """Close the connections of peers that `which` picks (a revoked certificate), and say how many."""
        picked = [c for c in self._connections() if c.peer is not None and which(c.peer)]
        for connection in picked:
            connection.transport.abort()
        return len(picked)

    def _connections(self) -> list[_Connection]:
        return [c for c in self._server.connections if isinstance(c, _Connection)]

    async def close(self) -> None:
        """Stop accepting, let requests in work finish for `grace_s`, then cut what is left."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
        self._socket.close()
        for task in self._handshakes:
            task.cancel()
        await asyncio.gather(*self._handshakes, return_exceptions=True)
        for connection in self._connections():
            connection.shutdown()
        if self._server.tasks:
            await asyncio.wait(self._server.tasks, timeout=self.limits.grace_s)
        for connection in self._connections():
            connection.transport.abort()
        for work in self._server.tasks:
            work.cancel()
        await asyncio.gather(*self._server.tasks, return_exceptions=True)
        self._failures.close()
        await asyncio.sleep(0)  # connection_lost is called in the loop's next turn


async def listen(
    app: ASGIApp,
    address: str,
    port: int,
    tls: ssl.SSLContext | None,
    state: Mapping[str, Any],
    *,
    identify: Callable[[bytes], Peer],
    limits: ListenerLimits = ListenerLimits(),
    census: Census | None = None,
    render: Render = render_message,
    anonymous: bool = False,
) -> Listener:
    """Serve `app` at `address`:`port` (0: any free one) to clients that `tls` lets in.

    `identify` reads a certificate's DER once a connection (`identity.Identities.read`); the result is
    `scope["state"]["peer"]`, beside what `state` holds. Give listeners of one process the same `census` to have
    its bounds count for all of them. `render` says how a refusal before the application is worded. Raises
    OSError if the address cannot be bound, ValueError if `tls` does not require a client certificate, unless
    `anonymous` says that this is meant: the application then decides what those may do who have none. Only then, and
    only at a loopback address, `tls` may be None: plain HTTP, which nobody reads who is not on this machine already.
    """
    if (tls is None or tls.verify_mode is not ssl.CERT_REQUIRED) and not anonymous:
        raise ValueError("the listener's TLS context must require a client certificate (verify_mode CERT_REQUIRED)")
    if tls is None and not ip_address(address).is_loopback:
        raise ValueError(f"a listener without TLS is for loopback addresses alone, found {address}")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server_socket = socket.create_server((address, port), family=family, backlog=128)
    server_socket.setblocking(False)
    count = census or Census(limits.in_all, limits.per_identity)
    listener = Listener(app, server_socket, tls, state, identify, limits, count, render)
    listener.start()
    return listener
