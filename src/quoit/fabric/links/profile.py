"""Device profiles: what a QKD system is, in numbers, each with its source.

Where no number is published, an assumption is named as such. A network file overrides single fields.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class BB84Profile:
    """Decoy-state BB84 with weak coherent pulses. Intensities strongest first; two for the one-decoy proofs, one for
    `no_decoys`. `watch_current`: a monitor of the detectors' supply current, which bright light makes rise.

    `block_bits`: sifted key-basis bits of one block. Caps: sifted detections per second the electronics
    takes, and bits per second of error correction and privacy amplification (0: no cap).
    """

    source_rate_hz: float
    mu: tuple[float, ...]
    p_intensity: tuple[float, ...]
    p_z_sender: float
    p_z_receiver: float
    detector_efficiency: float
    receiver_loss_db: float
    dark_count_hz: float
    gate_s: float
    dead_time_ns: float
    jitter_fwhm_s: float
    afterpulse: float
    misalignment: float
    f_ec: float
    block_bits: int
    finite_key_proof: str = "onedecoy_2024"
    eps_sec: float = 1e-10
    eps_cor: float = 1e-15
    sifting_cap_hz: float = 0.0
    ec_cap_bps: float = 0.0
    pa_cap_bps: float = 0.0
    post_time_s: float = 1.0
    qber_abort: float = 0.08
    auth_bits_per_block: int = 768
    watch_current: bool = True
    security_label: str = "decoy-bb84 finite-key, collective hold-off and afterpulse to first order"


@dataclass(frozen=True)
class BBM92Profile:
    """A continuous-wave source of entangled pairs beside the sender."""

    brightness_hz: float
    eta_sender: float
    eta_receiver: float
    dark_sender_hz: float
    dark_receiver_hz: float
    coincidence_s: float
    peak_fwhm_s: float
    polarisation_error: float
    f_ec: float
    block_bits: int
    eps_sec: float = 1e-10
    eps_cor: float = 1e-15
    post_time_s: float = 1.0
    qber_abort: float = 0.08
    auth_bits_per_block: int = 768
    security_label: str = "bbm92 finite-key by random sampling"


@dataclass(frozen=True)
class PairsProfile:
    """BBM92 with pairs that a circuit delivers. `p_z`: probability with which either end chooses the key basis."""

    p_z: float = 0.5
    f_ec: float = 1.16
    block_bits: int = 20_000
    eps_sec: float = 1e-10
    eps_cor: float = 1e-15
    post_time_s: float = 1.0
    qber_abort: float = 0.08
    auth_bits_per_block: int = 768
    security_label: str = "bbm92 over pairs, finite-key by random sampling, measuring devices trusted"


@dataclass(frozen=True)
class E91Profile:
    """Ekert's protocol with pairs that a circuit delivers: three settings at either end.

    `p_sender`: of Z (key), D = (Z+X)/sqrt2 (test of the error rate) and X; `p_receiver`: of Z, D and A = (Z-X)/sqrt2,
    the last two alike. `chsh_above`: what S of a block must be above, beyond what chance gives with `eps_sec`.
    """

    p_sender: tuple[float, ...] = (0.45, 0.2, 0.35)
    p_receiver: tuple[float, ...] = (0.5, 0.25, 0.25)
    chsh_above: float = 2.0
    f_ec: float = 1.16
    block_bits: int = 50_000
    eps_sec: float = 1e-10
    eps_cor: float = 1e-15
    post_time_s: float = 1.0
    qber_abort: float = 0.08
    auth_bits_per_block: int = 768
    security_label: str = (
        "e91 over pairs: finite-key by random sampling, CHSH value as a condition; measuring devices trusted, "
        "NOT device-independent"
    )


@dataclass(frozen=True)
class CVProfile:
    """GG02 with coherent states and homodyne detection, reverse reconciliation; shot-noise units."""

    symbol_rate_hz: float
    modulation: float
    excess_noise: float
    detector_eta: float
    electronic_noise: float
    disclosed: float
    beta: float
    block_symbols: int
    excess_noise_abort: float
    post_time_s: float = 1.0
    auth_bits_per_block: int = 768
    security_label: str = "gg02 finite-size, collective attacks, trusted detector"


@dataclass(frozen=True)
class RatedProfile:
    """A system of which only the key rate and error rate are known."""

    rate_bps: float
    qber: float
    block_s: float = 1.0
    qber_abort: float = 0.08
    post_time_s: float = 0.0
    security_label: str = "rate as given, no proof modelled"


Profile = BB84Profile | BBM92Profile | PairsProfile | E91Profile | CVProfile | RatedProfile

PROTOCOL_OF: Mapping[type[Any], str] = MappingProxyType(
    {
        BB84Profile: "bb84-decoy",
        BBM92Profile: "bbm92",
        PairsProfile: "bbm92-pairs",
        E91Profile: "e91-pairs",
        CVProfile: "cv-gg02",
        RatedProfile: "rated",
    }
)
OVER_PAIRS = frozenset({PROTOCOL_OF[PairsProfile], PROTOCOL_OF[E91Profile]})
"""Protocols that take pairs of links for entangled pairs, and have no light of their own."""

_GIGAHERTZ = BB84Profile(
    source_rate_hz=1e9,
    mu=(0.4, 0.1),
    p_intensity=(0.6, 0.4),
    p_z_sender=0.7,
    p_z_receiver=0.7,
    detector_efficiency=0.25,
    receiver_loss_db=2.5,
    dark_count_hz=1e4,
    gate_s=5e-10,
    dead_time_ns=2.0,
    jitter_fwhm_s=1e-10,
    afterpulse=0.02,
    misalignment=0.015,
    f_ec=1.16,
    block_bits=10_000_000,
    sifting_cap_hz=60e6,
    ec_cap_bps=55e6,
    pa_cap_bps=108e6,
    post_time_s=1.0,
)

BUILT_IN: Mapping[str, Profile] = MappingProxyType(
    {
        "bb84-gigahertz": _GIGAHERTZ,
        "bb84-metro": dataclasses.replace(
            _GIGAHERTZ,
            source_rate_hz=1e8,
            detector_efficiency=0.20,
            dark_count_hz=2e3,
            gate_s=1e-9,
            dead_time_ns=100.0,
            jitter_fwhm_s=2e-10,
            block_bits=2_000_000,
            sifting_cap_hz=5e6,
            ec_cap_bps=5e6,
            pa_cap_bps=10e6,
        ),
        "bb84-longhaul": dataclasses.replace(
            _GIGAHERTZ,
            source_rate_hz=2.5e9,
            mu=(0.45, 0.15),
            p_intensity=(0.7, 0.3),
            p_z_sender=0.93,
            p_z_receiver=0.93,
            detector_efficiency=0.50,
            receiver_loss_db=1.0,
            dark_count_hz=1.0,
            gate_s=1e-10,
            dead_time_ns=40.0,
            jitter_fwhm_s=4e-11,
            afterpulse=0.0,
            misalignment=0.005,
            block_bits=1_000_000,
        ),
        "bb84-gys": dataclasses.replace(
            _GIGAHERTZ,
            source_rate_hz=2e6,
            mu=(0.48, 0.1),
            p_intensity=(0.7, 0.3),
            p_z_sender=0.7,
            p_z_receiver=0.7,
            detector_efficiency=0.045,
            receiver_loss_db=0.0,
            dark_count_hz=850.0,
            gate_s=1e-9,
            dead_time_ns=0.0,
            afterpulse=0.0,
            misalignment=0.033,
            f_ec=1.22,
            block_bits=100_000,
        ),
        "sequence-benchmark": dataclasses.replace(
            _GIGAHERTZ,
            source_rate_hz=1e6,
            mu=(0.1, 0.05),
            p_intensity=(0.95, 0.05),
            p_z_sender=0.5,
            p_z_receiver=0.5,
            detector_efficiency=0.8,
            receiver_loss_db=0.0,
            dark_count_hz=10.0,
            gate_s=1e-9,
            dead_time_ns=0.0,
            afterpulse=0.0,
            misalignment=0.01,
            block_bits=100_000,
            sifting_cap_hz=0.0,
            ec_cap_bps=0.0,
            pa_cap_bps=0.0,
        ),
        "bbm92-cw": BBM92Profile(
            brightness_hz=2e7,
            eta_sender=0.25,
            eta_receiver=0.25,
            dark_sender_hz=500.0,
            dark_receiver_hz=500.0,
            coincidence_s=3e-10,
            peak_fwhm_s=1.2e-10,
            polarisation_error=0.01,
            f_ec=1.16,
            block_bits=100_000,
        ),
        "bbm92-pairs": PairsProfile(),
        "e91-pairs": E91Profile(),
        "cv-metro": CVProfile(
            symbol_rate_hz=1e7,
            modulation=4.0,
            excess_noise=0.01,
            detector_eta=0.606,
            electronic_noise=0.041,
            disclosed=0.5,
            beta=0.95,
            block_symbols=100_000_000,
            excess_noise_abort=0.08,
        ),
        "rated": RatedProfile(rate_bps=1000.0, qber=0.03),
    }
)

SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "bb84-gigahertz": (
            "throughput caps 60 Mcounts/s, 55 Mb/s, 108 Mb/s: Yuan et al., J. Lightwave Technol. 36, 3427 (2018); "
            "detector of the self-differencing InGaAs class, intensities, basis bias: assumptions"
        ),
        "bb84-metro": "assumption: a 100 MHz gated-InGaAs box that fills a block at 10 dB within a minute",
        "bb84-longhaul": (
            "2.5 GHz, one decoy, SNSPD: Boaron et al., PRL 121, 190502 (2018); efficiency, jitter, block: assumptions"
        ),
        "bb84-gys": (
            "e_d 3.3 %, Y0 1.7e-6, eta_Bob 4.5 %, 2 MHz: Gobby, Yuan, Shields, APL 84, 3762 (2004) as used by "
            "Ma et al., PRA 72, 012326 (2005); decoy, basis bias and block: assumptions"
        ),
        "sequence-benchmark": "defined for comparison with other simulators: 1 MHz, mu 0.1, 80 %, 10 dark counts/s",
        "bbm92-cw": "assumption of the class of Neumann et al., PRA 104, 022406 (2021)",
        "bbm92-pairs": "post-processing only: pairs and devices are those of the path; basis bias, block: assumptions",
        "e91-pairs": (
            "settings: Ekert, PRL 67, 661 (1991), turned by 45 degrees; their probabilities, block: assumptions"
        ),
        "cv-metro": "eta 0.606, v_el 0.041: Lodewyck et al., PRA 76, 042305 (2007); rate, modulation: assumptions",
        "rated": "rates are the network file's",
    }
)


def with_overrides(profile: Profile, changes: Mapping[str, Any]) -> Profile:
    """The profile with some fields replaced. ValueError names an unknown field and lists the known ones, or says which
    value is not of the field's kind."""
    known = {f.name: f for f in dataclasses.fields(profile)}
    for name in changes:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
            raise ValueError(f"no field {name!r} in {type(profile).__name__}; {hint}")
        _check_kind(name, changes[name], getattr(profile, name))
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in changes.items()}
    replaced: Profile = type(profile)(**{**{f: getattr(profile, f) for f in known}, **values})
    return replaced


def _check_kind(name: str, value: Any, now: Any) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(now, tuple):
        kind, fits = "a list of numbers", isinstance(value, list | tuple)
    elif isinstance(now, str):
        kind, fits = "a text", isinstance(value, str)
    elif isinstance(now, bool):
        kind, fits = "true or false", isinstance(value, bool)
    else:
        kind, fits = "a number", number
    if not fits:
        raise ValueError(f"{name}: expected {kind}, found {str(value)[:60]!r}")
