"""Swap as soon as possible, and discard what waited too long: the circuit of the quantum network protocol.

Source: Kozlowski, Dahlberg, Wehner, CoNEXT 2020, doi:10.1145/3386367.3431293. Nodes swap whatever pair comes first on
either side, send no handshake, and discard a qubit at a cut-off. The cut-off is computed from the floor: the longest
with which even a pair whose qubits waited that long at every node has the fidelity that was asked for.
"""

from __future__ import annotations

from quoit.engine.program import Circuit, Swap
from quoit.fabric.programs.demand import Compiled, Demand, Promise, Refused
from quoit.fabric.programs.promises import least, longest_cutoff, mean, messages, with_cutoff


class Asap:
    """Compiler `asap`."""

    def compile(self, demand: Demand) -> Compiled:
        """Raises Refused if even pairs that never wait are below the floor."""
        rules = {number: Swap() for number in range(1, len(demand.links))}
        circuit = demand.circuit(rules, demand.width)
        demand.check_deadline()
        kept = keep_floor("asap", circuit, demand.floor)
        return Compiled(kept, promise_of(kept))


def keep_floor(who: str, circuit: Circuit, floor: float) -> Circuit:
    """The circuit with the longest cut-off that keeps the floor, none if it needs none. Raises Refused."""
    cutoff_ns = longest_cutoff(circuit, floor)
    if cutoff_ns == 0:
        best = least(with_cutoff(circuit, 1)) or 0.0
        raise Refused(f"{who}: expected a floor of {best:.4f} or less, found {floor:g}: {_why(circuit)}", best)
    return with_cutoff(circuit, cutoff_ns)


def _why(circuit: Circuit) -> str:
    if len(circuit.hops) == 1:
        return "the link gives no more"
    return f"{len(circuit.hops)} links and their swaps give no more, even if nothing waits longer than it must"


def promise_of(circuit: Circuit) -> Promise:
    """What a circuit keeps of which something is proved; ValueError for another."""
    worst = least(circuit)
    if worst is None:
        raise ValueError("nothing is proved of this circuit")
    return Promise(worst, mean(circuit), messages(circuit))
