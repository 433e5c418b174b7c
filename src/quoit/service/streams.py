"""A KME's outgoing streams: end-to-end key for one peer KME, kept filled ahead of demand."""

from __future__ import annotations

from dataclasses import dataclass

from quoit.fabric.api import Flow
from quoit.model.problem import Problem

REWRITTEN_NS = 5 * 10**9
"""So long after control has granted another way relays may still have the old one."""


@dataclass
class OutStream:
    """State of one outgoing stream.

    `next_start`: where the next chunk begins, past every chunk that was ever ordered, so that a chunk whose fate
    is unknown is never overlapped. `least`: bits that a waiting request needs, more perhaps than the stream keeps.
    `asked_bits`: of all keys that were asked of it, given or not. `low`, `high`: when refill begins and ends.
    `starved`: observers were told that it cannot be filled.

    A stream of a `session` is moved over that session's own `flows`, `paths` of them at once, a share of every stretch
    on each. `route` is what control has granted, `former` what it had granted before; relays may have that yet until
    `former_until`. `strayed`: its key last went another way.
    """

    name: str
    peer: str
    node: str
    low: int
    high: int
    session: str = ""
    paths: int = 1
    flows: tuple[Flow, ...] = ()
    next_start: int = 0
    free_bits: int = 0
    least: int = 0
    asked_bits: int = 0
    filling: bool = False
    offered_bps: float = 0.0
    route: tuple[str, ...] = ()
    former: tuple[str, ...] = ()
    former_until: int = 0
    strayed: bool = False
    obstacle: Problem | None = None
    starved: bool = False

    @property
    def key(self) -> str:
        """What a KME knows the stream by among its own: it keeps one for a peer, and one for each session."""
        return stream_key(self.peer, self.session)

    def grant(self, nodes: tuple[str, ...], now: int) -> None:
        """Control says which way its key goes."""
        if self.route and nodes != self.route:
            self.former, self.former_until = self.route, now + REWRITTEN_NS
        self.route = nodes

    def may_go(self, nodes: tuple[str, ...], now: int) -> bool:
        """Whether control has granted this way."""
        return nodes == self.route or (nodes == self.former and now < self.former_until)

    def begin_at(self, tail: int) -> None:
        """The stream's other end holds bits up to `tail` already."""
        self.next_start = max(self.next_start, tail)

    def begin_anew(self, name: str) -> None:
        """Nothing of what was moved so far is used any more."""
        self.name = name
        self.next_start = self.free_bits = 0

    def why_empty(self) -> Problem:
        """The refusal that tells an application best why there is no key."""
        if self.obstacle is not None and self.obstacle.code != "no-key-material":
            code = "link-quarantined" if self.obstacle.fields.get("quarantined") else self.obstacle.code
            return Problem(code, self.obstacle.detail, offered_bps=self.offered_bps)
        detail = f"{self.free_bits} bits are ready; the network refills {self.offered_bps:.0f} bit/s"
        return Problem("no-key-material", detail, offered_bps=self.offered_bps, available_bits=self.free_bits)


def stream_key(peer: str, session: str = "") -> str:
    """What a KME knows a stream of its own by."""
    return f"{peer}!{session}" if session else peer


def stream_name(master_kme: str, slave_kme: str, began_ns: int = 0, session: str = "") -> str:
    """The stream from which applications at `master_kme` open keys shared with those at `slave_kme`; of a `session`,
    the stream that is its own.

    A master whose store was put back begins a new stream, named by its instant: offsets of the old one may have
    meant other bits than those that it remembers.
    """
    name = f"{master_kme}>{slave_kme}" + (f"!{session}" if session else "")
    return f"{name}#{began_ns}" if began_ns else name


def master_of(stream: str) -> str:
    """The KME that opens keys from a stream."""
    return stream.partition(">")[0]


def slave_of(stream: str) -> str:
    """The KME that holds the other copy of a stream."""
    return stream.partition(">")[2].partition("#")[0].partition("!")[0]


def session_of(stream: str) -> str:
    """The session that a stream belongs to; empty for the one that all applications of a pair of KMEs use."""
    return stream.partition("#")[0].partition("!")[2]


def began(stream: str) -> int:
    """When a stream was begun anew, in ns; 0 for the first one of its pair."""
    return int(stream.partition("#")[2] or 0)
