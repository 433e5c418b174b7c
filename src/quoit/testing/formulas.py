"""Every closed form under its public id, with plain arguments and plain results.

`FORMULAS[id](**inputs)` gives a number, or a dict of numbers (lists where there is one an intensity). Ids and
argument names are stable: test suites and notebooks outside this package call them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from quoit.engine.physics import (
    attacks,
    bb84,
    bounds,
    cv,
    detectors,
    dps_cow,
    entangled,
    fibre,
    finite_key,
    mdi,
    postprocessing,
    relay,
    twin_field,
)


def _renamed(function: Callable[..., Any], names: dict[str, str]) -> Callable[..., dict[str, Any]]:
    """The result's attributes under the names of the public id; attributes that are None are left out."""

    def call(**inputs: Any) -> dict[str, Any]:
        result = function(**inputs)
        values = {public: getattr(result, own) for own, public in names.items()}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items() if v is not None}

    return call


def _two_detector(mu: float, eta: float, p_d: float, e_d: float) -> dict[str, float]:
    clicks = bb84.wcp_two_detector(mu, eta, p_d, e_d)
    return {"Q": clicks.gain, "E": clicks.error}


def _vacuum_weak(**inputs: float) -> dict[str, float]:
    r = bb84.decoy_vacuum_weak(**inputs)
    return {
        "Q_mu": r.signal.gain,
        "E_mu": r.signal.error,
        "Q_nu": r.decoy.gain,
        "E_nu": r.decoy.error,
        "Y1_L": r.yield_1,
        "e1_U": r.error_1,
        "Q1_L": r.gain_1,
        "R": r.rate,
    }


def _bbm92_cw(
    brightness: float,
    eta_a: float,
    eta_b: float,
    dc_a: float,
    dc_b: float,
    t_cc: float,
    t_delta: float,
    e_pol: float,
    f_ec: float = 1.1,
    q_sift: float = 0.5,
    tau_a: float = 0.0,
    tau_b: float = 0.0,
) -> dict[str, float]:
    r = entangled.bbm92_cw(brightness, eta_a, eta_b, dc_a, dc_b, t_cc, t_delta, e_pol, f_ec, q_sift, tau_a, tau_b)
    return {
        "singles_A": r.singles_a_hz,
        "singles_B": r.singles_b_hz,
        "CC_true": r.cc_true_hz,
        "CC_acc": r.cc_accidental_hz,
        "CC_meas": r.cc_measured_hz,
        "CAR": r.car,
        "QBER": r.qber,
        "SKR": r.key_bps,
    }


Counts = Sequence[float]


def _lim2014(
    mu: Counts,
    p: Counts,
    nX: Counts,
    mX: Counts,
    nZ: Counts,
    mZ: Counts,
    eps_sec: float,
    eps_cor: float,
    f_ec: float = 1.16,
    leak_ec: float | None = None,
) -> dict[str, float]:
    r = finite_key.lim2014(mu, p, nX, mX, nZ, mZ, eps_sec, eps_cor, f_ec, leak_ec)
    return {
        "s_X0": r.s_x0,
        "s_X1": r.s_x1,
        "s_Z0": r.s_z0,
        "s_Z1": r.s_z1,
        "v_Z1": r.v_z1,
        "phi_X": r.phase_error,
        "lambda_EC": r.leak_bits,
        "ell": r.ell,
    }


def _rusca2018(
    mu: Counts,
    p: Counts,
    nZ: Counts,
    mZ: Counts,
    nX: Counts,
    mX: Counts,
    eps_sec: float,
    eps_cor: float,
    f_ec: float = 1.16,
    leak_ec: float | None = None,
) -> dict[str, float]:
    r = finite_key.rusca2018(mu, p, nZ, mZ, nX, mX, eps_sec, eps_cor, f_ec, leak_ec)
    return {
        "s_Z0_L": r.s_key0,
        "s_Z1_L": r.s_key1,
        "s_X1_L": r.s_test1,
        "v_X1_U": r.v_test1,
        "phi_Z_U": r.phase_error,
        "lambda_EC": r.leak_bits,
        "ell": r.ell,
    }


def _onedecoy_2024(
    mu: Counts,
    p: Counts,
    nK: Counts,
    mK: Counts,
    nT: Counts,
    mT: Counts,
    eps_sec: float,
    eps_cor: float,
    f_ec: float = 1.16,
    leak_ec: float | None = None,
) -> dict[str, float]:
    r = finite_key.onedecoy_2024(mu, p, nK, mK, nT, mT, eps_sec, eps_cor, f_ec, leak_ec)
    return {"s_K1": r.s_key1, "s_T1": r.s_test1, "lambda_U": r.phase_error, "ell": r.ell}


def _cv_finite(
    V_A: float,
    T: float,
    xi: float,
    eta: float,
    v_el: float,
    beta: float,
    N: float,
    n_key: float,
    eps_PE: float = 1e-10,
    eps_bar: float = 1e-10,
    eps_PA: float = 1e-10,
) -> dict[str, float]:
    r = cv.finite(V_A, T, xi, eta, v_el, beta, N, n_key, "hom", eps_PE, eps_bar, eps_PA)
    return {"z": r.z, "T_min": r.t_min, "xi_max": r.xi_max, "Delta": r.delta, "K": r.key}


def _dos_light(sig_rate: float, e_opt: float, noise_rate: float) -> dict[str, float]:
    return {"QBER": attacks.dos_light_qber(sig_rate, e_opt, noise_rate)}


_MDI = {
    "yield_11": "Y11",
    "error_11": "e11_X",
    "gain": "Q_rect",
    "error": "E_rect",
    "gain_11": "Q11",
    "rate": "R",
}
_INFINITE = {
    "gain": "Q_mu",
    "error": "E_mu",
    "yield_1": "Y1",
    "error_1": "e1",
    "gain_1": "Q1",
    "rate": "R",
}
_SPLITTING = {
    "gain": "Q_mu",
    "p_multi": "p_multi",
    "full_info": "full_info",
    "eta_critical": "eta_critical",
}
_SIGNATURE = {
    "yield_multi": "Y_multi",
    "decoy_gain": "Q_nu_attack",
    "decoy_gain_normal": "Q_nu_normal",
    "ratio": "ratio",
    "yield_1": "Y1_L",
}
_TAP = {"gain_ratio": "Q_ratio", "loss_db": "loss_db", "p_eve_click": "p_eve_click"}
_SCHEDULE = ("t_block", "first_key_at", "net_bits_per_block", "mean_rate", "mean_age_at_delivery")
_TAGS = {
    "p_forge": "p_forge",
    "key_bits_per_block": "key_bits_per_block",
    "min_tag_bits": "min_tag_bits_for_1e-12",
}


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


FORMULAS: dict[str, Callable[..., Any]] = {
    "link.fibre_eta": fibre.eta,
    "link.fibre_delay_s": fibre.delay_s,
    "det.dark_prob": detectors.dark_probability,
    "det.deadtime_rate": detectors.deadtime_rate,
    "det.afterpulse": _renamed(detectors.afterpulsed, _same("first_order", "cascade")),
    "det.jitter_window": _renamed(detectors.jitter_window, _same("capture", "leak")),
    "qkd.wcp_gain": bb84.wcp_gain,
    "qkd.wcp_qber": bb84.wcp_qber,
    "qkd.wcp_two_detector": _two_detector,
    "qkd.gllp_infinite_decoy": _renamed(bb84.gllp_infinite_decoy, _INFINITE),
    "qkd.decoy_vacuum_weak": _vacuum_weak,
    "qkd.mu_opt": bb84.mu_opt,
    "qkd.max_distance_infinite_decoy_km": bb84.max_distance_infinite_decoy_km,
    "qkd.max_distance_vacuum_weak_km": bb84.max_distance_vacuum_weak_km,
    "qkd.finite.lim2014": _lim2014,
    "qkd.finite.lim2014_counts": _renamed(
        finite_key.lim2014_counts, {"n_x": "nX", "m_x": "mX", "n_z": "nZ", "m_z": "mZ"}
    ),
    "qkd.finite.rusca2018": _rusca2018,
    "qkd.finite.onedecoy_2024": _onedecoy_2024,
    "qkd.bb84_fraction": bb84.bb84_fraction,
    "qkd.bb84_threshold": bb84.bb84_threshold,
    "qkd.six_state_fraction": bounds.six_state_fraction,
    "qkd.plob": bounds.plob,
    "qkd.diqkd_fraction": bounds.diqkd_fraction,
    "qkd.bbm92_spdc": _renamed(entangled.bbm92_spdc, {"gain": "Q", "error": "E", "rate": "R"}),
    "qkd.bbm92_cw": _bbm92_cw,
    "ent.car_fidelity": entangled.car_fidelity,
    "qkd.mdi": _renamed(mdi.mdi, _MDI),
    "qkd.tf_yield": twin_field.tf_yield,
    "qkd.tf_cal": _renamed(twin_field.tf_cal, {"p_xx": "p_XX", "error_x": "e_X", "error_z": "e_Z_U", "rate": "R"}),
    "qkd.cv_gg02": _renamed(cv.gg02, {"i_ab": "I_AB", "chi_be": "chi_BE", "key": "K"}),
    "qkd.cv_finite": _cv_finite,
    "qkd.dps": _renamed(dps_cow.dps, {"p_click": "p_click", "qber": "QBER", "tau": "tau", "rate": "R"}),
    "qkd.cow": _renamed(dps_cow.cow, {"xi": "xi", "fraction": "r", "rate": "R"}),
    "pp.ec_leak_finite_bits": postprocessing.ec_leak_finite_bits,
    "pp.wegman_carter": _renamed(postprocessing.wegman_carter, _TAGS),
    "pp.block_schedule": _renamed(
        postprocessing.block_schedule, {name: name.replace("t_block", "T_block") for name in _SCHEDULE}
    ),
    "relay.consumption": _renamed(relay.consumption, _same("per_link", "network")),
    "relay.multipath_compromise": relay.multipath_compromise,
    "relay.eps_compose": relay.eps_compose,
    "relay.store_burst": _renamed(relay.store_burst, _same("min_reserve", "sustainable", "util")),
    "relay.store_recursion": _renamed(relay.store_recursion, _same("level", "served", "lost", "unserved")),
    "relay.stockout_poisson": _renamed(relay.stockout_poisson, _same("keys", "p_stockout")),
    "relay.token_bucket_bits": relay.token_bucket_bits,
    "atk.intercept_resend_qber": attacks.intercept_resend_qber,
    "atk.pns_non_decoy": _renamed(attacks.pns_non_decoy, _SPLITTING),
    "atk.pns_decoy_signature": _renamed(attacks.pns_decoy_signature, _SIGNATURE),
    "atk.beam_split": _renamed(attacks.beam_split, _TAP),
    "atk.trojan_mu": attacks.trojan_mu,
    "atk.photon_rate": fibre.photon_rate_hz,
    "atk.time_shift": _renamed(attacks.time_shift, _same("bias", "eve_info", "key_factor_min")),
    "atk.dos_light_qber": _dos_light,
    "atk.dos_noise_to_kill_cps": attacks.dos_noise_to_kill_cps,
    "atk.bend": _renamed(attacks.bend, {"gain_ratio": "Q_ratio", "error": "E"}),
    "atk.jam_depletion_s": attacks.jam_depletion_s,
    "atk.qber_test_sample": attacks.qber_test_sample,
    "atk.count_z": attacks.count_z,
    "atk.mitm_success": attacks.mitm_success,
}
