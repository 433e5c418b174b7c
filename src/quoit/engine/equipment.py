"""From hardware to what programs run on: a node's memories and gates, an elementary link's attempts.

Each number is given by whoever describes the node or the link, else it is as published, else it is a fault: of named
hardware nothing is made up. Links come about in one of four ways: as told, computed from devices by the closed forms of
`heralding`, from a source of pairs or photons, or as a whole set-up was measured, over no more fibre than was shown.

Approximations, each to the link's disadvantage: devices' time and light's way follow each other; a share of time that
goes to cooling or checks stretches every attempt alike; both halves are in memory for as long as the one that is there
first; both memories wait for a word from the other end before they try again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, expm1, inf
from typing import TypeVar

from quoit.engine.hardware import HardwareProfile
from quoit.engine.physics.bell_pairs import BellDiagonal, depolarised, swap_noise, werner
from quoit.engine.physics.fibre import delay_s
from quoit.engine.physics.heralding import (
    attempt_time_s,
    double_click,
    midpoint_source,
    sender_receiver,
    single_click,
)
from quoit.engine.program import Decay, Hop, State, state_of
from quoit.engine.states.device import DeviceNoise
from quoit.engine.states.memory import MemoryNoise

NS_PER_S = 10**9
T = TypeVar("T")
Otherwise = TypeVar("Otherwise")


class Silent(ValueError):
    """Numbers that neither the description nor the published hardware says; `missing` names them."""

    def __init__(self, whose: str, missing: tuple[str, ...]) -> None:
        super().__init__(f"{whose} does not say {', '.join(missing)}")
        self.missing = missing


# -- nodes ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NodeModel:
    """A node's memories and gates, every number settled. `gate`: probability that a two-qubit gate is ideal;
    `readout`: that a result is right. `attempts_1e`: attempts of the node that leave 1/e of a stored qubit's coherence,
    None where they do it no harm."""

    t1_s: float
    t2_s: float
    gate: float
    readout: float
    attempts_1e: float | None = None

    @property
    def decay(self) -> Decay:
        """ProgramFault unless 0 < T2 <= 2 T1."""
        return Decay.t1_t2(self.t1_s, self.t2_s)

    @property
    def attempt_loss(self) -> float:
        """Each attempt of the node multiplies its stored qubits' coherence by exp(-this)."""
        return 0.0 if self.attempts_1e is None else 1 / self.attempts_1e

    @property
    def swap_noise(self) -> float:
        """Factor on a pair's eigenvalues at each swap."""
        return swap_noise(self.gate, self.readout)

    @property
    def memory(self) -> MemoryNoise:
        """As the ledger has it. Relaxation as its Pauli twirl, which is what pairs in the machine have too."""
        return MemoryNoise(t1_s=self.t1_s, t2_s=self.t2_s, decay_per_attempt=self.attempt_loss, twirled=True)

    def device(self, gate_ns: int, readout_ns: int) -> DeviceNoise:
        """The same of its gates and readout, with their durations."""
        return DeviceNoise(
            p2=self.gate, readout=self.readout, gate1_ns=gate_ns, gate2_ns=gate_ns, readout_ns=readout_ns
        )


def node_model(
    profile: HardwareProfile | None,
    *,
    t1_s: float | None = None,
    t2_s: float | None = None,
    gate: float | None = None,
    readout: float | None = None,
) -> NodeModel:
    """A node of this hardware; without hardware, what is not said has no fault. T1 that nobody says is infinite.

    Raises Silent for what the hardware's papers do not say either, ProgramFault for T2 > 2 T1.
    """
    t1_s = inf if t1_s is None else t1_s
    if profile is None:
        t2_s, gate, readout = _or(t2_s, 2 * t1_s), _or(gate, 1.0), _or(readout, 1.0)
    else:
        t2_s, gate, readout = _or(t2_s, profile.memory_t2_s), _or(gate, profile.gate_p2), _or(readout, profile.readout)
    needed = {"t2": t2_s, "gate": gate, "readout": readout}
    _need(profile, needed)
    assert t2_s is not None
    assert gate is not None
    assert readout is not None
    made = NodeModel(t1_s, t2_s, gate, readout, None if profile is None else profile.memory_attempts_1e)
    assert made.decay is not None  # checked here, where the caller expects faults
    return made


# -- elementary links -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scheme:
    """How pairs are heralded. `timing`: name of the scheme for `attempt_time_s`. `crossings`: how many times light
    crosses the whole hop before both ends know. `photons`: how many of the photons that halve the path with a station
    in its middle must arrive; one that crosses all of it counts as two."""

    timing: str
    crossings: int
    photons: int


SCHEMES: Mapping[str, Scheme] = {
    "single_click": Scheme("midpoint_bsm", 1, 1),
    "double_click": Scheme("midpoint_bsm", 1, 2),
    # The source's photons load both memories, which then tell each other.
    "midpoint_source": Scheme("midpoint_source", 1, 2),
    "sender_receiver": Scheme("sender_receiver", 2, 2),
    # One photon visits both nodes and the last detector's herald goes all the way back.
    "sequential": Scheme("sender_receiver", 2, 2),
}


@dataclass(frozen=True, slots=True)
class Heralded:
    """Success probability of an attempt, and the heralded pair as Phi+."""

    p_success: float
    pair: BellDiagonal

    @property
    def state(self) -> State:
        return state_of(self.pair)


@dataclass(frozen=True, slots=True)
class ExpectedLink:
    """Success probability per attempt, pairs per second of running time, and the heralded state as Phi+."""

    p_success: float
    rate_hz: float
    pair: BellDiagonal


def single_click_link(profile: HardwareProfile, alpha: float) -> ExpectedLink:
    """What two alike nodes of the profile deliver next to each other with the bright-state probability alpha.

    The state is twirled over Paulis and has the profile's extra white noise; waiting for the herald is not in it.
    Raises Silent.
    """
    _need(profile, {"attempt_s": profile.attempt_s})
    assert profile.attempt_s is not None
    found = clicks(profile, "single_click", 0.0, alpha)
    return ExpectedLink(found.p_success, found.p_success / profile.attempt_s * profile.duty_factor, found.pair)


def clicks(profile: HardwareProfile, scheme: str, loss_db: float, bright: float | None = None) -> Heralded:
    """Single or double click between alike nodes, half of the path's loss on either side of the station. `bright`:
    bright-state probability of both, for single click. Raises Silent."""
    needed = {name: getattr(profile, name) for name in ("p_detection", "dark_per_window", "visibility")}
    _need(profile, needed | ({"bright": bright} if scheme == "single_click" else {}))
    dark, visibility = needed["dark_per_window"], needed["visibility"]
    # A conversion that is part of p_detection already counts twice: worse than shown, never better.
    eta = needed["p_detection"] * _or(profile.conversion, 1.0) * 10 ** (-loss_db / 20)
    if scheme == "double_click":
        two = double_click(eta, eta, dark, visibility)
        return Heralded(two.p_success, depolarised(two.bell_diagonal, profile.extra_depol))
    assert bright is not None
    phase, double = profile.phase_rms_rad, profile.p_double_excitation
    one = single_click(bright, bright, eta, eta, dark, visibility, phase, double)
    return Heralded(one.p_success, depolarised(one.bell_diagonal(), profile.extra_depol))


def from_source(
    scheme: str, loss_db: float, *, emission: float, absorption: float, fidelity: float, dark: float = 0.0
) -> Heralded:
    """Memories that load photons: of a source in the middle, or one node's at the other one.

    `emission`: probability that an attempt sends a pair, or a photon, into the fibre; one at most, so what more there
    may be has to be in `fidelity`, which is of a stored pair. `absorption`: that a photon which arrives is stored and
    its memory says so; `dark`: that a memory says so of none. A false herald leaves white noise.
    """
    if scheme == "midpoint_source":
        arm = absorption * 10 ** (-loss_db / 20)
        genuine = midpoint_source(emission, arm, arm)
        said = emission * (arm + (1 - arm) * dark) ** 2 + (1 - emission) * dark**2
    else:
        genuine = sender_receiver(emission, 10 ** (-loss_db / 10), absorption)
        said = genuine + (1 - genuine) * dark
    return Heralded(said, depolarised(werner(fidelity), 1 - genuine / said))


def published_source(profile: HardwareProfile, fibre_km: float, window_s: float, absorption: float) -> Heralded:
    """Memories that load photons of a published source of pairs, whose pairs arrive at both ends as they were counted
    there: its fibre and detectors are in that number. `window_s`: for which memories listen in an attempt; a second
    pair in it leaves white noise. Raises Silent; ValueError for more fibre than was shown."""
    if profile.scheme != "pair_source":
        raise ValueError(f"profile {profile.name} is {profile.scheme} and no source of pairs: choose another")
    if fibre_km > profile.fibre_km:
        raise ValueError(
            f"profile {profile.name} was shown over {profile.fibre_km:g} km: expected at most that, found "
            f"{fibre_km:g} km"
        )
    _need(profile, {"rate": profile.pair_rate_hz, "fidelity": profile.pair_fidelity, "window": window_s or None})
    assert profile.pair_rate_hz is not None
    assert profile.pair_fidelity is not None
    mean = profile.pair_rate_hz * window_s
    some, one = -expm1(-mean), mean * exp(-mean)
    return Heralded(some * absorption**2, depolarised(werner(profile.pair_fidelity), 1 - one / some))


def timed_hop(scheme: str, fibre_km: float, attempt_s: float, found: Heralded, duty_factor: float = 1.0) -> Hop:
    """An elementary link whose attempts take the devices `attempt_s`, and light its way."""
    light_ns = _ns(delay_s(fibre_km))
    cycle_s = attempt_time_s(SCHEMES[scheme].timing, fibre_km, attempt_s) / duty_factor
    waits_ns = SCHEMES[scheme].crossings * light_ns
    # The photons' way and the news' way back: the half that is there first has been in memory all that time.
    return Hop(
        light_ns, found.p_success, max(_ns(cycle_s), waits_ns, 1), found.state, stored_ns=waits_ns, restart_ns=light_ns
    )


def measured_pair(profile: HardwareProfile, fibre_km: float, *, stored: bool = True) -> BellDiagonal:
    """A pair as it was measured over so much fibre, white: what was seen over less of it has the noise of all that was
    shown on top, whatever lies between. `stored`: it is in the memories that keep it; where another spin meets the
    photons, and pairs of these were measured, that is a gate at each node. Raises Silent."""
    _need(profile, {"fidelity": profile.pair_fidelity})
    assert profile.pair_fidelity is not None
    pair = werner(profile.pair_fidelity)
    if profile.pair_fibre_km is not None and fibre_km > profile.pair_fibre_km:
        pair = depolarised(pair, profile.extra_depol)
    if stored and profile.communication_t2_s is not None:
        pair = depolarised(pair, 1 - _or(profile.gate_p2, 1.0) ** 2)
    return pair


def measured_hop(
    profile: HardwareProfile,
    fibre_km: float,
    *,
    fidelity: float | None = None,
    rate_hz: float | None = None,
    stored: bool = True,
) -> Hop:
    """The link as the whole set-up was measured, or with these figures in their place. An attempt takes as long as it
    was said to, and light's way if that is longer. `stored`: as of `measured_pair`. ValueError for more fibre than was
    shown, unless both are given; for hardware without memories; for more than a pair an attempt. Raises Silent."""
    if profile.scheme not in SCHEMES:
        raise ValueError(f"profile {profile.name} has no memory to keep pairs in: choose another")
    if fibre_km > profile.fibre_km and (fidelity is None or rate_hz is None):
        raise ValueError(
            f"profile {profile.name} was shown over {profile.fibre_km:g} km: expected at most that, or fidelity and "
            f"rate for {fibre_km:g} km"
        )
    light_ns = _ns(delay_s(fibre_km))
    waits_ns = SCHEMES[profile.scheme].crossings * light_ns
    cycle_ns = max(_ns(profile.attempt_s or 0.0), waits_ns, 1)
    rate_hz = _or(rate_hz, profile.pair_rate_hz)
    success = None if rate_hz is None else rate_hz * cycle_ns / NS_PER_S
    if success is None and profile.p_success is not None and profile.attempt_s is not None:
        success, cycle_ns = profile.p_success, max(_ns(cycle_ns / NS_PER_S / profile.duty_factor), cycle_ns)
    _need(profile, {"fidelity": _or(fidelity, profile.pair_fidelity), "rate": success})
    assert success is not None
    if success > 1:
        raise ValueError(f"expected a rate below one pair an attempt ({1e9 / cycle_ns:.4g} Hz), found {rate_hz:g} Hz")
    # What was measured has the wait for the herald in it.
    pair = measured_pair(profile, fibre_km, stored=stored) if fidelity is None else werner(fidelity)
    return Hop(light_ns, success, cycle_ns, state_of(pair), restart_ns=light_ns)


def _need(profile: HardwareProfile | None, numbers: Mapping[str, object]) -> None:
    missing = tuple(name for name, value in numbers.items() if value is None)
    if missing:
        raise Silent(f"profile {profile.name}" if profile is not None and profile.name else "hardware", missing)


def _or(said: T | None, otherwise: Otherwise) -> T | Otherwise:
    return otherwise if said is None else said


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)
