"""From a chain file's entries to what compilers take: stations with memories and gates, links with rate and state.

Where a profile is silent, or was shown over less fibre than is asked for, nothing is made up: the entry is a fault
until the file says the number itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from quoit.engine.equipment import Silent, clicks, measured_hop, node_model, timed_hop
from quoit.engine.hardware import PROFILES, HardwareProfile
from quoit.engine.program import Hop
from quoit.fabric.programs.demand import Station

ADVICE = "give it here"
DB_PER_KM = 0.2
"""Of fibre; the file has its length alone."""


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
    t1_s = t2_s if node.t1_ns is None else node.t1_ns / 1e9
    try:
        model = node_model(profile, t1_s=t1_s, t2_s=t2_s, gate=node.gate, readout=node.readout)
    except Silent as silent:
        raise ValueError(f"{silent}: {ADVICE}") from silent
    return Station(
        node.name, model.decay, node.memories, model.gate, model.readout, node.swap_success, node.swap_time_ns,
        model.attempt_loss,
    )  # fmt: skip


def hop_of(hop: HopGiven) -> Hop:
    """ValueError says what the profile lacks, or how far it was shown to work."""
    profile = PROFILES[hop.hardware]
    try:
        if hop.alpha is not None:
            return _computed(profile, hop, hop.alpha)
        return measured_hop(profile, hop.fibre_km, fidelity=hop.fidelity, rate_hz=hop.rate_hz)
    except Silent as silent:
        raise ValueError(f"{silent}: {ADVICE}") from silent


def _computed(profile: HardwareProfile, hop: HopGiven, alpha: float) -> Hop:
    if hop.fidelity is not None or hop.rate_hz is not None:
        raise ValueError("expected alpha, or fidelity and rate, found both")
    if profile.scheme != "single_click":
        raise ValueError(f"alpha is for single-click heralding, and profile {profile.name} is {profile.scheme}")
    found = clicks(profile, profile.scheme, hop.fibre_km * DB_PER_KM, alpha)
    return timed_hop(profile.scheme, hop.fibre_km, profile.attempt_s or 0.0, found, profile.duty_factor)
