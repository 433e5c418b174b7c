"""W states, graph states and pairs that were tested, among three laboratories.

In virtual time:   python examples/kinds_of_states.py
Against a twin:    quoit up examples/boston.yaml --dir out/boston
                   python examples/kinds_of_states.py out/boston
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from quoit.sdk import Application, Unit, virtual_network

PARTIES = ("alice", "bob", "charlie")
STATES = 10
FLOOR = 0.6  # the less is promised, the longer the promise holds: about half a second


async def established(app: Application, unit: Unit) -> Unit:
    """Tests take their time: wait until the unit is there, or say why it is not."""
    while unit.state in ("requested", "routed"):
        await app.sleep(0.1)
        unit = await app.unit(unit.unit_id)
    if unit.state == "failed":
        raise SystemExit(f"{unit.problem}: {unit.why}")
    return unit


async def read(apps: list[Application], units: list[Unit], bases: str) -> list[int]:
    """Every party reads its qubit of the first state, all at once."""
    asked = (app.measure(unit.addresses[0], basis) for app, unit, basis in zip(apps, units, bases, strict=True))
    return list(await asyncio.gather(*asked))


async def play(apps: list[Application]) -> None:
    """How often results fit the state; and what tests say of a pair."""
    alice, bob, charlie = apps

    good = 0
    for _ in range(STATES):
        units = [await alice.request(["bob", "charlie"], kind="w", fidelity=FLOOR)]
        units += [await app.next_unit() for app in (bob, charlie)]
        bits = await read(apps, units, "ZZZ")
        good += sum(bits) == 1
    print(f"w: exactly one party reads 1 in {good} of {STATES} states")

    good = 0
    for _ in range(STATES):
        units = [await alice.request(["bob", "charlie"], graph="line", fidelity=FLOOR)]
        units += [await app.next_unit() for app in (bob, charlie)]
        # Bob is in the middle: his X and his neighbours' Z multiply to +1.
        bits = await read(apps, units, "ZXZ")
        good += sum(bits) % 2 == 0
    print(f"line graph: Z X Z is +1 in {good} of {STATES} states")

    unit = await established(alice, await alice.request(["bob"], fidelity=0.75, tests=80))
    print(
        f"tested pair: {unit.tested} tests show a fidelity of {unit.estimate:.3f}, and at least "
        f"{unit.estimate_least:.3f} with confidence 0.95"
    )


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
