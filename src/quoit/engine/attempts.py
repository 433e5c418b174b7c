"""Attempts at pairs that disturb what their nodes store: who has made how many, and who has paid for them.

Each part of the engine that runs circuits tells the others by a board, since qubits of a node suffer from all of them
alike. Counts come a window too soon or too late at most, which control allows for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from quoit.engine.kernels.machine import PairMachine
from quoit.engine.program import Circuit


class AttemptBoard:
    """What parts of the engine tell each other."""

    def __init__(self) -> None:
        self._made: Counter[tuple[str, str]] = Counter()
        self._heard: Counter[tuple[str, str, str]] = Counter()

    def tell(self, part: str, node: str, attempts: int) -> None:
        """`part` has had so many made at a node."""
        self._made[part, node] += attempts

    def news(self, part: str) -> Iterator[tuple[str, int]]:
        """What all other parts have had made since `part` last asked: nodes and attempts."""
        for (other, node), made in self._made.items():
            new = made - self._heard[part, other, node]
            if other != part and new:
                self._heard[part, other, node] = made
                yield node, new


class Tally:
    """Attempts of one circuit at nodes whose attempts disturb what they store. `nodes`: by position on the path."""

    __slots__ = ("_charged", "machine", "nodes")

    def __init__(self, machine: PairMachine, program: Circuit, nodes: tuple[str, ...]) -> None:
        self.machine = machine
        self.nodes = nodes
        self._charged = {n: 0 for n, node in enumerate(program.nodes) if node.attempt_loss}

    def __contains__(self, position: int) -> bool:
        return position in self._charged

    def made(self) -> list[tuple[str, int]]:
        """What it has made since it was last asked: everybody else at these nodes has to pay for it now."""
        found = []
        for position, charged in self._charged.items():
            new = self.machine.tries(position) - charged
            if new:
                self._charged[position] += new
                found.append((self.nodes[position], new))
        return found

    def hear_of(self, node: str, attempts: int) -> None:
        """Somebody else has made attempts at a node."""
        for position in self._charged:
            if self.nodes[position] == node:
                self.machine.disturb(position, attempts)
                self._charged[position] += attempts
