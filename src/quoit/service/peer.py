"""What KMEs say to each other. Keys cross only under pads that both already hold."""

from __future__ import annotations

from quoit.runtime.wire import Message, message
from quoit.service.keystore import Point


class Holding(Message):
    """Bits of a stream that one end has and may still hand out: from `first` up to `last`."""

    stream: str
    first: int
    last: int


@message("service.Hello")
class Hello(Message):
    """`kme` has started: its store has come as far as `point`, and holds this of your stream to it."""

    kme: str
    point: Point
    holding: Holding


@message("service.Met")
class Met(Message):
    """What the other end of a `Hello` remembers: how far it has seen the asker's store come (`seen`), how far its
    own has come, and what it holds of the asker's stream to it."""

    seen: Point | None
    point: Point
    holding: Holding


@message("service.Progress")
class Progress(Message):
    """`kme` tells how far its store has come, so that it can be told should its store ever be put back. `compared`:
    it has heard what you remember of its earlier lives."""

    kme: str
    point: Point
    compared: bool = False


@message("service.Remembered")
class Remembered(Message):
    """`kme` has seen your store come as far as `seen`, in an earlier life."""

    kme: str
    seen: Point


@message("service.Mirror")
class Mirror(Message):
    """Hold these keys of the stream ready for your applications; answered by `Mirrored` once durable. `point`:
    how far the master's store has come."""

    stream: str
    key_ids: tuple[str, ...]
    offsets: tuple[int, ...]
    size_bits: int
    master: str
    slaves: tuple[str, ...]
    expires_ns: int | None
    point: Point


@message("service.Mirrored")
class Mirrored(Message):
    keys: int
    point: Point | None


@message("service.Copy")
class Copy(Message):
    """Multicast: the keys, each under a pad that was opened from our stream as `pads`."""

    stream: str
    pads: tuple[str, ...]
    offsets: tuple[int, ...]
    size_bits: int
    key_ids: tuple[str, ...]
    sealed: tuple[bytes, ...]
    master: str
    slaves: tuple[str, ...]
    expires_ns: int | None


@message("service.PeerUnit")
class PeerUnit(Message):
    """How far is this key with you?"""

    key_id: str


@message("service.PeerView")
class PeerView(Message):
    """`state` as a handout's, or `unknown`; who of the slaves has it."""

    state: str
    delivered: tuple[str, ...]


@message("service.Withdraw")
class Withdraw(Message):
    """Void these keys at your end too; answered by `Mirrored` once durable."""

    key_ids: tuple[str, ...]
