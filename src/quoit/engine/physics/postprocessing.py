"""What classical post-processing costs and how long it takes.

Sources: Tomamichel, Martinez-Mateo, Pacher, Elkouss, Quantum Inf. Process. 16, 280 (2017) for the least
leakage at finite length; Wegman and Carter (1981) for tags.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, ldexp, log2, sqrt
from statistics import NormalDist

from quoit.engine.physics.bb84 import binary_entropy


def ec_leak_finite_bits(n: float, q: float, eps: float) -> float:
    """Least leakage (bits) of one-way reconciliation of n bits at error rate q, failure probability eps.

    Second-order approximation: a twin that leaks less is wrong.
    """
    v = q * (1 - q) * log2((1 - q) / q) ** 2 if 0 < q < 1 else 0.0
    return n * binary_entropy(q) + sqrt(n * v) * NormalDist().inv_cdf(1 - eps) - log2(n) / 2


def ec_leak_bits(n: float, q: float, f_ec: float, eps: float = 1e-3) -> float:
    """Leakage (bits) to expect of a code of efficiency f_ec: n f h(q), but never below the second-order bound.

    The bound wins for short blocks: at q = 1 % and f = 1.16 below some 25 000 bits.
    """
    return max(n * f_ec * binary_entropy(q), ec_leak_finite_bits(n, q, eps)) if n > 0 else 0.0


@dataclass(frozen=True, slots=True)
class TagCost:
    """Forgery probability per message, key spent per block, least tag length for 1e-12."""

    p_forge: float
    key_bits_per_block: int
    min_tag_bits: int


def wegman_carter(msg_bits: float, tag_bits: int, msgs_per_block: int) -> TagCost:
    """Polynomial-hash tags of `tag_bits` under one-time pads, for messages of at most `msg_bits`."""
    least = 1
    while ldexp(ceil(msg_bits / least), -least) > 1e-12:
        least += 1
    return TagCost(ldexp(ceil(msg_bits / tag_bits), -tag_bits), tag_bits * msgs_per_block, least)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When keys come: block time, first key, net bits a block, mean rate, mean age of a bit (s)."""

    t_block: float
    first_key_at: float
    net_bits_per_block: float
    mean_rate: float
    mean_age_at_delivery: float


def block_schedule(
    n_block: float, sift_rate: float, ell: float, post_s: float = 0.0, auth_bits: float = 0.0
) -> Schedule:
    """Blocks of `n_block` sifted bits at `sift_rate` bit/s give `ell` bits, `post_s` s after the last detection.

    `auth_bits` of them pay for the tags of the block.
    """
    t_block = n_block / sift_rate
    net = ell - auth_bits
    return Schedule(t_block, t_block + post_s, net, net / t_block, t_block / 2 + post_s)
