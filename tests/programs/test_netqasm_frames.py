"""Frames as another client of QNodeOS would speak them, in virtual and in real time."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import threading
from collections.abc import Callable
from typing import Any

import netqasm_lab
import pytest

from quoit.interfaces.netqasm import wire
from quoit.interfaces.netqasm.executor import Executor, ReturnedArray, ReturnedRegister
from quoit.interfaces.netqasm.host import Commit, HostLink, NodeError
from quoit.interfaces.netqasm.processor import Code, Create, EprSocket, Fault, News, Processor, Receive
from quoit.interfaces.netqasm.program import Register
from quoit.interfaces.netqasm.server import NodeServer, RealPace
from quoit.interfaces.netqasm.wire import Ours
from quoit.scenario.netqasm.clock import Clock, VirtualPace
from quoit.scenario.netqasm.hardware import Hardware
from quoit.scenario.netqasm.network import Network

sdk = pytest.importorskip("netqasm.backend.messages")


class BitProcessor:
    """A device in real time, of another make than the twin's: classical bits, X and readings. Shows that the port asks
    for nothing that only a simulator has."""

    def __init__(self) -> None:
        self._bits: dict[int, int | None] = {}

    @property
    def node(self) -> str:
        return "bits"

    @property
    def memories(self) -> int:
        return 2

    @property
    def instruction_ns(self) -> int:
        return 0

    def now_ns(self) -> int:
        return int(asyncio.get_running_loop().time() * 1e9)

    async def rest(self, duration_ns: int) -> None:
        await asyncio.sleep(duration_ns / 1e9)

    def allocate(self) -> int | None:
        free = [address for address in range(2) if address not in self._bits]
        if not free:
            return None
        self._bits[free[0]] = None
        return free[0]

    async def free(self, address: int) -> None:
        del self._bits[address]

    async def initialise(self, address: int) -> None:
        await asyncio.sleep(0.001)
        self._bits[address] = 0

    async def gate(self, name: str, addresses: tuple[int, ...], angle_rad: float = 0.0) -> None:
        if name != "X":
            raise Fault(Code.UNSUPP, f"no gate {name} here")
        bit = self._bits[addresses[0]]
        if bit is None:
            raise Fault(Code.NO_QUBIT, "nothing there")
        self._bits[addresses[0]] = 1 - bit

    async def move(self, source: int, target: int) -> None:
        self._bits[target], self._bits[source] = self._bits[source], None

    async def measure(self, address: int) -> int:
        await asyncio.sleep(0.001)
        bit = self._bits[address]
        assert bit is not None
        return bit

    def open_socket(self, socket: EprSocket) -> None:
        raise Fault(Code.NORES, "no links")

    def close_socket(self, socket: EprSocket) -> None: ...

    def create(self, request: Create) -> int:
        raise Fault(Code.NORES, "no links")

    def receive(self, request: Receive) -> int:
        raise Fault(Code.NORES, "no links")

    def grant(self, request: int, address: int) -> None: ...

    def cancel(self, request: int) -> None: ...

    def listen(self, hear: Callable[[int, News], None]) -> None: ...

    async def news(self, until_ns: int) -> None:
        await asyncio.sleep(max(0, until_ns - self.now_ns()) / 1e9)


def _subroutine(text: str, app_id: int = 0) -> bytes:
    from netqasm.lang.parsing import parse_text_subroutine

    parsed = parse_text_subroutine(netqasm_lab.HEAD + text)
    parsed.app_id = app_id
    return bytes(sdk.SubroutineMessage(parsed))


FLIP = "set Q0 0\nqalloc Q0\ninit Q0\nx Q0\nmeas Q0 M0\nqfree Q0\nset R0 3\narray R0 @1\nset R1 1\nstore M0 @1[R1]\n"
RETURN = "ret_reg M0\nret_arr @1\n"


def _talk(server: Callable[[], NodeServer], client: Callable[[int], Any]) -> Any:
    """Run a client in a thread against a server on this loop."""

    async def both() -> Any:
        door = server()
        port = await door.start()
        try:
            return await asyncio.wait_for(asyncio.to_thread(client, port), 20)
        finally:
            await door.close()

    return asyncio.run(both())


def _real() -> NodeServer:
    processor: Processor = BitProcessor()
    return NodeServer(Executor(processor, ["bits"], patience_ns=50_000_000), RealPace())


def test_the_sdks_own_reader_takes_the_answers() -> None:
    """A client of plain sockets and `netqasm.backend.messages` alone."""

    def client(port: int) -> list[tuple[int, Any]]:
        answers = []
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            stream = plain.makefile("rb")
            said = [b'\x80{"name": "me"}', bytes(sdk.InitNewAppMessage(0, 2)), _subroutine(FLIP + RETURN)]
            for number, body in enumerate([*said, bytes(sdk.StopAppMessage(0))]):
                plain.sendall(bytes(sdk.MessageHeader(id=number, length=len(body))) + body)
            for _ in range(6):
                found = sdk.MessageHeader.from_buffer_copy(stream.read(sdk.MessageHeader.len()))
                answers.append((found.id, sdk.deserialize_return_msg(stream.read(found.length))))
        return answers

    answers = _talk(_real, client)
    assert [type(answer).__name__ for _, answer in answers] == [
        "MsgDoneMessage", "MsgDoneMessage",
        "ReturnRegMessage", "ReturnArrayMessage", "MsgDoneMessage",
        "MsgDoneMessage",
    ]  # fmt: skip
    assert [number for number, _ in answers] == [0, 1, 2, 2, 2, 3]
    assert answers[2][1].value == 1
    assert answers[3][1].address == 1


def test_undefined_entries_arrive_as_such_in_real_time() -> None:
    def client(port: int) -> list[bytes]:
        link, given = HostLink("me", socket.create_connection(("127.0.0.1", port), 10)), []
        link.commit(bytes(sdk.InitNewAppMessage(0, 2)))
        link.commit(_subroutine(FLIP + RETURN), Commit(given.append))
        link.close()
        return given

    register, array = _talk(_real, client)
    assert wire.read_register(register) == ReturnedRegister(Register("M", 0), 1)
    assert wire.read_array(array) == (1, [None, 1, None])


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        (lambda: _subroutine("set Q0 0\nqalloc Q0\ninit Q0\nh Q0\n"), 2, "no gate H here"),
        (lambda: _subroutine("set Q0 0\nx Q0\n"), 1, "not allocated"),
        (lambda: _subroutine("set R0 1\narray R0 @0\nset R1 0\nwait_single @0[R1]\n"), 0, "TIMEOUT"),
        (lambda: _subroutine("set R0 1\n", app_id=7), 0, "application 7 of me is not registered"),
        (lambda: bytes(sdk.InitNewAppMessage(0, 2)), 0, "registered already"),
        (lambda: bytes(sdk.InitNewAppMessage(1, 3)), 1, "2 memories"),
        (lambda: bytes(sdk.OpenEPRSocketMessage(0, 0, 5, 0)), 0, "node id"),
        (lambda: bytes(sdk.OpenEPRSocketMessage(0, 0, 0, 0)), 0, "NORES"),
        (lambda: b"\x55nonsense", 0, "cannot be read"),
        (lambda: b"\x02\x00", 0, "no subroutine|cannot be read"),
        (lambda: wire.ours(wire.Ours.SEND, {"to": "x", "socket": 0, "text": ""}), 2, "no text"),
    ],
)
def test_errors_carry_code_and_reason_and_the_connection_goes_on(
    body: Callable[[], bytes], code: int, says: str
) -> None:
    def client(port: int) -> None:
        link = HostLink("me", socket.create_connection(("127.0.0.1", port), 10))
        link.commit(bytes(sdk.InitNewAppMessage(0, 2)))
        with pytest.raises(NodeError, match=says) as caught:
            link.commit(body())
        assert caught.value.code == code
        link.commit(bytes(sdk.StopAppMessage(0)))
        link.close()

    _talk(_real, client)


def test_a_failure_of_what_nobody_waited_for_is_raised_by_the_next_wait() -> None:
    def client(port: int) -> None:
        link = HostLink("me", socket.create_connection(("127.0.0.1", port), 10))
        link.commit(bytes(sdk.InitNewAppMessage(0, 2)))
        link.commit(_subroutine("set Q0 0\nx Q0\n"), waits=False)
        with pytest.raises(NodeError, match="not allocated"):
            link.commit(_subroutine(""))
        link.commit(_subroutine(""))
        link.close()

    _talk(_real, client)


def test_a_second_connection_of_one_name_is_refused() -> None:
    def client(port: int) -> None:
        first = HostLink("me", socket.create_connection(("127.0.0.1", port), 10))
        with pytest.raises(NodeError):
            HostLink("me", socket.create_connection(("127.0.0.1", port), 10))
        first.commit(bytes(sdk.InitNewAppMessage(0, 2)))
        first.close()

    _talk(_real, client)


def test_who_hangs_up_leaves_no_qubit_behind() -> None:
    """Without StopApp: the next application finds both memories."""

    def client(port: int) -> None:
        for _ in range(3):
            link = HostLink("me", socket.create_connection(("127.0.0.1", port), 10))
            link.commit(bytes(sdk.InitNewAppMessage(0, 2)))
            link.commit(_subroutine("set Q0 0\nset Q1 1\nqalloc Q0\nqalloc Q1\n"))
            link.close()
            threading.Event().wait(0.05)

    _talk(_real, client)


def test_whatever_a_host_says_the_next_message_is_served() -> None:
    """Every type of message with bodies of noise: an error each, and the connection goes on."""

    def client(port: int) -> None:
        draw = random.Random(1)
        link = HostLink("me", socket.create_connection(("127.0.0.1", port), 10))
        link.commit(bytes(sdk.InitNewAppMessage(0, 2)))
        for kind in range(256):
            if kind in (Ours.HELLO, Ours.BYE):
                continue
            for size in (0, 1, 7, 40, 300):
                with contextlib.suppress(NodeError):
                    link.commit(bytes([kind]) + draw.randbytes(size))
        link.commit(bytes(sdk.InitNewAppMessage(77, 2)))
        link.commit(_subroutine(""))
        link.close()

    _talk(_real, client)


def test_a_frame_beyond_the_longest_is_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        wire.header(wire.HEADER.pack(1, wire.LONGEST + 1))


@pytest.mark.parametrize("values", [(), (None,), (-(2**31), None, 2**31 - 1)])
def test_arrays_come_back_as_they_were(values: tuple[int | None, ...]) -> None:
    assert wire.read_array(wire.returned(ReturnedArray(5, values))) == (5, list(values))


def test_virtual_time_stands_still_while_a_host_thinks() -> None:
    clock, over = Clock(), []
    network = Network("a", Hardware(), 0, clock)
    pace = VirtualPace(clock, over.append)

    def server() -> NodeServer:
        return NodeServer(Executor(network.processors["a"], "a"), pace)

    def client(port: int) -> tuple[int, int]:
        pace.begin("me", lambda: None)
        pace.settle()
        link = HostLink("me", socket.create_connection(("127.0.0.1", port), 10))
        link.commit(bytes(sdk.InitNewAppMessage(0, 1)))
        before = clock.now_ns
        threading.Event().wait(0.05)
        link.commit(_subroutine("set R0 1\n"))
        after = clock.now_ns
        link.close()
        return before, after

    assert _talk(server, client) == (0, 0)
    assert over == [None]
