"""Light in fibre: transmittance and delay."""

from __future__ import annotations

C_M_S = 299_792_458.0
GROUP_INDEX = 1.468
"""Standard single-mode fibre near 1550 nm; 4.897 us/km."""


def eta(length_km: float, alpha_db_km: float = 0.2, extra_db: float = 0.0) -> float:
    """Transmittance of a fibre with lumped extra loss."""
    return float(10 ** (-(alpha_db_km * length_km + extra_db) / 10))


def delay_s(length_km: float, n_g: float = GROUP_INDEX) -> float:
    """One-way propagation time."""
    return length_km * 1e3 * n_g / C_M_S
