"""The port of simulators: whoever can play some of these small scenarios, ours or anybody's.

A scenario is data: a few numbers with units and a seed, nothing of how it is to be simulated. A result gives each
figure of the scenario's kind, or says why it cannot: nothing is left out in silence. What a simulator takes for granted
beyond the scenario is an assumption and stands in the result.

Simulators are found by the entry points of group `quoit.simulators`; each names a `Factory`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

from quoit.engine.simulators.fields import need

GROUP = "quoit.simulators"
"""Of entry points."""

ISOLATIONS = ("in-process", "process")


class SimulatorFailed(Exception):
    """A simulator gave no result: it is not there, crashed, fell silent, was too slow, or broke the protocol.

    The text says which simulator, what it was doing, what happened, and what it last wrote to its standard error.
    """


@dataclass(frozen=True, slots=True)
class Pair:
    """Pairs over one link with a station in its middle, one memory at each end; a pair is consumed as it comes.

    An attempt succeeds with `bell_success` (detector 10^(-attenuation length / 20))^2: both photons are seen. From one
    attempt to the next pass `cycle_delays` one-way light times of the whole link at 2e8 m/s, and when a success is
    known both halves have been in memory for one of them. `fidelity` is that of the Werner state heralded; memories
    keep for ever. `duration_s` in simulated time, `shots`: repetitions, for those that have no clock
    and can only measure.
    """

    kind: ClassVar[str] = "pair"
    figures: ClassVar[tuple[str, ...]] = ("rate_hz", "fidelity", "error_z", "error_x")

    length_km: float
    fidelity: float
    duration_s: float
    attenuation_db_per_km: float = 0.2
    detector: float = 0.9
    bell_success: float = 0.5
    cycle_delays: float = 4.0
    shots: int = 100
    seed: int = 1

    def __post_init__(self) -> None:
        need(
            self, positive=("length_km", "duration_s", "cycle_delays", "shots"), not_negative=("attenuation_db_per_km",)
        )
        need(self, share=("detector", "bell_success"), werner=("fidelity",))


@dataclass(frozen=True, slots=True)
class Wait:
    """A Werner pair of `fidelity` waits for `wait_s`; in each memory X, Y and Z happen alike, `pauli_hz` in all."""

    kind: ClassVar[str] = "wait"
    figures: ClassVar[tuple[str, ...]] = ("fidelity", "error_z", "error_x")

    fidelity: float
    wait_s: float
    pauli_hz: float
    shots: int = 100
    seed: int = 1

    def __post_init__(self) -> None:
        need(self, positive=("shots",), not_negative=("wait_s", "pauli_hz"), werner=("fidelity",))


@dataclass(frozen=True, slots=True)
class SwapTwo:
    """Two Bell-diagonal pairs, `left` and `right` (probabilities of Phi+, Phi-, Psi+, Psi-), become one.

    The Bell measurement is a CNOT and an H between which and after which nothing waits; the CNOT is right with
    probability `gate`, else its qubits are maximally mixed; each of the two bits is read right with `readout`. The
    H is perfect. The ends' correction is perfect.
    """

    kind: ClassVar[str] = "swap"
    figures: ClassVar[tuple[str, ...]] = ("fidelity", "error_z", "error_x")

    left: tuple[float, float, float, float]
    right: tuple[float, float, float, float]
    gate: float = 1.0
    readout: float = 1.0
    shots: int = 100
    seed: int = 1

    def __post_init__(self) -> None:
        need(self, positive=("shots",), share=("gate", "readout"), bell=("left", "right"))


@dataclass(frozen=True, slots=True)
class Dejmps:
    """One round of DEJMPS (doi:10.1103/PhysRevLett.77.2818): the pair `kept` is purified by the pair `spent`.

    Both Bell-diagonal (Phi+, Phi-, Psi+, Psi-). Each end's CNOT is right with probability `gate`, else its qubits are
    maximally mixed; each bit is read right with `readout`; rotations are perfect.
    """

    kind: ClassVar[str] = "dejmps"
    figures: ClassVar[tuple[str, ...]] = ("success", "fidelity", "error_z", "error_x")

    kept: tuple[float, float, float, float]
    spent: tuple[float, float, float, float]
    gate: float = 1.0
    readout: float = 1.0
    shots: int = 100
    seed: int = 1

    def __post_init__(self) -> None:
        need(self, positive=("shots",), share=("gate", "readout"), bell=("kept", "spent"))


@dataclass(frozen=True, slots=True)
class Chain:
    """`hops` alike links (a power of two) in a row, swapped by nested doubling; pairs are consumed as they come.

    Links are as in `Pair`. Swaps are perfect. A swap that spans 2 d hops waits for a question and an answer over d
    hops before it, and its outcome travels d hops; the ends' pair is complete then. `pauli_hz` as in `Wait`.
    """

    kind: ClassVar[str] = "chain"
    figures: ClassVar[tuple[str, ...]] = ("rate_hz", "fidelity", "error_z", "error_x")

    hops: int
    hop_km: float
    fidelity: float
    duration_s: float
    pauli_hz: float = 0.0
    attenuation_db_per_km: float = 0.2
    detector: float = 0.9
    bell_success: float = 0.5
    cycle_delays: float = 4.0
    shots: int = 100
    seed: int = 1

    def __post_init__(self) -> None:
        need(self, positive=("hop_km", "duration_s", "cycle_delays", "shots"))
        need(self, not_negative=("attenuation_db_per_km", "pauli_hz"), share=("detector", "bell_success"))
        need(self, werner=("fidelity",))
        if self.hops < 2 or self.hops & (self.hops - 1):
            raise ValueError(f"hops: expected a power of two from 2 up, found {self.hops}")


@dataclass(frozen=True, slots=True)
class Bb84:
    """BB84 with weak coherent pulses over one fibre, without decoys, both bases alike; every sifted bit is counted.

    `clock_hz` pulses per second of `mean_photons`; `detector` is the efficiency of each of the receiver's two
    detectors of a basis, `dark_hz` their dark counts; `misalignment` the probability that a photon meets the wrong one
    of the two; no dead time. `duration_s` in simulated time, `shots`: pulses, for those that have no clock.
    """

    kind: ClassVar[str] = "bb84"
    figures: ClassVar[tuple[str, ...]] = ("sifted_hz", "qber")

    length_km: float
    duration_s: float
    attenuation_db_per_km: float = 0.2
    clock_hz: float = 1e6
    mean_photons: float = 0.1
    detector: float = 0.8
    dark_hz: float = 0.0
    misalignment: float = 0.0
    shots: int = 100
    seed: int = 1

    def __post_init__(self) -> None:
        need(self, positive=("length_km", "duration_s", "clock_hz", "mean_photons", "shots"))
        need(self, not_negative=("attenuation_db_per_km", "dark_hz"), share=("detector", "misalignment"))


@dataclass(frozen=True, slots=True)
class Ghz:
    """A GHZ state of `parties` at as many nodes, fused at the first one from Werner pairs with each of the others.

    Fusion: CNOT from the qubit that stays to the one that is read, a reading in Z, an X at the companion if it is 1;
    all perfect. `agree_z`: share of readings in Z that are alike at all parties. `parity_x`: mean product of the
    readings in X as +1 and -1. `shots`: repetitions.
    """

    kind: ClassVar[str] = "ghz"
    figures: ClassVar[tuple[str, ...]] = ("fidelity", "agree_z", "parity_x")

    parties: int
    fidelity: float
    shots: int = 100
    seed: int = 1

    def __post_init__(self) -> None:
        need(self, positive=("shots",), werner=("fidelity",))
        if not 3 <= self.parties <= 6:
            raise ValueError(f"parties: expected 3 to 6, found {self.parties}")


@dataclass(frozen=True, slots=True)
class Teleport:
    """The state RZ(`azimuth_rad`) RY(`polar_rad`) |0> is teleported over a Werner pair of `fidelity`.

    `state_fidelity`: of what arrives, corrected, with what was sent; the mean over outcomes. `shots`: repetitions.
    """

    kind: ClassVar[str] = "teleport"
    figures: ClassVar[tuple[str, ...]] = ("state_fidelity",)

    fidelity: float
    polar_rad: float = 1.0
    azimuth_rad: float = 0.5
    shots: int = 100
    seed: int = 1

    def __post_init__(self) -> None:
        need(self, positive=("shots",), finite=("polar_rad", "azimuth_rad"), werner=("fidelity",))


Scenario = Pair | Wait | SwapTwo | Dejmps | Chain | Bb84 | Ghz | Teleport

KINDS: Mapping[str, type[Scenario]] = MappingProxyType(
    {each.kind: each for each in (Pair, Wait, SwapTwo, Dejmps, Chain, Bb84, Ghz, Teleport)}
)
"""Scenarios by the name of their kind."""


def as_data(scenario: Scenario) -> dict[str, Any]:
    """The scenario as a worker gets it: its fields, and `kind`."""
    return {"kind": scenario.kind, **dataclasses.asdict(scenario)}


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a simulator is and can do.

    `formalisms` and `operations` in its own words; `scenarios` are names of `KINDS` that it can play at least in part.
    `deterministic`: the same scenario gives the same result. `clock`: it has simulated time, hence rates.
    `isolation`: "in-process", or "process" for one in a process of its own.
    """

    simulator: str
    version: str
    formalisms: tuple[str, ...]
    operations: tuple[str, ...]
    scenarios: tuple[str, ...]
    deterministic: bool
    clock: bool
    isolation: str

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.scenarios) - set(KINDS)):
            raise ValueError(f"scenarios: expected kinds of {', '.join(KINDS)}; found {', '.join(unknown)}")
        if self.isolation not in ISOLATIONS:
            raise ValueError(f"isolation: expected one of {', '.join(ISOLATIONS)}; found {self.isolation!r}")


@dataclass(frozen=True, slots=True)
class Figure:
    """A number and its standard error; 0 for one that was computed and not sampled.

    Of a share k/n the error is sqrt(p (1 - p) / n) at p = (k + 1)/(n + 2), since none of n seen is not proof of none.
    """

    value: float
    sigma: float = 0.0

    def __post_init__(self) -> None:
        if not isfinite(self.value) or not isfinite(self.sigma) or self.sigma < 0:
            raise ValueError(f"expected a finite value and a standard error >= 0, found {self.value} and {self.sigma}")


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a scenario: each figure of its kind is in `figures`, or in `missing` with the reason.

    `version` is the simulator's own. ValueError for a figure that is in neither, in both, or of another kind.
    """

    simulator: str
    version: str
    kind: str
    figures: Mapping[str, Figure] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind: expected one of {', '.join(KINDS)}; found {self.kind!r}")
        expected = set(KINDS[self.kind].figures)
        given, refused = set(self.figures), set(self.missing)
        if given | refused != expected or given & refused:
            raise ValueError(
                f"{self.kind}: expected each of {', '.join(sorted(expected))} either as a figure or as missing; "
                f"found figures {', '.join(sorted(given)) or '-'} and missing {', '.join(sorted(refused)) or '-'}"
            )
        if empty := sorted(name for name, reason in self.missing.items() if not reason.strip()):
            raise ValueError(f"{self.kind}: expected a reason for each missing figure, found none for {empty}")


class Simulator(Protocol):
    """Something that plays scenarios."""

    @property
    def capabilities(self) -> Capabilities:
        """What it is and can do. SimulatorFailed if it cannot be asked."""
        ...

    def play(self, scenario: Scenario, within_s: float) -> Result:
        """Play one scenario. SimulatorFailed if there is no result within so many seconds of wall-clock time, or
        none ever; the simulator may be used again after it. A simulator that shares our process cannot be stopped
        and keeps no deadline."""
        ...

    def close(self) -> None:
        """End its processes, if it has any. May be called more than once."""
        ...


Factory = Callable[[Path], Simulator]
"""What an entry point names: gives a simulator, whose environment, if it needs one, is in this directory by its name.

Making one starts nothing; SimulatorFailed comes from its use."""
