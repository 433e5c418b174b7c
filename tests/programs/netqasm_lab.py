"""Two or more nodes in virtual time without sockets: text subroutines straight into executors.

Whoever imports this skips where the NetQASM SDK is not installed.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("netqasm", reason="needs the NetQASM SDK: pip install 'quoit[netqasm]'")

from quoit.interfaces.netqasm.executor import Executor, Returned, ReturnedArray, ReturnedRegister
from quoit.interfaces.netqasm.parser import from_text
from quoit.interfaces.netqasm.program import Subroutine
from quoit.scenario.netqasm.clock import Clock
from quoit.scenario.netqasm.hardware import Hardware
from quoit.scenario.netqasm.network import Network

SECOND = 1_000_000_000


class Lab:
    """Executors of nodes `a`, `b`, ..., each with one application of the same name and id 0, and EPR socket 0 between
    any two."""

    def __init__(
        self, nodes: str = "a", hardware: Hardware | None = None, seed: int = 0, qubits: int = 5, patience_s: float = 10
    ) -> None:
        self.clock = Clock()
        self.network = Network(nodes, hardware or Hardware(), seed, self.clock)
        self.executors: dict[str, Executor] = {}
        self.returned: dict[str, list[Returned]] = {}
        self.faults: dict[str, Exception] = {}
        self.ended_ns: dict[str, int] = {}
        self.running = 0
        for name in nodes:
            executor = Executor(
                self.network.processors[name], nodes, patience_ns=int(patience_s * SECOND), most_instructions=100_000
            )
            executor.init_app((name, 0), qubits)
            self.executors[name] = executor
        for name in nodes:
            for number, other in enumerate(nodes):
                if other != name and self.network._hardware.of_link(name, other) is not None:
                    self.executors[name].open_socket((name, 0), 0, number, 0, 100)

    def start(self, node: str, subroutine: str | Subroutine) -> None:
        """Let a node begin; `finish` goes on until all have ended."""
        rows = from_text(subroutine) if isinstance(subroutine, str) else subroutine
        self.returned[node] = []
        self.running += 1
        self.clock.spawn(self._run(node, rows))

    async def _run(self, node: str, rows: Subroutine) -> None:
        try:
            await self.executors[node].run((node, 0), rows, self.returned[node].append)
        except Exception as fault:  # noqa: BLE001  told to the test
            self.faults[node] = fault
        self.ended_ns[node] = self.clock.now_ns
        self.running -= 1

    def finish(self) -> None:
        while self.running:
            assert self.clock.step(), "nothing will ever happen"

    def run(self, node: str, subroutine: str | Subroutine) -> list[Returned]:
        """One subroutine from begin to end; raises what it raises."""
        self.start(node, subroutine)
        self.finish()
        if node in self.faults:
            raise self.faults.pop(node)
        return self.returned[node]

    def stop(self, node: str) -> None:
        """End a node's application."""
        self.clock.spawn(self.executors[node].stop_app((node, 0)))

    def state(self, node: str, virtual: int, *, reduced: bool = True) -> NDArray[np.complex128]:
        found = self.network.observe(node, self.executors[node].physical((node, 0), virtual), reduced)
        assert found is not None
        return found


def registers(returned: list[Returned]) -> dict[str, int]:
    return {str(row.register): row.value for row in returned if isinstance(row, ReturnedRegister)}


def arrays(returned: list[Returned]) -> dict[int, tuple[int | None, ...]]:
    return {row.address: row.values for row in returned if isinstance(row, ReturnedArray)}


HEAD = "# NETQASM 1.0\n# APPID 0\n"


def create(pairs: int = 1, kind: int = 0, remote: int = 1, *, wait: bool = True, **arguments: int) -> str:
    """Ask for pairs into qubits 0, 1, ...; results in @2. `arguments`: `_4=90` sets entry 4."""
    rows = [f"set R1 {value}\nset R2 {name[1:]}\nstore R1 @1[R2]\n" for name, value in arguments.items()]
    return _epr(pairs, wait, f"""
        set R0 22
        array R0 @1
        set R1 {kind}
        set R2 0
        store R1 @1[R2]
        set R1 {pairs}
        set R2 1
        store R1 @1[R2]
        {"".join(rows)}
        set R1 {remote}
        set R2 0
        set R3 0
        set R4 1
        set R5 2
        create_epr R1 R2 R3 R4 R5
    """)  # fmt: skip


def receive(pairs: int = 1, remote: int = 0, *, wait: bool = True) -> str:
    """Take part; as `create`."""
    return _epr(pairs, wait, f"""
        set R1 {remote}
        set R2 0
        set R3 0
        set R5 2
        recv_epr R1 R2 R3 R5
    """)  # fmt: skip


def _epr(pairs: int, wait: bool, ask: str) -> str:
    qubits = "".join(f"set R1 {k}\nstore R1 @0[R1]\n" for k in range(pairs))
    text = f"""
        set R0 {pairs}
        array R0 @0
        {qubits}
        set R0 {10 * pairs}
        array R0 @2
        {ask}
    """
    if wait:
        text += f"""
        set R1 0
        set R2 {10 * pairs}
        wait_all @2[R1:R2]
        ret_arr @2
        """
    return HEAD + "\n".join(line.strip() for line in text.splitlines() if line.strip()) + "\n"
