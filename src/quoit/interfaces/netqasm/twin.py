"""The `Processor` of a node of a running twin: what a subroutine wants goes through a `Gate` to the node's quantum
network processing unit, as a device's driver would send it.

Memories age, gates take their time and have their errors, pairs come over the twin's own circuits. Nothing here knows a
state. A classical instruction takes what this machine takes for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from typing import Any

from quoit.interfaces.netqasm.processor import (
    Basis,
    Bell,
    Code,
    Create,
    EprSocket,
    Failed,
    Fault,
    Kind,
    Matched,
    News,
    Pair,
    Reading,
    Receive,
)
from quoit.model.problem import Problem
from quoit.runtime.gate import Gate, Missed
from quoit.runtime.wire import Message
from quoit.service.api import (
    ActOnQubits,
    Claimed,
    ClaimQubits,
    DropPairs,
    GrantQubit,
    Operation,
    PairMade,
    PairReading,
    PairsFailed,
    PairsMatched,
    QnpuNews,
    SendWord,
    WantPairs,
    WordCame,
    qnpu,
)

WITHIN_S = 30.0
"""Of the host's time, for one operation."""
MOST_WORDS = 1_000
"""That wait for an application."""
CODES = {
    "no-route": Code.NORES, "no-memory": Code.NORES, "no-such-element": Code.NORES, "overloaded": Code.REJECTED,
    "fidelity-unreachable": Code.UNSUPP, "deadline": Code.TIMEOUT, "not-ready": Code.TIMEOUT,
}  # fmt: skip

Sleep = Callable[[float], Awaitable[None]]


def fault_of(problem: Problem) -> Fault:
    """What a problem of the twin is to a program."""
    return Fault(CODES.get(problem.code, Code.GENERAL), problem.detail or problem.row.title)


class TwinProcessor:
    """One node. `peers`: nodes that a socket for pairs can lead to. `sleep`: waits on the twin's clock, seconds."""

    def __init__(self, gate: Gate, node: str, peers: Iterable[str], sleep: Sleep = asyncio.sleep) -> None:
        self._gate, self._node, self._sleep = gate, node, sleep
        self._peers = frozenset(peers)
        self._slots: tuple[int, ...] = ()
        self._taken: set[int] = set()
        self._held: set[int] = set()
        self._read: dict[int, int] = {}
        """What was read of qubits that nothing has been done with since."""
        self._promised: dict[int, int] = {}
        """Addresses that were granted and have no qubit yet, with the request."""
        self._dropping: dict[int, asyncio.Task[None]] = {}
        """Addresses of requests that are being ended."""
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._sockets: set[tuple[int, str]] = set()
        self._requests = 0
        self._live: set[int] = set()
        self._hear: Callable[[int, News], None] | None = None
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def claim(self, number: int) -> None:
        """Set memories apart for programs. Problem `no-memory`."""
        answer = await self._gate.ask(qnpu(self._node), ClaimQubits(number))
        assert isinstance(answer, Claimed)
        self._slots = answer.slots

    @property
    def node(self) -> str:
        return self._node

    @property
    def memories(self) -> int:
        return len(self._slots)

    @property
    def instruction_ns(self) -> int:
        return 0

    def now_ns(self) -> int:
        return self._gate.now_ns()

    async def rest(self, duration_ns: int) -> None:
        await self._sleep(duration_ns * 1e-9)

    async def _ask(self, order: Message) -> Message:
        try:
            return await self._gate.ask(qnpu(self._node), order, WITHIN_S)
        except Problem as problem:
            raise fault_of(problem) from problem

    def _spawn(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- memories ---

    def allocate(self) -> int | None:
        for address in self._slots:
            if address not in self._taken:
                self._taken.add(address)
                return address
        return None

    async def free(self, address: int) -> None:
        if address not in self._taken:
            raise Fault(Code.NO_QUBIT, f"memory {address} of {self._node} is not allocated")
        dropping = self._dropping.pop(address, None)
        if dropping is not None:
            await dropping
        elif address in self._promised:
            raise Fault(Code.NO_QUBIT, f"memory {address} of {self._node} waits for its half of a pair")
        try:
            async with self._using(address):  # of an application that was stopped, an operation may still run
                await self._empty(address)
        finally:
            self._taken.discard(address)

    async def _empty(self, address: int) -> None:
        """Lose the qubit, if there is one."""
        if address in self._held:
            self._held.discard(address)
            if self._read.pop(address, None) is None:
                await self._act("discard", address)

    @contextlib.asynccontextmanager
    async def _using(self, *addresses: int) -> AsyncIterator[None]:
        """One operation on a memory at a time."""
        async with contextlib.AsyncExitStack() as stack:
            for address in sorted(set(addresses)):
                await stack.enter_async_context(self._locks[address])
            yield

    async def _act(self, name: str, *addresses: int, angle_rad: float = 0.0) -> Operation:
        answer = await self._ask(ActOnQubits(name, addresses, angle_rad))
        assert isinstance(answer, Operation)
        return answer

    def _need_own(self, address: int) -> None:
        if address not in self._taken:
            raise Fault(Code.NO_QUBIT, f"memory {address} of {self._node} is not allocated")
        if address in self._promised:
            raise Fault(Code.NO_QUBIT, f"memory {address} of {self._node} waits for its half of a pair")

    async def _need_qubit(self, address: int) -> None:
        """A qubit that was read is made anew as it was found, when something is to be done with it."""
        if address not in self._held or address not in self._taken:
            raise Fault(Code.NO_QUBIT, f"memory {address} of {self._node} holds no qubit")
        bit = self._read.pop(address, None)
        if bit is not None:
            await self._act("init", address)
            if bit:
                await self._act("x", address)

    async def initialise(self, address: int) -> None:
        self._need_own(address)
        async with self._using(address):
            await self._empty(address)
            await self._act("init", address)
            self._held.add(address)

    async def gate(self, name: str, addresses: tuple[int, ...], angle_rad: float = 0.0) -> None:
        async with self._using(*addresses):
            for address in addresses:
                await self._need_qubit(address)
            await self._act(name.lower(), *addresses, angle_rad=angle_rad)

    async def move(self, source: int, target: int) -> None:
        self._need_own(target)
        async with self._using(source, target):
            await self._need_qubit(source)
            await self._empty(target)
            await self._act("move", source, target)
            self._held.discard(source)
            self._held.add(target)

    async def measure(self, address: int) -> int:
        async with self._using(address):
            await self._need_qubit(address)
            done = await self._act("measure", address)
            bit = self._read[address] = done.bits[0]
        return bit

    # --- pairs ---

    def open_socket(self, socket: EprSocket) -> None:
        if socket.remote not in self._peers:
            raise Fault(Code.NORES, f"no link leads from {self._node} to {socket.remote}")
        if (socket.number, socket.remote) in self._sockets:
            raise Fault(Code.REJECTED, f"EPR socket {socket.number} of {self._node} to {socket.remote} is in use")
        self._sockets.add((socket.number, socket.remote))

    def close_socket(self, socket: EprSocket) -> None:
        self._sockets.discard((socket.number, socket.remote))

    def create(self, request: Create) -> int:
        fidelity = request.min_fidelity / 100 if request.min_fidelity else None
        return self._want(
            request.socket, request.pairs, True, int(request.kind), _reading(request.local), _reading(request.remote),
            fidelity, request.within_ns,
        )  # fmt: skip

    def receive(self, request: Receive) -> int:
        return self._want(request.socket, request.pairs, False)

    def _want(self, socket: EprSocket, pairs: int, creator: bool, *more: Any) -> int:
        self._requests += 1
        number = self._requests
        self._live.add(number)
        order = WantPairs(number, creator, socket.number, socket.remote, socket.remote_number, pairs, *more)
        self._spawn(self._order(number, order))
        return number

    async def _order(self, number: int, order: Message) -> None:
        """Pass an order on; if it is refused, its request has failed."""
        try:
            await self._ask(order)
        except Fault as fault:
            self._tell(number, Failed(fault))

    def grant(self, request: int, address: int) -> None:
        self._need_own(address)
        self._promised[address] = request
        self._spawn(self._order(request, GrantQubit(request, address)))

    def cancel(self, request: int) -> None:
        self._live.discard(request)
        task = self._spawn(self._drop(request))
        for address in [address for address, of in self._promised.items() if of == request]:
            del self._promised[address]
            self._dropping[address] = task
        self._news.set()  # a subroutine that waits for it learns that its application was stopped

    async def _drop(self, request: int) -> None:
        with contextlib.suppress(Fault):  # the twin does not answer: then nothing will come, either
            await self._ask(DropPairs(request))

    def listen(self, hear: Callable[[int, News], None]) -> None:
        self._hear = hear

    async def news(self, until_ns: int) -> None:
        self._news.clear()
        left_s = max(0, until_ns - self.now_ns()) * 1e-9
        heard = asyncio.ensure_future(self._news.wait())
        over = asyncio.ensure_future(self._sleep(left_s))
        try:
            await asyncio.wait({heard, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            heard.cancel()
            over.cancel()

    def _tell(self, request: int, news: News) -> None:
        if request not in self._live:
            return
        if isinstance(news, Failed):
            self._live.discard(request)
            self._promised = {address: of for address, of in self._promised.items() if of != request}
        if self._hear is not None:
            self._hear(request, news)
        self._news.set()

    def take(self, news: QnpuNews) -> None:
        """News of the node's processing unit."""
        match news:
            case PairsMatched():
                self._tell(news.request, Matched(Kind(news.kind)))
            case PairsFailed():
                self._tell(news.request, Failed(Fault(Code(news.code), news.text)))
            case PairMade():
                if news.slot is not None:  # of a request that is being ended, too: its memory is emptied then
                    self._promised.pop(news.slot, None)
                    self._held.add(news.slot)
                self._tell(news.request, _pair(news))

    def lost(self) -> None:
        """News were lost: nobody knows which requests they were for."""
        fault = Fault(Code.GENERAL, f"{self._node} was too slow to take the news of its pairs")
        for request in sorted(self._live):
            self.cancel(request)
            if self._hear is not None:
                self._hear(request, Failed(fault))
        self._news.set()


def _reading(reading: Reading) -> PairReading:
    return PairReading(reading.rotations, reading.axes, int(reading.random))


def _pair(news: PairMade) -> Pair:
    # Circuits note the corrections that their swaps ask for, so every pair is delivered as Phi+.
    return Pair(
        news.index, Kind(news.kind), news.create_id, news.number, news.creator, Bell.PHI_PLUS, news.at_ns,
        news.duration_ns, news.slot, news.outcome, Basis(news.basis),
    )  # fmt: skip


class TwinExchange:
    """Text between applications at all nodes of this process. `nodes`: node of each application. `known`: whom each
    may speak to."""

    def __init__(
        self,
        gate: Gate,
        nodes: Mapping[str, str],
        known: Mapping[str, Collection[str]],
        patience_ns: int,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._gate, self._nodes, self._known = gate, nodes, known
        self._patience_ns, self._sleep = patience_ns, sleep
        self._came: dict[str, deque[WordCame]] = {}
        self._overrun: set[str] = set()
        self._waiting: set[asyncio.Event] = set()

    async def send(self, sender: str, receiver: str, socket: int, text: str) -> None:
        node = self._nodes.get(receiver)
        if node is None or receiver not in self._known.get(sender, ()):
            raise Fault(Code.GENERAL, f"no application called {receiver[:64]!r} can be reached")
        try:
            await self._gate.ask(qnpu(self._nodes[sender]), SendWord(sender, receiver, node, int(socket), text))
        except Problem as problem:
            raise fault_of(problem) from problem

    def take(self, word: WordCame) -> None:
        """A word has arrived."""
        waiting = self._came.setdefault(word.to, deque())
        if len(waiting) >= MOST_WORDS:
            self._overrun.add(word.to)
            return
        waiting.append(word)
        for event in self._waiting:
            event.set()

    async def receive(
        self, receiver: str, senders: Sequence[str], socket: int, within_ns: int | None
    ) -> tuple[str, str] | None:
        until = self._gate.now_ns() + (self._patience_ns if within_ns is None else within_ns)
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            while True:
                if receiver in self._overrun:
                    raise Fault(Code.GENERAL, f"more than {MOST_WORDS} texts waited for {receiver}: some are lost")
                for word in self._came.get(receiver, ()):
                    if word.sender in senders and word.socket == socket:
                        self._came[receiver].remove(word)
                        return word.sender, word.text
                left_s = (until - self._gate.now_ns()) * 1e-9
                if left_s <= 0:
                    return None
                await self._either(event, left_s)
        finally:
            self._waiting.discard(event)

    async def _either(self, event: asyncio.Event, left_s: float) -> None:
        event.clear()
        heard, over = asyncio.ensure_future(event.wait()), asyncio.ensure_future(self._sleep(left_s))
        try:
            await asyncio.wait({heard, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            heard.cancel()
            over.cancel()

    def forget(self, host: str) -> None:
        """A host has left: what nobody received is not for the next that comes under its name."""
        self._came.pop(host, None)
        self._overrun.discard(host)

    def lost(self) -> None:
        """News were lost, and perhaps words."""
        self._overrun.update(self._nodes)
        for event in self._waiting:
            event.set()


async def follow(gate: Gate, processors: Mapping[str, TwinProcessor], exchange: TwinExchange) -> None:
    """Bring news of the twin to these nodes' processors, and words to the exchange, for ever."""
    async for news in gate.watch(QnpuNews):
        if isinstance(news, Missed):
            exchange.lost()
            for processor in processors.values():
                processor.lost()
        elif isinstance(news, WordCame):
            if news.node in processors:
                exchange.take(news)
        elif isinstance(news, QnpuNews) and news.node in processors:
            processors[news.node].take(news)
