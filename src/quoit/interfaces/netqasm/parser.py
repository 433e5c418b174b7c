"""Subroutines read from NetQASM's binary or text, by the package's own parsers.

Only the vanilla flavour is read: other flavours give other gates the same numbers, so a subroutine of theirs cannot be
told from a vanilla one, and the client must not send it.
"""

from __future__ import annotations

from typing import Any

from netqasm.lang import operand as sdk
from netqasm.lang.parsing import deserialize, parse_text_subroutine
from netqasm.lang.subroutine import Subroutine as SdkSubroutine

from quoit.interfaces.netqasm.processor import Code, Fault
from quoit.interfaces.netqasm.program import Address, Entry, Instruction, Operand, Register, Slice, Subroutine


def from_binary(raw: bytes) -> Subroutine:
    """A serialised subroutine, `netqasm.lang.encoding`. `Fault` UNSUPP for an instruction that vanilla NetQASM does not
    have, GENERAL for bytes that are no subroutine."""
    try:
        return _taken(deserialize(raw))
    except KeyError as fault:
        raise Fault(Code.UNSUPP, f"instruction number {fault} is not in the vanilla flavour") from fault
    except (ValueError, AssertionError) as fault:
        raise Fault(Code.GENERAL, f"these {len(raw)} bytes are no subroutine: {fault}") from fault


def from_text(text: str, app_id: int = 0) -> Subroutine:
    """A subroutine as text. `Fault` GENERAL for what NetQASM's parser does not take."""
    try:
        parsed = parse_text_subroutine(text)
    except Exception as fault:
        raise Fault(Code.GENERAL, f"the subroutine cannot be read: {fault}") from fault
    parsed.app_id = app_id
    return _taken(parsed)


def _taken(subroutine: SdkSubroutine) -> Subroutine:
    if subroutine.arguments:
        names = ", ".join(subroutine.arguments)
        raise Fault(Code.GENERAL, f"expected a subroutine without open arguments, found {names}: instantiate it first")
    rows = tuple(
        Instruction(found.mnemonic, tuple(_operand(operand) for operand in found.operands))
        for found in subroutine.instructions
    )
    return Subroutine(int(subroutine.app_id or 0), rows)


def _operand(found: Any) -> Operand:
    if isinstance(found, sdk.Register):
        return Register(found.name.name, found.index)
    if isinstance(found, sdk.Immediate):
        return int(found.value)
    if isinstance(found, sdk.Address):
        return Address(int(found.address))
    if isinstance(found, sdk.ArrayEntry):
        return Entry(int(found.address.address), _index(found.index))
    if isinstance(found, sdk.ArraySlice):
        return Slice(int(found.address.address), _index(found.start), _index(found.stop))
    raise Fault(Code.GENERAL, f"expected an operand of NetQASM, found {found!r}")


def _index(found: Any) -> Register | int:
    return Register(found.name.name, found.index) if isinstance(found, sdk.Register) else int(found)
