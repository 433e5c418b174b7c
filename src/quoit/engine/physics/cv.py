"""GG02 with coherent states, reverse reconciliation and a trusted detector.

Sources: Lodewyck et al., PRA 76, 042305 (2007); finite size: Leverrier, Grosshans, Grangier, PRA 81,
062343 (2010). Variances in shot-noise units, excess noise referred to the channel's input; bits/symbol.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2, sqrt
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Gg02:
    """Mutual information, Holevo bound, and key per symbol (not clamped)."""

    i_ab: float
    chi_be: float
    key: float


def _g(x: float) -> float:
    return (x + 1) * log2(x + 1) - x * log2(x) if x > 0 else 0.0


def gg02(V_A: float, T: float, xi: float, eta: float, v_el: float, beta: float, detection: str = "hom") -> Gg02:
    """Asymptotic key of homodyne (`hom`) or heterodyne (`het`) detection.

    `V_A` modulation variance, `T` channel transmittance in (0, 1], `xi` excess noise, `eta` and `v_el`
    efficiency and electronic noise of the detector, `beta` reconciliation efficiency.
    ValueError for another `detection` or T outside.
    """
    if detection not in ("hom", "het"):
        raise ValueError(f"detection is hom or het, found {detection!r}")
    if not 0 < T <= 1:
        raise ValueError(f"the transmittance T is within (0, 1], found {T}")
    V = V_A + 1
    chi_line = 1 / T - 1 + xi
    hom = detection == "hom"
    chi_det = ((1 - eta) + v_el) / eta if hom else (1 + (1 - eta) + 2 * v_el) / eta
    chi_tot = chi_line + chi_det / T
    i_ab = (0.5 if hom else 1.0) * log2((V + chi_tot) / (1 + chi_tot))
    A = V**2 * (1 - 2 * T) + 2 * T + T**2 * (V + chi_line) ** 2
    B = T**2 * (V * chi_line + 1) ** 2
    root_b = sqrt(B)
    if hom:
        C = (V * root_b + T * (V + chi_line) + A * chi_det) / (T * (V + chi_tot))
        D = root_b * (V + root_b * chi_det) / (T * (V + chi_tot))
    else:
        C = (A * chi_det**2 + B + 1 + 2 * chi_det * (V * root_b + T * (V + chi_line)) + 2 * T * (V**2 - 1)) / (
            T * (V + chi_tot)
        ) ** 2
        D = ((V + root_b * chi_det) / (T * (V + chi_tot))) ** 2
    chi_be = sum(_g((e - 1) / 2) for e in _eigenvalues(A, B)) - sum(_g((e - 1) / 2) for e in _eigenvalues(C, D))
    return Gg02(i_ab, chi_be, beta * i_ab - chi_be)


def _eigenvalues(a: float, b: float) -> tuple[float, float]:
    root = sqrt(max(0.0, a**2 - 4 * b))
    return sqrt((a + root) / 2), sqrt(max(0.0, (a - root) / 2))


@dataclass(frozen=True, slots=True)
class FiniteGg02:
    """Worst-case channel within the estimation's confidence, and key per symbol sent."""

    z: float
    t_min: float
    xi_max: float
    delta: float
    key: float


def finite(
    V_A: float,
    T: float,
    xi: float,
    eta: float,
    v_el: float,
    beta: float,
    N: float,
    n_key: float,
    detection: str = "hom",
    eps_pe: float = 1e-10,
    eps_bar: float = 1e-10,
    eps_pa: float = 1e-10,
) -> FiniteGg02:
    """Key per symbol when N - n_key of N symbols estimate the channel (homodyne analysis of the source).

    Not clamped, but 0 when the estimate does not exclude that nothing arrives (then t_min is 0 and xi_max
    infinite). ValueError unless 0 < n_key < N.
    """
    m = N - n_key
    if not 0 < n_key < N:
        raise ValueError(f"key symbols n_key must leave some of N for estimation, found n_key={n_key}, N={N}")
    z = NormalDist().inv_cdf(1 - eps_pe / 2)
    t = sqrt(eta * T)
    s2 = 1 + v_el + eta * T * xi
    t_low = t - z * sqrt(s2 / (m * V_A))
    delta = 7 * sqrt(log2(2 / eps_bar) / n_key) + 2 / n_key * log2(1 / eps_pa)
    if t_low <= 0:
        return FiniteGg02(z, 0.0, float("inf"), delta, 0.0)
    t_min = t_low**2 / eta
    xi_max = (s2 * (1 + z * sqrt(2 / m)) - 1 - v_el) / t_low**2
    nominal = gg02(V_A, T, xi, eta, v_el, beta, detection)
    worst = gg02(V_A, t_min, max(0.0, xi_max), eta, v_el, beta, detection)
    key = n_key / N * (beta * nominal.i_ab - worst.chi_be - delta)
    return FiniteGg02(z, t_min, xi_max, delta, key)
