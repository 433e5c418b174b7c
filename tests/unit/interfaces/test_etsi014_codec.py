from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.interfaces.etsi014.codec import Call, Codec, Compat, Limits, render_keys, route
from quoit.interfaces.etsi014.problems import render, status_of
from quoit.model.problem import PROBLEMS, Problem
from quoit.model.secret import Secret
from quoit.service.api import Key, Keys, OpenKeys, TakeKeys

UUID = "7D1B9A44-6d62-4ec7-9b0e-0f6f2ea4a001"


def numbered() -> Callable[[int], tuple[str, ...]]:
    numbers = count()
    return lambda many: tuple(f"id-{next(numbers)}" for _ in range(many))


def test_key_ids_are_drawn_at_the_edge_one_a_key() -> None:
    codec = Codec(numbered())
    call = Call("bob", "enc_keys")
    assert codec.parse("alice", call, "GET", b"number=2") == OpenKeys("alice", "bob", 2, ("id-0", "id-1"))
    body = b'{"size": 128, "additional_slave_SAE_IDs": ["carol"]}'
    assert codec.parse("alice", call, "POST", body=body) == OpenKeys("alice", "bob", 1, ("id-2",), 128, ("carol",))


def test_no_key_id_is_drawn_for_a_refused_request() -> None:
    def never(many: int) -> tuple[str, ...]:
        raise AssertionError("drawn")

    with pytest.raises(Problem, match="bad-size"):
        Codec(never).parse("alice", Call("bob", "enc_keys"), "GET", b"size=0")


def test_key_ids_are_compared_in_lower_case() -> None:
    taken = Codec(numbered()).parse("bob", Call("alice", "dec_keys"), "GET", b"key_ID=" + UUID.encode())
    assert taken == TakeKeys("bob", "alice", (UUID.lower(),))


@pytest.mark.parametrize(
    ("query", "code"),
    [(b"size=abc", "malformed"), (b"size=0", "bad-size"), (b"number=0", "bad-number"), (b"", "self-pair")],
)
def test_syntax_is_judged_before_the_path_is_compared_to_the_caller(query: bytes, code: str) -> None:
    with pytest.raises(Problem) as caught:
        Codec(numbered()).parse("alice", Call("alice", "enc_keys"), "GET", query)
    assert caught.value.code == code


def test_dec_keys_syntax_before_self_before_the_element() -> None:
    codec = Codec(numbered())
    for query, code in ((b"key_ID=odd", "bad-key-id"), (b"key_ID=" + UUID.encode(), "self-pair")):
        with pytest.raises(Problem) as caught:
            codec.parse("alice", Call("alice", "dec_keys"), "GET", query)
        assert caught.value.code == code


def test_compat_flags_for_the_callers_own_path() -> None:
    query = b"key_ID=" + UUID.encode()
    own = Call("alice", "dec_keys")
    by_id = Codec(numbered(), compat=Compat(dec_path_self=True)).parse("alice", own, "GET", query)
    assert by_id == TakeKeys("alice", "alice", (UUID.lower(),), any_master=True)
    pair = Codec(numbered(), compat=Compat(dec_path_self=True, allow_self_pair=frozenset({"alice"})))
    assert pair.parse("alice", own, "GET", query) == TakeKeys("alice", "alice", (UUID.lower(),))


def test_limits_are_what_the_codec_was_given() -> None:
    codec = Codec(numbered(), Limits(min_key_size_bits=128, max_key_size_bits=256, max_key_per_request=2))
    for query in (b"size=120", b"size=264", b"number=3"):
        with pytest.raises(Problem, match="expected"):
            codec.parse("alice", Call("bob", "enc_keys"), "GET", query)


NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=60).filter(
    lambda name: name == name.strip()
)


@given(NAMES)
def test_any_sae_id_survives_being_encoded_once(name: str) -> None:
    assert route(b"/api/v1/keys/" + quote(name, safe="").encode() + b"/status") == Call(name, "status")


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=200), st.sampled_from(["GET", "POST"]))
def test_any_bytes_give_a_message_or_a_problem_of_status_400_or_404(
    segment: bytes, query: bytes, body: bytes, method: str
) -> None:
    codec = Codec(numbered())
    for function in (b"enc_keys", b"dec_keys"):
        try:
            codec.parse("alice", route(b"/api/v1/keys/" + segment + b"/" + function), method, query, body)
        except Problem as problem:
            assert status_of(problem) in (400, 404)  # noqa: PT017 - both outcomes are lawful
            json.loads(render(problem).body)


@given(st.lists(st.binary(min_size=8, max_size=512), max_size=5))
def test_a_container_holds_exactly_the_keys(values: list[bytes]) -> None:
    import base64

    keys = Keys(tuple(Key(f"id-{n}", Secret(v)) for n, v in enumerate(values)))
    container = json.loads(render_keys(keys))
    assert [base64.b64decode(key["key"], validate=True) for key in container["keys"]] == values
    assert container["key_container_extension"] == {"quoit_synthetic": True}


@pytest.mark.parametrize("code", sorted(PROBLEMS))
def test_every_problem_has_a_status_that_014_clients_know_and_an_error_object(code: str) -> None:
    answer = render(Problem(code, "a detail", retry_after_s=0.2))
    assert answer.status in (200, 400, 401, 503, 404, 405, 408, 413, 415, 500)
    assert json.loads(answer.body)["message"]
    assert ("retry-after" in dict(answer.headers)) == (answer.status == 503)


@pytest.mark.parametrize("code", ["key-not-found", "not-authorised", "size-not-multiple-of-8", "internal"])
def test_details_never_join_fixed_messages_nor_those_that_could_tell_of_others(code: str) -> None:
    assert json.loads(render(Problem(code, "bob's key")).body) == {"message": PROBLEMS[code].title}
