"""Subroutines as the executor takes them. `parser` reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Register(NamedTuple):
    """One of R, C, Q or M, and 0 to 15."""

    group: str
    number: int

    def __str__(self) -> str:
        return f"{self.group}{self.number}"


class Address(NamedTuple):
    """Of an array."""

    number: int


class Entry(NamedTuple):
    """Of an array."""

    array: int
    at: Register | int


class Slice(NamedTuple):
    """Of an array: from `start`, before `stop`."""

    array: int
    start: Register | int
    stop: Register | int


Operand = Register | Address | Entry | Slice | int


@dataclass(frozen=True, slots=True)
class Instruction:
    """Mnemonic and operands in NetQASM's order."""

    name: str
    operands: tuple[Operand, ...]

    def __str__(self) -> str:
        return " ".join([self.name, *(str(operand) for operand in self.operands)])


@dataclass(frozen=True, slots=True)
class Subroutine:
    """`app_id`: as its metadata say."""

    app_id: int
    instructions: tuple[Instruction, ...]
