"""Frames between a host and its node, as QNodeOS has them: one message a frame, both of `netqasm.backend.messages`.

A frame is `MessageHeader` (id, length; 32 bits each) and the message. An answer has the id of what it answers: any
number of RET_REG and RET_ARR, then DONE or ERR. After an ERR's code its reason follows in UTF-8.

`NO_WAIT`, the top bit of an id, says that the host goes on without waiting for the answer, which comes all the same. A
node that keeps simulated time must know.

Types from 0x80 on are ours, with JSON behind them: what QNodeOS leaves to the hosts, so that one connection carries all
that an application says, in order.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, NamedTuple

from netqasm.backend import messages as sdk
from netqasm.lang import operand
from netqasm.lang.encoding import RegisterName

from quoit.interfaces.netqasm.executor import Returned, ReturnedRegister
from quoit.interfaces.netqasm.processor import Code, Fault
from quoit.interfaces.netqasm.program import Register

HEADER = struct.Struct("=II")
NO_WAIT = 1 << 31
LONGEST = 16 * 1024 * 1024
"""Bytes of a message."""

_RETURN_ARRAY = struct.Struct("=ii")
_ENTRY_BYTES = len(bytes(sdk.OptionalInt(0)))
_ENTRY = struct.Struct("=Bxxxi" if _ENTRY_BYTES == 8 else "=Bi")


class Ours(IntEnum):
    """HELLO, first: which application speaks. SEND and RECEIVE: text between applications. OBSERVE: a qubit's density
    matrix, where the node has an oracle. BYE: the application has ended. VALUE: an answer."""

    HELLO = 0x80
    SEND = 0x81
    RECEIVE = 0x82
    OBSERVE = 0x83
    BYE = 0x84
    VALUE = 0x90


class Frame(NamedTuple):
    """`id` without `NO_WAIT`; `waits`: whether the host waits for the answer."""

    id: int
    waits: bool
    body: bytes

    @property
    def type(self) -> int:
        """The message's type; ValueError for an empty one."""
        if not self.body:
            raise ValueError("expected a message, found an empty frame")
        return self.body[0]


def frame(id: int, body: bytes, waits: bool = True) -> bytes:
    """The frame as sent."""
    return HEADER.pack(id if waits else id | NO_WAIT, len(body)) + body


def header(raw: bytes, longest: int = LONGEST) -> tuple[int, bool, int]:
    """Id, whether the host waits, length of the body. ValueError for more than `longest`."""
    number, length = HEADER.unpack(raw)
    if length > longest:
        raise ValueError(f"expected a message of {longest} bytes at most, found {length}")
    return number & ~NO_WAIT, not number & NO_WAIT, length


def ours(type: Ours, content: Mapping[str, Any]) -> bytes:
    """A message of ours."""
    return bytes([type]) + json.dumps(content).encode()


def content(body: bytes) -> dict[str, Any]:
    """What a message of ours holds. ValueError if it is no JSON object."""
    found = json.loads(body[1:])
    if not isinstance(found, dict):
        raise ValueError("expected a JSON object")
    return found


# --- answers of the node ---


def done(id: int) -> bytes:
    return bytes(sdk.MsgDoneMessage(msg_id=id))


def error(fault: Fault) -> bytes:
    """ERR has three codes; the link layer's become GENERAL, and the reason names them."""
    known = {Code.NO_QUBIT: sdk.ErrorCode.NO_QUBIT, Code.UNSUPP: sdk.ErrorCode.UNSUPP}
    return bytes(sdk.ErrorMessage(known.get(fault.code, sdk.ErrorCode.GENERAL))) + str(fault).encode()


def returned(value: Returned) -> bytes:
    if isinstance(value, ReturnedRegister):
        register = operand.Register(RegisterName[value.register.group], value.register.number)
        return bytes(sdk.ReturnRegMessage(register=register.cstruct, value=value.value))
    return bytes(sdk.ReturnArrayMessage(address=value.address, values=list(value.values)))


# --- answers as the host reads them ---


def read_error(body: bytes) -> tuple[int, str]:
    """Code and reason."""
    size = len(bytes(sdk.ErrorMessage(sdk.ErrorCode.GENERAL)))
    return body[1], body[size:].decode(errors="replace")


def read_register(body: bytes) -> ReturnedRegister:
    found = sdk.ReturnRegMessage.deserialize_from(body)
    return ReturnedRegister(
        Register(RegisterName(found.register.register_name).name, found.register.register_index), int(found.value)
    )


def read_array(body: bytes) -> tuple[int, list[int | None]]:
    """Address and entries. The package's own reader gives undefined entries as 0; they are None here."""
    address, length = _RETURN_ARRAY.unpack_from(body, 1)
    at = 1 + _RETURN_ARRAY.size
    if len(body) < at + length * _ENTRY_BYTES:
        raise ValueError(f"expected {length} entries, found {len(body) - at} bytes")
    found = (_ENTRY.unpack_from(body, at + k * _ENTRY_BYTES) for k in range(length))
    return address, [value if defined else None for defined, value in found]
