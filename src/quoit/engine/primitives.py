"""THE table of primitives: all that a device can do to a quantum state, in one place.

A row says what a primitive takes, what it does in each formalism, how long it takes, what noise it brings, and who
says so. `run` is the effect itself: it acts on a form (`states.forms`) that holds all qubits concerned. The ledger
knows no physics but these rows; tests hold each row against every formalism and against another library.

A text of None for a formalism: it has no exact form of the effect, raises `Unsupported`, and the ledger goes on to the
next one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import pi
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from quoit.engine.states import bell, paulis
from quoit.engine.states import density as dm
from quoit.engine.states.device import DeviceNoise
from quoit.engine.states.forms import BellForm, BellNoise, DensityForm, Form
from quoit.engine.states.gates import GATES, Frame, Gate
from quoit.engine.states.memory import MemoryNoise
from quoit.engine.states.refusal import Unsupported


class Argument(NamedTuple):
    """What a primitive takes besides the instant: name, unit ("" if it has none), meaning."""

    name: str
    unit: str
    help: str


@dataclass(frozen=True, slots=True)
class Call:
    """One use of a primitive. `devices`: the noise of the node of each qubit. `values`: the arguments by name."""

    devices: tuple[DeviceNoise, ...]
    values: Mapping[str, Any]
    rng: np.random.Generator


class Effect(NamedTuple):
    """What came of it. `left`: the old number of each qubit of `form`. `bits`: what was read.
    `ok`: whether it did what it is for."""

    form: Form | None
    left: tuple[int, ...]
    bits: tuple[int, ...] = ()
    ok: bool = True


Run = Callable[[Form | None, tuple[int, ...], Call], Effect]
Duration = Callable[[DeviceNoise, Mapping[str, Any]], int]


def _no_time(device: DeviceNoise, values: Mapping[str, Any]) -> int:
    return 0


def _same_frame(frame: Frame) -> Frame:
    return frame


@dataclass(frozen=True, slots=True)
class Primitive:
    """A row of the table.

    `qubits`: how many it touches (0: none, or as many as its state has). `bell`, `density`, `stabilizer`: its effect
    in words, None where the formalism has none. `duration_ns` follows `duration`, the law in words. `frame` carries
    the Paulis that are known to stand before the effect behind it. `reads`: qubits leave.
    """

    name: str
    arguments: tuple[Argument, ...]
    qubits: int
    bell: str | None
    density: str | None
    stabilizer: str | None
    duration: str
    noise: str
    help: str
    source: str
    run: Run
    duration_ns: Duration = _no_time
    frame: Callable[[Frame], Frame] = _same_frame
    reads: bool = False
    gate: Gate | None = field(default=None)


def _held(form: Form | None) -> Form:
    if form is None:
        raise ValueError("expected a state to act on, found none")
    return form


def _all(form: Form) -> tuple[int, ...]:
    return tuple(range(form.size))


# --- effects that no state sees -------------------------------------------------------------------------------------


def _nothing(form: Form | None, qubits: tuple[int, ...], call: Call) -> Effect:
    return Effect(form, () if form is None else _all(form))


# --- effects that make states ---------------------------------------------------------------------------------------


def _herald(form: Form | None, qubits: tuple[int, ...], call: Call) -> Effect:
    """`state`: four probabilities of Bell states, or a density matrix."""
    state = call.values["state"]
    array = np.asarray(state)
    if array.ndim == 1:
        made: Form = BellForm([bell.bell4(array.tolist())])
    else:
        rho = dm.density(array)
        pair = dm.as_bell(rho) if dm.qubits(rho) == 2 else None
        made = DensityForm(rho) if pair is None else BellForm([pair])
    return Effect(made, _all(made))


def _init(form: Form | None, qubits: tuple[int, ...], call: Call) -> Effect:
    return Effect(DensityForm(dm.from_bloch((0.0, 0.0, 1.0))), (0,))


# --- gates ----------------------------------------------------------------------------------------------------------


def _apply(gate: Gate) -> Run:
    def run(form: Form | None, qubits: tuple[int, ...], call: Call) -> Effect:
        device = call.devices[0]
        right = device.p1 if gate.qubits == 1 else device.p2
        turned = _held(form).gate(gate, qubits, call.values["angle_rad"] if gate.turns else 0.0)
        after = turned.depolarise(qubits, right, call.rng)
        return Effect(after, _all(after))

    return run


# --- readings -------------------------------------------------------------------------------------------------------


def _measure(form: Form | None, qubits: tuple[int, ...], call: Call) -> Effect:
    direction = dm.direction_of(call.values.get("basis", "Z"))
    bit, rest, left = _held(form).measure(qubits[0], direction, call.devices[0].readout, call.rng)
    return Effect(rest, left, (bit,))


def _bell_measure(form: Form | None, qubits: tuple[int, ...], call: Call) -> Effect:
    device = call.devices[0]
    if device.bell_success < 1.0 and call.rng.random() >= device.bell_success:
        return _lost(_held(form), qubits, call)._replace(ok=False)
    noise = BellNoise(device.p1, device.p2, device.readout)
    found, rest, left = _held(form).bell_measure(qubits[0], qubits[1], noise, call.rng)
    return Effect(rest, left, (found >> 1, found & 1))


def _lost(form: Form, qubits: tuple[int, ...], call: Call) -> Effect:
    left = _all(form)
    for qubit in sorted(qubits, reverse=True):
        form, kept = form.drop(qubit, call.rng)
        left = tuple(left[k] for k in kept)
    return Effect(form, left)


def _discard(form: Form | None, qubits: tuple[int, ...], call: Call) -> Effect:
    return _lost(_held(form), qubits, call)


def _fuse(form: Form | None, qubits: tuple[int, ...], call: Call) -> Effect:
    device, target = call.devices[0], qubits[1]
    joined = _held(form).gate(GATES["CNOT"], qubits, 0.0).depolarise(qubits, device.p2, call.rng)
    bit, rest, left = joined.measure(target, (0.0, 0.0, 1.0), device.readout, call.rng)
    return Effect(rest, left, (bit,))


def _purify(dejmps: bool) -> Run:
    def run(form: Form | None, qubits: tuple[int, ...], call: Call) -> Effect:
        held, (a, b) = _held(form), qubits[:2]
        first, second = call.devices[0], call.devices[1]
        if isinstance(held, BellForm):
            (x, y), rest = held.purify(qubits, dejmps, _both_ends(first, second), call.rng)
            # which of its halves is first does not matter: a Bell-diagonal pair is alike from both ends
            return Effect(rest, (a, b), (x, y), x == y)
        return _purify_by_gates(held, qubits, dejmps, (first, second), call.rng)

    return run


def _both_ends(a: DeviceNoise, b: DeviceNoise) -> bell.PurifyNoise:
    agree = a.readout * b.readout + (1 - a.readout) * (1 - b.readout)
    return bell.PurifyNoise(a.p1 * b.p1, a.p2 * b.p2, agree)


def _purify_by_gates(
    form: Form,
    qubits: tuple[int, ...],
    dejmps: bool,
    devices: tuple[DeviceNoise, DeviceNoise],
    rng: np.random.Generator,
) -> Effect:
    a, b, a2, b2 = qubits
    for device, near, spent, angle in ((devices[0], a, a2, pi / 2), (devices[1], b, b2, -pi / 2)):
        for qubit in (near, spent) if dejmps else ():
            form = form.gate(GATES["RX"], [qubit], angle).depolarise([qubit], device.p1, rng)
        form = form.gate(GATES["CNOT"], [near, spent], 0.0).depolarise([near, spent], device.p2, rng)
    along_z = (0.0, 0.0, 1.0)
    x, form, left = form.measure(a2, along_z, devices[0].readout, rng)
    y, form, kept = form.measure(left.index(b2), along_z, devices[1].readout, rng)
    return Effect(form, tuple(left[k] for k in kept), (x, y), x == y)


def _purified_frame(frame: Frame) -> Frame:
    a, a2 = paulis.through_cnot(frame[0], frame[2])
    b, b2 = paulis.through_cnot(frame[1], frame[3])
    return a, b, a2, b2


# --- the rest -------------------------------------------------------------------------------------------------------


def _correct(form: Form | None, qubits: tuple[int, ...], call: Call) -> Effect:
    after = _held(form).pauli(qubits[0], paulis.number(call.values["pauli"]))
    return Effect(after, _all(after))


def _move(form: Form | None, qubits: tuple[int, ...], call: Call) -> Effect:
    after = _held(form).depolarise(qubits, call.devices[0].p2, call.rng)
    return Effect(after, _all(after))


def _wait(form: Form | None, qubits: tuple[int, ...], call: Call) -> Effect:
    memory: MemoryNoise = call.values["memory"]
    elapsed_ns, attempts = call.values["elapsed_ns"], call.values.get("attempts", 0)
    after = _held(form).age(qubits[0], memory, elapsed_ns, attempts, call.rng)
    return Effect(after, _all(after))


# --- the table ------------------------------------------------------------------------------------------------------

_SLOT = Argument("slot", "", "(node, index) of the memory that holds the qubit")
_ANGLE = Argument("angle_rad", "rad", "angle of the rotation")
_NETQASM = "doi:10.1088/2058-9565/ac753f (NetQASM)"
_RFC = "RFC 9340"
_DEPOLARISED = "qubits left alone with probability {0} of the node, else maximally mixed"
_NO_NOISE = "none"


def _gate_row(name: str, bell_text: str | None, help: str) -> Primitive:
    gate = GATES[name]
    slots = (_SLOT,) if gate.qubits == 1 else (Argument("slots", "", "control and target, at one node"),)
    unitary = "U rho U^dagger"
    tableau = None if name == "T" else "Clifford gate" + (", for multiples of pi/2" if gate.turns else "")
    return Primitive(
        name,
        slots + ((_ANGLE,) if gate.turns else ()),
        gate.qubits,
        bell_text,
        unitary,
        tableau,
        "gate1_ns" if gate.qubits == 1 else "gate2_ns",
        _DEPOLARISED.format("p1" if gate.qubits == 1 else "p2"),
        help,
        _NETQASM,
        _apply(gate),
        (lambda d, v: d.gate1_ns) if gate.qubits == 1 else (lambda d, v: d.gate2_ns),
        gate.frame,
        gate=gate,
    )


def _purify_row(name: str, dejmps: bool, source: str) -> Primitive:
    return Primitive(
        name,
        (Argument("slots", "", "kept pair at ends a and b, sacrificed pair at a and b"),),
        4,
        "closed form of both outcomes",
        "Rx(pi/2) at a and Rx(-pi/2) at b, then CNOTs and readings" if dejmps else "CNOT at both ends, two readings",
        "the same circuit, each error drawn",
        ("gate1_ns + " if dejmps else "") + "gate2_ns + readout_ns, each end by its own",
        "p1 and p2 of each end's gates, readout of each end",
        "make one better pair of two; it has worked if both bits agree, which neither end knows alone",
        source,
        _purify(dejmps),
        lambda d, v: (d.gate1_ns if dejmps else 0) + d.gate2_ns + d.readout_ns,
        _purified_frame,
        reads=True,
    )


_ATTEMPT = (Argument("slots", "", "the memories that the link's photons are to be entangled with, one an end"),)
_UNTOUCHED = "untouched"

_ROWS = (
    Primitive(
        "open-attempt", _ATTEMPT, 0, _UNTOUCHED, _UNTOUCHED, _UNTOUCHED, "0", _NO_NOISE,
        "keep free slots for a link's attempts at entanglement", f"{_RFC} sec. 4.4.1", _nothing,
    ),
    Primitive(
        "close-attempt", (*_ATTEMPT, Argument("attempts", "1", "attempts made since it was opened")), 0,
        _UNTOUCHED, _UNTOUCHED, _UNTOUCHED, "0", "decay_per_attempt on every other qubit of the nodes",
        "give the slots back without a pair", f"{_RFC} sec. 4.4.1", _nothing,
    ),
    Primitive(
        "herald",
        (
            Argument("slots", "", "free slots that hold the state from now on, one a qubit"),
            Argument("state", "1", "probabilities of Phi+, Phi-, Psi+, Psi-, or a density matrix"),
            Argument("attempts", "1", "attempts that it took"),
        ),
        0, "four probabilities", "the matrix", "a Bell state drawn from the probabilities", "0",
        "that of the state given; decay_per_attempt on every other qubit of the nodes",
        "a link has made an entangled state", f"{_RFC} sec. 4.4.1", _herald,
    ),
    Primitive(
        "init", (_SLOT,), 0, None, "|0><0|", "|0>", "init_ns", _NO_NOISE,
        "put a fresh qubit in |0> into a free slot", _NETQASM, _init, lambda d, v: d.init_ns,
    ),
    _gate_row("X", "XOR with X", "bit flip"),
    _gate_row("Y", "XOR with Y", "bit and phase flip"),
    _gate_row("Z", "XOR with Z", "phase flip"),
    _gate_row("H", None, "Hadamard: X and Z change places"),
    _gate_row("S", None, "quarter turn about Z"),
    _gate_row("SDG", None, "quarter turn about Z, backwards"),
    _gate_row("T", None, "eighth turn about Z"),
    _gate_row("RX", None, "exp(-i angle X/2)"),
    _gate_row("RY", None, "exp(-i angle Y/2)"),
    _gate_row("RZ", None, "exp(-i angle Z/2)"),
    _gate_row("CNOT", None, "flip the target if the control is |1>"),
    _gate_row("CZ", None, "flip the phase if both are |1>"),
    _gate_row("SWAP", None, "two qubits change places"),
    Primitive(
        "measure",
        (_SLOT, Argument("basis", "rad", "X, Y, Z, or (theta, phi): polar angle from Z and azimuth from X")),
        1, "the other half is left with a Bloch vector", "projection, mixed by misreading",
        "outcome drawn; X, Y and Z only", "readout_ns", "a bit is read wrongly with probability 1 - readout",
        "read a qubit, which leaves its slot; bit 0 is the eigenvalue +1", f"{_RFC} sec. 2.1", _measure,
        lambda d, v: d.readout_ns, reads=True,
    ),
    Primitive(
        "bell-measure",
        (Argument("slots", "", "two qubits at one node"),),
        2, "XOR convolution of the pairs, of the outcome and of the misreadings", "projection, mixed by misreading",
        "CNOT, H and two readings, each error drawn", "gate2_ns + gate1_ns + readout_ns",
        "p2 of the CNOT, p1 of the H, readout of both bits; without outcome, and both qubits lost, with probability "
        "1 - bell_success",
        "swap: the far halves become a pair with Pauli 2 flip + phase on it; the bits are (flip, phase)",
        "doi:10.1103/PhysRevLett.81.5932", _bell_measure,
        lambda d, v: d.gate2_ns + d.gate1_ns + d.readout_ns, reads=True,
    ),
    _purify_row("purify-bbpssw", False, "doi:10.1103/PhysRevLett.76.722"),
    _purify_row("purify-dejmps", True, "doi:10.1103/PhysRevLett.77.2818"),
    Primitive(
        "fuse",
        (Argument("slots", "", "a qubit that stays and one that is read, at one node, of two GHZ states or pairs"),),
        2, None, "CNOT and a reading in Z", "the same, each error drawn", "gate2_ns + readout_ns",
        "p2 of the CNOT, readout of the bit",
        "make one GHZ state of two; if the bit is 1, the read qubit's companions need an X each",
        "doi:10.1103/PhysRevA.57.822", _fuse, lambda d, v: d.gate2_ns + d.readout_ns,
        lambda f: paulis.through_cnot(f[0], f[1]), reads=True,
    ),
    Primitive(
        "correct", (_SLOT, Argument("pauli", "", "I, X, Y or Z")), 1,
        "XOR with the Pauli, in the frame", "the Pauli, in the frame", "the Pauli, in the frame", "0", _NO_NOISE,
        "note a Pauli that later operations at this qubit take into account", "doi:10.1038/nature03350", _correct,
    ),
    Primitive(
        "move", (_SLOT, Argument("to", "", "a free slot of the same node")), 1,
        "one half depolarised", "the qubit depolarised", "Pauli drawn", "gate2_ns", _DEPOLARISED.format("p2"),
        "move a qubit to another memory of its node", _NETQASM, _move, lambda d, v: d.gate2_ns,
    ),
    Primitive(
        "wait",
        (_SLOT, Argument("elapsed_ns", "ns", "time of storage"), Argument("attempts", "1", "attempts meanwhile")), 1,
        "Pauli channel; not with relaxation (T1)", "affine map of the Bloch vector",
        "Pauli drawn; relaxation as its twirl", "elapsed_ns", "the node's MemoryNoise", "a stored qubit ages",
        f"{_RFC} sec. 5.1", _wait, lambda d, v: v["elapsed_ns"],
    ),
    Primitive(
        "discard", (_SLOT,), 1, "the other half is left maximally mixed", "partial trace",
        "read and forgotten", "0", _NO_NOISE, "empty a slot", _NETQASM, _discard, reads=True,
    ),
    Primitive(
        "send",
        (
            Argument("sender", "", "node"), Argument("receiver", "", "node"), Argument("bits", "", "what is told"),
            Argument("delay_ns", "ns", "light-time of the way and processing"),
        ),
        0, _UNTOUCHED, _UNTOUCHED, _UNTOUCHED, "delay_ns", _NO_NOISE,
        "tell another node bits; it can act on them when they have arrived", f"{_RFC} sec. 4.3", _nothing,
        lambda d, v: v["delay_ns"],
    ),
)  # fmt: skip

PRIMITIVES: Mapping[str, Primitive] = MappingProxyType({row.name: row for row in _ROWS})
"""The rows by name, in the table's order."""

__all__ = ["PRIMITIVES", "Argument", "Call", "Effect", "Primitive", "Unsupported"]
