"""Pairs on demand from circuits that are kept ready: attempts go on without end, and only asked-for swaps are made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quoit.engine.kernels import tables as t
from quoit.engine.kernels.machine import PairMachine, Rng, _readable, can_compile
from quoit.engine.program import Circuit

MOST_ROWS = 2**20
"""Of a compiled heap, 40 MB; beyond that the machine runs in plain Python, whose heap grows by itself."""


class StandbyMachine(PairMachine):
    """A pair machine in which a circuit without end can be asked for pairs, if some of its swaps are on demand.

    In such a circuit every pair of the ends takes one swap of each node that swaps on demand; attempts and all other
    swaps go on whether anybody asks or not. Room for pending events is made by `heap_rows`: a qubit's cut-off stays
    pending after the qubit is gone, so long cut-offs on fast links need far more than a few events a slot.
    """

    def __init__(self, circuits: Sequence[Circuit], rng: Rng, compiled: bool | None = None) -> None:
        rows = sum(heap_rows(circuit) for circuit in circuits)
        super().__init__(circuits, rng, (can_compile() if compiled is None else compiled) and rows <= MOST_ROWS)
        if self.compiled and rows > len(self._tables.heap):
            heap = np.zeros((rows, 5), np.int64)
            heap[: len(self._tables.heap)] = self._tables.heap
            self._tables = self._tables._replace(heap=heap)
            self._rows = _readable(self._tables)

    def demand(self, circuit: int, pairs_more: int) -> None:
        """Ask a circuit for so many pairs more, now. Raises ValueError for one that delivers without being asked."""
        m = self._rows
        row = m.circuits[circuit]
        asked = [p for p in range(int(row.first) + 1, int(row.last)) if m.positions[p].credit >= 0]
        if row.wanted != t.OPEN or not asked:
            super().demand(circuit, pairs_more)
            return
        for p in asked:
            here = m.positions[p]
            here.credit += pairs_more
            for _ in range(min(pairs_more, int(here.a_count), int(here.b_count))):
                self._step.at(self._tables, self.now_ns, t.NUDGE, p, 0)


def heap_rows(circuit: Circuit) -> int:
    """Events that can be pending at once: of each herald two cut-offs for as long as they last, and a handful of news
    for as long as light needs over the path and back."""
    light = sum(hop.light_ns for hop in circuit.hops)
    waits = max((node.swap.wait_ns for node in circuit.nodes if node.swap), default=0)
    asked = sum(1 for node in circuit.nodes if node.swap and node.swap.on_demand)
    # Losses of one instant may each make every node between look whether it can swap again.
    rows = 16 + 4 * len(circuit.nodes) * (circuit.width + 1) + 2 * circuit.width * len(circuit.hops) * asked
    for number, hop in enumerate(circuit.hops):
        cutoffs = [circuit.nodes[k].cutoff_ns or 0 for k in (number, number + 1)]
        heralds = sum(cutoff // hop.cycle_ns + 1 for cutoff in cutoffs)
        rows += circuit.width * (heralds + 8 * ((3 * light + waits) // hop.cycle_ns + 1))
    return rows
