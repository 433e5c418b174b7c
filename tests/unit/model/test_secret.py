"""A Secret does not get out by accident."""

from __future__ import annotations

import copy
import json
import logging
import pickle

import msgspec
import pytest

from quoit.model.secret import Secret

CONTENT = b"0123456789abcdef"


@pytest.fixture
def secret() -> Secret:
    return Secret(CONTENT)


def test_no_text_form_shows_it(secret: Secret) -> None:
    record = logging.LogRecord("x", logging.INFO, "x", 1, "key %s and %r", (secret, secret), None)
    forms = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r:>40}",
        repr([secret]),
        record.getMessage(),
    ]
    for text in forms:
        assert "Secret(16 bytes)" in text
        for window in (CONTENT[i : i + 4] for i in range(len(CONTENT) - 3)):
            assert window.decode() not in text
            assert window.hex() not in text


@pytest.mark.parametrize("spec", ["", "x", ">30", "s", "nonsense"])
def test_format_ignores_the_format(secret: Secret, spec: str) -> None:
    assert format(secret, spec) == "Secret(16 bytes)"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_refuses(secret: Secret, protocol: int) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret, protocol)


@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy])
def test_copy_refuses(secret: Secret, copier: object) -> None:
    with pytest.raises(TypeError, match="not copied"):
        copier(secret)  # type: ignore[operator]


@pytest.mark.parametrize("encode", [json.dumps, msgspec.json.encode, msgspec.msgpack.encode])
def test_encoders_refuse(secret: Secret, encode: object) -> None:
    with pytest.raises(TypeError):
        encode({"key": secret})  # type: ignore[operator]


@pytest.mark.parametrize("reader", [bytes, bytearray, memoryview, list, hash, vars, iter])
def test_nothing_reads_it_but_reveal(secret: Secret, reader: object) -> None:
    with pytest.raises(TypeError):
        reader(secret)  # type: ignore[operator]


def test_reveal_and_length(secret: Secret) -> None:
    assert secret.reveal() == CONTENT
    assert len(secret) == len(CONTENT)


def test_equality_goes_by_content(secret: Secret) -> None:
    assert secret == Secret(bytearray(CONTENT))
    assert secret != Secret(CONTENT[:-1])
    assert secret != Secret(CONTENT[:-1] + b"x")
    assert secret != CONTENT


def test_the_buffer_is_its_own() -> None:
    given = bytearray(CONTENT)
    secret = Secret(given)
    given[0] = 0
    assert secret.reveal() == CONTENT


def test_wipe_empties_it(secret: Secret) -> None:
    buffer = secret._data
    secret.wipe()
    assert bytes(buffer) == b""
    assert len(secret) == 0
    assert repr(secret) == "Secret(0 bytes)"


@pytest.mark.parametrize("data", [16, "text", None, [1, 2]])
def test_only_bytes_become_secrets(data: object) -> None:
    # bytearray(16) would be sixteen zeros: a key that everybody knows
    with pytest.raises(TypeError, match="expected bytes"):
        Secret(data)  # type: ignore[arg-type]


def test_what_is_taken_is_no_longer_there() -> None:
    secret = Secret(b"abc")
    assert secret.take() == bytearray(b"abc")
    assert (len(secret), secret.reveal()) == (0, b"")
