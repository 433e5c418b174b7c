"""Qubits of applications: their memories, operations on them, and notes from one application to another."""

from __future__ import annotations

from quoit.runtime.wire import Message, message


@message("service.Operate")
class OperateOn(Message):
    """Do `name` on the caller's qubits at these memory addresses (`node/slot`): init, x y z h s sdg t rx ry rz, cnot
    cz swap, measure (`basis` X, Y or Z), bell-measure, correct (`pauli`), discard. Answered by `Operation`;
    Problem `bad-operation`."""

    caller: str
    name: str
    addresses: tuple[str, ...]
    basis: str = "Z"
    angle_rad: float = 0.0
    pauli: str = "I"


@message("service.Operation")
class Operation(Message):
    """`bits`: what was read, in the order of the addresses. `done_ns`: when."""

    bits: tuple[int, ...]
    ok: bool
    done_ns: int


@message("service.AllocateMemory")
class AllocateMemory(Message):
    """Empty memories of the caller's own, at its node. Answered by `Memories`; Problem `no-memory`."""

    caller: str
    number: int


@message("service.FreeMemory")
class FreeMemory(Message):
    """Give memories back."""

    caller: str
    addresses: tuple[str, ...]


@message("service.Memories")
class Memories(Message):
    addresses: tuple[str, ...]


@message("service.SendNote")
class SendNote(Message):
    """A classical message from one application to another (`to`: SAE ID or endpoint URN)."""

    caller: str
    to: str
    text: str


@message("service.TakeNotes")
class TakeNotes(Message):
    """What has arrived for the caller, waiting for the first one for `wait_ns` at most. Each is given once."""

    caller: str
    wait_ns: int = 0


class Note(Message):
    sender: str
    text: str
    sent_ns: int
    arrived_ns: int


@message("service.Notes")
class Notes(Message):
    notes: tuple[Note, ...]
