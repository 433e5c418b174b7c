"""JSON as the edges accept it: RFC 8259, one object, nothing that two parsers could read in two ways."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from quoit.model.problem import Problem

MAX_DEPTH = 16
MAX_DIGITS = 19  # what 64-bit integers need; Python would read any number of them, in quadratic time

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


def decode_object(body: bytes, max_depth: int = MAX_DEPTH) -> dict[str, Any]:
    """The one object that `body` holds.

    Raises `Problem("malformed")` for anything but a UTF-8 JSON object, for duplicate members, NaN, infinite
    numbers, integers of more than 19 digits, nesting deeper than `max_depth`, and text after the object.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise Problem("malformed", f"the body is not UTF-8: byte {fault.start} of it does not fit") from None
    _check_depth(text, max_depth)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_members,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_short_integer,
        )
    except json.JSONDecodeError as fault:
        raise Problem("malformed", f"the body is not JSON: {fault.msg} at character {fault.pos}") from None
    if not isinstance(value, dict):
        raise Problem("malformed", f"expected a JSON object, found {type(value).__name__}")
    return value


def shown(value: object) -> str:
    """A value of the caller, short and printable, for an error text."""
    text = ascii(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _check_depth(text: str, max_depth: int) -> None:
    # Before parsing: the parser would recurse. Strings are taken out first, for brackets in them are text.
    depth = 0
    for found in _BRACKET.finditer(_STRING.sub("", text)):
        depth += 1 if found.group() in "[{" else -1
        if depth > max_depth:
            raise Problem("malformed", f"nested deeper than {max_depth}")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in members if names.count(name) > 1)
        raise Problem("malformed", f"member {shown(twice)} is there twice")
    return members


def _no_constant(name: str) -> NoReturn:
    raise Problem("malformed", f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise Problem("malformed", f"{shown(text)} is beyond what a number can hold")
    return value


def _short_integer(text: str) -> int:
    if len(text.lstrip("-")) > MAX_DIGITS:
        raise Problem("malformed", f"an integer has more than {MAX_DIGITS} digits")
    return int(text)
