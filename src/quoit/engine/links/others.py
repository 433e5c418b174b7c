"""Samplers of the other link protocols: entangled pairs, continuous variables, given rates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quoit.engine.links.bb84 import intercepted_error
from quoit.engine.links.sampler import Channel, Counts
from quoit.engine.physics.entangled import bbm92_cw

MICRO = 1_000_000
"""Real-valued estimates travel as integers in millionths."""


@dataclass(frozen=True)
class PairSource:
    """A continuous-wave source of entangled pairs at the sender's end; `eta_*` include the detectors."""

    brightness_hz: float
    eta_sender: float
    eta_receiver: float
    dark_sender_hz: float
    dark_receiver_hz: float
    coincidence_s: float
    peak_fwhm_s: float
    polarisation_error: float


@dataclass(frozen=True)
class Bbm92Sampler:
    """Counts: n_Z, m_Z, n_X, m_X (sifted coincidences and errors, half in each basis)."""

    source: PairSource

    def draw(self, channel: Channel, duration_s: float, chunks: int, rng: np.random.Generator) -> NDArray[np.int64]:
        source = self.source
        eta = 0.0 if channel.loss_db is None else source.eta_receiver * 10 ** (-channel.loss_db / 10)
        clicks = bbm92_cw(
            source.brightness_hz,
            source.eta_sender,
            eta,
            source.dark_sender_hz,
            source.dark_receiver_hz + channel.noise_hz * source.eta_receiver,
            source.coincidence_s,
            source.peak_fwhm_s,
            channel.drifted(source.polarisation_error),
        )
        error = intercepted_error(clicks.qber, channel.intercepted)
        columns = []
        for _ in range(2):
            n = rng.poisson(clicks.cc_measured_hz * duration_s / 4, size=chunks)
            columns += [n, rng.binomial(n, error)]
        return np.stack(columns, axis=1)

    def known(self, channel: Channel, counts: Counts, rng: np.random.Generator) -> int:
        """See `Overheard.known`. Of single pairs a tap or a splitter learns nothing; double pairs are left out."""
        return int(rng.binomial(counts[0], channel.intercepted / 2))


@dataclass(frozen=True)
class GaussianOptics:
    """Coherent states with Gaussian modulation; variances in shot-noise units, excess noise at the input."""

    symbol_rate_hz: float
    modulation: float
    excess_noise: float
    detector_eta: float
    electronic_noise: float
    disclosed: float


@dataclass(frozen=True)
class CvSampler:
    """Counts: symbols, disclosed symbols, estimated sqrt(eta T) and conditional variance, in millionths.

    The estimates scatter as the maximum-likelihood estimators of `disclosed` symbols do (Leverrier 2010).
    An eavesdropper who measures and resends a fraction f in heterodyne adds 2 f units of noise at the input. Light of n
    photons per mode at the detector adds 2 n units there; a phase error of mean square e adds V_A e at the input.
    """

    optics: GaussianOptics

    def draw(self, channel: Channel, duration_s: float, chunks: int, rng: np.random.Generator) -> NDArray[np.int64]:
        optics = self.optics
        symbols = round(optics.symbol_rate_hz * duration_s)
        disclosed = max(2, round(symbols * optics.disclosed))
        transmittance = 0.0 if channel.loss_db is None else 10 ** (-channel.loss_db / 10)
        noise = optics.excess_noise + 2 * channel.intercepted + optics.modulation * max(0.0, channel.drift)
        slope = (optics.detector_eta * transmittance) ** 0.5
        variance = 1 + optics.electronic_noise + optics.detector_eta * transmittance * noise
        variance += 2 * optics.detector_eta * channel.noise_per_mode
        slopes = rng.normal(slope, (variance / (disclosed * optics.modulation)) ** 0.5, size=chunks)
        variances = rng.normal(variance, variance * (2 / disclosed) ** 0.5, size=chunks)
        columns = [
            np.full(chunks, symbols),
            np.full(chunks, disclosed),
            np.rint(slopes * MICRO),
            np.rint(variances * MICRO),
        ]
        return np.stack(columns, axis=1).astype(np.int64)


@dataclass(frozen=True)
class RatedSampler:
    """A link whose key rate and error rate are given. Counts: secret bits, sifted bits, errors among them.

    Of such a system nothing is known that noise light could act on: `Channel.noise_hz` changes nothing here.
    """

    rate_bps: float
    qber: float
    sifted_per_secret: float = 4.0

    def draw(self, channel: Channel, duration_s: float, chunks: int, rng: np.random.Generator) -> NDArray[np.int64]:
        rate = self.rate_bps if channel.rate_bps is None else channel.rate_bps
        secret = 0 if channel.loss_db is None else round(rate * duration_s)
        sifted = np.full(chunks, round(secret * self.sifted_per_secret), dtype=np.int64)
        errors = rng.binomial(sifted, intercepted_error(channel.drifted(self.qber), channel.intercepted))
        return np.stack([np.full(chunks, secret, dtype=np.int64), sifted, errors], axis=1)

    def known(self, channel: Channel, counts: Counts, rng: np.random.Generator) -> int:
        """See `Overheard.known`. How such a system prepares light is not known: only resent pulses count."""
        return int(rng.binomial(counts[1], channel.intercepted / 2))
