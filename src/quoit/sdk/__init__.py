"""For programs that use a quantum network: shared states, operations on them, classical messages.

    async with Application.of("out/quoit", "alice") as alice:          # a running twin
        unit = await alice.request(["bob", "charlie"], kind="ghz", fidelity=0.8)
        bit = await alice.measure(unit.addresses[0])

`virtual_network(file)` runs the same programs in virtual time.
"""

from quoit.sdk.application import Application, Circuit, Message, Pair, Pairs, PairsLost, Refusal, Unit
from quoit.sdk.virtual import VirtualNetwork, virtual_network

__all__ = [
    "Application",
    "Circuit",
    "Message",
    "Pair",
    "Pairs",
    "PairsLost",
    "Refusal",
    "Unit",
    "VirtualNetwork",
    "virtual_network",
]
