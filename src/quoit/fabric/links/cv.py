"""GG02 as a device sees it: estimates of transmittance and noise into blocks and key lengths.

The channel's estimates of a block are the means over its chunks. Telemetry shows the excess noise against
its abort value on the scale of an error rate (estimate / abort value / 20), so that one trend detector
serves all protocols; that scale is ours, no device prints it.
"""

from __future__ import annotations

from quoit.engine.links.others import MICRO, CvSampler, GaussianOptics
from quoit.engine.links.sampler import Counts, Sampler
from quoit.engine.physics.cv import finite
from quoit.fabric.links.profile import CVProfile
from quoit.fabric.links.receiver import BlockVerdict, RawBlock, Reading

SCALE = 20
TESTED = 2_000
"""Small enough that the binomial scatter it implies covers that of the estimate."""


class GG02:
    """Both halves of GG02 for one profile."""

    def __init__(self, profile: CVProfile) -> None:
        self.profile = profile
        self.security_label = profile.security_label
        self.watches_current = False
        self.shares: tuple[float, ...] = ()
        self.post_time_ns = round(profile.post_time_s * 1e9)
        self.expected_qber = profile.excess_noise / profile.excess_noise_abort / SCALE

    def sampler(self) -> Sampler:
        p = self.profile
        return CvSampler(
            GaussianOptics(
                p.symbol_rate_hz, p.modulation, p.excess_noise, p.detector_eta, p.electronic_noise, p.disclosed
            )
        )

    def chunk_ns(self, loss_db: float, telemetry_ns: int) -> int:
        return telemetry_ns

    def _channel(self, slope: float, variance: float) -> tuple[float, float]:
        p = self.profile
        if slope <= 0:
            return 0.0, float("inf")
        transmittance = min(1.0, slope**2 / p.detector_eta)
        return transmittance, (variance - 1 - p.electronic_noise) / slope**2

    def reading(self, counts: Counts) -> Reading:
        symbols, _, slope, variance = counts
        _, noise = self._channel(slope / MICRO, variance / MICRO)
        share = min(1.0, max(0.0, noise / self.profile.excess_noise_abort / SCALE))
        return Reading(TESTED, round(TESTED * share), symbols, symbols)

    def full(self, block: RawBlock) -> bool:
        return block.total[0] >= self.profile.block_symbols

    def judge(self, block: RawBlock) -> BlockVerdict:
        p = self.profile
        symbols, disclosed, slopes, variances = block.total
        per = block.chunks * MICRO
        transmittance, noise = self._channel(slopes / per, variances / per)
        seen = min(1.0, max(0.0, noise / p.excess_noise_abort / SCALE))
        if transmittance <= 0:
            return BlockVerdict(0, 0.5, symbols, 0, "no correlation with what was sent")
        if noise > p.excess_noise_abort:
            return BlockVerdict(0, seen, symbols, 0, f"excess noise {noise:.4f} above {p.excess_noise_abort}")
        found = finite(
            p.modulation,
            transmittance,
            max(0.0, noise),
            p.detector_eta,
            p.electronic_noise,
            p.beta,
            symbols,
            symbols - disclosed,
        )
        net = (int(found.key * symbols) - p.auth_bits_per_block) // 8 * 8
        if net <= 0:
            return BlockVerdict(0, seen, symbols, 0, "no key left after estimation and authentication")
        return BlockVerdict(net, seen, symbols, 0)
