"""Decoy-state BB84 as a device sees it: counts into telemetry, blocks and key lengths."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from operator import add

from quoit.engine.engine import ExactSource
from quoit.engine.links.bb84 import Bb84Sampler, Optics, rates
from quoit.engine.links.sampler import Channel, Counts, Sampler
from quoit.engine.physics.detectors import dark_probability, jitter_window
from quoit.engine.physics.finite_key import Lim2014, OneDecoy, Untagged, lim2014, no_decoys, onedecoy_2024, rusca2018
from quoit.engine.physics.postprocessing import ec_leak_bits
from quoit.fabric.links.profile import BB84Profile
from quoit.fabric.links.receiver import BlockVerdict, RawBlock, Reading

PROOFS: dict[str, Callable[..., Lim2014 | OneDecoy]] = {
    "onedecoy_2024": onedecoy_2024,
    "rusca2018": rusca2018,
    "lim2014": lim2014,
}
NO_DECOYS = "no_decoys"
INTENSITIES_OF = {"onedecoy_2024": 2, "rusca2018": 2, "lim2014": 3, NO_DECOYS: 1}
CHUNKS_PER_BLOCK = 8
"""A block ends with a chunk, so chunks are short enough that a block is overfull by an eighth at most."""


class DecoyBB84:
    """Both halves of decoy BB84 for one profile. See `LinkProtocol`."""

    def __init__(self, profile: BB84Profile) -> None:
        needed = INTENSITIES_OF.get(profile.finite_key_proof)
        if needed is None:
            raise ValueError(
                f"finite_key_proof is one of {', '.join(INTENSITIES_OF)}, found {profile.finite_key_proof!r}"
            )
        if len(profile.mu) != needed:
            raise ValueError(f"{profile.finite_key_proof} takes {needed} intensities, found {len(profile.mu)}")
        self.profile = profile
        self.security_label = f"{profile.security_label}; proof {profile.finite_key_proof}"
        self.watches_current = profile.watch_current
        self.shares = tuple(mu * p for mu, p in zip(profile.mu, profile.p_intensity, strict=True))
        self.post_time_ns = round(profile.post_time_s * 1e9)
        self.optics = self._optics(profile)
        self.expected_qber = rates(self.optics, Channel(0.0)).error[0]
        self._end = 4 * len(profile.mu)
        self._proof = PROOFS.get(profile.finite_key_proof)

    @staticmethod
    def _optics(p: BB84Profile) -> Optics:
        inside = jitter_window(p.jitter_fwhm_s, p.gate_s).capture
        caps = [c for c in (p.sifting_cap_hz, p.ec_cap_bps, p.pa_cap_bps) if c > 0]
        # The slowest stage of post-processing bounds the sifted rate, hence the clicks that are worth taking.
        sifted = p.p_z_sender * p.p_z_receiver + (1 - p.p_z_sender) * (1 - p.p_z_receiver)
        return Optics(
            source_rate_hz=p.source_rate_hz,
            mu=p.mu,
            p_intensity=p.p_intensity,
            p_z_sender=p.p_z_sender,
            p_z_receiver=p.p_z_receiver,
            receiver_eta=p.detector_efficiency * inside * 10 ** (-p.receiver_loss_db / 10),
            p_dark=dark_probability(p.dark_count_hz, p.gate_s),
            misalignment=p.misalignment,
            dead_time_s=p.dead_time_ns * 1e-9,
            afterpulse=p.afterpulse,
            max_click_hz=min(caps) / sifted if caps else 0.0,
            # Steady light comes at any time in the gate: jitter costs it nothing.
            background_s=p.gate_s * p.detector_efficiency * 10 ** (-p.receiver_loss_db / 10),
        )

    def sampler(self) -> Sampler:
        return Bb84Sampler(self.optics)

    def exact_source(self) -> ExactSource:
        """What the engine draws single detections from. Afterpulses are left out there. ValueError without decoys,
        of which distillation message by message has no proof."""
        if self._proof is None:
            raise ValueError(f"finite_key_proof {NO_DECOYS} is for mode counts")
        o = self.optics
        return ExactSource(
            o.source_rate_hz,
            o.p_z_sender,
            o.p_z_receiver,
            o.dead_time_s,
            o.mu,
            o.p_intensity,
            o.receiver_eta,
            o.p_dark,
            o.misalignment,
            o.background_s,
        )

    def chunk_ns(self, loss_db: float, telemetry_ns: int) -> int:
        means = rates(self.optics, Channel(loss_db))
        gain = sum(p * g for p, g in zip(self.optics.p_intensity, means.gain, strict=True))
        key_hz = gain * means.live * self.optics.source_rate_hz * self.optics.p_z_sender * self.optics.p_z_receiver
        parts = 1
        while parts < 16 and key_hz * telemetry_ns / 1e9 / parts > self.profile.block_bits / CHUNKS_PER_BLOCK:
            parts *= 2
        return telemetry_ns // parts

    def reading(self, counts: Counts) -> Reading:
        end = self._end
        z, x = counts[0:end:4], counts[2:end:4]
        n_x = sum(x)
        return Reading(n_x, sum(counts[3:end:4]), n_x + sum(z), counts[end], tuple(map(add, z, x)))

    def full(self, block: RawBlock) -> bool:
        return sum(block.total[0 : self._end : 4]) >= self.profile.block_bits

    def judge(self, block: RawBlock) -> BlockVerdict:
        p = self.profile
        n_z, m_z, n_x, m_x = (block.total[i : self._end : 4] for i in range(4))
        sifted, errors = sum(n_z), sum(m_z)
        if not sifted or not sum(n_x):
            return BlockVerdict(0, 0.5, sifted, 0, "no detections")
        qber = errors / sifted
        test_qber = sum(m_x) / sum(n_x)
        leak = ceil(ec_leak_bits(sifted, min(0.5, qber), p.f_ec))
        if max(qber, test_qber) > p.qber_abort:
            why = f"QBER {max(qber, test_qber):.4f} above {p.qber_abort}"
            return BlockVerdict(0, max(qber, test_qber), sifted, leak, why)
        found: Lim2014 | OneDecoy | Untagged
        if self._proof is None:
            pulses = block.total[self._end + 1]
            z = pulses * p.p_z_sender * p.p_z_receiver
            x = pulses * (1 - p.p_z_sender) * (1 - p.p_z_receiver)
            found = no_decoys(p.mu[0], z, sifted, x, sum(n_x), sum(m_x), p.eps_sec, p.eps_cor, leak)
        else:
            found = self._proof(p.mu, p.p_intensity, n_z, m_z, n_x, m_x, p.eps_sec, p.eps_cor, leak_bits=leak)
        net = (int(found.ell) - p.auth_bits_per_block) // 8 * 8
        if net <= 0:
            return BlockVerdict(0, qber, sifted, leak, "no key left after estimation and authentication")
        return BlockVerdict(net, qber, sifted, leak)
