"""What KMEs say to each other. Keys cross only under pads that both already hold."""

from __future__ import annotations

from quoit.runtime.wire import Message, message


@message("service.Mirror")
class Mirror(Message):
    """Hold these keys of the stream ready for your applications; answered by `Mirrored` once durable."""

    stream: str
    key_ids: tuple[str, ...]
    offsets: tuple[int, ...]
    size_bits: int
    master: str
    slaves: tuple[str, ...]
    expires_ns: int | None


@message("service.Mirrored")
class Mirrored(Message):
    keys: int


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
