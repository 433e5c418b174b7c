"""Bounds and fractions that hold whatever the device."""

from __future__ import annotations

from math import log2, sqrt

from quoit.engine.physics.bb84 import binary_entropy


def plob(eta: float) -> float:
    """Repeaterless bound, secret bits per pulse or mode: -log2(1 - eta). eta is the channel's alone."""
    return -log2(1 - eta) if eta < 1 else float("inf")


def six_state_fraction(q: float) -> float:
    """One-way six-state fraction under depolarising noise."""
    weights = (1 - 1.5 * q, q / 2, q / 2, q / 2)
    return 1 + sum(w * log2(w) for w in weights if w > 0)


def diqkd_fraction(S: float, q: float) -> float:
    """Device-independent fraction (Acin et al. 2007) at CHSH value S and error q."""
    if S <= 2:
        return -binary_entropy(q)
    return 1 - binary_entropy(q) - binary_entropy((1 + sqrt((S / 2) ** 2 - 1)) / 2)
