"""Light of classical channels in a quantum channel's gate: Raman, Rayleigh, filter leakage, four-wave mixing.

Powers are mean powers in W at the end of the fibre where the quantum receiver stands. Attenuation is uniform along
the fibre. Sources: Chapuran et al., New J. Phys. 11, 105001 (2009), doi:10.1088/1367-2630/11/10/105001, and Eraerds et
al., New J. Phys. 12, 063027 (2010), doi:10.1088/1367-2630/12/6/063027, for Raman noise and leakage; Brinkmeyer, J. Opt.
Soc. Am. 70, 1010 (1980) for the recapture of Rayleigh light; Shibata, Braun, Waarts, IEEE JQE 23, 1205 (1987) and
Inoue, J. Lightwave Technol. 10, 1553 (1992) for four-wave mixing.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, expm1, log, sin
from typing import Any

from quoit.engine.physics.bb84 import E0, gllp_infinite_decoy
from quoit.engine.physics.fibre import eta, photon_rate_hz

NEPER_PER_DB = log(10) / 10
"""dB/km times this is 1/km of power."""
RECAPTURE = 1.5e-3
"""Share of Rayleigh-scattered light that standard fibre guides back."""
RAYLEIGH_DB_KM = 0.17
"""Part of the attenuation near 1550 nm that is Rayleigh scattering."""
DIRECTIONS = ("co", "ctr")
MOST_CHANNELS = 1_000_000
"""A link that still makes key beside so many channels counts as undisturbed by them."""


def raman_power_w(
    p_in_w: float,
    L_km: float,
    beta_per_km_nm: float,
    bw_nm: float,
    alpha_db_km: float = 0.2,
    alpha_q_db_km: float | None = None,
    direction: str = "co",
) -> float:
    """Spontaneous Raman light in a filter of `bw_nm`, from a channel of `p_in_w` at attenuation `alpha_db_km`.

    `alpha_q_db_km`: attenuation at the quantum wavelength, the same if not given. `direction`: co, both travel the
    same way; ctr, the classical channel starts where the quantum receiver is. ValueError for another direction.
    Without depletion of the pump: below some 20 dBm.
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"direction is one of {', '.join(DIRECTIONS)}, found {direction!r}")
    a = alpha_db_km * NEPER_PER_DB
    a_q = a if alpha_q_db_km is None else alpha_q_db_km * NEPER_PER_DB
    source = p_in_w * beta_per_km_nm * bw_nm
    if direction == "co":
        # (e^-aL - e^-bL)/(b - a), written so that a = b is no exception.
        return source * exp(-min(a, a_q) * L_km) * _filled(abs(a_q - a), L_km)
    return source * _filled(a + a_q, L_km)


def _filled(a: float, length: float) -> float:
    """Integral of e^(-a z) over the length; the length itself where nothing is attenuated."""
    x = a * length
    return length if x < 1e-12 else -expm1(-x) / a


@dataclass(frozen=True, slots=True)
class Noise:
    """Photons per second at the receiver's input, and the probability that one clicks in a gate."""

    photon_rate: float
    p_gate: float


def raman_gate(p_raman_w: float, wl_m: float, gate_s: float, eta_rx: float) -> Noise:
    """What steady noise light does to a gated receiver of efficiency `eta_rx`, all its detectors together."""
    rate = photon_rate_hz(p_raman_w, wl_m)
    return Noise(rate, -expm1(-rate * gate_s * eta_rx))


def coexist_qber(q_sig: float, e_opt: float, p_noise: float) -> float:
    """QBER when noise clicks join a gain of `q_sig` and error `e_opt`; half of them are wrong. 1/2 in the dark."""
    total = q_sig + p_noise
    return (e_opt * q_sig + p_noise * E0) / total if total > 0 else E0


def noise_tolerable(q_sig: float, e_opt: float, e_max: float) -> float:
    """Noise clicks per gate that lift the QBER to `e_max` < 1/2; negative if it is above that without any."""
    return q_sig * (e_max - e_opt) / (E0 - e_max)


def rayleigh_back_w(
    p_in_w: float,
    L_km: float,
    alpha_db_km: float = 0.2,
    alpha_s_db_km: float = RAYLEIGH_DB_KM,
    S: float = RECAPTURE,
) -> float:
    """Light that a channel scatters back to where it came from, at its own wavelength. `S`: see `RECAPTURE`."""
    return p_in_w * S * alpha_s_db_km * NEPER_PER_DB * _filled(2 * alpha_db_km * NEPER_PER_DB, L_km)


def crosstalk_photons(p_in_w: float, loss_db: float, isolation_db: float, wl_m: float) -> float:
    """Photons per second of a channel that leak through the quantum receiver's filter."""
    return photon_rate_hz(p_in_w * 10 ** (-(loss_db + isolation_db) / 10), wl_m)


def fwm_power_w(
    p1: float,
    p2: float,
    p3: float,
    gamma_w_km: float,
    L_km: float,
    alpha_db_km: float,
    dbeta_per_km: float,
    degenerate: bool = False,
) -> float:
    """Power at f1 + f2 - f3 that three channels of these launch powers (W) mix.

    `gamma_w_km`: nonlinear coefficient, 1/(W km), about 1.3 in standard fibre. `dbeta_per_km`: phase mismatch, 1/km.
    `degenerate`: f1 and f2 are the same channel. All polarised alike, which is the worst case.
    """
    a = alpha_db_km * NEPER_PER_DB
    effective = _filled(a, L_km)
    ways = 3 if degenerate else 6
    mixed = (ways / 3 * gamma_w_km * effective) ** 2 * p1 * p2 * p3 * exp(-a * L_km)
    if dbeta_per_km == 0.0:
        return mixed
    if a * L_km < 1e-12:  # the limit without loss
        half = dbeta_per_km * L_km / 2
        return mixed * (sin(half) / half) ** 2
    ripple = 4 * exp(-a * L_km) * sin(dbeta_per_km * L_km / 2) ** 2 / expm1(-a * L_km) ** 2
    return mixed * a**2 / (a**2 + dbeta_per_km**2) * (1 + ripple)


@dataclass(frozen=True, slots=True)
class CoexistingLink:
    """Raman power at the receiver (W), noise clicks per gate, gain, QBER and key rate per pulse (may be negative)."""

    p_raman_w: float
    p_noise_gate: float
    gain: float
    error: float
    rate: float


def coexist_decoy_link(
    L_km: float,
    alpha_q: float,
    alpha_c: float,
    launch_dbm: float,
    n_ch: int,
    beta: float,
    bw_nm: float,
    wl_q_m: float,
    gate_s: float,
    eta_rx: float,
    y0_dark: float,
    mu: float,
    e_d: float,
    f_ec: float = 1.16,
    direction: str = "co",
) -> CoexistingLink:
    """Decoy BB84 of infinitely many decoys beside `n_ch` channels of one launch power, Raman light alone."""
    power = n_ch * 1e-3 * 10 ** (launch_dbm / 10)
    raman = raman_power_w(power, L_km, beta, bw_nm, alpha_c, alpha_q, direction)
    noise = raman_gate(raman, wl_q_m, gate_s, eta_rx).p_gate
    r = gllp_infinite_decoy(mu, eta_rx * eta(L_km, alpha_q), y0_dark + noise, e_d, f_ec)
    return CoexistingLink(raman, noise, r.gain, r.error, r.rate)


def coexist_max_channels(**link: Any) -> int:
    """Most channels beside which `coexist_decoy_link` (same arguments but `n_ch`) still makes key; 0 if beside none.

    ValueError if there is no end to them.
    """

    def makes_key(n: int) -> bool:
        return coexist_decoy_link(n_ch=n, **link).rate > 0

    low, high = 0, 1
    while makes_key(high):
        low, high = high, 2 * high
        if high > MOST_CHANNELS:
            raise ValueError(f"{MOST_CHANNELS} channels do no harm: their power or the Raman coefficient is too small")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if makes_key(middle) else (low, middle)
    return low
