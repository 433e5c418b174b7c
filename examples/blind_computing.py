"""Blind computing on a few qubits: a server computes and learns neither what nor with which result.

    python examples/blind_computing.py [--runs 40]                                     in virtual time
    python examples/blind_computing.py --dir out/laboratory                            against a live twin
                                        (quoit up examples/laboratory.yaml --dir out/laboratory)

The protocol of Broadbent, Fitzsimons and Kashefi (FOCS 2009, doi:10.1109/FOCS.2009.36) on a line of qubits, which is a
circuit of gates J(a) = H Rz(a) on |+>, read at its end. The client has one qubit at a time: it measures its halves of
shared pairs and so leaves |+_theta> at the server, theta being known to nobody else. The server entangles its qubits
to a line and measures them one after the other at angles that the client tells: what is computed is hidden in them
under theta, and what the server finds under masks.

What the server sees, angles and bits, is uniform whatever is computed; `Run.view` is there to be tested. Nobody checks
here whether the server does as it is told: that takes traps (verification), which the protocol's successors have.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass, field
from itertools import pairwise
from math import pi
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quoit.sdk import Application, virtual_network

NETWORK = Path(__file__).with_name("laboratory.yaml")
EIGHTH = pi / 4
"""Angles are multiples of it, 0 to 7: counted so, they are added modulo 8."""
COMPUTATIONS = {"certain 0": (1, 4, 1), "certain 1": (3, 4, 7), "a quarter": (1, 2, 1), "four qubits": (1, 1, 3, 2)}
"""Angles of the qubits on the line, in eighths of a turn."""


def probability(angles: tuple[int, ...]) -> float:
    """Of reading 1 at the end, as a circuit says: each qubit but the last is a gate J(-angle), the last is read in the
    basis |+>, |-> turned by its angle."""
    ket: NDArray[np.complex128] = np.array([1, 1], dtype=complex) / np.sqrt(2)
    hadamard = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    for angle in angles:
        ket = hadamard @ np.diag([1, np.exp(-1j * angle * EIGHTH)]) @ ket
    return float(abs(ket[1]) ** 2)


@dataclass
class Secrets:
    """The client's: turns of the qubits that it prepared, and bits that hide the server's answers. All zero: nothing
    is hidden, which is there to show that what is hidden otherwise can be seen then. NumPy draws them: good for an
    example, not for secrets."""

    angles: tuple[int, ...]
    thetas: list[int]
    masks: list[int]
    results: list[int] = field(default_factory=list)

    @classmethod
    def drawn(cls, angles: tuple[int, ...], rng: np.random.Generator, blind: bool = True) -> Secrets:
        """For one run. `blind` false: all zero."""
        if not blind:
            return cls(angles, [0] * len(angles), [0] * len(angles))
        return cls(angles, rng.integers(8, size=len(angles)).tolist(), rng.integers(2, size=len(angles)).tolist())

    def delta(self) -> int:
        """The angle at which the server is to measure its next qubit."""
        j = len(self.results)
        before, earlier = self.results[-1] if j > 0 else 0, self.results[-2] if j > 1 else 0
        angle = (-self.angles[j] if before else self.angles[j]) + 4 * earlier
        return (angle + self.thetas[j] + 4 * self.masks[j]) % 8

    def hear(self, bit: int) -> None:
        """The server's answer."""
        self.results.append(bit ^ self.masks[len(self.results)])


@dataclass(frozen=True)
class Run:
    """One run: the result, and the server's view of it: (angle in eighths, bit) for each qubit."""

    result: int
    view: tuple[tuple[int, int], ...]


async def turn(app: Application, address: str, eighths: int) -> int:
    """Measure in the basis |+>, |-> turned by this angle about Z."""
    await app.gate("rz", address, angle_rad=-eighths * EIGHTH)
    return await app.measure(address, "X")


async def client(alice: Application, secrets: Secrets) -> int:
    """Prepare the server's qubits, then lead it through the measurements; the last result is the computation's."""
    pairs = await alice.request(["bob"], number=len(secrets.angles), fidelity=0.5)
    for j, half in enumerate(pairs.addresses):
        # Found at -theta + m pi on this side, the other half is at theta + m pi.
        secrets.thetas[j] = (secrets.thetas[j] + 4 * await turn(alice, half, -secrets.thetas[j])) % 8
    for _ in pairs.addresses:
        await alice.send("bob", {"delta": secrets.delta()})
        answer = await alice.receive("bob", key="bit")
        secrets.hear(answer.data["bit"])
    return secrets.results[-1]


async def server(bob: Application) -> tuple[tuple[int, int], ...]:
    """Entangle and measure as told; everything that the server ever sees is returned."""
    line = (await bob.next_unit()).addresses
    for one, following in pairwise(line):
        await bob.gate("cz", one, following)
    view = []
    for qubit in line:
        delta = (await bob.receive("alice", key="delta")).data["delta"]
        bit = await turn(bob, qubit, delta)
        view.append((delta, bit))
        await bob.send("alice", {"bit": bit})
    return tuple(view)


async def compute(
    alice: Application, bob: Application, angles: tuple[int, ...], rng: np.random.Generator, blind: bool = True
) -> Run:
    """One computation by both."""
    result, view = await asyncio.gather(client(alice, Secrets.drawn(angles, rng, blind)), server(bob))
    return Run(result, view)


async def main(directory: Path | None, runs: int) -> None:
    """Every computation so often: what came out, and what the server saw."""
    if directory is not None:
        alice, bob = (Application.of(directory, sae) for sae in ("alice", "bob"))
    else:
        network = virtual_network(NETWORK, seed=1)
        alice, bob = (network.application(sae) for sae in ("alice", "bob"))
    rng = np.random.default_rng()
    print("computation   reads 1   a circuit would   the server sees: mean angle (turns), mean bit")
    for name, angles in COMPUTATIONS.items():
        done = [await compute(alice, bob, angles, rng) for _ in range(runs)]
        ones = sum(run.result for run in done) / runs
        seen = np.array([step for run in done for step in run.view])
        turns, bits = seen[:, 0].mean() / 8, seen[:, 1].mean()
        print(f"{name:11}  {ones:8.3f}  {probability(angles):16.3f}  {turns:36.3f}  {bits:9.3f}")
    for app in (alice, bob):
        await app.close()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--dir", type=Path)
    options.add_argument("--runs", type=int, default=40)
    given = options.parse_args()
    asyncio.run(main(given.dir, given.runs))
