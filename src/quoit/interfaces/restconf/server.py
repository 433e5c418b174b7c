"""A RESTCONF server on a socket: the core as an ASGI application, callers named by their client certificates."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Protocol

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from quoit.interfaces.http_edge import headers_of, raw_path_of, read_body
from quoit.interfaces.identity import Peer, caller_of
from quoit.interfaces.listener import Listener, ListenerLimits, listen
from quoit.interfaces.passwords import CHALLENGE, Passwords
from quoit.interfaces.restconf.datastore import Limits
from quoit.interfaces.restconf.errors import RestconfError, of_problem
from quoit.interfaces.restconf.exchange import DATA, Request, Response, refusal
from quoit.interfaces.restconf.streams import Feed
from quoit.model.problem import Problem


class Handler(Protocol):
    """What answers requests: `core.Restconf`, or a dialect before it."""

    @property
    def limits(self) -> Limits: ...

    async def handle(self, request: Request) -> Response: ...

    async def close(self) -> None: ...


class RestconfApp:
    """The ASGI application of one server. A caller without a known certificate gets 401, whatever it asks; one without
    any may come by a password, if there are `passwords`."""

    def __init__(self, core: Handler, passwords: Passwords | None = None) -> None:
        self.core = core
        self._passwords = passwords

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            response = await self.core.handle(await self._read(scope, receive))
        except ClientDisconnect:
            return
        except RestconfError as error:
            response = refusal(error)
        if response.feed is None:
            await _reply(send, response)
        else:
            cut = scope.get("state", {}).get("cut")
            await self._stream(response, response.feed, receive, send, cut)

    async def _read(self, scope: Scope, receive: Receive) -> Request:
        headers = headers_of(scope)
        try:
            caller = self._caller(scope, headers)
            body = await read_body(receive, self.core.limits.body_bytes)
        except Problem as problem:
            raise of_problem(problem) from None
        return Request(
            scope["method"],
            raw_path_of(scope).decode("latin-1"),
            scope.get("query_string", b"").decode("latin-1"),
            headers,
            body,
            caller,
        )

    def _caller(self, scope: Scope, headers: Mapping[str, str]) -> str:
        """By certificate; who shows none, by password."""
        if self._passwords is None or scope.get("state", {}).get("peer") is not None:
            return caller_of(scope)
        role = self._passwords.role_of(headers.get("authorization", ""))
        if role is None:
            error = of_problem(Problem("no-identity", "expected a client certificate, or the password of a role"))
            raise RestconfError(error.tag, error.message, status=401, app_tag=error.app_tag, headers=(CHALLENGE,))
        return role

    async def _stream(
        self, response: Response, feed: Feed, receive: Receive, send: Send, cut: Callable[[], None] | None
    ) -> None:
        headers = [(name.encode(), value.encode()) for name, value in response.headers]
        await send_feed(feed, response.status, headers, self.core.limits.unread_s, receive, send, cut)


async def send_feed(
    feed: Feed,
    status: int,
    headers: list[tuple[bytes, bytes]],
    unread_s: float,
    receive: Receive,
    send: Send,
    cut: Callable[[], None] | None,
) -> None:
    """Send a feed until it ends or its reader goes. A reader that takes nothing for `unread_s` is `cut` off."""
    headers = [*headers, (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
    tasks: list[asyncio.Task[bool]] = []
    try:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        tasks = [asyncio.create_task(_gone(receive)), asyncio.create_task(_pump(feed, send, unread_s))]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[1].done() and not tasks[1].cancelled() and not tasks[1].result() and cut is not None:
            cut()  # it does not read: what waits in its socket must not be kept for it
    finally:
        feed.drop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(feed: Feed, send: Send, unread_s: float) -> bool:
    """Send until the feed ends; False if the reader takes nothing for `unread_s`."""
    async with contextlib.aclosing(feed.chunks()) as chunks:
        async for chunk in chunks:
            event = {"type": "http.response.body", "body": chunk, "more_body": True}
            try:
                await asyncio.wait_for(send(event), unread_s)
            except TimeoutError:
                return False
    await send({"type": "http.response.body", "body": b"", "more_body": False})
    return True


async def _reply(send: Send, response: Response) -> None:
    """A whole answer. The length is the body's, unless it says its own (HEAD) or has none (RFC 9110 cl. 8.6)."""
    headers = [(name.encode(), value.encode()) for name, value in response.headers]
    if response.status not in (204, 304) and response.header("content-length") is None:
        headers.append((b"content-length", str(len(response.body)).encode()))
    # Answers are for the caller alone, and state changes without its entity-tag.
    headers.append((b"cache-control", b"no-store"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


async def _gone(receive: Receive) -> bool:
    while (await receive())["type"] != "http.disconnect":
        pass
    return True


def render_refusal(problem: Problem) -> tuple[int, bytes, bytes]:
    """What the listener refuses before the application, said as RESTCONF says errors."""
    status = problem.row.status
    error = of_problem(problem)
    return status, DATA.encode(), msgspec.json.encode(error.body())


@contextlib.asynccontextmanager
async def serve(
    core: Handler,
    address: str,
    port: int,
    tls: ssl.SSLContext | None,
    identify: Callable[[bytes], Peer],
    limits: ListenerLimits | None = None,
    passwords: Passwords | None = None,
) -> AsyncIterator[Listener]:
    """Serve `core` at `address`:`port` (0: any free one) while the context is open.

    `tls` must require a client certificate, unless there are `passwords`; `identify` says whose it is
    (`identity.Identities.read`). With passwords it may also be None, which is plain HTTP and for loopback alone.
    """
    bounds = limits or ListenerLimits(body_bytes=core.limits.body_bytes)
    listener = await listen(
        RestconfApp(core, passwords),
        address,
        port,
        tls,
        {},
        identify=identify,
        limits=bounds,
        render=render_refusal,
        anonymous=passwords is not None,
    )
    try:
        yield listener
    finally:
        await core.close()
        await listener.close()
