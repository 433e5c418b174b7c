"""BBM92 with a continuous-wave pair source: counts into telemetry, blocks and key lengths."""

from __future__ import annotations

from quoit.engine.links.others import Bbm92Sampler, PairSource
from quoit.engine.links.sampler import Counts, Sampler
from quoit.engine.physics.entangled_key import bbm92_length
from quoit.fabric.links.profile import BBM92Profile, PairsProfile
from quoit.fabric.links.receiver import BlockVerdict, RawBlock, Reading


class BBM92:
    """Both halves of BBM92 for one profile. Key from the Z basis, phase error sampled in X."""

    def __init__(self, profile: BBM92Profile) -> None:
        self.profile = profile
        self.security_label = profile.security_label
        self.watches_current = False
        self.shares: tuple[float, ...] = ()
        self.post_time_ns = round(profile.post_time_s * 1e9)
        self.expected_qber = profile.polarisation_error

    def sampler(self) -> Sampler:
        p = self.profile
        return Bbm92Sampler(
            PairSource(
                p.brightness_hz,
                p.eta_sender,
                p.eta_receiver,
                p.dark_sender_hz,
                p.dark_receiver_hz,
                p.coincidence_s,
                p.peak_fwhm_s,
                p.polarisation_error,
            )
        )

    def chunk_ns(self, loss_db: float, telemetry_ns: int) -> int:
        return telemetry_ns

    def reading(self, counts: Counts) -> Reading:
        n_z, _, n_x, m_x = counts
        return Reading(n_x, m_x, n_z + n_x, 2 * (n_z + n_x))

    def full(self, block: RawBlock) -> bool:
        return block.total[0] >= self.profile.block_bits

    def judge(self, block: RawBlock) -> BlockVerdict:
        n_z, m_z, n_x, m_x = block.total
        if not n_z or not n_x:
            return BlockVerdict(0, 0.5, n_z, 0, "no coincidences")
        return sampled_verdict(n_z, m_z, n_x, m_x, self.profile)


def sampled_verdict(n_z: int, m_z: int, n_x: int, m_x: int, p: BBM92Profile | PairsProfile) -> BlockVerdict:
    """Of a block with key from `n_z` results and phase errors sampled in `n_x` of the other basis; m: errors."""
    qber, test = m_z / n_z, m_x / n_x
    found = bbm92_length(n_z, m_z, n_x, m_x, p.f_ec, p.eps_sec, p.eps_cor)
    if max(qber, test) > p.qber_abort:
        why = f"QBER {max(qber, test):.4f} above {p.qber_abort}"
        return BlockVerdict(0, max(qber, test), n_z, found.leak_bits, why)
    net = (int(found.bits) - p.auth_bits_per_block) // 8 * 8
    if net <= 0:
        return BlockVerdict(0, qber, n_z, found.leak_bits, "no key left after estimation and authentication")
    return BlockVerdict(net, qber, n_z, found.leak_bits)
