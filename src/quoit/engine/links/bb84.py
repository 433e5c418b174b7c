"""Decoy-state BB84 with weak coherent pulses: how many clicks of which kind one chunk brings.

Counts are, for each intensity k in order: n_Z, m_Z, n_X, m_X (sifted detections and errors among them),
then the raw detections of the chunk and the pulses sent. Gains and error rates come from the exact
two-threshold-detector model with random bits on double clicks (`physics.bb84.wcp_two_detector`).

Approximations, shown in the profile's label: dead time acts as one non-paralysable factor on all rates
(valid while detectors are balanced); an afterpulse is an extra click with a random bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import expm1

import numpy as np
from numpy.typing import NDArray

from quoit.engine.links.sampler import Channel, Counts
from quoit.engine.physics.attacks import split_clicks
from quoit.engine.physics.bb84 import wcp_two_detector


@dataclass(frozen=True)
class Optics:
    """The physical side of a decoy-BB84 device pair.

    `mu` mean photon numbers, `p_intensity` their probabilities, `p_z_*` probabilities of the key basis,
    `receiver_eta` transmittance of the receiver's optics times detector efficiency, `p_dark` dark-count
    probability per gate and detector, `afterpulse` probability per click, `max_click_hz` the rate at which the
    electronics takes clicks (0: no limit).
    """

    source_rate_hz: float
    mu: tuple[float, ...]
    p_intensity: tuple[float, ...]
    p_z_sender: float
    p_z_receiver: float
    receiver_eta: float
    p_dark: float
    misalignment: float
    dead_time_s: float = 0.0
    afterpulse: float = 0.0
    max_click_hz: float = 0.0
    background_s: float = 0.0
    """Clicks per gate, both detectors together, of one photon per second of steady light at the receiver's input."""

    def p_background(self, noise_hz: float) -> float:
        """Dark counts a gate and detector, together with those of steady light in the receiver's filter."""
        return with_background(self.p_dark, noise_hz * self.background_s)


def with_background(p_dark: float, clicks_per_gate: float) -> float:
    """Click probability of each of two detectors that share so many background clicks a gate on average."""
    return p_dark - (1 - p_dark) * expm1(-clicks_per_gate / 2) if clicks_per_gate else p_dark


def intercepted_error(error: float, fraction: float) -> float:
    """Error rate when a fraction of the pulses is measured and resent in a random one of two bases."""
    return error + fraction / 4 * (1 - 2 * error)


@dataclass(frozen=True, slots=True)
class LinkClick:
    """Gain and error rate of one intensity over a channel, and the share of its sifted bits that an eavesdropper knows
    once bases are told."""

    gain: float
    error: float
    known: float = 0.0


def link_clicks(mu: Sequence[float], eta: float, p_d: float, e_d: float, channel: Channel) -> list[LinkClick]:
    """What two detectors make of each intensity, with everything that eavesdroppers do but the error of resending.

    Eavesdroppers who blind detectors match the honest rate and show no dark counts (Lydersen et al., Nat. Photon. 4,
    686 (2010)). Of a pulse resent after a measurement in one of two bases half of the bits are known.
    """
    if channel.split and eta > 0:
        rows = [LinkClick(c.gain, c.error, c.known) for c in split_clicks(mu, eta, p_d, e_d, channel.split)]
    else:
        rows = [LinkClick(c.gain, c.error) for c in (wcp_two_detector(k, eta, p_d, e_d) for k in mu)]
    if not channel.attacked or eta <= 0:
        return rows
    if channel.blinded:
        return [LinkClick(row.gain, min(row.error, e_d), 1.0) for row in rows]
    seen = [-expm1(-k * channel.tapped) for k in mu]
    resent = channel.intercepted / 2
    return [
        LinkClick(row.gain, row.error, 1 - (1 - row.known) * (1 - share) * (1 - resent))
        for row, share in zip(rows, seen, strict=True)
    ]


@dataclass(frozen=True)
class Rates:
    """Per-pulse gain and error rate of each intensity, the live fraction that dead time leaves, and the share of each
    intensity's sifted bits that an eavesdropper knows."""

    gain: tuple[float, ...]
    error: tuple[float, ...]
    live: float
    known: tuple[float, ...] = ()


def rates(optics: Optics, channel: Channel) -> Rates:
    """What the detectors do on average over this channel."""
    eta = 0.0 if channel.loss_db is None else optics.receiver_eta * 10 ** (-channel.loss_db / 10)
    gains, errors = [], []
    p_dark, misalignment = optics.p_background(channel.noise_hz), channel.drifted(optics.misalignment)
    every = link_clicks(optics.mu, eta, p_dark, misalignment, channel)
    for clicks in every:
        error = intercepted_error(clicks.error, channel.intercepted) if eta > 0 else clicks.error
        gain = clicks.gain * (1 + optics.afterpulse)
        gains.append(min(1.0, gain))
        errors.append((error + optics.afterpulse / 2) / (1 + optics.afterpulse))
    mean = sum(p * gain for p, gain in zip(optics.p_intensity, gains, strict=True))
    click_hz = mean * optics.source_rate_hz
    live = 1 / (1 + click_hz / 2 * optics.dead_time_s)  # two detectors share the clicks
    if optics.max_click_hz and click_hz * live > optics.max_click_hz:
        live = optics.max_click_hz / click_hz
    return Rates(tuple(gains), tuple(errors), live, tuple(clicks.known for clicks in every))


@dataclass(frozen=True)
class Bb84Sampler:
    """The engine's half of decoy BB84. See `Sampler.draw`."""

    optics: Optics

    def draw(self, channel: Channel, duration_s: float, chunks: int, rng: np.random.Generator) -> NDArray[np.int64]:
        optics = self.optics
        pulses = round(optics.source_rate_hz * duration_s)
        means = rates(optics, channel)
        both_z = optics.p_z_sender * optics.p_z_receiver
        both_x = (1 - optics.p_z_sender) * (1 - optics.p_z_receiver)
        columns = []
        sifted_total = np.zeros(chunks, dtype=np.int64)
        per_pulse = 0.0
        for p, gain, error in zip(optics.p_intensity, means.gain, means.error, strict=True):
            for basis in (both_z, both_x):
                n = rng.binomial(pulses, p * gain * means.live * basis, size=chunks)
                columns += [n, rng.binomial(n, error)]
                sifted_total += n
            per_pulse += p * gain * means.live * (1 - both_z - both_x)
        discarded = rng.binomial(pulses, per_pulse, size=chunks)
        columns += [sifted_total + discarded, np.full(chunks, pulses, dtype=np.int64)]
        return np.stack(columns, axis=1)

    def known(self, channel: Channel, counts: Counts, rng: np.random.Generator) -> int:
        """See `Overheard.known`."""
        shares = rates(self.optics, channel).known
        return sum(int(rng.binomial(counts[4 * k], share)) for k, share in enumerate(shares))
