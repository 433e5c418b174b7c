"""Sessions: keys of an agreed quality."""

from __future__ import annotations

from quoit.runtime.wire import Message, message


@message("service.OpenSession")
class OpenSession(Message):
    """Keys of an agreed quality between `caller` and `peer`, until `valid_for_ns` from now (None: until it is closed).

    `session_id` is a random version-4 UUID drawn at the edge. `rate_bps` and `burst_bits` (None: ten seconds' worth)
    are what may be taken; the network sets them aside on every link of the way. `paths` routes without common nodes:
    the key is the sum of a share from each, so that no trusted node sees it. `most_transit`: how many trusted nodes
    may lie on one route (0: none). `avoid`: nodes that may not. `max_latency_ns`, `max_jitter_ns`: how long an answer
    may take, and by how much that may vary. `on_shortage`: `refuse`, or `hybrid` to have keys made of an older one and
    post-quantum key encapsulation while the links give none; such keys are labelled. Answered by `Session`.
    """

    caller: str
    peer: str
    session_id: str
    rate_bps: float
    burst_bits: int | None = None
    priority: int = 0
    paths: int = 1
    most_transit: int | None = None
    avoid: tuple[str, ...] = ()
    max_latency_ns: int | None = None
    max_jitter_ns: int | None = None
    valid_for_ns: int | None = None
    on_shortage: str = "refuse"


@message("service.GetSession")
class GetSession(Message):
    caller: str
    session_id: str


@message("service.CloseSession")
class CloseSession(Message):
    caller: str
    session_id: str


@message("service.ListSessions")
class ListSessions(Message):
    """All sessions that `caller` has opened and that are not over, oldest first. Answered by `Sessions`."""

    caller: str


@message("service.Session")
class Session(Message):
    """A session as its owner sees it. `state`: open, degraded (it has fewer routes than agreed), hybrid,
    pre-empted or closed.
    `routes` now, and the most trusted nodes on one of them. `served_bits` and, of the last answers, the 95th
    percentile of the time they took and its distance to the 5th."""

    session_id: str
    caller: str
    peer: str
    state: str
    rate_bps: float
    burst_bits: int
    priority: int
    paths: int
    most_transit: int | None
    routes: int
    trusted_nodes: int
    opened_ns: int
    ends_ns: int | None
    served_bits: int
    latency_ns: int | None = None
    jitter_ns: int | None = None
    why: str | None = None


@message("service.Sessions")
class Sessions(Message):
    sessions: tuple[Session, ...]


SESSION_NEWS = "service.session"
"""Subjects are `service.session.<KME>`."""


@message("service.SessionChanged")
class SessionChanged(Message):
    """News: a session of `kme` is in another state."""

    kme: str
    session_id: str
    state: str
    why: str
    at_ns: int


@message("service.SessionQuality")
class SessionQuality(Message):
    """News: what a session delivers is (`kept` false: is not) what was agreed; `text` says which figure."""

    session_id: str
    kept: bool
    text: str
    at_ns: int
