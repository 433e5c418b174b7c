"""Keys of measured pairs that circuits deliver: BBM92 and E91. Counts into telemetry, blocks and key lengths.

The source is in nobody's hands: what the ends share is judged by their own counts alone, so nodes that swap need not
be trusted. The measuring devices are, and none of these keys is device-independent.
"""

from __future__ import annotations

from math import pi

from quoit.engine.links.pairs import Setting, Settings
from quoit.engine.links.sampler import Counts
from quoit.engine.physics.entangled_key import chsh_of_counts, e91_length, least_key_fidelity
from quoit.fabric.links.bbm92 import sampled_verdict
from quoit.fabric.links.profile import E91Profile, PairsProfile
from quoit.fabric.links.receiver import BlockVerdict, RawBlock, Reading


def _cell(counts: Counts, columns: int, left: int, right: int) -> tuple[int, int]:
    """Results in these settings of both ends, and those that differ."""
    place = 2 * (columns * left + right)
    return counts[place], counts[place + 1]


def _check_numbers(p: PairsProfile | E91Profile) -> None:
    """ValueError for numbers that no key could be made with."""
    for name in ("eps_sec", "eps_cor"):
        if not 0 < getattr(p, name) < 1:
            raise ValueError(f"expected {name} within (0, 1), found {getattr(p, name)}")
    if p.f_ec < 1:
        raise ValueError(f"expected f_ec of 1 (Shannon's limit) or more, found {p.f_ec}")
    if p.block_bits < 1 or p.post_time_s < 0 or p.auth_bits_per_block < 0:
        raise ValueError("expected block_bits of 1 or more, post_time_s and auth_bits_per_block of 0 or more")
    if not 0 < p.qber_abort < 0.5:
        raise ValueError(f"expected qber_abort within (0, 0.5), found {p.qber_abort}")


class BBM92Pairs:
    """Both halves of BBM92 over a circuit. Settings Z and X; key of Z, phase errors sampled in X."""

    def __init__(self, profile: PairsProfile) -> None:
        _check_numbers(profile)
        if not 0 < profile.p_z < 1:
            raise ValueError(f"expected p_z within (0, 1), found {profile.p_z}")
        self.profile = profile
        self.security_label = profile.security_label
        self.watches_current = False
        self.shares: tuple[float, ...] = ()
        self.post_time_ns = round(profile.post_time_s * 1e9)
        self.expected_qber = 0.0
        self.least_fidelity = least_key_fidelity(profile.f_ec)

    def settings(self) -> Settings:
        end = (Setting(0.0, self.profile.p_z), Setting(pi / 2, 1 - self.profile.p_z))
        return Settings(end, end)

    def reading(self, counts: Counts) -> Reading:
        (n_z, _), (n_x, m_x) = _cell(counts, 2, 0, 0), _cell(counts, 2, 1, 1)
        return Reading(n_x, m_x, n_z + n_x, sum(counts[::2]))

    def full(self, block: RawBlock) -> bool:
        return block.total[0] >= self.profile.block_bits

    def judge(self, block: RawBlock) -> BlockVerdict:
        (n_z, m_z), (n_x, m_x) = _cell(block.total, 2, 0, 0), _cell(block.total, 2, 1, 1)
        if not n_z or not n_x:
            return BlockVerdict(0, 0.5, n_z, 0, "no pairs read in equal bases")
        return sampled_verdict(n_z, m_z, n_x, m_x, self.profile)


Z, D, X = 0, 1, 2
A = 2
BELL_TEST = ((Z, D), (Z, A), (X, D), (X, A))
"""Settings of both ends whose correlations sum up to S, the last one with a minus. A round in them is won if results
are alike, or in the last one if they differ: of S, (1 + S/4)/2 of all rounds."""


class E91:
    """Both halves of Ekert's protocol over a circuit.

    The sender reads Z, D or X, the receiver Z, D or A. Key: both Z. Error rate for telemetry: both D, disclosed.
    Entanglement: S of sender's Z and X against receiver's D and A. Phase errors: sender's X against D and A.
    """

    def __init__(self, profile: E91Profile) -> None:
        _check_numbers(profile)
        for name in ("p_sender", "p_receiver"):
            chosen = getattr(profile, name)
            if len(chosen) != 3 or min(chosen) <= 0 or abs(sum(chosen) - 1) > 1e-9:
                raise ValueError(f"expected {name} of three probabilities above 0 that sum to 1, found {list(chosen)}")
        if profile.p_receiver[D] != profile.p_receiver[A]:
            raise ValueError(
                f"expected the last two of p_receiver alike, as the proof needs it, found {list(profile.p_receiver)}"
            )
        if profile.chsh_above < 2:
            raise ValueError(f"expected chsh_above of 2 or more, the classical bound, found {profile.chsh_above}")
        self.profile = profile
        self.security_label = profile.security_label
        self.watches_current = False
        self.shares: tuple[float, ...] = ()
        self.post_time_ns = round(profile.post_time_s * 1e9)
        self.expected_qber = 0.0
        self.least_fidelity = least_key_fidelity(profile.f_ec)

    def settings(self) -> Settings:
        sender = zip((0.0, pi / 4, pi / 2), self.profile.p_sender, strict=True)
        receiver = zip((0.0, pi / 4, -pi / 4), self.profile.p_receiver, strict=True)
        return Settings(tuple(Setting(*one) for one in sender), tuple(Setting(*one) for one in receiver))

    def reading(self, counts: Counts) -> Reading:
        (n_z, _), (n_d, m_d) = _cell(counts, 3, Z, Z), _cell(counts, 3, D, D)
        played, won = 0, 0
        for left, right in BELL_TEST:
            n, differ = _cell(counts, 3, left, right)
            played += n
            won += differ if (left, right) == BELL_TEST[-1] else n - differ
        return Reading(n_d, m_d, n_z + n_d, sum(counts[::2]), (), (played, won))

    def full(self, block: RawBlock) -> bool:
        return block.total[0] >= self.profile.block_bits

    def judge(self, block: RawBlock) -> BlockVerdict:
        p, total = self.profile, block.total
        (n_z, m_z), (n_d, m_d) = _cell(total, 3, Z, Z), _cell(total, 3, D, D)
        tests = [_cell(total, 3, *place) for place in BELL_TEST]
        if not all(n for n, _ in (*tests, (n_z, m_z), (n_d, m_d))):
            return BlockVerdict(0, 0.5, n_z, 0, "a setting without results")
        s = chsh_of_counts(tests, p.eps_sec)
        (n_xd, m_xd), (n_xa, m_xa) = tests[2:]
        found = e91_length(n_z, m_z, n_xd + n_xa, m_xd + n_xa - m_xa, p.f_ec, p.eps_sec, p.eps_cor)
        qber = m_z / n_z
        worst = max(qber, m_d / n_d)
        if s.least <= p.chsh_above:
            why = f"S {s.estimate:.3f} may be {s.least:.3f} by chance {p.eps_sec:g}: not above {p.chsh_above:g}"
            return BlockVerdict(0, worst, n_z, found.leak_bits, why, s.estimate)
        if worst > p.qber_abort:
            why = f"QBER {worst:.4f} above {p.qber_abort}"
            return BlockVerdict(0, worst, n_z, found.leak_bits, why, s.estimate)
        net = (int(found.bits) - p.auth_bits_per_block) // 8 * 8
        if net <= 0:
            why = "no key left after estimation and authentication"
            return BlockVerdict(0, qber, n_z, found.leak_bits, why, s.estimate)
        return BlockVerdict(net, qber, n_z, found.leak_bits, None, s.estimate)
