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
    bell_pairs,
    bounds,
    coexistence,
    cutoffs,
    cv,
    detectors,
    dps_cow,
    entangled,
    fibre,
    finite_key,
    free_space,
    heralding,
    mdi,
    memories,
    postprocessing,
    relay,
    satellite,
    services,
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


def _listed(function: Callable[..., tuple[float, ...]]) -> Callable[..., list[float]]:
    return lambda **inputs: list(function(**inputs))


def _dejmps(a: Sequence[float], b: Sequence[float]) -> dict[str, Any]:
    r = bell_pairs.dejmps(a, b)
    return {"p_succ": r.p_success, "lam": list(r.pair)}


_COEXISTING = {
    "p_raman_w": "P_raman_w",
    "p_noise_gate": "p_noise_gate",
    "gain": "Q_mu",
    "error": "E_mu",
    "rate": "R",
}
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
_SINGLE_CLICK = {
    "p_success": "p_succ",
    "p_bb": "p_BB",
    "p_bd": "p_BD",
    "p_db": "p_DB",
    "p_dd": "p_DD",
    "coherence": "coh",
    "fidelity": "F",
    "qber_z": "QBER_Z",
    "qber_x": "QBER_X",
}
_HERALDED = {"p_success": "p_succ", "fidelity": "F"}
_WAITING = {"mean_attempts": "mean_attempts", "rate_hz": "rate", "t50_s": "t50", "t99_s": "t99"}
_PAIR_KEY = {"error_z": "eZ", "error_x": "eX", "error_y": "eY", "bb84": "r_BB84", "six_state": "r_sixstate"}
_REPEATER = {
    "p_link": "p_link",
    "f_link": "F_link",
    "rate_hz": "rate_hz",
    "f_end": "F_end",
    "key_bps": "key_bps",
}
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
    "fibre.raman_power_w": coexistence.raman_power_w,
    "fibre.raman_gate": _renamed(coexistence.raman_gate, _same("photon_rate", "p_gate")),
    "fibre.coexist_qber": coexistence.coexist_qber,
    "fibre.noise_tolerable": coexistence.noise_tolerable,
    "fibre.rayleigh_back_w": coexistence.rayleigh_back_w,
    "fibre.crosstalk_photons": coexistence.crosstalk_photons,
    "fibre.fwm_power_w": coexistence.fwm_power_w,
    "fibre.coexist_decoy_link": _renamed(coexistence.coexist_decoy_link, _COEXISTING),
    "fibre.coexist_max_channels": coexistence.coexist_max_channels,
    "sat.slant_range_m": satellite.slant_range_m,
    "sat.beam": _renamed(free_space.beam, {"w_m": "w", "centred": "eta_centred", "jittered": "eta_jitter"}),
    "sat.atm_trans": free_space.flat_atmosphere_trans,
    "sat.airmass_kasten_young": free_space.airmass_kasten_young,
    "sat.orbit": _renamed(satellite.orbit, _same("omega", "period", "v")),
    "sat.pass_duration_s": satellite.pass_duration_s,
    "sat.pass_elevation_deg": satellite.pass_elevation_deg,
    "sat.background_cps": free_space.background_cps,
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
    "ent.single_click": _renamed(heralding.single_click, _SINGLE_CLICK),
    "ent.double_click": _renamed(heralding.double_click, _HERALDED),
    "ent.attempt_time_s": heralding.attempt_time_s,
    "ent.geometric_link": _renamed(heralding.geometric_link, _WAITING),
    "ent.max_geometric_mean": heralding.max_geometric_mean,
    "ent.deterministic_delivery_Fmax": heralding.deterministic_delivery_f_max,
    "mem.t1t2_bell_fidelity": memories.t1t2_bell_fidelity,
    "mem.werner_decay": memories.werner_decay,
    "mem.pauli_twirl": _renamed(memories.pauli_twirl, {"identity": "pi", "x": "px", "y": "py", "z": "pz"}),
    "mem.bell_diag_pauli": _listed(bell_pairs.bell_diag_pauli),
    "op.swap_bell_diag": _listed(bell_pairs.swap),
    "op.swap_noisy_F": bell_pairs.swap_noisy_fidelity,
    "op.swap_chain_F": bell_pairs.swap_chain_fidelity,
    "op.bbpssw": _renamed(bell_pairs.bbpssw, _HERALDED),
    "op.bbpssw_noisy": _renamed(bell_pairs.bbpssw_noisy, _HERALDED),
    "op.dejmps": _dejmps,
    "op.ghz_fusion_F": bell_pairs.ghz_fusion_fidelity,
    "op.teleport_avg_F": bell_pairs.teleport_mean_fidelity,
    "op.remote_gate_F": _renamed(bell_pairs.remote_gate, {"process": "F_process", "average": "F_avg"}),
    "op.chsh_S": bell_pairs.chsh,
    "op.bell_diag_key": _renamed(bell_pairs.bell_diagonal_key, _PAIR_KEY),
    "net.cutoff_parallel": _renamed(
        cutoffs.cutoff_parallel, {"mean_slots": "E_slots", "p_cycle": "p_cycle", "swapped_fidelity": "F_mean"}
    ),
    "net.two_link_repeater": _renamed(cutoffs.two_link_repeater, _REPEATER),
    "svc.timesync": _renamed(
        services.time_sync, {"pair_s": "sigma_pair", "one_way_s": "one_way", "two_way_s": "two_way"}
    ),
    "svc.timesync_crlb_s": services.time_sync_crlb_s,
    "svc.twoway": _renamed(services.two_way, {"offset_s": "offset", "delay_s": "delay"}),
    "svc.dispersion_s": services.dispersion_s,
    "svc.identity_test": _renamed(services.identity_test, _same("false_reject", "false_accept")),
    "svc.ghz_sensing": _renamed(services.ghz_sensing, _same("sql", "ghz", "gain_db")),
    "svc.ghz_dephasing_qfi": services.ghz_dephasing_qfi,
    "svc.noon_loss_qfi": services.noon_loss_qfi,
    "svc.ramsey": _renamed(services.ramsey, {"t_opt_s": "t_opt", "delta_omega": "delta_omega"}),
    "svc.blind_verify_accept": services.blind_verify_accept,
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
