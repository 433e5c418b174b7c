"""Light in fibre: transmittance, delay, photons per second of a power.

Scalars in, scalars out, as everywhere in this room: sweeps loop or use `numpy.vectorize`.
"""

from __future__ import annotations

C_M_S = 299_792_458.0
PLANCK_J_S = 6.62607015e-34
GROUP_INDEX = 1.468
"""Standard single-mode fibre near 1550 nm; 4.897 us/km."""


def eta(length_km: float, alpha_db_km: float = 0.2, extra_db: float = 0.0) -> float:
    """Transmittance (0..1) of a fibre, `extra_db` being splices, connectors and filters."""
    return float(10 ** (-(alpha_db_km * length_km + extra_db) / 10))


def delay_s(length_km: float, n_g: float = GROUP_INDEX) -> float:
    """One-way propagation time in seconds at group index `n_g`."""
    return length_km * 1e3 * n_g / C_M_S


def photon_rate_hz(p_w: float, wl_m: float) -> float:
    """Photons per second in light of power `p_w` (W) and vacuum wavelength `wl_m` (m)."""
    return p_w * wl_m / (PLANCK_J_S * C_M_S)
