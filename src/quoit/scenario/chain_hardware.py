"""From hardware profiles to what compilers take: stations with memories and gates, links with rate and state.

Where a profile is silent, or was shown over less fibre than is asked for, nothing is made up: the entry is a fault
until the file says the number itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from quoit.engine.hardware import PROFILES, HardwareProfile, single_click_link
from quoit.engine.physics.fibre import delay_s, eta
from quoit.engine.physics.heralding import attempt_time_s
from quoit.engine.program import Decay, Hop, state_of, werner_state
from quoit.fabric.programs.demand import Station

SCHEMES = {
    "single_click": "midpoint_bsm",
    "double_click": "midpoint_bsm",
    # One photon visits both nodes and the last detector's herald goes all the way back.
    "sequential": "sender_receiver",
}


@dataclass(frozen=True, slots=True)
class NodeGiven:
    """A node as its file describes it; None is left to the profile."""

    name: str
    hardware: str
    memories: int
    t1_ns: int | None
    t2_ns: int | None
    gate: float | None
    readout: float | None
    swap_success: float
    swap_time_ns: int


@dataclass(frozen=True, slots=True)
class HopGiven:
    """A link as its file describes it; None is left to the profile."""

    hardware: str
    fibre_km: float
    alpha: float | None
    fidelity: float | None
    rate_hz: float | None


def station_of(node: NodeGiven) -> Station:
    """ValueError says what the profile lacks, or that T2 > 2 T1. T1 is taken to be T2 where nobody says it."""
    profile = PROFILES[node.hardware]
    t2_s = node.t2_ns / 1e9 if node.t2_ns is not None else profile.memory_t2_s
    gate = node.gate if node.gate is not None else profile.gate_p2
    readout = node.readout if node.readout is not None else profile.readout
    if t2_s is None or gate is None or readout is None:
        silent = [name for name, value in (("t2", t2_s), ("gate", gate), ("readout", readout)) if value is None]
        raise ValueError(f"profile {profile.name} does not say {', '.join(silent)}: give it here")
    decay = Decay.t1_t2(t2_s if node.t1_ns is None else node.t1_ns / 1e9, t2_s)
    return Station(node.name, decay, node.memories, gate, readout, node.swap_success, node.swap_time_ns)


def hop_of(hop: HopGiven) -> Hop:
    """ValueError says what the profile lacks, or how far it was shown to work."""
    profile = PROFILES[hop.hardware]
    if profile.scheme not in SCHEMES:
        raise ValueError(f"profile {profile.name} has no memory to keep pairs in: choose another")
    if hop.alpha is not None:
        return _computed(profile, hop, hop.alpha)
    return _measured(profile, hop)


def _computed(profile: HardwareProfile, hop: HopGiven, alpha: float) -> Hop:
    if hop.fidelity is not None or hop.rate_hz is not None:
        raise ValueError("expected alpha, or fidelity and rate, found both")
    if profile.scheme != "single_click":
        raise ValueError(f"alpha is for single-click heralding, and profile {profile.name} is {profile.scheme}")
    detection = None if profile.p_detection is None else profile.p_detection * eta(hop.fibre_km / 2)
    link = single_click_link(replace(profile, p_detection=detection), alpha)
    cycle_s = attempt_time_s(SCHEMES[profile.scheme], hop.fibre_km, profile.attempt_s or 0.0) / profile.duty_factor
    # Photons go to the middle and the herald comes back: both halves are stored for the whole way.
    light_ns = _ns(delay_s(hop.fibre_km))
    return Hop(light_ns, link.p_success, max(_ns(cycle_s), light_ns + 1), state_of(link.pair), stored_ns=light_ns)


def _measured(profile: HardwareProfile, hop: HopGiven) -> Hop:
    given = hop.fidelity is not None and hop.rate_hz is not None
    if hop.fibre_km > profile.fibre_km and not given:
        raise ValueError(
            f"profile {profile.name} was shown over {profile.fibre_km:g} km: expected at most that, or fidelity and "
            f"rate for {hop.fibre_km:g} km"
        )
    fidelity = profile.pair_fidelity if hop.fidelity is None else hop.fidelity
    rate_hz = _measured_rate_hz(profile) if hop.rate_hz is None else hop.rate_hz
    if fidelity is None or rate_hz is None:
        silent = [name for name, value in (("fidelity", fidelity), ("rate", rate_hz)) if value is None]
        raise ValueError(f"profile {profile.name} does not say {', '.join(silent)}: give it here")
    light_ns = _ns(delay_s(hop.fibre_km))
    cycle_s = attempt_time_s(SCHEMES[profile.scheme], hop.fibre_km, 0.0)
    cycle_ns = max(_ns(max(cycle_s, profile.attempt_s or 0.0)), light_ns, 1)
    success = rate_hz * cycle_ns / 1e9
    if success > 1:
        raise ValueError(f"expected a rate below one pair an attempt ({1e9 / cycle_ns:.4g} Hz), found {rate_hz:g} Hz")
    # What was measured has the wait for the herald in it.
    return Hop(light_ns, success, cycle_ns, werner_state(fidelity))


def _measured_rate_hz(profile: HardwareProfile) -> float | None:
    if profile.pair_rate_hz is not None:
        return profile.pair_rate_hz
    if profile.p_success is not None and profile.attempt_s is not None:
        return profile.p_success / profile.attempt_s * profile.duty_factor
    return None


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
