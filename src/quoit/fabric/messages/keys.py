"""Key on its way: the stretches that it is made of, relays that move it, pools that it waits in."""

from __future__ import annotations

from quoit.model.secret import Secret
from quoit.runtime.wire import Message, message


class Piece(Message):
    """A stretch of link key: the coordinate that every secret bit has. `use`: delivered, pad, tag..."""

    link: str
    block: int
    offset: int
    bits: int
    use: str


@message("fabric.MoveKey")
class MoveKey(Message):
    """To the relay at `src`: bring `bits` fresh bits to `to`, an element at node `dst`, as `stream` from
    `start` on. `flow`: the reserved route to use. Answered by `KeyMoved` once that element has confirmed them."""

    stream: str
    start: int
    bits: int
    src: str
    dst: str
    to: str
    flow: str = ""


@message("fabric.KeyMoved")
class KeyMoved(Message):
    """The bits, and where they come from: pieces of every link on the way."""

    value: Secret
    pieces: tuple[Piece, ...]
    nodes: tuple[str, ...]


@message("fabric.KeyArrived")
class KeyArrived(Message):
    """At the far end: the same bits. The receiver confirms with `Stored` when it holds them durably."""

    stream: str
    start: int
    value: Secret
    pieces: tuple[Piece, ...]
    origin: str


@message("fabric.Stored")
class Stored(Message):
    bits: int


APPLICATION_NEWS = "fabric.application"
"""Subjects are `fabric.application.<node>`."""


@message("fabric.KeysAsked")
class KeysAsked(Message):
    """News from Service: an application at `node` asked for keys with others; it got `bits`, which may be 0. Names are
    endpoint URNs; `peer_node` is where the first of `clients` is. `least_bps`: the rate that was agreed with it."""

    node: str
    server: str
    clients: tuple[str, ...]
    peer_node: str
    bits: int
    least_bps: float
    priority: int


@message("fabric.PoolLevel")
class PoolLevel(Message):
    """News: a pool crossed its floor. `open` tells whether the link can carry keys."""

    link: str
    bits: int
    open: bool


@message("fabric.GetPool")
class GetPool(Message):
    """To a node's agent: how much key has a link? Answered with `PoolLevel`; Problem `no-route` for a strange link."""

    link: str


@message("fabric.PoolReading")
class PoolReading(Message):
    """To the meters, once an interval in which a pool has changed: its level at the end of it."""

    link: str
    bits: int
