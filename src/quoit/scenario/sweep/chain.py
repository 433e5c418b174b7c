"""A chain of entanglement from a sweep file: as a circuit for the pair machine, and the figures that come of it.

Approximations, each to the chain's disadvantage or named in docs/sweeps.md: a station half-way heralds, and an attempt
takes the devices' time and light's way to the station and back; both halves decay all that while; both memories wait
for a word from the other end before they try again; a duty factor below 1 stretches every cycle alike. A swap's gate
and readouts are one white-noise factor, exact for Werner pairs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from math import inf
from types import MappingProxyType
from typing import Any

import numpy as np

from quoit.engine.hardware import PROFILES, HardwareProfile
from quoit.engine.kernels.machine import Counts, Delivered, PairMachine, can_compile
from quoit.engine.physics import fibre
from quoit.engine.physics.bell_pairs import BellDiagonal, bell_diagonal_key, depolarised
from quoit.engine.physics.heralding import attempt_time_s, double_click, single_click
from quoit.engine.program import Circuit, Decay, Hop, Node, Swap, werner_state
from quoit.runtime import seeds
from quoit.scenario.sweep.schema import Chain, Hardware

NS_PER_S = 10**9
PLAIN_HERALDS = 500_000
"""Beyond so many heralded pairs a run is begun anew in compiled code: the same bits, and compiling costs a minute."""
LONGEST_WAIT_S = 10_000_000
"""Mean time to a pair of one hop, beyond which a run says so instead of counting centuries in ns."""
MAX_HERALDS = 200_000_000
"""A run that has not ended by then never may: its cut-off may leave no pair."""
LAST_NS = 3 * 10**18
"""As far as instants go in 64 bits, less a good deal."""
SLICE_NS = NS_PER_S // 10

FIGURES: Mapping[str, str] = MappingProxyType(
    {
        "rate_hz": "pairs delivered end to end per simulated second, from an empty start",
        "fidelity": "mean fidelity of delivered pairs as each half was handed over",
        "secret_bps": "rate times the asymptotic BB84 key fraction of the mean pair, sifting left out",
        "age_s": "mean time from the first part's entry into a memory to delivery",
        "delivered": "pairs",
        "elapsed_s": "simulated time",
        "attempts": "at all hops together",
        "heralds": "pairs of single hops",
        "swaps": "that succeeded",
        "expired": "qubits discarded by the cut-off",
    }
)
DEFAULT_FIGURES = ("rate_hz", "fidelity", "secret_bps")


class EndlessRun(ValueError):
    """The run would not deliver what it is to; says how far it came."""


# -- the circuit ------------------------------------------------------------------------------------------


def circuit(chain: Chain) -> Circuit:
    """What the machine runs. Raises ValueError (also as ProgramFault) for what no device could do, and for numbers
    that the profile does not say and the file neither."""
    profile = _profile(chain.hardware)
    hop = _hop(chain, profile)
    decay = _decay(chain, profile, None)
    if chain.hops == 1:
        return Circuit((Node(decay), Node(decay)), (hop,), chain.width, chain.pairs)
    rule = Swap(wait_ns=chain.swap.time_ns, success=chain.swap.success, noise=_swap_noise(chain, profile))
    inner = Node(_decay(chain, profile, hop.cycle_ns), rule, chain.cutoff_ns)
    nodes = (Node(decay), *(inner,) * (chain.hops - 1), Node(decay))
    return Circuit(nodes, (hop,) * chain.hops, chain.width, chain.pairs)


def _profile(hardware: Hardware) -> HardwareProfile:
    """The named profile with the file's numbers in their place; without a name, the file's alone."""
    if hardware.profile is None:
        base = HardwareProfile(name="", platform="", source="", scheme=hardware.scheme or "", fibre_km=inf)
    else:
        base = PROFILES[hardware.profile]
    fields = {field.name for field in dataclasses.fields(HardwareProfile)}
    given = {name: value for name, value in hardware.model_dump(exclude_none=True).items() if name in fields}
    if hardware.attempt_ns is not None:
        given["attempt_s"] = hardware.attempt_ns / NS_PER_S
    return dataclasses.replace(base, **{name: value for name, value in given.items() if name != "name"})


def _hop(chain: Chain, profile: HardwareProfile) -> Hop:
    hardware, needed = chain.hardware, {"attempt": profile.attempt_s}
    measured = profile.p_success or (
        profile.pair_rate_hz * profile.attempt_s / profile.duty_factor
        if profile.pair_rate_hz and profile.attempt_s
        else None
    )
    if hardware.success is not None and hardware.fidelity is not None:
        success, state = hardware.success, werner_state(hardware.fidelity)
    elif _has_devices(profile):
        _need(profile, needed | _device_numbers(hardware, profile))
        success, pair = _heralded(chain, profile)
        state = eigenvalues(pair)
    else:
        if profile.name and (measured is None or profile.pair_fidelity is None):
            _need(profile, needed | _device_numbers(hardware, profile))
        _need(profile, needed | {"success": measured, "fidelity": profile.pair_fidelity})
        assert measured is not None
        assert profile.pair_fidelity is not None
        success, state = measured, werner_state(profile.pair_fidelity)
        if chain.length_km > profile.fibre_km:
            raise ValueError(
                f"profile {profile.name} was measured over {profile.fibre_km:g} km and says nothing of longer links; "
                f"found {chain.length_km:g} km: shorten the hop, or give success and fidelity under hardware"
            )
    _need(profile, needed)
    assert profile.attempt_s is not None
    light = round(fibre.delay_s(chain.length_km) * NS_PER_S)
    cycle_s = attempt_time_s("midpoint_bsm", chain.length_km, profile.attempt_s) / profile.duty_factor
    cycle = max(1, light, round(cycle_s * NS_PER_S))
    if cycle_s / success > LONGEST_WAIT_S:
        raise ValueError(f"a hop of {chain.length_km:g} km makes a pair in {cycle_s / success:.1g} s: shorten it")
    return Hop(light, success, cycle, state, stored_ns=light, restart_ns=light)


def _has_devices(profile: HardwareProfile) -> bool:
    """Whether devices' numbers are meant, and not a measured outcome."""
    numbers = (profile.p_detection, profile.dark_per_window, profile.visibility)
    known = sum(number is not None for number in numbers)
    return profile.scheme in ("single_click", "double_click") and (known == 3 or (known > 0 and not profile.p_success))


def _device_numbers(hardware: Hardware, profile: HardwareProfile) -> dict[str, object]:
    numbers: dict[str, object] = {"scheme": profile.scheme or None}
    if profile.scheme == "single_click":
        numbers["bright"] = hardware.bright
    return numbers | {name: getattr(profile, name) for name in ("p_detection", "dark_per_window", "visibility")}


def _need(profile: HardwareProfile, numbers: Mapping[str, object]) -> None:
    missing = ", ".join(name for name, value in numbers.items() if value is None)
    if missing:
        whose = f"profile {profile.name} does not say" if profile.name else "hardware does not say"
        raise ValueError(f"{whose} {missing}; add it under hardware, or success and fidelity as they are measured")


def _heralded(chain: Chain, profile: HardwareProfile) -> tuple[float, BellDiagonal]:
    """Probability per attempt, and the pair with the heralded state as Phi+, by the closed form of the scheme."""
    dark, visibility = profile.dark_per_window, profile.visibility
    assert profile.p_detection is not None
    assert dark is not None
    assert visibility is not None
    # A conversion that is part of p_detection already counts twice: worse than shown, never better.
    arm = profile.p_detection * (1.0 if profile.conversion is None else profile.conversion)
    arm *= fibre.eta(chain.length_km / 2, chain.attenuation_db_per_km)
    if profile.scheme == "double_click":
        two = double_click(arm, arm, dark, visibility)
        return two.p_success, depolarised(two.bell_diagonal, profile.extra_depol)
    alpha = chain.hardware.bright
    assert alpha is not None
    phase, double = profile.phase_rms_rad, profile.p_double_excitation
    one = single_click(alpha, alpha, arm, arm, dark, visibility, phase, double)
    return one.p_success, depolarised(one.bell_diagonal(), profile.extra_depol)


def _decay(chain: Chain, profile: HardwareProfile, cycle_ns: int | None) -> Decay:
    """Of one memory. With `cycle_ns`, of a node that tries on one side while it holds a qubit of the other: each try
    costs coherence, and the qubit pays for one every cycle that it waits."""
    t2 = profile.memory_t2_s if chain.t2_ns is None else chain.t2_ns / NS_PER_S
    if t2 is None:
        whose = f"profile {profile.name} does not say how long a memory keeps coherence" if profile.name else "missing"
        raise ValueError(f"t2: {whose}; add t2, such as '1 s', to the chain")
    t1 = inf if chain.t1_ns is None else chain.t1_ns / NS_PER_S
    decay = Decay.t1_t2(t1, t2)
    if cycle_ns is None or profile.memory_attempts_1e is None:
        return decay
    tries_hz = NS_PER_S / (profile.memory_attempts_1e * cycle_ns)
    return dataclasses.replace(decay, x_hz=decay.x_hz + tries_hz, y_hz=decay.y_hz + tries_hz)


def _swap_noise(chain: Chain, profile: HardwareProfile) -> float:
    gate = profile.gate_p2 if chain.swap.gate is None else chain.swap.gate
    readout = profile.readout if chain.swap.readout is None else chain.swap.readout
    if profile.name and (gate is None or readout is None):
        missing = " and ".join(name for name, value in (("gate", gate), ("readout", readout)) if value is None)
        raise ValueError(f"swap: profile {profile.name} does not say {missing}; add it under swap")
    right = 1.0 if readout is None else readout
    # Fidelity 1/4 or less of what was white noise: a factor below 0 would be order again.
    return max(0.0, (1.0 if gate is None else gate) * (4 * right * right - 1) / 3)


def eigenvalues(pair: BellDiagonal) -> tuple[float, float, float]:
    """The correlators XX, -YY and ZZ of a pair: what the pair machine keeps of it."""
    i, z, x, y = pair
    return i + x - z - y, i + y - x - z, i + z - x - y


def bell_diagonal(state: Any) -> BellDiagonal:
    """The pair of these eigenvalues (x, y, z); rounding may leave no share below 0."""
    x, y, z = (float(value) for value in state)
    shares = (1 + x + y + z, 1 + z - x - y, 1 + x - y - z, 1 + y - x - z)
    return BellDiagonal(*(max(0.0, share / 4) for share in shares))


# -- a run ------------------------------------------------------------------------------------------------


def run(chain: Chain, seed: int) -> dict[str, float | int | None]:
    """All figures of one run; None where no pair was delivered. Raises ValueError as `circuit`, and EndlessRun."""
    program = circuit(chain)
    machine, rows = _ran(program, chain, seed, compiled=False)
    if machine is None:
        machine, rows = _ran(program, chain, seed, compiled=can_compile())
    assert machine is not None
    end_ns = machine.now_ns if chain.until_ns is not None else max(int(part.at_ns.max()) for part in rows if len(part))
    return _figures(rows, machine.counts(0), end_ns)


def _ran(program: Circuit, chain: Chain, seed: int, compiled: bool) -> tuple[PairMachine | None, list[Delivered]]:
    """The machine at its end and what it delivered; no machine if it is worth compiling first."""

    def rng(purpose: str, number: int) -> np.random.Generator:
        return seeds.generator(seed, f"chain {number}", purpose)

    machine = PairMachine([program], rng, compiled=compiled)
    rows: list[Delivered] = []
    step = SLICE_NS
    while True:
        until = machine.now_ns + step
        rows.append(machine.run(until if chain.until_ns is None else min(until, chain.until_ns)))
        done = machine.counts(0)
        if machine.now_ns == chain.until_ns or done.delivered == chain.pairs:
            return machine, rows
        if not compiled and done.heralds > PLAIN_HERALDS and can_compile():
            return None, []
        if chain.pairs is not None and (done.heralds > MAX_HERALDS or machine.now_ns > LAST_NS):
            raise EndlessRun(
                f"after {done.heralds} heralded pairs in {machine.now_ns / NS_PER_S:g} s of simulated time "
                f"{done.delivered} of {chain.pairs} were delivered and {done.expired} qubits discarded: give the "
                "chain a longer cutoff, or until instead of pairs"
            )
        step = _next_step(step, done.heralds, machine.now_ns)


def _next_step(step: int, heralds: int, now_ns: int) -> int:
    """Slices grow while little happens in them, so that a slow chain is not run in a million of them."""
    return min(2 * step, NS_PER_S * 10**6) if heralds * step < 10_000 * now_ns else step


def _figures(rows: list[Delivered], counts: Counts, end_ns: int) -> dict[str, float | int | None]:
    found: dict[str, float | int | None] = {
        "rate_hz": counts.delivered / (end_ns / NS_PER_S),
        "delivered": counts.delivered,
        "elapsed_s": end_ns / NS_PER_S,
        "attempts": counts.attempts,
        "heralds": counts.heralds,
        "swaps": counts.swaps,
        "expired": counts.expired,
    }
    if not counts.delivered:
        return found | {"fidelity": None, "age_s": None, "secret_bps": 0.0}
    state = np.concatenate([part.state for part in rows])
    ages = np.concatenate([part.at_ns - part.born_ns for part in rows])
    pair = bell_diagonal(state.mean(axis=0))
    rate = found["rate_hz"]
    assert rate is not None
    return found | {
        "fidelity": float((1 + state.sum(axis=1).mean()) / 4),
        "age_s": float(ages.mean()) / NS_PER_S,
        "secret_bps": rate * bell_diagonal_key(pair).bb84,
    }
