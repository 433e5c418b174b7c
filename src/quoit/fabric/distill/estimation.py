"""From the counts of a block to its verdict: how many secret bits it holds, or why none.

Judged after error correction, when the errors of the key basis are exact and the leak is counted instead
of assumed: the finite-key bound is taken without its model of error correction, and the disclosed parities
are subtracted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from quoit.engine.physics.finite_key import lim2014, onedecoy_2024, rusca2018
from quoit.fabric.distill.sifting import Tally
from quoit.fabric.distill.verification import hash_bits

Proof = Literal["onedecoy_2024", "rusca2018", "lim2014"]


@dataclass(frozen=True, slots=True)
class Security:
    """What a device profile promises for each block.

    `eps_sec`, `eps_cor`: failure probabilities of secrecy and of equality. `max_qber`: above it, in either
    basis, the block is aborted. `proof`: the finite-key proof that is believed; `lim2014` takes three
    intensities, the others two. Default after Wiesemann et al., arXiv:2405.16578, which finds gaps in the
    older ones.
    """

    eps_sec: float = 1e-9
    eps_cor: float = 1e-15
    max_qber: float = 0.08
    proof: Proof = "onedecoy_2024"

    @property
    def intensities(self) -> int:
        """Number of intensities that the proof is about."""
        return 3 if self.proof == "lim2014" else 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a block is worth.

    `ell_bits`: length of the key to make by privacy amplification, 0 unless `ok`. `qber`: errors of the key
    basis. `leak_bits`: all disclosed about the key, parities and verification hash. `phase_error`: upper
    bound. `auth_bits`: of the `ell_bits`, those that must go back to the supply of tags. `why`: one sentence
    for people, empty when `ok`.
    """

    ell_bits: int
    qber: float
    leak_bits: int
    phase_error: float
    ok: bool
    why: str
    auth_bits: int = 0

    @property
    def net_bits(self) -> int:
        """Key that is left for users."""
        return self.ell_bits - self.auth_bits if self.ok else 0


def judge_block(
    key: Tally,
    test: Tally,
    *,
    mu: tuple[float, ...],
    p_intensity: tuple[float, ...],
    parity_bits: int,
    auth_bits: int,
    security: Security,
) -> Verdict:
    """Verdict on a block with the key-basis and test-basis tallies of each intensity.

    `mu`: mean photon numbers, highest first, with their probabilities. `parity_bits`: counted by Cascade.
    `auth_bits`: key bits spent on the tags of this block's messages.
    ValueError when the number of intensities is not the proof's.
    """
    numbers = {len(mu), len(p_intensity), len(key.counts), len(test.counts)}
    if numbers != {security.intensities}:
        raise ValueError(
            f"the proof {security.proof} takes {security.intensities} intensities, found {len(mu)} mu, "
            f"{len(p_intensity)} probabilities and tallies of {len(key.counts)} and {len(test.counts)}: "
            "choose the proof that fits the source"
        )
    leak = parity_bits + hash_bits(security.eps_cor, key.total)
    phase_error = 0.5

    def refused(why: str) -> Verdict:
        return Verdict(0, key.error_rate, leak, phase_error, False, why, auth_bits)

    if not key.total or not test.total:
        return refused(f"{key.total} detections in the key basis and {test.total} in the test basis: no estimate")
    for name, tally in (("key", key), ("test", test)):
        if tally.error_rate > security.max_qber:
            return refused(
                f"QBER of the {name} basis is {tally.error_rate:.2%}, above the abort threshold of "
                f"{security.max_qber:.2%}"
            )
    before_correction, phase_error = _BOUNDS[security.proof](key, test, mu, p_intensity, security)
    # The proofs count log2(2/eps_cor) for verification; the hash has whole bits.
    rounding_up = hash_bits(security.eps_cor, key.total) - math.log2(2.0 / security.eps_cor)
    ell = math.floor(before_correction - parity_bits - rounding_up)
    if ell <= 0:
        return refused(
            f"no secret key: {key.total} bits with QBER {key.error_rate:.2%}, phase error up to "
            f"{phase_error:.2%} and {leak} disclosed bits; a larger block or less loss is needed"
        )
    if ell <= auth_bits:
        return refused(f"{ell} secret bits do not repay the {auth_bits} bits spent on authentication")
    return Verdict(min(ell, key.total), key.error_rate, leak, phase_error, True, "", auth_bits)


Bound = Callable[[Tally, Tally, tuple[float, ...], tuple[float, ...], Security], tuple[float, float]]
"""Secret bits before error correction, and the phase error's upper bound."""


def _onedecoy_2024(
    key: Tally, test: Tally, mu: tuple[float, ...], p: tuple[float, ...], security: Security
) -> tuple[float, float]:
    row = onedecoy_2024(
        mu, p, key.counts, key.errors, test.counts, test.errors, security.eps_sec, security.eps_cor, f_ec=0.0
    )
    return row.ell, row.phase_error


def _rusca2018(
    key: Tally, test: Tally, mu: tuple[float, ...], p: tuple[float, ...], security: Security
) -> tuple[float, float]:
    row = rusca2018(
        mu, p, key.counts, key.errors, test.counts, test.errors, security.eps_sec, security.eps_cor, f_ec=0.0
    )
    return row.ell, row.phase_error


def _lim2014(
    key: Tally, test: Tally, mu: tuple[float, ...], p: tuple[float, ...], security: Security
) -> tuple[float, float]:
    row = lim2014(mu, p, key.counts, key.errors, test.counts, test.errors, security.eps_sec, security.eps_cor, f_ec=0.0)
    return row.ell, row.phase_error


_BOUNDS: dict[Proof, Bound] = {
    "onedecoy_2024": _onedecoy_2024,
    "rusca2018": _rusca2018,
    "lim2014": _lim2014,
}
