"""Key relay over trusted nodes: consumption, compromise, stores, token buckets. Bits, seconds, bit/s."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, floor, lgamma, log


@dataclass(frozen=True, slots=True)
class Consumption:
    """Bits spent per link and in the whole network."""

    per_link: int
    network: int


def consumption(key_bits: int, hops: int, tag_bits: int = 0, msgs: int = 1) -> Consumption:
    """Hop-by-hop one-time pad of one key, `msgs` authenticated messages a hop."""
    per_link = key_bits + tag_bits * msgs
    return Consumption(per_link, per_link * hops)


def multipath_compromise(p_node: float, hops_per_path: Sequence[int]) -> float:
    """Probability that each of several node-disjoint paths holds a compromised trusted node.

    `hops_per_path`: number of trusted nodes on each path; `p_node`: probability for one of them.
    """
    product = 1.0
    for nodes in hops_per_path:
        product *= 1 - (1 - p_node) ** nodes
    return product


def eps_compose(eps_list: Sequence[float]) -> float:
    """Security parameter of everything together: failure probabilities add up."""
    return sum(eps_list)


@dataclass(frozen=True, slots=True)
class Burst:
    """Least reserve that bridges two blocks, whether the drain can go on, utilisation."""

    min_reserve: float
    sustainable: bool
    util: float


def store_burst(ell: float, T_block: float, drain_bps: float, reserve: float = 0.0) -> Burst:
    """A store filled with ell bits every T_block s and drained evenly."""
    need = drain_bps * T_block
    return Burst(need, ell / T_block >= drain_bps, need / ell)


@dataclass(frozen=True, slots=True)
class StoreRun:
    """Level after the last block, bits served, lost to overflow, asked for in vain."""

    level: float
    served: float
    lost: float
    unserved: float


def store_recursion(s0: float, cap: float, ell: float, T_block: float, drain_bps: float, n_blocks: int) -> StoreRun:
    """Drain for a block's time (down to 0), then add ell (up to cap), n_blocks times."""
    level, served, lost, unserved = float(s0), 0.0, 0.0, 0.0
    demand = drain_bps * T_block
    for _ in range(n_blocks):
        out = min(level, demand)
        served += out
        unserved += demand - out
        level += ell - out
        lost += max(0.0, level - cap)
        level = min(level, cap)
    return StoreRun(level, served, lost, unserved)


@dataclass(frozen=True, slots=True)
class Stockout:
    """Keys in store, probability that a block's time brings more requests than that."""

    keys: int
    p_stockout: float


def stockout_poisson(blocks_in_store: int, key_bits: int, ell: float, T_block: float, req_per_s: float) -> Stockout:
    """Poisson requests against a store that is refilled once a block."""
    keys = floor(blocks_in_store * ell / key_bits)
    return Stockout(keys, _poisson_above(keys, req_per_s * T_block))


def _poisson_above(k: int, mean: float) -> float:
    """P[Poisson(mean) > k] for k >= 0, summed on the thin side of the law so that small tails keep digits."""
    if mean <= 0:
        return 0.0
    up = k + 1 > mean
    at = k + 1 if up else k
    term = exp(at * log(mean) - mean - lgamma(at + 1))
    total = 0.0
    while term > total * 1e-17 and at >= 0:
        total += term
        term *= mean / (at + 1) if up else at / mean
        at += 1 if up else -1
    return total if up else 1 - total


def token_bucket_bits(rate: float, burst: float, demand: float, t: float) -> float:
    """Bits let through in t s: min(demand t, burst + rate t)."""
    return min(demand * t, burst + rate * t)
