"""What an end knows of its lines and requests, and how pairs are numbered."""

from __future__ import annotations

from dataclasses import dataclass, field

from quoit.fabric.api import CreatePairs, HalfReady, MadePair
from quoit.fabric.linkservice.rules import Facts

WITHIN = 5_000_000_000
PEER_NS = 1_000_000_000
"""How long the other end is waited for."""
RETRY_NS = 10_000_000
"""After which a request that found no memory, or no circuit, is tried again."""
IDLE_NS = 200_000_000
"""How long a circuit that nobody uses is kept."""
DRAIN_NS = 20_000_000
"""How long after a circuit was closed pairs of it may still arrive, beyond four times light's way."""
MOST_TRIES = 30
"""At telling the other end of expired pairs, a `PEER_NS` and another one apart."""
POLL_NS = 200_000
MOST_REQUESTS = 1_000
"""That an element has under way at once."""
MOST_TOLD = 8_192
"""Pairs of OKs that an element remembers, to expire them."""
MOST_RECEIVERS = 4_096
SEQUENCES = 2**16
ROUNDING = 1e-12
"""Taken off a goodness, which is a bound: the engine adds up in another order."""


CIRCUIT, LINK = "vc:", "link:"
"""What names of lines begin with."""


@dataclass(frozen=True)
class Line:
    """`head` schedules. `floor`: fidelity that control is asked for. `early`: each end has its half as soon as it has
    heard."""

    name: str
    head: str
    tail: str
    facts: Facts
    floor: float
    early: bool = False

    @property
    def circuit(self) -> str:
        """Name of the virtual circuit, empty if it is a link."""
        return self.name.removeprefix(CIRCUIT) if self.name.startswith(CIRCUIT) else ""


@dataclass
class Request:
    """As one end knows it. `slots`: memories that this end keeps for it, of which `empty` waits for a pair; `kept`:
    halves that no OK has told of, `read`: outcomes likewise."""

    key: str
    origin: str
    create_id: int
    line: Line
    order: CreatePairs
    bell: str
    client: str
    creator: bool
    remote: str
    deadline_ns: int
    close_ns: int
    slots: set[int] = field(default_factory=set)
    empty: int | None = None
    kept: list[HalfReady] = field(default_factory=list)
    read: list[MadePair] = field(default_factory=list)
    done: int = 0
    ended: bool = False
    blocked_until: int = 0

    @property
    def reads(self) -> bool:
        """Is this end's half measured?"""
        return self.order.kind == "M" or (self.order.kind == "R" and self.creator)


@dataclass
class Queue:
    """What the head of a line knows of its work. `order`: request whose pair is being made. `turned`: the circuit's
    program begins at the tail."""

    waiting: list[Request] = field(default_factory=list)
    circuit: str = ""
    turned: bool = False
    base: int = 0
    made: int = 0
    order: str = ""
    atomic: str = ""
    working: bool = False
    dropped: bool = False
    turns: int = 0
    retry_ns: int = 0


@dataclass(frozen=True)
class Told:
    client: str
    origin: str
    create_id: int
    remote: str
    purpose: int
    circuit: str


def sequence_in(circuit: str, number: int) -> int:
    """A pair's sequence number on its line: a circuit's name ends in that of its first pair."""
    return (int(circuit.rpartition("/")[2]) + number - 1) % SEQUENCES


def sequence_of(half: HalfReady) -> int:
    """Of the pair that it is half of."""
    return sequence_in(half.circuit, half.number)


def runs(sequences: tuple[int, ...]) -> list[tuple[int, int]]:
    """As few ranges [low, high) as hold exactly these numbers; a range may wrap around at 2**16."""
    found: list[tuple[int, int]] = []
    for sequence in sequences:
        if found and found[-1][1] == sequence:
            found[-1] = found[-1][0], (sequence + 1) % SEQUENCES
        else:
            found.append((sequence, (sequence + 1) % SEQUENCES))
    return found
