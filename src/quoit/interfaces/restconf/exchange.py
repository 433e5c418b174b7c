"""A request and its answer, without a socket; which media types and preconditions a request has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import msgspec

from quoit.interfaces.restconf.errors import RestconfError
from quoit.interfaces.restconf.streams import Feed
from quoit.interfaces.strict_json import decode_object, shown
from quoit.model.problem import Problem

DATA = "application/yang-data+json"
PATCH = "application/yang-patch+json"
SSE = "text/event-stream"
HOST_META = "/.well-known/host-meta"
XRD = "application/xrd+xml"
JRD = "application/json"
"""Host metadata as JSON (RFC 6415 appendix A), for those who ask for it."""
MODULE = "application/yang"


@dataclass(frozen=True)
class Request:
    """`path` and `query` as the client wrote them, percent-encoded; header names in lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    caller: str = ""


@dataclass
class Response:
    """A whole answer; with `feed`, what comes from that instead of `body`."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    feed: Feed | None = None

    def header(self, name: str) -> str | None:
        """A header's value, by its lower-case name."""
        return next((value for key, value in self.headers if key == name), None)

    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)


def answer(status: int, value: Any, *headers: tuple[str, str]) -> Response:
    """A response with a JSON body."""
    return Response(status, msgspec.json.encode(value), (("content-type", DATA), *headers))


def refusal(error: RestconfError) -> Response:
    """The response of an error (RFC 8040 cl. 7.1)."""
    return answer(error.status, error.body(), *error.headers)


def accepts(headers: Mapping[str, str], offered: tuple[str, ...]) -> str:
    """The first of the offered media types that the client accepts. Raises 406 if none is."""
    text = headers.get("accept", "*/*")
    refused, ranges = set(), []
    for part in text.split(","):
        kind, *parameters = (p.strip().lower() for p in part.split(";"))
        zero = any(p.replace(" ", "") in ("q=0", "q=0.0", "q=0.00", "q=0.000") for p in parameters)
        refused.add(kind) if zero else ranges.append(kind)
    for kind in offered:
        if kind not in refused and any(_fits(kind, wanted) for wanted in ranges):
            return kind
    raise RestconfError(
        "invalid-value",
        f"expected Accept to allow {' or '.join(offered)}, found {shown(text)}",
        status=406,
        kind="protocol",
    )


def _fits(kind: str, wanted: str) -> bool:
    return wanted in ("*/*", kind) or (wanted.endswith("/*") and kind.startswith(wanted[:-1]))


def read_json(request: Request, kinds: tuple[str, ...], limit_bytes: int, depth: int) -> dict[str, Any]:
    """The object in a request's body. Raises 413, 415, and malformed-message."""
    if len(request.body) > limit_bytes:
        raise RestconfError("too-big", f"a body has {limit_bytes} bytes at most", kind="protocol")
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if kind not in kinds or coding != "identity":
        raise RestconfError(
            "operation-not-supported",
            f"expected content-type {' or '.join(kinds)} without content-encoding, found {shown(kind or 'none')}",
            status=415,
            kind="protocol",
        )
    try:
        return decode_object(request.body, depth)
    except Problem as problem:
        raise RestconfError("malformed-message", problem.detail, kind="protocol") from None


def http_date(at: datetime) -> str:
    """An instant as Last-Modified has it, in whole seconds."""
    return format_datetime(at.astimezone(UTC).replace(microsecond=0), usegmt=True)


def _date_of(headers: Mapping[str, str], name: str) -> datetime | None:
    """A date header; one that cannot be read is ignored (RFC 9110 cl. 13.1)."""
    try:
        found = parsedate_to_datetime(headers[name])
    except (KeyError, ValueError, TypeError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _tags(text: str) -> list[str]:
    return [tag.strip() for tag in text.split(",")]


Tagger = Callable[[], str | None]
"""Gives the target's entity-tag, or None if there is no target."""


def check_preconditions(headers: Mapping[str, str], tag: Tagger, modified: datetime) -> None:
    """Raises 412 if If-Match, If-None-Match or If-Unmodified-Since forbid a change (RFC 8040 cl. 3.4.1)."""
    wanted, unwanted = headers.get("if-match"), headers.get("if-none-match")
    now = tag() if wanted is not None or unwanted is not None else None
    if wanted is not None and not (now is not None and (wanted.strip() == "*" or now in _tags(wanted))):
        raise _failed("If-Match: the resource is not as you know it")
    if unwanted is not None and now is not None and (unwanted.strip() == "*" or now in _tags(unwanted)):
        raise _failed("If-None-Match: the resource is there")
    since = _date_of(headers, "if-unmodified-since")
    if wanted is None and since is not None and modified.replace(microsecond=0) > since:
        raise _failed("If-Unmodified-Since: the datastore was changed after that")


def _failed(message: str) -> RestconfError:
    return RestconfError("operation-failed", message, status=412, kind="protocol", app_tag="precondition-failed")


def unchanged(headers: Mapping[str, str], tag: str, modified: datetime) -> bool:
    """Whether a client that has this already need not get it again."""
    known = headers.get("if-none-match")
    if known is not None:
        return known.strip() == "*" or tag in _tags(known.replace("W/", ""))
    since = _date_of(headers, "if-modified-since")
    return since is not None and modified.replace(microsecond=0) <= since
