"""Subroutines: classical instructions, qubits, what is refused, and how long it takes."""

from __future__ import annotations

import numpy as np
import pytest
from netqasm_lab import HEAD, Lab, arrays, create, receive, registers
from numpy.typing import NDArray

from quoit.engine.ledger import Node
from quoit.engine.states.device import DeviceNoise
from quoit.interfaces.netqasm.parser import from_binary, from_text
from quoit.interfaces.netqasm.processor import Code, Fault
from quoit.scenario.netqasm.hardware import Hardware, NodeHardware

vanilla = pytest.importorskip("netqasm.lang.instr.vanilla")

SUM = """
set R0 0
set R1 0
set R2 11
set R3 1
LOOP:
bge R1 R2 END
add R0 R0 R1
add R1 R1 R3
jmp LOOP
END:
ret_reg R0
"""


def test_a_loop_sums_and_returns() -> None:
    assert registers(Lab().run("a", HEAD + SUM)) == {"R0": sum(range(11))}


def test_binary_and_text_are_the_same_subroutine() -> None:
    from netqasm.lang.parsing import parse_text_subroutine

    parsed = parse_text_subroutine(HEAD + SUM)
    parsed.app_id = 0
    assert from_binary(bytes(parsed)) == from_text(HEAD + SUM)


@pytest.mark.parametrize(
    ("name", "a", "b", "expected"),
    [("add", 7, -3, 4), ("sub", 7, 10, -3), ("mul", -4, 5, -20), ("div", 17, 5, 3), ("rem", 17, 5, 2)],
)
def test_arithmetic(name: str, a: int, b: int, expected: int) -> None:
    text = f"set R0 {a}\nset R1 {b}\n{name} R2 R0 R1\nret_reg R2\n"
    assert registers(Lab().run("a", HEAD + text)) == {"R2": expected}


@pytest.mark.parametrize(("name", "expected"), [("addm", (9 + 5) % 6), ("subm", (9 - 5) % 6)])
def test_arithmetic_with_modulus(name: str, expected: int) -> None:
    text = f"set R0 9\nset R1 5\nset R2 6\n{name} R3 R0 R1 R2\nret_reg R3\n"
    assert registers(Lab().run("a", HEAD + text)) == {"R3": expected}


@pytest.mark.parametrize(
    ("branch", "a", "b", "taken"),
    [
        ("bez R0", 0, 0, True), ("bez R0", 1, 0, False), ("bnz R0", 1, 0, True), ("bnz R0", 0, 0, False),
        ("beq R0 R1", 2, 2, True), ("beq R0 R1", 2, 3, False), ("bne R0 R1", 2, 3, True), ("bne R0 R1", 2, 2, False),
        ("blt R0 R1", 2, 3, True), ("blt R0 R1", 3, 3, False), ("bge R0 R1", 3, 3, True), ("bge R0 R1", 2, 3, False),
    ],
)  # fmt: skip
def test_branches(branch: str, a: int, b: int, taken: bool) -> None:
    text = f"set R0 {a}\nset R1 {b}\nset R2 1\n{branch} OVER\nset R2 0\nOVER:\nret_reg R2\n"
    assert registers(Lab().run("a", HEAD + text)) == {"R2": int(taken)}


def test_arrays_keep_undefined_entries_apart() -> None:
    text = (
        "set R0 3\narray R0 @4\nset R1 1\nset R2 7\nstore R2 @4[R1]\nlea R3 @4\nret_arr @4\nundef @4[R1]\nret_arr @4\n"
    )
    returned = Lab().run("a", HEAD + text + "ret_reg R3\n")
    assert [row.values for row in returned[:2]] == [(None, 7, None), (None, None, None)]  # type: ignore[union-attr]
    assert registers(returned) == {"R3": 4}


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("ret_reg R5", Code.GENERAL, "R5 has no value"),
        ("set R0 1\nset R1 0\ndiv R2 R0 R1", Code.GENERAL, "division by zero"),
        ("set R0 2147483647\nadd R1 R0 R0", Code.GENERAL, "32 bits"),
        ("set R0 5\nload R1 @9[R0]", Code.GENERAL, "no array @9"),
        ("set R0 2\narray R0 @1\nload R1 @1[R0]", Code.GENERAL, "found index 2"),
        ("set R0 2\narray R0 @1\nset R0 1\nload R1 @1[R0]", Code.GENERAL, "entry 1 of array @1 has no value"),
        ("HERE:\njmp HERE", Code.GENERAL, "not ended after 100000 instructions"),
        ("set Q0 0\nx Q0", Code.NO_QUBIT, "not allocated"),
        ("set Q0 0\nqalloc Q0\nx Q0", Code.NO_QUBIT, "holds no qubit"),
        ("set Q0 0\nqalloc Q0\nqalloc Q0", Code.NO_QUBIT, "allocated already"),
        ("set Q0 5\nqalloc Q0", Code.NO_QUBIT, "expected a qubit address 0 to 4"),
        ("set Q0 0\nqfree Q0", Code.NO_QUBIT, "not allocated"),
        ("set Q0 0\nqalloc Q0\ninit Q0\ncnot Q0 Q0", Code.NO_QUBIT, "two different qubits"),
        ("breakpoint 1 0", Code.UNSUPP, "dump"),
        ("set R0 10\narray R0 @0\nset R1 0\nset R2 3\nrecv_epr R1 R2 R1 R1", Code.GENERAL, "no EPR socket 3"),
    ],
)
def test_faults_name_line_and_reason(text: str, code: Code, says: str) -> None:
    with pytest.raises(Fault, match=says) as caught:
        Lab().run("a", HEAD + text + "\n")
    assert caught.value.code is code


def test_an_unknown_instruction_is_unsupported() -> None:
    raw = bytes([1, 0, 0, 0]) + bytes([99, 0, 0, 0, 0, 0, 0])
    with pytest.raises(Fault, match="vanilla") as caught:
        from_binary(raw)
    assert caught.value.code is Code.UNSUPP


# --- gates: against the SDK's own matrices ---

PREPARED = "\n".join(
    f"set Q{k} {k}\nqalloc Q{k}\ninit Q{k}\nrot_x Q{k} {3 + 2 * k} 4\nrot_z Q{k} {5 + k} 4" for k in range(2)
)


def _gates() -> list[object]:
    from netqasm.lang.operand import Immediate, Register

    q0, q1 = Register.from_str("Q0"), Register.from_str("Q1")
    alone = ["X", "Y", "Z", "H", "S", "K", "T"]
    angle = Immediate(7), Immediate(4)
    return [
        *(getattr(vanilla, f"Gate{name}Instruction")(reg=q0) for name in alone),
        *(getattr(vanilla, f"Rot{axis}Instruction")(reg=q0, imm0=angle[0], imm1=angle[1]) for axis in "XYZ"),
        *(getattr(vanilla, f"{name}Instruction")(reg0=q0, reg1=q1) for name in ("Cnot", "Cphase", "Swp")),
    ]


@pytest.mark.parametrize("gate", _gates(), ids=lambda gate: gate.mnemonic)
def test_gates_are_those_of_the_sdk(gate: object) -> None:
    lab = Lab()
    lab.run("a", HEAD + PREPARED + "\n")
    before = np.kron(lab.state("a", 0), lab.state("a", 1))
    lab.run("a", HEAD + f"set Q0 0\nset Q1 1\n{gate._pretty_print()}\n")  # type: ignore[attr-defined]
    unitary = np.asarray(gate.to_matrix())  # type: ignore[attr-defined]
    if unitary.shape == (2, 2):
        unitary = np.kron(unitary, np.eye(2))
    expected = unitary @ before @ unitary.conj().T
    parts = [_traced(expected, 0), _traced(expected, 1)]
    assert np.allclose(lab.state("a", 0), parts[0], atol=1e-12)
    assert np.allclose(lab.state("a", 1), parts[1], atol=1e-12)
    if gate.mnemonic in ("cnot", "cphase"):  # type: ignore[attr-defined]
        assert np.allclose(lab.state("a", 0, reduced=False), expected, atol=1e-12)


def _traced(rho: NDArray[np.complex128], keep: int) -> NDArray[np.complex128]:
    return np.einsum("ikjk->ij" if keep == 0 else "kikj->ij", rho.reshape(2, 2, 2, 2))


@pytest.mark.parametrize("name", ["meas_basis", "meas_basis_yzy", "meas_basis_zxz"])
@pytest.mark.parametrize("bit", [0, 1])
def test_a_measurement_in_a_basis_finds_its_eigenstates(name: str, bit: int) -> None:
    axes = {"meas_basis": "xyx", "meas_basis_yzy": "yzy", "meas_basis_zxz": "zxz"}[name]
    turns = (3, 11, 22)
    undone = [f"rot_{axis} Q0 {32 - turn} 4" for axis, turn in reversed(list(zip(axes, turns, strict=True)))]
    flip = ["x Q0"] if bit else []
    lines = ["set Q0 0", "qalloc Q0", "init Q0", *flip, *undone, f"{name} Q0 M0 {turns[0]} {turns[1]} {turns[2]} 4"]
    for seed in range(5):
        assert registers(Lab(seed=seed).run("a", HEAD + "\n".join([*lines, "ret_reg M0"]) + "\n")) == {"M0": bit}


def test_mov_takes_the_qubit_along_and_leaves_the_address_free() -> None:
    lab = Lab()
    lab.run("a", HEAD + PREPARED + "\n")
    before = lab.state("a", 0)
    lab.run("a", HEAD + "set Q0 0\nset Q1 1\nmov Q0 Q1\nqfree Q0\nqalloc Q0\ninit Q0\n")
    assert np.allclose(lab.state("a", 1), before, atol=1e-12)
    assert np.allclose(lab.state("a", 0), np.diag([1, 0]), atol=1e-12)


def test_all_memories_can_be_taken_and_come_back() -> None:
    lab = Lab(hardware=Hardware(NodeHardware(memories=5)))
    text = "\n".join(f"set Q{k} {k}\nqalloc Q{k}\ninit Q{k}" for k in range(5))
    free = "\n".join(f"set Q{k} {k}\nqfree Q{k}" for k in range(5))
    for _ in range(3):
        lab.run("a", f"{HEAD}{text}\n{free}\n")
    with pytest.raises(Fault, match="5 memories"):
        lab.executors["a"].init_app(("other", 0), 6)


def test_a_measured_qubit_stays_as_it_was_found_though_misread() -> None:
    """Two readings of one |+>, each right with r: they agree with r^2 + (1-r)^2. 2000 pairs of readings, 4 sigma:
    false alarm 6e-5."""
    right, trials = 0.8, 2000
    lab = Lab(hardware=Hardware(NodeHardware(readout=right)), seed=3)
    text = HEAD + "set Q0 0\nqalloc Q0\ninit Q0\nh Q0\nmeas Q0 M0\nmeas Q0 M1\nqfree Q0\nret_reg M0\nret_reg M1\n"
    read = [registers(lab.run("a", text)) for _ in range(trials)]
    expected = right**2 + (1 - right) ** 2
    agree = sum(row["M0"] == row["M1"] for row in read) / trials
    assert abs(agree - expected) < 4 * np.sqrt(expected * (1 - expected) / trials)


# --- time ---


def test_time_is_what_the_device_says() -> None:
    device = DeviceNoise(init_ns=1_000, gate1_ns=20, gate2_ns=300, readout_ns=4_000)
    lab = Lab(hardware=Hardware(NodeHardware(Node(device=device), instruction_ns=7)))
    text = "set Q0 0\nset Q1 1\nqalloc Q0\nqalloc Q1\ninit Q0\ninit Q1\nh Q0\ncnot Q0 Q1\nmeas Q0 M0\nset R0 1\n"
    lab.run("a", HEAD + text)
    assert lab.ended_ns["a"] == 2 * 1_000 + 20 + 300 + 4_000 + 3 * 7


def test_a_wait_ends_at_its_deadline() -> None:
    lab = Lab("ab", patience_s=2)
    with pytest.raises(Fault, match=r"after 2\.0 s") as caught:
        lab.run("b", receive())
    assert caught.value.code is Code.TIMEOUT
    assert lab.ended_ns["b"] == 2_000_000_000


@pytest.mark.parametrize("wait", ["wait_any @2[R1:R2]", "wait_single @2[R1]"])
def test_waits_for_any_and_one_end_with_the_first_pair(wait: str) -> None:
    lab = Lab("ab", seed=4)
    lab.start("a", create(2))
    lab.start("b", receive(2, wait=False) + f"set R1 0\nset R2 20\n{wait}\nret_arr @2\n")
    lab.finish()
    assert not lab.faults
    there = arrays(lab.returned["b"])[2]
    assert None not in there[:10]
    assert there[10:] == (None,) * 10
    assert lab.ended_ns["b"] < lab.ended_ns["a"]
