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

import numpy as np

from quoit.engine.equipment import SCHEMES, Heralded, NodeModel, Silent, clicks, measured_hop, node_model, timed_hop
from quoit.engine.hardware import PROFILES, HardwareProfile
from quoit.engine.kernels.machine import Counts, Delivered, PairMachine, can_compile
from quoit.engine.physics.bell_pairs import bell_diagonal_key, werner
from quoit.engine.program import Circuit, Hop, Node, Swap, pair_of
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
    model = _node(chain, profile)
    end = Node(model.decay, attempt_loss=model.attempt_loss)
    if chain.hops == 1:
        return Circuit((end, end), (hop,), chain.width, chain.pairs)
    rule = Swap(wait_ns=chain.swap.time_ns, success=chain.swap.success, noise=model.swap_noise)
    inner = Node(model.decay, rule, chain.cutoff_ns, model.attempt_loss)
    nodes = (end, *(inner,) * (chain.hops - 1), end)
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
    try:
        hop = _link(chain, profile)
    except Silent as silent:
        raise ValueError(f"{silent}; add it under hardware, or success and fidelity as they are measured") from silent
    mean_s = hop.cycle_ns / NS_PER_S / hop.success
    if mean_s > LONGEST_WAIT_S:
        raise ValueError(f"a hop of {chain.length_km:g} km makes a pair in {mean_s:.1g} s: shorten it")
    return hop


def _link(chain: Chain, profile: HardwareProfile) -> Hop:
    """As told, from devices, or as measured, in this order."""
    hardware, scheme = chain.hardware, profile.scheme
    if hardware.success is not None and hardware.fidelity is not None:
        found = Heralded(hardware.success, werner(hardware.fidelity))
        scheme = scheme if scheme in SCHEMES else "double_click"
    elif _has_devices(profile):
        found = clicks(profile, scheme, chain.length_km * chain.attenuation_db_per_km, hardware.bright)
    elif profile.name:
        return measured_hop(profile, chain.length_km)
    else:
        raise Silent("hardware", ("success", "fidelity"))
    if profile.attempt_s is None:
        raise Silent(f"profile {profile.name}" if profile.name else "hardware", ("attempt",))
    return timed_hop(scheme, chain.length_km, profile.attempt_s, found, profile.duty_factor)


def _has_devices(profile: HardwareProfile) -> bool:
    """Whether devices' numbers are meant, and not a measured outcome."""
    numbers = (profile.p_detection, profile.dark_per_window, profile.visibility)
    known = sum(number is not None for number in numbers)
    return profile.scheme in ("single_click", "double_click") and (known == 3 or (known > 0 and not profile.p_success))


def _node(chain: Chain, profile: HardwareProfile) -> NodeModel:
    """Every node of the chain. An end swaps nothing, so a chain of one hop has no need to know its gates."""
    if chain.t2_ns is None and profile.memory_t2_s is None:
        whose = f"profile {profile.name} does not say how long a memory keeps coherence" if profile.name else "missing"
        raise ValueError(f"t2: {whose}; add t2, such as '1 s', to the chain")
    rule, ideal = chain.swap, None if profile.name and chain.hops > 1 else 1.0
    t1_s, t2_s = (None if ns is None else ns / NS_PER_S for ns in (chain.t1_ns, chain.t2_ns))
    gate = _first(rule.gate, profile.gate_p2, ideal)
    readout = _first(rule.readout, profile.readout, ideal)
    try:
        return node_model(profile, t1_s=t1_s, t2_s=t2_s, gate=gate, readout=readout)
    except Silent as silent:
        raise ValueError(f"swap: {silent}; add it under swap") from silent


def _first(*values: float | None) -> float | None:
    """The first that somebody said."""
    return next((value for value in values if value is not None), None)


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
    x, y, z = (float(mean) for mean in state.mean(axis=0))
    pair = pair_of((x, y, z))
    rate = found["rate_hz"]
    assert rate is not None
    return found | {
        "fidelity": float((1 + state.sum(axis=1).mean()) / 4),
        "age_s": float(ages.mean()) / NS_PER_S,
        "secret_bps": rate * bell_diagonal_key(pair).bb84,
    }
