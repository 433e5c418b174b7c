"""What the elements of service control say to each other about sessions (C5, C6; draft 4.2).

A KME asks access control who may enter, admission control whether the quality can be had, which asks the routing
module for routes; the routing module has them reserved in the fabric and tells the KME of every change.
"""

from __future__ import annotations

import zlib

from quoit.fabric.api import Flow
from quoit.runtime.wire import Message, message
from quoit.service.api import OpenSession
from quoit.service.directory import Attachment
from quoit.service.messages.names import INSTANCE_MARK


def access(domain: str, instance: int = 0) -> str:
    """Name of one of a domain's access controls."""
    return f"service.access:{domain}{INSTANCE_MARK}{instance}"


def admission(domain: str, instance: int = 0) -> str:
    """Name of one of a domain's admission controls."""
    return f"service.admission:{domain}{INSTANCE_MARK}{instance}"


def router(domain: str, instance: int = 0) -> str:
    """Name of one of a domain's routing modules."""
    return f"service.routing:{domain}{INSTANCE_MARK}{instance}"


def monitor(domain: str, instance: int = 0) -> str:
    """Name of a domain's monitoring element, or of another instance of it."""
    return f"service.monitor:{domain}" + (f"{INSTANCE_MARK}{instance}" if instance else "")


def monitors(domain: str, number: int) -> tuple[str, ...]:
    """All of a domain's monitoring elements."""
    return tuple(monitor(domain, n) for n in range(number))


def monitor_of(domain: str, session_id: str, number: int) -> str:
    """The one of `number` monitoring elements that watches a session: each has a share of them."""
    return monitor(domain, zlib.crc32(session_id.encode()) % number)


@message("service.CheckAccess")
class CheckAccess(Message):
    """May `caller` open a session with `peer` at this priority? Problem `not-authorised` or `unknown-sae`."""

    caller: str
    peer: Attachment
    priority: int


@message("service.Granted")
class Granted(Message):
    """`agreed_bps`: the rate that the application's contract allows; None: any."""

    agreed_bps: float | None


@message("service.AdmitSession")
class AdmitSession(Message):
    """Can this be had from node `src` to node `dst`? `held_bps`: what the caller's sessions have already.
    Problem `not-admitted` or `no-route`."""

    asked: OpenSession
    kme: str
    src: str
    dst: str
    agreed_bps: float | None
    held_bps: float


@message("service.RouteSession")
class RouteSession(Message):
    """Routes for a session of `kme`, or (it had some) routes anew. Answered by `SessionRoutes`."""

    asked: OpenSession
    kme: str
    src: str
    dst: str


@message("service.SessionRoutes")
class SessionRoutes(Message):
    """Entries of the KME's forwarding table: the routes of a session now. Also told whenever they change; then
    `why`, and `preempted` if another session took them."""

    session_id: str
    flows: tuple[Flow, ...]
    why: str = ""
    preempted: bool = False


@message("service.UnrouteSession")
class UnrouteSession(Message):
    """The session is over."""

    session_id: str


@message("service.SessionServed")
class SessionServed(Message):
    """A KME to the monitoring element: keys of a session were handed out; the answer took this long."""

    session_id: str
    bits: int
    took_ns: int


@message("service.WatchSession")
class WatchSession(Message):
    """A KME to the monitoring element: watch this session; `asked` None: no more."""

    session_id: str
    asked: OpenSession | None


@message("service.EndSession")
class EndSession(Message):
    """A KME to itself: the session's time is up."""

    session_id: str
