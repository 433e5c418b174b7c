"""What the pair machine works on: tables of rows, objects in plain Python and NumPy records when compiled.

A *circuit* is a path of positions 0..H with H hops. Each hop has `width` *slots*; a slot is one memory on either side:
A at the hop's left position, B at its right one. A pair is held by an A memory (its left end) and a B memory (its right
end), of one slot when it was just heralded, and of two slots further and further apart as swaps join pairs. All indices
are global: positions, hops, slots and pairs of all circuits lie one after the other in the same tables.

States are kept as the three eigenvalues (x, y, z) by which the noise so far multiplies the correlators XX, YY and ZZ
of the ideal Bell state: fidelity is (1 + x + y + z)/4, a swap multiplies them, and memories with T1 and T2 let them
decay exponentially: x and y at 1/T2, z at 1/T1 (the Pauli twirl of amplitude damping and dephasing).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

# -- positions of the scalars --
SEQUENCE, FREE_PAIRS, OUT, HEAP, REFILL = range(5)
SCALARS = 5

# -- kinds of events --
HERALD, SWAP, KNOWN, READY, END, CUTOFF, GONE, PURIFY, NUDGE, IDLE, BOTH_ENDS = range(11)
"""A *place* is a memory: 2 slot, and 1 more for the slot's B side. HERALD slot; SWAP B slot, A slot; KNOWN place,
pair's serial; READY place, stamp; END place, serial; CUTOFF place, stamp; GONE place, serial; PURIFY kept slot,
sacrificed slot; NUDGE position: look whether a swap can begin; IDLE: nothing is due; BOTH_ENDS pair, serial: END of
both at the same instant."""

# -- how the memories of a circuit decay --
KEEPS, ALIKE, APART, DISTURBED = range(4)
"""Not at all; all three correlators at the same rate; each at its own; so, and by attempts of their node as well."""

NEVER = -2
ANY = -1
OPEN = -1
NOWHERE = -1
FAR_FUTURE = 2**62
DRAWS = 1_024
SPARE_DRAWS = 64
"""Draws are made for this many attempts at once, and made anew when fewer than `SPARE_DRAWS` are left: one event uses
fewer than that."""
OUTCOMES = {True: 4_096, False: 256}
"""Rows for delivered pairs until they are taken: compiled, and in plain Python, where a row takes time to make."""


@dataclass(slots=True)
class CircuitRow:
    """`wanted`: pairs still to deliver (OPEN: without end). `werner_first`: 1 for BBPSSW. `gates`, `readout`:
    probabilities that a purification's CNOTs work and that its parity is read as it is. `cutoffs`, `disturbs`,
    `purifies`: 1 if any node has a cut-off, any loses coherence by its attempts, any length of pair needs purification.
    `matches`: purifications begun. Then counters."""

    attempts: int = 0
    cutoffs: int = 0
    delivered: int = 0
    disturbs: int = 0
    expired: int = 0
    first: int = 0
    gates: float = 0.0
    heralds: int = 0
    hops: int = 0
    last: int = 0
    matches: int = 0
    memory_ns: int = 0
    purifications: int = 0
    purifies: int = 0
    purify_failures: int = 0
    readout: float = 0.0
    swap_failures: int = 0
    swaps: int = 0
    uniform_at: int = 0
    wanted: int = 0
    werner_first: int = 0
    width: int = 0


@dataclass(slots=True)
class PositionRow:
    """`at_ns`: light time from the circuit's head. `swap_left`, `swap_right`: position at which the pair on that side
    must end (ANY; NEVER to swap here); `takes_left`, `takes_right`: 1 if an elementary pair will do. `credit`: swaps
    that may still begin (OPEN: any number). `decay`: how memories of the circuit decay; `rate_*`: this one's, per ns.
    `rounds`: at position first + n, purifications that a pair over n hops needs. `a_count`, `b_count`: how many slots
    are ready whose A or B memory is here; `ready_a`, `ready_b`: where `Tables.ready` lists them. `attempt_loss`: what
    an attempt begun here costs qubits stored here; `tries`: attempts here of all runs of attempts that are over, and
    of others at this node; `slots_from`, `slots_to`: slots with a memory here. These of DISTURBED circuits alone."""

    a_count: int = 0
    at_ns: int = 0
    attempt_loss: float = 0.0
    b_count: int = 0
    circuit: int = 0
    credit: int = 0
    cutoff_ns: int = 0
    decay: int = 0
    rate_x: float = 0.0
    rate_y: float = 0.0
    rate_z: float = 0.0
    ready_a: int = 0
    ready_b: int = 0
    rounds: int = 0
    slots_from: int = 0
    slots_to: int = 0
    swap_left: int = 0
    swap_noise: float = 0.0
    swap_right: int = 0
    swap_success: float = 0.0
    swap_wait_ns: int = 0
    takes_left: int = 0
    takes_right: int = 0
    tries: int = 0


@dataclass(slots=True)
class HopRow:
    """`dark`: 1 while no light gets through. `stored_ns`: how long both halves have been in memory when a success
    becomes known. `restart_ns`: from both memories free to the first attempt. `asks_ns`: what of a cycle may pass
    before the right memory is free. `near_ns`, `far_ns`: `at_ns` of its ends. `draw_at`: place of the next draw; from
    `draws_short` on more are needed. `x`, `y`, `z`: state of a heralded pair."""

    asks_ns: int = 0
    circuit: int = 0
    cycle_ns: int = 0
    dark: int = 0
    draw_at: int = 0
    draws_short: int = 0
    far_ns: int = 0
    first_slot: int = 0
    left: int = 0
    near_ns: int = 0
    restart_ns: int = 0
    stored_ns: int = 0
    x: float = 0.0
    y: float = 0.0
    z: float = 0.0


@dataclass(slots=True)
class SlotRow:
    """`pending`: sequence number of the herald that is awaited (0: none). `a`, `b`: the pair in either memory.
    `since`: when it was heralded. `a_freed`: when the A memory became free. `a_used`, `b_used`: 1 when a swap of that
    memory's qubit has begun. `tries`: attempts up to the success that is awaited, the first at `tries_from`."""

    a: int = 0
    a_freed: int = 0
    a_used: int = 0
    b: int = 0
    b_used: int = 0
    circuit: int = 0
    hop: int = 0
    left: int = 0
    pending: int = 0
    since: int = 0
    tries: int = 0
    tries_from: int = 0


@dataclass(slots=True)
class PairRow:
    """`left`, `right`: slots of its A and B memory (NOWHERE: lost). `near`, `far`: positions of its ends. `serial`:
    never used again. All news of the pair reach position p to its left at news_left - at_ns[p], and to its right at
    news_right + at_ns[p]. `born_ns`: when its oldest part was stored. `held`: 1 while it is purified. `lost_ns`,
    `lost_at`: when and where one end was lost. `ended_ns`: when one end was handed over while the other was not (-1:
    neither). `near_tries`, `far_tries`: attempts at its ends up to which their cost is accounted for."""

    born_ns: int = 0
    ended_ns: int = 0
    far: int = 0
    far_tries: int = 0
    held: int = 0
    left: int = 0
    lost_at: int = 0
    lost_ns: int = 0
    near: int = 0
    near_tries: int = 0
    news_left: int = 0
    news_right: int = 0
    next_free: int = 0
    right: int = 0
    rounds: int = 0
    serial: int = 0
    time_ns: int = 0
    x: float = 0.0
    y: float = 0.0
    z: float = 0.0


@dataclass(slots=True)
class OutcomeRow:
    """A delivered pair: its circuit, when either end had it, since when its oldest part was stored, its state, and of
    DISTURBED circuits how many attempts its ends had made by then."""

    born_ns: int = 0
    circuit: int = 0
    left_ns: int = 0
    left_tries: int = 0
    right_ns: int = 0
    right_tries: int = 0
    x: float = 0.0
    y: float = 0.0
    z: float = 0.0


class Tables(NamedTuple):
    """All state of a machine. Typed as in plain Python; when compiled, arrays of numbers and of records."""

    heap: Any
    scalar: list[int]
    circuits: list[CircuitRow]
    positions: list[PositionRow]
    hops: list[HopRow]
    slots: list[SlotRow]
    pairs: list[PairRow]
    outcomes: list[OutcomeRow]
    draws: list[int]  # attempts until success, DRAWS a hop
    uniform: list[float]  # numbers in [0, 1), DRAWS a circuit
    ready: list[int]  # slots that are ready to be swapped, first come first: of each position A side, then B side
