"""What attacks and faults do to the telemetry of a link, and how much data shows it.

Closed forms for expectations; the sources are the analyses of the attacks: Bennett and Brassard (1984) for
intercept-resend, Brassard, Luetkenhaus, Mor, Sanders, PRL 85, 1330 (2000) for photon-number splitting, Lucamarini
et al., PRX 5, 031030 (2015) for Trojan horses, Qi, Fung, Lo, Ma, QIC 7, 73 (2007) for time shifts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp, expm1, inf, log1p, log10, sqrt
from statistics import NormalDist

from quoit.engine.physics.bb84 import binary_entropy, ma_clicks, vacuum_weak_yield, wcp_two_detector

ADDED_ERROR = {"bb84": 1 / 4, "sixstate": 1 / 3}
"""Error that measuring and resending in a random basis makes, by protocol."""


def intercept_resend_qber(frac: float, e0: float = 0.0, protocol: str = "bb84") -> float:
    """QBER when a fraction is measured and resent on a link of intrinsic error e0.

    ValueError for a protocol other than bb84 and sixstate.
    """
    if protocol not in ADDED_ERROR:
        raise ValueError(f"protocol is one of {', '.join(ADDED_ERROR)}, found {protocol!r}")
    d = ADDED_ERROR[protocol]
    return frac * (d + e0 - 2 * d * e0) + (1 - frac) * e0


def _two_or_more(mu: float) -> float:
    """Probability that a pulse of mean mu holds two photons or more."""
    return -expm1(-mu) - mu * exp(-mu)


@dataclass(frozen=True, slots=True)
class Splitting:
    """Photon-number splitting without decoys.

    `full_info`: pulses of several photons suffice to replace all clicks, the whole key is known and no
    telemetry shows it. This holds below the transmittance `eta_critical`.
    """

    gain: float
    p_multi: float
    full_info: bool
    eta_critical: float


def pns_non_decoy(mu: float, eta: float) -> Splitting:
    """Splitting against a source of one intensity mu behind transmittance eta, no background."""
    gain, multi = -expm1(-mu * eta), _two_or_more(mu)
    return Splitting(gain, multi, multi >= gain, -log1p(-multi) / mu)


@dataclass(frozen=True, slots=True)
class DecoySignature:
    """Yield that the attacker gives to multi-photon pulses; gain of the decoy with and without the attack, their
    ratio, and what is left of the bound on the single-photon yield (>= 0)."""

    yield_multi: float
    decoy_gain: float
    decoy_gain_normal: float
    ratio: float
    yield_1: float


def pns_decoy_signature(mu: float, nu: float, eta: float, y0: float, forward_single: float) -> DecoySignature:
    """Splitting that keeps the signal's gain, seen by a decoy of mean nu.

    Single photons arrive with `forward_single` times the honest transmittance (0 blocks them all), vacuum
    clicks as before; pulses of several photons get one yield that makes up for the loss.
    """
    single = forward_single * eta + y0
    signal, decoy = ma_clicks(mu, eta, y0, 0.0).gain, ma_clicks(nu, eta, y0, 0.0).gain
    multi = (signal - (y0 + single * mu) * exp(-mu)) / _two_or_more(mu)
    attacked = (y0 + single * nu) * exp(-nu) + multi * _two_or_more(nu)
    bound = max(0.0, vacuum_weak_yield(mu, nu, signal, attacked, y0))
    return DecoySignature(multi, attacked, decoy, attacked / decoy, bound)


@dataclass(frozen=True, slots=True)
class SplitClick:
    """Gain and error rate of one intensity under photon-number splitting, and the share of its clicks of which the
    eavesdropper holds a photon."""

    gain: float
    error: float
    known: float


def split_clicks(mu: Sequence[float], eta: float, p_d: float, e_d: float, blocked: float) -> list[SplitClick]:
    """Splitting that keeps the gain of the first intensity, seen by two detectors of dark counts p_d each.

    Pulses of several photons get one yield, single photons `1 - blocked` times the honest one; where that yield would
    pass 1, so many single photons are let through that it does not. Light has the error e_d. To first order in the
    gain this is `pns_decoy_signature` for each intensity.
    """
    honest = wcp_two_detector(mu[0], eta, p_d, e_d).gain
    vacuum = p_d * (2 - p_d)
    empty, one, several = exp(-mu[0]), mu[0] * exp(-mu[0]), _two_or_more(mu[0])
    single = vacuum + (1 - vacuum) * (1 - blocked) * eta
    multi = (honest - empty * vacuum - one * single) / several
    if multi > 1:
        multi, single = 1.0, (honest - empty * vacuum - several) / one
    multi = max(multi, vacuum)
    rows = []
    for k in mu:
        caught = _two_or_more(k) * multi
        gain = exp(-k) * (vacuum + k * single) + caught
        if gain <= 0:
            rows.append(SplitClick(0.0, 0.5, 0.0))
        else:
            rows.append(SplitClick(gain, (vacuum / 2 + (gain - vacuum) * e_d) / gain, caught / gain))
    return rows


@dataclass(frozen=True, slots=True)
class Tap:
    """Remaining share of the gain, loss that a power monitor shows (dB), click probability at the tap."""

    gain_ratio: float
    loss_db: float
    p_eve_click: float


def beam_split(mu: float, eta: float, tap: float) -> Tap:
    """A coupler that takes the share `tap` < 1 of the light of mean mu at the sender's end."""
    return Tap(expm1(-eta * mu * (1 - tap)) / expm1(-eta * mu), -10 * log10(1 - tap), -expm1(-mu * tap))


def trojan_mu(inj_photons_s: float, rep_hz: float, isolation_db: float) -> float:
    """Mean photon number per pulse that comes back out of a sender under `inj_photons_s` injected photons per
    second; `isolation_db` is the round trip's. Above 1e-6 it costs key."""
    return inj_photons_s / rep_hz * 10 ** (-isolation_db / 10)


@dataclass(frozen=True, slots=True)
class Shift:
    """Probability of the favoured bit, what it tells the attacker (bits), least factor of the detected rate."""

    bias: float
    eve_info: float
    key_factor_min: float


def time_shift(e0_eff: float, e1_eff: float) -> Shift:
    """Pulses moved to where the two detectors have efficiencies e0_eff and e1_eff, both > 0."""
    mismatch = max(e0_eff / e1_eff, e1_eff / e0_eff)
    bias = mismatch / (1 + mismatch)
    return Shift(bias, 1 - binary_entropy(bias), 1 / mismatch)


def dos_light_qber(sig_rate: float, e_opt: float, noise_rate: float) -> float:
    """QBER when noise clicks (1/s, half of them wrong) join signal clicks of error e_opt; 1/2 in the dark."""
    total = sig_rate + noise_rate
    return (sig_rate * e_opt + noise_rate / 2) / total if total > 0 else 0.5


def dos_noise_to_kill_cps(sig_rate: float, e_opt: float, e_max: float) -> float:
    """Noise clicks per second that lift the QBER to e_max < 1/2, where no key is left."""
    return sig_rate * (e_max - e_opt) / (0.5 - e_max)


@dataclass(frozen=True, slots=True)
class Bend:
    """Share of the gain that is left, and QBER."""

    gain_ratio: float
    error: float


def bend(mu: float, eta: float, y0: float, e_d: float, bend_db: float) -> Bend:
    """A bend that adds `bend_db` to a link of transmittance eta; inf dB is a cut."""
    before, after = ma_clicks(mu, eta, y0, e_d), ma_clicks(mu, eta * 10 ** (-bend_db / 10), y0, e_d)
    return Bend(after.gain / before.gain, after.error)


def jam_depletion_s(store_bits: float, reserve_bits: float, drain_bps: float, regen_bps: float = 0.0) -> float:
    """Seconds until a store falls to its reserve when the classical channel is jammed; inf if it does not."""
    falling = drain_bps - regen_bps
    return (store_bits - reserve_bits) / falling if falling > 0 else inf


def qber_test_sample(q0: float, q1: float, alpha: float, beta: float) -> int:
    """Sample bits that tell q1 from q0 with false alarm alpha and miss beta (normal approximation)."""
    z_a, z_b = NormalDist().inv_cdf(1 - alpha), NormalDist().inv_cdf(1 - beta)
    return ceil(((z_a * sqrt(q0 * (1 - q0)) + z_b * sqrt(q1 * (1 - q1))) / (q1 - q0)) ** 2)


def count_z(n_obs: float, n_exp: float) -> float:
    """Deviation of a count from its expectation in standard deviations."""
    return (n_obs - n_exp) / sqrt(n_exp)


def mitm_success(tag_bits: int, msg_bits: float, tries: int = 1) -> float:
    """Probability that one of several forged messages passes a Wegman-Carter tag."""
    p = ceil(msg_bits / tag_bits) * 2.0**-tag_bits
    return -expm1(tries * log1p(-p)) if p < 1 else 1.0
