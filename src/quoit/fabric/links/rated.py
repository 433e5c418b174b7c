"""A link of which only rate and error rate are given: a block of key every `block_s` seconds."""

from __future__ import annotations

from quoit.engine.links.others import RatedSampler
from quoit.engine.links.sampler import Counts, Sampler
from quoit.fabric.links.profile import RatedProfile
from quoit.fabric.links.receiver import BlockVerdict, RawBlock, Reading


class Rated:
    """Both halves of a rated link. Nothing is proved about its key; the label says so."""

    def __init__(self, profile: RatedProfile) -> None:
        self.profile = profile
        self.security_label = profile.security_label
        self.watches_current = False
        self.shares: tuple[float, ...] = ()
        self.post_time_ns = round(profile.post_time_s * 1e9)
        self.expected_qber = profile.qber

    def sampler(self) -> Sampler:
        return RatedSampler(self.profile.rate_bps, self.profile.qber)

    def chunk_ns(self, loss_db: float, telemetry_ns: int) -> int:
        return telemetry_ns

    def reading(self, counts: Counts) -> Reading:
        _, sifted, errors = counts
        return Reading(sifted, errors, sifted, sifted)

    def full(self, block: RawBlock) -> bool:
        return block.total[0] > 0 and block.duration_ns >= self.profile.block_s * 1e9

    def judge(self, block: RawBlock) -> BlockVerdict:
        secret, sifted, errors = block.total
        qber = errors / sifted if sifted else 0.5
        if qber > self.profile.qber_abort:
            return BlockVerdict(0, qber, sifted, 0, f"QBER {qber:.4f} above {self.profile.qber_abort}")
        return BlockVerdict(secret // 8 * 8, qber, sifted, 0)
