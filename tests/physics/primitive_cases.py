"""Every row of the table of primitives with something to act on, and the exact law of what comes of it.

`law` follows all branches of an effect: its generator hands out numbers that note what they are compared with, so each
branch is entered once and its probability is known exactly. The formalisms and the other library are then compared as
whole distributions of (bits, state given the bits), with nothing left to chance.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import pi
from typing import Any, cast

import numpy as np

from quoit.engine.primitives import PRIMITIVES, Call, Effect, Primitive
from quoit.engine.states import density as dm
from quoit.engine.states.device import DeviceNoise
from quoit.engine.states.forms import BellForm, DensityForm, Form
from quoit.engine.states.memory import MemoryNoise

Law = dict[tuple[tuple[int, ...], bool], tuple[float, np.ndarray]]
"""By (bits, ok): probability, and density matrix of the remaining qubits in ascending order of their old numbers."""


class _Probe(float):
    """A random number that tells what it is compared with."""

    seen: set[float]
    scale: float

    @classmethod
    def at(cls, value: float, seen: set[float], scale: float = 1.0) -> _Probe:
        made = cls(value)
        made.seen, made.scale = seen, scale
        return made

    def __lt__(self, bound: float) -> bool:
        self.seen.add(float(bound) / self.scale)
        return float(self) < float(bound)

    def __ge__(self, bound: float) -> bool:
        return not self < bound

    def __mul__(self, factor: float) -> _Probe:
        return _Probe.at(float(self) * float(factor), self.seen, self.scale * float(factor))


class _Script:
    """A generator that replays choices, and tells of the first one that is not given: its kind and its bounds."""

    def __init__(self, choices: list[float]) -> None:
        self._choices = choices
        self._next = 0
        self.open: int | set[float] | None = None

    def random(self) -> float:
        known, value = self._advance()
        seen: set[float] = set()
        if not known and self.open is None:
            self.open = seen
        return _Probe.at(value, seen)

    def integers(self, high: int) -> int:
        known, value = self._advance()
        if not known and self.open is None:
            self.open = high
        return int(value)

    def _advance(self) -> tuple[bool, float]:
        known = self._next < len(self._choices)
        value = self._choices[self._next] if known else 0.0
        self._next += 1
        return known, value


def _branches(
    run: Callable[[_Script], Any], choices: list[float], opened: int | set[float]
) -> list[tuple[float, float]]:
    """(value, probability) of each branch of the next choice."""
    if isinstance(opened, int):
        return [(float(k), 1 / opened) for k in range(opened)]
    bounds = {0.0, 1.0} | {b for b in opened if 0 < b < 1}
    while True:
        edges = sorted(bounds)
        found: set[float] = set()
        for low, high in itertools.pairwise(edges):
            probe: set[float] = set()
            script = _Script([*choices, (low + high) / 2])
            # the number is looked at again, so that bounds behind the first one show up too
            original = script.random

            def random(script: _Script = script, original: Any = original, probe: set[float] = probe) -> float:
                place = script._next
                value = original()
                if place == len(choices):
                    value.seen = probe
                return value

            script.random = random  # type: ignore[method-assign]
            run(script)
            found |= {b for b in probe if 0 < b < 1}
        if found <= bounds:
            return [((a + b) / 2, b - a) for a, b in itertools.pairwise(edges) if b - a > 1e-15]
        bounds |= found


@dataclass(frozen=True)
class Case:
    """A row with arguments. `qubits`: which ones of the four of two pairs it acts on. `held`: qubits the state has."""

    row: Primitive
    values: Mapping[str, Any]
    qubits: tuple[int, ...]
    devices: tuple[DeviceNoise, ...]
    held: int

    @property
    def name(self) -> str:
        shown = ",".join(f"{key}={value}" for key, value in self.values.items() if key not in ("memory", "state"))
        if "memory" in self.values:
            memory = self.values["memory"]
            shown += f",T1={memory.t1_s},T2={memory.t2_s},pauli={memory.pauli_hz},tau={memory.werner_tau_s}"
        return f"{self.row.name}({shown}){list(self.qubits)}"

    def perfect(self) -> Case:
        """The same with devices that make no error."""
        return replace(self, devices=tuple(DeviceNoise() for _ in self.devices))


def law(case: Case, form: Form | None) -> Law:
    """The distribution of the case's outcomes on a form."""
    found: Law = {}

    def run(script: _Script) -> Effect:
        return case.row.run(form, case.qubits, Call(case.devices, case.values, cast(np.random.Generator, script)))

    def explore(choices: list[float], weight: float) -> None:
        script = _Script(choices)
        effect = run(script)
        if script.open is None:
            key = (effect.bits, effect.ok)
            before, sum_before = found.get(key, (0.0, 0.0))
            found[key] = (before + weight, sum_before + weight * _matrix(effect))
            return
        for value, probability in _branches(run, choices, script.open):
            explore([*choices, value], weight * probability)

    explore([], 1.0)
    return {key: (weight, total / weight) for key, (weight, total) in found.items()}


def _matrix(effect: Effect) -> np.ndarray:
    if effect.form is None or effect.form.size == 0:
        return np.ones((1, 1))
    return dm.permute(effect.form.matrix(), list(np.argsort(effect.left)))


def assert_same(one: Law, other: Law, what: str) -> None:
    """Probabilities and states to 1e-9."""
    likely = [{key for key, (p, _) in law.items() if p > 1e-12} for law in (one, other)]
    assert likely[0] == likely[1], what
    for key in likely[0]:
        (p, rho), (q, sigma) = one[key], other[key]
        assert abs(p - q) <= 1e-9, f"{what}: probability of {key}: {p} and {q}"
        assert np.abs(rho - sigma).max() <= 1e-9, f"{what}: state given {key}"


A = DeviceNoise(p1=0.9, p2=0.85, readout=0.93)
B = DeviceNoise(p1=0.8, p2=0.95, readout=0.88)
LOSSY = replace(A, bell_success=0.45)
PAIRS = ((0.71, 0.13, 0.09, 0.07), (0.62, 0.05, 0.08, 0.25))
MEMORIES = (
    MemoryNoise.relaxation(0.1, 0.05),
    MemoryNoise.relaxation(0.1, 0.05, twirled=True),
    MemoryNoise.total_pauli(0.2),
    MemoryNoise.werner(0.1),
    MemoryNoise(t2_s=0.03, pauli_hz=(1.0, 2.0, 3.0), decay_per_attempt=1 / 300),
    MemoryNoise(t1_s=0.08, t2_s=0.06, pauli_hz=(0.3, 2.0, 1.0), werner_tau_s=0.5, decay_per_attempt=1 / 300),
)


def _values_of(row: Primitive) -> list[dict[str, Any]]:
    if row.gate is not None and row.gate.turns:
        return [{"angle_rad": angle} for angle in (0.7, pi / 2, -pi / 2, pi, 2 * pi)]
    if row.name == "measure":
        return [{"basis": basis} for basis in ("X", "Y", "Z", (0.7, 0.3), (pi / 2, pi))]
    if row.name == "correct":
        return [{"pauli": pauli} for pauli in "IXYZ"]
    if row.name == "wait":
        return [{"memory": memory, "elapsed_ns": 17_000_000, "attempts": 40} for memory in MEMORIES]
    return [{}]


def acting() -> list[Case]:
    """All rows that act on qubits of a state, with several arguments and places each."""
    cases = []
    for row in PRIMITIVES.values():
        for values in _values_of(row):
            if row.qubits == 1:
                cases += [Case(row, values, (q,), (A,), 2) for q in (0, 1)]
            elif row.qubits == 2:
                cases += [Case(row, values, pair, (A, A), 4) for pair in ((1, 2), (3, 0), (2, 1))]
                if row.name == "bell-measure":
                    cases += [Case(row, values, (1, 2), (LOSSY, LOSSY), 4), Case(row, values, (0, 1), (A, A), 4)]
            elif row.qubits == 4:
                cases += [Case(row, values, places, (A, B, A, B), 4) for places in ((0, 1, 2, 3), (3, 2, 0, 1))]
    return cases


def pairs(case: Case, vectors: tuple[Any, ...] = PAIRS) -> BellForm:
    """Bell-diagonal pairs for the case to act on."""
    return BellForm(vectors[: case.held // 2])


def anything(case: Case, seed: int = 7) -> DensityForm:
    """A state of no symmetry at all for the case to act on."""
    rng = np.random.default_rng(seed)
    shape = (2**case.held,) * 2
    root = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    rho = root @ root.conj().T
    return DensityForm(rho / np.trace(rho).real)
