"""Pairs on demand from circuits that are kept ready: attempts go on without end, and only asked-for swaps are made."""

from __future__ import annotations

from quoit.engine.kernels import tables as t
from quoit.engine.kernels.machine import PairMachine


class StandbyMachine(PairMachine):
    """A pair machine in which a circuit without end can be asked for pairs, if some of its swaps are on demand.

    In such a circuit every pair of the ends takes one swap of each node that swaps on demand; attempts and all other
    swaps go on whether anybody asks or not.
    """

    def demand(self, circuit: int, pairs_more: int) -> None:
        """Ask a circuit for so many pairs more, now. Raises ValueError for one that delivers without being asked."""
        m = self._rows
        row = m.circuits[circuit]
        asked = [p for p in range(int(row.first) + 1, int(row.last)) if m.positions[p].credit >= 0]
        if row.wanted != t.OPEN or not asked:
            super().demand(circuit, pairs_more)
            return
        for p in asked:
            m.positions[p].credit += pairs_more
            for _ in range(pairs_more):
                self._step.at(self._tables, self.now_ns, t.NUDGE, p, 0)
