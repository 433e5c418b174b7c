"""What the HTTP servers share: a request's raw path and bounded body, and an answer in one go."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import quote

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from quoit.model.problem import Problem

BODY_BYTES = 64 * 1024


class Answer(NamedTuple):
    """A whole response; `headers` besides length and cache control, which `reply` adds."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)


def raw_path_of(scope: Scope) -> bytes:
    """The path as the client wrote it, still percent-encoded."""
    raw = scope.get("raw_path")
    if isinstance(raw, bytes):
        return raw.split(b"?", 1)[0]
    # A server that keeps no raw path has decoded it: encode again, slashes stay separators.
    return quote(scope["path"]).encode("ascii")


def headers_of(scope: Scope) -> dict[str, str]:
    """Headers by lower-case name; of several of one name the first."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1"), value.decode("latin-1"))
    return found


async def read_body(receive: Receive, limit_bytes: int = BODY_BYTES) -> bytes:
    """The whole body. Raises `Problem("body-too-large")`, and ClientDisconnect if the client has gone."""
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientDisconnect
        body += event.get("body", b"")
        if len(body) > limit_bytes:
            raise Problem("body-too-large", f"at most {limit_bytes} bytes")
        if not event.get("more_body", False):
            return bytes(body)


def check_json_content(headers: dict[str, str], body: bytes) -> None:
    """Raises `Problem("unsupported-media")` unless the body is empty or said to be plain JSON."""
    if not body:
        return
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem("unsupported-media", f"expected content-type application/json, found {kind[:60]!r}")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Problem("unsupported-media", "send the body without content-encoding")


async def reply(send: Send, answer: Answer) -> None:
    """Send a response that no cache may keep."""
    headers: list[Any] = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    headers.append((b"content-length", str(len(answer.body)).encode("ascii")))
    headers.append((b"cache-control", b"no-store"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


class Fixed:
    """An ASGI application that always gives the same answer."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, self._answer)
