"""Exact mode of a decoy-state BB84 link: detections drawn one by one, for post-processing with real bits.

Only pulses that click exist here. Clicks of a memoryless source and channel are a Bernoulli process, so
the gaps between them are geometric; drawing gaps gives positions and a binomial count at once and needs
memory for the clicks alone, never for the pulses. What a pulse was is then drawn given that it clicked,
from the same two-detector model that the `counts` mode sums up, so that both modes agree in distribution.

Named approximations:

- *Virtual choices*: the sender's basis, intensity and bit exist only for pulses that clicked. Without
  statistical effect: choices for pulses that nobody detects enter no later step.
- *Fresh chunk*: detectors are ready when a chunk begins, so hold-off does not reach across the border of two
  chunks; at most one click a chunk too many.
- *Common hold-off*: a click blinds all detectors of the receiver for the dead time, as in receivers that gate
  them together against the dead-time loophole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from quoit.engine.physics.bb84 import wcp_two_detector

Bits = NDArray[np.uint8]
Index = NDArray[np.int64]
Entropy = Callable[[int], bytes]
"""Gives so many bytes of key material, apart from the physics' generator: errors never depend on the key."""

INTERCEPT_ERROR = 0.25
"""Error that intercept-resend in a random basis puts on the pulses it touches (BB84)."""


@dataclass(frozen=True, slots=True)
class ClickModel:
    """What the sampler needs to know of a link; sequences have one entry an intensity.

    `p_intensity`: probability that the sender chooses it, summing to 1. `gain`: click probability of such a
    pulse. `error`: probability that a click in equal bases shows the wrong bit, before an eavesdropper.
    """

    p_intensity: tuple[float, ...]
    gain: tuple[float, ...]
    error: tuple[float, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.p_intensity) == len(self.gain) == len(self.error) <= 256:
            raise ValueError(
                f"one probability, gain and error an intensity, please: found {len(self.p_intensity)}, "
                f"{len(self.gain)} and {len(self.error)}"
            )
        if abs(sum(self.p_intensity) - 1.0) > 1e-9:
            raise ValueError(f"p_intensity must sum to 1, found {sum(self.p_intensity)}")
        for name, values in (("p_intensity", self.p_intensity), ("gain", self.gain), ("error", self.error)):
            if not all(0.0 <= value <= 1.0 for value in values):
                raise ValueError(f"{name}: expected probabilities, found {values}")

    @classmethod
    def two_detectors(
        cls, mu: Sequence[float], p_intensity: Sequence[float], *, eta: float, p_d: float, e_d: float
    ) -> Self:
        """Weak coherent pulses of `mu` photons on average into two threshold detectors.

        `eta`: end-to-end click probability of a photon; `p_d`: dark counts a gate and detector; `e_d`:
        misalignment. A double click gives a random bit.
        """
        rows = [_gain_and_error(one, eta, p_d, e_d) for one in mu]
        return cls(tuple(p_intensity), tuple(row[0] for row in rows), tuple(row[1] for row in rows))

    @property
    def mean_gain(self) -> float:
        """Click probability of a pulse, averaged over the sender's intensities."""
        return sum(p * q for p, q in zip(self.p_intensity, self.gain, strict=True))


def _gain_and_error(mu: float, eta: float, p_d: float, e_d: float) -> tuple[float, float]:
    if p_d == 0.0 and mu * eta == 0.0:
        return 0.0, 0.5  # nothing ever clicks: the model's error is 0/0
    row = wcp_two_detector(mu, eta, p_d, e_d)
    return row.gain, row.error


@dataclass(frozen=True, slots=True, eq=False)
class SentRecord:
    """The sender's view of the pulses that clicked; arrays of one length, ascending by pulse number.

    `indices` (int64) count pulses from the link's start; `bases` 0 (Z) or 1 (X), `intensities` index the
    source's list, `bits` are secret (all uint8).
    """

    indices: Index
    bases: Bits
    intensities: Bits
    bits: Bits

    def __repr__(self) -> str:
        return f"SentRecord({len(self.indices)} pulses)"


@dataclass(frozen=True, slots=True, eq=False)
class DetectedRecord:
    """The receiver's view: pulse numbers (int64), own bases and the bits found (uint8), ascending."""

    indices: Index
    bases: Bits
    bits: Bits

    def __repr__(self) -> str:
        return f"DetectedRecord({len(self.indices)} detections)"


def draw_detections(
    n_pulses: int,
    model: ClickModel,
    *,
    p_z_sender: float,
    p_z_receiver: float,
    entropy: Entropy,
    rng: np.random.Generator,
    first_pulse: int = 0,
    intercept_fraction: float = 0.0,
    dead_time_pulses: int = 0,
) -> tuple[SentRecord, DetectedRecord]:
    """Send `n_pulses` numbered from `first_pulse`, and return what both ends know of the clicks.

    `entropy` is asked once for the sender's raw bits (one byte for eight clicks); everything else, errors
    included, comes from `rng`. `intercept_fraction` f of the pulses is intercepted and resent: the error e
    of equal bases becomes e + f/4 (1 - 2e), in Z and X alike. In unequal bases bits are unrelated.
    `dead_time_pulses` follow each click without another.

    Time and memory grow with the number of clicks. ValueError for probabilities outside 0..1.
    """
    for name, value in (
        ("p_z_sender", p_z_sender),
        ("p_z_receiver", p_z_receiver),
        ("intercept_fraction", intercept_fraction),
    ):
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"{name}: expected a probability, found {value}")
    if n_pulses < 0 or dead_time_pulses < 0:
        raise ValueError(f"pulses are counted from 0 up, found {n_pulses} and dead time {dead_time_pulses}")
    indices = first_pulse + _click_positions(n_pulses, model.mean_gain, dead_time_pulses, rng)
    clicks = len(indices)
    intensities = _intensities_given_click(clicks, model, rng)
    sender_bases = (rng.random(clicks) >= p_z_sender).astype(np.uint8)
    receiver_bases = (rng.random(clicks) >= p_z_receiver).astype(np.uint8)
    flip_probability = np.where(
        sender_bases == receiver_bases, _disturbed(model.error, intercept_fraction)[intensities], 0.5
    )
    flips = (rng.random(clicks) < flip_probability).astype(np.uint8)
    bits = _raw_bits(clicks, entropy)
    return (
        SentRecord(indices, sender_bases, intensities, bits),
        DetectedRecord(indices.copy(), receiver_bases, bits ^ flips),
    )


def _click_positions(n_pulses: int, gain: float, dead_time_pulses: int, rng: np.random.Generator) -> Index:
    """Pulse numbers of the clicks, ascending from 0 to n_pulses - 1."""
    found: list[Index] = []
    last = -1 - dead_time_pulses  # a virtual click whose hold-off has just ended
    while gain > 0.0 and last < n_pulses:
        spacing = dead_time_pulses + 1.0 / gain
        expected = max(0.0, n_pulses - last) / spacing
        batch = int(expected + 6.0 * expected**0.5) + 16
        # A gap longer than the chunk ends it however long it is; the cap keeps the sum within 64 bits.
        gaps = np.minimum(rng.geometric(gain, batch), n_pulses + 1) + dead_time_pulses
        positions = last + np.cumsum(gaps)
        found.append(positions)
        last = int(positions[-1])
    if not found:
        return np.zeros(0, dtype=np.int64)
    positions = np.concatenate(found)
    return positions[: int(np.searchsorted(positions, n_pulses))]


def _intensities_given_click(clicks: int, model: ClickModel, rng: np.random.Generator) -> Bits:
    weights = np.array(model.p_intensity) * np.array(model.gain)
    if clicks == 0:
        return np.zeros(0, dtype=np.uint8)
    cumulative = np.cumsum(weights / weights.sum())
    # The sum's last entry may round below 1; only the inner edges decide, so no draw falls beyond it.
    return np.searchsorted(cumulative[:-1], rng.random(clicks), side="right").astype(np.uint8)


def _raw_bits(count: int, entropy: Entropy) -> Bits:
    needed = (count + 7) // 8
    raw = entropy(needed)
    if len(raw) != needed:  # unpackbits would fill up with zeros: a key with known bits
        raise ValueError(f"asked {needed} bytes of entropy, got {len(raw)}")
    return np.unpackbits(np.frombuffer(raw, dtype=np.uint8), count=count)


def _disturbed(error: Sequence[float], fraction: float) -> NDArray[np.float64]:
    before = np.array(error, dtype=np.float64)
    return before + fraction * INTERCEPT_ERROR * (1.0 - 2.0 * before)
