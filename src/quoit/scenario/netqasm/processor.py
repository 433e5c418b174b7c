"""The reference `Processor`: a node's memories are slots of the run's one ledger."""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import TYPE_CHECKING

import numpy as np

from quoit.engine.ledger import Ledger, LedgerError, Outcome
from quoit.engine.states.refusal import Unsupported
from quoit.interfaces.netqasm.processor import (
    AXES,
    Basis,
    Code,
    Create,
    EprSocket,
    Fault,
    News,
    RandomBases,
    Reading,
    Receive,
)
from quoit.scenario.netqasm.clock import Clock, Signal
from quoit.scenario.netqasm.hardware import NodeHardware

if TYPE_CHECKING:
    from quoit.scenario.netqasm.network import Network

_SETS = {
    RandomBases.XZ: (Basis.X, Basis.Z),
    RandomBases.XYZ: (Basis.X, Basis.Y, Basis.Z),
    RandomBases.CHSH: (Basis.ZPLUSX, Basis.ZMINUSX),
}
_TURN: dict[Basis, tuple[str, float] | None] = {
    Basis.Z: None,
    Basis.X: ("H", 0.0),
    Basis.Y: ("K", 0.0),
    Basis.ZPLUSX: ("RY", -pi / 4),
    Basis.ZMINUSX: ("RY", pi / 4),
}
"""The gate that carries a basis to Z."""


class LedgerProcessor:
    """One node of a run. Addresses 0 up to its memories are slots of the ledger; those above serve halves that are
    measured at once. `rng` draws misreadings and random bases."""

    def __init__(
        self,
        node: str,
        hardware: NodeHardware,
        ledger: Ledger,
        clock: Clock,
        rng: np.random.Generator,
        network: Network,
    ) -> None:
        self._node, self._hardware, self._ledger, self._clock = node, hardware, ledger, clock
        self._rng, self._network = rng, network
        self._taken: set[int] = set()
        self._promised: dict[int, int] = {}
        """Addresses that were granted and have no qubit yet, with the request."""
        self._borrowed: set[int] = set()
        self._busy_ns: dict[int, int] = {}
        """Until when the last operation on a memory runs."""
        self._hear: Callable[[int, News], None] | None = None
        self._waiting: list[Signal] = []

    @property
    def node(self) -> str:
        return self._node

    @property
    def memories(self) -> int:
        return self._hardware.memories

    @property
    def instruction_ns(self) -> int:
        return self._hardware.instruction_ns

    @property
    def interfaces(self) -> int:
        return self._hardware.interfaces

    @property
    def stores(self) -> bool:
        return self._hardware.stores

    def now_ns(self) -> int:
        return self._clock.now_ns

    async def rest(self, duration_ns: int) -> None:
        await self._clock.sleep(duration_ns)

    # --- memories ---

    def allocate(self) -> int | None:
        for address in range(self._hardware.memories):
            if address not in self._taken:
                self._taken.add(address)
                return address
        return None

    async def free(self, address: int) -> None:
        self._need_own(address)
        # Of an application that was stopped, an operation may still run.
        await self._clock.sleep(self._busy_ns.get(address, 0) - self._clock.now_ns)
        self.empty(address)
        self._taken.discard(address)

    def empty(self, address: int) -> None:
        """Lose the qubit, if there is one."""
        if self._ledger.state_in((self._node, address)) is not None:
            self._ledger.discard((self._node, address), self._clock.now_ns)

    async def initialise(self, address: int) -> None:
        self._need_own(address)
        self.empty(address)
        await self._over(self._ledger.init((self._node, address), self._clock.now_ns), address)

    async def move(self, source: int, target: int) -> None:
        self._need_own(target)
        self._need_qubit(source)
        self.empty(target)
        await self._over(
            self._ledger.move((self._node, source), (self._node, target), self._clock.now_ns), source, target
        )

    def _need_own(self, address: int) -> None:
        if address not in self._taken:
            raise Fault(Code.NO_QUBIT, f"memory {address} of {self._node} is not allocated")
        if address in self._promised:
            raise Fault(Code.NO_QUBIT, f"memory {address} of {self._node} waits for its half of a pair")

    def _need_qubit(self, address: int) -> None:
        if self._ledger.state_in((self._node, address)) is None:
            raise Fault(Code.NO_QUBIT, f"memory {address} of {self._node} holds no qubit")

    async def _over(self, outcome: Outcome, *addresses: int) -> None:
        """Wait for the end of an operation on these memories."""
        self._busy_ns.update(dict.fromkeys(addresses, outcome.done_ns))
        await self._clock.sleep(outcome.done_ns - self._clock.now_ns)

    # --- gates and readings ---

    async def gate(self, name: str, addresses: tuple[int, ...], angle_rad: float = 0.0) -> None:
        for address in addresses:
            self._need_qubit(address)
        slots = [(self._node, address) for address in addresses]
        now = self._clock.now_ns
        try:
            if name == "K":
                # (Y + Z)/sqrt(2) = RX(-pi/2) Z. The Z is noted, so this is one gate, and has one gate's noise.
                self._ledger.correct(slots[0], "Z", now)
                done = self._ledger.gate("RX", slots, now, angle_rad=-pi / 2)
            else:
                done = self._ledger.gate(name, slots, now, angle_rad=angle_rad)
        except Unsupported as refusal:
            raise Fault(Code.UNSUPP, str(refusal)) from refusal
        except LedgerError as fault:
            raise Fault(Code.GENERAL, str(fault)) from fault
        await self._over(done, *addresses)

    async def measure(self, address: int) -> int:
        found, read = await self._read(address)
        state = np.zeros((2, 2), dtype=np.complex128)
        state[found, found] = 1.0
        if address in self._taken:  # else its application was stopped meanwhile
            self._ledger.herald([(self._node, address)], state, self._clock.now_ns)
        return read

    async def _read(self, address: int) -> tuple[int, int]:
        """What a perfect reading in Z finds, and what this node reports. The slot is empty afterwards."""
        self._need_qubit(address)
        done = self._ledger.measure((self._node, address), self._clock.now_ns)
        await self._over(done, address)
        found = done.bits[0]
        wrong = self._hardware.readout < 1.0 and self._rng.random() >= self._hardware.readout
        return found, found ^ int(wrong)

    async def read_half(self, address: int, reading: Reading) -> tuple[int, Basis]:
        """Measure a half at once: what is reported, and the basis if it was drawn."""
        basis = Basis.Z
        if reading.random is not RandomBases.NONE:
            choices = _SETS[reading.random]
            basis = choices[int(self._rng.integers(len(choices)))]
            turn = _TURN[basis]
            if turn is not None:
                await self.gate(turn[0], (address,), turn[1])
        else:
            for axis, units in zip(AXES[reading.axes], reading.rotations, strict=True):
                if units:
                    await self.gate(axis, (address,), units * pi / 16)
        return (await self._read(address))[1], basis

    # --- pairs ---

    def open_socket(self, socket: EprSocket) -> None:
        self._network.open_socket(self._node, socket)

    def close_socket(self, socket: EprSocket) -> None:
        self._network.close_socket(self._node, socket)

    def create(self, request: Create) -> int:
        return self._network.create(self._node, request)

    def receive(self, request: Receive) -> int:
        return self._network.receive(self._node, request)

    def grant(self, request: int, address: int) -> None:
        self._need_own(address)
        self._promised[address] = request
        self._network.grant(request, address)

    def cancel(self, request: int) -> None:
        self._network.cancel(request)
        self.forget(request)

    def listen(self, hear: Callable[[int, News], None]) -> None:
        self._hear = hear

    async def news(self, until_ns: int) -> None:
        signal = Signal(self._clock)
        self._waiting.append(signal)
        timer = self._clock.after(max(0, until_ns - self._clock.now_ns), signal.give)
        await signal
        timer.cancel()

    # --- as the network speaks to it ---

    def tell(self, request: int, news: News) -> None:
        """Let the executor hear."""
        if self._hear is not None:
            self._hear(request, news)
        waiting, self._waiting = self._waiting, []
        for signal in waiting:
            signal.give()

    def filled(self, address: int) -> None:
        """A promised half has come."""
        self._promised.pop(address, None)

    def forget(self, request: int) -> None:
        """What was promised for this request will not come."""
        self._promised = {address: of for address, of in self._promised.items() if of != request}

    def borrow(self) -> int:
        """An address above the memories, for a half that is measured at once."""
        address = self._hardware.memories
        while address in self._borrowed:
            address += 1
        self._borrowed.add(address)
        return address

    async def store(self, borrowed: int, address: int) -> None:
        """Move a half from where it came to the memory that it is for."""
        await self._over(self._ledger.move((self._node, borrowed), (self._node, address), self._clock.now_ns), address)

    def give_back(self, address: int) -> None:
        """A borrowed address; of others nothing happens."""
        self._borrowed.discard(address)
