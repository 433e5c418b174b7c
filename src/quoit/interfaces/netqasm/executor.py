"""Runs NetQASM subroutines on a `Processor`: registers, arrays, branches, waits, and what is returned to the host.

Nothing here knows an event loop: whoever runs the coroutines decides, so one executor serves virtual and real time.
Semantics of instructions: doi:10.1088/2058-9565/ac753f and the package `netqasm`.

*Pairs.* `create_epr` and `recv_epr` return at once, and results are written when the processor tells of them. Each pair
needs its virtual address to be free; a request that names one address several times gets its pairs one by one.

*Time.* Classical instructions take `instruction_ns`, paid before the next thing that is not classical. A wait ends
with TIMEOUT after `patience_ns`, and a subroutine after `most_instructions`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import pi
from types import MappingProxyType
from typing import NamedTuple

from quoit.interfaces.netqasm.memory import Memory, UnitModule
from quoit.interfaces.netqasm.processor import (
    AXES,
    Code,
    Create,
    EprSocket,
    Failed,
    Fault,
    Kind,
    Matched,
    News,
    Pair,
    Processor,
    RandomBases,
    Reading,
    Receive,
)
from quoit.interfaces.netqasm.program import Address, Entry, Instruction, Operand, Register, Slice, Subroutine

SLICE = 200
"""Instructions after which others have a turn."""
RESULT_FIELDS = 10
"""Entries of one pair in an array of results."""
REQUEST_FIELDS = 22
"""Entries of an array of arguments of `create_epr`."""

_ONE_QUBIT = {"x": "X", "y": "Y", "z": "Z", "h": "H", "s": "S", "k": "K", "t": "T"}
_TURNS = {"rot_x": "RX", "rot_y": "RY", "rot_z": "RZ"}
_TWO_QUBITS = {"cnot": "CNOT", "cphase": "CZ", "swp": "SWAP"}
_BASES = {"meas_basis": 0, "meas_basis_yzy": 1, "meas_basis_zxz": 2}
_TIME_UNITS_NS = (1_000, 1_000_000, 1_000_000_000)


class ReturnedRegister(NamedTuple):
    """A value for the host."""

    register: Register
    value: int


class ReturnedArray(NamedTuple):
    """An array for the host; None for entries that are undefined."""

    address: int
    values: tuple[int | None, ...]


Returned = ReturnedRegister | ReturnedArray
AppKey = tuple[str, int]
"""Host and the id that it gave its application."""


@dataclass(slots=True)
class _Request:
    """A request whose pairs are not all there. `qubits`, `results`: addresses of arrays. `kind`: None until the remote
    end has said."""

    app: AppKey
    socket: EprSocket
    number: int
    qubits: int | None
    results: int
    kind: Kind | None
    granted: int = 0
    held: list[int] = field(default_factory=list)
    """Memories granted to pairs that have not come."""


@dataclass(slots=True)
class _App:
    memory: Memory
    module: UnitModule
    sockets: dict[tuple[int, int], EprSocket] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    """Of requests, for the next wait to raise."""


class Executor:
    """All applications of one node. `nodes`: names by node id.

    `patience_ns`: for one wait. `most_instructions`: of one subroutine, branches counted each time.
    """

    def __init__(
        self,
        processor: Processor,
        nodes: Sequence[str],
        *,
        patience_ns: int = 3_600_000_000_000,
        most_instructions: int = 10_000_000,
    ) -> None:
        self._processor = processor
        self._nodes = tuple(nodes)
        self._patience_ns = patience_ns
        self._most = most_instructions
        self._apps: dict[AppKey, _App] = {}
        self._requests: dict[int, _Request] = {}
        processor.listen(self._hear)

    # --- applications ---

    def init_app(self, key: AppKey, qubits: int) -> None:
        """Register an application that holds up to this many qubits. NO_QUBIT if the node has fewer memories."""
        if key in self._apps:
            raise Fault(Code.GENERAL, f"application {key[1]} of {key[0]} is registered already")
        if qubits > self._processor.memories:
            have = self._processor.memories
            raise Fault(Code.NO_QUBIT, f"node {self._processor.node} has {have} memories; found a need of {qubits}")
        self._apps[key] = _App(Memory(), UnitModule(qubits))

    def open_socket(self, key: AppKey, number: int, remote_id: int, remote_number: int, min_fidelity: int) -> None:
        """Agree with a remote node on a socket for pairs. `min_fidelity`, in per cent, is passed on as a wish."""
        app = self._app(key)
        if (remote_id, number) in app.sockets:
            raise Fault(Code.GENERAL, f"EPR socket {number} to {self._node(remote_id)} is open already")
        socket = EprSocket(number, self._node(remote_id), remote_number, min_fidelity)
        self._processor.open_socket(socket)
        app.sockets[remote_id, number] = socket

    async def stop_app(self, key: AppKey) -> None:
        """End an application: its requests, sockets, qubits and memory. A subroutine of it that is under way fails at
        its next use of any of them."""
        app = self._app(key)
        del self._apps[key]
        for number in [number for number, request in self._requests.items() if request.app == key]:
            self._processor.cancel(number)
            del self._requests[number]
        app.faults.append(Fault(Code.GENERAL, f"application {key[1]} of {key[0]} has been stopped"))
        for address in app.module.clear():
            try:
                await self._processor.free(address)
            except Fault as fault:  # of a device that does not answer: the others are freed all the same
                app.faults.append(fault)
        for socket in app.sockets.values():
            self._processor.close_socket(socket)
        self._grant_all()

    def physical(self, key: AppKey, virtual: int) -> int:
        """The memory behind an application's address."""
        return self._app(key).module.physical(virtual)

    async def run(self, key: AppKey, subroutine: Subroutine, give: Callable[[Returned], None]) -> None:
        """Run it to its end. `give` gets each returned value at once. `Fault` names the line."""
        run = _Run(self, self._processor, key, self._app(key), give, self._patience_ns)
        line, done, rows = 0, 0, subroutine.instructions
        while line < len(rows):
            if done >= self._most:
                raise Fault(Code.GENERAL, f"the subroutine has not ended after {done} instructions")
            done += 1
            if done % SLICE == 0:
                await self._processor.rest(0)  # one program must not keep a node of real time from all others
            try:
                target = await run.step(rows[line])
            except Fault as fault:
                raise Fault(fault.code, f"line {line} ({rows[line]}): {fault.text}") from fault
            line = line + 1 if target is None else target
            if line < 0:
                raise Fault(Code.GENERAL, f"expected a line to branch to, found {line}")
        await run.pay()

    # --- pairs ---

    def start(
        self, key: AppKey, remote_id: int, socket_number: int, qubits: int | None, results: int, arguments: int | None
    ) -> None:
        """Ask for pairs, or with `arguments` None take part in what the remote end asks for."""
        app = self._app(key)
        socket = app.sockets.get((remote_id, socket_number))
        if socket is None:
            raise Fault(Code.GENERAL, f"no EPR socket {socket_number} to {self._node(remote_id)} is open")
        entries = len(app.memory.array(results))
        if arguments is None:
            if entries % RESULT_FIELDS or not entries:
                raise Fault(Code.GENERAL, f"expected results of {RESULT_FIELDS} entries a pair, found {entries}")
            number = entries // RESULT_FIELDS
            request, kind = self._processor.receive(Receive(socket, number)), None
        else:
            wanted = _create(socket, app.memory.array(arguments))
            number, kind = wanted.pairs, wanted.kind
            if entries != number * RESULT_FIELDS:
                raise Fault(Code.GENERAL, f"expected {number * RESULT_FIELDS} entries for results, found {entries}")
            if kind is Kind.KEEP:
                _addresses(app, qubits, number)
            request = self._processor.create(wanted)
        self._requests[request] = _Request(key, socket, number, qubits, results, kind)
        self._grant(request)

    def _hear(self, number: int, news: News) -> None:
        request = self._requests.get(number)
        app = None if request is None else self._apps.get(request.app)
        if request is None or app is None:
            return
        try:
            if isinstance(news, Matched):
                request.kind = Kind.KEEP if news.kind is Kind.PREPARE else news.kind
                self._grant(number)
            elif isinstance(news, Failed):
                del self._requests[number]
                app.faults.append(news.fault)
            else:
                self._write(app, request, news)
                if news.index + 1 == request.number:
                    del self._requests[number]
        except Fault as fault:
            app.faults.append(fault)

    def _write(self, app: _App, request: _Request, pair: Pair) -> None:
        if pair.address is not None:
            request.held.remove(pair.address)
        fields = _result(pair, request.socket.number, self._nodes.index(request.socket.remote))
        for offset, value in enumerate(fields):
            app.memory.store(Entry(request.results, pair.index * RESULT_FIELDS + offset), value)

    def _grant_all(self) -> None:
        for number in list(self._requests):
            self._grant(number)

    def _grant(self, number: int) -> None:
        """Give the request memories for its next pairs, as far as their virtual addresses are free."""
        request = self._requests[number]
        if request.kind is not Kind.KEEP:
            return
        app = self._apps[request.app]
        wanted = _addresses(app, request.qubits, request.number)
        while request.granted < request.number:
            virtual = wanted[request.granted]
            if not app.module.is_free(virtual):
                return
            physical = self._processor.allocate()
            if physical is None:
                return
            app.module.take(virtual, physical)
            request.granted += 1
            request.held.append(physical)
            self._processor.grant(number, physical)

    def freed(self) -> None:
        """A memory has become free: requests that wait for one may go on."""
        self._grant_all()

    # --- the rest ---

    def _app(self, key: AppKey) -> _App:
        found = self._apps.get(key)
        if found is None:
            raise Fault(Code.GENERAL, f"application {key[1]} of {key[0]} is not registered")
        return found

    def _node(self, number: int) -> str:
        if not 0 <= number < len(self._nodes):
            raise Fault(Code.GENERAL, f"expected a node id 0 to {len(self._nodes) - 1}, found {number}")
        return self._nodes[number]


class _Run:
    """One subroutine under way."""

    def __init__(
        self,
        executor: Executor,
        processor: Processor,
        key: AppKey,
        app: _App,
        give: Callable[[Returned], None],
        patience_ns: int,
    ) -> None:
        self._executor, self._processor, self._key, self._app = executor, processor, key, app
        self._memory, self._module, self._give, self._patience_ns = app.memory, app.module, give, patience_ns
        self._owed_ns = 0
        self._handlers = self._table()

    async def pay(self) -> None:
        """Let the time of the classical instructions pass."""
        owed, self._owed_ns = self._owed_ns, 0
        if owed:
            await self._processor.rest(owed)

    async def step(self, row: Instruction) -> int | None:
        """Carry out one instruction; the line to branch to, if it branches."""
        name, operands = row.name, row.operands
        handler = self._handlers.get(name)
        if handler is not None:
            await self.pay()
            await handler(name, operands)
            return None
        self._owed_ns += self._processor.instruction_ns
        if name in _BRANCHES:
            return self._branch(name, operands)
        if name in _ARITHMETIC:
            self._calculate(name, operands)
        else:
            self._classical(name, operands)
        return None

    def _table(self) -> Mapping[str, Callable[[str, tuple[Operand, ...]], Awaitable[None]]]:
        rows: dict[str, Callable[[str, tuple[Operand, ...]], Awaitable[None]]] = {
            "qalloc": self._qalloc,
            "init": self._init,
            "qfree": self._qfree,
            "meas": self._measure,
            "mov": self._move,
            "create_epr": self._epr,
            "recv_epr": self._epr,
            "wait_all": self._wait,
            "wait_any": self._wait,
            "wait_single": self._wait,
            "ret_reg": self._return,
            "ret_arr": self._return,
        }
        rows.update(dict.fromkeys([*_ONE_QUBIT, *_TURNS, *_TWO_QUBITS], self._gate))
        rows.update(dict.fromkeys(_BASES, self._measure_basis))
        return MappingProxyType(rows)

    # --- classical ---

    def _classical(self, name: str, operands: tuple[Operand, ...]) -> None:
        match name, operands:
            case "set", (Register() as register, int(value)):
                self._memory.set(register, value)
            case "store", (Register() as register, Entry() as entry):
                self._memory.store(entry, self._memory.get(register))
            case "load", (Register() as register, Entry() as entry):
                self._memory.set(register, self._memory.load(entry))
            case "undef", (Entry() as entry,):
                self._memory.store(entry, None)
            case "lea", (Register() as register, Address(number)):
                self._memory.set(register, number)
            case "array", (Register() as register, Address(number)):
                self._memory.new_array(number, self._memory.get(register))
            case "breakpoint", (0, _):
                pass
            case "breakpoint", _:
                raise Fault(Code.UNSUPP, "breakpoints that dump states are not supported")
            case _:
                raise Fault(Code.UNSUPP, f"instruction {name} of these operands is not supported")

    def _branch(self, name: str, operands: tuple[Operand, ...]) -> int | None:
        *registers, line = operands
        if not isinstance(line, int):
            raise Fault(Code.GENERAL, f"expected a line to branch to, found {line}")
        return line if _BRANCHES[name](*(self._value(register) for register in registers)) else None

    def _calculate(self, name: str, operands: tuple[Operand, ...]) -> None:
        target, *sources = operands
        if not isinstance(target, Register):
            raise Fault(Code.GENERAL, f"expected a register for the result, found {target}")
        values = [self._value(source) for source in sources]
        if name in {"div", "rem"} and values[1] == 0:
            raise Fault(Code.GENERAL, "division by zero")
        if name in {"addm", "subm"} and values[2] < 1:
            raise Fault(Code.GENERAL, f"expected a modulus of 1 or more, found {values[2]}")
        self._memory.set(target, _ARITHMETIC[name](*values))

    def _value(self, operand: Operand) -> int:
        if isinstance(operand, Register):
            return self._memory.get(operand)
        if isinstance(operand, int):
            return operand
        raise Fault(Code.GENERAL, f"expected a register, found {operand}")

    async def _return(self, name: str, operands: tuple[Operand, ...]) -> None:
        match operands:
            case (Register() as register,):
                self._give(ReturnedRegister(register, self._memory.get(register)))
            case (Address(number),):
                self._give(ReturnedArray(number, tuple(self._memory.array(number))))
            case _:
                raise Fault(Code.GENERAL, f"expected a register or an array to return, found {operands}")

    # --- qubits ---

    async def _qalloc(self, name: str, operands: tuple[Operand, ...]) -> None:
        virtual = self._value(operands[0])
        if not self._module.is_free(virtual):
            raise Fault(Code.NO_QUBIT, f"qubit address {virtual} is allocated already")
        physical = self._processor.allocate()
        if physical is None:
            have = self._processor.memories
            raise Fault(Code.NO_QUBIT, f"all {have} memories of {self._processor.node} are taken")
        self._module.take(virtual, physical)

    async def _init(self, name: str, operands: tuple[Operand, ...]) -> None:
        await self._processor.initialise(self._physical(operands[0]))

    async def _qfree(self, name: str, operands: tuple[Operand, ...]) -> None:
        physical = self._module.release(self._value(operands[0]))
        if physical is not None:
            await self._processor.free(physical)
            self._executor.freed()

    async def _gate(self, name: str, operands: tuple[Operand, ...]) -> None:
        if name in _ONE_QUBIT:
            await self._processor.gate(_ONE_QUBIT[name], (self._physical(operands[0]),))
        elif name in _TURNS:
            angle = _angle(self._value(operands[1]), self._value(operands[2]))
            await self._processor.gate(_TURNS[name], (self._physical(operands[0]),), angle)
        else:
            pair = self._physical(operands[0]), self._physical(operands[1])
            if pair[0] == pair[1]:
                raise Fault(Code.NO_QUBIT, f"expected two different qubits, found address {operands[0]} twice")
            await self._processor.gate(_TWO_QUBITS[name], pair)

    async def _move(self, name: str, operands: tuple[Operand, ...]) -> None:
        source, target = self._value(operands[0]), self._value(operands[1])
        if source == target:
            raise Fault(Code.NO_QUBIT, f"expected another address than {source} to move to")
        if self._module.is_free(target):
            await self._qalloc(name, (target,))
        await self._processor.move(self._module.physical(source), self._module.physical(target))
        await self._processor.free(self._module.leave(source))
        self._executor.freed()

    async def _measure(self, name: str, operands: tuple[Operand, ...]) -> None:
        outcome = operands[1]
        if not isinstance(outcome, Register):
            raise Fault(Code.GENERAL, f"expected a register for the outcome, found {outcome}")
        self._memory.set(outcome, await self._processor.measure(self._physical(operands[0])))

    async def _measure_basis(self, name: str, operands: tuple[Operand, ...]) -> None:
        power = self._value(operands[5])
        for axis, turns in zip(AXES[_BASES[name]], operands[2:5], strict=True):
            units = self._value(turns)
            if units:
                await self._processor.gate(axis, (self._physical(operands[0]),), _angle(units, power))
        await self._measure("meas", operands[:2])

    def _physical(self, operand: Operand) -> int:
        return self._module.physical(self._value(operand))

    # --- pairs ---

    async def _epr(self, name: str, operands: tuple[Operand, ...]) -> None:
        remote, socket, *others = operands
        qubits = others[0]
        if not isinstance(qubits, Register):
            raise Fault(Code.GENERAL, f"expected a register, found {qubits}")
        arguments = self._value(others[1]) if name == "create_epr" else None
        results = self._value(others[-1])
        found = self._memory.peek(qubits)
        self._executor.start(self._key, self._value(remote), self._value(socket), found, results, arguments)

    async def _wait(self, name: str, operands: tuple[Operand, ...]) -> None:
        until = self._processor.now_ns() + self._patience_ns
        while not self._defined(name, operands[0]):
            if self._app.faults:
                raise self._app.faults.pop(0)
            if self._processor.now_ns() >= until:
                raise Fault(Code.TIMEOUT, f"{operands[0]} has no value after {self._patience_ns / 1e9} s")
            await self._processor.news(until)

    def _defined(self, name: str, what: Operand) -> bool:
        if isinstance(what, Entry):
            array, index = self._memory.place(what)
            return array[index] is not None
        if not isinstance(what, Slice):
            raise Fault(Code.GENERAL, f"expected a part of an array to wait for, found {what}")
        there = [value is not None for value in self._memory.part(what)]
        return any(there) if name == "wait_any" else all(there)


_BRANCHES: Mapping[str, Callable[..., bool]] = MappingProxyType(
    {
        "jmp": lambda: True,
        "bez": lambda a: a == 0,
        "bnz": lambda a: a != 0,
        "beq": lambda a, b: a == b,
        "bne": lambda a, b: a != b,
        "blt": lambda a, b: a < b,
        "bge": lambda a, b: a >= b,
    }
)

_ARITHMETIC: Mapping[str, Callable[..., int]] = MappingProxyType(
    {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "div": lambda a, b: a // b,
        "rem": lambda a, b: a % b,
        "addm": lambda a, b, m: (a + b) % m,
        "subm": lambda a, b, m: (a - b) % m,
    }
)


def _angle(units: int, power: int) -> float:
    """units pi / 2^power, in rad."""
    if not 0 <= power <= 62:
        raise Fault(Code.GENERAL, f"expected a power of two from 0 to 62, found {power}")
    return float(units * pi / 2**power)


def _addresses(app: _App, qubits: int | None, number: int) -> list[int]:
    """Virtual addresses of a request's qubits, checked."""
    if qubits is None:
        raise Fault(Code.GENERAL, "expected an array of qubit addresses, found an undefined register")
    found = app.memory.array(qubits)
    if len(found) != number:
        raise Fault(Code.GENERAL, f"expected {number} qubit addresses, found {len(found)}")
    addresses = [value for value in found if value is not None]
    if len(addresses) != number:
        raise Fault(Code.GENERAL, f"array @{qubits} of qubit addresses has undefined entries")
    for address in addresses:
        app.module.check(address)
    return addresses


def _create(socket: EprSocket, arguments: list[int | None]) -> Create:
    """The request that an array of arguments stands for; undefined entries have their default, 0 and one pair.

    UNSUPP for what the link layer service has and no link here offers.
    """
    if len(arguments) != REQUEST_FIELDS:
        raise Fault(Code.GENERAL, f"expected {REQUEST_FIELDS} arguments of create_epr, found {len(arguments)}")
    given = [value or 0 for value in arguments]
    for name, at in (("atomic", 8), ("consecutive", 9)):
        if given[at]:
            raise Fault(Code.UNSUPP, f"{name} requests are not supported")
    if any(given[10:14]):
        raise Fault(Code.UNSUPP, "random bases of unequal probability are not supported")
    try:
        kind, sets = Kind(given[0]), (RandomBases(given[2]), RandomBases(given[3]))
        unit_ns = _TIME_UNITS_NS[given[5]]
        local = Reading((given[14], given[15], given[16]), given[20], sets[0])
        remote = Reading((given[17], given[18], given[19]), given[21], sets[1])
    except (ValueError, IndexError) as fault:
        raise Fault(Code.UNSUPP, f"arguments of create_epr: {fault}") from fault
    if not 0 <= given[20] < len(AXES) or not 0 <= given[21] < len(AXES):
        raise Fault(Code.UNSUPP, f"expected rotation axes 0 to {len(AXES) - 1}, found {given[20]} and {given[21]}")
    pairs = 1 if arguments[1] is None else arguments[1]
    if pairs < 1:
        raise Fault(Code.GENERAL, f"expected one pair or more, found {pairs}")
    within = given[6] * unit_ns if given[6] else None
    return Create(socket, pairs, kind, local, remote, given[4], within)


def _result(pair: Pair, purpose: int, remote_id: int) -> tuple[int, ...]:
    """The entries of a pair, in the order of `LinkLayerOKTypeK` and `LinkLayerOKTypeM`. Where these have `goodness`,
    the SDK reads how long generation took, in us."""
    took_us = min(-(-pair.duration_ns // 1000), 2**31 - 1)
    direction, end = int(not pair.creator), int(pair.bell)
    if pair.outcome is None:
        address = -1 if pair.address is None else pair.address
        # The link layer's time of goodness has 32 bits: seconds of the processor's clock.
        seconds = min(pair.at_ns // 1_000_000_000, 2**31 - 1)
        head = (int(Kind.KEEP), pair.create_id, address, direction)
        return (*head, pair.sequence, purpose, remote_id, took_us, seconds, end)
    measured = (int(pair.kind), pair.create_id, pair.outcome, int(pair.basis), direction)
    return (*measured, pair.sequence, purpose, remote_id, took_us, end)
