"""The closed registry of messages, and their encoding for the bus and the journal.

A message is an immutable msgspec struct, registered once under a stable name by `@message`. What is
not registered cannot be sent, received or decoded. Secrets cross only where a field says `Secret`,
and never into a journal (`redacted=True`).
"""

from __future__ import annotations

from base64 import b64decode
from typing import Any, TypeVar, dataclass_transform

import msgspec

from quoit.model.secret import Secret


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class Message(msgspec.Struct, frozen=True, gc=False):
    """Base of everything that elements say to each other.

    Messages are left out of the search for reference cycles: an immutable value of values has none, and
    the search would cost more than the handling.
    """


M = TypeVar("M", bound=type[Message])

_BY_NAME: dict[str, type[Message]] = {}
_NAME_OF: dict[type[Message], str] = {}


def message(name: str) -> Any:
    """Register a message type under `name` (`service.OpenKeys`), which is its name on the wire."""

    def register(cls: M) -> M:
        if name in _BY_NAME:
            raise ValueError(f"message name {name!r} is taken by {_BY_NAME[name].__qualname__}")
        _BY_NAME[name] = cls
        _NAME_OF[cls] = name
        return cls

    return register


def name_of(kind: type[Message]) -> str:
    """The registered name of a message type; KeyError if it was never registered."""
    return _NAME_OF[kind]


def type_of(name: str) -> type[Message]:
    """The message type registered under `name`; KeyError if there is none."""
    return _BY_NAME[name]


def registered() -> dict[str, type[Message]]:
    """A copy of the registry, name to type."""
    return dict(_BY_NAME)


def _enc_secret(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError(f"{type(value).__name__} has no encoding")


def _enc_redacted(value: Any) -> Any:
    if isinstance(value, Secret):
        return b"\0" * len(value)
    raise TypeError(f"{type(value).__name__} has no encoding")


def _dec_secret(kind: type, value: Any) -> Any:
    if kind is Secret:
        return Secret(value)
    raise TypeError(f"{kind.__name__} has no decoding")


def _dec_redacted(kind: type, value: Any) -> Any:
    # JSON has no bytes: what was a secret's buffer is Base64 text there.
    return _dec_secret(kind, b64decode(value, validate=True))


_NOT_UTF8 = "a string is not UTF-8"
_encoder = msgspec.msgpack.Encoder(enc_hook=_enc_secret)
_redacting_encoder = msgspec.json.Encoder(enc_hook=_enc_redacted)


def encode(msg: Message) -> bytes:
    """MessagePack of the fields, secrets included: for a protected bus only."""
    return _encoder.encode(msg)


def decode(name: str, data: bytes) -> Message:
    """Inverse of `encode`. Raises KeyError for an unknown name, msgspec.DecodeError for anything but its fields."""
    try:
        return msgspec.msgpack.decode(data, type=_BY_NAME[name], dec_hook=_dec_secret)
    except UnicodeDecodeError:  # not msgspec's own; and not chained, for it holds the data
        raise msgspec.DecodeError(_NOT_UTF8) from None


def encode_redacted(msg: Message) -> bytes:
    """JSON of the fields with every secret replaced by zeros: for journals."""
    return _redacting_encoder.encode(msg)


def decode_redacted(name: str, data: bytes) -> Message:
    """Inverse of `encode_redacted`, with zeros where secrets were."""
    try:
        return msgspec.json.decode(data, type=_BY_NAME[name], dec_hook=_dec_redacted)
    except UnicodeDecodeError:
        raise msgspec.DecodeError(_NOT_UTF8) from None
