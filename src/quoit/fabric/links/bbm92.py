"""BBM92 with a continuous-wave pair source: counts into telemetry, blocks and key lengths."""

from __future__ import annotations

from math import ceil, log, log2, sqrt

from quoit.engine.links.others import Bbm92Sampler, PairSource
from quoit.engine.links.sampler import Counts, Sampler
from quoit.engine.physics.bb84 import binary_entropy
from quoit.engine.physics.postprocessing import ec_leak_bits
from quoit.fabric.links.profile import BBM92Profile
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
        p = self.profile
        n_z, m_z, n_x, m_x = block.total
        if not n_z or not n_x:
            return BlockVerdict(0, 0.5, n_z, 0, "no coincidences")
        qber, test = m_z / n_z, m_x / n_x
        leak = ceil(ec_leak_bits(n_z, min(0.5, qber), p.f_ec))
        if max(qber, test) > p.qber_abort:
            return BlockVerdict(0, max(qber, test), n_z, leak, f"QBER {max(qber, test):.4f} above {p.qber_abort}")
        # Serfling's bound for sampling without replacement: phase errors of Z from the test in X
        # (Tomamichel, Lim, Gisin, Renner, Nat. Commun. 3, 634 (2012), doi:10.1038/ncomms1631).
        gap = sqrt((n_z + n_x) * (n_x + 1) / (n_z * n_x**2) * log(2 / p.eps_sec))
        phase = min(0.5, test + gap)
        length = n_z * (1 - binary_entropy(phase)) - leak - log2(2 / (p.eps_sec**2 * p.eps_cor))
        net = (int(length) - p.auth_bits_per_block) // 8 * 8
        if net <= 0:
            return BlockVerdict(0, qber, n_z, leak, "no key left after estimation and authentication")
        return BlockVerdict(net, qber, n_z, leak)
