"""Stabilizer states of many qubits, on the tableaus of stim (doi:10.22331/q-2021-07-06-497), the extra `stim`.

A tableau is one *trajectory*: Pauli noise is drawn as it happens, so a mixed state is what many trajectories show
together, and one of them answers "which error" where a density matrix answers "how probable". Idle noise with
relaxation is its Pauli twirl. Gates outside the Clifford group, other bases than X, Y, Z, and states that are no
mixture of stabilizer states (W states) are refused.

All randomness comes from the generator that is passed in, never from stim's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from quoit.engine.states import density as dm
from quoit.engine.states.bell import Bell4, Direction
from quoit.engine.states.paulis import Matrix
from quoit.engine.states.refusal import Unsupported

if TYPE_CHECKING:
    import stim


def _stim() -> Any:
    try:
        import stim
    except ImportError:
        raise Unsupported("states of many qubits need the package stim: install quoit[stim]") from None
    return stim


def available() -> bool:
    """Whether stim is installed."""
    try:
        _stim()
    except Unsupported:
        return False
    return True


def drawn(probabilities: Sequence[float], rng: np.random.Generator) -> int:
    """A number with these probabilities, of which the last takes what is missing to 1."""
    point, total = rng.random(), 0.0
    for which, probability in enumerate(probabilities[:-1]):
        total += probability
        if point < total:
            return which
    return len(probabilities) - 1


class Tableau:
    """A pure stabilizer state. Qubits are numbered from 0; those measured leave, and the others close ranks.

    Methods change the tableau in place; `copy` first where the old state is still needed. Unsupported without stim.
    """

    def __init__(self) -> None:
        self._sim: stim.TableauSimulator = _stim().TableauSimulator()
        self._columns: list[int] = []
        """Of each qubit, its column in stim's tableau."""
        self._free: list[int] = []
        """Columns in |0>, to be used again."""

    @property
    def size(self) -> int:
        """Number of qubits."""
        return len(self._columns)

    def copy(self) -> Self:
        """Another tableau of the same state."""
        other = self.__class__()
        other._sim, other._columns, other._free = self._sim.copy(), self._columns.copy(), self._free.copy()
        return other

    def add(self, count: int = 1) -> None:
        """More qubits, in |0>, after the others."""
        for _ in range(count):
            column = self._free.pop() if self._free else self._sim.num_qubits
            self._sim.set_num_qubits(max(self._sim.num_qubits, column + 1))
            self._columns.append(column)

    def join(self, other: Tableau) -> None:
        """The product with `other`, whose qubits come after."""
        first = self.size
        unitary = other._sim.current_inverse_tableau().inverse()
        self.add(len(unitary))
        columns = self._columns[first:]
        self._sim.do_tableau(unitary, columns)
        self._columns[first:] = [columns[column] for column in other._columns]
        self._free += [columns[column] for column in other._free]

    def gate(self, name: str, qubits: Sequence[int]) -> None:
        """A Clifford gate by stim's name ("h", "cx", ...); "" is the identity."""
        if name:
            getattr(self._sim, name)(*(self._columns[q] for q in qubits))

    def pauli(self, qubit: int, which: int) -> None:
        """Pauli number `which` on a qubit."""
        self.gate(("", "z", "x", "y")[which], [qubit])

    def pauli_noise(self, qubit: int, channel: Sequence[float], rng: np.random.Generator) -> None:
        """One Pauli drawn from probabilities of I, Z, X, Y."""
        self.pauli(qubit, drawn(channel, rng))

    def depolarise(self, qubits: Sequence[int], right: float, rng: np.random.Generator) -> None:
        """With probability 1 - `right`, a Pauli drawn evenly from all of these qubits, identity included."""
        if right < 1.0 and rng.random() >= right:
            for qubit in qubits:
                self.pauli(qubit, int(rng.integers(4)))

    def measure(self, qubit: int, direction: Direction, readout: float, rng: np.random.Generator) -> int:
        """Read a qubit along +-X, +-Y or +-Z and drop it: the reported bit. Unsupported for other directions."""
        axis, sign = _axis(direction)
        column = self._columns[qubit]
        if axis == "x":
            self._sim.h(column)
        elif axis == "y":
            self._sim.h_yz(column)
        expected = self._sim.peek_z(column)
        # one number is drawn whether or not the outcome is sure, as in the other formalisms
        bit = int(rng.random() >= (1 + sign * expected) / 2)
        raised = bit if sign > 0 else 1 - bit
        self._sim.postselect_z(column, desired_value=bool(raised))
        if raised:
            self._sim.x(column)
        del self._columns[qubit]
        self._free.append(column)
        return bit if readout == 1.0 or rng.random() < readout else 1 - bit

    def drop(self, qubit: int, rng: np.random.Generator) -> None:
        """Lose a qubit: it is measured and nobody knows the outcome, which for the others is the same."""
        self.measure(qubit, (0.0, 0.0, 1.0), 1.0, rng)

    def _generators(self) -> list[tuple[list[int], Any]]:
        """Canonical generators of the qubits that live: (qubits, stim's Pauli string)."""
        place = {column: qubit for qubit, column in enumerate(self._columns)}
        found = [(string.pauli_indices(), string) for string in self._sim.canonical_stabilizers()]
        # A free column is in |0>, so its Z is a generator of its own in the reduced form.
        return [([place[c] for c in columns], string) for columns, string in found if columns[0] in place]

    def stabilizers(self) -> tuple[str, ...]:
        """Generators in reduced form, as sign and one of _XYZ a qubit; the same state, the same text."""
        lines = []
        for _, string in self._generators():
            letters = str(string)
            lines.append(letters[0] + "".join(letters[1 + column] for column in self._columns))
        return tuple(sorted(lines))

    def factors(self) -> list[list[int]]:
        """The finest groups of qubits of which the state is a product.

        The reduced row echelon form of a product's generators is the union of the parts' forms, since their columns
        are apart and the form is unique: so qubits that share a generator in it, and only they, belong together.
        """
        group = list(range(self.size))

        def root(q: int) -> int:
            while group[q] != q:
                group[q] = group[group[q]]
                q = group[q]
            return q

        for touched, _ in self._generators():
            for q in touched[1:]:
                group[root(q)] = root(touched[0])
        parts: dict[int, list[int]] = {}
        for q in range(self.size):
            parts.setdefault(root(q), []).append(q)
        return list(parts.values())

    def extract(self, part: Sequence[int]) -> Self:
        """The state of one of the `factors`."""
        place = {q: i for i, q in enumerate(part)}
        strings = []
        for touched, string in self._generators():
            if touched[0] in place:
                signed = _stim().PauliString(len(part))
                for q in touched:
                    signed[place[q]] = string[self._columns[q]]
                strings.append(signed * string.sign)
        found = self.__class__()
        found.add(len(part))
        found._sim.do_tableau(_stim().Tableau.from_stabilizers(strings), found._columns)
        return found

    def matrix(self) -> Matrix:
        """Its density matrix. Unsupported beyond eight qubits."""
        n = self.size
        if n > dm.MAX_QUBITS:
            raise Unsupported(f"expected at most {dm.MAX_QUBITS} qubits in a density matrix, found {n}")
        rho: Matrix = np.eye(2**n, dtype=np.complex128) / 2**n
        for touched, string in self._generators():
            x = sum(1 << n - 1 - q for q in touched if string[self._columns[q]] in (1, 2))
            z = sum(1 << n - 1 - q for q in touched if string[self._columns[q]] in (2, 3))
            rho += float(string.sign.real) * _left(rho, x, z)
        return rho


def _signs(n: int, mask: int) -> NDArray[np.float64]:
    """(-1)^(mask . j) of every index j."""
    return np.asarray(1.0 - 2.0 * (np.bitwise_count(np.arange(2**n) & mask) & 1))


def _axis(direction: Direction) -> tuple[str, int]:
    for axis, component in zip("xyz", direction, strict=True):
        if abs(abs(component) - 1.0) < 1e-12:
            return axis, 1 if component > 0 else -1
    raise Unsupported(f"expected to measure along X, Y or Z in a tableau, found {direction}")


def from_bell(pair: Bell4, rng: np.random.Generator) -> Tableau:
    """A Bell state drawn from the pair's probabilities."""
    found = Tableau()
    found.add(2)
    found.gate("h", [0])
    found.gate("cx", [0, 1])
    found.pauli_noise(0, pair, rng)
    return found


def ghz(count: int) -> Tableau:
    """The GHZ state of so many qubits."""
    found = Tableau()
    found.add(count)
    found.gate("h", [0])
    for qubit in range(1, count):
        found.gate("cx", [0, qubit])
    return found


def from_density(rho: Matrix, rng: np.random.Generator) -> Tableau:
    """A stabilizer state drawn from a mixture of orthogonal ones.

    Exact or refused: the matrix is such a mixture if the Pauli strings with non-zero expectation commute; they then
    have a common eigenbasis of stabilizer states, which is drawn from by its probabilities. Unsupported otherwise, as
    for W states, after T gates, or after relaxation.
    """
    n = dm.qubits(rho)
    expected = _expectations(rho)
    strings = [(int(x), int(z)) for x, z in np.argwhere(np.abs(expected) > 1e-9) if x or z]
    generators = _independent(n, strings)
    for i, a in enumerate(generators):
        if any(((a[0] & b[1]).bit_count() + (a[1] & b[0]).bit_count()) % 2 for b in generators[:i]):
            raise Unsupported(f"this state of {n} qubits is no mixture of stabilizer states: no tableau can hold it")
    projected, stabilizers = rho, []
    for x, z in generators:
        moved = _left(projected, x, z)
        sign = 1 if rng.random() < (1.0 + float(np.trace(moved).real)) / 2 else -1
        projected = projected + sign * moved
        projected = projected / np.trace(projected).real
        stabilizers.append(_string(n, x, z) * sign)
    return _completed(n, stabilizers, rng)


def _completed(n: int, stabilizers: list[Any], rng: np.random.Generator) -> Tableau:
    """The tableau of these; where they leave the state maximally mixed, further ones with signs drawn evenly."""
    found = Tableau()
    found.add(n)
    unitary = _stim().Tableau.from_stabilizers(stabilizers, allow_underconstrained=True)
    for qubit in range(len(stabilizers), n):
        if rng.random() < 0.5:
            found._sim.x(qubit)
    found._sim.do_tableau(unitary, list(range(n)))
    return found


def _string(n: int, x: int, z: int) -> Any:
    letters = ["_ZXY"[2 * (x >> n - 1 - q & 1) + (z >> n - 1 - q & 1)] for q in range(n)]
    return _stim().PauliString("".join(letters))


def _left(rho: Matrix, x: int, z: int) -> Matrix:
    """The Pauli string with these masks of bit and phase flips, times rho: |j> goes to i^#Y (-1)^(z.j) |j ^ x>."""
    n = dm.qubits(rho)
    moved = np.empty_like(rho)
    moved[np.arange(2**n) ^ x] = (1j ** (x & z).bit_count() * _signs(n, z))[:, None] * rho
    return np.asarray(moved, dtype=np.complex128)


def _expectations(rho: Matrix) -> NDArray[np.float64]:
    """<P> of all Pauli strings, by (mask of bit flips, mask of phase flips); qubit 0 is the masks' highest bit."""
    n = dm.qubits(rho)
    index = np.arange(2**n)
    table = np.stack([rho[index, index ^ x] for x in index])  # row x: <j|rho|j^x>
    for bit in range(n):  # Walsh-Hadamard transform over j
        pairs = table.reshape(2**n, -1, 2, 2**bit)
        table = np.stack([pairs[:, :, 0] + pairs[:, :, 1], pairs[:, :, 0] - pairs[:, :, 1]], axis=2).reshape(2**n, -1)
    phases = 1j ** np.bitwise_count(index[:, None] & index[None, :])
    return np.asarray((phases * table).real)


def _independent(n: int, strings: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """A basis of their span, by elimination over GF(2)."""
    rows: dict[int, int] = {}
    for x, z in strings:
        rest = x << n | z
        while rest and rest.bit_length() in rows:
            rest ^= rows[rest.bit_length()]
        if rest:
            rows[rest.bit_length()] = rest
    return [(row >> n, row & 2**n - 1) for row in rows.values()]
