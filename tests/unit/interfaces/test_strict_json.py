from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.interfaces.strict_json import decode_object
from quoit.model.problem import Problem

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def nesting(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max((nesting(v) for v in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((nesting(v) for v in value), default=0)
    return 0


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_what_json_writes_is_read_back_unless_too_deep(value: dict[str, object]) -> None:
    body = json.dumps(value).encode()
    if nesting(value) <= 16:
        assert decode_object(body) == value
    else:
        with pytest.raises(Problem, match="nested deeper"):
            decode_object(body)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_one_documented_problem(body: bytes) -> None:
    try:
        assert isinstance(decode_object(body), dict)
    except Problem as problem:
        assert problem.code == "malformed"  # noqa: PT017 - the other outcome is asserted above


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"a": 1, "a": 1}', "there twice"),
        (b'{"x": {"a": 1, "\\u0061": 1}}', "there twice"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "Infinity is not JSON"),
        (b'{"a": 1e400}', "beyond what a number can hold"),
        (b'{"a": 12345678901234567890}', "more than 19 digits"),
        (b"{} {}", "Extra data"),
        (b"[]", "expected a JSON object, found list"),
        (b"", "not JSON"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'{"a":' * 17 + b"1" + b"}" * 17, "nested deeper than 16"),
    ],
)
def test_refusals_say_what_is_wrong(body: bytes, says: str) -> None:
    with pytest.raises(Problem, match=says):
        decode_object(body)


def test_brackets_inside_strings_are_no_nesting() -> None:
    assert decode_object(b'{"a": "' + b"[" * 50 + b'\\"[["}') == {"a": "[" * 50 + '"[['}
