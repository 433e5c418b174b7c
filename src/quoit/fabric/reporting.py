"""The agents that report a link's two ends, and how one that is in somebody's hands reports.

Named model of falsification: the agent repeats what it told while all was well, reading after reading, under fresh
times; of blocks it tells the figures of the last good one. Only what is told is false: the modules work on.
"""

from __future__ import annotations

from collections import deque

from quoit.fabric.api import BlockCredited, BlockMade, EndReading, LinkReading

KEPT = 16
"""Readings that a taken-over agent has to repeat."""

_Told = tuple[int, int, float, float, tuple[int, ...]]


class Agent:
    """What one end tells the fabric's meters."""

    def __init__(self) -> None:
        self.falsified = False
        self._readings: deque[_Told] = deque(maxlen=KEPT)
        self._block: BlockMade | None = None
        self._credit: int | None = None

    def _past(self, told: _Told) -> _Told:
        if not self.falsified or not self._readings:
            self._readings.append(told)
            return told
        self._readings.rotate(-1)
        return self._readings[-1]

    def reading(self, true: LinkReading) -> LinkReading:
        """What is told of an interval."""
        told = self._past((true.tested, true.errors, true.sifted_bps, true.raw_bps, true.clicks))
        tested, errors, sifted, raw, clicks = told
        bright = true.bright and not self.falsified
        return LinkReading(true.link, tested, errors, sifted, raw, true.at_ns, true.block, true.took_ns, clicks, bright)

    def end_reading(self, true: EndReading) -> EndReading:
        """What the other end tells of it."""
        tested, errors, *_ = self._past((true.tested, true.errors, 0.0, 0.0, ()))
        return EndReading(true.link, true.end_ns, tested, errors)

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
