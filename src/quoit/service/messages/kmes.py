"""What a KME holds, and news of the key between it and its peers."""

from __future__ import annotations

from quoit.runtime.wire import Message, message
from quoit.service.messages.sessions import Session


@message("service.GetKmeState")
class GetKmeState(Message):
    """Management asks a KME for its sessions and streams, of all applications. Answered with `KmeState`."""


class StreamRow(Message):
    """End-to-end key towards a peer KME, for a session or for all. `routes`: the nodes of each route it is moved on;
    none of a stream that belongs to no session: the fabric keeps that one's. `asked_bits`: of all keys that were asked
    of it, given or not."""

    name: str
    peer: str
    session: str
    routes: tuple[tuple[str, ...], ...]
    asked_bits: int = 0


@message("service.KmeState")
class KmeState(Message):
    kme: str
    node: str
    domain: str
    sessions: tuple[Session, ...]
    streams: tuple[StreamRow, ...]


STREAM_NEWS = "service.stream"
"""Subjects are `service.unit.<KME>` and `service.stream.<KME>`."""


@message("service.StreamStarved")
class StreamStarved(Message):
    """News: the fabric cannot fill the key between two KMEs, for the reason that it gave."""

    stream: str
    why: str
    free_bits: int
    at_ns: int


@message("service.StoreRewound")
class StoreRewound(Message):
    """News: the store of `kme` was older than `peer` remembers; `keys` that waited in it are void."""

    kme: str
    peer: str
    keys: int
    at_ns: int


@message("service.StreamFilled")
class StreamFilled(Message):
    """News: it can again."""

    stream: str
    at_ns: int
