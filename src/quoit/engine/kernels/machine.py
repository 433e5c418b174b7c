"""Circuits in the pair machine: laid out in tables, run up to an instant, outcomes taken out.

`PairMachine(compiled=None)` compiles where numba is installed (the `fast` extra) and runs plain Python otherwise. What
comes out is the same, bit for bit.
"""

from __future__ import annotations

import importlib.util
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, make_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quoit.engine.kernels import pairs
from quoit.engine.kernels import tables as t
from quoit.engine.program import Circuit, Node, State, Swap

NS = 1e-9
Rng = Callable[[str, int], np.random.Generator]
"""Gives the random stream of a purpose ("attempts" or "decisions") and a number (the hop's, the circuit's)."""


@dataclass(frozen=True)
class Delivered:
    """Pairs that were delivered, in order: columns of equal length. `left_ns`, `right_ns`: when that end had its half
    and had heard of all swaps. `born_ns`: since when the oldest part had been in memory. `state`: eigenvalues as each
    half was handed over, shape (n, 3). `tries`: attempts that either end's node had begun by then, shape (n, 2); 0
    where no node's attempts disturb what it stores."""

    circuit: NDArray[np.int64]
    left_ns: NDArray[np.int64]
    right_ns: NDArray[np.int64]
    born_ns: NDArray[np.int64]
    state: NDArray[np.float64]
    tries: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.circuit)

    @property
    def at_ns(self) -> NDArray[np.int64]:
        """When both ends had it."""
        return np.maximum(self.left_ns, self.right_ns)

    @property
    def fidelity(self) -> NDArray[np.float64]:
        """With the ideal Bell state."""
        found: NDArray[np.float64] = (1 + self.state.sum(axis=1)) / 4
        return found


_NONE = np.empty(0, np.int64)
NO_PAIRS = Delivered(_NONE, _NONE, _NONE, _NONE, np.empty((0, 3)), np.empty((0, 2), np.int64))


@dataclass(frozen=True, slots=True)
class Counts:
    """What a circuit did so far. `memory_ns`: nanoseconds that memories were occupied, all together."""

    attempts: int
    heralds: int
    swaps: int
    swap_failures: int
    expired: int
    purifications: int
    purify_failures: int
    delivered: int
    messages: int
    memory_ns: int


def can_compile() -> bool:
    """Is numba here?"""
    return importlib.util.find_spec("numba") is not None


def _machine_code(tables: t.Tables) -> Any:
    from quoit.engine.kernels.compiled import functions  # numba is an extra, and takes a second to import

    return functions(tables)


class PairMachine:
    """Runs circuits. Times are ns since the scenario's start; they only go forward."""

    def __init__(self, circuits: Sequence[Circuit], rng: Rng, compiled: bool | None = None) -> None:
        self.circuits = tuple(circuits)
        self.compiled = can_compile() if compiled is None else compiled
        self._layout = _Layout(self.circuits)
        self._tables = self._layout.tables(self.compiled)
        self._step: Any = _machine_code(self._tables) if self.compiled else pairs
        self._rows = _readable(self._tables) if self.compiled else self._tables
        self._attempts = [rng("attempts", h) for h in range(len(self._layout.hops))]
        self._decisions = [rng("decisions", c) for c in range(len(self.circuits))]
        self.now_ns = 0
        self.next_ns = 0
        """When there is something to do next; `FAR_FUTURE` if there is not."""
        self._success = [hop.success for hop in self._layout.hops]
        for h in range(len(self._success)):
            self._draw(h, t.DRAWS)
        for c in range(len(self.circuits)):
            self._decide(c, t.DRAWS)
        for slot in range(self._layout.slots):
            self._step.start(self._tables, slot, 0)

    # -- running -------------------------------------------------------------------------------------

    def run(self, until_ns: int) -> Delivered:
        """Go on to `until_ns` and give the pairs delivered on the way. Raises ValueError for the past."""
        if until_ns < self.now_ns:
            raise ValueError(f"expected an instant from {self.now_ns} ns on, found {until_ns}")
        taken = []
        while True:
            self.next_ns = self._step.run(self._tables, until_ns)
            if self._tables.scalar[t.OUT]:
                taken.append(self._taken())
            if self.next_ns >= 0:
                break
            self._refill()
        self.now_ns = until_ns
        if not taken:
            return NO_PAIRS
        rows = np.concatenate(taken) if len(taken) > 1 else taken[0]
        state = np.stack([rows[name] for name in ("x", "y", "z")], axis=1)
        tries = np.stack([rows[name] for name in ("left_tries", "right_tries")], axis=1)
        return Delivered(rows["circuit"], rows["left_ns"], rows["right_ns"], rows["born_ns"], state, tries)

    def _taken(self) -> Any:
        """The outcomes so far, as records; their rows are free again."""
        m = self._tables
        count, m.scalar[t.OUT] = int(m.scalar[t.OUT]), 0
        if self.compiled:
            return m.outcomes[:count].copy()
        return np.array([_outcome(row) for row in m.outcomes[:count]], _dtype(t.OutcomeRow))

    def _refill(self) -> None:
        """Fresh random numbers wherever half of them are used, not only where they ran short: fewer stops."""
        self._make_room()
        m = self._tables
        m.scalar[t.REFILL] = 0
        for number, place in enumerate(_column(m.hops, "draw_at")):
            used = place - number * t.DRAWS
            if used >= t.DRAWS // 2:
                self._draw(number, used)
        for number, used in enumerate(_column(m.circuits, "uniform_at")):
            if used >= t.DRAWS // 2:
                self._decide(number, used)

    def _make_room(self) -> None:
        """A larger heap if it is half full: a cut-off stays pending after its qubit has gone, so long cut-offs on fast
        links need many more rows than there are memories. In plain Python the heap grows by itself."""
        pending = int(self._tables.scalar[t.HEAP])
        if not self.compiled or 2 * pending < len(self._tables.heap):
            return
        heap = np.zeros((4 * pending, 5), np.int64)
        heap[:pending] = self._tables.heap[:pending]
        self._tables = self._tables._replace(heap=heap)
        self._rows = _readable(self._tables)

    def _draw(self, hop: int, used: int) -> None:
        """Put fresh draws in the place of the used ones, behind those that are left."""
        fresh = self._attempts[hop].geometric(self._success[hop], used)
        self._shift(self._tables.draws, hop, used, fresh)
        self._rows.hops[hop].draw_at = hop * t.DRAWS

    def _decide(self, c: int, used: int) -> None:
        self._shift(self._tables.uniform, c, used, self._decisions[c].random(used))
        self._rows.circuits[c].uniform_at = 0

    def _shift(self, buffer: Any, row: int, used: int, fresh: Any) -> None:
        begin, end = row * t.DRAWS, (row + 1) * t.DRAWS
        left = buffer[begin + used : end]
        whole = np.concatenate([np.asarray(left, fresh.dtype), fresh])  # an empty list would make floats of all
        buffer[begin:end] = whole if self.compiled else whole.tolist()

    # -- control -------------------------------------------------------------------------------------

    def demand(self, circuit: int, pairs_more: int) -> None:
        """Ask a circuit for so many pairs more, now. In a circuit without end that swaps on demand, attempts and all
        other swaps go on whether anybody asks or not. Raises ValueError for one that delivers without being asked."""
        m = self._rows
        row = m.circuits[circuit]
        asked = [p for p in range(int(row.first) + 1, int(row.last)) if m.positions[p].credit >= 0]
        if row.wanted == t.OPEN and not asked:
            raise ValueError(f"circuit {circuit} delivers without end")
        for p in asked:
            here = m.positions[p]
            here.credit += pairs_more
            for _ in range(min(pairs_more, int(here.a_count), int(here.b_count))):
                self._step.at(self._tables, self.now_ns, t.NUDGE, p, 0)
                self._make_room()
        if row.wanted == t.OPEN:
            return
        row.wanted += pairs_more
        for number in self._layout.slots_of(circuit):
            slot = m.slots[number]
            if slot.a == t.NOWHERE and slot.b == t.NOWHERE and slot.pending == 0:
                self._step.start(self._tables, number, self.now_ns)

    def set_success(self, hop: int, success: float) -> None:
        """Another success probability of an attempt from now on, 0: no light. Waits begin anew, as they have no
        memory; an attempt that is under way is lost. ValueError for what is no probability."""
        if not 0 <= success <= 1:
            raise ValueError(f"expected a probability, found {success}")
        if success == self._success[hop]:
            return
        self._success[hop] = success
        row = self._rows.hops[hop]
        row.dark = int(success == 0)
        if success:
            self._draw(hop, t.DRAWS)
        for number in range(int(row.first_slot), int(row.first_slot) + int(self._rows.circuits[row.circuit].width)):
            slot = self._rows.slots[number]
            if slot.a == t.NOWHERE and slot.b == t.NOWHERE:
                self._step.start(self._tables, number, self.now_ns)

    def tries(self, position: int) -> int:
        """Attempts that the node at this position of all circuits' has begun so far, with those it was told of. Counted
        in circuits of which some node's attempts disturb what it stores."""
        return int(self._step.tries_at(self._tables, position, self.now_ns))

    def disturb(self, position: int, attempts: int) -> None:
        """The node has made so many attempts outside of this machine. They count as made now."""
        self._rows.positions[position].tries += attempts

    def set_state(self, hop: int, state: State) -> None:
        """Another state of the pairs that the hop heralds from now on, as eigenvalues."""
        row = self._rows.hops[hop]
        row.x, row.y, row.z = state

    def counts(self, circuit: int) -> Counts:
        """What the circuit did so far."""
        row = self._rows.circuits[circuit]
        # A herald goes to both ends, and a swap's outcome; a purification is agreed on and told by both.
        messages = 2 * (row.heralds + row.swaps) + 3 * row.matches + row.expired
        counted = {name: int(getattr(row, name)) for name in Counts.__slots__ if name != "messages"}
        return Counts(messages=int(messages), **counted)


_PlainTables: Any = make_dataclass("_PlainTables", t.Tables._fields, slots=True)
"""The same tables for plain Python, which finds a slot sooner than a field of a tuple."""


class _Layout:
    """Where each circuit's positions, hops and slots lie in the tables."""

    def __init__(self, circuits: Sequence[Circuit]) -> None:
        self.circuits = circuits
        self.hops = [hop for circuit in circuits for hop in circuit.hops]
        self._slots = _starts(len(c.hops) * c.width for c in circuits)
        self._positions = _starts(len(c.nodes) for c in circuits)
        self.slots = sum(len(c.hops) * c.width for c in circuits)

    def slots_of(self, circuit: int) -> range:
        begin, own = self._slots[circuit], self.circuits[circuit]
        return range(begin, begin + len(own.hops) * own.width)

    def tables(self, compiled: bool) -> t.Tables:
        """All tables, filled as at the scenario's start. A slot has two ends of pairs at most. The heap begins with
        twice the room for what one event can put in: every position may have to look whether it can swap again."""
        pair_rows = 2 * self.slots + 2
        make: Any = _records if compiled else _objects
        positions = list(self._position_rows())
        ready = [0] * (2 * sum(len(c.nodes) * c.width for c in self.circuits))
        draws, uniform = [0] * (t.DRAWS * len(self.hops)), [0.0] * (t.DRAWS * len(self.circuits))
        scalar = [0] * t.SCALARS
        pairs_free: list[Row] = [{"next_free": n + 1, "serial": 0} for n in range(pair_rows)]
        return (t.Tables if compiled else _PlainTables)(
            heap=np.zeros((16 * self.slots + 8 * len(positions) + 64, 5), np.int64) if compiled else [],
            scalar=_numbers(scalar, compiled),
            circuits=make(t.CircuitRow, self._circuit_rows()),
            positions=make(t.PositionRow, positions),
            hops=make(t.HopRow, self._hop_rows()),
            slots=make(t.SlotRow, self._slot_rows()),
            pairs=make(t.PairRow, pairs_free),
            outcomes=make(t.OutcomeRow, [{} for _ in range(t.OUTCOMES[compiled])]),
            draws=_numbers(draws, compiled),
            uniform=_numbers(uniform, compiled),
            ready=_numbers(ready, compiled),
        )

    def _circuit_rows(self) -> Iterator[Row]:
        for number, circuit in enumerate(self.circuits):
            first = self._positions[number]
            yield {
                "first": first,
                "last": first + len(circuit.hops),
                "hops": len(circuit.hops),
                "width": circuit.width,
                "wanted": t.OPEN if circuit.wanted is None else circuit.wanted,
                "cutoffs": int(any(node.cutoff_ns is not None for node in circuit.nodes)),
                "disturbs": int(any(node.attempt_loss for node in circuit.nodes)),
                "purifies": int(any(circuit.purification.rounds.values())),
                "werner_first": int(circuit.purification.scheme == "bbpssw"),
                "gates": circuit.purification.gates,
                # the parity of two results is read as it is if both are right, or both wrong
                "readout": circuit.purification.readout**2 + (1 - circuit.purification.readout) ** 2,
            }

    def _position_rows(self) -> Iterator[Row]:
        ready = 0
        for number, circuit in enumerate(self.circuits):
            first, light, slots = self._positions[number], 0, self._slots[number]
            decay = max(_decay(node) for node in circuit.nodes)
            for i, node in enumerate(circuit.nodes):
                yield {
                    "circuit": number,
                    "at_ns": light,
                    "cutoff_ns": t.FAR_FUTURE if node.cutoff_ns is None else node.cutoff_ns,
                    "rate_x": node.decay.x_hz * NS,
                    "rate_y": node.decay.y_hz * NS,
                    "rate_z": node.decay.z_hz * NS,
                    "ready_a": ready,
                    "ready_b": ready + circuit.width,
                    "decay": decay,
                    "attempt_loss": node.attempt_loss,
                    "slots_from": slots + max(0, i - 1) * circuit.width,
                    "slots_to": slots + min(i + 1, len(circuit.hops)) * circuit.width,
                    "rounds": circuit.purification.rounds.get(i, 0),
                    **_rule(node.swap, first, i, circuit.wanted),
                }
                ready += 2 * circuit.width
                light += circuit.hops[i].light_ns if i < len(circuit.hops) else 0

    def _hop_rows(self) -> Iterator[Row]:
        place = 0
        for number, circuit in enumerate(self.circuits):
            light = 0
            for i, hop in enumerate(circuit.hops):
                place += t.DRAWS
                light += hop.light_ns
                yield {
                    "circuit": number,
                    "left": self._positions[number] + i,
                    "first_slot": self._slots[number] + i * circuit.width,
                    "near_ns": light - hop.light_ns,
                    "far_ns": light,
                    "draw_at": place - t.DRAWS,
                    "draws_short": place - t.SPARE_DRAWS,
                    "cycle_ns": hop.cycle_ns,
                    "stored_ns": hop.stored_ns,
                    "asks_ns": hop.asks_ns,
                    "restart_ns": hop.restart_ns,
                    "x": hop.state[0],
                    "y": hop.state[1],
                    "z": hop.state[2],
                }

    def _slot_rows(self) -> Iterator[Row]:
        for number, hop in enumerate(self._hop_rows()):
            for _ in range(self.circuits[int(hop["circuit"])].width):
                yield {
                    "circuit": hop["circuit"],
                    "hop": number,
                    "left": hop["left"],
                    "a": t.NOWHERE,
                    "b": t.NOWHERE,
                }


Row = dict[str, Any]


def _decay(node: Node) -> int:
    if node.attempt_loss:
        return t.DISTURBED
    rates = {node.decay.x_hz, node.decay.y_hz, node.decay.z_hz}
    if rates == {0.0}:
        return t.KEEPS
    return t.ALIKE if len(rates) == 1 else t.APART


def _rule(rule: Swap | None, first: int, i: int, wanted: int | None) -> Row:
    if rule is None:
        return {"swap_left": t.NEVER, "swap_right": t.NEVER, "swap_success": 1.0, "swap_noise": 1.0, "credit": t.OPEN}
    return {
        "swap_left": t.ANY if rule.left is None else first + rule.left,
        "swap_right": t.ANY if rule.right is None else first + rule.right,
        "swap_wait_ns": rule.wait_ns,
        "takes_left": int(rule.left is None or rule.left == i - 1),
        "takes_right": int(rule.right is None or rule.right == i + 1),
        "swap_success": rule.success,
        "swap_noise": rule.noise,
        "credit": (wanted or 0) if rule.on_demand else t.OPEN,
    }


def _column(table: Any, name: str) -> list[int]:
    """A field of all rows."""
    found: list[int] = table[name].tolist() if isinstance(table, np.ndarray) else [getattr(row, name) for row in table]
    return found


def _numbers(column: list[Any], compiled: bool) -> Any:
    return np.array(column) if compiled else column


def _objects(kind: Any, rows: Iterable[Row]) -> list[Any]:
    """Rows as objects; what is not given is 0."""
    return [kind(**row) for row in rows]


def _records(kind: Any, rows: Iterable[Row]) -> Any:
    dtype = _dtype(kind)
    return np.array([tuple(row.get(name, 0) for name in dtype.names or ()) for row in rows], dtype)


_outcome = operator.attrgetter(*(f.name for f in fields(t.OutcomeRow)))


def _dtype(kind: Any) -> np.dtype[Any]:
    return np.dtype([(f.name, np.float64 if f.type == "float" else np.int64) for f in fields(kind)], align=True)


def _readable(tables: t.Tables) -> t.Tables:
    """The same memory, with columns as attributes of rows."""
    arrays: Any = tables
    return t.Tables(*(array.view(np.recarray) if array.dtype.names else array for array in arrays))


def _starts(sizes: Iterable[int]) -> list[int]:
    """Running sums, beginning at 0."""
    starts, total = [], 0
    for size in sizes:
        starts.append(total)
        total += size
    return starts
