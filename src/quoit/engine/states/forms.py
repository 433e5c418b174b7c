"""One interface over the three formalisms, so that a ledger need not know which one holds a state.

A form is a value: methods return the form that follows and leave the old one as it was. What a formalism has no exact
form of raises `Unsupported`. Qubits are numbered from 0 within a form; those that are read or lost leave it, and `left`
tells which old number each remaining qubit had.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

import numpy as np

from quoit.engine.states import bell, stabilizer
from quoit.engine.states import density as dm
from quoit.engine.states.bell import Bell4, Direction
from quoit.engine.states.gates import Gate
from quoit.engine.states.memory import MemoryNoise
from quoit.engine.states.paulis import MATRICES, Matrix
from quoit.engine.states.refusal import Unsupported


class Formalism(StrEnum):
    """From the cheapest to the one that holds most qubits."""

    BELL = "bell"
    DENSITY = "density"
    STABILIZER = "stabilizer"


class Read(NamedTuple):
    """Outcome (a bit, or the number of a Bell state), what remains, and the old numbers of the remaining qubits."""

    value: int
    form: Form
    left: tuple[int, ...]


class Form(Protocol):
    """A state of `size` qubits."""

    @property
    def formalism(self) -> Formalism: ...

    @property
    def size(self) -> int: ...

    def join(self, other: Form) -> Form:
        """The product with `other`, of the same formalism, whose qubits come after."""
        ...

    def split(self) -> list[tuple[tuple[int, ...], Form]]:
        """Factors: the qubits of each, and its form, in the cheapest formalism that is exact."""
        ...

    def age(self, qubit: int, noise: MemoryNoise, elapsed_ns: int, attempts: int, rng: np.random.Generator) -> Form:
        """Storage of one qubit for a time, during so many attempts."""
        ...

    def pauli(self, qubit: int, which: int) -> Form:
        """Pauli number `which`, without noise."""
        ...

    def gate(self, gate: Gate, qubits: Sequence[int], angle: float) -> Form:
        """A gate without noise."""
        ...

    def depolarise(self, qubits: Sequence[int], right: float, rng: np.random.Generator) -> Form:
        """Left alone with probability `right`, else maximally mixed."""
        ...

    def measure(self, qubit: int, direction: Direction, readout: float, rng: np.random.Generator) -> Read:
        """Read a qubit, which leaves."""
        ...

    def bell_measure(self, a: int, b: int, noise: BellNoise, rng: np.random.Generator) -> Read:
        """Read two qubits in the Bell basis by CNOT from a to b, H on a and two readouts; both leave."""
        ...

    def drop(self, qubit: int, rng: np.random.Generator) -> tuple[Form, tuple[int, ...]]:
        """Lose a qubit: what remains, and `left`."""
        ...

    def matrix(self) -> Matrix:
        """As a density matrix; of a tableau, of this trajectory. Unsupported beyond eight qubits."""
        ...

    def tableau(self, rng: np.random.Generator) -> StabilizerForm:
        """As a tableau, drawn from the mixture. Unsupported where no tableau can hold it."""
        ...


class BellNoise(NamedTuple):
    """Of a Bell-state measurement: gates that are right with `p1`, `p2`, bits that are read right with `readout`."""

    p1: float = 1.0
    p2: float = 1.0
    readout: float = 1.0

    @property
    def errors(self) -> Bell4:
        """Distribution of found XOR true."""
        return bell.bell_measurement_errors(self.p1, self.p2, self.readout)


def _without(size: int, *gone: int) -> tuple[int, ...]:
    return tuple(q for q in range(size) if q not in gone)


class BellForm:
    """Pairs, Bell-diagonal and independent of each other: qubits 2k and 2k+1 are the halves of pair k."""

    formalism = Formalism.BELL

    def __init__(self, pairs: Sequence[Bell4]) -> None:
        self.pairs = tuple(pairs)

    @property
    def size(self) -> int:
        return 2 * len(self.pairs)

    def join(self, other: Form) -> Form:
        if not isinstance(other, BellForm):
            raise TypeError("expected pairs to join with")
        return BellForm(self.pairs + other.pairs)

    def split(self) -> list[tuple[tuple[int, ...], Form]]:
        return [((2 * k, 2 * k + 1), BellForm([pair])) for k, pair in enumerate(self.pairs)]

    def _with(self, qubit: int, pair: Bell4) -> BellForm:
        k = qubit // 2
        return BellForm((*self.pairs[:k], pair, *self.pairs[k + 1 :]))

    def age(self, qubit: int, noise: MemoryNoise, elapsed_ns: int, attempts: int, rng: np.random.Generator) -> Form:
        if not noise.is_pauli and elapsed_ns:
            raise Unsupported("relaxation (T1) leaves no pair Bell-diagonal")
        return self._with(qubit, bell.decay(self.pairs[qubit // 2], noise, elapsed_ns, attempts))

    def pauli(self, qubit: int, which: int) -> Form:
        return self._with(qubit, bell.pauli(self.pairs[qubit // 2], which))

    def gate(self, gate: Gate, qubits: Sequence[int], angle: float) -> Form:
        if gate.pauli is None:
            raise Unsupported(f"{gate.name} on half a pair leaves it in no Bell state")
        return self.pauli(qubits[0], gate.pauli)

    def depolarise(self, qubits: Sequence[int], right: float, rng: np.random.Generator) -> Form:
        if right == 1.0:
            return self
        if len({q // 2 for q in qubits}) > 1:
            raise Unsupported("an error common to two pairs makes them depend on each other")
        return self._with(qubits[0], bell.depolarise(self.pairs[qubits[0] // 2], right))

    def measure(self, qubit: int, direction: Direction, readout: float, rng: np.random.Generator) -> Read:
        if len(self.pairs) != 1:
            raise Unsupported("expected to read half of one pair, found several pairs")
        bit, bloch = bell.measure_half(self.pairs[0], direction, readout, rng)
        return Read(bit, DensityForm(dm.from_bloch(bloch)), (1 - qubit,))

    def bell_measure(self, a: int, b: int, noise: BellNoise, rng: np.random.Generator) -> Read:
        first, second = self.pairs[a // 2], self.pairs[b // 2]
        others = [k for k in range(len(self.pairs)) if k not in (a // 2, b // 2)]
        rest = [self.pairs[k] for k in others]
        places = tuple(q for k in others for q in (2 * k, 2 * k + 1))
        if a // 2 == b // 2:
            found = stabilizer.drawn(bell.compose(first, noise.errors), rng)
            return Read(found, BellForm(rest), places)
        found = stabilizer.drawn(bell.UNIFORM, rng)
        joined = bell.swap(first, second, p1=noise.p1, p2=noise.p2, readout=noise.readout)
        return Read(found, BellForm([bell.pauli(joined, found), *rest]), (a ^ 1, b ^ 1, *places))

    def purify(
        self, qubits: Sequence[int], dejmps: bool, noise: bell.PurifyNoise, rng: np.random.Generator
    ) -> tuple[tuple[int, int], BellForm]:
        """Of the pairs (a, b) and (a2, b2) the first stays: the bits read at a2 and b2."""
        a, b, a2, b2 = qubits
        if len(self.pairs) != 2 or a ^ 1 != b or a2 ^ 1 != b2:
            raise Unsupported("expected two pairs, each with one half at either end")
        k = a // 2
        law = bell.dejmps if dejmps else bell.bbpssw
        found = law(self.pairs[k], self.pairs[1 - k], noise)
        first = int(rng.random() >= 0.5)
        zero = found.success if first == 0 else 1.0 - found.success
        second = int(rng.random() >= zero)
        return (first, second), BellForm([found.kept if first == second else found.rejected])

    def drop(self, qubit: int, rng: np.random.Generator) -> tuple[Form, tuple[int, ...]]:
        if len(self.pairs) != 1:
            return DensityForm(self.matrix()).drop(qubit, rng)
        return DensityForm(dm.from_bloch((0.0, 0.0, 0.0))), (1 - qubit,)

    def matrix(self) -> Matrix:
        rho = np.ones((1, 1), dtype=np.complex128)
        for pair in self.pairs:
            rho = dm.join(rho, dm.from_bell(pair))
        return rho

    def tableau(self, rng: np.random.Generator) -> StabilizerForm:
        found = stabilizer.Tableau()
        for pair in self.pairs:
            found.join(stabilizer.from_bell(pair, rng))
        return StabilizerForm(found)


class DensityForm:
    """A density matrix of up to eight qubits."""

    formalism = Formalism.DENSITY

    def __init__(self, rho: Matrix) -> None:
        self.rho = rho

    @property
    def size(self) -> int:
        return dm.qubits(self.rho)

    def join(self, other: Form) -> Form:
        if not isinstance(other, DensityForm):
            raise TypeError("expected a density matrix to join with")
        return DensityForm(dm.join(self.rho, other.rho))

    def split(self) -> list[tuple[tuple[int, ...], Form]]:
        if self.size == 1:
            return [((0,), self)]
        parts = dm.factors(self.rho)
        whole = len(parts) == 1
        matrices = [self.rho if whole else dm.partial_trace(self.rho, part) for part in parts]
        return [(tuple(part), _cheapest(rho)) for part, rho in zip(parts, matrices, strict=True)]

    def age(self, qubit: int, noise: MemoryNoise, elapsed_ns: int, attempts: int, rng: np.random.Generator) -> Form:
        return DensityForm(dm.bloch_map(self.rho, qubit, noise.bloch_map(elapsed_ns, attempts)))

    def pauli(self, qubit: int, which: int) -> Form:
        return DensityForm(dm.apply(self.rho, MATRICES[which], [qubit]))

    def gate(self, gate: Gate, qubits: Sequence[int], angle: float) -> Form:
        return DensityForm(dm.apply(self.rho, gate.unitary(angle), qubits))

    def depolarise(self, qubits: Sequence[int], right: float, rng: np.random.Generator) -> Form:
        return DensityForm(dm.depolarise(self.rho, qubits, right))

    def measure(self, qubit: int, direction: Direction, readout: float, rng: np.random.Generator) -> Read:
        bit, rest = dm.measure(self.rho, qubit, direction, readout, rng)
        return Read(bit, DensityForm(rest), _without(self.size, qubit))

    def bell_measure(self, a: int, b: int, noise: BellNoise, rng: np.random.Generator) -> Read:
        found, rest = dm.bell_measure(self.rho, a, b, noise.errors, rng)
        return Read(found, DensityForm(rest), _without(self.size, a, b))

    def drop(self, qubit: int, rng: np.random.Generator) -> tuple[Form, tuple[int, ...]]:
        left = _without(self.size, qubit)
        return DensityForm(dm.partial_trace(self.rho, left)), left

    def matrix(self) -> Matrix:
        return self.rho

    def tableau(self, rng: np.random.Generator) -> StabilizerForm:
        return StabilizerForm(stabilizer.from_density(self.rho, rng))


def _cheapest(rho: Matrix) -> Form:
    """A pair that is Bell-diagonal as such."""
    pair = dm.as_bell(rho) if dm.qubits(rho) == 2 else None
    return DensityForm(rho) if pair is None else BellForm([pair])


class StabilizerForm:
    """One trajectory of a stabilizer state. Idle noise with relaxation is its Pauli twirl."""

    formalism = Formalism.STABILIZER

    def __init__(self, state: stabilizer.Tableau) -> None:
        self.state = state

    @property
    def size(self) -> int:
        return self.state.size

    def join(self, other: Form) -> Form:
        if not isinstance(other, StabilizerForm):
            raise TypeError("expected a tableau to join with")
        found = self.state.copy()
        found.join(other.state)
        return StabilizerForm(found)

    def split(self) -> list[tuple[tuple[int, ...], Form]]:
        parts = self.state.factors()
        if len(parts) == 1:
            return [(tuple(parts[0]), self)]
        return [(tuple(part), StabilizerForm(self.state.extract(part))) for part in parts]

    def age(self, qubit: int, noise: MemoryNoise, elapsed_ns: int, attempts: int, rng: np.random.Generator) -> Form:
        found = self.state.copy()
        found.pauli_noise(qubit, noise.pauli_channel(elapsed_ns, attempts), rng)
        return StabilizerForm(found)

    def pauli(self, qubit: int, which: int) -> Form:
        found = self.state.copy()
        found.pauli(qubit, which)
        return StabilizerForm(found)

    def gate(self, gate: Gate, qubits: Sequence[int], angle: float) -> Form:
        name = gate.clifford(angle)
        if name is None:
            turned = f" by {angle} rad" if gate.turns else ""
            raise Unsupported(f"{gate.name}{turned} is outside the Clifford group: no tableau can hold the result")
        found = self.state.copy()
        found.gate(name, qubits)
        return StabilizerForm(found)

    def depolarise(self, qubits: Sequence[int], right: float, rng: np.random.Generator) -> Form:
        found = self.state.copy()
        found.depolarise(qubits, right, rng)
        return StabilizerForm(found)

    def measure(self, qubit: int, direction: Direction, readout: float, rng: np.random.Generator) -> Read:
        found = self.state.copy()
        bit = found.measure(qubit, direction, readout, rng)
        return Read(bit, StabilizerForm(found), _without(self.size, qubit))

    def bell_measure(self, a: int, b: int, noise: BellNoise, rng: np.random.Generator) -> Read:
        found = self.state.copy()
        found.gate("cx", [a, b])
        found.depolarise([a, b], noise.p2, rng)
        found.gate("h", [a])
        found.depolarise([a], noise.p1, rng)
        along_z = (0.0, 0.0, 1.0)
        phase = found.measure(a, along_z, noise.readout, rng)
        flip = found.measure(b - (b > a), along_z, noise.readout, rng)
        return Read(2 * flip + phase, StabilizerForm(found), _without(self.size, a, b))

    def drop(self, qubit: int, rng: np.random.Generator) -> tuple[Form, tuple[int, ...]]:
        found = self.state.copy()
        found.drop(qubit, rng)
        return StabilizerForm(found), _without(self.size, qubit)

    def matrix(self) -> Matrix:
        return self.state.matrix()

    def tableau(self, rng: np.random.Generator) -> StabilizerForm:
        return self
