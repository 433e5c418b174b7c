"""Spectrum of spans: slots that are taken, noise that is planned, lines that are seen."""

from __future__ import annotations

from quoit.connectivity.messages.channels import ChannelReading
from quoit.runtime.wire import Message, message

SPECTRUM_NEWS = "connectivity.spectrum"
"""Subjects are `connectivity.spectrum.<span>`."""


@message("connectivity.GetSpectrum")
class GetSpectrum(Message):
    """What of the C band is free on all of these spans, with a guard kept to what is taken?"""

    spans: tuple[str, ...]
    guard_mhz: int = 0


class TakenSlot(Message):
    span: str
    channel: str
    kind: str
    lower_mhz: int
    upper_mhz: int


@message("connectivity.Spectrum")
class Spectrum(Message):
    """Slots in use on the spans, and what is free on all of them: (lower, upper) edges in MHz."""

    taken: tuple[TakenSlot, ...]
    free: tuple[tuple[int, int], ...]


@message("connectivity.GetNoise")
class GetNoise(Message):
    """What noise would a quantum channel have along these spans from node `source`, in this slot, beside all classical
    channels as they are planned? `besides`: a channel to leave out. `seen`: light of monitors to count as well, each
    taken to be of the span's power at its end `node` and 50 GHz wide. Answered with `PlannedNoise`."""

    source: str
    spans: tuple[str, ...]
    centre_mhz: int
    width_mhz: int
    isolation_db: float = 100.0
    besides: str = ""
    seen: tuple[ChannelReading, ...] = ()


@message("connectivity.PlannedNoise")
class PlannedNoise(Message):
    """Photons per second in the filter at the receiver's input, and the path's loss with switches. An estimate from
    launch powers and losses of commissioning; fibre only, so the sky behind a telescope is not in it."""

    raman_hz: float
    leaked_hz: float
    mixed_hz: float
    loss_db: float


class SpectralLine(Message):
    """A channel as the monitor at a span's end `node` sees it. OSNR in 0.1 nm, at most what the monitor resolves."""

    node: str
    centre_mhz: int
    width_mhz: int
    dbm: float
    osnr_db: float


@message("connectivity.SpanSpectrum")
class SpanSpectrum(Message):
    """News: what the channel monitors of a span see."""

    span: str
    lines: tuple[SpectralLine, ...]
    at_ns: int
