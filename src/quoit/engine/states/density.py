"""Density matrices of up to eight qubits: every operation of the engine, exactly.

A state is a Hermitian complex128 array (2^n, 2^n); qubit 0 is the most significant bit of the index. Functions return
new arrays and never change their arguments. Qubits that are measured leave the state: the others close ranks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from quoit.engine.states.bell import Bell4, Direction
from quoit.engine.states.memory import BlochMap
from quoit.engine.states.paulis import AXES, MATRICES, Matrix
from quoit.engine.states.refusal import Unsupported

MAX_QUBITS = 8
"""A matrix of 8 qubits is 1 MiB and takes a few ms an operation; each further qubit costs four times as much."""

TOLERANCE = 1e-12
"""Below this an entry counts as zero when a state is told to be Bell-diagonal or a product."""


def _bell_basis() -> Matrix:
    h = np.sqrt(0.5)
    rows = np.array([[h, 0, 0, h], [h, 0, 0, -h], [0, h, h, 0], [0, h, -h, 0]], dtype=np.complex128)
    rows.setflags(write=False)
    return rows


BELL_STATES = _bell_basis()
"""Rows: Phi+, Phi-, Psi+, Psi- over |00>, |01>, |10>, |11>."""


def qubits(rho: Matrix) -> int:
    """Number of qubits."""
    return int(rho.shape[0]).bit_length() - 1


def density(matrix: NDArray[np.generic]) -> Matrix:
    """The matrix, checked: 1 to 8 qubits, Hermitian, trace 1, no eigenvalue below -1e-9. ValueError otherwise."""
    rho = np.array(matrix, dtype=np.complex128)
    if rho.ndim != 2 or rho.shape[0] != rho.shape[1] or rho.shape[0] not in {2**n for n in range(1, MAX_QUBITS + 1)}:
        raise ValueError(f"expected a square matrix of 1 to {MAX_QUBITS} qubits, found shape {rho.shape}")
    if not np.isfinite(rho).all() or np.abs(rho - rho.conj().T).max() > 1e-9:
        raise ValueError("expected a Hermitian matrix, found one that is not")
    if abs(np.trace(rho).real - 1.0) > 1e-9:
        raise ValueError(f"expected trace 1, found {np.trace(rho).real}")
    rho = (rho + rho.conj().T) / 2
    lowest = float(np.linalg.eigvalsh(rho)[0])
    if lowest < -1e-9:
        raise ValueError(f"expected no negative eigenvalue, found {lowest}")
    return rho


def from_vector(vector: Sequence[complex] | NDArray[np.generic]) -> Matrix:
    """The pure state with these amplitudes, which need not be normalised."""
    amplitudes = np.asarray(vector, dtype=np.complex128)
    return density(np.outer(amplitudes, amplitudes.conj()) / np.vdot(amplitudes, amplitudes).real)


def from_bloch(bloch: Direction) -> Matrix:
    """The qubit with this Bloch vector, whose length is at most 1."""
    x, y, z = bloch
    return np.array([[1 + z, x - 1j * y], [x + 1j * y, 1 - z]], dtype=np.complex128) / 2


def from_bell(pair: Bell4) -> Matrix:
    """The Bell-diagonal pair as a matrix."""
    return np.asarray((BELL_STATES.T * np.asarray(pair)) @ BELL_STATES.conj())


def as_bell(rho: Matrix) -> Bell4 | None:
    """The pair's vector if it is Bell-diagonal, else None."""
    turned = BELL_STATES.conj() @ rho @ BELL_STATES.T
    diagonal = turned.diagonal().real
    if np.abs(turned - np.diag(diagonal)).max() > TOLERANCE:
        return None
    clipped = np.maximum(diagonal, 0.0)
    l0, l1, l2, l3 = (float(v) for v in clipped / clipped.sum())
    return l0, l1, l2, l3


def join(a: Matrix, b: Matrix) -> Matrix:
    """The product state: a's qubits first. Unsupported beyond eight qubits."""
    if qubits(a) + qubits(b) > MAX_QUBITS:
        raise Unsupported(
            f"expected at most {MAX_QUBITS} qubits in a density matrix, found {qubits(a)} and {qubits(b)} that meet"
        )
    return np.asarray(np.kron(a, b), dtype=np.complex128)


def _on_rows(rho: Matrix, operator: Matrix, targets: Sequence[int]) -> Matrix:
    """(operator on `targets`) @ rho, by slices: gates have few entries, and a matrix product would start threads."""
    n, k = qubits(rho), len(targets)
    rows = rho.reshape((2,) * n + (-1,))
    found = np.zeros(rows.shape, dtype=np.complex128)
    for out, into in np.argwhere(operator):
        found[_where(n, targets, int(out), k)] += operator[out, into] * rows[_where(n, targets, int(into), k)]
    return found.reshape(rho.shape)


def _where(n: int, targets: Sequence[int], value: int, bits: int) -> tuple[int | slice, ...]:
    """Index of all rows in which `targets` spell `value`."""
    place: list[int | slice] = [slice(None)] * n
    for which, target in enumerate(targets):
        place[target] = value >> bits - 1 - which & 1
    return tuple(place)


def apply(rho: Matrix, unitary: Matrix, targets: Sequence[int]) -> Matrix:
    """U rho U^dagger with U on `targets`, whose first is the most significant of U's index."""
    return _on_rows(_on_rows(rho, unitary, targets).conj().T, unitary, targets).conj().T


def permute(rho: Matrix, order: Sequence[int]) -> Matrix:
    """The same state with its qubits in another order: new qubit i is old qubit `order[i]`."""
    n = qubits(rho)
    axes = [*order, *(n + q for q in order)]
    return rho.reshape((2,) * (2 * n)).transpose(axes).reshape(rho.shape)


def _blocks(rho: Matrix, qubit: int) -> Matrix:
    """View (before, qubit, after, before, qubit, after)."""
    n = qubits(rho)
    before, after = 2**qubit, 2 ** (n - qubit - 1)
    return rho.reshape(before, 2, after, before, 2, after)


def bloch_map(rho: Matrix, qubit: int, law: BlochMap) -> Matrix:
    """Idle noise: the qubit's Bloch components shrink and z is pumped, correlations with the rest included."""
    old = _blocks(rho, qubit)
    new = np.empty_like(old)
    both, z = old[:, 0, :, :, 0] + old[:, 1, :, :, 1], old[:, 0, :, :, 0] - old[:, 1, :, :, 1]
    z = law.z * z + law.shift * both
    new[:, 0, :, :, 0], new[:, 1, :, :, 1] = (both + z) / 2, (both - z) / 2
    upper, lower = old[:, 0, :, :, 1], old[:, 1, :, :, 0]
    same, other = (law.x + law.y) / 2, (law.x - law.y) / 2
    new[:, 0, :, :, 1], new[:, 1, :, :, 0] = same * upper + other * lower, same * lower + other * upper
    return new.reshape(rho.shape)


def depolarise(rho: Matrix, targets: Sequence[int], right: float) -> Matrix:
    """Left alone with probability `right`, otherwise all of `targets` are made maximally mixed."""
    if right == 1.0:
        return rho
    mixed = rho
    for qubit in targets:
        mixed = bloch_map(mixed, qubit, BlochMap(0.0, 0.0, 0.0, 0.0))
    return np.asarray(right * rho + (1.0 - right) * mixed)


def _contracted(rho: Matrix, qubit: int, effect: Matrix) -> Matrix:
    """tr_qubit(effect rho): what the others are left in, its trace the probability."""
    b = _blocks(rho, qubit)
    rest = (
        effect[0, 0] * b[:, 0, :, :, 0]
        + effect[0, 1] * b[:, 1, :, :, 0]
        + effect[1, 0] * b[:, 0, :, :, 1]
        + effect[1, 1] * b[:, 1, :, :, 1]
    )
    size = rho.shape[0] // 2
    return np.asarray(rest.reshape(size, size), dtype=np.complex128)


def branches(rho: Matrix, qubit: int, direction: Direction, readout: float = 1.0) -> tuple[Matrix, Matrix]:
    """What the other qubits are left in, unnormalised, if `qubit` read along `direction` gives 0 (+1) or 1 (-1)."""
    seen = 2.0 * readout - 1.0
    x, y, z = (seen * n for n in direction)
    return _contracted(rho, qubit, from_bloch((x, y, z))), _contracted(rho, qubit, from_bloch((-x, -y, -z)))


def measure(
    rho: Matrix, qubit: int, direction: Direction, readout: float, rng: np.random.Generator
) -> tuple[int, Matrix]:
    """Read a qubit and drop it: the reported bit, and the rest given that bit."""
    parts = branches(rho, qubit, direction, readout)
    return _drawn(parts, rng)


def bell_branches(rho: Matrix, a: int, b: int, errors: Bell4) -> tuple[Matrix, ...]:
    """As `branches`, for the four outcomes of a Bell-state measurement of qubits a and b that misreads by `errors`."""
    n = qubits(rho)
    rest = [q for q in range(n) if q not in (a, b)]
    size = 2 ** len(rest)
    ordered = permute(rho, [a, b, *rest]).reshape(4, size, 4, size)
    true = [np.einsum("i,iajb,j->ab", state.conj(), ordered, state) for state in BELL_STATES]
    return tuple(sum((errors[found ^ k] * true[k] for k in range(1, 4)), errors[found] * true[0]) for found in range(4))


def bell_measure(rho: Matrix, a: int, b: int, errors: Bell4, rng: np.random.Generator) -> tuple[int, Matrix]:
    """Bell-state measurement of qubits a and b, which leave: number of the Bell state found, and the rest."""
    return _drawn(bell_branches(rho, a, b, errors), rng)


def _drawn(parts: Sequence[Matrix], rng: np.random.Generator) -> tuple[int, Matrix]:
    """One of the unnormalised states, by its probability."""
    weights = [max(0.0, float(np.trace(part).real)) for part in parts]
    drawn, total, which = rng.random() * sum(weights), 0.0, 0
    for k, weight in enumerate(weights):
        total += weight
        if weight > 0.0:
            which = k
        if drawn < total:
            break
    # A tiny weight would blow up rounding errors of its matrix: Hermitian and trace 1 are kept by force.
    part = parts[which] / weights[which]
    return which, (part + part.conj().T) / 2


def partial_trace(rho: Matrix, keep: Sequence[int]) -> Matrix:
    """The state of the qubits `keep`, in this order."""
    n = qubits(rho)
    rest = [q for q in range(n) if q not in keep]
    size, lost = 2 ** len(keep), 2 ** len(rest)
    ordered = permute(rho, [*keep, *rest]).reshape(size, lost, size, lost)
    return np.asarray(np.einsum("iaja->ij", ordered))


def factors(rho: Matrix) -> list[list[int]]:
    """Groups of qubits such that the state is their product; one group if that cannot be told.

    Groups are found by correlations of two qubits, then the product is compared: never wrong, but a product of groups
    that only correlations of three or more hold together stays in one.
    """
    n = qubits(rho)
    single = [partial_trace(rho, [q]) for q in range(n)]
    group = list(range(n))
    for a in range(n):
        for b in range(a + 1, n):
            apart = np.abs(partial_trace(rho, [a, b]) - np.kron(single[a], single[b])).max() <= TOLERANCE
            if group[a] != group[b] and not apart:
                group = [group[a] if g == group[b] else g for g in group]
    parts = [[q for q in range(n) if group[q] == g] for g in dict.fromkeys(group)]
    product = partial_trace(rho, parts[0])
    for part in parts[1:]:
        product = join(product, partial_trace(rho, part))
    ordered = permute(rho, [q for part in parts for q in part])
    return parts if np.abs(product - ordered).max() <= TOLERANCE else [list(range(n))]


def fidelity(rho: Matrix, vector: Matrix) -> float:
    """<vector|rho|vector> for a normalised complex vector (2^n,)."""
    return float(np.vdot(vector, rho @ vector).real)


def concurrence(rho: Matrix) -> float:
    """Of a pair, 0 to 1 (doi:10.1103/PhysRevLett.80.2245)."""
    yy = np.kron(MATRICES[3], MATRICES[3])
    # The square roots of the eigenvalues of rho rho~ are the singular values of sqrt(rho)^T yy sqrt(rho).
    values, vectors = np.linalg.eigh(rho)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    found = np.linalg.svd(root.T @ yy @ root, compute_uv=False)
    return max(0.0, float(2 * found[0] - found.sum()))


def direction_of(basis: str | tuple[float, float]) -> Direction:
    """Bloch direction of "X", "Y", "Z", or of (theta, phi) in rad: polar angle from Z, azimuth from X.

    ValueError for anything else.
    """
    if isinstance(basis, str):
        if basis not in AXES:
            raise ValueError(f"expected a basis X, Y, Z or angles (theta, phi), found {basis!r}")
        return AXES[basis]
    theta, phi = basis
    if not (np.isfinite(theta) and np.isfinite(phi)):
        raise ValueError(f"expected finite angles, found {basis}")
    return float(np.sin(theta) * np.cos(phi)), float(np.sin(theta) * np.sin(phi)), float(np.cos(theta))
