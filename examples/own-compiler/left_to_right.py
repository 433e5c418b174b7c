"""A fifth compiler: node 1 swaps first, then node 2, and so on; one pair grows from the left end to the right one.

It is there to be copied. All that quoit asks of a compiler is `compile(demand)`, which returns a circuit and a promise,
or raises `Refused` with a reason. The promise must be true of the circuit: `promise_of` proves one from its cut-offs.
"""

from __future__ import annotations

from quoit.engine.program import Swap
from quoit.fabric.programs.asap import keep_floor, promise_of
from quoit.fabric.programs.demand import Compiled, Demand


class LeftToRight:
    """Compiler `left-to-right`."""

    def compile(self, demand: Demand) -> Compiled:
        """Raises Refused if even pairs that never wait are below the floor."""
        # Each node waits for a pair that reaches back to the left end, and for one of its own right link.
        rules = {node: Swap(left=0, right=node + 1) for node in range(1, len(demand.links))}
        circuit = demand.circuit(rules, demand.width)
        demand.check_deadline()
        circuit = keep_floor("left-to-right", circuit, demand.floor)
        return Compiled(circuit, promise_of(circuit))
