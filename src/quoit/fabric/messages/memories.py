"""Memories of a node: who holds them, and what is done to the qubits in them."""

from __future__ import annotations

from quoit.runtime.wire import Message, message


def memory(node: str) -> str:
    """Name of the agent that keeps a node's quantum memories."""
    return f"memory:{node}"


@message("fabric.ReserveSlots")
class ReserveSlots(Message):
    """Keep `number` memories of a node for `holder`. Answered with `Slots`; Problem `no-memory`. `claim`: a name under
    which it is asked again if there are too few now; until then what it needs is kept from those of lower `priority`
    (0 to 7) and those who come later."""

    holder: str
    number: int
    priority: int = 0
    claim: str = ""


@message("fabric.FreeSlots")
class FreeSlots(Message):
    """Give memories back; what is in them is lost. Answered with those that were the holder's."""

    holder: str
    slots: tuple[int, ...]


@message("fabric.Slots")
class Slots(Message):
    slots: tuple[int, ...]


@message("fabric.HalfReady")
class HalfReady(Message):
    """To the holder: half of pair number `number` of a circuit is in a memory of `node` since `at_ns`.

    The pair's own times: `attempt_ns`, since when its oldest part was stored; `heralded_ns`, when this end had its half
    and had heard of all swaps; `corrected_ns`, when both ends had.
    """

    circuit: str
    number: int
    node: str
    slot: int
    at_ns: int
    attempt_ns: int = 0
    heralded_ns: int = 0
    corrected_ns: int = 0


@message("fabric.HandOver")
class HandOver(Message):
    """Memories of `holder` become `to`'s, with what is in them. Answered with `Slots`; Problem `bad-operation`."""

    holder: str
    slots: tuple[int, ...]
    to: str


@message("fabric.GetMemories")
class GetMemories(Message):
    """Where is each memory of a node in its life? Answered with `MemoryRows`."""


class MemoryRow(Message):
    """`state`: of `fabric.qubits.QubitState`; `owner`: the function that owns the qubit in it; `lives`: qubits held so
    far; `idle_ns`: how long they were stored with nothing done to them."""

    slot: int
    state: str
    owner: str
    holder: str
    since_ns: int
    lives: int
    idle_ns: int


@message("fabric.MemoryRows")
class MemoryRows(Message):
    rows: tuple[MemoryRow, ...]


@message("fabric.OperateSlots")
class OperateSlots(Message):
    """Do a primitive on memories of one node that are the holder's. Answered by `SlotsDone`; Problem
    `bad-operation`."""

    holder: str
    name: str
    slots: tuple[int, ...]
    basis: str = "Z"
    angle_rad: float = 0.0
    pauli: str = "I"


class SlotStep(Message):
    """One of several operations on memories of one node."""

    name: str
    slots: tuple[int, ...]
    basis: str = "Z"
    angle_rad: float = 0.0


@message("fabric.RunSteps")
class RunSteps(Message):
    """Do these operations, one after the other, on memories of one node that are the holder's. Answered by
    `StepsDone`; Problem `bad-operation`, and what came before the fault has been done."""

    holder: str
    steps: tuple[SlotStep, ...]


@message("fabric.StepsDone")
class StepsDone(Message):
    """`bits`: what each step read. The device was at it from `began_ns` to `done_ns`."""

    bits: tuple[tuple[int, ...], ...]
    began_ns: int
    done_ns: int


@message("fabric.CountSlots")
class CountSlots(Message):
    """How many memories of a node are free? Answered with `SlotCount`."""


@message("fabric.SlotCount")
class SlotCount(Message):
    free: int
    number: int


@message("fabric.SlotsDone")
class SlotsDone(Message):
    bits: tuple[int, ...]
    ok: bool
    done_ns: int
