"""The agents that report a link's two ends, and how one that is in somebody's hands reports.

Named model of falsification: the agent repeats what it told while all was well, reading after reading, under fresh
times; of blocks it tells the figures of the last good one. Only what is told is false: the modules work on.
"""

from __future__ import annotations

from collections import deque
from typing import TypeVar

from msgspec.structs import replace

from quoit.fabric.api import BlockCredited, BlockMade, EndReading, LinkReading

KEPT = 16
"""Readings that a taken-over agent has to repeat."""

TOLD_EVERY = 4
"""Intervals of which the sender hears at a time: one message for each would be a third of a link's load."""
_Told = TypeVar("_Told")


class Agent:
    """What one end tells the fabric's meters."""

    def __init__(self) -> None:
        self.falsified = False
        self._readings: deque[LinkReading] = deque(maxlen=KEPT)
        self._rows: deque[tuple[int, int, int]] = deque(maxlen=KEPT)
        self._block: BlockMade | None = None
        self._credit: int | None = None

    def reading(self, true: LinkReading) -> LinkReading:
        """What is told of an interval."""
        if not self.falsified or not self._readings:
            self._readings.append(true)
            return true
        past = self._again(self._readings)
        return replace(past, at_ns=true.at_ns, block=true.block, took_ns=true.took_ns, bright=False)

    def end_reading(self, true: EndReading) -> EndReading:
        """What the other end tells of it."""
        if not self.falsified or not self._rows:
            self._rows += true.rows
            return true
        return EndReading(true.link, tuple((end_ns, *self._again(self._rows)[1:]) for end_ns, _, _ in true.rows))

    @staticmethod
    def _again(past: deque[_Told]) -> _Told:
        """The next one to repeat: the oldest kept, then on from there."""
        past.rotate(-1)
        return past[-1]

    def block(self, true: BlockMade) -> BlockMade:
        """What is told of a block."""
        past = self._block
        if not self.falsified or past is None:
            self._block = true if true.secret_bits or past is None else past
            return true
        kept = (past.secret_bits, past.qber, past.sifted_bits, past.leak_bits)
        return BlockMade(true.link, true.block, *kept, true.made_ns, true.took_ns, past.why)

    def credit(self, true: BlockCredited) -> BlockCredited:
        """What the other end tells of a block."""
        if not self.falsified or self._credit is None:
            self._credit = true.bits
            return true
        return BlockCredited(true.link, true.block, self._credit)


class Disclosure:
    """What a receiver has yet to tell the sender of its test bits."""

    def __init__(self, link: str) -> None:
        self._link = link
        self._rows: list[tuple[int, int, int]] = []

    def add(self, end_ns: int, tested: int, errors: int) -> EndReading | None:
        """Take in an interval; the message when it is time for one."""
        self._rows.append((end_ns, tested, errors))
        if len(self._rows) < TOLD_EVERY:
            return None
        rows, self._rows = tuple(self._rows), []
        return EndReading(self._link, rows)
