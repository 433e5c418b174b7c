"""What standard single-mode fibre is at a wavelength: attenuation, dispersion, Raman scattering.

Attenuation: typical of ITU-T G.652.D cable as laid out in its appendix I, and below it of fibre that is laid to
quantum devices. Dispersion: the G.652 fit through
the zero at 1310 nm. Raman: the measured gain spectrum of silica in the 13 modes of Hollenbeck and Cantrell, J. Opt.
Soc. Am. B 19, 2886 (2002), doi:10.1364/JOSAB.19.002886, populated thermally at 300 K and scaled so that the worst
pair of channels in the C band has 3e-9 /(km nm), the worst case of Kumar et al., New J. Phys. 17, 043027 (2015).

Approximation: beyond 42 THz, and wherever the thermal tail falls below it, 2e-12 /(km nm) is taken: that is what C-band
channels were seen to do at 1310 nm (Mao et al., Opt. Express 26, 6010 (2018) is consistent with at most 3e-12).
"""

from __future__ import annotations

from math import expm1, pi

from quoit.engine.physics.fibre import C_M_S

_ATTENUATION = (
    (637.0, 8.0), (795.0, 3.5), (1260.0, 0.40), (1310.0, 0.33), (1360.0, 0.32),
    (1383.0, 0.31), (1460.0, 0.25), (1490.0, 0.23),
    (1530.0, 0.20), (1565.0, 0.20), (1590.0, 0.21), (1625.0, 0.23),
)  # fmt: skip
REFERENCE_NM = 1550.0
"""Losses in a network file are of this wavelength."""

GAMMA_W_KM = 1.3
"""Nonlinear coefficient, 1/(W km)."""
ZERO_DISPERSION_NM = 1310.0
DISPERSION_SLOPE = 0.092
"""ps/(nm^2 km) at the zero."""

# Raman gain against its maximum at 13.2 THz, at shifts of 0, 1, 2 ... 42 THz.
_RAMAN_GAIN = (
    0.0, 0.0762, 0.1648, 0.2179, 0.2496, 0.2844, 0.3472, 0.4224, 0.5038, 0.6041, 0.7186,
    0.8263, 0.9267, 0.9973, 0.9517, 0.9402, 0.4335, 0.2397, 0.3019, 0.1912, 0.0897, 0.0764,
    0.0707, 0.1061, 0.1647, 0.1499, 0.0837, 0.0457, 0.0388, 0.0334, 0.0299, 0.0388, 0.0558,
    0.0531, 0.0363, 0.03, 0.0306, 0.0287, 0.0225, 0.015, 0.0092, 0.0058, 0.0041,
)  # fmt: skip
RAMAN_SCALE = 4.985e-9
"""1/(km nm) at gain 1 and no thermal phonon, so that the worst pair within 4.4 THz (the C band) has 3e-9."""
RAMAN_FLOOR = 2e-12
_HZ_PER_KELVIN = 2.083661912e10  # k/h


def attenuation_db_km(wl_nm: float) -> float:
    """Attenuation of cabled fibre, without splices and connectors. Outside 637 to 1625 nm: that of the nearer end."""
    below = _ATTENUATION[0]
    for point in _ATTENUATION:
        if wl_nm <= point[0]:
            if point is below:
                break
            share = (wl_nm - below[0]) / (point[0] - below[0])
            return below[1] + share * (point[1] - below[1])
        below = point
    return below[1]


def excess_db(wl_nm: float, length_km: float, loss_db: float) -> float:
    """What light of another wavelength loses more in a fibre than light of 1550 nm, which loses `loss_db` there.

    Negative where it loses less, but never more than there is to lose.
    """
    return max((attenuation_db_km(wl_nm) - attenuation_db_km(REFERENCE_NM)) * length_km, -loss_db)


def raman_beta(pump_hz: float, quantum_hz: float, kelvin: float = 300.0) -> float:
    """Raman cross-section in 1/(km nm), the nm being of the quantum channel, for light of two optical frequencies."""
    shift_thz = abs(pump_hz - quantum_hz) / 1e12
    last = len(_RAMAN_GAIN) - 1
    if shift_thz >= last:
        return RAMAN_FLOOR
    if shift_thz < 1e-3:
        # Gain falls and phonons grow alike, towards the slope of the gain times kT/h.
        return max(RAMAN_FLOOR, RAMAN_SCALE * _RAMAN_GAIN[1] * _HZ_PER_KELVIN * kelvin / 1e12)
    step = int(shift_thz)
    gain = _RAMAN_GAIN[step] + (shift_thz - step) * (_RAMAN_GAIN[step + 1] - _RAMAN_GAIN[step])
    phonons = 1 / expm1(shift_thz * 1e12 / (_HZ_PER_KELVIN * kelvin))
    if quantum_hz < pump_hz:  # Stokes light: a phonon is made
        phonons += 1
    return max(RAMAN_FLOOR, RAMAN_SCALE * gain * phonons)


def dispersion_ps_nm_km(wl_nm: float) -> float:
    """Chromatic dispersion; 17 ps/(nm km) near 1550 nm."""
    return DISPERSION_SLOPE / 4 * (wl_nm - ZERO_DISPERSION_NM**4 / wl_nm**3)


def phase_mismatch_per_km(f1_hz: float, f2_hz: float, f3_hz: float) -> float:
    """Phase mismatch in 1/km of the mixing product f1 + f2 - f3 (Shibata, Braun, Waarts 1987, eq. 3)."""
    wl_m = C_M_S / f3_hz
    wl_nm = wl_m * 1e9
    # Slope by differences; all in SI from here: s/m^2, s/m^3.
    d = dispersion_ps_nm_km(wl_nm) * 1e-6
    slope = (dispersion_ps_nm_km(wl_nm + 0.5) - dispersion_ps_nm_km(wl_nm - 0.5)) * 1e3
    apart, other = abs(f1_hz - f3_hz), abs(f2_hz - f3_hz)
    curve = d + wl_m**2 / (2 * C_M_S) * (apart + other) * slope
    return float(2 * pi * wl_m**2 / C_M_S * apart * other * curve * 1e3)
