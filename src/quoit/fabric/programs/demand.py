"""The port of compilers: what they are given, what they give back, and how they refuse.

Control knows a path and what its devices and links can do. A `Compiler` makes a `Circuit` of that, which devices then
execute without asking, and says what the circuit will keep. Compilers come in by the entry points
`quoit.compilers`; those of this package use the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from quoit.engine.physics.bell_pairs import swap_noise
from quoit.engine.program import Circuit, Decay, Hop, Node, Purification, Swap

GROUP = "quoit.compilers"
"""Group of entry points."""
STILL = Decay()
"""A memory that does not decay."""


class Refused(ValueError):
    """A demand that the compiler does not take on. `could_have`: the highest floor that it could keep, if it knows."""

    def __init__(self, reason: str, could_have: float | None = None) -> None:
        super().__init__(reason)
        self.could_have = could_have


@dataclass(frozen=True, slots=True)
class Station:
    """A node of the path. `memories`: on each side that has a link. `gate_p2`: probability that a two-qubit gate is
    ideal and does not leave white noise; `readout`: that a result is right; `swap_success`: that a Bell measurement
    gives a result; `swap_ns`: how long it takes. `attempt_loss`: what each attempt of the node costs the coherence of
    what it stores, as an exponent; `others_hz`, `others`: attempts that it may make for others meanwhile, and on how
    many set-ups."""

    name: str
    decay: Decay = STILL
    memories: int = 1
    gate_p2: float = 1.0
    readout: float = 1.0
    swap_success: float = 1.0
    swap_ns: int = 0
    attempt_loss: float = 0.0
    others_hz: float = 0.0
    others: int = 0

    @property
    def swap_noise(self) -> float:
        """Factor on a pair's eigenvalues at each swap."""
        return swap_noise(self.gate_p2, self.readout)


@dataclass(frozen=True, slots=True)
class Demand:
    """Pairs between the ends of a path, each of fidelity `floor` or better. `pairs`: how many, None for no end.
    `deadline_ns`: by when all of them, from the first attempt on. Raises Refused for what is no demand."""

    stations: tuple[Station, ...]
    links: tuple[Hop, ...]
    floor: float
    pairs: int | None = None
    deadline_ns: int | None = None

    def __post_init__(self) -> None:
        if not self.links or len(self.stations) != len(self.links) + 1:
            found = f"{len(self.stations)} and {len(self.links)}"
            raise Refused(f"expected one node more than links, found {found}")
        names = [station.name for station in self.stations]
        if len(set(names)) < len(names):
            raise Refused(f"expected each node once on the path, found {', '.join(names)}")
        if not 0 <= self.floor <= 1:
            raise Refused(f"expected a floor within [0, 1], found {self.floor}")
        for number, link in enumerate(self.links):
            if min(link.state) < 0:
                raise Refused(f"link {number}: expected a state turned to Phi+, eigenvalues 0 or more: {link.state}")

    @property
    def width(self) -> int:
        """Memories that every node has on each side."""
        return min(station.memories for station in self.stations)

    def circuit(self, rules: Mapping[int, Swap], width: int, purification: Purification | None = None) -> Circuit:
        """The path with these rules at its inner nodes. To each rule comes what the node's devices do: success,
        noise, and their time on top of the rule's wait."""
        nodes = []
        for number, station in enumerate(self.stations):
            rule = rules.get(number)
            if rule is not None:
                rule = Swap(
                    rule.left, rule.right, rule.wait_ns + station.swap_ns, station.swap_success, station.swap_noise,
                    rule.on_demand,
                )  # fmt: skip
            nodes.append(Node(station.decay, rule, None, station.attempt_loss, station.others_hz, station.others))
        return Circuit(tuple(nodes), self.links, width, self.pairs, purification or Purification({}))

    def check_deadline(self, pairs_per_link: float = 1.0) -> None:
        """Raises Refused if one link alone needs longer, in the mean, than the deadline leaves.

        `pairs_per_link`: how many of a link's pairs go into one pair of the ends.
        """
        if self.deadline_ns is None or self.pairs is None:
            return
        for number, link in enumerate(self.links):
            needed = self.pairs * pairs_per_link * link.cycle_ns / link.success / self.width
            if needed > self.deadline_ns:
                raise Refused(
                    f"link {number} needs {needed / 1e9:.3g} s for {self.pairs} pairs in the mean, and the deadline "
                    f"leaves {self.deadline_ns / 1e9:.3g} s: ask for fewer pairs, or give them longer"
                )


@dataclass(frozen=True, slots=True)
class Promise:
    """What a circuit keeps. `least`: no delivered pair has a lower fidelity. `mean`: expected mean fidelity by a closed
    form, None where there is none. `messages`: per delivered pair, as long as nothing expires and no swap fails."""

    least: float
    mean: float | None
    messages: float


@dataclass(frozen=True, slots=True)
class Compiled:
    """A circuit and what it keeps. `handshake_messages`: per swap, beyond those that its outcome costs. `documents`:
    what else the compiler distributes, as data that can be written as JSON."""

    circuit: Circuit
    promise: Promise
    handshake_messages: int = 0
    documents: Mapping[str, Any] = field(default_factory=dict)


class Compiler(Protocol):
    """Makes circuits of demands. Must not keep state: the same demand gives the same circuit."""

    def compile(self, demand: Demand) -> Compiled:
        """Raises Refused, with what could be had instead, for a demand that it cannot meet."""
        ...
