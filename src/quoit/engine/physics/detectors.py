"""Single-photon detectors: dark counts, dead time, afterpulses, jitter. Times in s, rates in 1/s."""

from __future__ import annotations

from dataclasses import dataclass
from math import erf, exp, expm1, sqrt

FWHM_PER_SIGMA = 2.3548200450309493
"""2 sqrt(2 ln 2)."""


def dark_probability(dcr_hz: float, gate_s: float) -> float:
    """Probability of a dark count in one gate."""
    return -expm1(-dcr_hz * gate_s)


def deadtime_rate(r_in: float, tau: float, kind: str = "nonparalyzable") -> float:
    """Count rate of one detector with a dead time of `tau` s and `r_in` would-be clicks per second.

    `nonparalyzable` for a hold-off (gated avalanche diodes, nanowires), `paralyzable` when a click during
    the dead time starts it anew. Light shared by d detectors: call with r/d and multiply by d.
    ValueError for another `kind`.
    """
    if kind == "nonparalyzable":
        return r_in / (1 + r_in * tau)
    if kind == "paralyzable":
        return r_in * exp(-r_in * tau)
    raise ValueError(f"dead time is nonparalyzable or paralyzable, found {kind!r}")


@dataclass(frozen=True, slots=True)
class Afterpulsed:
    """Rates with afterpulses: first order, and with afterpulses of afterpulses."""

    first_order: float
    cascade: float


def afterpulsed(r: float, p_ap: float) -> Afterpulsed:
    """Count rate r (1/s) with afterpulse probability p_ap < 1. Half of the afterpulses are bit errors."""
    return Afterpulsed(r * (1 + p_ap), r / (1 - p_ap))


@dataclass(frozen=True, slots=True)
class Window:
    """Share of clicks inside the window, and (with a period) inside the two neighbouring windows."""

    capture: float
    leak: float | None


def jitter_window(fwhm_s: float, window_s: float, period_s: float | None = None) -> Window:
    """Gaussian jitter against a window centred on the pulse; `period_s` from window to window.

    Half of the leak becomes error when neighbours carry other bits (time-bin coding).
    """
    sigma = fwhm_s / FWHM_PER_SIGMA
    capture = erf(window_s / (2 * sqrt(2) * sigma))
    if period_s is None:
        return Window(capture, None)
    scale = sqrt(2) * sigma
    leak = erf((period_s + window_s / 2) / scale) - erf((period_s - window_s / 2) / scale)
    return Window(capture, leak)
