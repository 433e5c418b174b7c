"""A RESTCONF client (RFC 8040, JSON): our controllers use it towards agents, ours or anybody's.

What the server refuses, and what goes wrong on the way, is raised as `Problem`; its fields have the server's error-tag,
error-app-tag, error-path and HTTP status.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode, urljoin, urlsplit

import httpx2
import msgspec

from quoit.interfaces.restconf.exchange import DATA, PATCH, SSE, XRD
from quoit.interfaces.strict_json import shown
from quoit.model.problem import Problem

MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_EVENT_BYTES = 1024 * 1024
_LINK = re.compile(r"<(?:\w+:)?Link\b([^>]*)>")
_ATTRIBUTE = re.compile(r"""(\w+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answered: the decoded body (None if it has none), entity-tag and Location if it gave them."""

    status: int
    body: Any
    etag: str | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Notification:
    """One event: its time as the server wrote it, its name (module:name), its content, and the stream's id of it."""

    at: str
    name: str
    content: Any
    id: str | None = None


def key(*values: object) -> str:
    """The keys of a list's entry as they stand in a path: `f"m:a/b={key('x/y', 3)}"`."""
    return ",".join(quote(_text(value), safe="") for value in values)


def _text(value: object) -> str:
    return ("false", "true")[value] if isinstance(value, bool) else str(value)


class RestconfClient:
    """One server. Use it as an asynchronous context; `within_s` bounds each request. A stream that
    says nothing for `idle_s`, not even a keep-alive comment, is taken for broken.

    `tls` has our certificate and the server's root (`adapters.crypto.pki.client_context`). `lenient` also takes
    application/json for an answer's type, as some servers send it.
    """

    def __init__(
        self,
        base: str,
        tls: ssl.SSLContext | None = None,
        *,
        root: str | None = None,
        within_s: float = 10.0,
        idle_s: float = 60.0,
        lenient: bool = False,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._base = base.rstrip("/")
        self._root = root
        self._within_s = within_s
        self._idle_s = idle_s
        self._kinds = (DATA, PATCH, "application/json") if lenient else (DATA, PATCH)
        self._http = httpx2.AsyncClient(
            verify=tls if tls is not None else True, timeout=None, transport=transport, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    # -- the API's root --------------------------------------------------------------------------------

    async def root(self) -> str:
        """The path of the API, as the server's host-meta says (RFC 8040 cl. 3.1); asked once."""
        if self._root is None:
            response = await self._send("GET", self._base + "/.well-known/host-meta", {"accept": XRD})
            if response.status_code != 200:
                raise Problem(
                    "bad-answer", f"/.well-known/host-meta gave HTTP {response.status_code}; give the root yourself"
                )
            self._root = _restconf_link(response.text)
        return self._root

    async def _url(self, *parts: str) -> str:
        root = (await self.root()).rstrip("/")
        return "/".join((self._base + root, *(part.strip("/") for part in parts if part)))

    # -- data ------------------------------------------------------------------------------------------

    async def get(self, path: str = "", *, store: str | None = None, **query: str) -> Reply:
        """A data resource; `path` percent-encoded as in RFC 8040 cl. 3.5.3, "" for the whole datastore.

        `store`: a datastore of RFC 8527, such as ietf-datastores:running. Query parameters by name, with _ for -.
        """
        where = ("ds", quote(store, safe=":")) if store else ("data",)
        return await self._call("GET", await self._url(*where, path), query=query)

    async def put(self, path: str, body: Mapping[str, Any], *, if_match: str | None = None, **query: str) -> Reply:
        """Create or replace a data resource."""
        return await self._call("PUT", await self._url("data", path), body, if_match, query)

    async def post(self, path: str, body: Mapping[str, Any], *, if_match: str | None = None, **query: str) -> Reply:
        """Create a child of a data resource; the reply's `location` is its URI."""
        return await self._call("POST", await self._url("data", path), body, if_match, query)

    async def patch(self, path: str, body: Mapping[str, Any], *, if_match: str | None = None) -> Reply:
        """Merge into a data resource; a body with ietf-yang-patch:yang-patch is sent as a YANG Patch."""
        kind = PATCH if "ietf-yang-patch:yang-patch" in body else DATA
        return await self._call("PATCH", await self._url("data", path), body, if_match, kind=kind)

    async def delete(self, path: str, *, if_match: str | None = None) -> Reply:
        """Delete a data resource."""
        return await self._call("DELETE", await self._url("data", path), if_match=if_match)

    async def invoke(self, operation: str, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Do an RPC (module:name); the members of its output."""
        module = operation.partition(":")[0]
        body = {f"{module}:input": dict(given)} if given else None
        reply = await self._call("POST", await self._url("operations", quote(operation, safe=":")), body)
        if reply.body is None:
            return {}
        output = reply.body.get(f"{module}:output") if isinstance(reply.body, dict) else None
        if not isinstance(output, dict):
            raise Problem("bad-answer", f"expected {module}:output of {operation}")
        return output

    # -- events ----------------------------------------------------------------------------------------

    async def stream(
        self,
        name: str = "NETCONF",
        *,
        start: str | None = None,
        stop: str | None = None,
        last_event_id: str | None = None,
    ) -> AsyncIterator[Notification]:
        """The events of a stream, until the server ends it or the caller stops reading.

        `start` and `stop` (RFC 3339) ask for replay. The location is what restconf-state says for JSON.
        """
        path = f"ietf-restconf-monitoring:restconf-state/streams/stream={key(name)}"
        reply = await self.get(path)
        location = _location_of(reply.body, name)
        query = {k: v for k, v in (("start-time", start), ("stop-time", stop)) if v is not None}
        url = urljoin(self._base + "/", location) + ("?" + urlencode(query) if query else "")
        async for event in self.events(url, last_event_id=last_event_id):
            yield event

    async def follow(
        self, name: str = "NETCONF", *, last_event_id: str | None = None, attempts: int = 5, pause_s: float = 0.5
    ) -> AsyncIterator[Notification]:
        """The events of a stream across broken connections, from where each broke.

        After `attempts` openings in a row that gave no event, the last `Problem` is raised; pauses between them double.
        """
        failed = 0
        while True:
            problem = Problem("peer-unreachable", "the server ended the stream")
            try:
                async for event in self.stream(name, last_event_id=last_event_id):
                    failed, last_event_id = 0, event.id or last_event_id
                    yield event
            except Problem as fault:
                if fault.code not in ("peer-unreachable", "deadline", "config-refused"):
                    raise
                problem = fault
            failed += 1
            if failed > attempts:
                raise problem
            await asyncio.sleep(pause_s * 2 ** (failed - 1))

    async def subscribe(self, given: Mapping[str, Any]) -> tuple[int, str]:
        """Establish a dynamic subscription; its id, and the URL to give to `events`."""
        output = await self.invoke("ietf-subscribed-notifications:establish-subscription", given)
        try:
            uri = str(output["ietf-restconf-subscribed-notifications:uri"])
            return int(output["id"]), urljoin(self._base + "/", uri)
        except (KeyError, ValueError):
            raise Problem("bad-answer", "the server gave no id and uri of the subscription") from None

    async def events(self, url: str, *, last_event_id: str | None = None) -> AsyncIterator[Notification]:
        """The notifications that a URL of this server's sends as server-sent events."""
        if urlsplit(url)[:2] != urlsplit(self._base)[:2]:
            raise Problem("bad-answer", f"the stream is at another server, {shown(url)}; open a client to that")
        headers = {"accept": SSE, **({"last-event-id": last_event_id} if last_event_id else {})}
        request = self._http.build_request("GET", url, headers=headers)
        response = await self._within(self._http.send(request, stream=True), self._within_s)
        try:
            if response.status_code != 200:
                await self._within(response.aread(), self._within_s)
                raise _refusal(response)
            if not response.headers.get("content-type", "").startswith(SSE):
                raise Problem("bad-answer", "expected text/event-stream")
            async for event in _events(self._lines(response)):
                yield event
        except httpx2.HTTPError as fault:
            raise Problem("peer-unreachable", f"the stream broke: {type(fault).__name__}") from None
        finally:
            await response.aclose()

    async def _lines(self, response: httpx2.Response) -> AsyncIterator[str]:
        lines = aiter(response.aiter_lines())
        while True:
            try:
                yield await asyncio.wait_for(anext(lines), self._idle_s)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise Problem("deadline", f"the stream said nothing for {self._idle_s} s") from None

    # -- one request -----------------------------------------------------------------------------------

    async def _call(
        self,
        method: str,
        url: str,
        body: Mapping[str, Any] | None = None,
        if_match: str | None = None,
        query: Mapping[str, str] = {},
        kind: str = DATA,
    ) -> Reply:
        headers = {"accept": ", ".join(self._kinds)}
        if body is not None:
            headers["content-type"] = kind
        if if_match is not None:
            headers["if-match"] = if_match
        if query:
            url += "?" + "&".join(f"{k.replace('_', '-')}={quote(v, safe='')}" for k, v in query.items())
        content = msgspec.json.encode(body) if body is not None else None
        response = await self._send(method, url, headers, content)
        if not 200 <= response.status_code < 300:
            raise _refusal(response)
        etag, location = response.headers.get("etag"), response.headers.get("location")
        return Reply(response.status_code, self._decoded(response), etag, location)

    def _decoded(self, response: httpx2.Response) -> Any:
        if not response.content:
            return None
        kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind not in self._kinds:
            raise Problem("bad-answer", f"expected content-type {DATA}, found {shown(kind)}")
        try:
            return msgspec.json.decode(response.content)
        except msgspec.DecodeError as fault:
            raise Problem("bad-answer", f"the body is not JSON: {fault}") from None

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None = None
    ) -> httpx2.Response:
        request = self._http.build_request(method, url, headers=dict(headers), content=content)
        response: httpx2.Response = await self._within(self._read(request), self._within_s)
        return response

    async def _read(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._http.send(request, stream=True)
        try:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise Problem("bad-answer", f"the answer has more than {MAX_BODY_BYTES} bytes")
        finally:
            await response.aclose()
        return httpx2.Response(response.status_code, headers=_plain(response.headers), content=bytes(body))

    async def _within(self, work: Any, seconds: float) -> Any:
        try:
            return await asyncio.wait_for(work, seconds)
        except TimeoutError:
            raise Problem("deadline", f"no answer within {seconds} s") from None
        except httpx2.HTTPError as fault:
            raise Problem("peer-unreachable", f"{type(fault).__name__}: {fault}") from None


def _plain(headers: httpx2.Headers) -> list[tuple[str, str]]:
    """Headers of a body that has been decoded already."""
    gone = ("content-encoding", "content-length", "transfer-encoding")
    return [(name, value) for name, value in headers.items() if name.lower() not in gone]


def _restconf_link(xrd: str) -> str:
    for link in _LINK.finditer(xrd):
        found: dict[str, str] = {name: double or single for name, double, single in _ATTRIBUTE.findall(link.group(1))}
        if found.get("rel") == "restconf" and found.get("href", "").startswith("/"):
            return found["href"]
    raise Problem("bad-answer", "/.well-known/host-meta has no link to restconf with a path")


def _location_of(body: Any, name: str) -> str:
    try:
        stream = body["ietf-restconf-monitoring:stream"][0]
        return next(str(a["location"]) for a in stream["access"] if a["encoding"] == "json")
    except (KeyError, IndexError, TypeError, StopIteration):
        raise Problem("bad-answer", f"restconf-state says no location of stream {name!r} in JSON") from None


_CODE_OF_STATUS = {
    400: "malformed",
    401: "no-identity",
    403: "access-denied",
    404: "no-such-data",
    405: "method-not-allowed",
    406: "unsupported-media",
    408: "slow-request",
    409: "config-refused",
    413: "body-too-large",
    415: "unsupported-media",
    501: "not-supported",
}


def _refusal(response: httpx2.Response) -> Problem:
    """The server's error as a problem: its first, if it gives several."""
    status = response.status_code
    try:
        body = msgspec.json.decode(response.content)
        if "ietf-yang-patch:yang-patch-status" in body:  # an edit of a patch has its errors inside (RFC 8072 cl. 2.3)
            body = body["ietf-yang-patch:yang-patch-status"]["edit-status"]["edit"][0]["errors"]
        error = body["ietf-restconf:errors"]["error"][0]
        names = {"tag": "error-tag", "app_tag": "error-app-tag", "path": "error-path"}
        said = {name: str(error[member]) for name, member in names.items() if member in error}
        text = str(error.get("error-message", said.get("tag", "")))
    except (msgspec.DecodeError, KeyError, IndexError, TypeError, AttributeError):
        return Problem("bad-answer", f"HTTP {status} without ietf-restconf:errors", status=status)
    code = _CODE_OF_STATUS.get(status, "peer-failed")
    if status == 412:
        code = (
            "config-changed"
            if said.get("app_tag") == "precondition-failed" or "app_tag" not in said
            else "config-refused"
        )
    return Problem(code, text[:500], status=status, **said)


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[Notification]:
    """The events of a body of text/event-stream, as the HTML standard cuts them."""
    data: list[str] = []
    size, last = 0, None
    async for line in lines:
        size += len(line)
        if size > MAX_EVENT_BYTES:
            raise Problem("bad-answer", f"an event has more than {MAX_EVENT_BYTES} characters")
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            if data:
                yield _notification("\n".join(data), last)
            data, size = [], 0
        elif field == "data":
            data.append(value)
        elif field == "id":
            last = value


def _notification(text: str, last: str | None) -> Notification:
    try:
        body = msgspec.json.decode(text)["ietf-restconf:notification"]
        name = next(member for member in body if member != "eventTime")
        return Notification(str(body["eventTime"]), name, body[name], last)
    except (msgspec.DecodeError, KeyError, TypeError, StopIteration):
        raise Problem("bad-answer", f"expected a notification, found {shown(text)}") from None
