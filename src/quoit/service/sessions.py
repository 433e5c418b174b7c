"""Sessions: a token bucket per application enforces the agreed rate (C5; draft 4.2)."""

from __future__ import annotations


class TokenBucket:
    """Bits that an application may still take. Over any window of w s it grants at most rate w + burst."""

    __slots__ = ("_at_ns", "_tokens", "burst_bits", "rate_bps")

    def __init__(self, rate_bps: float, burst_bits: float) -> None:
        self.rate_bps = rate_bps
        self.burst_bits = burst_bits
        self._tokens = burst_bits
        self._at_ns = 0

    def take(self, bits: int, now_ns: int) -> bool:
        """Take `bits` if they are there; nothing is taken otherwise."""
        elapsed = max(0, now_ns - self._at_ns)
        self._at_ns = max(self._at_ns, now_ns)
        self._tokens = min(self.burst_bits, self._tokens + self.rate_bps * elapsed / 1e9)
        if bits > self._tokens:
            return False
        self._tokens -= bits
        return True

    def give_back(self, bits: int) -> None:
        """Undo a `take` whose request was refused further on."""
        self._tokens = min(self.burst_bits, self._tokens + bits)
