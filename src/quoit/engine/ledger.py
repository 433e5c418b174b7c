"""The ledger of quantum states: who holds which, since when, and in which formalism.

Each qubit sits in a *slot*, (node, index), and carries the instant up to which its noise is accounted for: states age
lazily, just before they are used. What may be done to them are the rows of `engine.primitives` and nothing else.

A state is held in the cheapest formalism that is exact: Bell-diagonal pairs; a density matrix when pairs meet in a
gate or relax; beyond eight qubits a tableau, if the noise is Pauli noise. Where none is exact the operation is refused
and nothing has changed. States merge when their qubits meet and split when what remains is a product.

*Names.* A state's id is fresh whenever the set of its qubits changes, and never used again: whoever holds an old id
hears `StaleState` and never meets another pair in the same slot.

*Time.* Integer ns. Each qubit has its own clock, since distant qubits are handled independently; none may be touched
before its last use or while an operation on it still runs. An effect happens at the beginning of its operation, and
idle noise goes on during it, so a gate's qubits pay both its error and its time.

*Frames.* A correction costs nothing: it is noted as the qubit's Pauli frame, carried through gates, and taken into
account in what is read. The physical qubit stays as it was, so relaxation acts on what is really there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quoit.engine.primitives import PRIMITIVES, Call, Effect, Primitive
from quoit.engine.states import density as dm
from quoit.engine.states import paulis
from quoit.engine.states.bell import Bell4
from quoit.engine.states.device import DeviceNoise
from quoit.engine.states.forms import BellForm, DensityForm, Form, Formalism, StabilizerForm
from quoit.engine.states.memory import MemoryNoise
from quoit.engine.states.paulis import Matrix
from quoit.engine.states.refusal import Unsupported

Slot = tuple[str, int]
"""A memory: (node, index)."""

StateId = int
AttemptId = int


class LedgerError(ValueError):
    """A use of the ledger that no physics allows. Nothing has been changed."""


class StaleState(LedgerError):
    """The state of this id is gone: consumed, merged or split."""


class SlotTaken(LedgerError):
    """The slot holds a qubit, or is kept for an attempt."""


class SlotEmpty(LedgerError):
    """The slot holds no qubit."""


class InThePast(LedgerError):
    """The qubit, or the slot, has been used later than this, or is still in use."""


class NotLocal(LedgerError):
    """Qubits of different nodes cannot meet in one operation."""


@dataclass(frozen=True, slots=True)
class Node:
    """How a node's memories decay and what its operations cost."""

    memory: MemoryNoise = MemoryNoise()  # noqa: RUF009  frozen
    device: DeviceNoise = DeviceNoise()  # noqa: RUF009  frozen


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an operation.

    `bits`: what was read; `known`: (node, instant in ns) where and when each bit can first be used. `ok`: whether the
    operation did what it is for; of a purification this takes both bits, so nobody knows it before they have met.
    `states`: ids of what is left of the states that took part. `done_ns`: when the last qubit is free again.
    """

    bits: tuple[int, ...] = ()
    known: tuple[tuple[str, int], ...] = ()
    ok: bool = True
    states: tuple[StateId, ...] = ()
    done_ns: int = 0

    @property
    def state(self) -> StateId:
        """The only state that is left. ValueError if there are more or none."""
        if len(self.states) != 1:
            raise ValueError(f"expected one state left, found {self.states}")
        return self.states[0]

    @property
    def pauli(self) -> int:
        """Of a Bell-state measurement: number of the Pauli that one far half needs."""
        flip, phase = self.bits
        return 2 * flip + phase


@dataclass(frozen=True, slots=True)
class Observation:
    """What an oracle sees and no device can: the state as it is, with frames taken into account.

    `bell`: probabilities of Phi+, Phi-, Psi+, Psi-, if the state is a Bell-diagonal pair. `matrix`: density matrix, if
    it has eight qubits at most. `stabilizers`: generators, if it is a tableau; such a state is one trajectory and is
    shown as of its last use, `as_of_ns`, since noise that is not drawn yet has not happened.
    """

    state: StateId
    slots: tuple[Slot, ...]
    formalism: Formalism
    as_of_ns: tuple[int, ...]
    bell: Bell4 | None
    matrix: Matrix | None
    stabilizers: tuple[str, ...] | None
    physical: bool = field(default=False, init=False)

    def fidelity(self, target: int = 0) -> float:
        """Of a pair to Bell state number `target`. ValueError for other states."""
        if self.bell is not None:
            return self.bell[target]
        if self.matrix is None or len(self.slots) != 2:
            raise ValueError(f"expected a pair, found {len(self.slots)} qubits")
        return dm.fidelity(self.matrix, dm.BELL_STATES[target])


@dataclass(slots=True)
class _Qubit:
    state: StateId
    last_ns: int
    free_ns: int
    frame: int = paulis.I
    attempts: int = 0


class _Attempt(NamedTuple):
    slots: tuple[Slot, ...]
    opened_ns: int


@dataclass(slots=True)
class _State:
    form: Form
    slots: list[Slot]


class Ledger:
    """All quantum states of a network. `rng` draws every outcome; the same seed and calls give the same run.

    `nodes`: noise by name; a node that is not named is perfect. `oracle` false: `observe` is refused, so that whoever
    wants to know a fidelity must estimate it.
    """

    def __init__(
        self, rng: np.random.Generator, nodes: Mapping[str, Node] = MappingProxyType({}), *, oracle: bool = True
    ) -> None:
        self._rng = rng
        self._nodes = dict(nodes)
        self._oracle = oracle
        self._states: dict[StateId, _State] = {}
        self._qubits: dict[Slot, _Qubit] = {}
        self._attempts: dict[AttemptId, _Attempt] = {}
        self._kept: dict[Slot, AttemptId] = {}
        self._free_from: dict[Slot, int] = {}
        """Of slots that have been emptied: when the operation that did it is over."""
        self._next = 1

    # --- reading the books: what exists, nothing about what it is ---

    def slots(self, state: StateId) -> tuple[Slot, ...]:
        """Where its qubits are. StaleState if it is gone."""
        return tuple(self._found(state).slots)

    def state_in(self, slot: Slot) -> StateId | None:
        """Id of the state that has a qubit in this slot."""
        qubit = self._qubits.get(slot)
        return None if qubit is None else qubit.state

    def states(self) -> tuple[StateId, ...]:
        """All ids, oldest first."""
        return tuple(self._states)

    def node(self, name: str) -> Node:
        """A node's noise as it is now."""
        return self._nodes.get(name, _PERFECT)

    def set_node(self, name: str, node: Node, t_ns: int) -> None:
        """Change a node's noise from `t_ns` on. InThePast if a qubit of it has been used later."""
        here = [slot for slot in self._qubits if slot[0] == name]
        self._check(here, t_ns, running=True)
        for slot in here:
            self._age(slot, t_ns)
        self._nodes[name] = node

    # --- making states ---

    def open_attempt(self, slots: Sequence[Slot], t_ns: int) -> AttemptId:
        """Keep free slots for a link. SlotTaken if one is not free."""
        self._need_free(slots, t_ns)
        attempt = self._fresh()
        self._attempts[attempt] = _Attempt(tuple(slots), t_ns)
        self._kept.update(dict.fromkeys(slots, attempt))
        return attempt

    def close_attempt(self, attempt: AttemptId, t_ns: int, *, attempts: int = 0) -> None:
        """Give the slots back; `attempts` were made. StaleState for an attempt that has ended."""
        slots = self._attempt(attempt, t_ns)
        self._disturb(slots, attempts)
        self._end_attempt(attempt, t_ns)

    def herald(
        self,
        slots: Sequence[Slot],
        state: Sequence[float] | Matrix | NDArray[np.generic],
        t_ns: int,
        *,
        attempt: AttemptId | None = None,
        attempts: int = 0,
    ) -> Outcome:
        """A link has made a state: four Bell probabilities, or a density matrix, with one qubit in each slot.

        `attempt`: the one that kept the slots, which ends; without it the slots must be free. `attempts`: how many it
        took; they disturb the other qubits that the nodes hold now.
        """
        if attempt is not None and self._attempt(attempt, t_ns) != tuple(slots):
            raise StaleState(f"attempt {attempt} keeps other slots than {list(slots)}")
        self._need_free(slots, t_ns, attempt)
        made = PRIMITIVES["herald"].run(None, (), Call((), {"state": state}, self._rng)).form
        if made is None or made.size != len(slots):
            raise LedgerError(f"expected a state of {len(slots)} qubits for {list(slots)}, found another")
        self._disturb(slots, attempts)
        if attempt is not None:
            self._end_attempt(attempt, t_ns)
        return Outcome(states=(self._enter(made, list(slots), t_ns, t_ns),), done_ns=t_ns)

    def disturb(self, node: str, attempts: int, only: Slot | None = None) -> None:
        """The node made so many attempts that no `herald` or `close_attempt` here tells of; they cost the qubits that
        it holds now, or one of them. ValueError for a negative number, SlotEmpty."""
        if attempts < 0:
            raise ValueError(f"attempts: expected a number >= 0, found {attempts}")
        if only is None:
            self._disturb(((node, 0),), attempts)
        else:
            self._qubit(only).attempts += attempts

    def init(self, slot: Slot, t_ns: int) -> Outcome:
        """A fresh qubit in |0>. SlotTaken if the slot is not free: discard first."""
        self._need_free([slot], t_ns)
        row = PRIMITIVES["init"]
        device = self.node(slot[0]).device
        made = row.run(None, (), Call((device,), {}, self._rng)).form
        assert made is not None
        done = t_ns + row.duration_ns(device, {})
        return Outcome(states=(self._enter(made, [slot], t_ns, done),), done_ns=done)

    # --- operations ---

    def gate(
        self, name: str, slots: Slot | Sequence[Slot], t_ns: int, *, angle_rad: float = 0.0, expect: Expected = None
    ) -> Outcome:
        """One- or two-qubit gate by its name in the table; two qubits must be at one node. ValueError for others."""
        row = PRIMITIVES.get(name)
        if row is None or row.gate is None:
            known = ", ".join(row.name for row in PRIMITIVES.values() if row.gate is not None)
            raise ValueError(f"expected a gate of {known}; found {name!r}")
        if not np.isfinite(angle_rad):
            raise ValueError(f"angle_rad: expected a finite angle, found {angle_rad}")
        return self._perform(row, _listed(slots), t_ns, {"angle_rad": angle_rad}, expect)

    def measure(
        self, slot: Slot, t_ns: int, basis: str | tuple[float, float] = "Z", *, expect: Expected = None
    ) -> Outcome:
        """Read a qubit in X, Y, Z or along (theta, phi) in rad; its slot is free from now on."""
        dm.direction_of(basis)
        return self._perform(PRIMITIVES["measure"], [slot], t_ns, {"basis": basis}, expect)

    def bell_measure(self, a: Slot, b: Slot, t_ns: int, *, expect: Expected = None) -> Outcome:
        """Swap: both qubits are consumed; bits (flip, phase). Not `ok`: no outcome, both are lost."""
        return self._perform(PRIMITIVES["bell-measure"], [a, b], t_ns, {}, expect)

    def purify(
        self, kept: tuple[Slot, Slot], spent: tuple[Slot, Slot], t_ns: int, method: str = "dejmps", *,
        expect: Expected = None,
    ) -> Outcome:  # fmt: skip
        """Purify the pair in `kept` by the one in `spent`, which is consumed; each names (end a, end b).

        The kept pair stays, good or bad, until its nodes have compared bits and `discard` it.
        """
        row = PRIMITIVES.get(f"purify-{method}")
        if row is None:
            raise ValueError(f"expected a method bbpssw or dejmps, found {method!r}")
        return self._perform(row, [*kept, *spent], t_ns, {}, expect)

    def fuse(self, stays: Slot, read: Slot, t_ns: int, *, expect: Expected = None) -> Outcome:
        """Two GHZ states or pairs become one; if the bit is 1, an X is due at each companion of the qubit read."""
        return self._perform(PRIMITIVES["fuse"], [stays, read], t_ns, {}, expect)

    def correct(self, slot: Slot, pauli: int | str, t_ns: int, *, expect: Expected = None) -> Outcome:
        """Note a Pauli in the qubit's frame: no noise, no duration."""
        which = paulis.number(pauli)
        self._check([slot], t_ns, expect=expect)
        qubit = self._qubits[slot]
        self._age(slot, t_ns)
        qubit.frame ^= which
        return Outcome(states=(qubit.state,), done_ns=t_ns)

    def move(self, slot: Slot, to: Slot, t_ns: int, *, expect: Expected = None) -> Outcome:
        """To a free slot of the same node; the state keeps its id."""
        if slot[0] != to[0]:
            raise NotLocal(f"expected to move within a node, found {slot} to {to}")
        self._need_free([to], t_ns)
        done = self._perform(PRIMITIVES["move"], [slot], t_ns, {}, expect)
        qubit = self._qubits.pop(slot)
        self._qubits[to], self._free_from[slot] = qubit, done.done_ns
        held = self._states[qubit.state].slots
        held[held.index(slot)] = to
        return done

    def wait(self, slot: Slot, t_ns: int, *, expect: Expected = None) -> Outcome:
        """Account for the qubit's noise up to `t_ns`."""
        self._check([slot], t_ns, expect=expect)
        self._age(slot, t_ns)
        return Outcome(states=(self._qubits[slot].state,), done_ns=t_ns)

    def discard(self, slot: Slot, t_ns: int, *, expect: Expected = None) -> Outcome:
        """Empty a slot. What its companions are left with is known to nobody better than before."""
        return self._perform(PRIMITIVES["discard"], [slot], t_ns, {}, expect)

    def send(self, sender: str, receiver: str, bits: Sequence[int], t_ns: int, delay_ns: int) -> Outcome:
        """Tell another node: `known` says when its bits have arrived. The states are not touched."""
        if delay_ns < 0:
            raise ValueError(f"delay_ns: expected a delay >= 0 ns, found {delay_ns}")
        arrival = t_ns + PRIMITIVES["send"].duration_ns(self.node(sender).device, {"delay_ns": delay_ns})
        return Outcome(bits=tuple(bits), known=((receiver, arrival),) * len(bits), done_ns=arrival)

    # --- the oracle ---

    def observe(self, what: StateId | Slot, t_ns: int) -> Observation:
        """What is really there at `t_ns`, without touching it: for tests and telemetry of the twin itself."""
        if not self._oracle:
            raise LedgerError("this ledger answers no oracle: estimate what you want to know from measurements")
        state = self._qubit(what).state if isinstance(what, tuple) else what
        held = self._found(state)
        self._check(held.slots, t_ns, running=True)
        if isinstance(held.form, StabilizerForm):
            form: Form = held.form
            as_of = tuple(self._qubits[slot].last_ns for slot in held.slots)
        else:
            form, as_of = self._aged(held, held.slots, t_ns), (t_ns,) * len(held.slots)
        for place, slot in enumerate(held.slots):
            form = form.pauli(place, self._qubits[slot].frame)
        matrix = form.matrix() if form.size <= dm.MAX_QUBITS else None
        pair = dm.as_bell(matrix) if matrix is not None and form.size == 2 else None
        if isinstance(form, BellForm):
            pair = form.pairs[0]
        lines = form.state.stabilizers() if isinstance(form, StabilizerForm) else None
        return Observation(state, tuple(held.slots), held.form.formalism, as_of, pair, matrix, lines)

    # --- how it is done ---

    def _fresh(self) -> int:
        self._next += 1
        return self._next - 1

    def _found(self, state: StateId) -> _State:
        held = self._states.get(state)
        if held is None:
            raise StaleState(f"state {state} is gone: it was consumed, merged or split")
        return held

    def _qubit(self, slot: Slot) -> _Qubit:
        qubit = self._qubits.get(slot)
        if qubit is None:
            raise SlotEmpty(f"slot {slot} holds no qubit")
        return qubit

    def _attempt(self, attempt: AttemptId, t_ns: int) -> tuple[Slot, ...]:
        """Slots of an attempt that goes on."""
        found = self._attempts.get(attempt)
        if found is None:
            raise StaleState(f"attempt {attempt} has ended")
        if t_ns < found.opened_ns:
            raise InThePast(f"attempt {attempt} began at {found.opened_ns} ns; found its end at {t_ns} ns")
        return found.slots

    def _need_free(self, slots: Sequence[Slot], t_ns: int, attempt: AttemptId | None = None) -> None:
        if not slots or len(set(slots)) != len(slots):
            raise LedgerError(f"expected different slots, found {list(slots)}")
        for slot in slots:
            if slot in self._qubits:
                raise SlotTaken(f"slot {slot} holds a qubit of state {self._qubits[slot].state}")
            if self._kept.get(slot, attempt) != attempt:
                raise SlotTaken(f"slot {slot} is kept for attempt {self._kept[slot]}")
            if t_ns < self._free_from.get(slot, t_ns):
                raise InThePast(f"slot {slot} is free from {self._free_from[slot]} ns on; found {t_ns} ns")

    def _check(self, slots: Sequence[Slot], t_ns: int, *, expect: Expected = None, running: bool = False) -> None:
        """All that can be wrong with touching these qubits at this instant. `running`: an operation may still run."""
        if len(set(slots)) != len(slots):
            raise LedgerError(f"expected different slots, found {list(slots)}")
        found = {self._qubit(slot).state for slot in slots}
        if expect is not None:
            wanted = {expect} if isinstance(expect, int) else set(expect)
            if wanted != found:
                gone = sorted(wanted - found)
                raise StaleState(
                    f"expected state {sorted(wanted)} in {list(slots)}, found {sorted(found)}: {gone} gone"
                )
        for slot in slots:
            qubit = self._qubits[slot]
            earliest = qubit.last_ns if running else max(qubit.last_ns, qubit.free_ns)
            if t_ns < earliest:
                raise InThePast(f"slot {slot} is in use until {earliest} ns; found an operation at {t_ns} ns")

    def _disturb(self, slots: Sequence[Slot], attempts: int) -> None:
        """Attempts made with these slots reach every qubit that their nodes hold."""
        if attempts < 0:
            raise ValueError(f"attempts: expected a number >= 0, found {attempts}")
        nodes = {node for node, _ in slots}
        if attempts and any(self.node(name).memory.decay_per_attempt for name in nodes):
            for (name, _), qubit in self._qubits.items():
                if name in nodes:
                    qubit.attempts += attempts

    def _end_attempt(self, attempt: AttemptId, t_ns: int) -> None:
        for slot in self._attempts.pop(attempt).slots:
            del self._kept[slot]
            self._free_from[slot] = t_ns

    def _enter(self, form: Form, slots: list[Slot], t_ns: int, free_ns: int) -> StateId:
        state = self._fresh()
        self._states[state] = _State(form, slots)
        self._qubits.update({slot: _Qubit(state, t_ns, free_ns) for slot in slots})
        return state

    def _age(self, slot: Slot, t_ns: int) -> None:
        qubit = self._qubits[slot]
        held = self._states[qubit.state]
        held.form = self._aged(held, [slot], t_ns)
        qubit.last_ns, qubit.attempts = t_ns, 0

    def _aged(self, held: _State, slots: Sequence[Slot], t_ns: int) -> Form:
        """The form with the noise of these slots up to `t_ns`; the books are not touched."""
        form = held.form
        for slot in slots:
            qubit, memory = self._qubits[slot], self.node(slot[0]).memory
            elapsed = t_ns - qubit.last_ns
            if memory.keeps or not (elapsed or qubit.attempts):
                continue
            if not memory.is_pauli and elapsed and not isinstance(form, DensityForm):
                form = DensityForm(self._exact_matrix(form, slot[0]))
            values = {"memory": memory, "elapsed_ns": elapsed, "attempts": qubit.attempts}
            call = Call((self.node(slot[0]).device,), values, self._rng)
            after = PRIMITIVES["wait"].run(form, (held.slots.index(slot),), call).form
            assert after is not None
            form = after
        return form

    def _exact_matrix(self, form: Form, node: str) -> Matrix:
        if form.size > dm.MAX_QUBITS:
            raise Unsupported(
                f"relaxation (T1) at {node} is no Pauli noise, and {form.size} qubits fit no density matrix: "
                "declare its memory twirled"
            )
        return form.matrix()

    def _perform(
        self, row: Primitive, slots: list[Slot], t_ns: int, values: Mapping[str, Any], expect: Expected
    ) -> Outcome:
        """One row of the table on these slots: check, age, merge, act, and put what is left back into the books."""
        if len(slots) != row.qubits:
            raise LedgerError(f"{row.name}: expected {row.qubits} slots, found {list(slots)}")
        self._need_local(row, slots)
        self._check(slots, t_ns, expect=expect)
        if row.name != "discard":  # a qubit that nobody reads needs no noise
            for slot in slots:
                self._age(slot, t_ns)
        ids = list(dict.fromkeys(self._qubits[slot].state for slot in slots))
        held = [slot for state in ids for slot in self._states[state].slots]
        effect = self._acted(row, ids, held, slots, values)
        devices = [self.node(slot[0]).device for slot in slots]
        ends = [t_ns + row.duration_ns(device, values) for device in devices]
        frames = row.frame(tuple(self._qubits[slot].frame for slot in slots))
        for slot, end, frame in zip(slots, ends, frames, strict=True):
            qubit = self._qubits[slot]
            qubit.last_ns, qubit.free_ns, qubit.frame = t_ns, end, frame
        states = self._settle(row, ids, held, effect)
        return Outcome(effect.bits, _readers(row, slots, ends, effect.bits), effect.ok, states, max(ends))

    def _need_local(self, row: Primitive, slots: list[Slot]) -> None:
        pairs = [(0, 1)] if len(slots) == 2 else [(0, 2), (1, 3)] if len(slots) == 4 else []
        for a, b in pairs:
            if slots[a][0] != slots[b][0]:
                raise NotLocal(f"{row.name}: expected two qubits at one node, found {slots[a]} and {slots[b]}")

    def _acted(
        self, row: Primitive, ids: list[StateId], held: list[Slot], slots: list[Slot], values: Mapping[str, Any]
    ) -> Effect:
        """The effect in the first formalism that has it. Frames become Paulis before and go back after it."""
        places = tuple(held.index(slot) for slot in slots)
        devices = tuple(self.node(slot[0]).device for slot in slots)
        frames = tuple(self._qubits[slot].frame for slot in slots)
        behind = dict(zip(places, row.frame(frames), strict=True))
        refusals = []
        for kind in Formalism:
            try:
                form = self._joined(kind, ids, held)
                for place, frame in zip(places, frames, strict=True):
                    form = form.pauli(place, frame) if frame else form
                effect = row.run(form, places, Call(devices, values, self._rng))
            except Unsupported as refusal:
                refusals.append(f"{kind}: {refusal}")
                continue
            after = effect.form
            for place, old in enumerate(effect.left):
                if after is not None and behind.get(old):
                    after = after.pauli(place, behind[old])
            return effect._replace(form=after)
        raise Unsupported(f"{row.name} at {list(slots)} is exact in no formalism; " + "; ".join(refusals))

    def _joined(self, kind: Formalism, ids: list[StateId], held: list[Slot]) -> Form:
        """The product of these states in one formalism. Unsupported if it has no exact form there."""
        forms = [self._states[state].form for state in ids]
        if kind is Formalism.BELL:
            if not all(isinstance(form, BellForm) for form in forms):
                raise Unsupported("expected Bell-diagonal pairs")
            made = forms
        elif kind is Formalism.DENSITY:
            if sum(form.size for form in forms) > dm.MAX_QUBITS:
                raise Unsupported(f"{len(held)} qubits are more than {dm.MAX_QUBITS}")
            made = [DensityForm(form.matrix()) for form in forms]
        else:
            relaxing = sorted({node for node, _ in held if not self.node(node).memory.is_pauli})
            if relaxing:
                raise Unsupported(f"relaxation (T1) at {', '.join(relaxing)} is no Pauli noise")
            made = [form.tableau(self._rng) for form in forms]
        joined = made[0]
        for form in made[1:]:
            joined = joined.join(form)
        return joined

    def _settle(self, row: Primitive, ids: list[StateId], held: list[Slot], effect: Effect) -> tuple[StateId, ...]:
        """Enter what is left, and free the slots of what was read or lost."""
        left = [held[old] for old in effect.left]
        form = effect.form
        assert form is not None
        # One qubit alone, if it stays, joins and parts nothing.
        parts = form.split() if left and (row.reads or row.qubits > 1) else [(tuple(range(len(left))), form)]
        if len(ids) == len(parts) == 1 and len(left) == len(held):
            self._states[ids[0]] = _State(parts[0][1], left)
            return (ids[0],)
        for state in ids:
            del self._states[state]
        for slot in held:
            if slot not in left:
                self._free_from[slot] = self._qubits.pop(slot).free_ns
        return tuple(self._reenter(part, [left[q] for q in qubits]) for qubits, part in parts if qubits)

    def _reenter(self, form: Form, slots: list[Slot]) -> StateId:
        state = self._fresh()
        self._states[state] = _State(form, slots)
        for slot in slots:
            self._qubits[slot].state = state
        return state


Expected = StateId | Sequence[StateId] | None
"""Ids of the states that the caller believes in the slots; StaleState if others are there. None: whatever is there."""

_PERFECT = Node()


def _listed(slots: Slot | Sequence[Slot]) -> list[Slot]:
    if len(slots) == 2 and isinstance(slots[0], str):
        return [(slots[0], slots[1])]  # type: ignore[list-item]
    return list(slots)  # type: ignore[arg-type]


def _readers(row: Primitive, slots: list[Slot], ends: list[int], bits: tuple[int, ...]) -> tuple[tuple[str, int], ...]:
    """Where each bit is read, and when. Of four slots the last two are read, one at each end."""
    first = len(slots) - len(bits) if len(slots) == 4 else 0
    return tuple((slots[first + k][0], ends[first + k]) for k in range(len(bits)))
