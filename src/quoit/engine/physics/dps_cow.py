"""Distributed-phase-reference protocols. DPS holds against individual attacks only (Waks et al. 2006).

COW gives the rate that such boxes report (Branciard et al. 2008). Published COW implementations are
insecure against zero-error attacks (arXiv:2006.16891): label their key `collective_bs_estimate`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log2, sqrt

from quoit.engine.physics.bb84 import binary_entropy


@dataclass(frozen=True, slots=True)
class Dps:
    """Click probability and error per slot, compression, key per slot."""

    p_click: float
    qber: float
    tau: float
    rate: float


def dps(mu: float, eta: float, p_dark: float, e_base: float, f_ec: float = 1.16) -> Dps:
    """Differential phase shift."""
    light = 1 - exp(-mu * eta)
    p_click = light + p_dark
    e = (e_base * light + p_dark / 2) / p_click
    tau = -(1 - 2 * mu) * log2(1 - e**2 - (1 - 6 * e) ** 2 / 2)
    return Dps(p_click, e, tau, p_click * (tau - f_ec * binary_entropy(e)))


@dataclass(frozen=True, slots=True)
class Cow:
    """Overlap term, key per sifted bit, key per pulse."""

    xi: float
    fraction: float
    rate: float


def cow(mu: float, V: float, q: float, sift_per_pulse: float, f_ec: float = 1.16) -> Cow:
    """Coherent one-way; V visibility, q bit error."""
    xi = (2 * V - 1) * exp(-mu) - 2 * sqrt(V * (1 - V)) * sqrt(1 - exp(-2 * mu))
    fraction = 1 - q - (1 - q) * binary_entropy((1 + xi) / 2) - f_ec * binary_entropy(q)
    return Cow(xi, fraction, sift_per_pulse * fraction)
