"""Messages of the link service on a wire: pure functions from values to octets and back.

Fields, widths and their order are those of draft-dahlberg-ll-quantum-03 (sec. 4), most significant bit first, in words
of 32 bits. What the draft leaves open is settled here: the fields of CREATE behind the flags follow each other without
gaps after six unused bits, which makes six words; the first of the unused bits set together with TPE asks for remote
state preparation, for which the draft has no code; a time of goodness is in ms, modulo 2**16; the codes of
`qlink-interface` that the draft has not, NOTIME and NORES, are 7 and 8.

Decoding refuses what it does not understand (`FrameFault`): another length, an unknown type or code, bits that are
unused and not zero, probabilities that add up to more than 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

CREATE_OCTETS = 24
MOST_TIME = 2**14 - 1


class FrameFault(ValueError):
    """Octets that are no message, or values that no frame holds; says what was expected and found."""


class FrameType(IntEnum):
    """First four bits of what the link layer answers."""

    ACK = 1
    OK_K = 2
    OK_M = 3
    ERR = 4


class ErrorCode(IntEnum):
    """Codes of ERR; NOTIME and NORES are of `qlink-interface`."""

    UNSUPP = 1
    CREATE = 2
    REJECTED = 3
    OTHER = 4
    EXPIRE = 5
    TIMEOUT = 6
    NOTIME = 7
    NORES = 8


class TimeUnit(IntEnum):
    """Unit of CREATE's max time."""

    MICROSECOND = 0
    MILLISECOND = 1
    SECOND = 2

    @property
    def ns(self) -> int:
        """Its length."""
        return (1_000, 1_000_000, 1_000_000_000)[self]


class RandomBases(IntEnum):
    """Sets from which a basis is drawn."""

    NONE = 0
    XZ = 1
    XYZ = 2
    CHSH = 3


class WireBasis(IntEnum):
    """Basis of OK-M; the last two are Z turned by +pi/4 and -pi/4 about Y."""

    Z = 0
    X = 1
    Y = 2
    ZPLUSX = 3
    ZMINUSX = 4


@dataclass(frozen=True, slots=True)
class WireCreate:
    """CREATE. `fidelity`: n / (2**16 - 1). `prepare`: remote state preparation, only with `measure`. `local_*`,
    `remote_*`: set of bases, two probabilities n / 255, three rotations of n * 2 pi / 256 about X, Y, X."""

    remote: int
    fidelity: int = 0
    unit: TimeUnit = TimeUnit.MICROSECOND
    max_time: int = 0
    purpose: int = 0
    number: int = 1
    priority: int = 0
    measure: bool = False
    atomic: bool = False
    consecutive: bool = False
    prepare: bool = False
    local_bases: RandomBases = RandomBases.NONE
    remote_bases: RandomBases = RandomBases.NONE
    local_chances: tuple[int, int] = (0, 0)
    remote_chances: tuple[int, int] = (0, 0)
    local_turns: tuple[int, int, int] = (0, 0, 0)
    remote_turns: tuple[int, int, int] = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class WireAck:
    """ACK."""

    create_id: int


@dataclass(frozen=True, slots=True)
class WireOkKeep:
    """OK of a half that is kept. `far`: D, the request came from the other node. `goodness`: n / (2**16 - 1)."""

    create_id: int
    qubit: int
    far: bool
    sequence: int
    purpose: int
    remote: int
    goodness: int
    goodness_ms: int


@dataclass(frozen=True, slots=True)
class WireOkMeasure:
    """OK of a half that was measured."""

    create_id: int
    outcome: bool
    far: bool
    basis: WireBasis
    sequence: int
    purpose: int
    remote: int
    goodness: int


@dataclass(frozen=True, slots=True)
class WireErr:
    """ERR. `by_sequence`: S, the range [low, high) is expired, and not all of the create id."""

    create_id: int
    code: ErrorCode
    origin: int
    by_sequence: bool = False
    low: int = 0
    high: int = 0


Answer = WireAck | WireOkKeep | WireOkMeasure | WireErr


def encode_create(create: WireCreate) -> bytes:
    """Octets of CREATE; FrameFault for values out of range."""
    _check_create(create)
    turns = (*create.local_turns, *create.remote_turns)
    return _pack(
        (create.remote, 32), (create.fidelity, 16), (create.unit, 2), (create.max_time, 14), (create.purpose, 16),
        (create.number, 16), (create.priority, 3), (create.measure, 1), (create.atomic, 1), (create.consecutive, 1),
        (create.local_bases, 2), (create.remote_bases, 2), (create.prepare, 1), (0, 5),
        *((chance, 8) for chance in (*create.local_chances, *create.remote_chances)), *((turn, 8) for turn in turns),
    )  # fmt: skip


def decode_create(frame: bytes) -> WireCreate:
    """Inverse of `encode_create`; FrameFault."""
    if len(frame) != CREATE_OCTETS:
        raise FrameFault(f"CREATE: expected {CREATE_OCTETS} octets, found {len(frame)}")
    bits = _Bits(frame)
    remote, fidelity, unit, max_time = bits.take(32), bits.take(16), bits.take(2), bits.take(14)
    purpose, number, priority = bits.take(16), bits.take(16), bits.take(3)
    measure, atomic, consecutive = bits.flag(), bits.flag(), bits.flag()
    local_bases, remote_bases = RandomBases(bits.take(2)), RandomBases(bits.take(2))
    prepare = bits.flag()
    bits.unused(5)
    chances = [bits.take(8) for _ in range(4)]
    turns = [bits.take(8) for _ in range(6)]
    if unit == 3:
        raise FrameFault("CREATE: expected a time unit of 0 to 2, found 3")
    create = WireCreate(
        remote, fidelity, TimeUnit(unit), max_time, purpose, number, priority, measure, atomic, consecutive, prepare,
        local_bases, remote_bases, (chances[0], chances[1]), (chances[2], chances[3]),
        (turns[0], turns[1], turns[2]), (turns[3], turns[4], turns[5]),
    )  # fmt: skip
    _check_create(create)
    return create


def _check_create(create: WireCreate) -> None:
    if create.number == 0:
        raise FrameFault("CREATE: expected a number of 1 or more, found 0")
    if create.prepare and not create.measure:
        raise FrameFault("CREATE: expected TPE set for remote state preparation")
    for end, bases, (first, second) in (
        ("local", create.local_bases, create.local_chances),
        ("remote", create.remote_bases, create.remote_chances),
    ):
        if bases is RandomBases.XYZ and first + second > 255:
            raise FrameFault(f"CREATE: expected {end} probabilities of at most 255 together, found {first + second}")


def encode_answer(answer: Answer) -> bytes:
    """Octets of ACK, OK or ERR; FrameFault for values out of range, such as a qubit above 15."""
    match answer:
        case WireAck(create_id):
            return _pack((FrameType.ACK, 4), (create_id, 16), (0, 12))
        case WireOkKeep():
            return _pack(
                (FrameType.OK_K, 4), (answer.create_id, 16), (answer.qubit, 4), (answer.far, 1), (0, 7),
                (answer.sequence, 16), (answer.purpose, 16), (answer.remote, 32), (answer.goodness, 16),
                (answer.goodness_ms, 16),
            )  # fmt: skip
        case WireOkMeasure():
            return _pack(
                (FrameType.OK_M, 4), (answer.create_id, 16), (answer.outcome, 1), (answer.far, 1), (answer.basis, 3),
                (0, 7), (answer.sequence, 16), (answer.purpose, 16), (answer.remote, 32), (answer.goodness, 16),
                (0, 16),
            )  # fmt: skip
        case WireErr():
            _check_err(answer)
            return _pack(
                (FrameType.ERR, 4), (answer.create_id, 16), (answer.code, 4), (answer.by_sequence, 1), (0, 7),
                (answer.low, 16), (answer.high, 16), (answer.origin, 32),
            )  # fmt: skip


_LENGTHS = {FrameType.ACK: 4, FrameType.OK_K: 16, FrameType.OK_M: 16, FrameType.ERR: 12}


def decode_answer(frame: bytes) -> Answer:
    """Inverse of `encode_answer`; FrameFault."""
    if not frame:
        raise FrameFault("expected ACK, OK or ERR, found no octet")
    bits = _Bits(frame)
    kind = bits.take(4)
    if kind not in FrameType.__members__.values():
        raise FrameFault(f"expected a type of 1 to 4, found {kind}")
    wanted = _LENGTHS[FrameType(kind)]
    if len(frame) != wanted:
        raise FrameFault(f"{FrameType(kind).name}: expected {wanted} octets, found {len(frame)}")
    create_id = bits.take(16)
    match FrameType(kind):
        case FrameType.ACK:
            bits.unused(12)
            return WireAck(create_id)
        case FrameType.OK_K:
            return _ok_keep(create_id, bits)
        case FrameType.OK_M:
            return _ok_measure(create_id, bits)
        case _:
            return _err(create_id, bits)


def _ok_keep(create_id: int, bits: _Bits) -> WireOkKeep:
    qubit, far = bits.take(4), bits.flag()
    bits.unused(7)
    sequence, purpose, remote = bits.take(16), bits.take(16), bits.take(32)
    return WireOkKeep(create_id, qubit, far, sequence, purpose, remote, bits.take(16), bits.take(16))


def _ok_measure(create_id: int, bits: _Bits) -> WireOkMeasure:
    outcome, far, basis = bits.flag(), bits.flag(), bits.take(3)
    if basis > WireBasis.ZMINUSX:
        raise FrameFault(f"OK_M: expected a basis of 0 to 4, found {basis}")
    bits.unused(7)
    sequence, purpose, remote, goodness = bits.take(16), bits.take(16), bits.take(32), bits.take(16)
    bits.unused(16)
    return WireOkMeasure(create_id, outcome, far, WireBasis(basis), sequence, purpose, remote, goodness)


def _err(create_id: int, bits: _Bits) -> WireErr:
    code, by_sequence = bits.take(4), bits.flag()
    bits.unused(7)
    low, high, origin = bits.take(16), bits.take(16), bits.take(32)
    if not ErrorCode.UNSUPP <= code <= ErrorCode.NORES:
        raise FrameFault(f"ERR: expected a code of 1 to 8, found {code}")
    err = WireErr(create_id, ErrorCode(code), origin, by_sequence, low, high)
    _check_err(err)
    return err


def _check_err(err: WireErr) -> None:
    if err.by_sequence and err.code is not ErrorCode.EXPIRE:
        raise FrameFault(f"ERR: expected a range of sequence numbers with EXPIRE alone, found {err.code.name}")
    if not err.by_sequence and (err.low or err.high):
        raise FrameFault(f"ERR: expected no range of sequence numbers, found {err.low} to {err.high}")


def fidelity_bits(fidelity: float, *, up: bool) -> int:
    """A fidelity as n / (2**16 - 1): rounded up for what is asked, down for what is promised. FrameFault."""
    if not 0 <= fidelity <= 1:
        raise FrameFault(f"expected a fidelity of 0 to 1, found {fidelity}")
    scaled = fidelity * 65535
    whole = int(scaled)
    return whole + (1 if up and whole < scaled else 0)


def time_bits(ns: int) -> tuple[TimeUnit, int]:
    """The longest time that CREATE can hold and that is not above `ns`: (unit, number). FrameFault below 1 us."""
    for unit in TimeUnit:
        if ns // unit.ns <= MOST_TIME:
            if ns // unit.ns == 0:
                raise FrameFault(f"max time: expected 1 us or more, found {ns} ns")
            return unit, ns // unit.ns
    return TimeUnit.SECOND, MOST_TIME


def _pack(*fields: tuple[int, int]) -> bytes:
    """Values and their widths in bits, most significant first."""
    packed = length = 0
    for value, width in fields:
        if not 0 <= value < 1 << width:
            raise FrameFault(f"expected a value of {width} bits, found {value}")
        packed, length = packed << width | int(value), length + width
    return packed.to_bytes(length // 8, "big")


class _Bits:
    """Takes fields off a frame, most significant bit first."""

    def __init__(self, frame: bytes) -> None:
        self._value = int.from_bytes(frame, "big")
        self._left = 8 * len(frame)

    def take(self, width: int) -> int:
        self._left -= width
        return self._value >> self._left & (1 << width) - 1

    def flag(self) -> bool:
        return bool(self.take(1))

    def unused(self, width: int) -> None:
        found = self.take(width)
        if found:
            raise FrameFault(f"expected {width} unused bits of 0, found {found:0{width}b}")
