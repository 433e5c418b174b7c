"""The life of a memory's qubit: its states, who owns each, which may follow which, and how long it idled.

States and owners are those of draft-abane-qirg-function-abstraction: QMMF keeps the memory, EGF generates, QFF
forwards, EPF purifies, ESF swaps, QAF is the application. PURIF, PENDING and (of repeaters) SWAPPING are gone through
inside the engine's pair machine, which runs the memories of inner nodes; memories of circuits' ends are seen here.

Two additions, since that draft speaks of halves of pairs only: LOCAL, a qubit that an application has put in itself;
and a memory whose qubit was used up goes back to RESERVED, not RAW, as long as somebody keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from quoit.model.problem import Problem


class QubitState(StrEnum):
    """Where a memory is in its life."""

    RAW = "raw"
    RESERVED = "reserved"
    ACTIVE = "active"
    ENTANGLED = "entangled"
    PURIF = "purif"
    PENDING = "pending"
    ELIGIBLE = "eligible"
    LOCAL = "local"
    SWAPPING = "swapping"
    CONSUME = "consume"
    RELEASE = "release"


S = QubitState

OWNERS: Mapping[QubitState, str] = MappingProxyType(
    {
        S.RAW: "QMMF",
        S.RESERVED: "EGF",
        S.ACTIVE: "EGF",
        S.ENTANGLED: "QFF",
        S.PURIF: "EPF",
        S.PENDING: "EPF",
        S.ELIGIBLE: "QFF",
        S.LOCAL: "QAF",
        S.SWAPPING: "ESF",
        S.CONSUME: "QAF",
        S.RELEASE: "QMMF",
    }
)
"""Function that owns a qubit in each state."""

FOLLOWS: Mapping[QubitState, frozenset[QubitState]] = MappingProxyType(
    {
        S.RAW: frozenset({S.RESERVED}),
        # a circuit's tail does not make attempts: its memory waits reserved
        S.RESERVED: frozenset({S.ACTIVE, S.ENTANGLED, S.LOCAL, S.ELIGIBLE, S.RELEASE}),
        S.ACTIVE: frozenset({S.ENTANGLED, S.RELEASE}),
        S.ENTANGLED: frozenset({S.PURIF, S.ELIGIBLE, S.RELEASE}),
        S.PURIF: frozenset({S.PENDING, S.RELEASE}),
        S.PENDING: frozenset({S.ELIGIBLE, S.PURIF, S.RELEASE}),
        S.ELIGIBLE: frozenset({S.SWAPPING, S.CONSUME, S.PURIF, S.RELEASE}),
        S.LOCAL: frozenset({S.SWAPPING, S.CONSUME, S.RELEASE}),
        S.SWAPPING: frozenset({S.RELEASE}),
        S.CONSUME: frozenset({S.RELEASE}),
        S.RELEASE: frozenset({S.RAW, S.RESERVED}),
    }
)
"""Which states may follow each. From RESERVED to ELIGIBLE: a pair's half was moved here from another memory."""

HOLDING = frozenset({S.ENTANGLED, S.PURIF, S.PENDING, S.ELIGIBLE, S.LOCAL})
"""States in which there is a qubit that something can be done to."""


class MemoryQubit:
    """One memory's qubit. `holder`: element that keeps the memory, empty if none. `busy`: the device is at a program
    that has this memory in it; `doubtful`: such a program has failed somewhere, so there may be a qubit. Times in ns.

    `idle_ns` is time in which a qubit was stored and nothing was done to it (RFC 9340, sec. 6.2: time is expensive):
    over all qubits that this memory has held.
    """

    __slots__ = ("_touched_ns", "busy", "doubtful", "holder", "idle_ns", "lives", "since_ns", "state")

    def __init__(self) -> None:
        self.state = QubitState.RAW
        self.holder = ""
        self.busy = False
        self.doubtful = False
        self.since_ns = 0
        self.idle_ns = 0
        self.lives = 0
        """Qubits that this memory has held so far."""
        self._touched_ns = 0

    @property
    def held(self) -> bool:
        """Is there a qubit?"""
        return self.state in HOLDING

    @property
    def owner(self) -> str:
        """The function that owns it now."""
        return OWNERS[self.state]

    def step(self, to: QubitState, now_ns: int) -> None:
        """Go on to a state. Problem `bad-qubit-state` if it does not follow; nothing has changed then."""
        if to not in FOLLOWS[self.state]:
            allowed = ", ".join(sorted(FOLLOWS[self.state]))
            raise Problem("bad-qubit-state", f"from {self.state} expected {allowed}; found {to}")
        was_held, self.state = self.held, to
        self.since_ns = now_ns
        if self.held and not was_held:
            self.lives += 1
            self._touched_ns = now_ns
        elif was_held and not self.held:
            self._rest_until(now_ns)

    def walk(self, now_ns: int, *path: QubitState) -> None:
        """Several steps at one instant."""
        for state in path:
            self.step(state, now_ns)

    def worked(self, from_ns: int, until_ns: int) -> None:
        """An operation was done to the qubit in that time; what came before was waiting."""
        self._rest_until(from_ns)
        self._touched_ns = max(self._touched_ns, until_ns)

    def idle_at(self, now_ns: int) -> int:
        """`idle_ns`, with the present wait."""
        return self.idle_ns + (max(0, now_ns - self._touched_ns) if self.held else 0)

    def _rest_until(self, now_ns: int) -> None:
        self.idle_ns += max(0, now_ns - self._touched_ns)
        self._touched_ns = max(self._touched_ns, now_ns)
