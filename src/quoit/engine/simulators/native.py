"""Our own simulator behind the port: the ledger for single states, the pair machine for pairs over time, the sampler
of BB84 links for keys. In this process, deterministic, and the one that others are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import version
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quoit.engine.kernels.machine import Delivered, PairMachine
from quoit.engine.ledger import Ledger, Node
from quoit.engine.links.bb84 import Bb84Sampler, Optics
from quoit.engine.links.sampler import Channel
from quoit.engine.primitives import PRIMITIVES
from quoit.engine.program import Circuit, Decay, Hop, Swap, werner_state
from quoit.engine.program import Node as Station
from quoit.engine.simulators.port import (
    KINDS,
    Bb84,
    Capabilities,
    Chain,
    Dejmps,
    Figure,
    Ghz,
    Pair,
    Result,
    Scenario,
    SwapTwo,
    Teleport,
    Wait,
)
from quoit.engine.states import bell
from quoit.engine.states.bell import Bell4
from quoit.engine.states.device import DeviceNoise
from quoit.engine.states.forms import Formalism
from quoit.engine.states.memory import MemoryNoise
from quoit.runtime import seeds

LIGHT_KM_PER_S = 2e5
BATCHES = 32
"""Of a run's time: standard errors of rates and means come from the scatter of so many parts."""

Figures = dict[str, Figure]


class _NothingToTellError(Exception):
    """Why a scenario gives no figures."""


class NativeSimulator:
    """`Simulator` in this process. `environments` is not needed; the entry point's signature has it."""

    def __init__(self, environments: Path | None = None) -> None:
        self._version = version("quoit")

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            "native",
            self._version,
            formalisms=tuple(Formalism),
            operations=tuple(PRIMITIVES),
            scenarios=tuple(KINDS),
            deterministic=True,
            clock=True,
            isolation="in-process",
        )

    def play(self, scenario: Scenario, within_s: float) -> Result:
        """See `Simulator.play`. It answers in seconds and keeps no deadline."""
        figures, missing = {}, {}
        try:
            figures = _PLAYS[scenario.kind](scenario)
        except _NothingToTellError as why:
            missing = dict.fromkeys(scenario.figures, str(why))
        return Result("native", self._version, scenario.kind, figures, missing, _ASSUMPTIONS.get(scenario.kind, ()))

    def close(self) -> None:
        """Nothing to end."""


# --- single states, in the ledger -----------------------------------------------------------------------------------


def _of_pair(pair: Bell4) -> Figures:
    phi_plus, phi_minus, psi_plus, psi_minus = pair
    return {
        "fidelity": Figure(phi_plus),
        "error_z": Figure(psi_plus + psi_minus),
        "error_x": Figure(phi_minus + psi_minus),
    }


def _ledger(scenario: Scenario, nodes: Mapping[str, Node]) -> Ledger:
    return Ledger(seeds.generator(getattr(scenario, "seed", 1), "simulator", scenario.kind), nodes)


def _pair_in(ledger: Ledger, state: int) -> Bell4:
    pair = ledger.observe(state, 0).bell
    assert pair is not None
    return pair


def _wait(scenario: Wait) -> Figures:
    memory = MemoryNoise(pauli_hz=(scenario.pauli_hz / 3,) * 3)
    ledger = _ledger(scenario, {"a": Node(memory), "b": Node(memory)})
    made = ledger.herald([("a", 0), ("b", 0)], bell.werner(scenario.fidelity), 0)
    pair = ledger.observe(made.state, round(scenario.wait_s * 1e9)).bell
    assert pair is not None
    return _of_pair(pair)


def _swap(scenario: SwapTwo) -> Figures:
    device = DeviceNoise(p2=scenario.gate, readout=scenario.readout)
    ledger = _ledger(scenario, {"m": Node(device=device)})
    ledger.herald([("a", 0), ("m", 0)], scenario.left, 0)
    ledger.herald([("m", 1), ("b", 0)], scenario.right, 0)
    done = ledger.bell_measure(("m", 0), ("m", 1), 0)
    ledger.correct(("b", 0), done.pauli, 0)
    return _of_pair(_pair_in(ledger, done.state))


def _dejmps(scenario: Dejmps) -> Figures:
    """The closed form of the ledger's row: a ledger would tell the probability of success by its draws alone."""
    agree = scenario.readout**2 + (1 - scenario.readout) ** 2
    found = bell.dejmps(scenario.kept, scenario.spent, bell.PurifyNoise(p2=scenario.gate**2, agree=agree))
    if found.success == 0:
        raise _NothingToTellError("these pairs never succeed")
    return {"success": Figure(found.success), **_of_pair(found.kept)}


def share(found: int, of: int) -> Figure:
    """A share and its standard error; see `Figure`."""
    p = (found + 1) / (of + 2)
    return Figure(found / of, sqrt(p * (1 - p) / of))


def _ghz(scenario: Ghz) -> Figures:
    ledger = _ledger(scenario, {})
    ends = [("hub", 1)]
    for k in range(1, scenario.parties):
        slot = (f"leaf-{k}", 0)
        ledger.herald([("hub", k), slot], bell.werner(scenario.fidelity), 0)
        if k > 1 and ledger.fuse(("hub", 1), ("hub", k), 0).bits == (1,):
            ledger.correct(slot, "X", 0)
        ends.append(slot)
    state = ledger.state_in(ends[0])
    assert state is not None
    rho = ledger.observe(state, 0).matrix
    assert rho is not None
    last = len(rho) - 1
    return {
        "fidelity": Figure(float((rho[0, 0] + rho[last, last] + rho[0, last] + rho[last, 0]).real / 2)),
        "agree_z": Figure(float((rho[0, 0] + rho[last, last]).real)),
        # The product of all X takes |k> to |last - k>.
        "parity_x": Figure(float(sum(rho[k, last - k].real for k in range(last + 1)))),
    }


def _teleport(scenario: Teleport) -> Figures:
    ledger = _ledger(scenario, {})
    ledger.init(("a", 0), 0)
    ledger.gate("RY", ("a", 0), 0, angle_rad=scenario.polar_rad)
    ledger.gate("RZ", ("a", 0), 0, angle_rad=scenario.azimuth_rad)
    ledger.herald([("a", 1), ("b", 0)], bell.werner(scenario.fidelity), 0)
    done = ledger.bell_measure(("a", 0), ("a", 1), 0)
    ledger.correct(("b", 0), done.pauli, 0)
    rho = ledger.observe(done.state, 0).matrix
    assert rho is not None
    half = scenario.polar_rad / 2
    sent = np.array([np.cos(half), np.exp(1j * scenario.azimuth_rad) * np.sin(half)])
    return {"state_fidelity": Figure(float((sent.conj() @ rho @ sent).real))}


# --- pairs over time, in the pair machine ---------------------------------------------------------------------------


def _pair(scenario: Pair) -> Figures:
    hop = _hop(scenario, scenario.length_km)
    return _run(Circuit((Station(), Station()), (hop,)), scenario.duration_s, scenario.seed)


def _chain(scenario: Chain) -> Figures:
    hop = _hop(scenario, scenario.hop_km)
    decay = Decay.pauli(scenario.pauli_hz)
    inner = [Station(decay, _doubling(k, hop.light_ns)) for k in range(1, scenario.hops)]
    circuit = Circuit((Station(decay), *inner, Station(decay)), (hop,) * scenario.hops)
    return _run(circuit, scenario.duration_s, scenario.seed)


def _hop(scenario: Pair | Chain, length_km: float) -> Hop:
    photon = scenario.detector * 10 ** (-scenario.attenuation_db_per_km * length_km / 20)
    light_ns = length_km / LIGHT_KM_PER_S * 1e9
    state = werner_state(scenario.fidelity)
    success, cycle_ns = scenario.bell_success * photon**2, round(scenario.cycle_delays * light_ns)
    # Half way the photon, half way the herald.
    return Hop(round(light_ns), success, cycle_ns, state, stored_ns=round(light_ns))


def _doubling(k: int, light_ns: int) -> Swap:
    """Node k joins what its lower neighbours of the same level have joined; question and answer go before."""
    reach = k & -k
    return Swap(k - reach, k + reach, wait_ns=2 * reach * light_ns)


def _run(circuit: Circuit, duration_s: float, seed: int) -> Figures:
    machine = PairMachine([circuit], _streams(seed), compiled=False)
    found = machine.run(round(duration_s * 1e9))
    return _over_time(found, duration_s)


def _streams(seed: int) -> Callable[[str, int], np.random.Generator]:
    return lambda purpose, number: seeds.generator(seed, f"simulator-{number}", purpose)


def _over_time(found: Delivered, duration_s: float) -> Figures:
    """Rate, and means over the pairs delivered. Correlations in time are in the errors, by batches."""
    edges = np.linspace(0, duration_s * 1e9, BATCHES + 1)
    batch = np.clip(np.searchsorted(edges, found.at_ns, side="right") - 1, 0, BATCHES - 1)
    counts = np.bincount(batch, minlength=BATCHES)
    if counts.min() < 2:
        raise _NothingToTellError(f"{len(found)} pairs were delivered, too few for a standard error")
    rate = len(found) / duration_s
    figures = {"rate_hz": Figure(rate, float(rate * counts.std(ddof=1) / counts.mean() / sqrt(BATCHES)))}
    x, _, z = found.state.T
    for name, values in (("fidelity", found.fidelity), ("error_z", (1 - z) / 2), ("error_x", (1 - x) / 2)):
        figures[name] = _mean(values, batch, counts)
    return figures


def _mean(values: NDArray[np.float64], batch: NDArray[np.int64], counts: NDArray[np.int64]) -> Figure:
    means = np.bincount(batch, weights=values, minlength=BATCHES) / counts
    spread = float(np.ptp(values))
    # All alike: computed, not sampled, up to rounding.
    return Figure(float(values.mean()), 0.0 if spread < 1e-12 else float(means.std(ddof=1) / sqrt(BATCHES)))


# --- keys -----------------------------------------------------------------------------------------------------------


def _bb84(scenario: Bb84) -> Figures:
    optics = Optics(
        source_rate_hz=scenario.clock_hz,
        mu=(scenario.mean_photons,),
        p_intensity=(1.0,),
        p_z_sender=0.5,
        p_z_receiver=0.5,
        receiver_eta=scenario.detector,
        p_dark=min(1.0, scenario.dark_hz / scenario.clock_hz),
        misalignment=scenario.misalignment,
    )
    channel = Channel(scenario.attenuation_db_per_km * scenario.length_km)
    rng = seeds.generator(scenario.seed, "simulator", scenario.kind)
    n_z, m_z, n_x, m_x = (int(n) for n in Bb84Sampler(optics).draw(channel, scenario.duration_s, 1, rng)[0, :4])
    sifted, wrong = n_z + n_x, m_z + m_x
    if not sifted:
        raise _NothingToTellError("no bit was sifted in the scenario's time")
    return {
        "sifted_hz": Figure(sifted / scenario.duration_s, sqrt(sifted) / scenario.duration_s),
        "qber": share(wrong, sifted),
    }


_PLAYS: Mapping[str, Callable[[Any], Figures]] = {
    "pair": _pair,
    "wait": _wait,
    "swap": _swap,
    "dejmps": _dejmps,
    "chain": _chain,
    "bb84": _bb84,
    "ghz": _ghz,
    "teleport": _teleport,
}

_ASSUMPTIONS: Mapping[str, tuple[str, ...]] = {
    "bb84": ("counts of the whole run are drawn from their distribution, not pulse by pulse",),
}
