"""Classical memory of an application at its node: registers, arrays, and which qubits it holds under which address."""

from __future__ import annotations

from quoit.interfaces.netqasm.processor import Code, Fault
from quoit.interfaces.netqasm.program import Entry, Register, Slice

LOWEST, HIGHEST = -(2**31), 2**31 - 1
"""Values are signed integers of 32 bits."""

MOST_ENTRIES = 1_000_000
"""Of all arrays of an application together."""


def checked(value: int) -> int:
    """`Fault` GENERAL for what no register holds."""
    if not LOWEST <= value <= HIGHEST:
        raise Fault(Code.GENERAL, f"expected a value of 32 bits, found {value}")
    return value


class Memory:
    """Registers and arrays. What has not been written is undefined, and reading it is a fault."""

    def __init__(self) -> None:
        self._registers: dict[Register, int] = {}
        self._arrays: dict[int, list[int | None]] = {}

    def set(self, register: Register, value: int) -> None:
        self._registers[register] = checked(value)

    def get(self, register: Register) -> int:
        value = self._registers.get(register)
        if value is None:
            raise Fault(Code.GENERAL, f"register {register} has no value")
        return value

    def peek(self, register: Register) -> int | None:
        """None if it has no value."""
        return self._registers.get(register)

    def new_array(self, address: int, length: int) -> None:
        """Undefined entries; an array that was there is gone."""
        others = sum(len(array) for number, array in self._arrays.items() if number != address)
        if length < 0 or others + length > MOST_ENTRIES:
            raise Fault(Code.GENERAL, f"expected 0 to {MOST_ENTRIES - others} entries, found {length}")
        self._arrays[address] = [None] * length

    def array(self, address: int) -> list[int | None]:
        """The array itself."""
        found = self._arrays.get(address)
        if found is None:
            raise Fault(Code.GENERAL, f"there is no array @{address}")
        return found

    def _index(self, index: Register | int) -> int:
        return index if isinstance(index, int) else self.get(index)

    def place(self, entry: Entry) -> tuple[list[int | None], int]:
        """The array and the index within it."""
        array, index = self.array(entry.array), self._index(entry.at)
        if not 0 <= index < len(array):
            raise Fault(Code.GENERAL, f"array @{entry.array} has {len(array)} entries; found index {index}")
        return array, index

    def store(self, entry: Entry, value: int | None) -> None:
        array, index = self.place(entry)
        array[index] = None if value is None else checked(value)

    def load(self, entry: Entry) -> int:
        array, index = self.place(entry)
        value = array[index]
        if value is None:
            raise Fault(Code.GENERAL, f"entry {index} of array @{entry.array} has no value")
        return value

    def part(self, cut: Slice) -> list[int | None]:
        """A copy of the entries of a slice."""
        array, start, stop = self.array(cut.array), self._index(cut.start), self._index(cut.stop)
        if not 0 <= start <= stop <= len(array):
            raise Fault(Code.GENERAL, f"array @{cut.array} has {len(array)} entries; found the slice {start}:{stop}")
        return array[start:stop]


class UnitModule:
    """Virtual addresses of an application, 0 up to its number of qubits, and the memory that each one stands for."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._physical: dict[int, int] = {}
        self._left: set[int] = set()
        """Addresses whose qubit was moved away and which nobody has freed since."""

    def check(self, virtual: int) -> None:
        """`Fault` NO_QUBIT for an address outside."""
        if not 0 <= virtual < self.size:
            raise Fault(Code.NO_QUBIT, f"expected a qubit address 0 to {self.size - 1}, found {virtual}")

    def is_free(self, virtual: int) -> bool:
        self.check(virtual)
        return virtual not in self._physical

    def take(self, virtual: int, physical: int) -> None:
        if not self.is_free(virtual):
            raise Fault(Code.NO_QUBIT, f"qubit address {virtual} is allocated already")
        self._physical[virtual] = physical
        self._left.discard(virtual)

    def physical(self, virtual: int) -> int:
        self.check(virtual)
        found = self._physical.get(virtual)
        if found is None:
            raise Fault(Code.NO_QUBIT, f"qubit address {virtual} is not allocated")
        return found

    def release(self, virtual: int) -> int | None:
        """The memory that is free now; None if its qubit had been moved away before."""
        self.check(virtual)
        if virtual in self._left:
            self._left.remove(virtual)
            return None
        self.physical(virtual)
        return self._physical.pop(virtual)

    def leave(self, virtual: int) -> int:
        """As `release`, for a qubit that moves away: freeing the address afterwards is lawful."""
        self.physical(virtual)
        self._left.add(virtual)
        return self._physical.pop(virtual)

    def clear(self) -> list[int]:
        """All memories, which are free now."""
        found = list(self._physical.values())
        self._physical.clear()
        self._left.clear()
        self.size = 0
        return found
