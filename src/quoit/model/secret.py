"""A value that must not leak: it does not print, log, pickle or encode by accident."""

from __future__ import annotations

import hmac
from typing import Any, NoReturn


class Secret:
    """Key bytes. Read them with `reveal`, compare with `==` (constant time), overwrite with `wipe`.

    CPython cannot promise that no copy stays in memory: `wipe` clears this buffer, not copies that
    codecs and sockets made of it.
    """

    __slots__ = ("_data",)

    def __init__(self, data: bytes | bytearray) -> None:
        if not isinstance(data, bytes | bytearray):
            # bytearray(16) would be sixteen zeros, and lists of numbers have a repr
            raise TypeError(f"expected bytes for a Secret, found {type(data).__name__}")
        self._data = bytearray(data)

    def reveal(self) -> bytes:
        """The bytes themselves; the caller answers for them from here on."""
        return bytes(self._data)

    def take(self) -> bytearray:
        """The buffer itself, without a copy; nothing stays here. Whoever takes it overwrites it after use."""
        taken, self._data = self._data, bytearray()
        return taken

    def wipe(self) -> None:
        """Overwrite the buffer with zeros and empty it."""
        self._data[:] = bytes(len(self._data))
        del self._data[:]

    def __len__(self) -> int:
        return len(self._data)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._data, other._data)

    __hash__ = None  # type: ignore[assignment]  # a hash of a secret is a leak waiting to happen

    def __repr__(self) -> str:
        return f"Secret({len(self._data)} bytes)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: send it by a message whose type says so")

    def __copy__(self) -> NoReturn:
        raise TypeError("a Secret is not copied: pass the same object on, or reveal() it knowingly")

    def __deepcopy__(self, memo: Any) -> NoReturn:
        self.__copy__()


def bitwise_sum(one: bytes, other: bytes) -> bytes:
    """What a one-time pad does. ValueError unless both are equally long: a short pad leaves bits in the clear."""
    if len(one) != len(other):
        raise ValueError(f"expected equally many bytes; found {len(one)} and {len(other)}")
    return (int.from_bytes(one, "little") ^ int.from_bytes(other, "little")).to_bytes(len(one), "little")
