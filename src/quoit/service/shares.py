"""Keys in shares: a stretch is the sum of random stretches that travelled on routes without common nodes (C5).

Who lacks one share knows nothing of the sum, so no trusted node on the way sees the key. Shares are named after the
stream; they come in their order, one stretch of a stream at a time, and only whole stretches reach a store.
"""

from __future__ import annotations

from typing import NamedTuple

from quoit.fabric.api import KeyArrived, Piece
from quoit.model.problem import Problem
from quoit.model.secret import Secret, bitwise_sum


def share_name(stream: str, number: int, of: int) -> str:
    """How the `number`-th of `of` shares of a stream's next stretch is called on its way."""
    return f"{stream}|{number}/{of}" if of > 1 else stream


def share_of(name: str) -> tuple[str, int, int]:
    """(stream, number, how many) of a name that `share_name` made."""
    stream, _, share = name.partition("|")
    number, _, of = share.partition("/")
    return (stream, int(number), int(of)) if share else (stream, 0, 1)


class Stretch(NamedTuple):
    """Key, and the pieces of link key that it stands on."""

    value: Secret
    pieces: tuple[Piece, ...]

    def plus(self, value: Secret, pieces: tuple[Piece, ...]) -> Stretch:
        """The sum; it stands on the pieces of both."""
        return Stretch(Secret(bitwise_sum(self.value.reveal(), value.reveal())), self.pieces + pieces)


class Shares:
    """Sums under way at the receiving end: at most one for a stream."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[int, int, Stretch]] = {}

    def join(self, msg: KeyArrived) -> Stretch | None:
        """The stretch, once its last share is here.

        Problem `no-key-material` for a share whose predecessors are not here: the stretch is lost at both ends."""
        stream, number, of = share_of(msg.stream)
        before = self._sums.pop(stream, None)
        stretch = Stretch(msg.value, msg.pieces)
        if number:
            if before is None or before[:2] != (msg.start, number) or len(before[2].value) != len(msg.value):
                raise Problem("no-key-material", f"expected share {number} of {stream} to follow the one before it")
            stretch = before[2].plus(msg.value, msg.pieces)
        if number == of - 1:
            return stretch
        self._sums[stream] = (msg.start, number + 1, stretch)
        return None
