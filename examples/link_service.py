"""What a link service does: pairs that are kept, measured at once, or used to prepare a qubit at the other end.

In virtual time:   python examples/link_service.py
Against a twin:    quoit up examples/boston.yaml --dir out/boston
                   python examples/link_service.py out/boston
"""

from __future__ import annotations

import asyncio
import sys
from math import sqrt
from pathlib import Path

from quoit.sdk import Application, Pairs, PairsLost, Refusal, virtual_network

KEEP, MEASURE, PREPARE = 1, 2, 3
"""Purposes: what the two sides have agreed to call each use."""
MEASURED, PREPARED = 400, 40


async def both(alice: Application, bob: Application) -> tuple[Pairs, Pairs]:
    """The next OK at either end."""
    own, other = await asyncio.gather(alice.next_pairs(60), bob.next_pairs(60))
    return own, other


async def keep(alice: Application, bob: Application) -> None:
    """Two pairs that are in memory together, under the same names at both ends."""
    await alice.create_pairs("bob", number=2, fidelity=0.95, purpose=KEEP)
    for own, other in zip(*(news.pairs for news in await both(alice, bob)), strict=True):
        herald_ms, told_ms = (own.heralded_ns - own.attempt_ns) / 1e6, (own.goodness_ns - own.heralded_ns) / 1e6
        print(f"pair {own.sequence}: {own.address} and {other.address}, fidelity {own.goodness:.4f} or more")
        print(f"  heralded {herald_ms:.3f} ms after its attempt; told {told_ms:.3f} ms later")
        bits = await asyncio.gather(alice.measure(own.address or ""), bob.measure(other.address or ""))
        print(f"  read in Z: {bits[0]} and {bits[1]}")
        await asyncio.gather(alice.free(own.address or ""), bob.free(other.address or ""))


async def measure(alice: Application, bob: Application) -> None:
    """The CHSH game: alice reads in X or Z, bob in bases half-way between, both at random."""
    await alice.create_pairs(
        "bob", kind="M", number=MEASURED, purpose=MEASURE, near={"random": "XZ"}, far={"random": "CHSH"}
    )
    ours, theirs = await both(alice, bob)
    signs: dict[tuple[str, str], list[int]] = {}
    for own, other in zip(ours.pairs, theirs.pairs, strict=True):
        signs.setdefault((own.basis, other.basis), []).append(1 if own.outcome == other.outcome else -1)
    mean = {bases: sum(found) / len(found) for bases, found in signs.items()}
    s = mean["Z", "Z+X"] + mean["Z", "Z-X"] + mean["X", "Z+X"] - mean["X", "Z-X"]
    error = sqrt(sum((1 - m**2) / len(signs[bases]) for bases, m in mean.items()))
    goodness = min(pair.goodness for pair in ours.pairs)
    print(f"CHSH over {len(ours.pairs)} pairs: S = {s:.2f} +- {error:.2f}; classical 2, quantum 2.83")
    print(f"  a pair of fidelity {goodness:.3f} has {2 * sqrt(2) * (4 * goodness - 1) / 3:.2f}")


async def prepare(alice: Application, bob: Application) -> None:
    """Alice reads in X, which leaves bob's qubit in |+> or, if she finds 1, in |->: she tells him which."""
    await alice.create_pairs("bob", kind="R", number=PREPARED, purpose=PREPARE, near={"random": "XZ", "first": 255})
    right = 0
    for _ in range(PREPARED):
        ours, theirs = await both(alice, bob)
        (own,), (other,) = ours.pairs, theirs.pairs
        right += await bob.measure(other.address or "", "X") == own.outcome
        await bob.free(other.address or "")
    print(f"remote state preparation: {right} of {PREPARED} qubits were what alice's outcome said")


async def refused(alice: Application, charlie: Application) -> None:
    """What cannot be had is refused with what could; what ends before its time, with the reason."""
    try:
        await alice.create_pairs("bob", fidelity=0.99, purpose=KEEP)
    except Refusal as refusal:
        print(f"fidelity 0.99: {refusal.fields['err']}, at best {refusal.fields['best']}")
    create_id = await alice.create_pairs("charlie", number=8)
    await charlie.stop_receiving("alice")
    try:
        await alice.next_pairs()
    except PairsLost as lost:
        print(f"request {create_id}, with charlie: {lost}")


async def play(alice: Application, bob: Application, charlie: Application) -> None:
    for purpose in (KEEP, MEASURE, PREPARE):
        await bob.receive_pairs("alice", purpose)
    await keep(alice, bob)
    await measure(alice, bob)
    await prepare(alice, bob)
    await charlie.receive_pairs("alice")
    await refused(alice, charlie)


async def main(directory: str | None) -> None:
    names = ("alice", "bob", "charlie")
    if directory is not None:
        apps = [Application.of(directory, sae) for sae in names]
    else:
        network = virtual_network(Path(__file__).with_name("boston.yaml"), seed=1)
        network.run_for(1.0)
        apps = [network.application(sae) for sae in names]
    await play(*apps)
    for app in apps:
        await app.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
