"""Three applications on a metropolitan ring share GHZ states and play with them.

In virtual time:   python examples/ghz_three_parties.py
Against a twin:    quoit up examples/boston.yaml --dir out/boston
                   python examples/ghz_three_parties.py out/boston
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from quoit.sdk import Application, virtual_network

PARTIES = ("alice", "bob", "charlie")
STATES = 20


async def play(apps: list[Application]) -> None:
    """Results of one basis after the other, and how often they fit a GHZ state."""
    alice, *others = apps
    for basis, fits in (("Z", lambda bits: len(set(bits)) == 1), ("X", lambda bits: sum(bits) % 2 == 0)):
        good = 0
        promised = 1.0
        for _ in range(STATES // 2):
            units = [await alice.request([app.sae for app in others], number=2, fidelity=0.8)]
            units += [await app.next_unit() for app in others]
            promised = min(promised, units[0].fidelity or 0.0)
            for addresses in zip(*(unit.addresses for unit in units), strict=True):
                bits = await asyncio.gather(*(app.measure(a, basis) for app, a in zip(apps, addresses, strict=True)))
                good += fits(bits)
        print(f"{basis}: {good} of {STATES} fit a GHZ state; fidelity promised at least {promised:.3f}")


async def main(directory: str | None) -> None:
    if directory is not None:
        apps = [Application.of(directory, sae) for sae in PARTIES]
    else:
        network = virtual_network(Path(__file__).with_name("boston.yaml"), seed=1)
        network.run_for(1.0)
        apps = [network.application(sae) for sae in PARTIES]
    await play(apps)
    for app in apps:
        await app.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
