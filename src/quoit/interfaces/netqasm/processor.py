"""The port to a node's quantum hardware: what a subroutine executor needs of it, and nothing more.

Whoever implements `Processor` over a simulator, a running twin or a device lets NetQASM programs run on it. So there
is nothing in it that a device could not offer: no state, no fidelity, no clock but its own.

Requests for entanglement follow the link layer service (draft-dahlberg-ll-quantum, PyPI `qlink-interface`): kinds,
Bell states, sets of random bases and error codes have its numbers and names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Protocol


class Code(StrEnum):
    """Why something was not done. The first three are NetQASM's, the others the link layer's."""

    GENERAL = "GENERAL"
    NO_QUBIT = "NO_QUBIT"
    UNSUPP = "UNSUPP"
    NOTIME = "NOTIME"
    NORES = "NORES"
    TIMEOUT = "TIMEOUT"
    REJECTED = "REJECTED"
    EXPIRE = "EXPIRE"


class Fault(Exception):
    """An instruction or a request was refused or failed; the text says what was expected and found."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class Kind(IntEnum):
    """What becomes of a pair: both halves kept, both measured at once, or the creator's measured and the other kept
    (remote state preparation)."""

    KEEP = 0
    MEASURE = 1
    PREPARE = 2


class Bell(IntEnum):
    """Bell state that was heralded."""

    PHI_PLUS = 0
    PSI_PLUS = 1
    PSI_MINUS = 2
    PHI_MINUS = 3


class RandomBases(IntEnum):
    """From which set a node draws the basis of each measurement, all alike likely."""

    NONE = 0
    XZ = 1
    XYZ = 2
    CHSH = 3


class Basis(IntEnum):
    """The basis that was drawn; (Z + X)/sqrt(2) and (Z - X)/sqrt(2) are those of CHSH."""

    Z = 0
    X = 1
    Y = 2
    ZPLUSX = 3
    ZMINUSX = 4


AXES = (("RX", "RY", "RX"), ("RY", "RZ", "RY"), ("RZ", "RX", "RZ"))
"""Axes of the three rotations before a measurement in Z, by NetQASM's number: XYX, YZY, ZXZ."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a half is measured at once: three rotations in units of pi/16 about `AXES[axes]`, then Z; or, if `random`
    is not NONE, in a basis drawn from that set."""

    rotations: tuple[int, int, int] = (0, 0, 0)
    axes: int = 0
    random: RandomBases = RandomBases.NONE


@dataclass(frozen=True, slots=True)
class EprSocket:
    """One end of an agreement of two applications to share pairs. `min_fidelity`: wish, in per cent."""

    number: int
    remote: str
    remote_number: int
    min_fidelity: int = 0


@dataclass(frozen=True, slots=True)
class Create:
    """Make `pairs` pairs. `within_ns`: from one pair, or from the request, to the next; the request fails with TIMEOUT
    when it has passed. `min_fidelity`: in per cent, 0 for any; UNSUPP if the link does not give it."""

    socket: EprSocket
    pairs: int
    kind: Kind = Kind.KEEP
    local: Reading = Reading()
    remote: Reading = Reading()
    min_fidelity: int = 0
    within_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Receive:
    """Take part in `pairs` pairs that the remote end of the socket creates."""

    socket: EprSocket
    pairs: int


@dataclass(frozen=True, slots=True)
class Matched:
    """News for who receives: the remote end has asked, for pairs of this kind."""

    kind: Kind


@dataclass(frozen=True, slots=True)
class Pair:
    """News: a pair is there. `address`: memory that holds the own half, None if it was measured; then `outcome`, and
    `basis` if that was drawn. `duration_ns`: how long it took, from the start of the attempts to the herald.
    `sequence`: number of the pair on this link, alike at both ends."""

    index: int
    kind: Kind
    create_id: int
    sequence: int
    creator: bool
    bell: Bell
    at_ns: int
    duration_ns: int
    address: int | None = None
    outcome: int | None = None
    basis: Basis = Basis.Z


@dataclass(frozen=True, slots=True)
class Failed:
    """News: the request has ended without the rest of its pairs."""

    fault: Fault


News = Matched | Pair | Failed

GATES = ("X", "Y", "Z", "H", "S", "K", "T", "RX", "RY", "RZ", "CNOT", "CZ", "SWAP")
"""Names of gates that a processor has. K is (Y + Z)/sqrt(2); RX to RZ take an angle."""


class Processor(Protocol):
    """A node's memories, gates and entanglement. Instants and durations in ns on the processor's own clock.

    An `async` method returns when the operation is over. The others are bookkeeping of the controller, and instant.
    All raise `Fault`; NO_QUBIT for an address that is not allocated or holds no qubit.
    """

    @property
    def node(self) -> str:
        """Name of the node."""
        ...

    @property
    def memories(self) -> int:
        """How many qubits can be held."""
        ...

    @property
    def instruction_ns(self) -> int:
        """What the controller takes for a classical instruction."""
        ...

    def now_ns(self) -> int: ...

    async def rest(self, duration_ns: int) -> None:
        """Let this time pass."""
        ...

    def allocate(self) -> int | None:
        """A memory address for the caller alone, without a qubit in it; None if all are taken."""
        ...

    async def free(self, address: int) -> None:
        """Give an address back, and lose the qubit if it holds one."""
        ...

    async def initialise(self, address: int) -> None:
        """Put |0> there, whatever was there before."""
        ...

    async def gate(self, name: str, addresses: tuple[int, ...], angle_rad: float = 0.0) -> None:
        """One of `GATES`, control first."""
        ...

    async def move(self, source: int, target: int) -> None:
        """What the target held is lost, and the source holds no qubit any more."""
        ...

    async def measure(self, address: int) -> int:
        """In Z. The qubit stays, as its measurement left it."""
        ...

    def open_socket(self, socket: EprSocket) -> None:
        """REJECTED if the node has this socket open already, NORES if no link leads to the remote node."""
        ...

    def close_socket(self, socket: EprSocket) -> None: ...

    def create(self, request: Create) -> int:
        """Ask for pairs; returns the request's number at this node. News follow."""
        ...

    def receive(self, request: Receive) -> int: ...

    def grant(self, request: int, address: int) -> None:
        """Let the request's next pair have this allocated address. Pairs that are kept come only to granted ones,
        in the order of grants."""
        ...

    def cancel(self, request: int) -> None:
        """End a request. Its other end hears `Failed` with EXPIRE, unless all its pairs were there."""
        ...

    def listen(self, hear: Callable[[int, News], None]) -> None:
        """Who hears (request, news) from now on."""
        ...

    async def news(self, until_ns: int) -> None:
        """Return when any news has been heard since the call, or at `until_ns`."""
        ...
