"""Teleportation over pairs that had to wait, as a program of two applications: mean fidelity against waiting time.

    python examples/teleport_and_wait.py [--rounds 12] [--plot waiting.png]                  in virtual time
    quoit up examples/laboratory.yaml --dir out/laboratory                                   against a live twin
    python examples/teleport_and_wait.py --dir out/laboratory [--rounds 2] [--plot waiting.png]

Alice and Bob ask for pairs and let them wait. Then Alice teleports a qubit over each, which points along one of six
directions, and Bob asks his in that direction: how often he finds it is the mean fidelity, since six directions stand
for all (they are a 2-design). Nobody looks into a state. It is compared with (2F + 1)/3 (Horodecki et al. 1999,
doi:10.1103/PhysRevA.60.1888) for what F of the pair should be left after the time that passed by the network's clock.
A unit whose promise has ended takes its qubits with it: such pairs count as lost.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import dataclass
from math import exp, sqrt
from pathlib import Path

import numpy as np

from quoit.sdk import Application, Refusal, virtual_network

NETWORK = Path(__file__).with_name("laboratory.yaml")
FIDELITY, T1_S, T2_S = 0.98, 4.0, 2.0
"""As in the network file."""
WAITS_S = (0.0, 0.2, 0.4, 0.6, 0.8)
PAIRS = 4
"""Of one unit; they are teleported over one after the other."""
DIRECTIONS = {
    "+z": ((), "Z", 0), "-z": (("x",), "Z", 1), "+x": (("h",), "X", 0), "-x": (("x", "h"), "X", 1),
    "+y": (("h", "s"), "Y", 0), "-y": (("h", "sdg"), "Y", 1),
}  # fmt: skip
"""Gates that make a qubit of |0> point there, the basis that asks for it, and the answer."""


@dataclass(frozen=True)
class Row:
    """Of one waiting time: shots, pairs that were lost, mean fidelity found with its standard error, and expected."""

    wait_s: float
    shots: int
    lost: int
    found: float
    sigma: float
    expected: float


def expected(age_a_s: float, age_b_s: float) -> float:
    """Mean fidelity of teleportation over a Werner pair whose halves have waited so long; memories relax as the Pauli
    twirl of T1 and T2."""
    w, both_s = (4 * FIDELITY - 1) / 3, age_a_s + age_b_s
    fidelity = (1 + w * (2 * exp(-both_s / T2_S) + exp(-both_s / T1_S))) / 4
    return (2 * fidelity + 1) / 3


async def send(alice: Application, wait_s: float, rng: np.random.Generator) -> None:
    """Alice's program."""
    pairs = await alice.request(["bob"], number=PAIRS, fidelity=0.5)
    (qubit,) = await alice.allocate()
    await alice.sleep(wait_s)
    for half in pairs.addresses:
        direction = str(rng.choice(list(DIRECTIONS)))
        await alice.init(qubit)
        for gate in DIRECTIONS[direction][0]:
            await alice.gate(gate, qubit)
        try:
            await alice.teleport(qubit, half, "bob")
        except Refusal as refused:
            await alice.send("bob", {"lost": refused.code})
            break
        await alice.send("bob", {"pointed": direction})
    await alice.free(qubit)


async def receive(bob: Application) -> list[tuple[bool, float]]:
    """Bob's program: for each pair whether he found what was sent, and what was to be expected."""
    pairs = await bob.next_unit()
    found = []
    for half in pairs.addresses:
        first = await bob.receive("alice")
        if "lost" in first.data:
            break
        told = await bob.receive("alice", key="pointed")
        _, basis, answer = DIRECTIONS[told.data["pointed"]]
        try:
            await bob.correct_teleported(half, first)
            right = await bob.measure(half, basis) == answer
        except Refusal:
            continue
        since_ns = pairs.fidelity_at_ns or 0
        found.append((right, expected((told.sent_ns - since_ns) * 1e-9, (told.arrived_ns - since_ns) * 1e-9)))
    return found


async def study(alice: Application, bob: Application, rounds: int, seed: int = 1) -> list[Row]:
    """A row for each waiting time."""
    rng, rows = np.random.default_rng(seed), []
    for wait_s in WAITS_S:
        shots: list[tuple[bool, float]] = []
        for _ in range(rounds):
            _, found = await asyncio.gather(send(alice, wait_s, rng), receive(bob))
            shots += found
        n, lost = len(shots), rounds * PAIRS - len(shots)
        mean = sum(share for _, share in shots) / max(n, 1)
        sigma = sqrt(sum(share * (1 - share) for _, share in shots)) / max(n, 1)
        rows.append(Row(wait_s, n, lost, sum(right for right, _ in shots) / max(n, 1), sigma, mean))
    return rows


def plot(rows: list[Row], file: Path) -> bool:
    """What was found over the waiting time, and the closed form; False without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    page = Figure(figsize=(6, 4), layout="constrained")
    axes = page.subplots()
    waits = [row.wait_s for row in rows]
    axes.errorbar(waits, [row.found for row in rows], [row.sigma for row in rows], fmt="o", label="found")
    axes.plot(waits, [row.expected for row in rows], "-", label="(2F + 1)/3 by the clock")
    axes.axhline(2 / 3, ls=":", color="grey", label="without entanglement")
    axes.set_xlabel("waiting, s")
    axes.set_ylabel("mean fidelity of teleportation")
    axes.legend(frameon=False)
    page.savefig(file, dpi=110)
    return True


async def main(directory: Path | None, rounds: int) -> list[Row]:
    """The study, live or in virtual time."""
    if directory is not None:
        apps = [Application.of(directory, sae) for sae in ("alice", "bob")]
    else:
        network = virtual_network(NETWORK, seed=1)
        apps = [network.application(sae) for sae in ("alice", "bob")]
    try:
        return await study(apps[0], apps[1], rounds)
    finally:
        for app in apps:
            await app.close()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--dir", type=Path)
    options.add_argument("--rounds", type=int, default=12)
    options.add_argument("--plot", type=Path)
    given = options.parse_args()
    table = asyncio.run(main(given.dir, given.rounds))
    print("waiting, s   shots   lost     found     +-   (2F+1)/3")
    for row in table:
        print(
            f"{row.wait_s:10g}  {row.shots:6d}  {row.lost:5d}  {row.found:8.4f}  {row.sigma:5.3f}  {row.expected:9.4f}"
        )
    if given.plot is not None and not plot(table, given.plot):
        sys.exit("--plot needs matplotlib: pip install 'quoit[data]'")
