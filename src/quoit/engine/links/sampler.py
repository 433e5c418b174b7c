"""The engine's half of a link protocol: counts of one chunk, drawn from their distributions.

Draws are made for many chunks at once and used one by one: the numbers are the same whether a run is
watched or not, and a chunk costs a microsecond. A change of the channel throws the rest away and goes
on with a fresh stream, so that what is drawn depends on the channel's history alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Counts = tuple[int, ...]
AHEAD = 64


@dataclass(frozen=True)
class Channel:
    """What the light meets: path loss (None: dark) and the fraction that an eavesdropper intercepts.
    `rate_bps` is only read by protocols whose rate is given.

    `noise_hz`: photons per second of other light at the receiver's input, in its filter; `noise_per_mode`: of those,
    what a homodyne receiver finds in its mode. `drift`: error that slow changes of polarisation or phase add.

    `split`: share of single photons that an eavesdropper blocks who splits photon numbers; `blinded`: the detectors
    show what she wants; `tapped`: share of the sender's light that she leads away.
    """

    loss_db: float | None
    intercepted: float = 0.0
    rate_bps: float | None = None
    noise_hz: float = 0.0
    noise_per_mode: float = 0.0
    drift: float = 0.0
    split: float = 0.0
    blinded: bool = False
    tapped: float = 0.0

    @property
    def attacked(self) -> bool:
        """Whether somebody learns of the key."""
        return bool(self.intercepted or self.split or self.blinded or self.tapped)

    def drifted(self, error: float) -> float:
        """A misalignment error with the drift, within 0 and 1/2."""
        return min(0.5, max(0.0, error + self.drift)) if self.drift else error


class Sampler(Protocol):
    """Draws the counts of `chunks` chunks of `duration_s` each: integers, shape (chunks, n_counts)."""

    def draw(self, channel: Channel, duration_s: float, chunks: int, rng: np.random.Generator) -> NDArray[np.int64]: ...


@runtime_checkable
class Overheard(Protocol):
    """What an eavesdropper learns of a chunk, of samplers that can tell: the truth, which no device is told."""

    def known(self, channel: Channel, counts: Counts, rng: np.random.Generator) -> int:
        """How many of the chunk's sifted bits of the key basis she knows, once bases are told."""
        ...


class ChunkStream:
    """Counts chunk by chunk from a sampler, with draws made ahead.

    `stream(epoch)` gives the generator to use after the `epoch`-th change of the channel.
    """

    def __init__(self, sampler: Sampler, duration_s: float, stream: Callable[[int], np.random.Generator]) -> None:
        self._sampler = sampler
        self._duration_s = duration_s
        self._stream = stream
        self._epoch = -1
        self._channel: Channel | None = None
        self._rng = stream(0)
        self._ready: list[Counts] = []

    def next(self, channel: Channel) -> Counts:
        """Counts of the next chunk over `channel`."""
        if channel is not self._channel and channel != self._channel:
            self._epoch += 1
            self._rng = self._stream(self._epoch)
            self._channel = channel
            self._ready = []
        if not self._ready:
            drawn = self._sampler.draw(channel, self._duration_s, AHEAD, self._rng)
            self._ready = list(map(tuple, drawn[::-1].tolist()))
        return self._ready.pop()
